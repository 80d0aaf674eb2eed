"""How much faster the curriculum perceptron learns, as a function of all that the protocol sets.

Saglietti, Sarao Mannelli and Saxe (2106.08068): the speed-up of online learning is modest. Here it is a number: the time at which
the random order reaches the error that the curriculum has at its end, over the duration of the curriculum.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import percent, settings_in_words
from curriculode.figures.plots.phase_diagram import phase_diagram
from curriculode.figures.plots.style import new_figure, style
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import Study
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "perceptron-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_DURATION, _LONGEST = 4.0, _STUDY.experiment.protocol.duration
_STARTS, _DIMENSION = 3, 10**4
_STRUCTURE_HARD = 2.0  # Delta of the hard level in the part over structure and share
_NUMERICS = Numerics(rtol=1e-7, atol=1e-9)
_EASY, _HARD = "levels.easy.irrelevant_variance", "levels.hard.irrelevant_variance"
_RELEVANT, _SHARE = "task.relevant_fraction", "levels.easy.share"
_GRIDS = {
    "difficulty": {_EASY: np.linspace(0.0, 0.9, 10), _HARD: np.linspace(1.0, 4.0, 10)},
    "structure": {_RELEVANT: np.linspace(0.1, 0.9, 9), _SHARE: np.linspace(0.1, 0.9, 9)},
}


def speed_up(experiment: Experiment, number: int) -> float:
    """Time at which the random order has the final error of the curriculum, over its duration; from start `number`."""
    start = experiment.initial(_DIMENSION, 0, number)
    curriculum = experiment.replace({"protocol.order": "curriculum", "protocol.duration": _DURATION})
    target = integrate(curriculum, start, times=[_DURATION], numerics=_NUMERICS).classification_error[-1]
    mixed = experiment.replace({"protocol.order": "random", "protocol.duration": _LONGEST})
    t = np.linspace(0.0, _LONGEST, 241)
    error = integrate(mixed, start, times=t, numerics=_NUMERICS).classification_error
    below = np.flatnonzero(error <= target)
    if below.size == 0 or below[0] == 0:
        return np.nan
    i = int(below[0])
    return float((t[i - 1] + (error[i - 1] - target) / (error[i - 1] - error[i]) * (t[i] - t[i - 1])) / _DURATION)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Speed-up over (Delta_easy, Delta_hard) and over (relevant fraction, share of easy examples)."""
    base = _STUDY.experiment
    starts = max(1, round(scale * _STARTS))
    rows: list[dict[str, Any]] = []
    total = sum(np.prod([len(values) for values in grid.values()]) for grid in _GRIDS.values())
    for part, grid in _GRIDS.items():
        (x, across), (y, up) = grid.items()
        for a in across:
            for b in up:
                changes = {x: float(round(a, 12)), y: float(round(b, 12))}
                fixed = {_HARD: _STRUCTURE_HARD} if part == "structure" else {}
                for number in range(starts):
                    value = speed_up(base.replace({**fixed, **changes}), number)
                    rows.append({"part": part, **changes, "seed": number, "speed_up": value, "failed": not np.isfinite(value)})
                report(len(rows) / starts / total)
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Two heat maps of the speed-up."""
    with style():
        figure, axes = new_figure(1, 2, width=3.8, height=3.0)
        for axis, (part, grid) in zip(axes[0], _GRIDS.items(), strict=True):
            x, y = grid
            chosen = table[table["part"] == part][[x, y, "seed", "speed_up", "failed"]]
            phase_diagram(chosen, x, y, "speed_up", ax=axis)
        axes[0, 0].set_xlabel(r"$\Delta$ of the easy level")
        axes[0, 0].set_ylabel(r"$\Delta$ of the hard level")
        axes[0, 0].set_title("by difficulty")
        axes[0, 1].set_xlabel(r"relevant fraction $\rho$ of the inputs")
        axes[0, 1].set_ylabel("share of easy examples")
        axes[0, 1].set_title("by structure and share")
    return figure


_VARIED = ["protocol.order", "protocol.duration", "levels", "task.relevant_fraction"]
_BASE = _STUDY.experiment

FIGURE = NamedFigure(
    title="The curriculum perceptron online: how much faster, over difficulty, relevant fraction and share",
    caption=(
        "Speed-up of the curriculum over the random order: the time at which the random order reaches the classification error on "
        f"the hard level that the curriculum has at the end of a protocol of t = {_DURATION:g}, over {_DURATION:g}; closed-form "
        f"equations, mean over {_STARTS} starts of D = {_DIMENSION}. Left: over the variance Delta of the irrelevant inputs on the "
        f"easy and on the hard level; {percent(_BASE.get(_RELEVANT))} of the inputs relevant, {percent(_BASE.get(_SHARE))} of the "
        f"examples easy. Right: over the relevant fraction and the share of easy examples, Delta = {_BASE.get(_EASY):g} and "
        f"{_STRUCTURE_HARD:g}. The hard level is the one of largest Delta. Settings: {settings_in_words(_BASE, _VARIED)}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
