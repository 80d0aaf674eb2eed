"""Overviews of one side alone, a mean-field trajectory or an ensemble of runs, and how runs are drawn."""

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.stages import mark_stages
from curriculode.figures.plots.style import CYCLE, as_axes, new_figure, style
from curriculode.sims.compare.verdict import standard_error
from curriculode.theory.results.observations import Observations
from curriculode.theory.results.record import Record
from curriculode.theory.results.states import Ensemble, Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_MARKERS, _COLUMNS, _MOST_THIN = 25, 3, 100


def plot_trajectory(trajectory: Trajectory, axes: Any = None) -> Any:
    """Errors, cosines with the references, and readout of a trajectory against time, on three axes; returns them."""
    with style():
        axes = new_figure(1, 3)[1][0] if axes is None else as_axes(axes, 3)
        # Of stored examples there may be one number, which is no line.
        look: dict[str, Any] = {"marker": "o", "markersize": 3.5} if trajectory.experiment.training.stored else {}
        axes[0].plot(trajectory.t, trajectory.generalization_error, color=CYCLE[0], label="generalisation error", **look)
        axes[0].plot(trajectory.t, trajectory.classification_error, color=CYCLE[2], label="classification error", **look)
        if "train_loss" in trajectory.arrays:
            axes[0].plot(trajectory.t, trajectory.train_loss, color=CYCLE[1], label="train loss", **look)
        axes[0].set_ylim(bottom=0.0)
        axes[0].legend()
        for p, name in enumerate(trajectory.experiment.task.reference_names):
            for k in range(trajectory.v.shape[1]):
                label = f"with {name}" if k == 0 else None
                axes[1].plot(
                    trajectory.t, trajectory.cosines[:, k, p], color=CYCLE[p % len(CYCLE)], label=label, linewidth=1.0, **look
                )
        axes[1].set_ylim(-1.05, 1.05)
        axes[1].legend()
        axes[2].plot(trajectory.t, trajectory.v, color=CYCLE[3], linewidth=1.0, **look)
        level = _at_level(trajectory)
        for axis, title in zip(axes, (f"errors{level}", "cosines of the units", "readout v"), strict=True):
            axis.set_title(title)
            axis.set_xlabel(TIME)
            mark_stages(axis, [trajectory.experiment])
    return axes


def plot_ensemble(ensemble: Ensemble, axes: Any = None) -> Any:
    """Generalisation error of every run with the mean and its band, and the final classification errors; returns two axes."""
    with style():
        axes = new_figure(1, 2)[1][0] if axes is None else as_axes(axes, 2)
        kept = ensemble.finite
        look = {"color": CYCLE[0], "label": "mean of {runs} runs"}
        draw_runs(
            axes[0],
            ensemble.t,
            ensemble.generalization_error[kept],
            start_of_run(ensemble)[kept],
            kept.size,
            _MOST_THIN,
            False,
            look,
        )
        axes[0].legend()
        if kept.any():
            axes[1].hist(ensemble.classification_error[kept, -1], bins=30, color=CYCLE[0])
        mark_stages(axes[0], [ensemble.experiment])
        axes[0].set_xlabel(TIME)
        axes[0].set_title(f"generalisation error{_at_level(ensemble)}")
        axes[1].set_xlabel("final classification error")
        axes[1].set_ylabel("runs")
        axes[1].set_title(f"{kept.sum()} runs at D = {ensemble.dimension}")
    return axes


def plot_observations(observations: Observations, axes: Any = None) -> Any:
    """Mean of each observable over the runs with its band, on axes of its own; returns them, one an observable."""
    names = list(observations.values)
    columns = min(len(names), _COLUMNS)
    rows = ceil(len(names) / columns)
    with style():
        grid = new_figure(rows, columns)[1].ravel() if axes is None else as_axes(axes, len(names))
        for axis, name in zip(grid, names, strict=False):
            values = observations[name]
            kept = np.isfinite(values).all(axis=1)
            look = {"color": CYCLE[0], "label": "mean of {runs} runs"}
            draw_runs(axis, observations.t, values[kept], start_of_run(observations)[kept], kept.size, 0, False, look)
            mark_stages(axis, [observations.experiment])
            axis.set_title(quantity_label(name, observations.experiment))
            axis.set_xlabel(TIME)
        grid[0].legend()
        for axis in grid[len(names) :]:
            axis.set_axis_off()
    return grid[: len(names)]


def start_of_run(record: Record) -> np.ndarray:
    """The number of each run's start, (runs,): runs from one start resemble each other, which their standard error has to know."""
    if "start_v" not in record.arrays:
        return np.zeros(record.run.size, dtype=np.int64)
    starts = np.concatenate([record.arrays[f"start_{name}"].reshape(record.run.size, -1) for name in "QMv"], axis=1)
    number: np.ndarray = np.unique(starts, axis=0, return_inverse=True)[1].reshape(-1)
    return number


def draw_runs(
    axis: "Axes", t: np.ndarray, curves: np.ndarray, start: np.ndarray, total: int, thin: int, slices: bool, look: dict[str, Any]
) -> None:
    """Draw the mean of curves (runs, times) as points with a band of two standard errors, and up to `thin` of the curves.

    start : (runs,) the number of the start of each;  total : runs that there were, those that diverged among them
    slices : bars at the ends of slices in place of a band;  look : of the points; {runs} in its label is the number of curves
    """
    said = look["label"].replace("{runs}", str(len(curves)))
    look = {**look, "label": said if len(curves) == total else f"{said} ({total - len(curves)} diverged)"}
    if not len(curves):
        axis.plot([], [], **look)
        return
    if thin and not slices:
        axis.plot(t, curves[:: ceil(len(curves) / thin)].T, color="#999999", linewidth=0.5, alpha=0.5, zorder=1.5)
    mean, error = curves.mean(axis=0), standard_error(curves, start)[0]
    points = {"marker": "o", "markersize": 3.2, "markerfacecolor": "white", "markeredgewidth": 0.9}
    if slices:
        axis.errorbar(t, mean, yerr=2 * np.nan_to_num(error), **{"capsize": 2, "linestyle": "none", **points, **look})
        return
    axis.fill_between(t, mean - 2 * error, mean + 2 * error, color=look["color"], alpha=0.25, linewidth=0)
    axis.plot(t, mean, **{"linewidth": 0.8, "markevery": ceil(t.size / _MOST_MARKERS), **points, **look})


def _at_level(record: Record) -> str:
    protocol = record.experiment.protocol
    return f", {protocol.level().name} level" if len(protocol.levels) > 1 else ""
