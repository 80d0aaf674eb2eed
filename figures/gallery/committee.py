"""Teacher-student committees: the symmetric plateau and specialisation, for students narrower than the teacher, as wide, wider."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.observe import observe
from curriculode.theory.describe.study import Study
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "committee-plateau"
_WIDTHS = (1, 2, 4)
_RUNS, _PATHS, _STARTS = 8, 12, 6  # of SGD and of the diffusion a start
_DIMENSION, _TIMES = 5000, 81
_STUDY = Study.load(_EXPERIMENT)
_LONG = _STUDY.experiment.replace({"protocol.duration": 400.0})
_TEACHERS = _LONG.task.reference_overlap().shape[-1]  # M
_QUANTITIES = ["generalization_error", "specialization"]


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Error and specialisation over time from the same starts: by theory at finite D (mean, and the scatter of a run), by the
    mean-field equations, whose time of leaving the plateau is told too, and in simulation.
    """
    t = np.linspace(0.0, _LONG.protocol.duration, _TIMES)
    starts, runs = (max(2, round(min(scale, 1.0) * _STARTS)), max(2, round(scale * _RUNS)))
    several = max(2, round(scale * _PATHS))
    parts = []
    for i, width in enumerate(_WIDTHS):
        experiment = _LONG.replace({"student.width": width})
        for number in range(starts):

            def advance(fraction: float, done: int = i * starts + number) -> None:
                report((done + 0.5 + 0.5 * fraction) / (starts * len(_WIDTHS)))

            def proceed(fraction: float, done: int = i * starts + number) -> None:
                report((done + 0.5 * fraction) / (starts * len(_WIDTHS)))

            start = experiment.initial(_DIMENSION, _STUDY.seed, number)
            equations = integrate(experiment, start, times=t)
            of_both: dict[str, Any] = {"dimension": _DIMENSION, "seed": number, "start": start, "points": 256}
            paths = observe(experiment, _QUANTITIES, runs=several, space="diffusion", times=t, progress=proceed, **of_both)
            seen = observe(experiment, _QUANTITIES, runs=runs, times=t[::4], progress=advance, **of_both)
            if paths.interrupted or seen.interrupted:
                raise KeyboardInterrupt
            labels = {"width": width, "start": number, "escape_time": float(equations.escape_time)}
            for name in _QUANTITIES:
                theory = {"theory": paths.mean(name), "predicted_scatter": paths.values[name].std(axis=0, ddof=1)}
                curves = {"t": t, "mean_field": getattr(equations, name), **theory}
                parts.append(pd.DataFrame({**labels, "quantity": name, **curves}))
                simulated = {"t": seen.t, "simulation": seen.mean(name), "standard_error": seen.standard_error(name)}
                parts.append(pd.DataFrame({**labels, "quantity": name, **simulated}))
    return pd.concat(parts, ignore_index=True)


def _title(width: int) -> str:
    if width == _TEACHERS:
        return f"K = M = {width}"
    return f"K = {width} < M: under-parametrised" if width < _TEACHERS else f"K = {width} > M: over-parametrised"


def draw(table: pd.DataFrame) -> Any:
    """Error (logarithmic) and specialisation against time: lines theory, one a start; points simulation."""
    with style():
        figure, axes = new_figure(2, len(_WIDTHS), width=2.7, height=2.0, sharex=True, sharey="row")
        for column, width in enumerate(_WIDTHS):
            for row, name in enumerate(_QUANTITIES):
                axis = axes[row, column]
                chosen = table[(table["width"] == width) & (table["quantity"] == name)]
                for colour, (_, part) in zip(CYCLE, chosen.groupby("start"), strict=False):
                    line, points = part[part["theory"].notna()], part[part["simulation"].notna()]
                    axis.plot(line["t"], line["theory"], color=colour, linewidth=1)
                    axis.plot(line["t"], line["mean_field"], ":", color=colour, linewidth=0.7)
                    bars = 2 * points["standard_error"] if row else None
                    axis.errorbar(points["t"], points["simulation"], yerr=bars, fmt=".", color=colour, markersize=4, linewidth=0.8)
            axes[0, column].set_yscale("log")
            axes[0, column].set_ylim(1e-8, 3.0)  # below, the tolerance of the integrator
            axes[0, column].set_title(_title(width))
            axes[1, column].set_xlabel("t = n / D")
            axes[1, column].set_title(quantity_label("specialization"))
            axes[1, column].set_ylim(0, 1.05)
        axes[0, 0].set_ylabel(quantity_label("generalization_error"))
        axes[1, 0].set_ylabel("mean |cosine|")
    return figure


FIGURE = NamedFigure(
    title="Committees: the symmetric plateau and specialisation, under- and over-parametrised",
    caption=(
        f"Soft committees of K units that learn a teacher of M = {_TEACHERS}. Each colour is one of {_STARTS} random starts: "
        f"lines, theory at D = {_DIMENSION}, the mean of {_PATHS} paths of the diffusion; dotted, the equations of Saad and Solla "
        f"alone, in closed form; points, mean of {_RUNS} runs at D = {_DIMENSION} from the same overlaps (below with two standard "
        "errors). Above: generalisation error. Below: specialisation, the mean |cosine| of student and teacher units in their best "
        f"assignment; K = M leaves the symmetric plateau when it rises from 1/sqrt {_TEACHERS} to 1. A start at random has "
        "overlaps of 1/sqrt D with the teacher, no larger than what chance adds to a run before it leaves, so that each run leaves "
        "at a time of its own, and the mean of many is smooth where that of the equations is steep. Settings: "
        f"{settings_in_words(_LONG, ['student.width'])}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
