"""Rewinding, and one shot against several rounds: the time of the weights hardly matters here, several rounds do."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import COLOURS, draw_ends, ends
from curriculode.figures.gallery.words import percent, settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import new_figure, style
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_TIMES = (0.0, 2.0, 4.0, 8.0, 16.0, 28.0)
_MEASURED = (0.0, 8.0)
_ROUNDS = (1, 4)
_KEEP = 0.1
_DRAWS, _RUNS = 12, 8


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Accuracies of tickets and of fine-tuning against the time of rewinding, one-shot and iterative."""
    parts, total = [], len(_TIMES) * len(_ROUNDS)
    for i, (rounds, rewind) in enumerate((rounds, rewind) for rounds in _ROUNDS for rewind in _TIMES):
        runs = max(2, round(scale * _RUNS)) if rewind in _MEASURED else 0
        pruning = Pruning(keep=_KEEP, rounds=rounds, rewind=rewind)
        names = ("ticket", "fine-tune")
        found = ends(_STUDY.experiment, pruning, names, _STUDY.dimension, max(3, round(scale * _DRAWS)), runs, _POINTS)
        parts.append(found.assign(rounds=rounds, rewind=rewind))
        report((i + 1) / total)
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Accuracy against the time of rewinding, a panel for one shot and one for several rounds."""
    with style():
        figure, axes = new_figure(1, len(_ROUNDS), width=3.4, height=2.8, sharey=True)
        for axis, rounds in zip(axes[0], _ROUNDS, strict=True):
            draw_ends(axis, table[table["rounds"] == rounds], "rewind", ("ticket", "fine-tune"))
            axis.set_title("one shot" if rounds == 1 else f"{rounds} rounds")
            axis.set_xlabel("rewound to t = k")
        axes[0, 0].axhline(table[table["treatment"] == "dense"]["end"].mean(), color=COLOURS["dense"], linewidth=0.9, label="dense")
        axes[0, 0].set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        axes[0, 0].legend(loc="lower right")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, [], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Rewinding hardly matters to online SGD, several rounds of pruning do",
    caption=(
        f"Accuracy on the hard level with {percent(_KEEP)} of the weights, trained again from the weights of time k (ticket) "
        "or from those of the end (fine-tune: learning-rate rewinding), on the examples from k on. Left: pruned in one "
        f"shot; right: in {_ROUNDS[-1]} rounds. Lines: theory, {_DRAWS} random starts with D random nodes, bands of two "
        f"standard errors; points: {_RUNS} networks with real masks. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
