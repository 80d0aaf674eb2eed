"""Where a minimal student ends: odds of its attractors in each order, and the gap between orders as lottery and speed, over time.

With weight decay the ends are a few states at rest, and the gap that a curriculum leaves becomes one of their odds; without,
there is no
finite state at rest, and the gap closes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.landscape import draw_odds, draw_split
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.landscape.attractors import attractors
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_DIMENSION, _POINTS = 200, 256
_ORDERS = ("curriculum", "random", "hard-only")
_DECAYS = {0.05: (100, 500.0, 5000.0), 0.0: (24, 1500.0, 0.0)}  # starts, until, followed after
_CHANGES = {"training.learning_rate": 1.5}
_STUDY = Study.load(_EXPERIMENT)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Odds (part "odds") and the split of the gap (part "gap") at each weight decay."""
    parts = []
    for i, (decay, (starts, until, longest)) in enumerate(_DECAYS.items()):
        experiment = _STUDY.experiment.replace({**_CHANGES, "training.weight_decay": decay})

        def advance(fraction: float, i: int = i) -> None:
            report((i + fraction) / len(_DECAYS))

        found = attractors(
            experiment,
            max(4, round(scale * starts)),
            orders=_ORDERS,
            dimension=_DIMENSION,
            until=until,
            longest=longest,
            points=_POINTS,
            progress=advance,
        )
        if found.interrupted:
            raise KeyboardInterrupt
        parts.append(found.odds().assign(part="odds", **{"training.weight_decay": decay}))
        parts.append(found.gap_split().assign(part="gap", **{"training.weight_decay": decay}))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Odds and the gap over time with weight decay, and the gap without."""
    decays = list(dict.fromkeys(table["training.weight_decay"]))
    with style():
        figure, (panels,) = new_figure(1, 1 + len(decays), width=3.6, height=2.9)
        first = table[(table["training.weight_decay"] == decays[0]) & (table["part"] == "odds")]
        draw_odds(panels[0], first)
        panels[0].set_title(rf"odds, $\kappa$ = {decays[0]:g}", fontsize=9)
        for axis, decay in zip(panels[1:], decays, strict=True):
            split = table[(table["training.weight_decay"] == decay) & (table["part"] == "gap")]
            nowhere = table[(table["training.weight_decay"] == decay) & (table["part"] == "odds") & (table["attractor"] < 0)]
            if nowhere["frequency"].min() > 0.5:  # no state at rest to compare
                split = split[np.isfinite(split["t"])]
            draw_split(axis, split)
            axis.set_title(rf"random − curriculum, $\kappa$ = {decay:g}", fontsize=9)
    return figure


FIGURE = NamedFigure(
    title="Where a minimal student ends: odds of its attractors, and the gap between orders as lottery and speed",
    caption=(
        f"Left: share of {next(iter(_DECAYS.values()))[0]} random starts of D = {_DIMENSION} that end in each state at rest "
        f"(ordered by "
        f"its loss, labelled by its classification error) on the hard level, in the orders {listed(_ORDERS)}, with 95 % confidence "
        "intervals, by the equations; every student goes through its order and is then held on the hard level. Others: the "
        "gap of the "
        "classification error, random less curriculum, and its parts from pairs of one start that end in different attractors "
        "(lottery) "
        f"and in the same (speed), with two standard errors, at weight decays {listed(_DECAYS)} "
        f"({listed(starts for starts, *_ in _DECAYS.values())} starts); without weight decay no student comes to rest, and "
        f"all gap counts "
        f"as speed. {settings_in_words(_STUDY.experiment.replace(_CHANGES), ['protocol.order', 'training.weight_decay'])}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
