"""The curriculum perceptron online: the orders side by side, and how much a curriculum speeds learning up.

Saglietti, Sarao Mannelli and Saxe (2106.08068): with irrelevant inputs a curriculum "modestly speeds up" online learning and
brings no lasting gain. Speed-up: the time at which the random order reaches an error, over that of the curriculum.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import percent, settings_in_words
from curriculode.figures.plots.comparison import draw_table, legend, quantity_table
from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.stages import mark_stages
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.compare.compare import compare
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import Study
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "perceptron-curriculum"
_EASY = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)  # Delta_easy
_HARD = (1.0, 2.0, 4.0)  # Delta_hard
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of easy examples
_SHORT = 4.0  # duration of the protocols whose gain is drawn
_STARTS, _DIMENSION, _MOST_STARTS = 8, 10**4, 16
_STUDY = Study.load(_EXPERIMENT)
_SHORTER = _STUDY.experiment.replace({"protocol.duration": _SHORT})


def final_gain(experiment: Experiment) -> tuple[float, float]:
    """Mean and standard error over starts of the final classification error, random order minus curriculum (theory)."""
    numerics = Numerics(times=(experiment.protocol.duration,), estimate_error=False)
    gains = []
    for number in range(_STARTS):
        start = experiment.initial(_DIMENSION, 0, number)
        random, curriculum = (
            integrate(experiment.replace({"protocol.order": order}), start, numerics=numerics).classification_error[-1]
            for order in ("random", "curriculum")
        )
        gains.append(random - curriculum)
    return float(np.mean(gains)), float(np.std(gains, ddof=1) / np.sqrt(_STARTS))


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Learning curves by theory and simulation; final gain of the curriculum over Delta_easy, Delta_hard and the share."""
    runs = max(4, round(scale * _STUDY.runs))
    comparison = compare(
        _STUDY.experiment,
        dimension=_STUDY.dimension,
        runs=runs,
        starts=min(runs, _MOST_STARTS),
        seed=_STUDY.seed,
        over=_STUDY.over,
        numerics=_STUDY.numerics,
        progress=lambda fraction: report(0.3 * fraction),
    )
    if comparison.interrupted:
        raise KeyboardInterrupt
    parts = [quantity_table(comparison, "classification_error").assign(part="curves")]
    plan = [
        ("difficulty", {"levels.easy.irrelevant_variance": e, "levels.hard.irrelevant_variance": h}) for h in _HARD for e in _EASY
    ]
    plan += [("share", {"levels.easy.share": share, "levels.hard.irrelevant_variance": h}) for h in _HARD for share in _SHARES]
    rows: list[dict[str, Any]] = []
    for i, (part, changes) in enumerate(plan):
        gain, error = final_gain(_SHORTER.replace(changes))
        rows.append({"part": part, **changes, "gain": gain, "standard_error": error})
        report(0.3 + 0.7 * (i + 1) / len(plan))
    return pd.concat([*parts, pd.DataFrame(rows)], ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Error against time for the orders; gain against Delta_easy, and against the share of easy examples."""
    with style():
        figure, axes = new_figure(1, 3)
        curves, difficulty, share = axes[0]
        drawn: set[str] = set()
        for order, part in table[table["part"] == "curves"].groupby("protocol.order", sort=False):
            drawn |= draw_table(curves, part, str(order))
        mark_stages(curves, [experiment for _, experiment in _STUDY.cells()])
        curves.set_xlabel(TIME)
        curves.set_ylabel(quantity_label("classification_error", _STUDY.experiment))
        curves.set_title("orders")
        legend(curves, _STUDY.dimension, drawn)
        for axis, name, column, label in (
            (difficulty, "difficulty", "levels.easy.irrelevant_variance", r"$\Delta_{easy}$"),
            (share, "share", "levels.easy.share", "share of easy examples"),
        ):
            parts = table[table["part"] == name].groupby("levels.hard.irrelevant_variance", sort=False)
            for colour, (hard, part) in zip(CYCLE, parts, strict=False):
                look: Any = {"fmt": "o-", "color": colour, "markersize": 3.5, "capsize": 2}
                look |= {"label": rf"$\Delta_{{hard}}$ = {hard:g}"}
                axis.errorbar(part[column], part["gain"], yerr=2 * part["standard_error"], **look)
            axis.axhline(0, color="#888888", linewidth=0.8)
            axis.set_xlabel(label)
            axis.margins(y=0.3)
            axis.legend(loc="upper right", ncols=3, columnspacing=0.8, handlelength=1.2)
        difficulty.set_ylabel(f"error saved at t = {_SHORT:g}")
        difficulty.set_title("by difficulty")
        share.set_title("by share")
    return figure


_BASE = _STUDY.experiment
_HALF, _EASIEST = percent(_BASE.get("levels.easy.share")), _BASE.get("levels.easy.irrelevant_variance")

FIGURE = NamedFigure(
    title="The curriculum perceptron online: a modest speed-up, and no lasting gain",
    caption=(
        "Left: classification error on the hard level; theory at finite D, its band of 95 % of single runs, "
        f"and the mean of {_STUDY.runs} runs of online SGD from {_MOST_STARTS} starts with bars of two standard errors of the "
        "difference. Settings: "
        f"{settings_in_words(_BASE, ['protocol.order'], _STUDY.dimension)}. Middle, right: error of the random order minus that of "
        f"the curriculum at the end of shorter protocols, t = {_SHORT:g}, by theory, mean over {_STARTS} starts of D = "
        f"{_DIMENSION} with two standard errors; {_HALF} of the examples easy (middle), Delta_easy = {_EASIEST:g} (right). Delta "
        "is the variance of the irrelevant inputs."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
