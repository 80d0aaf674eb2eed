"""Perturbations of the weights early in training against the accuracy in the end, by theory and on real weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.perturbation import Perturbation
from curriculode.theory.describe.study import Study
from curriculode.theory.pairs.perturb import effective_size

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_AT = (5.0, 10.0)
_MADE = (
    *(("noise", size) for size in (0.25, 0.5, 1.0, 2.0)),
    *((kind, 1.0) for kind in ("signs", "same-sign-unit", "same-sign-layer", "shuffle-inputs", "shuffle-unit", "shuffle-layer")),
    ("reinitialise", 1.0),
)
_RUNS, _POINTS = 24, 256


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Effective size and final accuracy of every perturbation at every time."""
    runs, D, base = max(4, round(scale * _RUNS)), _STUDY.dimension, _STUDY.experiment
    duration, rows = base.protocol.duration, []
    options: dict[str, Any] = {"dimension": D, "runs": runs, "space": "weight", "points": _POINTS, "progress": False}
    for i, at in enumerate(_AT):
        plain = simulate(base, times=[at, duration], **options)
        for j, (kind, size) in enumerate((("none", 0.0), *_MADE)):
            found, sizes = plain, np.zeros(runs)
            if kind != "none":
                perturbation = Perturbation.of(kind).model_copy(update={"size": size})
                protocol = base.protocol.perturbed(perturbation, at=at)
                experiment = Experiment(task=base.task, student=base.student, training=base.training, protocol=protocol)
                found = simulate(experiment, times=[at, duration], **options)
                sizes = np.array(
                    [effective_size(found.state(found.t[0], run), perturbation, experiment=base) for run in range(runs)]
                )
            accuracy = found.observable("accuracy")[:, -1]
            labels = {"at": at, "kind": kind, "size": size, "effective_size": sizes.mean(), "accuracy": np.nanmean(accuracy)}
            rows.append({**labels, "standard_error": np.nanstd(accuracy, ddof=1) / np.sqrt(runs), "runs": runs})
            report((i * (len(_MADE) + 1) + j + 1) / (len(_AT) * (len(_MADE) + 1)))
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
            kinds = list(dict.fromkeys(part["kind"]))
            for i, kind in enumerate(kinds):
                seen = part[part["kind"] == kind]
                marker, colour = "osD^vP*X<"[i % 9], CYCLE[i % len(CYCLE)]
                axis.errorbar(
                    seen["effective_size"], seen["accuracy"], yerr=2 * seen["standard_error"], fmt=marker, color=colour,
                    markersize=4.5, linewidth=1, label=kind,
                )  # fmt: skip
            axis.set_title(f"at k = {at:g}: r = {part['r'].iloc[0]:.2f}")
            axis.set_xlabel("root mean square change of a weight / initial")
        axes[0, 0].set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        axes[0, 0].legend(loc="lower left", ncols=2, fontsize=6.5)
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, [], _STUDY.dimension)

FIGURE = NamedFigure(
    title="What perturbations early in training cost in the end",
    caption=(
        f"At k = {listed(_AT)} the weights are perturbed, and training goes on. Accuracy in the end against the root mean square "
        "change of a weight, in standard deviations of initial weights, as Frankle, Schwab and Morcos (2020, figure 8) draw it for "
        f"real networks; r is the correlation over the perturbations. Means of {_RUNS} runs of online SGD on the weights, bars of "
        f"two standard errors. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
