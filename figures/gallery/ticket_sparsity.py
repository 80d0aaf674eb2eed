"""Accuracy against sparsity: a ticket is worth what its mask has kept of the signal, re-initialised weights less."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import draw_accuracy_and_signal, ends
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_KEEP = (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
_MEASURED = (0.05, 0.1, 0.3)
_TREATMENTS = ("ticket", "reinit", "random", "fine-tune")
_DRAWS, _RUNS = 16, 16


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
    return draw_accuracy_and_signal(table, "keep", _KEEP, "share of the weights kept", _TREATMENTS, _STUDY.experiment)


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
