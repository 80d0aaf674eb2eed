"""Batch learning in slices: test error against the elastic coupling, by theory and by minimisation at finite D.

Saglietti, Sarao Mannelli and Saxe (2106.08068): learnt to convergence and uncoupled, the slices' order gains nothing over learning
all examples at once; coupled, a curriculum does.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.batch_errors import final_errors
from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.theory.describe.experiment import load

_EXPERIMENT = "batch-perceptron"
_LOSSES = ("squared", "logistic", "hinge")
_ORDERS = ("curriculum", "anti-curriculum", "random")
_COUPLINGS = tuple(np.geomspace(1e-3, 1e2, 41))  # of the lines
_MEASURED = (1e-3, 0.03, 0.3, 3.0, 100.0)  # of the points
_DIMENSION, _RUNS = 1000, 16
_BEST_LOSS = "logistic"  # of the panel at the best strengths
_BASE = load(_EXPERIMENT)
_NAMES = {"curriculum": "easy, then hard", "anti-curriculum": "hard, then easy", "random": "pooled"}
_POINTS: Any = {"fmt": "o", "markersize": 3.5, "markerfacecolor": "white", "capsize": 2}


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Lines and points over the coupling for each loss and order; then each order at its best strengths, uncoupled and coupled.

    Below scale 0.1 with fewer points.
    """
    runs = max(2, round(scale * _RUNS))
    plan: list[tuple[str, dict[str, Any], int]] = []
    for loss in _LOSSES:
        for order in _ORDERS:
            # A pooled slice has nothing to be coupled to.
            couplings = _COUPLINGS if order != "random" else (_COUPLINGS[0],)
            measured = _MEASURED[:: 1 if scale >= 0.1 else 2] if order != "random" else (_COUPLINGS[0],)
            plan += [("line", {"loss": loss, "order": order, "coupling": float(c)}, 0) for c in couplings]
            plan += [("point", {"loss": loss, "order": order, "coupling": float(c)}, runs) for c in measured]
    for order in _ORDERS:
        plan.append(("uncoupled", {"loss": _BEST_LOSS, "order": order, "coupling": 0.0}, runs))
        if order != "random":
            plan.append(("coupled", {"loss": _BEST_LOSS, "order": order, "coupling": "optimal"}, runs))
    rows = []
    for i, (part, labels, of_runs) in enumerate(plan):
        changes = {"training.loss": labels["loss"], "protocol.order": labels["order"], "training.coupling": labels["coupling"]}
        if part in ("uncoupled", "coupled"):
            changes["training.regularization"] = "optimal"
        rows.append({"part": part, **labels, **final_errors(_BASE.replace(changes), _DIMENSION, of_runs)})
        report((i + 1) / len(plan))
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """One panel a loss: error against coupling; then the orders at their best strengths, without and with coupling."""
    with style():
        figure, axes = new_figure(1, len(_LOSSES) + 1, width=2.7, height=2.7, sharey=True)
        for axis, loss in zip(axes[0], _LOSSES, strict=False):
            for order in _ORDERS:
                part = table[(table["loss"] == loss) & (table["order"] == order)]
                line, points = part[part["part"] == "line"], part[part["part"] == "point"]
                colour = ORDER_COLOURS[order]
                x, at = points["coupling"].astype(float), points["simulation"]
                if order == "random":
                    axis.axhline(line["theory"].iloc[0], color=colour, label=_NAMES[order])
                    x = x * 0 + 3e2
                else:
                    axis.plot(line["coupling"].astype(float), line["theory"], color=colour, label=_NAMES[order])
                axis.errorbar(x, at, yerr=2 * points["standard_error"], color=colour, **_POINTS)
            axis.set_xscale("log")
            axis.set_xlabel(r"coupling $\gamma_{2,1}$")
            axis.set_title(f"{loss} loss")
        axes[0, 0].set_ylabel("test error on the hard level")
        look: Any = {"title": f"lines: theory\npoints: D = {_DIMENSION}", "title_fontsize": 8, "alignment": "left"}
        axes[0, -1].legend(*axes[0, 0].get_legend_handles_labels(), loc="upper right", **look)
        last = axes[0, -1]
        for i, name in enumerate(("uncoupled", "coupled")):
            for order in _ORDERS:
                row = table[(table["part"] == name) & (table["order"] == order)]
                if len(row):
                    place = i + 0.25 * (_ORDERS.index(order) - 1)
                    last.plot([place - 0.1, place + 0.1], [row["theory"].iloc[0]] * 2, color=ORDER_COLOURS[order], linewidth=2)
                    last.errorbar([place], row["simulation"], yerr=2 * row["standard_error"], color=ORDER_COLOURS[order], **_POINTS)
        pooled = table[(table["part"] == "uncoupled") & (table["order"] == "random")]["theory"].iloc[0]
        last.axhline(pooled, color=ORDER_COLOURS["random"], linewidth=0.8, linestyle="--")
        last.set_xticks([0, 1], ["no coupling", "best coupling"])
        last.set_xlim(-0.6, 1.6)
        last.set_title(f"best strengths, {_BEST_LOSS}")
    return figure


FIGURE = NamedFigure(
    title="Batch learning: order alone gains nothing, elastic coupling of the slices does",
    caption=(
        "Test error of a perceptron on the hard level after the two slices. Left: against the coupling of the second slice to the "
        f"first, regularisation {_BASE.get('training.regularization'):g}, for the losses {listed(_LOSSES)}; lines: state "
        f"evolution, points: minimisation at D = {_DIMENSION}, mean of {_RUNS} runs with two standard errors (the pooled slice of "
        f"all examples, which has no coupling, at the right edge). Right: {_BEST_LOSS} loss, all regularisations and couplings at "
        "the values that minimise the error in theory; dashes: theory, dashed line: all examples pooled. Settings: "
        f"{settings_in_words(_BASE, ['protocol.order', 'training.loss', 'training.regularization', 'training.coupling'])}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
