"""As the network grows the speed-up of a curriculum stays and the final gap closes: many tickets hardly care for the order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.paired_orders import observe_orders, paired_difference
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, new_figure, style
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_WIDTHS = {4: 1200, 6: 1000, 8: 800, 12: 500, 16: 400, 24: 200, 32: 160, 48: 96, 64: 64, 96: 40, 128: 32}  # width -> runs
_SHOWN = (4, 16, 64)
_STUDY = Study.load(_EXPERIMENT)
_ORDERS = ("curriculum", "random")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Mean accuracies over time, and the paired gap between curriculum and random order, for every width.

    Below scale 0.1 for every other width.
    """
    times = np.linspace(0.0, _STUDY.experiment.protocol.duration, 26)
    plan = list(_WIDTHS.items())[:: 1 if scale >= 0.1 else 2]
    costs = [runs * (K**2 / 2 + 30 * K) for K, runs in plan]
    parts = []
    for i, (width, runs) in enumerate(plan):

        def advance(fraction: float, i: int = i) -> None:
            report((sum(costs[:i]) + fraction * costs[i]) / sum(costs))

        experiment, count = _STUDY.experiment.replace({"student.width": width}), max(4, round(scale * runs))
        names = ["classification_error"]
        seen = observe_orders(experiment, _ORDERS, names, _STUDY.dimension, count, times, _STUDY.numerics, advance)
        error = {order: observations.values["classification_error"] for order, observations in seen.items()}
        gap, gap_error = paired_difference(error["random"], error["curriculum"])
        accuracy = {f"accuracy_{order}": 1 - values.mean(axis=0) for order, values in error.items()}
        labels = {"width": width, "runs": count, "t": seen["random"].t}
        parts.append(pd.DataFrame({**labels, **accuracy, "gap": gap, "gap_standard_error": gap_error}))
    return pd.concat(parts, ignore_index=True)


def largest_and_final(table: pd.DataFrame) -> pd.DataFrame:
    """The row of the largest gap and that of the final one, for each width."""
    groups = table.groupby("width")
    return pd.concat([table.loc[groups["gap"].idxmax()].assign(which="largest"), groups.tail(1).assign(which="final")])


def draw(table: pd.DataFrame) -> Any:
    """Curves at three widths; the largest and the final gap against the width."""
    with style():
        figure, axes = new_figure(1, 4, width=2.6, height=2.6)
        for axis, width in zip(axes[0], _SHOWN, strict=False):
            part = table[table["width"] == width]
            for order in _ORDERS:
                axis.plot(part["t"], part[f"accuracy_{order}"], color=ORDER_COLOURS[order], label=order)
            axis.set_ylim(0.48, 0.96)
            axis.set_title(f"K = {width}")
            axis.set_xlabel("t = n / D")
        axes[0, 0].set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        axes[0, 0].legend(loc="upper left")
        gaps = axes[0, -1]
        ends = largest_and_final(table)
        for which, colour, marker, label in (("largest", CYCLE[3], "s", "largest on the way"), ("final", CYCLE[6], "o", "final")):
            part = ends[ends["which"] == which]
            look: Any = {"fmt": f"{marker}-", "color": colour, "markersize": 3.5, "capsize": 2, "linewidth": 1, "label": label}
            gaps.errorbar(part["width"], part["gap"], yerr=2 * part["gap_standard_error"], **look)
        gaps.axhline(0, color="#888888", linewidth=0.8)
        gaps.set_xscale("log", base=2)
        gaps.set_xticks([4, 8, 16, 32, 64, 128], ["4", "8", "16", "32", "64", "128"])
        gaps.set_ylim(bottom=-0.01, top=1.7 * ends["gap"].max())
        gaps.set_xlabel("width K")
        gaps.set_ylabel("accuracy gained over random")
        gaps.set_title("gap")
        gaps.legend(loc="upper right")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["student.width", "protocol.order"], _STUDY.dimension)
_LEAST, _MOST = min(_WIDTHS), max(_WIDTHS)

FIGURE = NamedFigure(
    title="XOR mixture at growing K: the speed-up stays, the final gap closes",
    caption=(
        "Three panels: mean accuracy on the hard level, curriculum and random order. Last: accuracy of the curriculum minus that "
        f"of the random order, at the end and where it is largest on the way, from {_WIDTHS[_LEAST]} (K = {_LEAST}) to "
        f"{_WIDTHS[_MOST]} (K = {_MOST}) runs of online SGD that share starts and seeds between the orders; bars are two standard "
        f"errors of the paired difference. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
