"""Networks of different starts: the barrier between them before and after their units are matched, against the width."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.pairs.branch import branch
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_WIDTHS = {4: 192, 8: 128, 16: 64, 32: 32, 64: 12}  # width -> pairs
_SHOWN = 16
_POINTS = 256


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The error along the line of every width, with units as they are and matched."""
    numerics = Numerics(averages="quasi-Monte Carlo", points=_POINTS, times=(_STUDY.experiment.protocol.duration,))
    costs, parts = [pairs * (K**2 + 30 * K) for K, pairs in _WIDTHS.items()], []
    for i, (width, pairs) in enumerate(_WIDTHS.items()):
        experiment, runs = _STUDY.experiment.replace({"student.width": width}), max(4, round(scale * pairs))
        starts = [experiment.initial(_STUDY.dimension, seed=1, number=j) for j in range(2 * runs)]
        pair = branch(
            experiment, starts[:runs], other=starts[runs:], dimension=_STUDY.dimension, runs=runs, numerics=numerics, progress=False
        )
        for name, found in (("as they are", pair), ("matched", pair.match())):
            line = found.interpolate(t=found.t[-1])
            error = line.classification_error[found.finite, 0]
            ends = 0.5 * (error[:, 0] + error[:, -1])
            barrier, middle = error.max(axis=1) - ends, error[:, error.shape[1] // 2] - ends
            columns = {"alpha": line.alphas, "error": error.mean(axis=0)}
            spread = barrier.std(ddof=1) / np.sqrt(len(error))
            labels = {"barrier": barrier.mean(), "standard_error": spread, "midpoint": middle.mean()}
            parts.append(pd.DataFrame({"width": width, "units": name, "pairs": len(error), **labels, **columns}))
        report(sum(costs[: i + 1]) / sum(costs))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """The line at one width; barrier and midpoint against the width."""
    with style():
        figure, axes = new_figure(1, 2, width=3.4, height=2.8)
        for colour, name in zip(CYCLE, ("as they are", "matched"), strict=False):
            part = table[table["units"] == name]
            line = part[part["width"] == _SHOWN]
            axes[0, 0].plot(line["alpha"], line["error"], color=colour, label=f"units {name}")
            each = part.groupby("width").first().reset_index()
            axes[0, 1].errorbar(
                each["width"], each["barrier"], yerr=2 * each["standard_error"], fmt="o-", color=colour, markersize=3.5, capsize=2,
                label=f"barrier, {name}",
            )  # fmt: skip
            axes[0, 1].plot(
                each["width"], each["midpoint"], "s--", color=colour, markersize=3, linewidth=1, label=f"middle, {name}"
            )
        axes[0, 0].set_title(f"K = {_SHOWN}")
        axes[0, 0].set_xlabel("place on the line between the networks")
        axes[0, 0].set_ylabel(quantity_label("classification_error", _STUDY.experiment))
        axes[0, 0].legend(loc="upper left", fontsize=7)
        axes[0, 1].axhline(0.0, color="#888888", linewidth=0.8)
        axes[0, 1].set_xscale("log", base=2)
        axes[0, 1].set_xticks(list(_WIDTHS), [str(width) for width in _WIDTHS])
        axes[0, 1].set_xlabel("width K")
        axes[0, 1].set_ylabel("error over the mean of the ends")
        axes[0, 1].set_title("all widths")
        axes[0, 1].legend(loc="upper right")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["student.width"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Networks of different starts meet only after their units are matched",
    caption=(
        "Two networks of independent starts and examples: classification error along the straight line between them at the end, "
        "with the units of the second as they are, and permuted to the largest sum of overlaps with those of the first. Right: the "
        "highest error along the line, and that in its middle, over the mean of the ends. "
        f"{listed(_WIDTHS.values())} pairs of runs at K = {listed(_WIDTHS)}; bars are two standard errors. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
