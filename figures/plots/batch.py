"""Pictures of batch learning: the test error at each level after each slice, and what the weights are made of."""

from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.style import CYCLE, as_axes, new_figure, style
from curriculode.theory.results.states import Ensemble, Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR = 0.8


def plot_slices(record: Trajectory | Ensemble, axes: Any = None) -> Any:
    """Test error at each level, and squared lengths along and across the teacher, after each slice; returns two axes.

    record : of batch learning; of an `Ensemble` the mean over the runs is drawn with two standard errors
    """
    names = _slice_names(record)
    with style():
        axes = new_figure(1, 2)[1][0] if axes is None else as_axes(axes, 2)
        errors = {f"at level {name}": value for name, value in record.level_errors().items()}
        for axis, values, title in (
            (axes[0], errors, "test error"),
            (axes[1], _parts(record), "squared length of the weights / D"),
        ):
            _bars(axis, names, values, record.finite if isinstance(record, Ensemble) else None)
            axis.set_title(title)
            axis.set_xlabel("after the slice")
    return axes


def _slice_names(record: Trajectory | Ensemble) -> list[str]:
    """The levels that each slice has examples of."""
    protocol = record.experiment.protocol
    used = [
        [level.name for level, share in zip(protocol.levels, stage.probability, strict=True) if share > 0]
        for stage in protocol.stages()
    ]
    return [" + ".join(names) for names in used[: record.t.size]]


def _parts(record: Trajectory | Ensemble) -> dict[str, np.ndarray]:
    """Squared length of the weights over D: along the teacher, and the rest of each block."""
    Q, M, _ = record.blocked
    along = M[..., 0, 0, 0] ** 2 / record.experiment.task.reference_overlap()[0, 0, 0]
    parts = {"teacher": along, "other relevant": Q[..., 0, 0, 0] - along}
    return parts | ({"irrelevant": Q[..., 1, 0, 0]} if Q.shape[-3] > 1 else {})


def _bars(axis: "Axes", names: list[str], values: dict[str, np.ndarray], kept: np.ndarray | None) -> None:
    """Bars of values (slices,), or of means over the runs `kept` of values (runs, slices)."""
    x, width = np.arange(len(names)), _BAR / len(values)
    for i, (label, value) in enumerate(values.items()):
        mean, error = value, None
        if kept is not None:
            count = int(kept.sum())
            mean = value[kept].mean(axis=0) if count else np.full(len(names), np.nan)
            error = 2 * value[kept].std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else None
        look: Any = {"color": CYCLE[i], "label": label, "error_kw": {"capsize": 2}}
        axis.bar(x + (i + 0.5) * width - 0.5 * _BAR, mean, 0.9 * width, yerr=error, **look)
    axis.set_xticks(x, [f"{i + 1}: {name}" for i, name in enumerate(names)])
    axis.margins(y=0.25)
    axis.legend(loc="upper right", ncols=len(values), columnspacing=0.8, handlelength=1.0, fontsize=7.5)
