"""Theory against simulation: lines through points with error bands."""

from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.labels import TIME, quantity_label, setting_label
from curriculode.figures.plots.stages import mark_stages
from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, new_figure, style
from curriculode.sims.compare.cell import Cell
from curriculode.sims.compare.comparison import Comparison
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.training import BatchSlices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL, _LEGEND = 3.2, 1.1  # widths in inches


def plot_comparison(comparison: Comparison, ax: "Axes | None" = None, quantity: str = "accuracy") -> Any:
    """Draw theory (lines) and simulation (points, with a band of two standard errors) of one quantity against time.

    Each value of `protocol.order` has a colour; every other combination of varied parameters has a panel. With `ax`, the
    comparison must have one panel; returns the axes, or the array of axes of a new figure.

    quantity : "accuracy", an observable, or an order parameter such as "Q[0,0]"
    """
    panels: dict[str, list[Cell]] = {}
    for cell in comparison.cells:
        title = ", ".join(setting_label(k, v) for k, v in cell.labels.items() if k != "protocol.order")
        panels.setdefault(title, []).append(cell)
    if ax is not None and len(panels) > 1:
        raise InputError(f"the comparison has {len(panels)} panels, which do not fit into one ax; call plot() without ax")
    experiment = comparison.cells[0].experiment
    batch = isinstance(experiment.training, BatchSlices)
    with style():
        width = _PANEL + _LEGEND / len(panels)
        axes = np.array([[ax]]) if ax is not None else new_figure(1, len(panels), width=width, sharey=True)[1]
        for axis, (title, cells) in zip(axes[0], panels.items(), strict=True):
            distinct = len({cell.experiment.protocol.order for cell in cells}) > 1
            for cell, colour in zip(cells, CYCLE, strict=False):
                order = cell.experiment.protocol.order
                _draw(axis, cell, quantity, ORDER_COLOURS[order] if distinct else colour, order)
            axis.set_title(title)
            axis.set_xlabel(TIME)
            mark_stages(axis, [cell.experiment for cell in cells])
        axes[0, 0].set_ylabel(quantity_label(quantity, experiment))
        title = f"{'dashes' if batch else 'lines'}: theory\npoints: D = {comparison.dimension}"
        # Beside the panels of a figure of its own, where it hides nothing; on somebody else's axes where there is most room.
        place: Any = {"loc": "best"} if ax is not None else {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        axes[0, -1].legend(title=title, title_fontsize=8, alignment="left", **place)
    return ax if ax is not None else axes[0]


def _draw(axis: "Axes", cell: Cell, quantity: str, colour: str, label: str) -> None:
    name = "classification_error" if quantity == "accuracy" else quantity
    if name not in cell.verdicts:
        raise InputError(unknown("quantity", quantity, ["accuracy", *cell.verdicts]))
    tested = cell.verdicts[name]
    theory, simulation = tested.theory, tested.simulation
    if not cell.ensemble.finite.any():  # every run diverged: the theory alone is drawn
        theory = cell.theory_of_runs(name).mean(axis=0)
    if quantity == "accuracy":
        theory, simulation = 1.0 - theory, 1.0 - simulation
    draw = draw_slices if isinstance(cell.experiment.training, BatchSlices) else draw_lines
    draw(axis, cell.t, theory, simulation, tested.simulation_error, label, colour)


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
