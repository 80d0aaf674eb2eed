"""Stability of pruned networks to the noise of SGD: tickets against random masks and the dense network."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import COLOURS
from curriculode.figures.gallery.words import percent, settings_in_words
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.pairs.pruned import ticket_instability
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study
from curriculode.theory.pairs.record import STABLE

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_BASE = _STUDY.experiment.replace({"protocol.order": "random", "levels.hard.noise": 0.5})
_AT = (0.0, 2.0, 5.0, 10.0, 20.0)
_KEEP, _DIMENSION, _STARTS, _POINTS = 0.2, 300, 64, 256
_SHOWN = ("dense", "ticket", "reinit", "random")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Every pair: treatment, time of rewinding and branching, barrier, error."""
    return ticket_instability(
        _BASE,
        Pruning(keep=_KEEP),
        at=_AT,
        starts=max(4, round(scale * _STARTS)),
        dimension=_DIMENSION,
        treatments=_SHOWN,
        numerics=Numerics(averages="quasi-Monte Carlo", points=_POINTS),
        progress=report,
    )


def draw(table: pd.DataFrame) -> Any:
    """Barrier and error against the time of branching."""
    with style():
        figure, axes = new_figure(1, 2, width=3.4, height=2.8)
        groups = table.groupby(["treatment", "at"])
        mean, error = groups.mean(), groups.sem()
        for axis, column, title in (
            (axes[0, 0], "barrier", "barrier between the copies"),
            (axes[0, 1], "error", "error of the copies"),
        ):
            for name in _SHOWN:
                line, band = mean.loc[name][column], 2 * error.loc[name][column]
                axis.plot(line.index, line, "o-", color=COLOURS[name], markersize=3.5, label=name)
                axis.fill_between(line.index, line - band, line + band, color=COLOURS[name], alpha=0.15, linewidth=0)
            axis.set_xlabel("rewound to, and parted at, k")
            axis.set_title(title)
        axes[0, 0].axhline(STABLE, color="#888888", linewidth=0.8)
        axes[0, 0].set_ylabel("error over the mean of the ends")
        axes[0, 1].set_ylabel("classification error, hard level")
        axes[0, 0].legend(loc="upper right")
    return figure


_SETTINGS = settings_in_words(_BASE, [], _DIMENSION)

FIGURE = NamedFigure(
    title="Stability of tickets, random masks and fresh weights to the noise of SGD",
    caption=(
        f"Networks are trained and pruned to {percent(_KEEP)} of their weights; what is kept is rewound to k and trained to the "
        "end twice, on examples of its own each time. Left: the highest error along the line between both copies over the mean of "
        "its ends, grey the 2 % below which a network is called stable; right: the mean error of the ends. "
        f"{_STARTS} networks with real masks, bands of two standard errors. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
