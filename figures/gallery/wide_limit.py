"""How fast students come to their wide limit: the loss of K units against that of particles from the same start, over 1/K."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.labels import TIME
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.study import Study
from curriculode.theory.landscape.mean_field import mean_field
from curriculode.theory.solve.integrate import integrate

_EXPERIMENTS = {"XOR mixture, GELU": "xor-curriculum", "two erf teachers, erf": "committee-plateau"}
_WIDTHS = (16, 32, 64)
_STARTS, _DIMENSION, _H = 3, 1000, 1.5
_VARIED = ("student.width", "training.learning_rate", "training.readout_learning_rate")
_DURATION, _NODES, _POINTS, _TIMES = 20.0, 20, 1024, 11
_TEACHER = {"task.teacher_width": 2, "student.readout": "trained", "student.readout_start": "gaussian"}
_STUDIES = {name: Study.load(file) for name, file in _EXPERIMENTS.items()}


def _wide(name: str, width: int) -> Any:
    changes = {
        "student.readout_scale": "1/K",
        "student.width": width,
        "training.learning_rate": _H * width,
        "training.readout_learning_rate": _H / width,
        "protocol.duration": _DURATION,
    }
    return _STUDIES[name].experiment.replace(changes | (_TEACHER if "teacher" in name else {}))


def _uncorrelated(experiment: Any, start: OrderParameters) -> OrderParameters:
    """The start without correlations between units across the references."""
    Q, M, v = start.blocked()
    along = M[0] @ np.linalg.pinv(experiment.task.reference_overlap()[0]) @ M[0].T
    return OrderParameters(along + np.diag(np.diagonal(Q[0] - along)), M[0], v)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Loss of K units and of the limit from the same starts, at every time."""
    rows: list[pd.DataFrame] = []
    starts = max(1, round(scale * _STARTS))
    plan = [(name, width) for name in _EXPERIMENTS for width in _WIDTHS]
    work = np.cumsum([width**2 for _, width in plan])
    for i, (name, width) in enumerate(plan):
        experiment = _wide(name, width)
        for number in range(starts):
            start = _uncorrelated(experiment, experiment.initial(_DIMENSION, 0, number))
            limit = mean_field(experiment, start, times=_TIMES, nodes=_NODES, points=_POINTS)
            own = integrate(experiment, start, times=_TIMES, points=_POINTS, noise_terms=False, estimate_error=False)
            rows.append(
                pd.DataFrame(
                    {
                        "task": name,
                        "K": width,
                        "start": number,
                        "t": limit.t,
                        "loss": own.generalization_error,
                        "limit": limit.generalization_error,
                    }
                )
            )
            report((work[i] - plan[i][1] ** 2 * (1.0 - (number + 1) / starts)) / work[-1])
    return pd.concat(rows, ignore_index=True)


def coefficients(table: pd.DataFrame) -> pd.DataFrame:
    """K times the deviation of the loss at the end, mean over starts and its standard error, by task and K; and the fitted 1/K."""
    last = table[table["t"] == table["t"].max()]
    scaled = last.assign(scaled=last["K"] * (last["loss"] - last["limit"]))
    found = scaled.groupby(["task", "K"], sort=False)["scaled"].agg(["mean", "sem"]).reset_index()
    power = {}
    for task, part in found.groupby("task", sort=False):
        power[task] = float(np.polyfit(np.log(part["K"]), np.log(np.abs(part["mean"]) / part["K"]), 1)[0])
    return found.assign(power=found["task"].map(power))


def draw(table: pd.DataFrame) -> Any:
    """Loss against time for the widest student and its limit, and the deviation at the end against 1/K."""
    from matplotlib.ticker import LogLocator

    with style():
        figure, ((course, fit),) = new_figure(1, 2, width=3.8, height=2.9)
        fit.set_xscale("log")
        fit.set_yscale("log")
        fit.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        fit.yaxis.set_major_formatter("{x:g}")
        fit.yaxis.set_minor_formatter("")
        fit.minorticks_off()
        widest = table[table["K"] == table["K"].max()]
        found = coefficients(table)
        for colour, (task, part) in zip(CYCLE, widest.groupby("task", sort=False), strict=False):
            mean = part.groupby("t")[["loss", "limit"]].mean()
            course.plot(mean.index, mean["limit"], color=colour, label=f"{task}: limit")
            course.plot(mean.index, mean["loss"], "o", color=colour, markersize=3, label=f"K = {part['K'].iloc[0]}")
            own = found[found["task"] == task]
            fit.errorbar(
                1.0 / own["K"],
                own["mean"].abs() / own["K"],
                yerr=own["sem"] / own["K"],
                fmt="o",
                color=colour,
                markersize=3.5,
                capsize=2,
            )
            ticks = [1.0 / int(width) for width in own["K"]]
            fit.set_xticks(ticks, [f"1/{int(width)}" for width in own["K"]])
            constant = float(own["mean"].abs().iloc[-1])
            x = np.array([1.0 / own["K"].max(), 1.0 / own["K"].min()])
            fit.plot(x, constant * x, color=colour, label=f"{constant:.3f} / K")
        course.set_xlabel(TIME)
        course.set_ylabel("loss")
        course.set_title("the widest student and its limit", fontsize=9)
        course.legend(fontsize=7)
        fit.set_xlabel("1 / K")
        fit.set_ylabel("|loss − limit| at the end")
        fit.set_title("deviation as 1 / K", fontsize=9)
        fit.legend()
    return figure


FIGURE = NamedFigure(
    title="The wide limit: the loss of K units against that of particles, over 1/K",
    caption=(
        f"Students of K = {listed(_WIDTHS)} units with readouts of order 1/K, learning rate {_H:g} K and {_H:g} / K of the "
        f"readouts, without "
        f"the noise term, and the wide limit from the same {_STARTS} starts. Left: mean loss of the widest student (points) "
        f"and of the limit "
        "(lines). Right: size of their mean difference at the end with standard errors over starts; lines of slope 1 through "
        "the widest. "
        f"XOR: {settings_in_words(_wide('XOR mixture, GELU', 8), _VARIED)}. "
        f"Teacher: {settings_in_words(_wide('two erf teachers, erf', 8), _VARIED)}."
    ),
    experiment="xor-curriculum",
    compute=compute,
    draw=draw,
)
