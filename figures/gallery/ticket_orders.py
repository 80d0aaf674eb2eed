"""What a curriculum does to the mask: the masks of each order of the dense training, and what tickets make of them."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import ends
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_ORDERS = ("curriculum", "random", "hard-only")
_KEEP = (0.05, 0.1, 0.2, 0.4)
_MEASURED = (0.1,)
_DRAWS, _RUNS = 24, 24
_DURATION = 20.0


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Signal kept and accuracy of the tickets of every order."""
    parts, total = [], len(_ORDERS) * len(_KEEP)
    for i, (order, keep) in enumerate((order, keep) for order in _ORDERS for keep in _KEEP):
        experiment = _STUDY.experiment.replace({"protocol.order": order, "protocol.duration": _DURATION})
        runs = max(2, round(scale * _RUNS)) if keep in _MEASURED else 0
        draws = max(3, round(scale * _DRAWS))
        found = ends(experiment, Pruning(keep=keep), ("ticket", "reinit"), _STUDY.dimension, draws, runs, _POINTS)
        parts.append(found.assign(order=order, keep=keep))
        report((i + 1) / total)
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Signal and accuracy against the share kept, a colour an order."""
    with style():
        figure, axes = new_figure(1, 2, width=3.6, height=2.8)
        # Of a random mask the signal kept is the share of the weights: in units of it the orders are told apart.
        table = table.assign(gain=table["signal"] / table["keep"])
        for axis, column, title in (
            (axes[0, 0], "gain", r"share of $|u|^2$ kept / share of weights kept"),
            (axes[0, 1], "end", "accuracy of the ticket"),
        ):
            for order in _ORDERS:
                part = table[(table["order"] == order) & (table["treatment"] == "ticket")]
                line, seen = part[part["by"] == "theory"], part[part["by"] == "simulation"]
                axis.plot(line["keep"], line[column], color=ORDER_COLOURS[order], label=order)
                bars = 2 * seen["end_standard_error"] if column == "end" else None
                look: Any = {"fmt": "o", "color": ORDER_COLOURS[order], "markersize": 4, "linewidth": 1}
                axis.errorbar(seen["keep"], seen[column], yerr=bars, **look)
            axis.set_xscale("log")
            axis.set_xticks(_KEEP, [f"{keep:g}" for keep in _KEEP])
            axis.minorticks_off()
            axis.set_xlabel("share of the weights kept")
            axis.set_title(title)
        axes[0, 0].axhline(1.0, color="#888888", linewidth=0.8, label="random mask")
        axes[0, 0].legend(loc="upper right")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["protocol.order", "protocol.duration"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="The masks of a curriculum against those of other orders",
    caption=(
        f"Dense training of t = {_DURATION:g} in each order, pruned by the size of the final weights, and tickets trained in "
        "the same order. Left: the share of the squared references on the weights kept, over that of a random mask; right: "
        f"accuracy of the ticket on the hard level. Lines: theory, {_DRAWS} random starts with D random nodes; points: {_RUNS} "
        f"networks with real masks (bars: two standard errors). Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
