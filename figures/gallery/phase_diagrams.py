"""Phase diagrams of the XOR mixture: where the order of the examples matters, and where learning diverges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.plots.phase_diagram import phase_diagram
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.sweep.sweep import sweep
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
ORDERS = ["curriculum", "random"]
_POINTS = 256
_PARTS: dict[str, tuple[dict[str, list[Any]], dict[str, Any], int, float]] = {
    # part: (what is varied, what is changed, seeds, share of the time)
    "width": (
        {
            "student.width": [2, 3, 4, 6, 8, 12, 16, 24, 32],
            "levels.hard.noise": [0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8],
            "protocol.order": ORDERS,
        },
        {},
        8,
        0.65,
    ),
    "easy": (
        {
            "levels.easy.share": [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5],
            "levels.easy.noise": [0.05, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45],
            "protocol.order": ORDERS,
        },
        {},
        12,
        0.3,
    ),
    "rate": (
        {
            "training.learning_rate": [float(f"{rate:.3g}") for rate in np.geomspace(1.0, 64.0, 13)],
            "levels.hard.noise": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2],
        },
        {"protocol.order": "hard-only", "levels.easy.noise": 0.1, "student.activation": "relu", "student.readout": "fixed"},
        8,
        0.05,
    ),
}


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The sweeps of the three diagrams, one below the other; `scale` multiplies the seeds, below 0.1 on a coarser grid."""
    study = Study.load(_EXPERIMENT)
    tables, done = [], 0.0
    for part, (over, changes, seeds, share) in _PARTS.items():
        if scale < 0.1:
            over = {name: values if name == "protocol.order" else values[::2] for name, values in over.items()}
        table = sweep(
            study.experiment.replace(changes), over, seeds=max(2, round(scale * seeds)), dimension=study.dimension, points=_POINTS,
            observables="classification_error",
            progress=lambda fraction, done=done, share=share: report(done + share * fraction),  # type: ignore[misc]
        )  # fmt: skip
        if "interrupted" in table.attrs["status"]:
            raise KeyboardInterrupt
        tables.append(table.assign(part=part))
        done += share
    return pd.concat(tables, ignore_index=True)


def part_of(table: pd.DataFrame, part: str) -> pd.DataFrame:
    """The table of one diagram, as `sweep` returned it."""
    over = _PARTS[part][0]
    chosen = table[table["part"] == part][[*over, "seed", "classification_error", "failed"]]
    return chosen.astype({name: type(values[0]) for name, values in over.items() if not isinstance(values[0], str)})


def draw(table: pd.DataFrame) -> Any:
    """Gap over (K, noise of the hard level) and over (share, noise of the easy ones); error and divergence over (rate, noise)."""
    with style():
        figure, axes = new_figure(1, 3, width=3.6, height=3.3)
        phase_diagram(
            part_of(table, "width"), "student.width", "levels.hard.noise", "classification_error", gap=ORDERS, ax=axes[0, 0]
        )
        phase_diagram(
            part_of(table, "easy"), "levels.easy.share", "levels.easy.noise", "classification_error", gap=ORDERS, ax=axes[0, 1]
        )
        phase_diagram(part_of(table, "rate"), "training.learning_rate", "levels.hard.noise", "classification_error", ax=axes[0, 2])
        axes[0, 0].set_title("where the order matters: width")
        axes[0, 1].set_title("... and the easy examples, K = 4")
        axes[0, 2].set_title("learning and divergence")
    return figure


FIGURE = NamedFigure(
    title="Phase diagrams: where the order of examples matters, and where learning diverges",
    caption=(
        "XOR-like Gaussian mixture, separation 1, mean-field equations to t = 50 from starts of D = 200. Left: final "
        "classification error on the hard level, curriculum minus random order, over the width and the noise of the hard level; 8"
        " starts, shared by the orders. Middle: the same at K = 4 over the share and the noise of the easy examples, hard noise "
        "0.5; 12 starts. GELU, squared loss, learning rate 2; easy examples otherwise 10 % at noise 0.2; blue: the curriculum "
        "ends lower. Right: final error of K = 4 ReLU units with a fixed readout on one level, over the learning rate and the "
        "noise; 8 starts. Hatched: not significant (paired t test over starts, p > 0.05, each cell by itself). Grey: every start "
        "diverges; crosses: some do."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
