"""What a curriculum gains on real images against width, by depth: paired, each order at its own best learning rate."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed
from curriculode.figures.plots.networks import draw_gains
from curriculode.sims.networks.compare import compare
from curriculode.sims.networks.study import NetworkStudy

_STUDY = NetworkStudy.load("digits-curriculum")
_WIDTHS = (12, 25, 50, 100, 200)
_DEPTHS = (1, 2, 3)
_TAILS = (0.0, 0.1)
_RATES = (0.003, 0.01, 0.03, 0.1)
_RUNS, _SCAN = 48, 8


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The gains of every width and depth at every level, with and without a common tail."""
    parts, runs = [], max(3, round(scale * _RUNS))
    for i, tail in enumerate(_TAILS):

        def advance(fraction: float, i: int = i) -> None:
            report((i + fraction) / len(_TAILS))

        found = compare(
            _STUDY.experiment.replace({"training.common_tail": tail}),
            {"network.width": list(_WIDTHS), "network.depth": list(_DEPTHS)},
            runs=runs,
            rates=_RATES,
            scan=max(2, round(scale * _SCAN)),
            progress=advance,
        )
        rates = found.summary().pivot_table(
            index=["network.width", "network.depth"], columns="order", values="learning_rate"
        ).add_prefix("rate_")  # fmt: skip
        parts.append(found.gaps().join(rates, on=["network.width", "network.depth"]).assign(**{"training.common_tail": tail}))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Levels as panels, depths as lines; with the common tail dashed."""
    return draw_gains(table)


FIGURE = NamedFigure(
    title="Digits: what a curriculum gains against the width, by depth",
    caption=(
        "Accuracy of the curriculum less that of the random order after a single pass of scikit-learn's digits with "
        f"noise, at each level and on the mixture that is seen, for perceptrons of {listed(_DEPTHS)} hidden layers of "
        f"{listed(_WIDTHS)} ReLU units, online SGD on the cross-entropy. {_RUNS} seeds share images, levels, noise, "
        "permutation and initial weights between the orders; bars are two standard errors of the paired differences. For "
        f"each width, depth and order the learning rate is the best of {listed(_RATES)} on {_SCAN} other seeds. Dashed: "
        "the last tenth of the examples is the same for both orders."
    ),
    experiment=_STUDY,
    compute=compute,
    draw=draw,
    needs="networks",
)
