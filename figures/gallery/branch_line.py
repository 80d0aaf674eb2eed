"""The error along the line between two copies, for several times at which they part, in two orders of the examples."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.pairs.branch import branch
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_ORDERS = ("curriculum", "random")
_AT = (0.0, 2.0, 5.0, 10.0, 20.0)
_RUNS, _POINTS = 192, 1024


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Mean error along the line, over its ends' own mean, of every order and time of branching."""
    runs, duration = max(8, round(scale * _RUNS)), _STUDY.experiment.protocol.duration
    numerics = Numerics(averages="quasi-Monte Carlo", points=_POINTS, times=(duration,))
    parts, total = [], len(_ORDERS) * len(_AT)
    for i, (order, at) in enumerate((order, at) for order in _ORDERS for at in _AT):
        experiment = _STUDY.experiment.replace({"protocol.order": order})
        pair = branch(experiment, at=at, dimension=_STUDY.dimension, runs=runs, numerics=numerics, progress=False)
        line = pair.interpolate(t=pair.t[-1])
        error = line.classification_error[pair.finite, 0]
        over = error - 0.5 * (error[:, :1] + error[:, -1:])
        columns = {
            "alpha": line.alphas,
            "error": error.mean(axis=0),
            "over_ends": over.mean(axis=0),
            "standard_error": over.std(axis=0, ddof=1) / np.sqrt(len(over)),
        }
        parts.append(pd.DataFrame({"order": order, "at": at, "pairs": len(over), **columns}))
        report((i + 1) / total)
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """A panel an order, a line a time of branching."""
    with style():
        figure, axes = new_figure(1, len(_ORDERS), width=3.4, height=2.8, sharey=True)
        for axis, order in zip(axes[0], _ORDERS, strict=True):
            for colour, at in zip(CYCLE, sorted(table["at"].unique()), strict=False):
                part = table[(table["order"] == order) & (table["at"] == at)]
                axis.plot(part["alpha"], part["error"], color=colour, label=f"k = {at:g}")
                low, high = (part["error"] + sign * 2 * part["standard_error"] for sign in (-1, 1))
                axis.fill_between(part["alpha"], low, high, color=colour, alpha=0.15, linewidth=0)
            axis.set_title(f"{order} order")
            axis.set_xlabel("place on the line between the copies")
        axes[0, 0].set_ylabel(quantity_label("classification_error", _STUDY.experiment))
        axes[0, 0].legend(loc="upper right", ncols=2)
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["protocol.order"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="The error along the line between copies that part at time k",
    caption=(
        f"Networks are branched at k = {listed(_AT)} and both copies trained to the end on examples of their own; the error of the "
        "network on the straight line between them, averaged over "
        f"{_RUNS} pairs of runs. Bands: two standard errors of the error over that of the ends. Copies that part early lie in "
        "different valleys about as often as they choose opposite signs on the plateau; from some k on the line is flat or below "
        f"its ends. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
