"""Stability of real networks to the noise of SGD against the time of branching, beside committees of the theory."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.networks.pairs import instability as of_networks
from curriculode.sims.networks.study import NetworkStudy
from curriculode.sims.pairs.instability import instability
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import Study
from curriculode.theory.pairs.record import STABLE

_CHANGES = {"network.activation": "tanh", "training.learning_rate": 0.05, "protocol.duration": 112.265625}
_LOADED = NetworkStudy.load("digits-tickets")
_STUDY = _LOADED.set(experiment=_LOADED.experiment.replace(_CHANGES))
_THEORY = Study.load("xor-curriculum")
_AT = (0.0, 2.0, 10.0, 50.0)
_WIDTHS = (6, 20, 100)
_RUNS = 16
_COMMITTEES = {4: 64, 32: 16}  # width -> pairs
_COMMITTEES_AT = (0.0, 2.0, 5.0, 10.0, 20.0)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The barrier of every width at every time, as the copies are and with their units matched; and of committees."""
    parts: list[pd.DataFrame] = []
    cells = [(width, match) for width in _WIDTHS for match in (False, True)]
    steps = len(cells) + len(_COMMITTEES)

    def advance(fraction: float) -> None:
        report((len(parts) + fraction) / steps)

    for width, match in cells:
        network = _STUDY.experiment.replace({"network.width": [width, width]})
        found = of_networks(network, at=_AT, runs=max(3, round(scale * _RUNS)), match=match, progress=advance)
        parts.append(found.summary().assign(by="digits", width=width, matched=match))
    numerics = Numerics(averages="quasi-Monte Carlo", points=256)
    for width, pairs in _COMMITTEES.items():
        experiment = _THEORY.experiment.replace({"student.width": width, "protocol.order": "random"})
        count, D = max(4, round(scale * pairs)), _THEORY.dimension
        curve = instability(experiment, at=_COMMITTEES_AT, starts=count, dimension=D, numerics=numerics, progress=advance)
        parts.append(curve.summary().assign(by="theory", width=width, matched=False))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Networks on the left, committees on the right; matched copies dashed."""
    with style():
        figure, axes = new_figure(1, 2, width=3.4, height=2.9)
        for axis, by, title in zip(
            axes[0], ("digits", "theory"), ("digits, two hidden layers", "XOR mixture, committees"), strict=True
        ):
            part = table[table["by"] == by]
            for i, width in enumerate(sorted(part["width"].unique())):
                for match in (False, True):
                    line = part[(part["width"] == width) & (part["matched"] == match)]
                    if not len(line):
                        continue
                    look: Any = {
                        "color": CYCLE[i],
                        "linestyle": "--" if match else "-",
                        "marker": "o",
                        "markersize": 3,
                        "linewidth": 1,
                    }
                    words = f"width {width}" + (", matched" if match else "")
                    axis.errorbar(line["at"], line["barrier"], yerr=2 * line["standard_error"], capsize=2, label=words, **look)
            axis.axhline(STABLE, color="#888888", linewidth=0.8)
            axis.set_xlabel("time k of the branching")
            axis.set_title(title)
            axis.legend(loc="upper right", fontsize=7)
            axis.set_ylim(bottom=0)
        axes[0, 0].set_xscale("symlog", linthresh=1.0)
        axes[0, 0].set_xlim(-0.3, 75.0)
        axes[0, 0].set_xticks(_AT, [f"{k:g}" for k in _AT])
        axes[0, 0].minorticks_off()
        axes[0, 0].set_ylabel("barrier of the classification error")
    return figure


_SETTINGS = settings_in_words(_THEORY.experiment.replace({"protocol.order": "random"}), ["student.width"], _THEORY.dimension)

FIGURE = NamedFigure(
    title="Stability on digits comes earlier to wide networks, as to committees",
    caption=(
        "Networks branched at time k (examples per input), both copies trained to the end on examples of their own: the "
        "highest classification error on the straight line between them over the mean of its ends. Left: scikit-learn's "
        f"digits, five passes, perceptrons of two hidden layers of {listed(_WIDTHS)} tanh units, {_RUNS} pairs; dashed "
        f"with the units of the copies matched layer by layer. Right: committees, {listed(_COMMITTEES.values())} pairs at "
        f"K = {listed(_COMMITTEES)}, SGD at finite D. Bars: two standard errors; grey: 2 %, below which a network is "
        "called stable. Settings of the right panel: "
        f"{_SETTINGS}."
    ),
    experiment=_STUDY,
    compute=compute,
    draw=draw,
    needs="networks",
)
