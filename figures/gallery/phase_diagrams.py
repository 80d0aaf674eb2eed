"""Phase diagrams of the XOR mixture: where the order of the examples matters, and where learning diverges."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.phase_diagram import phase_diagram
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.sweep.sweep import sweep
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
ORDERS = ["curriculum", "random"]
_POINTS, _SIGNIFICANCE = 256, 0.05


@dataclass(frozen=True)
class _Part:
    """A diagram: what is varied, what is changed, seeds, and its share of the time."""

    over: dict[str, list[Any]]
    seeds: int
    share: float
    changes: dict[str, Any] = field(default_factory=dict)

    def coarse(self) -> dict[str, list[Any]]:
        """Every other value of what is varied, and all orders."""
        return {name: values if name == "protocol.order" else values[::2] for name, values in self.over.items()}


_PARTS = {
    "width": _Part(
        over={
            "student.width": [2, 3, 4, 6, 8, 12, 16, 24, 32],
            "levels.hard.noise": [0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8],
            "protocol.order": ORDERS,
        },
        seeds=8,
        share=0.65,
    ),
    "easy": _Part(
        over={
            "levels.easy.share": [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5],
            "levels.easy.noise": [0.05, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45],
            "protocol.order": ORDERS,
        },
        seeds=12,
        share=0.3,
    ),
    "rate": _Part(
        over={
            "training.learning_rate": [float(f"{rate:.3g}") for rate in np.geomspace(1.0, 64.0, 13)],
            "levels.hard.noise": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2],
        },
        seeds=8,
        share=0.05,
        changes={
            "protocol.order": "hard-only",
            "levels.easy.noise": 0.1,
            "student.activation": "relu",
            "student.readout": "fixed",
        },
    ),
}


def sweep_part(part: str, scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The sweep of one diagram; `scale` multiplies the seeds, below 0.1 on a coarser grid."""
    chosen = _PARTS[part]
    table = sweep(
        _STUDY.experiment.replace(chosen.changes),
        chosen.over if scale >= 0.1 else chosen.coarse(),
        seeds=max(2, round(scale * chosen.seeds)),
        dimension=_STUDY.dimension,
        points=_POINTS,
        observables="classification_error",
        progress=report,
    )
    if "interrupted" in table.attrs["status"]:
        raise KeyboardInterrupt
    return table.assign(part=part)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The sweeps of the three diagrams, one below the other."""
    tables, done = [], 0.0
    for name, part in _PARTS.items():

        def advance(fraction: float, done: float = done, share: float = part.share) -> None:
            report(done + share * fraction)

        tables.append(sweep_part(name, scale, advance))
        done += part.share
    return pd.concat(tables, ignore_index=True)


def part_of(table: pd.DataFrame, part: str) -> pd.DataFrame:
    """The table of one diagram, as `sweep` returned it."""
    over = _PARTS[part].over
    chosen = table[table["part"] == part][[*over, "seed", "classification_error", "failed"]]
    return chosen.astype({name: type(values[0]) for name, values in over.items() if not isinstance(values[0], str)})


def draw(table: pd.DataFrame) -> Any:
    """Gap over (K, noise of the hard level) and over (share, noise of the easy ones); error and divergence over (rate, noise)."""
    titles = {
        "width": "where the order matters: width",
        "easy": f"... and the easy examples, K = {_STUDY.experiment.student.width}",
        "rate": "learning and divergence",
    }
    with style():
        figure, axes = new_figure(1, len(_PARTS), width=3.6, height=3.3)
        for axis, (name, part) in zip(axes[0], _PARTS.items(), strict=True):
            x, y = list(part.over)[:2]
            gap = ORDERS if "protocol.order" in part.over else None
            phase_diagram(part_of(table, name), x, y, "classification_error", gap=gap, significance=_SIGNIFICANCE, ax=axis)
            axis.set_title(titles[name])
    return figure


def _settings(part: str) -> str:
    """What the experiment of a diagram sets and does not vary."""
    chosen = _PARTS[part]
    varied = [*chosen.over, "protocol.duration"]
    experiment = _STUDY.experiment.replace(chosen.changes)
    if "protocol.order" in chosen.changes:  # one level alone
        return f"{settings_in_words(experiment, [*varied, 'levels', 'protocol.order'])}; hard examples alone"
    return settings_in_words(experiment, varied)


_SEEDS = {name: part.seeds for name, part in _PARTS.items()}

FIGURE = NamedFigure(
    title="Phase diagrams: where the order of examples matters, and where learning diverges",
    caption=(
        f"Mean-field equations to t = {_STUDY.experiment.protocol.duration:g} from starts of D = {_STUDY.dimension}. Left and "
        f"middle: final classification error on the hard level, {' minus '.join(ORDERS)} order; blue: the curriculum ends lower. "
        f"Left: over the width and the noise of the hard level, {_SEEDS['width']} starts, shared by the orders; "
        f"{_settings('width')}. Middle: over the share and the noise of the easy examples, {_SEEDS['easy']} starts; "
        f"{_settings('easy')}. Right: final error over the learning rate and the noise, {_SEEDS['rate']} starts; "
        f"{_settings('rate')}. Hatched: not significant (paired t test over starts, p > {_SIGNIFICANCE:g}, each cell by itself). "
        "Grey: every start diverges; crosses: some do."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
