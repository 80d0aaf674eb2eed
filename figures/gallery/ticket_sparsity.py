"""Accuracy against sparsity: a ticket is worth what its mask has kept of the signal, re-initialised weights less."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import COLOURS, draw_ends, ends
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import new_figure, style
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_KEEP = (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
_MEASURED = (0.05, 0.1, 0.3)
_TREATMENTS = ("ticket", "reinit", "random", "fine-tune")
_DRAWS, _RUNS = 24, 12


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Accuracies of every treatment at every share kept."""
    parts = []
    for i, keep in enumerate(_KEEP):
        runs = max(2, round(scale * _RUNS)) if keep in _MEASURED else 0
        draws = max(3, round(scale * _DRAWS))
        found = ends(_STUDY.experiment, Pruning(keep=keep), _TREATMENTS, _STUDY.dimension, draws, runs, _POINTS)
        parts.append(found.assign(keep=keep))
        report((i + 1) / len(_KEEP))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Accuracy at the end, and the signal that the masks keep, against the share kept."""
    with style():
        figure, axes = new_figure(1, 2, width=3.6, height=2.8)
        draw_ends(axes[0, 0], table, "keep", _TREATMENTS)
        dense = table[(table["treatment"] == "dense") & (table["by"] == "theory")]["end"].mean()
        axes[0, 0].axhline(dense, color=COLOURS["dense"], linewidth=0.9, label="dense")
        axes[0, 0].set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        axes[0, 0].set_title("after training again")
        axes[0, 0].legend(loc="lower right")
        draw_ends(axes[0, 1], table, "keep", ("ticket", "random"), column="signal")
        axes[0, 1].set_ylabel(r"share of $|u|^2$ on what is kept")
        axes[0, 1].set_title("what the mask has kept")
        for axis in axes[0]:
            axis.set_xscale("log")
            axis.set_xticks(_KEEP, [f"{keep:g}" for keep in _KEEP])
            axis.minorticks_off()
            axis.set_xlabel("share of the weights kept")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, [], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Accuracy against sparsity: tickets, re-initialised, random, fine-tuned",
    caption=(
        "Left: accuracy on the hard level after training again what is kept of each unit's largest final weights. Lines: "
        f"theory, {_DRAWS} random starts with D = {_STUDY.dimension} random nodes each, bands of two standard errors of the "
        f"mean; points: {_RUNS} networks of SGD with real masks at keep = {listed(_MEASURED)}. Right: the share of the "
        f"squared references that lies on the weights kept. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
