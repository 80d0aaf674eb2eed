"""Sparse references: where few inputs matter, the mask finds them, and what it keeps learns better than the dense network."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import draw_accuracy_and_signal, ends
from curriculode.figures.gallery.words import listed, percent, settings_in_words
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_PRUNING = _STUDY.pruning or Pruning(keep=0.1)
_BASE = _STUDY.experiment.replace({"levels.hard.noise": 0.4})
_SUPPORTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_MEASURED = (0.05, 0.2)
_TREATMENTS = ("ticket", "reinit", "random", "fine-tune")
_DRAWS, _RUNS = 12, 12


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Accuracies of every treatment against the support of the centroids."""
    parts = []
    for i, support in enumerate(_SUPPORTS):
        experiment = _BASE.replace({"task.support": support})
        runs = max(2, round(scale * _RUNS)) if support in _MEASURED else 0
        found = ends(experiment, _PRUNING, _TREATMENTS, _STUDY.dimension, max(3, round(scale * _DRAWS)), runs, _POINTS)
        parts.append(found.assign(support=support))
        report((i + 1) / len(_SUPPORTS))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Accuracy and signal kept against the support."""
    return draw_accuracy_and_signal(table, "support", _SUPPORTS, "share of the inputs with signal", _TREATMENTS, _BASE)


_SETTINGS = settings_in_words(_BASE, ["task.support"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Sparse references: the mask is everything",
    caption=(
        f"Accuracy on the hard level with {percent(_PRUNING.keep)} of the weights, against the share of the inputs on which "
        f"the centroids are non-zero, which dense training does not see. Lines: theory, {_DRAWS} random starts with D random "
        f"nodes, bands of two standard errors; points: {_RUNS} networks with real masks, at supports {listed(_MEASURED)}. "
        f"Right: the share of the squared references on what is kept. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
