"""When a committee leaves its symmetric plateau, and how much that time scatters, from D = 100 to 10^6."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import diffuse, simulate
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.study import Study
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "committee-plateau"
_STUDY = Study.load(_EXPERIMENT)
_DIMENSIONS = (100, 300, 1000, 3000, 10**4, 10**5, 10**6)
_MOST_OF_SGD = 10**4  # its steps are D times as many as those of the diffusion
_RUNS = 96
_FIRST, _A_DECADE, _LONGEST = 200.0, 20.0, 400.0  # time for all to leave: to D = 100, for each further decade, and of the equations
_STEP = 1.0  # between recorded times
_SOURCES = ("equations", "diffusion", "SGD")


def _duration(dimension: int) -> float:
    return _FIRST + _A_DECADE * round(np.log10(dimension / _DIMENSIONS[0]), 6)


def _escapes(source: str, dimension: int, starts: list[OrderParameters], report: Callable[[float], None]) -> np.ndarray:
    """Time at which each run leaves the plateau, (runs,); NaN for one that does not."""
    if source == "equations":
        longer = _STUDY.experiment.replace({"protocol.duration": _LONGEST})
        times = np.arange(0.0, _LONGEST + _STEP, _STEP)
        return np.array([float(integrate(longer, start, times=times).escape_time) for start in starts])
    duration = float(np.ceil(_duration(dimension)))
    experiment = _STUDY.experiment.replace({"protocol.duration": duration})
    run = diffuse if source == "diffusion" else simulate
    times = np.arange(0.0, duration + _STEP, _STEP)
    seen = run(experiment, dimension=dimension, runs=len(starts), start=starts, times=times, progress=report)
    if seen.interrupted:
        raise KeyboardInterrupt
    return seen.escape_time


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """One row a D, source and run: when it leaves the plateau. Run i has the same start in all sources."""
    runs = max(16, round(scale * _RUNS))
    plan = [(D, source) for D in _DIMENSIONS for source in _SOURCES if source != "SGD" or D <= _MOST_OF_SGD]
    parts = []
    for i, (D, source) in enumerate(plan):

        def advance(fraction: float, i: int = i) -> None:
            report((i + fraction) / len(plan))

        starts = [_STUDY.experiment.initial(D, _STUDY.seed, number) for number in range(runs)]
        escapes = _escapes(source, D, starts, advance)
        labels = {"dimension": D, "source": source, "run": np.arange(runs)}
        parts.append(pd.DataFrame({**labels, "escape_time": escapes}))
    return pd.concat(parts, ignore_index=True)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation of the escape times with their standard errors, and the runs that stayed, by D and source."""
    rows = []
    for (D, source), part in table.groupby(["dimension", "source"], sort=False):
        values = part["escape_time"].dropna().to_numpy()
        n = values.size
        deviation = values.std(ddof=1)
        # Escape times are skewed: the error of their deviation is from their own fourth moment.
        fourth = ((values - values.mean()) ** 4).mean() / deviation**4
        rows.append(
            {
                "dimension": D,
                "source": source,
                "mean": values.mean(),
                "mean_error": deviation / np.sqrt(n),
                "deviation": deviation,
                "deviation_error": 0.5 * deviation * np.sqrt(max(fourth - 1.0, 0.0) / n),
                "stayed": len(part) - n,
            }
        )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Mean escape time and its spread against D, and the times of single runs against those of their start by the equations."""
    found = summary(table)
    looks = {"equations": ("s", CYCLE[6]), "diffusion": ("o", CYCLE[0]), "SGD": ("^", CYCLE[2])}
    with style():
        figure, (panels,) = new_figure(1, 3, width=3.3, height=2.7)
        for shift, (source, (marker, colour)) in zip((0.94, 1.0, 1.06), looks.items(), strict=True):
            part = found[found["source"] == source]
            look: Any = {"marker": marker, "color": colour, "markersize": 4, "capsize": 2, "linewidth": 1.0, "label": source}
            look["linestyle"] = ":" if source == "equations" else "-" if source == "diffusion" else "none"
            for axis, name in zip(panels, ("mean", "deviation"), strict=False):
                axis.errorbar(shift * part["dimension"], part[name], yerr=2 * part[f"{name}_error"], **look)
        for axis, title in zip(panels, ("mean", "standard deviation of a run"), strict=False):
            axis.set_xscale("log")
            axis.set_xlabel("input dimension D")
            axis.set_title(title)
            axis.set_ylim(bottom=0)
        panels[0].set_ylabel("time of leaving the plateau")
        panels[0].legend(loc="lower right")
        largest = table[table["source"] == "SGD"]["dimension"].max()
        by_run = table[table["dimension"] == largest].pivot(index="run", columns="source", values="escape_time")
        for source in ("diffusion", "SGD"):
            marker, colour = looks[source]
            values = np.sort(by_run[source].dropna())
            panels[2].step(values, np.arange(1, values.size + 1) / len(by_run), color=colour, where="post", label=source)
        values = np.sort(by_run["equations"].dropna())
        panels[2].step(values, np.arange(1, values.size + 1) / len(by_run), ":", color=CYCLE[6], where="post", label="equations")
        panels[2].set_title(f"D = {largest:,}")
        panels[2].set_xlabel("t = n / D")
        panels[2].set_ylabel("share of runs that have left")
        panels[2].legend(loc="lower right")
    return figure


FIGURE = NamedFigure(
    title=f"Leaving the symmetric plateau at finite D: from D = {_DIMENSIONS[0]} to 10^{len(str(_DIMENSIONS[-1])) - 1}",
    caption=(
        "Time at which a committee leaves its symmetric plateau (the mean |cosine| with the teacher passes half way from 1/sqrt M "
        f"to 1 for the last time), of {_RUNS} runs from random starts: by the mean-field equations from these starts, by the "
        f"diffusion from them, and by online SGD, to D = {_MOST_OF_SGD:,}. Left: means; middle: standard deviations of single "
        "runs, both with two standard errors; right: distributions at the largest D of SGD. Starts have overlaps of 1/sqrt D "
        "with the teacher, so that all wait for a time of order log D; chance adds overlaps of the "
        "same order, which changes the time of each run at every D, as the diffusion tells at the cost of the equations. "
        f"Settings: {settings_in_words(_STUDY.experiment, ['protocol.duration'])}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
