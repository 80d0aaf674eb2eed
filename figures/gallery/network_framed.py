"""What a curriculum gains on framed FashionMNIST against the number of filters of a convolutional network: from a stored table."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.stored import stored_gains, stored_study
from curriculode.figures.gallery.words import listed
from curriculode.figures.plots.networks import draw_gains

_STUDY = stored_study("network-framed")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The stored gains, which no scale changes."""
    report(1.0)
    return stored_gains("network-framed")


def draw(table: pd.DataFrame) -> Any:
    """Levels as panels; with the common tail dashed."""
    return draw_gains(table, "network.filters", "filters of a convolution")


FIGURE = NamedFigure(
    title="FashionMNIST in frames: what a curriculum of scales gains, and what it forgets",
    caption=(
        "Accuracy of the curriculum less that of the random order after 8,000 images of FashionMNIST in a single pass: a fifth of "
        "them whole (easy), a fifth shrunk to three quarters (medium), the others to half (hard), on other images; at each level "
        f"and on the mixture, for networks of two convolutions, one image a step. {_STUDY.runs} seeds share images, levels, "
        "frames, permutation and initial weights between the orders; bars are two standard errors of the paired differences. For "
        f"each number of filters, tail and order the learning rate is the best of {listed(_STUDY.rates)} on {_STUDY.scan} other "
        "seeds. "
        "Dashed: the last tenth of the examples is the same for both orders. The table is stored, with the study that made it."
    ),
    experiment=_STUDY,
    compute=compute,
    draw=draw,
)
