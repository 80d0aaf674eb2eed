"""Stability to the noise of SGD against the time of branching, for several widths and two orders of the examples."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.sims.pairs.instability import instability
from curriculode.sims.runs.observe import observe
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import Study
from curriculode.theory.pairs.record import STABLE

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_ORDERS = ("curriculum", "random")
_AT = (0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0)
_WIDTHS = {4: 192, 8: 128, 32: 32}  # width -> pairs
_POINTS = 256
_DISCOVERED = 0.05  # by which the mean accuracy has left one half


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The summary of the instability of every width and order, and when the mean accuracy leaves one half."""
    duration = _STUDY.experiment.protocol.duration
    numerics = Numerics(averages="quasi-Monte Carlo", points=_POINTS)
    parts = []
    cells = [(width, order) for width in _WIDTHS for order in _ORDERS]
    costs = [_WIDTHS[width] * (width**2 + 30 * width) for width, _ in cells]
    for i, (width, order) in enumerate(cells):

        def advance(fraction: float, i: int = i) -> None:
            report((sum(costs[:i]) + fraction * costs[i]) / sum(costs))

        experiment = _STUDY.experiment.replace({"student.width": width, "protocol.order": order})
        pairs = max(8, round(scale * _WIDTHS[width]))
        found = instability(experiment, at=_AT, starts=pairs, dimension=_STUDY.dimension, numerics=numerics, progress=advance)
        seen = observe(
            experiment, "classification_error", dimension=_STUDY.dimension, runs=pairs, points=_POINTS,
            times=np.linspace(0.0, duration, 51), progress=False,
        )  # fmt: skip
        accuracy = 1.0 - seen.mean("classification_error")
        left = accuracy > 0.5 + _DISCOVERED
        discovery = float(seen.t[left.argmax()]) if left.any() else np.nan
        labels: dict[str, Any] = {
            "width": width,
            "order": order,
            "pairs": pairs,
            "discovery": discovery,
            "stable_from": found.stable_from,
        }
        parts.append(found.summary().assign(**labels))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """A panel a width, a colour an order; barriers solid, midpoints dashed, times of discovery dotted."""
    from matplotlib.lines import Line2D

    with style():
        widths = sorted(table["width"].unique())
        figure, axes = new_figure(1, len(widths), width=2.8, height=2.8, sharey=True)
        for axis, width in zip(axes[0], widths, strict=True):
            for order in _ORDERS:
                part, colour = table[(table["width"] == width) & (table["order"] == order)], ORDER_COLOURS[order]
                axis.plot(part["at"], part["barrier"], "o-", color=colour, markersize=3, label=order)
                band = 2 * part["standard_error"]
                axis.fill_between(part["at"], part["barrier"] - band, part["barrier"] + band, color=colour, alpha=0.15, linewidth=0)
                axis.plot(part["at"], part["midpoint"], "--", color=colour, linewidth=1)
                axis.axvline(part["discovery"].iloc[0], color=colour, linewidth=1, linestyle=":")
            axis.axhline(STABLE, color="#888888", linewidth=0.8)
            axis.set_xlabel("time k of the branching")
            axis.set_title(f"K = {width}")
        axes[0, 0].set_ylabel("error over the mean of the ends")
        handles, labels = axes[0, -1].get_legend_handles_labels()
        grey: Any = {"color": "#666666", "linewidth": 1}
        handles += [Line2D([], [], linestyle="--", **grey), Line2D([], [], linestyle=":", **grey)]
        axes[0, -1].legend(handles, [*labels, "middle of the line", "discovery"], loc="upper right")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["student.width", "protocol.order"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Stability to the noise of SGD comes earlier with width, and with an easy phase",
    caption=(
        "Networks branched at time k, both copies trained to the end on examples of their own: the highest classification error "
        "along the line between them over the mean of its ends (points, bands of two standard errors), and that in the middle of "
        "the line (dashed; the first is never below half the difference of the ends). Grey: 2 %, below which a network is called "
        f"stable. Dotted: discovery, when the mean accuracy has left one half by {_DISCOVERED:g}; networks of K = 4 are stable "
        f"from about then on, wide ones long before. {listed(_WIDTHS.values())} pairs of runs at K = {listed(_WIDTHS)}. "
        f"Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
