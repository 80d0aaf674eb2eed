"""Pictures of batch learning: the test error at each level after each slice, and what the weights are made of."""

from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.theory.batch import BatchRecord, BatchTrajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR = 0.8


def plot_slices(record: BatchRecord, axes: "np.ndarray | None" = None) -> Any:
    """Test error at each level, and squared lengths along and across the teacher, after each slice; returns two axes.

    record : a `BatchTrajectory`, or a `BatchEnsemble`, of which the mean over the runs is drawn with two standard errors
    """
    experiment = record.experiment
    names = [
        " + ".join(level.name for level, share in zip(experiment.protocol.levels, stage.probability, strict=True) if share > 0)
        for stage in experiment.protocol.stages()
    ][: record.t.size]
    Q, M = record._blocked()
    along = M[..., 0, 0, 0] ** 2 / experiment.task.reference_overlap()[0, 0, 0]
    parts = {"teacher": along, "other relevant": Q[..., 0, 0, 0] - along}
    if Q.shape[-3] > 1:
        parts["irrelevant"] = Q[..., 1, 0, 0]
    with style():
        axes = new_figure(1, 2)[1][0] if axes is None else axes
        errors = {f"at level {name}": value for name, value in record.level_errors().items()}
        for axis, values, title in ((axes[0], errors, "test error"), (axes[1], parts, "squared length of the weights / D")):
            _bars(axis, names, values, not isinstance(record, BatchTrajectory))
            axis.set_title(title)
            axis.set_xlabel("after the slice")
    return axes


def _bars(axis: "Axes", names: list[str], values: dict[str, np.ndarray], runs: bool) -> None:
    x, width = np.arange(len(names)), _BAR / len(values)
    for i, (label, value) in enumerate(values.items()):
        mean = value.mean(axis=0) if runs else value
        error = 2 * value.std(axis=0, ddof=1) / np.sqrt(len(value)) if runs and len(value) > 1 else None
        axis.bar(
            x + (i + 0.5) * width - 0.5 * _BAR, mean, 0.9 * width, yerr=error, color=CYCLE[i], label=label, error_kw={"capsize": 2}
        )
    axis.set_xticks(x, [f"{i + 1}: {name}" for i, name in enumerate(names)])
    axis.margins(y=0.25)
    axis.legend(loc="upper right", ncols=len(values), columnspacing=0.8, handlelength=1.0, fontsize=7.5)
