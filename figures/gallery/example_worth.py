"""What an easy example is worth when: the switching function of the XOR mixture along each order, from narrow to wide students.

One backward pass gives, for every time of a protocol, how the final error would change if an example seen then were easy, not hard.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.labels import TIME
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.theory.control.worth import worth
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_WIDTHS = (4, 8, 16, 32)
_ORDERS = ("random", "curriculum")
_STARTS, _DIMENSION = 8, 1000
_LINEAR = 1e-3  # of the axis: escapes from plateaus make the worth of some starts a hundred times that of others
_POINTS, _INTERVALS, _RTOL = 256, 50, 1e-3
_STUDY = Study.load(_EXPERIMENT)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Worth of an easy example in place of a hard one against time, median and quartiles over starts, for each width and order."""
    parts = []
    starts_of = max(2, round(scale * _STARTS))
    plan = [(width, order) for width in _WIDTHS for order in _ORDERS]
    work = np.cumsum([width for width, _ in plan])
    for i, (width, order) in enumerate(plan):
        experiment = _STUDY.experiment.replace({"student.width": width, "protocol.order": order})
        starts = [experiment.initial(_DIMENSION, 0, number) for number in range(starts_of)]

        def advance(fraction: float, i: int = i) -> None:
            report((work[i] - (1.0 - fraction) * plan[i][0]) / work[-1])

        found = worth(
            experiment,
            starts,
            objective="generalization_error",
            intervals=_INTERVALS,
            points=_POINTS,
            rtol=_RTOL,
            progress=advance,
        )
        gap = found.worth[:, :, 0] - found.worth[:, :, 1]
        parts.append(
            pd.DataFrame(
                {
                    "student.width": width,
                    "protocol.order": order,
                    "t": found.t,
                    **dict(zip(("lower", "worth", "upper"), np.quantile(gap, (0.25, 0.5, 0.75), axis=0), strict=True)),
                    "starts": len(gap),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Worth against time, a panel an order."""
    orders = list(dict.fromkeys(table["protocol.order"]))
    with style():
        figure, axes = new_figure(1, len(orders))
        for axis, order in zip(axes[0], orders, strict=True):
            parts = table[table["protocol.order"] == order].groupby("student.width", sort=False)
            for colour, (width, part) in zip(CYCLE, parts, strict=False):
                axis.plot(part["t"], part["worth"], color=colour, label=f"K = {width}")
                axis.fill_between(part["t"], part["lower"], part["upper"], color=colour, alpha=0.2, linewidth=0)
            axis.axhline(0.0, color="#888888", linewidth=0.8)
            axis.set_yscale("symlog", linthresh=_LINEAR)
            axis.set_xlabel(TIME)
            axis.set_title(f"along the {order} order")
        axes[0][0].set_ylabel("change of the final error, times D,\nby an easy example for a hard one")
        axes[0][0].legend(loc="best")
    return figure


FIGURE = NamedFigure(
    title="What an easy example is worth when, from narrow to wide students",
    caption=(
        "How the generalisation error on the hard level at the end changes, times D, when one example at time t is easy, not hard, "
        "by one backward pass of the equations along the random order (left) and the curriculum (right); median over "
        f"{_STARTS} starts of D = {_DIMENSION}, band between their quartiles. Below zero an easy example helps. Settings: "
        f"{settings_in_words(_STUDY.experiment, ['protocol.order', 'student.width'], _DIMENSION)}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
