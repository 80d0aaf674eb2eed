"""The best order of the perceptron's examples (Mignacco & Mori 2025, arXiv 2507.07907): easy, hard, mixed, easy.

The setting of the paper: eta 3, Delta 0 and 2, half of the examples easy, t = 6 (its alpha = 12), Q = (1/2, 1/2), M = 0, the mean
error of both levels. By theory, and confirmed by simulation.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.labels import TIME
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.control.optimize import optimize
from curriculode.theory.describe.experiment import Experiment, load
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = load("perceptron-curriculum").replace(
    {"training.learning_rate": 3.0, "levels.hard.irrelevant_variance": 2.0, "protocol.duration": 6.0}
)
_START = OrderParameters(np.full((2, 1, 1), 0.5), np.zeros((2, 1, 1)), np.ones(1))
_OBJECTIVE = {"classification_error": {"easy": 0.5, "hard": 0.5}}
_STAGES = (12, 50)
_ITERATIONS = 120
_DIMENSIONS, _RUNS = (1000, 10**4), 2000


def _error(trajectory: Any) -> np.ndarray:
    """Mean error of both levels at the end."""
    found: np.ndarray = 0.5 * (trajectory.errors("easy")[1] + trajectory.errors("hard")[1])[..., -1]
    return found


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Stages of the optima, and the errors of the protocols by theory and simulation."""
    protocols: dict[str, Experiment] = {
        order: _EXPERIMENT.replace({"protocol.order": order}) for order in ("anti-curriculum", "curriculum", "random")
    }
    parts: list[pd.DataFrame] = []
    work = np.cumsum([*_STAGES, 20, 40])
    done = 0.0

    def search(name: str, control: list[str], stages: int, upto: float) -> Any:
        def advance(fraction: float) -> None:
            report((done + fraction * (upto - done)) / work[-1])

        best = optimize(
            _EXPERIMENT,
            control,
            starts=_START,
            stages=stages,
            objective=_OBJECTIVE,
            iterations=_ITERATIONS,
            rtol=1e-3,
            progress=advance,
        )
        if best.interrupted:
            raise KeyboardInterrupt
        parts.append(best.stages().assign(part="stages", protocol=name))
        protocols[name] = best.experiment
        return best

    best = None
    for stages, upto in zip(_STAGES, work, strict=False):
        best = search(f"best of {stages} stages", ["order"], stages, float(upto))
        done = float(upto)
    assert best is not None
    protocols["its nearest pure stages"] = best.bang_bang()
    search("curriculum, free rate", ["learning_rate"], _STAGES[0], float(work[-2]))
    done = float(work[-2])
    rows: list[dict[str, Any]] = []
    jobs = [(name, D) for name in protocols for D in (None, *_DIMENSIONS)]
    for i, (name, D) in enumerate(jobs):
        if D is None:
            rows.append({"protocol": name, "error": float(_error(integrate(protocols[name], _START, times=2)))})
        else:
            runs = max(16, round(scale * _RUNS * _DIMENSIONS[0] / D))
            ensemble = simulate(protocols[name], dimension=D, runs=runs, seed=1, start=_START, times=2)
            errors = _error(ensemble)
            rows.append(
                {
                    "protocol": name,
                    "dimension": D,
                    "runs": runs,
                    "error": errors.mean(),
                    "standard_error": errors.std(ddof=1) / np.sqrt(runs),
                }
            )
        report((done + (work[-1] - done) * (i + 1) / len(jobs)) / work[-1])
    return pd.concat([*parts, pd.DataFrame(rows).assign(part="errors")], ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """The best shares of easy examples and the best rate against time; the errors of all protocols."""
    stages, errors = table[table["part"] == "stages"], table[table["part"] == "errors"]
    with style():
        figure, axes = new_figure(1, 3)
        order, rate, final = axes[0]
        for colour, (name, part) in zip(CYCLE, stages.groupby("protocol", sort=False), strict=False):
            edges = np.concatenate([[0.0], np.cumsum(part["length"])])
            free = "rate" in str(name)
            values = part["learning_rate"] if free else part["probability_easy"]
            (rate if free else order).stairs(values, edges, baseline=None, color=colour, label=name)
        order.set_ylabel("share of easy examples")
        order.set_ylim(-0.03, 1.35)
        order.set_yticks(np.linspace(0.0, 1.0, 6))
        rate.set_ylabel("learning rate")
        rate.set_ylim(0.0, None)
        for axis in (order, rate):
            axis.set_xlabel(TIME)
            axis.legend(loc="upper right")
        order.set_title("best order")
        rate.set_title("best rate of the curriculum")
        names = list(dict.fromkeys(errors["protocol"]))
        theory = errors[errors["dimension"].isna()].set_index("protocol")["error"]
        final.plot(theory[names], range(len(names)), "|", color="black", markersize=13, label="theory")
        for i, (D, part) in enumerate(errors.dropna(subset=["dimension"]).groupby("dimension")):
            place = [names.index(name) + 0.18 * (i + 1) for name in part["protocol"]]
            look: Any = {"fmt": "o", "color": CYCLE[i], "markersize": 3, "label": f"SGD, D = {D:g}"}
            final.errorbar(part["error"], place, xerr=2 * part["standard_error"], **look)
        final.set_yticks(range(len(names)), names)
        final.set_ylim(len(names) - 0.3, -0.7)
        final.set_xlabel("mean error of both levels at the end")
        final.legend(loc="best", fontsize=7)
    return figure


FIGURE = NamedFigure(
    title="The best order of the perceptron's examples: easy, hard, mixed, easy",
    caption=(
        "Left: share of easy examples in the order of least final error, mean over both levels, in stages of constant share, all "
        f"with the same examples. Middle: the rate of least final error of the curriculum, in {_STAGES[0]} stages. Right: final "
        "errors, by theory and by simulation from the same start with bars of two standard errors; by `fluctuations` "
        "those of the curriculum lie 0.12 / D below the theory. Settings: "
        f"{settings_in_words(_EXPERIMENT, ['protocol.order'], _DIMENSIONS[0])}, from Q = (1/2, 1/2), M = 0, as Mignacco and Mori "
        "(arXiv 2507.07907, whose alpha = 12 is t = 6)."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
