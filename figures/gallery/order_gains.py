"""What the best order gains over the classical ones, from narrow to wide students of the XOR mixture."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.sims.sweep.sweep import sweep
from curriculode.theory.describe.experiment import load
from curriculode.theory.describe.optimization import Optimization

_EXPERIMENT = load("xor-curriculum")
_WIDTHS, _SHARES = (4, 8, 16, 32), (0.1, 0.5)
_STARTS, _TESTS, _DIMENSION = 3, 12, 1000
_STAGES, _ITERATIONS, _POINTS, _RTOL = 10, 8, 64, 1e-2
_DURATION = 50.0
_BESIDE = ("curriculum", "random", "anti-curriculum", "hard-only")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The error of the best order and of those beside it on held-out starts, at each width and share of easy examples."""
    table = sweep(
        _EXPERIMENT.replace({"protocol.duration": _DURATION}),
        {"levels.easy.share": list(_SHARES), "student.width": list(_WIDTHS)},
        optimization=Optimization(
            control=("order",),
            stages=_STAGES,
            starts=max(1, round(scale * _STARTS)),
            tests=max(4, round(scale * _TESTS)),
            iterations=_ITERATIONS,
        ),
        dimension=_DIMENSION,
        points=_POINTS,
        rtol=_RTOL,
        observables=["objective", "gain", "kind"],
        progress=report,
    )
    if table.attrs["interrupted"]:
        raise KeyboardInterrupt
    return table.drop(columns=["protocol.order", "seconds"])


def draw(table: pd.DataFrame) -> Any:
    """Gains against the width, a panel a share of easy examples."""
    shares = list(dict.fromkeys(table["levels.easy.share"]))
    with style():
        figure, axes = new_figure(1, len(shares))
        for axis, share in zip(axes[0], shares, strict=True):
            here = table[table["levels.easy.share"] == share]
            for name in _BESIDE:
                part = here[here["treatment"] == name].sort_values("student.width")
                axis.errorbar(
                    part["student.width"],
                    part["gain"],
                    2.0 * part["gain_standard_error"],
                    color=ORDER_COLOURS[name],
                    marker="o",
                    ms=3.5,
                    capsize=2,
                    label=name,
                )
            axis.axhline(0.0, color="#888888", linewidth=0.8)
            axis.set_xscale("log", base=2)
            axis.set_xticks(here["student.width"].unique(), [f"{K}" for K in here["student.width"].unique()])
            axis.set_xlabel("hidden units, K")
            axis.set_title(f"{100 * share:g} % of the examples easy")
        axes[0][0].set_ylabel("gain of the best order in the\ngeneralisation error at the end")
        axes[0][0].set_ylim(top=1.45 * axes[0][0].get_ylim()[1])  # room for the legend
        axes[0][0].legend(loc="upper right", ncols=2, title="over", title_fontsize=8)
    return figure


FIGURE = NamedFigure(
    title="What the best order gains: over the curriculum next to nothing where few examples are easy, over the others much",
    caption=(
        f"Generalisation error on the hard level at the end of each order, less that of the best order in {_STAGES} stages, all "
        f"with the same examples; the best order was searched over {_STARTS} starts of D = {_DIMENSION}, all are judged on "
        f"{_TESTS} other ones, with bars of two standard errors of the paired differences. Settings: "
        f"{settings_in_words(_EXPERIMENT, ['protocol.order', 'student.width', 'levels.easy.share'], _DIMENSION)}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
