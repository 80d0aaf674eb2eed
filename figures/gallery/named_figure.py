"""What every figure of the gallery is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NamedFigure:
    """A figure of the gallery.

    title : what it shows, in one line
    caption : what is drawn, with all settings; what a paper would print below it
    experiment : the built-in experiment it is computed from
    compute : (scale, report) -> table; `scale` multiplies the numbers of runs, `report` is told the finished fraction
    draw : table -> matplotlib figure
    """

    title: str
    caption: str
    experiment: str
    compute: Callable[[float, Callable[[float], None]], "pd.DataFrame"]
    draw: Callable[["pd.DataFrame"], Any]
