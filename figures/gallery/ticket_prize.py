"""The conditions of a prize: where a ticket beats its own mask with fresh weights."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.phase_diagram import phase_diagram
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.sweep.prizes import prizes
from curriculode.sims.sweep.sweep import sweep
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_PRUNING = _STUDY.pruning or Pruning(keep=0.1)
_KEEP: Sequence[float] = (0.05, 0.1, 0.2, 0.4)
_CONDITIONS: dict[str, Sequence[Any]] = {
    "training.learning_rate": (0.5, 1.0, 2.0, 4.0),
    "protocol.duration": (10.0, 20.0, 40.0, 80.0),
    "training.weight_decay": (0.0, 0.005, 0.01, 0.02),
    "pruning.rewind": (0.0, 5.0, 10.0, 20.0),
    "student.width": (4, 6, 8, 12),
    "protocol.order": ("curriculum", "random", "anti-curriculum", "hard-only"),
}
_TITLES = {
    "training.learning_rate": "learning rate",
    "protocol.duration": "training time",
    "training.weight_decay": "weight decay",
    "pruning.rewind": "rewinding",
    "student.width": "width",
    "protocol.order": "order of the examples",
}
_NETWORKS, _POINTS = 16, 256
_VALUE, _GAP = "classification_error", ("reinit", "ticket")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Tickets and their masks with fresh weights, over sparsity and each of the other conditions."""
    parts = []
    for i, (condition, values) in enumerate(_CONDITIONS.items()):

        def advance(fraction: float, i: int = i) -> None:
            report((i + fraction) / len(_CONDITIONS))

        found = sweep(
            _STUDY.experiment,
            {condition: values, "pruning.keep": _KEEP},
            pruning=_PRUNING,
            treatments=_GAP,
            seeds=max(3, round(scale * _NETWORKS)),
            dimension=_STUDY.dimension,
            points=_POINTS,
            observables=_VALUE,
            progress=advance,
        )
        won = prizes(found, [condition, "pruning.keep"], "ticket", "reinit", _VALUE)[[condition, "pruning.keep", "wins"]]
        parts.append(found.merge(won, on=[condition, "pruning.keep"]).assign(condition=condition))
    return pd.concat(parts, ignore_index=True)


def of_condition(table: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The rows of one condition as the table of its sweep."""
    part = table[table["condition"] == condition]
    places = dict.fromkeys([condition, "pruning.keep", "protocol.order"])
    return part[[*places, "treatment", "seed", _VALUE, "failed"]].reset_index(drop=True)


def draw(table: pd.DataFrame) -> Any:
    """A phase diagram for each condition: the error of fresh weights minus that of the ticket."""
    columns = 3
    with style():
        figure, axes = new_figure(-(-len(_CONDITIONS) // columns), columns, width=4.0, height=3.0)
        for axis, condition in zip(axes.ravel(), _CONDITIONS, strict=False):
            drawn = phase_diagram(of_condition(table, condition), condition, "pruning.keep", _VALUE, gap=_GAP, ax=axis)
            drawn.colorbar.set_label("error: reinit − ticket" if axis in axes[:, -1] else "")
            if (legend := axis.get_legend()) is not None:
                legend.remove()  # the caption tells what is hatched
            axis.set_title(_TITLES[condition])
            if drawn.contours is not None:
                drawn.contours.remove()  # of so few places they tell nothing
            if condition == "protocol.order":
                axis.tick_params(axis="x", labelsize=7, labelrotation=20)
        for axis in axes.ravel()[len(_CONDITIONS) :]:
            figure.delaxes(axis)
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, [], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Where a ticket wins: against rate, time, weight decay, rewinding, width and order, and sparsity",
    caption=(
        "Classification error on the hard level after training again the mask with fresh weights, minus that of the ticket: "
        f"positive where the ticket wins. By theory, {_NETWORKS} networks of D = {_STUDY.dimension} random nodes from random "
        "starts, paired by network; hatched where a paired t test finds no difference (p > .05, each place by itself). Each "
        f"panel varies one condition and the share kept. Settings elsewhere: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
