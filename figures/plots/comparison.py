"""Theory against simulation: lines of theory at finite D, with bands of single runs, through points of simulation."""

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.labels import TIME, quantity_label, setting_label
from curriculode.figures.plots.stages import mark_stages
from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, new_figure, style
from curriculode.sims.compare.cell import Cell, compares_pairs
from curriculode.sims.compare.comparison import Comparison
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_PANEL, _LEGEND = 3.2, 1.5  # widths in inches
_OUTSIDE = (0.025, 0.975)
_WITH_NOISE = 2  # of the three paths of a pair; the last is the equations alone
_SEEN = 0.01  # of a curve's range


def plot_comparison(comparison: Comparison, ax: "Axes | None" = None, quantity: str = "accuracy") -> Any:
    """Draw theory and simulation of one quantity against time.

    Lines are theory at finite D, with a band that holds 95 % of single runs; thin dots, where they differ from it, the mean-field
    equations alone; points are means of the runs, with bars of two standard errors of their difference from the line. Each value
    of `protocol.order` has a colour; every other combination of varied parameters has a panel. With `ax`, the comparison must
    have one panel; returns the axes, or the array of axes of a new figure. Batch learning is dashes (theory) and bars (runs).

    quantity : "accuracy", an observable, or an order parameter such as "Q[0,0]"
    """
    panels: dict[str, list[Cell]] = {}
    curves = "treatment" if "treatment" in comparison.cells[0].labels else "protocol.order"
    for cell in comparison.cells:
        title = ", ".join(setting_label(k, v) for k, v in cell.labels.items() if k != curves)
        panels.setdefault(title, []).append(cell)
    if ax is not None and len(panels) > 1:
        raise InputError(f"the comparison has {len(panels)} panels, which do not fit into one ax; call plot() without ax")
    experiment = comparison.cells[0].experiment
    batch = experiment.training.stored
    with style():
        width = _PANEL + _LEGEND / len(panels)
        axes = np.array([[ax]]) if ax is not None else new_figure(1, len(panels), width=width, sharey=True)[1]
        drawn: set[str] = set()
        for axis, (title, cells) in zip(axes[0], panels.items(), strict=True):
            distinct = len({cell.experiment.protocol.order for cell in cells}) > 1
            for cell, colour in zip(cells, cycle(CYCLE)):
                order = cell.experiment.protocol.order
                label = cell.labels.get(curves, order)
                drawn |= _draw(axis, cell, quantity, ORDER_COLOURS[order] if distinct else colour, label)
            axis.set_title(title)
            axis.set_xlabel(TIME)
            mark_stages(axis, [cell.experiment for cell in cells])
        axes[0, 0].set_ylabel(quantity_label(quantity, experiment))
        # Beside the panels of a figure of its own, where it hides nothing; on somebody else's axes where there is most room.
        place: Any = {"loc": "best"} if ax is not None else {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        if batch:
            title = f"dashes: theory\npoints: D = {comparison.dimension}"
            axes[0, -1].legend(title=title, title_fontsize=8, alignment="left", **place)
        else:
            legend(axes[0, -1], comparison.dimension, drawn, **place)
    return ax if ax is not None else axes[0]


def _draw(axis: "Axes", cell: Cell, quantity: str, colour: str, label: str) -> set[str]:
    """Draw a quantity of a cell; returns what `draw_lines` drew."""
    name = "classification_error" if quantity == "accuracy" else quantity
    if name not in cell.verdicts:
        raise InputError(unknown("quantity", quantity, ["accuracy", *cell.verdicts]))
    tested = cell.verdicts[name]
    theory, simulation, mean_field, band = tested.theory, tested.simulation, tested.mean_field, band_of_runs(cell, name)
    if not cell.ensemble.finite.any():  # every run diverged: the theory alone is drawn
        theory = cell.theory_of_runs(name).mean(axis=0)
    if quantity == "accuracy":
        theory, simulation, mean_field = 1.0 - theory, 1.0 - simulation, 1.0 - mean_field
        band = None if band is None else (1.0 - band[1], 1.0 - band[0])
    if cell.experiment.training.stored:
        draw_slices(axis, cell.t, theory, simulation, tested.simulation_error, label, colour)
        return set()
    # Runs and theory share their starts, so that the error of their difference is what tells whether they agree.
    return draw_lines(axis, cell.t, theory, simulation, tested.standard_error, label, colour, mean_field, band)


def band_of_runs(cell: Cell, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Between which two values 95 % of single runs are by theory at finite D, (times,) each; None where that is not predicted.

    They are quantiles of the paths of the diffusion themselves, starts and all, so that no accuracy is beyond what can be reached;
    the mean is known better, by what the paths add to the equations.
    """
    if cell.finite_size is None or not cell.finite_size.finite.any():
        return None
    paths = cell.finite_size.paths
    entries = paths.entries(compares_pairs(cell.experiment.student.width))
    values = entries[name] if name in entries else paths.observable(name)
    pairs = values.reshape(-1, 3, values.shape[-1])[cell.finite_size.finite, :_WITH_NOISE, : cell.times]
    low, high = np.quantile(pairs.reshape(-1, cell.times), _OUTSIDE, axis=0)
    return low, high


def quantity_table(comparison: Comparison, name: str) -> "pd.DataFrame":
    """Of `Comparison.to_frame` the rows of one quantity, with the band that holds 95 % of single runs by theory: low, high."""
    import pandas as pd

    parts = []
    for cell in comparison.cells:
        band = band_of_runs(cell, name) or (np.nan, np.nan)
        table = cell.table[cell.table["quantity"] == name]
        parts.append(table.assign(low=band[0], high=band[1]))
    return pd.concat(parts, ignore_index=True)


def draw_table(axis: "Axes", table: "pd.DataFrame", label: str, accuracy: bool = False) -> set[str]:
    """`draw_lines` from rows of a `quantity_table`; of a classification error the accuracy, if that is wanted."""
    sign, offset = (-1.0, 1.0) if accuracy else (1.0, 0.0)
    names = ["theory", "simulation", "mean_field", "high" if accuracy else "low", "low" if accuracy else "high"]
    theory, simulation, mean_field, low, high = (offset + sign * table[name] for name in names)
    error = table["standard_error"]
    return draw_lines(axis, table["t"], theory, simulation, error, label, mean_field=mean_field, band=(low, high))


def draw_lines(
    axis: "Axes",
    t: Any,
    theory: Any,
    simulation: Any,
    error: Any,
    label: str,
    colour: str | None = None,
    mean_field: Any = None,
    band: tuple[Any, Any] | None = None,
) -> set[str]:
    """Draw a theory line through simulation points with bars of two standard errors; an order has its own colour.

    mean_field : of the equations alone, drawn where they differ;  band : of single runs by theory, (low, high)
    Returns what was drawn beside line and points: "band", "mean field".
    """
    colour, drawn = colour or ORDER_COLOURS[label], set()
    if band is not None:
        # Several bands lie upon each other: edges tell them apart where a fill alone would blur them.
        axis.fill_between(t, *band, color=colour, alpha=0.06, linewidth=0, zorder=1.2)
        for edge in band:
            axis.plot(t, edge, color=colour, linewidth=0.5, alpha=0.45, zorder=1.3, label="_band")
        drawn.add("band")
    if mean_field is not None and differs(mean_field, theory):
        axis.plot(t, mean_field, ":", color=colour, linewidth=0.9, zorder=1.9, label="_mean field")
        drawn.add("mean field")
    axis.plot(t, theory, color=colour, label=label)
    bars: Any = {"yerr": 2 * np.nan_to_num(error), "elinewidth": 0.8, "markersize": 3.2, "markerfacecolor": "white"}
    axis.errorbar(t, simulation, fmt="o", color=colour, markeredgewidth=0.9, zorder=2.5, label="_runs", **bars)
    return drawn


def differs(mean_field: Any, theory: Any) -> bool:
    """Whether two curves would be seen apart."""
    apart, seen = np.abs(np.asarray(mean_field) - np.asarray(theory)), np.asarray(theory)
    finite = np.isfinite(apart)
    return bool(finite.any() and apart[finite].max() > _SEEN * np.ptp(seen[finite]))


def legend(axis: "Axes", dimension: int | None, drawn: set[str], **place: Any) -> None:
    """The legend of curves made by `draw_lines`: the orders, and what lines, bands, dots and points are."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    grey = "#666666"
    where = "at finite D" if dimension is None else f"at D = {dimension:g}"
    handles, labels = axis.get_legend_handles_labels()
    handles = [*handles, Line2D([], [], color=grey)]
    labels = [*labels, f"theory {where}" if "band" in drawn else "theory"]
    if "band" in drawn:
        handles.append(Patch(facecolor=grey, alpha=0.25, linewidth=0))
        labels.append("95 % of runs, theory")
    if "mean field" in drawn:
        handles.append(Line2D([], [], color=grey, linewidth=0.9, linestyle=":"))
        labels.append("mean field alone")
    handles.append(Line2D([], [], color=grey, marker="o", markersize=3.2, markerfacecolor="white", linestyle="none"))
    labels.append("mean of runs" if "band" in drawn else f"mean of runs {where}")
    axis.legend(handles, labels, **place)


def draw_slices(axis: "Axes", t: Any, theory: Any, simulation: Any, error: Any, label: str, colour: str | None = None) -> None:
    """Draw theory as dashes at the ends of slices, and simulation as points with bars of two standard errors."""
    colour = colour or ORDER_COLOURS[label]
    axis.plot(t, theory, "_", color=colour, label=label, markersize=16, markeredgewidth=1.6)
    axis.plot(t, theory, color=colour, linewidth=0.7, linestyle=":")
    axis.errorbar(t, simulation, yerr=2 * error, fmt="o", color=colour, markersize=3.2, markerfacecolor="white", capsize=2)
