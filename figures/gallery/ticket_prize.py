"""The conditions of a prize: where a ticket beats its own mask with fresh weights."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import new_figure, style
from curriculode.figures.plots.tickets import prize_diagram
from curriculode.sims.tickets.sweep import sweep_tickets
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_RATES = (0.5, 1.0, 2.0, 4.0)
_DURATIONS = (10.0, 20.0, 40.0, 80.0)
_KEEP = (0.05, 0.1, 0.2, 0.4)
_NETWORKS, _POINTS = 16, 256
_RATE = _STUDY.experiment.get("training.learning_rate")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Tickets and their masks with fresh weights, over learning rate and sparsity, and over training time and sparsity."""
    grids: dict[str, dict[str, Any]] = {
        "rate": {"training.learning_rate": _RATES, "pruning.keep": _KEEP},
        "duration": {"protocol.duration": _DURATIONS, "pruning.keep": _KEEP},
    }
    parts = []
    for i, (part, grid) in enumerate(grids.items()):

        def advance(fraction: float, i: int = i) -> None:
            report((i + fraction) / len(grids))

        found = sweep_tickets(
            _STUDY.experiment,
            Pruning(keep=0.1),
            grid,
            treatments=["ticket", "reinit"],
            seeds=max(3, round(scale * _NETWORKS)),
            nodes=_STUDY.dimension,
            numerics=Numerics(points=_POINTS),
            progress=advance,
        )
        parts.append(found.assign(part=part))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Two phase diagrams of the error of fresh weights minus that of the ticket."""
    with style():
        figure, axes = new_figure(1, 2, width=4.2, height=3.2)
        for axis, part, x, other, title in (
            (axes[0, 0], "rate", "training.learning_rate", "protocol.duration", "against learning rate"),
            (axes[0, 1], "duration", "protocol.duration", "training.learning_rate", "against training time"),
        ):
            rows = table[table["part"] == part].drop(columns=[other])
            prize_diagram(rows, x, "pruning.keep", ax=axis)
            axis.set_ylabel("share of the weights kept")
            axis.set_title(title)
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["training.learning_rate", "protocol.duration"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Where a ticket wins: against learning rate, training time and sparsity",
    caption=(
        "Classification error on the hard level after training again the mask with fresh weights, minus that of the ticket, by "
        f"theory: {_NETWORKS} networks of D = {_STUDY.dimension} random nodes from random starts, paired by network; hatched where "
        f"a paired t test finds no difference (p > .05). Left: t = {_STUDY.experiment.protocol.duration:g}; right: learning rate "
        f"{_RATE:g}. Settings: "
        f"{_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
