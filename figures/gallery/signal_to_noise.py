"""Curriculum and random order against the hard examples alone, as the signal-to-noise ratio of the hard ones changes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.paired_orders import observe_orders, paired_difference
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-curriculum"
_RATIOS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)  # separation / sigma^2
_WIDTHS = {4: (400, 48), 16: (100, 20)}  # width -> runs, paths of the diffusion
_DIMENSION = 1000
_STUDY = Study.load(_EXPERIMENT)
_OTHERS = ("curriculum", "random")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Final accuracy minus that of hard-only, by simulation and by theory at finite D, the diffusion (paired runs), for each ratio.

    Below scale 0.1 for every other ratio.
    """
    plan = [(width, ratio) for width in _WIDTHS for ratio in _RATIOS[:: 1 if scale >= 0.1 else 2]]
    rows = []
    for i, (width, ratio) in enumerate(plan):
        runs, paths = (max(3, round(scale * n)) for n in _WIDTHS[width])
        noise = float((_STUDY.experiment.get("task.separation") / ratio) ** 0.5)
        experiment = _STUDY.experiment.replace({"student.width": width, "levels.hard.noise": noise})
        duration = experiment.protocol.duration

        def advance(fraction: float, i: int = i) -> None:
            report((i + 0.4 * fraction) / len(plan))

        def proceed(fraction: float, i: int = i) -> None:
            report((i + 0.4 + 0.6 * fraction) / len(plan))

        orders, names = (*_OTHERS, "hard-only"), ["classification_error"]
        final: list[dict[str, np.ndarray]] = []  # of simulation, of theory
        for space, count, told in ((_STUDY.numerics.space, runs, advance), ("diffusion", paths, proceed)):
            numerics = _STUDY.numerics.set(space=space)
            seen = observe_orders(experiment, orders, names, _DIMENSION, count, [duration], numerics, told)
            final.append({order: observations.values["classification_error"][:, -1] for order, observations in seen.items()})
        simulated, theory = final
        for order in _OTHERS:
            gap, error = paired_difference(simulated["hard-only"], simulated[order])
            expected, spread = paired_difference(theory["hard-only"], theory[order])
            rows.append(
                {
                    "width": width,
                    "ratio": ratio,
                    "order": order,
                    "runs": runs,
                    "gap": gap,
                    "standard_error": error,
                    "paths": paths,
                    "theory": expected,
                    "theory_standard_error": spread,
                }
            )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Gap to hard-only against the signal-to-noise ratio, one panel a width."""
    with style():
        figure, axes = new_figure(1, len(_WIDTHS), width=3.7, sharey=True)
        for axis, width in zip(axes[0], _WIDTHS, strict=True):
            for order in _OTHERS:
                part = table[(table["width"] == width) & (table["order"] == order)]
                colour = ORDER_COLOURS[order]
                low, high = (part["theory"] + sign * 2 * part["theory_standard_error"] for sign in (-1, 1))
                axis.fill_between(part["ratio"], low, high, color=colour, alpha=0.2, linewidth=0)
                axis.plot(part["ratio"], part["theory"], color=colour)
                look: Any = {"fmt": "o", "color": colour, "markersize": 3.5, "capsize": 2, "label": order}
                axis.errorbar(part["ratio"], part["gap"], yerr=2 * part["standard_error"], **look)
            axis.axhline(0, color="#888888", linewidth=0.8)
            axis.set_xscale("log", base=2)
            axis.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
            axis.set_xlabel("signal-to-noise ratio of the hard level")
            axis.set_title(f"K = {width}")
        axes[0, 0].set_ylabel("accuracy gained over hard-only")
        title = f"D = {_DIMENSION:,}\nlines: theory\npoints: simulation"
        axes[0, -1].legend(title=title, alignment="left", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


_VARIED = ["student.width", "levels.hard.noise", "protocol.order"]
_RUNS = listed(f"{runs} (K = {width})" for width, (runs, _) in _WIDTHS.items())
_PATHS = listed(paths for _, paths in _WIDTHS.values())

FIGURE = NamedFigure(
    title="What easy examples bring at each signal-to-noise ratio: curriculum and random order against hard-only",
    caption=(
        "Final accuracy on the hard level minus that of hard examples alone, against separation / noise^2 of the hard level. "
        f"Points: {_RUNS} runs of online SGD, the same in all orders, with two standard errors of the paired difference; lines: "
        f"theory at finite D, mean over {_PATHS} paths of the diffusion with bands of two standard errors. Settings: "
        f"{settings_in_words(_STUDY.experiment, _VARIED, _DIMENSION)}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
