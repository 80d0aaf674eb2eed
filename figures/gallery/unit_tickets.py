"""Are winning units necessary, and are they sufficient? Disjoint tickets of one network, and winners alone, against its width."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.tickets.unit_tickets import disjoint_tickets, unit_tickets
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_WIDTHS = (6, 8, 12, 16, 24)
_NETWORKS = 24
_ROUNDS = 3
_DURATION = 60.0


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Disjoint tickets, and the odds of winners and of random units alone, at every width."""
    rows = []
    for i, width in enumerate(_WIDTHS):
        changes = {"student.width": width, "protocol.order": "hard-only", "protocol.duration": _DURATION}
        experiment, count = _STUDY.experiment.replace(changes), max(4, round(scale * _NETWORKS))
        options: Any = {"dimension": _STUDY.dimension, "networks": count, "progress": False}
        held = disjoint_tickets(unit_tickets(experiment, **options))
        alone = unit_tickets(experiment, test="alone", **options)
        odds = alone.groupby("kind")["learnt"].mean()
        again = unit_tickets(experiment, test="reinitialise", rounds=_ROUNDS, **options)
        times = again.fillna({"time": np.inf}).groupby("round")["time"].median()
        row = {"width": width, "networks": count, "tickets": held.mean(), "tickets_scatter": held.std(ddof=1)}
        for kind in ("whole", "winners alone", "winners planted", "random units alone"):
            row[kind] = odds.get(kind, np.nan)
        last = again[again["round"] == _ROUNDS]
        row |= {"reinitialised": last["learnt"].mean() if len(last) else np.nan}
        row |= {"time_whole": times[0], "time_reinitialised": times.get(_ROUNDS, np.nan)}
        rows.append(row)
        report((i + 1) / len(_WIDTHS))
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Tickets against the width; odds against the width."""
    with style():
        figure, axes = new_figure(1, 3, width=3.2, height=2.8)
        error = 2 * table["tickets_scatter"] / np.sqrt(table["networks"])
        axes[0, 0].errorbar(table["width"], table["tickets"], yerr=error, fmt="o-", color=CYCLE[0], markersize=4, capsize=2)
        axes[0, 0].set_title("necessary? deleted")
        axes[0, 0].set_ylabel("disjoint tickets a network held")
        columns = {"time_whole": "whole", "time_reinitialised": f"winners fresh {_ROUNDS} times"}
        for i, (column, words) in enumerate(columns.items()):
            finite = table[np.isfinite(table[column])]
            axes[0, 1].plot(finite["width"], finite[column], "o-", color=CYCLE[i], markersize=4, label=words)
        axes[0, 1].set_title("necessary? drawn anew")
        axes[0, 1].set_ylabel("median time to learn")
        axes[0, 1].set_ylim(bottom=0.0)
        axes[0, 1].legend(loc="lower right")
        for i, kind in enumerate(("whole", "winners alone", "winners planted", "random units alone")):
            axes[0, 2].plot(table["width"], table[kind], "o-", color=CYCLE[i], markersize=4, label=kind)
        axes[0, 2].set_ylim(-0.03, 1.03)
        axes[0, 2].set_title("sufficient?")
        axes[0, 2].set_ylabel("share that learns")
        axes[0, 2].legend(loc="lower right")
        for axis in axes[0]:
            axis.set_xlabel("width K")
    return figure


_SETTINGS = settings_in_words(
    _STUDY.experiment, ["student.width", "protocol.order", "protocol.duration", "levels"], _STUDY.dimension
)

FIGURE = NamedFigure(
    title="Winning units: necessary, sufficient, and how many tickets a network holds",
    caption=(
        f"Hard examples alone, t = {_DURATION:g}, {_NETWORKS} networks a width; learnt is a classification error below .07. "
        "Left: how often the winning units can be deleted from the start, and the rest still learns, plus one (bars: two "
        f"standard errors). Middle: median time to learn of whole networks, and with winners given fresh weights {_ROUNDS} times "
        "in a row (left out where half of the networks never learn). Right: the share that learns of whole networks, of the "
        "winners' initial weights alone or planted "
        f"in a fresh network, and of as many units at random alone. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
