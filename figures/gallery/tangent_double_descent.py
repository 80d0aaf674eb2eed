"""Double descent in the tangent space of a committee: over the number of examples and over the width, from the same equations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.minimize import minimize
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.study import Study
from curriculode.theory.solve.state_evolution import state_evolution

_EXPERIMENT = "tangent-committee"
_STUDY = Study.load(_EXPERIMENT)
_ALPHAS = tuple(np.geomspace(0.5, 32.0, 25))
_MEASURED = (1.0, 2.0, 3.0, 5.0, 8.0, 16.0)
_WIDTHS = tuple(range(3, 13))
_MEASURED_WIDTHS = (3, 5, 8, 10)
_LOAD = 6.0  # examples per input dimension of the right panel
_STRENGTHS: dict[str, float | str] = {"least norm": 0.0, "ridge 0.1": 0.1, "best ridge": "optimal"}
_DIMENSION, _RUNS = 100, 24


def orthogonal(experiment: Experiment, width: int) -> tuple[Experiment, OrderParameters]:
    """The experiment at a width, and a start of orthogonal units, in no direction of the teacher, of readouts +-1 in turn."""
    M = np.zeros((width, experiment.task.reference_overlap().shape[-1]))
    start = OrderParameters(np.eye(width), M, np.where(np.arange(width) % 2, -1.0, 1.0) / np.sqrt(width / 4.0))
    return experiment.replace({"student.width": width}), start


def _rows(
    experiment: Experiment, start: OrderParameters, name: str, examples: Any, runs: int, seen: str, at: Any = None
) -> list[dict[str, Any]]:
    """Train and test loss at these numbers of examples, by theory or of so many runs."""
    here = experiment.replace({"training.examples": examples, "training.regularization": _STRENGTHS[name]})
    found = (
        minimize(here, dimension=_DIMENSION, runs=runs, start=start, progress=False)
        if runs
        else state_evolution(here, start, tolerance=1e-8)
    )
    test, train = (np.atleast_2d(value) for value in (found.generalization_error, found.train_loss))
    x = [at] if at is not None else np.atleast_1d(examples)
    return [
        {
            **{"against": seen, "x": x[i], "strength": name, "by": "simulation" if runs else "theory"},
            **{"test": np.median(test[:, i]), "train": train[:, i].mean(), "threshold": found.statistics.get("threshold")},
            "error": 1.25 * test[:, i].std(ddof=1) / np.sqrt(len(test)) if runs else 0.0,
        }
        for i in range(len(x))
    ]


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Test and train loss against the number of examples at K = 4, and against the width at one number of examples."""
    runs, rows = max(4, round(scale * _RUNS)), []
    plan: list[tuple[Any, ...]] = [(name, 4, _ALPHAS, 0, "examples", None) for name in _STRENGTHS]
    plan += [(name, 4, _MEASURED, runs, "examples", None) for name in _STRENGTHS]
    plan += [(name, width, _LOAD, 0, "width", width) for name in _STRENGTHS for width in _WIDTHS]
    plan += [(name, width, _LOAD, runs, "width", width) for name in _STRENGTHS for width in _MEASURED_WIDTHS]
    for i, (name, width, examples, count, seen, at) in enumerate(plan):
        experiment, start = orthogonal(_STUDY.experiment, width)
        rows += _rows(experiment, start, name, examples, count, seen, at)
        report((i + 1) / len(plan))
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Test loss, and train loss of the least norm, in two panels."""
    with style():
        figure, axes = new_figure(1, 2, width=3.7, height=2.9)
        for axis, seen, label in zip(
            axes[0], ("examples", "width"), ("examples per input dimension, alpha", "hidden units, K"), strict=True
        ):
            part = table[table["against"] == seen]
            for name, colour in zip(_STRENGTHS, CYCLE, strict=False):
                theory = part[(part["strength"] == name) & (part["by"] == "theory")].sort_values("x")
                points = part[(part["strength"] == name) & (part["by"] == "simulation")]
                axis.plot(theory["x"], theory["test"], color=colour, label=name)
                axis.errorbar(points["x"], points["test"], 2.0 * points["error"], color=colour, fmt="o", ms=3.5, capsize=2)
                if name == "least norm":
                    axis.plot(theory["x"], np.maximum(theory["train"], 1e-12), color=colour, ls=":", label="its train loss")
            axis.axvline(4.0 if seen == "examples" else _LOAD, color="#999999", lw=0.8, ls="--")
            axis.set_yscale("log")
            axis.set_ylim(0.01, 20.0)
            axis.set_xlabel(label)
        axes[0, 0].set_xscale("log")
        axes[0, 0].set_ylabel("test loss")
        axes[0, 0].set_title("over examples: peak at alpha* = K = 4")
        axes[0, 1].set_title(f"over the width: peak at K = alpha = {_LOAD:g}")
        axes[0, 1].legend(loc="upper right")
    return figure


FIGURE = NamedFigure(
    title="Double descent in the tangent space of a committee",
    caption=(
        "Test loss of ridge regression in the tangent space of a start with orthogonal units of norm 1 and readouts of alternating "
        f"sign, centred, against the number of examples at K = 4 (left) and the width at alpha = {_LOAD:g} (right). Lines: the "
        f"state evolution; points: medians of {_RUNS} runs at D = {_DIMENSION}, with bars of two standard errors. Dashes: the "
        "interpolation threshold alpha* = K. The least norm peaks there; the best ridge, found by theory at each point, knows no "
        f"peak. Settings: {settings_in_words(_STUDY.experiment, ['student.width', 'training.regularization'])}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
