"""What a curriculum gains on FashionMNIST against width and depth: from stored tables."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.stored import stored_gains, stored_study
from curriculode.figures.plots.networks import draw_gains

# Name of a table -> how it is called in the picture.
PARTS = {
    "network-fashion-adam": "the best rate",
    "network-fashion-slow": "a tenth of it",
    "network-fashion-tail": "a tenth of it",
}


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The stored gains, which no scale changes."""
    table = pd.concat([stored_gains(name).assign(part=words) for name, words in PARTS.items()], ignore_index=True)
    report(1.0)
    return table


def draw(table: pd.DataFrame) -> Any:
    """A row for each way of training, levels as panels, depths as colours."""
    return draw_gains(table)


_STUDY = stored_study("network-fashion-slow")
_RUNS = _STUDY.runs

FIGURE = NamedFigure(
    title="FashionMNIST: what a curriculum gains, at the best rate and at one that is too small",
    caption=(
        "Accuracy of the curriculum less that of the random order after 10,000 images of FashionMNIST with pixel noise in a "
        "single pass, a tenth of them easy and a tenth medium, at each level and on the mixture, for perceptrons of 1, 2 and 3 "
        f"hidden layers of 12, 50 and 400 ReLU units. {_RUNS} seeds, which no search of settings had seen, share images, levels, "
        "noise, permutation and initial weights between the orders; bars are two standard errors of the paired differences. Adam, "
        "10 images a step. Top: learning rate 0.001, the best of four for nearly all; bottom: 0.0001, at which networks are not "
        "done with learning when the examples are over, the narrow ones least; dashed: the last tenth of the examples is the same "
        "for both orders. The tables are stored, with the studies that made them."
    ),
    experiment=_STUDY,
    compute=compute,
    draw=draw,
)
