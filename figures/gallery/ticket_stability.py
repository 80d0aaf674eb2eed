"""Stability of pruned networks to the noise of SGD: tickets against random masks and the dense network; whether the stable win."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import COLOURS
from curriculode.figures.gallery.words import listed, percent, settings_in_words
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.pairs.pruned import ticket_instability
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study
from curriculode.theory.pairs.record import STABLE

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_BASE = _STUDY.experiment.replace({"student.width": 4, "protocol.order": "random", "levels.hard.noise": 0.4})
_AT = (0.0, 2.0, 5.0, 10.0, 20.0)
_KEEP, _DIMENSION, _STARTS, _DRAWS, _POINTS = 0.3, 300, 64, 32, 256
_SHOWN = ("dense", "ticket", "reinit", "random")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Every pair, by simulation and of tickets by theory: treatment, time of rewinding and branching, barrier, error."""
    numerics, parts = Numerics(averages="quasi-Monte Carlo", points=_POINTS), []
    size: dict[str, Any] = {"starts": max(4, round(scale * _STARTS)), "dimension": _DIMENSION, "treatments": _SHOWN}
    theory: dict[str, Any] = {"starts": max(4, round(scale * _DRAWS)), "nodes": _DIMENSION, "treatments": ("ticket",)}
    for i, (by, options) in enumerate({"simulation": size, "theory": theory}.items()):

        def advance(fraction: float, i: int = i) -> None:
            report(0.5 * (i + fraction))

        found = ticket_instability(_BASE, Pruning(keep=_KEEP), at=_AT, numerics=numerics, progress=advance, **options)
        parts.append(found.assign(by=by))
    table = pd.concat(parts, ignore_index=True)
    dense = table[(table["treatment"] == "dense")].set_index(["at", "run"])["error"].rename("dense")
    table = table.join(dense, on=["at", "run"])
    over = np.where(table["by"] == "simulation", table["error"] - table["dense"], np.nan)
    return table.drop(columns="dense").assign(over_dense=over)


def draw(table: pd.DataFrame) -> Any:
    """Barrier and error against the time of branching; and of every network the one against the other."""
    with style():
        figure, axes = new_figure(1, 3, width=3.2, height=2.8)
        runs = table[table["by"] == "simulation"]
        groups = runs.drop(columns="by").groupby(["treatment", "at"])
        mean, error = groups.mean(), groups.sem()
        ticket = table[table["by"] == "theory"].groupby("at")[["barrier", "error"]].mean()
        for axis, column in ((axes[0, 0], "barrier"), (axes[0, 1], "error")):
            for name in _SHOWN:
                line, band = mean.loc[name][column], 2 * error.loc[name][column]
                axis.plot(line.index, line, "o-", color=COLOURS[name], markersize=3.5, label=name)
                axis.fill_between(line.index, line - band, line + band, color=COLOURS[name], alpha=0.15, linewidth=0)
            axis.plot(ticket.index, ticket[column], "--", color="black", linewidth=1, label="ticket, theory")
            axis.set_xlabel("rewound to, and parted at, k")
        axes[0, 0].axhline(STABLE, color="#888888", linewidth=0.8)
        axes[0, 0].set_ylabel("barrier between the copies")
        axes[0, 1].set_ylabel("classification error, hard level")
        axes[0, 1].set_ylim(0.0, 0.5)
        cloud = axes[0, 2]
        for name in _SHOWN[1:]:
            part = runs[runs["treatment"] == name]
            cloud.plot(part["over_dense"], part["barrier"], ".", color=COLOURS[name], markersize=3, alpha=0.6, label=name)
        cloud.axhline(STABLE, color="#888888", linewidth=0.8)
        cloud.axvline(STABLE, color="#888888", linewidth=0.8)
        cloud.set_yscale("symlog", linthresh=STABLE)
        cloud.set_ylim(0.0, None)
        for axis, title in zip(axes[0], ("stability", "what the copies learn", "every network"), strict=True):
            axis.set_title(title)
        cloud.set_xlabel("error over that of the dense network")
        cloud.set_ylabel("barrier between the copies")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        cloud.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


_SETTINGS = settings_in_words(_BASE, [], _DIMENSION)

FIGURE = NamedFigure(
    title="Tickets are stable to the noise of SGD whether they win or not",
    caption=(
        f"Networks are trained and pruned to {percent(_KEEP)} of their weights; what is kept is rewound to k = {listed(_AT)} and "
        "trained to the end twice, on examples of its own each time. Left: the highest error along the line between both copies "
        f"over the mean of its ends, grey the {percent(STABLE)} below which a network is called stable; middle: the mean error of "
        f"the ends. {_STARTS} networks with real masks, bands of two standard errors; dashed: tickets by theory, {_DRAWS} draws of "
        "as many coordinates. Right: every network at every k; those left of the upright line win, with an error of at most "
        f"{percent(STABLE)} over the dense network's. Tickets, which begin with overlaps of order 1, are stable from k = 0 on, "
        f"also those that lose; random masks and fresh weights are where they learn little. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
