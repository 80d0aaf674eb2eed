"""How much of the large weights, and of the signs, a training keeps: the indicators of early training against rate and time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, percent, settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import Study
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "xor-tickets"
_STUDY = Study.load(_EXPERIMENT)
_POINTS = 256
_RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
_MEASURED = (0.5, 2.0)
_SHARE = 0.2
_RUNS = 6


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """R_p and sign changes against the start, over time, at every learning rate."""
    times = np.linspace(0.0, _STUDY.experiment.protocol.duration, 21)
    start = _STUDY.experiment.initial(_STUDY.dimension, 1)
    numerics = Numerics(points=_POINTS, times=tuple(times), estimate_error=False)
    parts = []
    for i, rate in enumerate(_RATES):
        experiment = _STUDY.experiment.replace({"training.learning_rate": rate})
        theory = integrate(experiment, start, numerics=numerics, remember=[0.0])
        columns = {"t": theory.t, "correlation": theory.weight_correlation(_SHARE), "changes": theory.sign_changes()}
        parts.append(pd.DataFrame({"by": "theory", "rate": rate, **columns}))
        if rate in _MEASURED:
            runs = max(2, round(scale * _RUNS))
            found = simulate(
                experiment,
                dimension=_STUDY.dimension,
                runs=runs,
                start=start,
                numerics=numerics.set(space="weight"),
                remember=[0.0],
                progress=False,
            )
            seen = {"correlation": found.weight_correlation(_SHARE), "changes": found.sign_changes()}
            parts.append(
                pd.DataFrame(
                    {"by": "simulation", "rate": rate, "t": found.t, **{key: value.mean(axis=0) for key, value in seen.items()}}
                )
            )
        report((i + 1) / len(_RATES))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Both against time, a colour a rate."""
    with style():
        figure, axes = new_figure(1, 2, width=3.6, height=2.8)
        for axis, column, words in (
            (axes[0, 0], "correlation", f"weight correlation, p = {_SHARE:g}"),
            (axes[0, 1], "changes", "share of signs changed"),
        ):
            for i, rate in enumerate(_RATES):
                part = table[table["rate"] == rate]
                line, seen = part[part["by"] == "theory"], part[part["by"] == "simulation"]
                axis.plot(line["t"], line[column], color=CYCLE[i % len(CYCLE)], label=rf"$\eta$ = {rate:g}")
                axis.plot(seen["t"], seen[column], "o", color=CYCLE[i % len(CYCLE)], markersize=3)
            axis.set_xlabel("t = n / D")
            axis.set_title(words)
        axes[0, 0].axhline(_SHARE, color="#888888", linewidth=0.8)
        axes[0, 0].legend(loc="lower left")
    return figure


_SETTINGS = settings_in_words(_STUDY.experiment, ["training.learning_rate"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="Weight correlation and sign changes against learning rate and time",
    caption=(
        f"Left: R_p, the share of the {percent(_SHARE)} largest initial weights of a unit that are among its largest at t "
        "(Liu et al. 2021; the grey line is chance). Right: the share of weights whose sign is not that of the start. "
        f"Lines: theory from one random start; points: {_RUNS} runs of SGD from it, weights compared one by one, at learning "
        f"rates {listed(_MEASURED)}. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
