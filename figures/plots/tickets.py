"""Pictures of tickets: the course of every treatment, theory as lines and simulation as points."""

from typing import Any

import numpy as np

from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.phase_diagram import PhaseDiagram, phase_diagram
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.theory.core.description import unknown
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


def prize_diagram(
    table: Any,
    x: str,
    y: str,
    one: str = "reinit",
    other: str = "ticket",
    value: str = "classification_error",
    significance: float = 0.05,
    ax: Any = None,
) -> PhaseDiagram:
    """Draw the phase diagram of a prize: how much more `one` ends with than `other`, over two parameters of `sweep_tickets`.

    Networks are paired by their seeds; cells where the difference is not significant (paired t test) are hatched. Of errors, where
    it is positive `other` has won: by default a ticket against its own mask with fresh weights.

    Raises `InputError` for treatments or columns that the table has not, and where it varies in more than x and y.

    >>> from curriculode import Pruning, load, sweep_tickets
    >>> experiment = load("xor-tickets").replace({"protocol.duration": 1.0})
    >>> grid = {"pruning.keep": [0.1, 0.5], "training.learning_rate": [1.0, 2.0]}
    >>> table = sweep_tickets(experiment, Pruning(keep=0.1), grid, nodes=100, seeds=2)
    >>> len(prize_diagram(table, "training.learning_rate", "pruning.keep").table)
    4
    """
    if not hasattr(table, "columns") or not {"treatment", "seed", "failed", x, y, value} <= set(table.columns):
        raise InputError("prize_diagram draws a table of `sweep_tickets` with the columns x, y and value; give one")
    if "protocol.order" in table.columns:
        if table["protocol.order"].nunique() > 1:
            raise InputError("the table varies in protocol.order; choose the rows of one order")
        table = table.drop(columns="protocol.order")
    for name in (one, other):
        if name not in set(table["treatment"]):
            raise InputError(unknown("treatment", name, sorted(set(table["treatment"]))))
    if table["run"].nunique() > 1:
        raise InputError("the table has several runs a seed; a prize is paired by seeds: sweep with runs = 1 and more seeds")
    # The two treatments take the place of the two orders that a sweep pairs.
    parameters = [name for name in table.columns if "." in name]
    columns = [*parameters, "treatment", "seed", "failed", value]
    kept = table[table["treatment"].isin([one, other])][columns].rename(columns={"treatment": "protocol.order"})
    return phase_diagram(kept, x, y, value, gap=(one, other), significance=significance, ax=ax)
