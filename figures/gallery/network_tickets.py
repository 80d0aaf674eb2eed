"""Lottery tickets of a real network beside those of the theory: accuracy against density, and how far weights move."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.ticket_ends import COLOURS, ends
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.networks.study import NetworkStudy
from curriculode.sims.networks.tickets import tickets
from curriculode.sims.networks.train import train
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study
from curriculode.theory.solve.integrate import integrate

_STUDY = NetworkStudy.load("digits-tickets")
_THEORY = Study.load("xor-tickets")
_ROUNDS = (3, 7, 11, 14)  # a fifth of what is left goes in each
_TREATMENTS = ("ticket", "reinit", "random")
_KEEP = (0.05, 0.1, 0.2, 0.5)
_RATES = (0.003, 0.006, 0.012, 0.03, 0.06)
_THEORY_RATES = (0.5, 1.0, 2.0, 4.0)
_RUNS, _DRAWS, _POINTS = 16, 8, 128


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Accuracies at every density, and R_p and sign changes at every rate, of networks and of the theory."""
    runs, parts = max(2, round(scale * _RUNS)), []
    for i, rounds in enumerate(_ROUNDS):
        pruning = Pruning(keep=0.8**rounds, rounds=rounds, scope="layer")
        steps = len(_ROUNDS)

        def told(fraction: float, i: int = i, steps: int = steps) -> None:
            report(0.8 * (i + fraction) / steps)

        found = tickets(_STUDY.experiment, pruning, treatments=_TREATMENTS, runs=runs, progress=told)
        accuracy = 1.0 - found.final()
        for name in accuracy:
            error = accuracy[name].std(ddof=1) / np.sqrt(runs)
            row = {"by": "digits", "treatment": name, "x": found.density, "value": accuracy[name].mean(), "standard_error": error}
            parts.append({**row, "part": "accuracy"})
    for keep in _KEEP:
        experiment = _THEORY.experiment
        draws = max(2, round(scale * _DRAWS))
        table = ends(experiment, Pruning(keep=keep), _TREATMENTS, _THEORY.dimension, draws, 0, _POINTS)
        for _, each in table.iterrows():
            parts.append(
                {"by": "theory", "treatment": each["treatment"], "x": keep, "value": each["end"], "part": "accuracy",
                 "standard_error": each["end_standard_error"]}
            )  # fmt: skip
    report(0.85)
    for i, rate in enumerate(_RATES):
        network = _STUDY.experiment.replace({"training.learning_rate": rate})
        moved = train(network, runs=runs, times=2, remember=[0.0], progress=False)
        parts += _moved("digits", rate, moved.weight_correlation(0.1)[:, -1], moved.sign_changes()[:, -1])
        report(0.85 + 0.1 * (i + 1) / len(_RATES))
    for rate in _THEORY_RATES:
        experiment = _THEORY.experiment.replace({"training.learning_rate": rate})
        start = experiment.initial(_THEORY.dimension)
        course = integrate(experiment, start, remember=[0.0], times=2, points=_POINTS)
        parts += _moved("theory", rate, course.weight_correlation(0.1)[-1:], course.sign_changes()[-1:])
    report(1.0)
    return pd.DataFrame(parts)


def _moved(by: str, rate: float, common: np.ndarray, signs: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for part, values in (("R", common), ("signs", signs)):
        error = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
        rows.append({"by": by, "treatment": "dense", "x": rate, "value": values.mean(), "standard_error": error, "part": part})
    return rows


def draw(table: pd.DataFrame) -> Any:
    """Tickets of the network, of the theory; and how much is left of the largest initial weights against the rate."""
    with style():
        figure, axes = new_figure(1, 3, width=2.9, height=2.8)
        for axis, by, title in zip(axes[0], ("digits", "theory"), ("digits, 100-50 units", "theory: XOR mixture"), strict=False):
            for name in ("dense", *_TREATMENTS):
                part = table[(table["by"] == by) & (table["treatment"] == name) & (table["part"] == "accuracy")].sort_values("x")
                if name == "dense":
                    axis.axhline(part["value"].mean(), color=COLOURS[name], linewidth=1, label=name)
                    continue
                look: Any = {"color": COLOURS[name], "marker": "o", "markersize": 3, "linewidth": 1, "capsize": 2, "label": name}
                axis.errorbar(part["x"], part["value"], yerr=2 * part["standard_error"], **look)
            axis.set_xscale("log")
            axis.set_xticks([0.05, 0.1, 0.2, 0.5], ["0.05", "0.1", "0.2", "0.5"])
            axis.minorticks_off()
            axis.set_xlabel("share of the weights kept")
            axis.set_title(title)
        axes[0, 0].set_ylabel("accuracy")
        axes[0, 0].legend(loc="lower right")
        moved, reference = axes[0, 2], {"digits": 0.012, "theory": 2.0}
        for by, line in (("digits", "-"), ("theory", "--")):
            for part_name, colour, words in (("R", CYCLE[0], "$R_{.1}$"), ("signs", CYCLE[2], "signs changed")):
                part = table[(table["by"] == by) & (table["part"] == part_name)]
                error = 2 * part["standard_error"].fillna(0.0)
                look = {"color": colour, "linestyle": line, "marker": "o", "markersize": 3, "linewidth": 1, "capsize": 2}
                moved.errorbar(part["x"] / reference[by], part["value"], yerr=error, label=f"{words}, {by}", **look)
        moved.set_xscale("log")
        moved.set_xticks([0.25, 0.5, 1.0, 2.0, 5.0], ["1/4", "1/2", "1", "2", "5"])
        moved.minorticks_off()
        moved.set_ylim(0, 1.2)  # room for the legend
        moved.set_yticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
        moved.set_xlabel("learning rate / reference")
        moved.set_title("weights, end and start")
        moved.legend(loc="upper center", ncols=2, fontsize=6.5)
    return figure


FIGURE = NamedFigure(
    title="Tickets on digits, beside those of the theory",
    caption=(
        "Left: test accuracy on scikit-learn's digits of a perceptron of 100 and 50 ReLU units, pruned by iterative "
        f"magnitude pruning ({listed(_ROUNDS)} rounds, a fifth of each layer in every round, weights rewound to the "
        f"start), and trained again: tickets, re-initialised, and with random masks; {_RUNS} networks, bars of two "
        f"standard errors, the dense networks grey. Middle: theory of the XOR mixture, one-shot pruning, {_DRAWS} draws. "
        "Right: the share of each unit's largest tenth of weights that is its largest tenth at the start too, and of all "
        "weights the share whose sign has changed, against the learning rate over a reference (digits 0.012, theory 2). "
        f"Theory: {settings_in_words(_THEORY.experiment, [], _THEORY.dimension)}."
    ),
    experiment=_STUDY,
    compute=compute,
    draw=draw,
    needs="networks",
)
