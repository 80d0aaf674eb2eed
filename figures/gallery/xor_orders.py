"""Curriculum, random and hard-only order on the XOR mixture, for a minimal and a wide network."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.plots.comparison import draw_lines
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.compare.compare import compare
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Theory and simulation of every width and order: `Comparison.to_frame`, classification error only."""
    study = Study.load(_EXPERIMENT)
    runs = max(4, round(scale * study.runs))
    comparison = compare(
        study.experiment, dimension=study.dimension, runs=runs, starts=min(runs, max(2, round(scale * study.starts))),
        seed=study.seed,
        over=study.over, times=study.times, points=study.points, progress=report,
    )  # fmt: skip
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
            axis.set_xlabel("examples per input dimension, t = n / D")
        axes[0, 0].set_ylabel("accuracy on the hard level")
        axes[0, -1].legend(title="lines: theory\npoints: simulation", alignment="left")
    return figure


FIGURE = NamedFigure(
    title="XOR mixture: curriculum, random and hard-only order, for K = 4 and K = 32",
    caption=(
        "Accuracy on the hard level against examples per input dimension. XOR-like Gaussian mixture, separation 1, noise 0.2 "
        "(easy, 10 % of 10,000 examples) and 0.5 (hard), D = 200; GELU committee, squared loss, learning rate 2. Lines: "
        "mean-field equations, averaged over 32 random starts; points: 96 runs of online SGD from the same starts, with bands of "
        "two standard errors."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
