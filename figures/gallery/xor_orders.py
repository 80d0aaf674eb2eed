"""Curriculum, random and hard-only order on the XOR mixture, for a minimal and a wide network."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.comparison import draw_lines
from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.stages import mark_stages
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.compare.compare import compare
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_WIDTHS = _STUDY.over["student.width"]


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Theory and simulation of every width and order: `Comparison.to_frame`, classification error only."""
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
    table = comparison.to_frame()
    return table[table["quantity"] == "classification_error"].reset_index(drop=True)


def draw(table: pd.DataFrame) -> Any:
    """Accuracy on the hard level against time, one panel a width."""
    widths = sorted(table["student.width"].unique())
    with style():
        figure, axes = new_figure(1, len(widths), sharey=True)
        for axis, width in zip(axes[0], widths, strict=True):
            for order, part in table[table["student.width"] == width].groupby("protocol.order", sort=False):
                draw_lines(axis, part["t"], 1 - part["theory"], 1 - part["simulation"], part["simulation_error"], str(order))
            axis.set_title(f"K = {width}")
            axis.set_xlabel(TIME)
            mark_stages(axis, [experiment for _, experiment in _STUDY.cells()])
        axes[0, 0].set_ylabel(quantity_label("accuracy", _STUDY.experiment))
        axes[0, -1].legend(title="lines: theory\npoints: simulation", alignment="left")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["student.width", "protocol.order"], _STUDY.dimension)

FIGURE = NamedFigure(
    title=f"XOR mixture: {listed(_STUDY.over['protocol.order'])} order, for K = {listed(_WIDTHS)}",
    caption=(
        "Accuracy on the hard level against examples per input dimension, for two widths K. Lines: mean-field equations, averaged "
        f"over {_STUDY.starts} random starts; points: {_STUDY.runs} runs of online SGD from the same starts, with bands of two "
        f"standard errors. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
