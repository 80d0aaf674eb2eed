"""What a ticket is made of: with the mask and the signs, or with the overlaps alone, nearly all of it is there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import ends
from curriculode.figures.gallery.words import percent, settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_PRUNING = _STUDY.pruning or Pruning(keep=0.1)
_TREATMENTS = ("ticket", "signs", "overlaps", "magnitudes", "reinit", "random", "untrained", "untrained-signs")
_DRAWS, _RUNS = 20, 20


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Accuracies of every treatment before and after training again."""
    found = ends(
        _STUDY.experiment,
        _PRUNING,
        _TREATMENTS,
        _STUDY.dimension,
        max(3, round(scale * _DRAWS)),
        max(2, round(scale * _RUNS)),
        _POINTS,
    )
    report(1.0)
    return found.assign(keep=_PRUNING.keep)


def draw(table: pd.DataFrame) -> Any:
    """A bar a treatment, theory and simulation side by side, with the beginning as a mark."""
    with style():
        figure, axes = new_figure(1, 1, width=6.0, height=2.9)
        axis, names = axes[0, 0], ("dense", *_TREATMENTS)
        for offset, (by, colour) in zip((-0.2, 0.2), (("theory", CYCLE[0]), ("simulation", CYCLE[1])), strict=True):
            part = table[table["by"] == by].set_index("treatment").loc[list(names)]
            x = np.arange(len(names)) + offset
            axis.bar(x, part["end"] - 0.5, 0.38, bottom=0.5, color=colour, label=by, yerr=2 * part["end_standard_error"])
            axis.plot(x, part["begin"], "k_", markersize=9)
        axis.set_xticks(range(len(names)), names, rotation=25)
        axis.set_ylim(0.45, 1.0)
        axis.set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        axis.set_title("what is left of a ticket")
        axis.legend(loc="upper right")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, [], _STUDY.dimension)

FIGURE = NamedFigure(
    title="What a ticket is made of: mask, signs, sizes, overlaps",
    caption=(
        f"Accuracy on the hard level with {percent(_PRUNING.keep)} of the weights, of each unit's largest at the end, after "
        "training again (bars, two standard errors) and before (marks). ticket: the initial weights; signs: their signs "
        "with fresh sizes; overlaps: fresh weights with the ticket's Q and M; magnitudes: their sizes with "
        "random signs; reinit: fresh weights; random: the initial weights under a random mask; untrained: the initial "
        f"weights, or their signs, under the mask. Theory: {_DRAWS} random starts with D random nodes; simulation: {_RUNS} "
        f"networks with real masks. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
