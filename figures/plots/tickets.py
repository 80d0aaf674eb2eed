"""Pictures of tickets: the course of every treatment, theory as lines and simulation as points."""

from typing import Any

import numpy as np

from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.theory.core.errors import InputError
from curriculode.theory.tickets.study import DENSE, TicketStudy


def plot_tickets(study: TicketStudy, quantity: str = "generalization_error", ax: Any = None) -> Any:
    """Draw a quantity of every treatment of a study against time; returns the axes.

    Theory is a line, of several draws their mean with a band of two standard deviations of one; simulated networks are points at
    their mean with bars of two standard errors. A study of either may be drawn on the axes of the other.

    Raises `InputError` for what is no study, and for a quantity that it has not.
    """
    if not isinstance(study, TicketStudy):
        raise InputError("plot_tickets draws what `tickets` returns; give a TicketStudy")
    with style():
        axis = new_figure(1, 1, width=4.4, height=3.0)[1][0, 0] if ax is None else ax
        for i, name in enumerate((DENSE, *study.treatments)):
            colour = "#888888" if name == DENSE else CYCLE[(i - 1) % len(CYCLE)]
            course = study.trajectories[name]
            values = np.atleast_2d(course.observable(quantity))
            mean, count = values.mean(axis=0), len(values)
            scatter = values.std(axis=0, ddof=1) if count > 1 else np.zeros_like(mean)
            still = course.t.size == 1  # not trained: a level
            t = np.array([course.t[0], study.experiment.protocol.duration]) if still else course.t
            mean, scatter = (np.repeat(mean, 2), np.repeat(scatter, 2)) if still else (mean, scatter)
            if study.by_theory:
                axis.plot(t, mean, color=colour, label=name, linestyle=":" if still else "-")
                if count > 1:
                    axis.fill_between(t, mean - 2 * scatter, mean + 2 * scatter, color=colour, alpha=0.15, linewidth=0)
            else:
                look: Any = {"fmt": "o", "color": colour, "markersize": 3, "linewidth": 1}
                axis.errorbar(t, mean, yerr=2 * scatter / np.sqrt(count), **look)
        axis.set_xlabel(TIME)
        axis.set_ylabel(quantity_label(quantity, study.experiment))
        if study.by_theory:
            axis.legend(loc="best", fontsize=7)
    return axis
