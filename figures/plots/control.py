"""Pictures of control: what examples are worth, and optimal orders and rates beside the classical ones."""

from typing import Any

import numpy as np

from curriculode.figures.plots.labels import TIME
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.theory.control.records import Optimum, Worth
from curriculode.theory.core.errors import InputError


def plot_worth(found: Worth, quantity: str | None = None, ax: Any = None, **options: Any) -> Any:
    """Draw what an example of each level is worth against time, or one quantity of `Worth.mean`; returns the axes.

    A band of two standard errors where there are several starts; stretches in which a level is seen are shaded in its colour.
    """
    names = found.levels if quantity is None else [quantity]
    values = {name: (found.mean(name), 2.0 * found.standard_error(name)) for name in names}  # raises before anything is drawn
    with style():
        axis = new_figure(1, 1, width=4.4, height=3.0)[1][0, 0] if ax is None else ax
        for i, (name, (mean, error)) in enumerate(values.items()):
            look = {"color": CYCLE[i % len(CYCLE)], "label": name.replace("_", " ")} | options
            (line,) = axis.plot(found.t, mean, **look)
            if error.any():
                axis.fill_between(found.t, mean - error, mean + error, color=line.get_color(), alpha=0.2, linewidth=0)
        axis.axhline(0.0, color="#888888", linewidth=0.8)
        axis.set_xlabel(TIME)
        axis.set_ylabel(
            "change of the objective by one example, times D" if quantity in (None, *found.levels) else f"by {quantity}"
        )
        axis.legend(loc="best")
    return axis


def plot_optimum(found: Optimum, quantity: str | None = None, ax: Any = None, **options: Any) -> Any:
    """Draw the probability of a level against time, by default that of the easiest, or "learning_rate"; returns the axes."""
    names = [level.name for level in found.experiment.protocol.levels]
    shown = names[0] if quantity is None else quantity
    if shown not in (*names, "learning_rate"):
        raise InputError(f"an optimum has no {shown!r} to draw; allowed: {', '.join(names)}, learning_rate")
    values = found.learning_rate if shown == "learning_rate" else found.probability[:, names.index(shown)]
    edges = np.concatenate([[0.0], np.cumsum(found.length)])
    with style():
        axis = new_figure(1, 1, width=4.4, height=3.0)[1][0, 0] if ax is None else ax
        look = {"color": CYCLE[0], "label": "optimum", "baseline": None} | options
        axis.stairs(values, edges, **look)
        axis.set_xlabel(TIME)
        if shown == "learning_rate":
            axis.set_ylabel("learning rate")
            axis.set_ylim(0.0, None)
        else:
            axis.set_ylabel(f"share of {shown} examples")
            axis.set_ylim(-0.03, 1.03)
    return axis
