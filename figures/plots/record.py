"""What `record.plot(...)` draws: one quantity of any record against time, or an overview of the record."""

from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.batch import plot_slices
from curriculode.figures.plots.control import plot_optimum, plot_worth
from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.landscape import plot_attractors, plot_branch, plot_gain, plot_spectrum
from curriculode.figures.plots.stages import mark_stages
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.figures.plots.tickets import plot_tickets
from curriculode.figures.plots.trajectory import draw_runs, plot_ensemble, plot_observations, plot_trajectory, start_of_run
from curriculode.theory.control.records import Optimum, Worth
from curriculode.theory.core.checks import whole_number
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.finite_d.record import Fluctuations
from curriculode.theory.landscape.continuation import Continuation
from curriculode.theory.landscape.fixed_point import FixedPoint
from curriculode.theory.landscape.gain import LinearGain
from curriculode.theory.landscape.records import Attractors
from curriculode.theory.results.observations import Observations
from curriculode.theory.results.record import Record
from curriculode.theory.results.states import Ensemble, Trajectory
from curriculode.theory.tickets.study import TicketStudy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_THIN = 30
_OWN = "curriculode record"  # axes made here
_OPTIONS = ("color", "label", "linestyle", "linewidth", "marker", "markersize", "alpha", "zorder", "runs")


def plot_record(record: Record, quantity: str | None = None, ax: Any = None, **options: Any) -> Any:
    """Draw a quantity of a record against time; returns the axes.

    A trajectory is a line. Runs are points at their mean with a band of two standard errors, behind them some runs as thin lines;
    those that diverged are left out, and the legend says so. Batch learning is dashes (theory) and bars (runs) at the ends of
    slices. Several records may be drawn on the same axes. Fluctuations at a dimension are the mean of runs with a band of two
    standard deviations of a single one. A study of tickets is drawn with all its treatments, by default their generalisation error.
    What examples are worth is drawn for every level, an optimum as the share of the easiest level, attractors as their odds, a
    branch of states at rest against its parameter, and the gain of a signal and the spectrum of a state at rest as they are.

    quantity : "accuracy", an observable, or an order parameter such as "Q[0,0]". Without it an overview is drawn, whose several
        axes may be given as `ax` too, and which are returned
    options : color, label, and others of matplotlib's lines;  runs : number of thin lines, by default 30, 0 for none;
        dimension : D of the band of fluctuations that are no closure

    Raises `InputError` for a quantity that the record has not, with the nearest name.

    >>> from curriculode import load, integrate
    >>> experiment = load("committee-plateau").replace({"protocol.duration": 2.0})
    >>> trajectory = integrate(experiment, experiment.initial(dimension=1000), times=5)
    >>> plot_record(trajectory, "specialization").get_ylabel()
    'specialisation'
    """
    if isinstance(record, TicketStudy):
        return plot_tickets(record, quantity or "generalization_error", ax, **options)
    if isinstance(record, Worth):
        return plot_worth(record, quantity, ax, **options)
    if isinstance(record, Optimum):
        return plot_optimum(record, quantity, ax, **options)
    if isinstance(record, Attractors):
        return plot_attractors(record, quantity, ax, **options)
    if isinstance(record, Continuation):
        return plot_branch(record, quantity, ax, **options)
    if isinstance(record, LinearGain):
        return plot_gain(record, quantity, ax, **options)
    if isinstance(record, FixedPoint):
        return plot_spectrum(record, quantity, ax, **options)
    if quantity is None:
        return _overview(record, ax, options)
    values, scatter = _values(record, quantity), None
    dimension = options.pop("dimension", None)
    if isinstance(record, Fluctuations) and (dimension is not None or record.dimension is not None):
        values, scatter = record.band(quantity, dimension)
        options = {"label": f"theory at D = {dimension or record.dimension:g}"} | options
    thin = whole_number("runs", options.pop("runs", _THIN), 0)
    look = _look(record, options)
    with style():
        axis = _new_axis() if ax is None else ax
        slices = record.experiment.training.stored
        if values.ndim == 1:
            _draw_line(axis, record.t, values, slices, look)
            if scatter is not None:
                edges = values - 2.0 * scatter, values + 2.0 * scatter
                axis.fill_between(record.t, *edges, color=look["color"], alpha=0.18, linewidth=0, label="95 % of runs")
        else:
            kept = _kept(record, values)
            draw_runs(axis, record.t, values[kept], start_of_run(record)[kept], len(values), thin, slices, look)
        mark_stages(axis, [record.experiment])
        axis.set_xlabel(TIME)
        axis.set_ylabel(quantity_label(quantity, record.experiment))
        _legend(axis)
    return axis


