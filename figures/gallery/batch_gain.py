"""Batch learning in slices: where a coupled curriculum gains over pooling all examples, by theory.

Gain: test error on the hard level of the pooled slice at its best regularisation, minus that of the curriculum at its best
regularisations and coupling (Saglietti, Sarao Mannelli and Saxe, 2106.08068).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import new_figure, style
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.study import Study
from curriculode.theory.solve.state_evolution import state_evolution

_EXPERIMENT = "batch-perceptron"
_ALPHAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_EASY = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)  # Delta_easy
_HARD = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # Delta_hard
_STUDY = Study.load(_EXPERIMENT)
_OPTIMAL = {"training.regularization": "optimal", "training.coupling": "optimal"}


def gain(experiment: Experiment) -> tuple[float, float]:
    """Test error of the pooled slice and of the curriculum, both at their best strengths."""
    best = experiment.replace(_OPTIMAL)
    pooled, curriculum = (
        state_evolution(best.replace({"protocol.order": order})).classification_error[-1] for order in ("random", "curriculum")
    )
    return float(pooled), float(curriculum)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The gain over the loads of easy and hard examples, and over their irrelevant variances; below scale 0.1 a coarser grid."""
    base = _STUDY.experiment
    step = 1 if scale >= 0.1 else 5
    plan: list[tuple[str, float, float, dict[str, Any]]] = []
    for easy in _ALPHAS[::step]:
        for hard in _ALPHAS[::step]:
            changes = {"protocol.duration": easy + hard, "levels.easy.share": easy / (easy + hard)}
            plan.append(("load", easy, hard, changes))
    for easy in _EASY[::step]:
        for hard in _HARD[::step]:
            if easy > hard:
                continue
            changes = {"levels.easy.irrelevant_variance": easy, "levels.hard.irrelevant_variance": hard}
            plan.append(("difficulty", easy, hard, changes))
    rows = []
    for i, (part, easy, hard, changes) in enumerate(plan):
        pooled, curriculum = gain(base.replace(changes))
        rows.append(
            {"part": part, "easy": easy, "hard": hard, "pooled": pooled, "curriculum": curriculum, "gain": pooled - curriculum}
        )
        report((i + 1) / len(plan))
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Two maps of the gain with its numbers."""
    with style():
        figure, axes = new_figure(1, 2, width=3.6, height=3.1)
        highest = table["gain"].max()
        for axis, part, symbol, title in (
            (axes[0, 0], "load", r"$\alpha$", "over the numbers of examples"),
            (axes[0, 1], "difficulty", r"$\Delta$", "over the irrelevant variances"),
        ):
            grid = table[table["part"] == part].pivot_table(index="hard", columns="easy", values="gain")
            image = axis.imshow(grid, origin="lower", cmap="RdBu", vmin=-highest, vmax=highest, aspect="auto")
            for (row, column), value in np.ndenumerate(grid.to_numpy()):
                if np.isnan(value):
                    continue
                colour = "white" if value > 0.6 * highest else "black"
                axis.text(column, row, f"{round(100 * value, 1) + 0.0:.1f}", ha="center", va="center", fontsize=7, color=colour)
            axis.set_xticks(range(grid.shape[1]), [f"{x:g}" for x in grid.columns])
            axis.set_yticks(range(grid.shape[0]), [f"{x:g}" for x in grid.index])
            axis.set_xlabel(f"{symbol} of the easy examples")
            axis.set_ylabel(f"{symbol} of the hard examples")
            axis.set_title(title)
            axis.grid(False)
        figure.colorbar(image, ax=list(axes[0]), label="test error saved by the curriculum")
    return figure


_VARIED = ["protocol.order", "protocol.duration", "levels", "training.regularization", "training.coupling"]
_LEVELS = [_STUDY.experiment.get(f"levels.{name}.irrelevant_variance") for name in ("easy", "hard")]
_EACH = _STUDY.experiment.protocol.duration * _STUDY.experiment.protocol.shares[0]

FIGURE = NamedFigure(
    title="Batch learning: what a coupled curriculum saves over pooling, by numbers of examples and difficulties",
    caption=(
        "Test error on the hard level of one pooled slice minus that of easy and hard slices learnt in this order with elastic "
        "coupling, in the limit of large D, in per cent (numbers), each side at the regularisations and coupling that minimise its "
        f"error. Left: over the numbers of examples per input dimension alpha, irrelevant variances {_LEVELS[0]:g} (easy) and "
        f"{_LEVELS[1]:g} (hard). Right: over the irrelevant variances Delta, alpha = {_EACH:g} of each. Red: pooling is better. "
        f"Settings: {settings_in_words(_STUDY.experiment, _VARIED)}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
