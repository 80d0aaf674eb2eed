"""Curriculum, random and hard-only order on the XOR mixture, for a minimal and a wide network."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.comparison import draw_table, legend, quantity_table
from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.stages import mark_stages
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.compare.compare import compare
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_WIDTHS = _STUDY.over["student.width"]


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Theory and simulation of every width and order: `Comparison.to_frame`, of the classification error, and the band of runs."""
    runs = max(4, round(scale * _STUDY.runs))
    comparison = compare(
        _STUDY.experiment,
        dimension=_STUDY.dimension,
        runs=runs,
        starts=min(runs, max(2, round(scale * _STUDY.starts))),
        seed=_STUDY.seed,
        over=_STUDY.over,
        numerics=_STUDY.numerics,
        progress=report,
    )
    if comparison.interrupted:
        raise KeyboardInterrupt
    return quantity_table(comparison, "classification_error")


def draw(table: pd.DataFrame) -> Any:
    """Accuracy on the hard level against time, one panel a width."""
    widths = sorted(table["student.width"].unique())
    with style():
        figure, axes = new_figure(1, len(widths), width=3.9, sharey=True)
        drawn: set[str] = set()
        for axis, width in zip(axes[0], widths, strict=True):
            for order, part in table[table["student.width"] == width].groupby("protocol.order", sort=False):
                drawn |= draw_table(axis, part, str(order), accuracy=True)
            axis.set_title(f"K = {width}")
            axis.set_xlabel(TIME)
            mark_stages(axis, [experiment for _, experiment in _STUDY.cells()])
        axes[0, 0].set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        legend(axes[0, -1], _STUDY.dimension, drawn, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["student.width", "protocol.order"], _STUDY.dimension)

FIGURE = NamedFigure(
    title=f"XOR mixture: {listed(_STUDY.over['protocol.order'])} order, for K = {listed(_WIDTHS)}",
    caption=(
        "Accuracy on the hard level against examples per input dimension, for two widths K. Lines: theory at "
        f"finite D, the equations and what the diffusion adds to them, averaged over {_STUDY.starts} random starts; bands: 95 % of "
        "single runs by that theory; dotted, where they differ: the mean-field equations alone. Points: mean of "
        f"{_STUDY.runs} runs of online SGD from the same starts, with bars of two standard errors of their difference from the "
        f"lines. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