def _new_axis() -> "Axes":
    axis: Axes = new_figure(1, 1, width=3.8, height=2.8)[1][0, 0]
    axis.set_gid(_OWN)
    return axis


def _legend(axis: "Axes") -> None:
    """The legend, on axes of our own above all that is drawn; on somebody else's where there is most room."""
    if axis.get_gid() != _OWN:
        axis.legend()
        return
    low, high = axis.dataLim.intervaly
    height = (high - low) or 1.0
    rows = len(axis.get_legend_handles_labels()[1])
    if np.isfinite([low, high]).all():
        axis.set_ylim(low - 0.05 * height, high + (0.06 + 0.1 * rows) * height)
    axis.legend(loc="upper left")


def _overview(record: Record, ax: Any, options: dict[str, Any]) -> Any:
    if options:
        raise InputError(f"{', '.join(options)}: an overview takes no options; name a quantity, such as plot('accuracy')")
    if isinstance(record, (Trajectory, Ensemble)) and isinstance(record.experiment.training, BatchSlices):
        return plot_slices(record, ax)
    if isinstance(record, Trajectory):
        return plot_trajectory(record, ax)
    if isinstance(record, Ensemble):
        return plot_ensemble(record, ax)
    if isinstance(record, Observations):
        return plot_observations(record, ax)
    raise InputError(f"there is no overview of a record of the kind {record.kind!r}; name a quantity, such as plot('accuracy')")


def _values(record: Record, quantity: str) -> np.ndarray:
    """The quantity, (times,) or (runs, times)."""
    if isinstance(record, Observations):
        if quantity == "accuracy" and quantity not in record.values and "classification_error" in record.values:
            return 1.0 - record["classification_error"]
        return record[quantity]
    observable = getattr(type(record), "observable", None)
    if observable is None:
        raise InputError(
            f"a record of the kind {record.kind!r} has no curves to draw; plot a trajectory, an ensemble or observations"
        )
    values: np.ndarray = observable(record, quantity)
    return values


def _kept(record: Record, values: np.ndarray) -> np.ndarray:
    """The runs that count, (runs,) of bool."""
    if isinstance(record, Ensemble):
        return record.finite
    return np.isfinite(values).all(axis=1)


def _look(record: Record, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a line, with the colour and the name of the order where they are not given."""
    from matplotlib.lines import Line2D

    for name in options:
        if not hasattr(Line2D, f"set_{name}"):
            raise InputError(unknown("option", name, _OPTIONS))
    protocol = record.experiment.protocol
    several = len(protocol.levels) > 1
    default = {"color": ORDER_COLOURS[protocol.order], "label": f"{protocol.order}: theory" if several else "theory"}
    if "run" in record.arrays:
        where = f" at D = {record.dimension:g}" if record.dimension is not None else ""
        default["label"] = (f"{protocol.order}: " if several else "") + f"mean of {{runs}} runs{where}"
    return default | options


def _draw_line(axis: "Axes", t: np.ndarray, values: np.ndarray, slices: bool, look: dict[str, Any]) -> None:
    if slices:
        axis.plot(t, values, ":", color=look["color"], linewidth=0.7)
        look = {"linestyle": "none", "marker": "_", "markersize": 16, "markeredgewidth": 1.6} | look
    axis.plot(t, values, **look)
