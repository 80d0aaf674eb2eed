"""Perturbations of the weights early in training against the accuracy in the end: a sweep over their kind, size and time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.sims.sweep.sweep import sweep
from curriculode.theory.describe.perturbation import Perturbation
from curriculode.theory.describe.study import Study
from curriculode.theory.pairs.perturb import effective_size

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_AT = (5.0, 10.0)
_MADE = (
    *(("noise", size) for size in (0.0, 0.25, 0.5, 1.0, 2.0)),
    *((kind, 1.0) for kind in ("signs", "same-sign-unit", "same-sign-layer", "shuffle-inputs", "shuffle-unit", "shuffle-layer")),
    ("reinitialise", 1.0),
)
_RUNS, _POINTS = 64, 256
_NAME = "protocol.perturbation."


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Effective size and final accuracy of every perturbation at every time."""
    runs, D, base = max(4, round(scale * _RUNS)), _STUDY.dimension, _STUDY.experiment
    kinds, sizes = zip(*_MADE, strict=True)
    found = sweep(
        base,
        {f"{_NAME}at": _AT},
        zip={f"{_NAME}kind": kinds, f"{_NAME}size": sizes},
        seeds=runs,
        runs=1,
        theory=False,
        dimension=D,
        observables="accuracy",
        points=_POINTS,
        progress=lambda fraction: report(0.95 * fraction),
    )
    before = simulate(base, dimension=D, runs=runs, times=[0.0, *_AT], points=_POINTS, progress=False)
    rows = []
    made: Any
    for made, part in found.groupby([f"{_NAME}{name}" for name in ("at", "kind", "size")], sort=False):
        at, kind, size = made
        perturbation = Perturbation(kind=kind, size=size)
        moved = [effective_size(before.state(at, run), perturbation, experiment=base) for run in range(runs)]
        accuracy = part["accuracy_simulation"]
        labels = {"at": at, "kind": "none" if size == 0.0 else kind, "size": size, "effective_size": np.mean(moved)}
        rows.append({**labels, "accuracy": accuracy.mean(), "standard_error": accuracy.sem(), "runs": len(accuracy)})
    report(1.0)
    table = pd.DataFrame(rows)
    return table.assign(r=table.groupby("at")["at"].transform(lambda group: _correlation(table.loc[group.index])))


def _correlation(part: pd.DataFrame) -> float:
    """Of effective size and accuracy over the perturbations of one time."""
    return float(np.corrcoef(part["effective_size"], part["accuracy"])[0, 1])


def draw(table: pd.DataFrame) -> Any:
    """A panel a time, a point a perturbation."""
    with style():
        times = sorted(table["at"].unique())
        figure, axes = new_figure(1, len(times), width=3.6, height=3.0, sharey=True)
        for axis, at in zip(axes[0], times, strict=True):
            part = table[table["at"] == at]
            for kind in dict.fromkeys(part["kind"]):
                seen = part[part["kind"] == kind]
                words, marker, colour = _LOOKS[kind]
                axis.errorbar(
                    seen["effective_size"], seen["accuracy"], yerr=2 * seen["standard_error"], fmt=marker, color=colour,
                    markersize=4.5, linewidth=1, label=words,
                )  # fmt: skip
            axis.set_title(f"at k = {at:g}: r = {part['r'].iloc[0]:.2f}")
            axis.set_xlabel("r.m.s. change of a weight")
        axes[0, 0].set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        # Beside the panels, where it hides no point.
        axes[0, -1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


# Kinds that do the same to signs, or to what is known of the task, share a colour.
_LOOKS = {
    "none": ("none", "o", "#888888"),
    "noise": ("noise of n s.d.", "s", CYCLE[0]),
    "signs": ("signs alone", "D", CYCLE[2]),
    "same-sign-unit": ("shuffled within signs, unit", "^", CYCLE[2]),
    "same-sign-layer": ("shuffled within signs, layer", "v", CYCLE[2]),
    "shuffle-inputs": ("inputs shuffled", "P", CYCLE[3]),
    "shuffle-unit": ("units shuffled", "*", CYCLE[3]),
    "shuffle-layer": ("layer shuffled", "X", CYCLE[3]),
    "reinitialise": ("fresh weights", "<", CYCLE[1]),
}
_SETTINGS = settings_in_words(_STUDY.experiment, [], _STUDY.dimension)

FIGURE = NamedFigure(
    title="What perturbations early in training cost in the end",
    caption=(
        f"At k = {listed(_AT)} the weights are perturbed, and training goes on. Accuracy in the end against the root mean square "
        "change of a weight, in standard deviations of initial weights, as Frankle, Schwab and Morcos (2020, figure 8) draw it for "
        f"real networks; r is the correlation over the perturbations. Noise is of n = {listed(n for _, n in _MADE[1:5])} such "
        f"deviations. Means of {_RUNS} runs of online SGD in overlap space, bars of two standard errors. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
