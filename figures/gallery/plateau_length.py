"""How long the plateau of the XOR mixture is as D grows: like D by the equations and with noise, like ln D with readouts held."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.study import Study
from curriculode.theory.results.states import StateRecord
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "xor-curriculum"
_STUDY = Study.load(_EXPERIMENT)
_BASE = _STUDY.experiment.replace({"protocol.order": "hard-only"})
_HELD = _BASE.replace({"training.readout_learning_rate": 0.0})
_EQUATIONS = (10**2, 10**3, 10**4, 10**5, 10**6, 10**7, 10**8)
_SIMULATED = (100, 300, 1000, 3000, 10**4)
_DIFFUSED = {10**3: 32, 10**4: 32, 10**5: 16, 10**6: 8}  # D -> runs
_STARTS, _RUNS, _POINTS = 8, 32, 512
_COSINE = 0.5  # of a unit with a centroid, by which the plateau is left
_LINES = {
    "equations": "the equations alone",
    "simulation": "online SGD",
    "diffusion": "its diffusion",
    "held": "readouts held, by the equations",
}


def discovery(record: StateRecord) -> np.ndarray:
    """When a unit first has a cosine of 1/2 with a centroid, one number a run; infinite where none ever has."""
    largest = np.atleast_2d(np.abs(record.cosines).max(axis=(-1, -2)))
    found = largest > _COSINE
    return np.where(found.any(axis=1), record.t[found.argmax(axis=1)], np.inf)


def discovered(dimension: int, runs: int, space: str) -> np.ndarray:
    """The time of discovery of each run, (runs,); infinite for those that had none when more than half had theirs.

    The runs go on from where they were, ever longer: what is left of an experiment with one level does not know what was.
    """
    states = [_BASE.initial(dimension, seed=1, number=run) for run in range(runs)]
    times, passed, longer = np.full(runs, np.inf), 0.0, 3.0 * dimension**0.5
    while np.isinf(times).sum() >= runs / 2:
        left = np.flatnonzero(np.isinf(times))
        experiment = _BASE.replace({"protocol.duration": longer})
        ensemble = simulate(
            experiment,
            dimension=dimension,
            runs=left.size,
            start=[states[run] for run in left],
            times=201,
            points=64,
            seed=np.random.SeedSequence([1, dimension, round(passed)]),
            space=space,
            progress=False,
        )
        times[left] = passed + discovery(ensemble)
        for run, Q, M, v in zip(left, ensemble.Q[:, -1], ensemble.M[:, -1], ensemble.v[:, -1], strict=True):
            states[run] = OrderParameters(Q, M, v)
        passed += longer
        longer *= 1.5
    return times


def _row(by: str, dimension: int, times: np.ndarray) -> dict[str, Any]:
    return {"by": by, "dimension": dimension, "count": times.size, "discovery": np.median(times), "low": times.min()}


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Median times of discovery from random starts: by the equations, readouts trained or held, of SGD, and of its diffusion."""
    starts, rows = max(4, round(scale * _STARTS)), []
    total = len(_EQUATIONS) + len(_SIMULATED) + len(_DIFFUSED)
    numerics = Numerics(points=_POINTS, estimate_error=False, method="LSODA", times=2001, spacing="logarithmic")
    for D in _EQUATIONS:
        for by, base, duration in (("equations", _BASE, 30.0 * max(D, 100)), ("held", _HELD, 400.0)):
            experiment = base.replace({"protocol.duration": duration})
            begins = [experiment.initial(D, seed=1, number=j) for j in range(starts)]
            times = np.array([discovery(integrate(experiment, begin, numerics=numerics))[0] for begin in begins])
            rows.append(_row(by, D, times))
        report(len(rows) / 2 / total)
    for i, D in enumerate(_SIMULATED):
        rows.append(_row("simulation", D, discovered(D, max(8, round(scale * _RUNS)), "overlap")))
        report((len(_EQUATIONS) + i + 1) / total)
    for i, (D, runs) in enumerate(_DIFFUSED.items()):
        rows.append(_row("diffusion", D, discovered(D, max(8, round(scale * runs)), "diffusion")))
        report((len(_EQUATIONS) + len(_SIMULATED) + i + 1) / total)
    return pd.DataFrame(rows)


def exponent(table: pd.DataFrame, by: str, least: float = 0.0) -> float:
    """The power of D that the median time of discovery follows from D = `least` on."""
    part = table[(table["by"] == by) & (table["dimension"] >= least)]
    return float(np.polyfit(np.log(part["dimension"]), np.log(part["discovery"]), 1)[0])


def draw(table: pd.DataFrame) -> Any:
    """Both against D, in logarithms."""
    with style():
        figure, axes = new_figure(1, 1, width=5.2, height=3.4)
        axis = axes[0, 0]
        for colour, (by, words) in zip(CYCLE, _LINES.items(), strict=False):
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
        axis.legend(loc="upper left", fontsize=7)
    return figure


_SETTINGS = settings_in_words(_BASE, ["protocol.duration"], _STUDY.dimension)

FIGURE = NamedFigure(
    title="The plateau grows like D, in the end with the noise of SGD too, and like ln D if readouts are held",
    caption=(
        f"When a unit first has a cosine of {_COSINE:g} with a centroid: medians over {_STARTS} random starts by the equations, "
        f"over {_RUNS} runs of online SGD in overlap space, and over {max(_DIFFUSED.values())} to {min(_DIFFUSED.values())} runs "
        "of its diffusion. The overlaps M begin at D^(-1/2) and grow at a rate proportional to the readouts. Where these are held, "
        "the plateau is as long as ln D. Where they are trained they decay until M feeds them, to the order of M^2: by the "
        "equations alone that is 1/D, and the plateau is as long as D. The noise of the examples keeps them at D^(-1/2), of "
        "either sign: its sum over a time of the order of D is of order one, and one unit finds its centroid earlier, "
        f"after a time that varies much between runs. Settings: {_SETTINGS}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
