"""How long the plateau of the XOR mixture is as D grows: like D by the equations, less by SGD, whose noise keeps readouts up."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import Study
from curriculode.theory.results.states import StateRecord
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_BASE = _STUDY.experiment.replace({"protocol.order": "hard-only"})
_EQUATIONS = (10**2, 10**3, 10**4, 10**5, 10**6, 10**7, 10**8)
_SIMULATED = {100: 150.0, 300: 200.0, 1000: 400.0, 3000: 600.0, 10**4: 600.0}  # D -> duration
_STARTS, _RUNS, _POINTS = 8, 32, 512
_COSINE = 0.5  # of a unit with a centroid, by which the plateau is left


def discovery(record: StateRecord) -> np.ndarray:
    """When a unit first has a cosine of 1/2 with a centroid, one number a run; infinite where none ever has."""
    largest = np.atleast_2d(np.abs(record.cosines).max(axis=(-1, -2)))
    found = largest > _COSINE
    return np.where(found.any(axis=1), record.t[found.argmax(axis=1)], np.inf)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Median times of discovery by the equations from random starts, and of runs."""
    starts, runs, rows = max(4, round(scale * _STARTS)), max(8, round(scale * _RUNS)), []
    total = len(_EQUATIONS) + len(_SIMULATED)
    numerics = Numerics(points=_POINTS, estimate_error=False, method="LSODA", times=2001, spacing="logarithmic")
    for i, D in enumerate(_EQUATIONS):
        experiment = _BASE.replace({"protocol.duration": 30.0 * max(D, 100)})
        begins = [experiment.initial(D, seed=1, number=j) for j in range(starts)]
        times = np.array([discovery(integrate(experiment, begin, numerics=numerics))[0] for begin in begins])
        rows.append({"by": "equations", "dimension": D, "count": starts, "discovery": np.median(times), "low": times.min()})
        report((i + 1) / total)
    for i, (D, duration) in enumerate(_SIMULATED.items()):
        experiment = _BASE.replace({"protocol.duration": duration})
        times = discovery(simulate(experiment, dimension=D, runs=runs, times=601, points=64, seed=1, progress=False))
        rows.append({"by": "simulation", "dimension": D, "count": runs, "discovery": np.median(times), "low": times.min()})
        report((len(_EQUATIONS) + i + 1) / total)
    return pd.DataFrame(rows)


def exponent(table: pd.DataFrame, by: str, least: float = 0.0) -> float:
    """The power of D that the median time of discovery follows from D = `least` on."""
    part = table[(table["by"] == by) & (table["dimension"] >= least)]
    return float(np.polyfit(np.log(part["dimension"]), np.log(part["discovery"]), 1)[0])


def draw(table: pd.DataFrame) -> Any:
    """Both against D, in logarithms."""
    with style():
        figure, axes = new_figure(1, 1, width=4.6, height=3.0)
        axis = axes[0, 0]
        for colour, (by, words) in zip(
            CYCLE, {"equations": "the equations alone", "simulation": "online SGD"}.items(), strict=False
        ):
            part = table[table["by"] == by]
            axis.plot(part["dimension"], part["discovery"], "o-", color=colour, markersize=4, label=words)
        D = np.array([1e4, table["dimension"].max()])
        last = table[table["by"] == "equations"].iloc[-1]
        axis.plot(D, last["discovery"] * D / last["dimension"], "--", color="#888888", linewidth=1, label="proportional to D")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("dimension D")
        axis.set_ylabel("time of discovery, median")
        axis.set_title("length of the plateau")
        axis.legend(loc="upper left")
    return figure


_SETTINGS = settings_in_words(_BASE, ["protocol.duration"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="The plateau is as long as D is large by the equations, and far shorter with the noise of SGD",
    caption=(
        f"When a unit first has a cosine of {_COSINE:g} with a centroid: medians over {_STARTS} random starts by the equations, "
        f"and over {_RUNS} runs of online SGD in overlap space. The readouts decay while the overlaps, of order D^(-1/2), grow; by "
        "the equations alone the time becomes proportional to D. The noise of the examples keeps the readouts of SGD from decaying "
        f"further, and the plateau grows more slowly. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
