"""Pictures of one side alone: a mean-field trajectory, or an ensemble of runs."""

from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.ensemble import Ensemble
from curriculode.theory.results.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TIME = "examples per input dimension, t = n / D"


def plot_trajectory(trajectory: Trajectory, axes: "np.ndarray | None" = None) -> Any:
    """Errors, cosines with the references, and readout of a trajectory against time, on three axes; returns them."""
    with style():
        axes = new_figure(1, 3)[1][0] if axes is None else axes
        axes[0].plot(trajectory.t, trajectory.generalization_error, color=CYCLE[0], label="generalisation error")
        axes[0].plot(trajectory.t, trajectory.classification_error, color=CYCLE[2], label="classification error")
        axes[0].legend()
        names = trajectory.experiment.task.reference_names
        for p, name in enumerate(names):
            for k in range(trajectory.v.shape[1]):
                label = f"with {name}" if k == 0 else None
                axes[1].plot(trajectory.t, trajectory.cosines[:, k, p], color=CYCLE[p % len(CYCLE)], label=label, linewidth=1.0)
        axes[1].set_ylim(-1.05, 1.05)
        axes[1].legend()
        axes[2].plot(trajectory.t, trajectory.v, color=CYCLE[3], linewidth=1.0)
        for axis, title in zip(axes, ("errors on the hardest level", "cosines of the units", "readout v"), strict=True):
            axis.set_title(title)
            axis.set_xlabel(_TIME)
    return axes


def plot_ensemble(ensemble: Ensemble, axes: "np.ndarray | None" = None) -> Any:
    """Generalisation error of every run with the mean and its band, and the final classification errors; returns two axes."""
    with style():
        axes = new_figure(1, 2)[1][0] if axes is None else axes
        curves = ensemble.generalization_error[ensemble.finite]
        if curves.size:
            shown = curves[:: max(1, len(curves) // 100)]
            axes[0].plot(ensemble.t, shown.T, color="#999999", linewidth=0.5, alpha=0.5)
            _band(axes[0], ensemble.t, curves)
            axes[1].hist(ensemble.classification_error[ensemble.finite, -1], bins=30, color=CYCLE[0])
        axes[0].set_xlabel(_TIME)
        axes[0].set_title("generalisation error, hardest level")
        axes[1].set_xlabel("final classification error")
        axes[1].set_ylabel("runs")
        axes[1].set_title(f"{len(curves)} runs at D = {ensemble.dimension}")
    return axes


def _band(axis: "Axes", t: np.ndarray, curves: np.ndarray) -> None:
    mean = curves.mean(axis=0)
    error = curves.std(axis=0, ddof=1) / np.sqrt(len(curves)) if len(curves) > 1 else np.zeros_like(mean)
    axis.plot(t, mean, color=CYCLE[0], label="mean, two standard errors")
    axis.fill_between(t, mean - 2 * error, mean + 2 * error, color=CYCLE[0], alpha=0.3, linewidth=0)
    axis.legend()
