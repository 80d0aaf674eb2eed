"""The stages of a protocol, marked behind the curves."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from curriculode.figures.plots.style import ORDER_COLOURS
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.protocol import TimedStage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SEQUENCES = ("curriculum", "anti-curriculum")


def mark_stages(axis: "Axes", experiments: Sequence[Experiment]) -> None:
    """Shade the first stage of a curriculum, or of an anti-curriculum where there is none; draw lines where stages of a plan meet.

    Points at the ends of slices, as of batch learning, are the stages themselves and get no marks. What an earlier call marked on
    these axes is not marked again.
    """
    online = {each.protocol.order: each for each in experiments if not each.training.stored}
    for order in _SEQUENCES:
        if order in online and len(online[order].protocol.stages()) > 1:
            _shade_first(axis, online[order])
            break
    for each in experiments:
        if each.protocol.order == "stages" and not each.training.stored:
            for first, second in pairwise(each.protocol.stages()):
                if _differ(first, second):
                    _draw_line(axis, first.end)


def _differ(first: TimedStage, second: TimedStage) -> bool:
    return first.learning_rate != second.learning_rate or not np.array_equal(first.probability, second.probability)


def _is_marked(axis: "Axes", mark: str) -> bool:
    return any(artist.get_gid() == mark for artist in [*axis.patches, *axis.lines])


def _draw_line(axis: "Axes", t: float) -> None:
    if not _is_marked(axis, mark := f"stage to {t!r}"):
        axis.axvline(t, color=ORDER_COLOURS["stages"], linewidth=0.7, alpha=0.7, zorder=0.5, gid=mark)


def _shade_first(axis: "Axes", experiment: Experiment) -> None:
    stage, colour = experiment.protocol.stages()[0], ORDER_COLOURS[experiment.protocol.order]
    if _is_marked(axis, mark := f"stage to {stage.end!r}"):
        return
    axis.axvspan(0, stage.end, color=colour, alpha=0.07, linewidth=0, gid=mark)
    # Its name stands above the axes, clear of curves and legend.
    axis.annotate(
        experiment.protocol.levels[int(stage.probability.argmax())].name,
        (stage.end / 2, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 1),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        color=colour,
    )
