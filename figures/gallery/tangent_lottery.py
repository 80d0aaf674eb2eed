"""Is the tangent space of a committee as good as training it? Networks against the best linear model, and how lazy they are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.describe.committee import Committee
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.protocol import Protocol
from curriculode.theory.describe.tangent import TangentRidge
from curriculode.theory.describe.training import OnlineSGD
from curriculode.theory.solve.integrate import integrate
from curriculode.theory.solve.state_evolution import state_evolution
from curriculode.theory.solve.tangent_ridge import tangent_optimum
from curriculode.theory.tasks import TeacherStudent, XorMixture

_DIMENSION, _LOAD, _STARTS = 1000, 40.0, 4
_WIDTHS = (4, 8, 16, 32)
_FEWER = {32: 2}  # starts of wide students, whose ridge takes most of the time
_NOISES = {"low signal-to-noise, noise 0.4": 0.4, "high signal-to-noise, noise 0.02": 0.02}
_RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_LOADS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_WAYS = ("trained network", "tangent ridge, best", "tangent, endless examples")


def xor(noise: float, width: int) -> Experiment:
    """The mixture at one level of noise, learnt by ReLU units."""
    return Experiment(
        task=XorMixture(separation=1.0),
        student=Committee(width=width, activation="relu", readout_scale="1/sqrt(K)"),
        training=OnlineSGD(learning_rate=1.0),
        protocol=Protocol.single(duration=_LOAD, noise=noise),
    )


def teacher(width: int = 4) -> Experiment:
    """An erf teacher of two units with noisy labels."""
    return Experiment(
        task=TeacherStudent(teacher_width=2, label_noise=0.5),
        student=Committee(width=width, readout_scale="1/sqrt(K)"),
        training=OnlineSGD(learning_rate=1.0),
        protocol=Protocol.single(duration=_LOADS[-1]),
    )


def in_tangent_space(experiment: Experiment, examples: Any) -> Experiment:
    """The same experiment learnt by the best ridge in the tangent space of its start."""
    training = TangentRidge(examples=examples, regularization="optimal")
    return Experiment(task=experiment.task, student=experiment.student, protocol=experiment.protocol, training=training)


def _starts(experiment: Experiment, count: int) -> list[OrderParameters]:
    return [experiment.initial(_DIMENSION, 0, number) for number in range(count)]


def _xor_rows(part: str, noise: float, width: int, count: int) -> list[dict[str, Any]]:
    """Accuracies of the three ways from the same starts, and the laziness of the trained network."""
    experiment = xor(noise, width)
    starts = _starts(experiment, count)
    shared: Any = {"dimension": _DIMENSION, "runs": count, "start": starts, "times": (_LOAD,), "progress": False}
    ends = [
        np.nan_to_num(
            1.0 - simulate(experiment.replace({"training.learning_rate": rate}), **shared).classification_error[:, -1], nan=0.5
        )
        for rate in _RATES
    ]
    best = int(np.argmax([end.mean() for end in ends]))
    chosen = experiment.replace({"training.learning_rate": _RATES[best]})
    lazy = simulate(chosen, **{**shared, "space": "weight", "remember": [0.0], "runs": min(count, 2), "start": starts[:2][:count]})
    ridge = [state_evolution(in_tangent_space(experiment, _LOAD), start, tolerance=1e-8) for start in starts]
    optimum = [tangent_optimum(experiment, start) for start in starts]
    linear = [np.array([1.0 - each.classification_error[-1] for each in found]) for found in (ridge, optimum)]
    moved = [
        float(lazy.laziness()[:, -1].mean()),
        float(np.mean([each.laziness()[-1] for each in ridge])),
        float(np.mean([each.laziness()[-1] for each in optimum])),
    ]
    settings = [_RATES[best], float(np.median([each.statistics["regularization"][0] for each in ridge])), np.nan]
    return [
        {
            **{"part": part, "x": width, "way": way, "value": values.mean(), "laziness": moved[i], "tuned": settings[i]},
            "error": values.std(ddof=1) / np.sqrt(count),
        }
        for i, (way, values) in enumerate(zip(_WAYS, [ends[best], *linear], strict=True))
    ]


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """Of a trajectory that diverged infinity from there on."""
    return np.concatenate([values, np.full(count - values.size, np.inf)])


def _teacher_rows(count: int) -> list[dict[str, Any]]:
    """Test losses against the number of examples; the network's rate is the best of each number."""
    experiment = teacher()
    starts, rows = _starts(experiment, count), []
    times = np.array([0.0, *_LOADS])
    network = np.array(
        [
            [
                integrate(experiment.replace({"training.learning_rate": rate}), start, times=times, remember=[0.0])
                for start in starts
            ]
            for rate in _RATES
        ],
        dtype=object,
    )
    errors = np.array([[_padded(each.generalization_error, times.size)[1:] for each in row] for row in network])
    ridge = [state_evolution(in_tangent_space(experiment, _LOADS), start, tolerance=1e-8) for start in starts]
    optimum = np.array([tangent_optimum(experiment, start).generalization_error[-1] for start in starts])
    for i, load in enumerate(_LOADS):
        best = int(np.argmin(errors[:, :, i].mean(axis=1)))
        lazy = [
            float(np.mean([each.laziness()[i + 1] for each in network[best]])),
            float(np.mean([each.laziness()[i] for each in ridge])),
        ]
        values = (errors[best, :, i], np.array([each.generalization_error[i] for each in ridge]), optimum)
        tuned = (_RATES[best], float(np.median([each.statistics["regularization"][i] for each in ridge])), np.nan)
        rows += [
            {
                **{"part": "teacher", "x": load, "way": way, "value": value.mean(), "tuned": tuned[j]},
                **{"error": value.std(ddof=1) / np.sqrt(count), "laziness": [*lazy, np.nan][j]},
            }
            for j, (way, value) in enumerate(zip(_WAYS, values, strict=True))
        ]
    return rows


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Final accuracy on the mixture against the width, test loss on the teacher against the examples, laziness beside them."""
    count, rows = max(2, round(scale * _STARTS)), []
    plan = [(part, noise, width) for part, noise in _NOISES.items() for width in _WIDTHS]
    for i, (part, noise, width) in enumerate(plan):
        rows += _xor_rows(part, noise, width, min(count, _FEWER.get(width, count)))
        report((i + 1) / (len(plan) + 1))
    return pd.DataFrame(rows + _teacher_rows(count))


def draw(table: pd.DataFrame) -> Any:
    """Accuracies at both signal-to-noise ratios, test losses, and how far the weights have moved."""
    with style():
        figure, axes = new_figure(2, 2, width=3.7, height=2.7)
        panels = [*zip(axes[0], _NOISES, strict=True), (axes[1, 0], "teacher")]
        for axis, part in panels:
            for way, colour in zip(_WAYS, CYCLE, strict=False):
                here = table[(table["part"] == part) & (table["way"] == way)].sort_values("x")
                axis.errorbar(here["x"], here["value"], 2.0 * here["error"], color=colour, marker="o", ms=3.5, capsize=2, label=way)
            axis.set_xscale("log", base=2)
            if part == "teacher":
                axis.set_xlabel("examples per input dimension, alpha = n / D")
                axis.set_ylabel("test loss")
                axis.set_title("teacher of two units, label noise 0.5")
                axis.set_ylim(bottom=0.0)
            else:
                axis.set_xlabel("hidden units, K")
                axis.set_ylabel("accuracy")
                axis.set_ylim(0.45, 1.02)
                axis.axhline(0.5, color="#999999", lw=0.8, ls="--")
                axis.set_title(f"XOR, {part}")
        axes[0, 0].legend(loc="center right", fontsize=7, bbox_to_anchor=(1.0, 0.62))
        axis = axes[1, 1]
        for part, line in zip([*_NOISES, "teacher"], ("-", "--", ":"), strict=True):
            for way, colour in zip(_WAYS[:2], CYCLE, strict=False):
                here = table[(table["part"] == part) & (table["way"] == way)].sort_values("x")
                axis.plot(
                    here["x"],
                    here["laziness"],
                    color=colour,
                    ls=line,
                    marker="o",
                    ms=3,
                    label=part.split(",")[0] if way == _WAYS[0] else None,
                )
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xlabel("hidden units, K (teacher: alpha)")
        axis.set_ylabel("|w(t) - w(0)| / |w(0)|")
        axis.set_title("how far the weights have moved")
        axis.legend(loc="best", fontsize=7, handlelength=3.5)
    return figure


FIGURE = NamedFigure(
    title="Is the tangent space as good as training? Not where the signal is weak: the trained network leaves it",
    caption=(
        f"Top: accuracy on the XOR mixture (separation 1) of ReLU committees after n = {_LOAD:g} D examples at D = {_DIMENSION}, "
        f"against the width: networks trained online, ridge regression in the tangent space of the same {_STARTS} starts "
        "(2 at K = 32), and its optimum on endless examples (theory); bars of two standard errors over the starts. Both sides are "
        "tuned alike, for the "
        f"least error at the end: the rate over {', '.join(f'{rate:g}' for rate in _RATES)}, the strength of the ridge by theory. "
        "Bottom left: test loss with a teacher of two erf units, label noise 0.5, K = 4, by theory, the rate chosen anew at each "
        "number of examples. Bottom right: distance of the weights from the start."
    ),
    experiment=xor(0.4, 4),
    compute=compute,
    draw=draw,
)
