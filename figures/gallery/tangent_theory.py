"""Theory of the tangent space against ridge regression on all its features, and the limit in which a network stays in it."""

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
from curriculode.theory.describe.tangent import TangentSGD
from curriculode.theory.describe.training import OnlineSGD
from curriculode.theory.results.states import Trajectory
from curriculode.theory.solve.integrate import integrate
from curriculode.theory.solve.state_evolution import state_evolution

_EXPERIMENT = "tangent-committee"
_STUDY = Study.load(_EXPERIMENT)
_ACTIVATIONS = ("erf", "gelu", "relu")
_DIMENSIONS = {25: 768, 50: 384, 100: 192, 200: 96}  # runs
_SCALES = (1.0, 2.0, 4.0, 8.0)
_ALPHA, _ETA = 6.0, 0.5
_START = OrderParameters(np.eye(4), np.zeros((4, 2)), np.array([1.0, -1.0, 1.0, -1.0]))


def _ridge(activation: str) -> Experiment:
    changes = {"student.activation": activation, "task.teacher_activation": activation, "training.examples": _ALPHA}
    return _STUDY.experiment.replace(changes)


def _lazy(scale: float) -> dict[str, Any]:
    """Network and tangent space from a start whose output is 0 by pairs, readouts of that scale and rates that go with it."""
    base = _STUDY.experiment
    rates: dict[str, Any] = {"learning_rate": _ETA / scale**2, "readout_learning_rate": _ETA}
    start = OrderParameters(np.kron(np.eye(2), np.ones((2, 2))), np.zeros((4, 2)), scale * np.array([1.0, -1.0, 0.7, -0.7]))
    found: list[Trajectory] = []
    for training in (TangentSGD(**rates), OnlineSGD(**rates)):
        each = Experiment(task=base.task, student=base.student, protocol=base.protocol, training=training)
        remember = [0.0] if isinstance(training, OnlineSGD) else None
        found.append(integrate(each, start, times=2, remember=remember, points=2**15, estimate_error=False, rtol=1e-8))
    tangent, network = found
    apart = abs(float(network.generalization_error[-1] - tangent.generalization_error[-1]))
    return {"part": "lazy", "x": scale, "deviation": apart, "laziness": float(network.laziness()[-1].max()), "error": 0.0}


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Deviation of mean test losses from theory against D, and of network from tangent space against the readout's scale."""
    rows: list[dict[str, Any]] = []
    plan = [(activation, D) for activation in _ACTIVATIONS for D in _DIMENSIONS]
    for i, (activation, D) in enumerate(plan):
        here, runs = _ridge(activation), max(8, round(scale * _DIMENSIONS[D]))
        theory = state_evolution(here, _START).train_loss[0]
        found = minimize(here, dimension=D, runs=runs, start=_START, progress=False).train_loss[:, 0]
        error = found.std(ddof=1) / np.sqrt(runs)
        rows.append(
            {"part": activation, "x": D, "theory": theory, "deviation": found.mean() / theory - 1.0, "error": error / theory}
        )
        report((i + 1) / (len(plan) + 1))
    return pd.DataFrame(rows + [_lazy(each) for each in _SCALES])


def draw(table: pd.DataFrame) -> Any:
    """Both deviations on double logarithmic axes."""
    with style():
        figure, axes = new_figure(1, 2, width=3.5, height=2.8)
        axis = axes[0, 0]
        for activation, colour in zip(_ACTIVATIONS, CYCLE, strict=False):
            here = table[table["part"] == activation]
            axis.errorbar(
                1.0 / here["x"], here["deviation"], 2.0 * here["error"], color=colour, fmt="o", ms=3.5, capsize=2, label=activation
            )
            # The line through 0 that fits best: corrections are of order 1 / D.
            weight = 1.0 / here["error"] ** 2
            slope = (weight * here["deviation"] / here["x"]).sum() / (weight / here["x"] ** 2).sum()
            ends = np.array([0.0, 1.0 / here["x"].min()])
            axis.plot(ends, slope * ends, color=colour)
        axis.axhline(0.0, color="#999999", lw=0.8)
        axis.set_xlabel("1 / D")
        axis.set_ylabel("relative deviation of the train loss")
        axis.set_title("ridge at finite D against theory")
        axis.legend(loc="lower left")
        axis, lazy = axes[0, 1], table[table["part"] == "lazy"]
        axis.plot(lazy["x"], lazy["deviation"], color=CYCLE[0], marker="o", ms=3.5, label="network - tangent, test loss")
        axis.plot(lazy["x"], lazy["laziness"], color=CYCLE[1], marker="o", ms=3.5, label="|w(t) - w(0)| / |w(0)|")
        a = np.array(_SCALES)
        axis.plot(a, lazy["deviation"].iloc[0] * a**-2.0, color="#999999", ls="--", label="as 1 / a^2")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks(a, [f"{each:g}" for each in a])
        axis.minorticks_off()
        axis.set_xlabel("scale of the readout, a")
        axis.set_title("the lazy limit")
        axis.legend()
    return figure


FIGURE = NamedFigure(
    title="The tangent space: theory against ridge regression on all features, and when a network stays in it",
    caption=(
        f"Left: relative deviation of the mean train loss of ridge regression on K D + K features from the state evolution at "
        f"alpha = {_ALPHA:g} against 1 / D, for student and teacher of the same units, with bars of two standard errors of "
        f"{_DIMENSIONS[25]} runs at D = 25 to {_DIMENSIONS[200]} at 200. Right: by theory, how far network and tangent space are "
        f"apart at the end, where readouts of pairs (w, v), (w, -v) have the scale a, eta = {_ETA:g} / a^2 and eta_v = {_ETA:g}. "
        f"Settings: {settings_in_words(_STUDY.experiment, ['student.activation', 'task.teacher_activation'])}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
