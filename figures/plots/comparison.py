"""Theory against simulation: lines through points with error bands."""

from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, new_figure, style
from curriculode.sims.compare.comparison import Cell, Comparison, standard_error
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.training import BatchSlices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = {
    "accuracy": "accuracy on the {level} level",
    "generalization_error": "generalisation error ({level} level)",
    "classification_error": "classification error ({level} level)",
    "covered_clusters": "covered clusters",
}
_SYMBOLS = {"student.width": "K", "training.learning_rate": r"$\eta$", "task.separation": "separation"}


def plot_comparison(comparison: Comparison, ax: "Axes | None" = None, quantity: str = "accuracy") -> Any:
    """Draw theory (lines) and simulation (points, with a band of two standard errors) of one quantity against time.

    Each value of `protocol.order` has a colour; every other combination of varied parameters has a panel. With `ax`, the
    comparison must have one panel; returns the axes, or the array of axes of a new figure.

    quantity : "accuracy", an observable, or an order parameter such as "Q[0,0]"
    """
    panels: dict[str, list[Cell]] = {}
    for cell in comparison.cells:
        title = ", ".join(f"{_short(k)} = {v}" for k, v in cell.labels.items() if k != "protocol.order")
        panels.setdefault(title, []).append(cell)
    if ax is not None and len(panels) > 1:
        raise InputError(f"the comparison has {len(panels)} panels, which do not fit into one ax; call plot() without ax")
    with style():
        axes = np.array([[ax]]) if ax is not None else new_figure(1, len(panels), sharey=True)[1]
        for axis, (title, cells) in zip(axes[0], panels.items(), strict=True):
            colours = iter(CYCLE)
            for cell in cells:
                order = cell.experiment.protocol.order
                distinct = len({c.experiment.protocol.order for c in cells}) > 1
                colour = ORDER_COLOURS[order] if distinct else next(colours)
                _draw(axis, cell, quantity, colour, order)
            axis.set_title(title)
            axis.set_xlabel("examples per input dimension, t = n / D")
            _shade_first_stage(axis, cells)
        level = comparison.cells[0].experiment.protocol.level().name
        theory = "dashes" if isinstance(comparison.cells[0].experiment.training, BatchSlices) else "lines"
        axes[0, 0].set_ylabel(_LABELS.get(quantity, quantity).format(level=level))
        axes[0, -1].legend(
            loc="best",
            title=f"{theory}: theory\npoints: D = {comparison.dimension}",
            title_fontsize=8,
            alignment="left",
        )
    return ax if ax is not None else axes[0]


def _draw(axis: "Axes", cell: Cell, quantity: str, colour: str, label: str) -> None:
    name = "classification_error" if quantity == "accuracy" else quantity
    if name not in cell.quantities:
        raise InputError(f"quantity {quantity!r} is unknown; allowed: accuracy, {', '.join(cell.quantities)}")
    theory, simulation, _ = cell.quantities[name]
    simulation = simulation[cell.ensemble.finite]
    if quantity == "accuracy":
        theory, simulation = 1.0 - theory, 1.0 - simulation
    error = np.full(simulation.shape[1], np.nan)
    if len(simulation):
        error = standard_error(simulation, cell.start_of_run[cell.ensemble.finite])[0]
    else:  # every run diverged: the theory alone is drawn
        simulation = error[None]
    if isinstance(cell.experiment.training, BatchSlices):
        draw_slices(axis, cell.t, theory.mean(axis=0), simulation.mean(axis=0), error, label, colour)
        return
    draw_lines(axis, cell.t, theory.mean(axis=0), simulation.mean(axis=0), error, label, colour)


def draw_lines(axis: "Axes", t: Any, theory: Any, simulation: Any, error: Any, label: str, colour: str | None = None) -> None:
    """Draw a theory line through simulation points with a band of two standard errors; an order has its own colour."""
    colour = colour or ORDER_COLOURS[label]
    axis.fill_between(t, simulation - 2 * error, simulation + 2 * error, color=colour, alpha=0.2, linewidth=0)
    axis.plot(t, theory, color=colour, label=label)
    axis.plot(t, simulation, "o", color=colour, markersize=3.2, markerfacecolor="white", markeredgewidth=0.9)


def draw_slices(axis: "Axes", t: Any, theory: Any, simulation: Any, error: Any, label: str, colour: str | None = None) -> None:
    """Draw theory as dashes at the ends of slices, and simulation as points with bars of two standard errors."""
    colour = colour or ORDER_COLOURS[label]
    axis.plot(t, theory, "_", color=colour, label=label, markersize=16, markeredgewidth=1.6)
    axis.plot(t, theory, color=colour, linewidth=0.7, linestyle=":")
    axis.errorbar(t, simulation, yerr=2 * error, fmt="o", color=colour, markersize=3.2, markerfacecolor="white", capsize=2)


def _shade_first_stage(axis: "Axes", cells: list[Cell]) -> None:
    """Mark the first stage of the curriculum, where there is one."""
    for cell in cells:
        stages = cell.experiment.protocol.stages()
        if isinstance(cell.experiment.training, BatchSlices):
            return
        if cell.experiment.protocol.order == "curriculum" and len(stages) > 1:
            axis.axvspan(0, stages[0].end, color="#0072B2", alpha=0.07, linewidth=0)
            axis.annotate(
                "easy",
                (stages[0].end / 2, 0.98),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="top",
                fontsize=7,
                color="#0072B2",
            )
            return


def _short(name: str) -> str:
    return _SYMBOLS.get(name, name.split(".", 1)[-1].replace(".", " ").replace("_", " "))
