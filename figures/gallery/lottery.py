"""The lottery of a minimal network: how many of the four clusters it ends up covering, and how the odds grow with K.

Ben Arous, Gheissari and Jagannath (2206.04030): with K = 4 ReLU units, logistic loss and low noise the chance to cover all
four clusters is 3/32, that of independent uniform tickets: P = sum_j (-1)^j C(4, j) (1 - j/4)^K. Measured with 10,000 runs it is
a little more, 0.103 with the 95 % interval 0.097 to 0.109: the units of one network are not quite independent. At high noise the
easy examples keep the odds, first in a curriculum or mixed in at random; the hard ones alone lose them.
"""

from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, new_figure, style
from curriculode.sims.runs.observe import observe
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-lottery"
_WIDTHS = {4: 10_000, 6: 2_000, 8: 1_500, 12: 800, 16: 500, 32: 128}  # width -> runs
_NOISES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_ORDERS = ("curriculum", "random", "hard-only")
_STUDY = Study.load(_EXPERIMENT)
_MINIMAL = 4  # one unit a cluster
# The part at high noise: shorter, with easy examples.
_SHORT, _EASY, _RUNS_AT_NOISE = 30.0, {"share": 0.2, "noise": 0.05}, 1_500


def independent_tickets(width: int, covered: int, chance: float = 0.25) -> float:
    """Chance that `width` independent tickets, each on any one of four clusters with `chance`, cover exactly `covered` of them.

    >>> independent_tickets(4, 4)
    0.09375
    """
    onto = sum((-1) ** j * comb(covered, j) * (1.0 - (4 - covered + j) * chance) ** width for j in range(covered + 1))
    return comb(4, covered) * onto


def at_noise(noise: float, order: str) -> Experiment:
    """The minimal network for a shorter time, on easy examples and hard ones of such noise."""
    tables = _STUDY.experiment.replace({"student.width": _MINIMAL}).to_dict()
    tables["protocol"] |= {"duration": _SHORT, "order": order}
    return Experiment.from_dict({**tables, "levels": {"easy": _EASY, "hard": {"noise": noise}}})


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Frequencies of 0..4 covered clusters for each width at low noise, and for each order and noise at K = 4."""
    plan: list[tuple[dict[str, Any], Experiment, int]] = []
    for width, runs in _WIDTHS.items():
        plan.append(({"part": "width", "width": width}, _STUDY.experiment.replace({"student.width": width}), runs))
    for noise in _NOISES:
        for order in _ORDERS:
            place: dict[str, Any] = {"part": "order", "width": _MINIMAL, "noise": noise, "order": order}
            plan.append((place, at_noise(noise, order), _RUNS_AT_NOISE))
    # Steps cost about K^2 / 2 + 3 K.
    costs = [runs * e.protocol.duration * (e.student.width**2 / 2 + 3 * e.student.width) for _, e, runs in plan]
    parts = []
    for i, (labels, experiment, runs) in enumerate(plan):

        def advance(fraction: float, i: int = i) -> None:
            report((sum(costs[:i]) + fraction * costs[i]) / sum(costs))

        seen = observe(
            experiment,
            ["covered_clusters"],
            dimension=_STUDY.dimension,
            runs=max(16, round(scale * runs)),
            times=[experiment.protocol.duration],
            progress=advance,
        )
        if seen.interrupted:
            raise KeyboardInterrupt
        table = seen.frequencies("covered_clusters", range(5))
        table["independent_tickets"] = [independent_tickets(experiment.student.width, c) for c in range(5)]
        table["of_runs"] = seen.run.size
        parts.append(table.assign(**labels))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Distribution at K = 4, odds against K, and odds against noise for the orders."""
    with style():
        figure, axes = new_figure(1, 3)
        histogram, odds, noise = axes[0]
        minimal = table[(table["part"] == "width") & (table["width"] == _MINIMAL)]
        x = minimal["covered_clusters"].to_numpy()
        _bars(histogram, x - 0.2, minimal, CYCLE[0], f"SGD, {minimal['of_runs'].iloc[0]:,} runs")
        histogram.bar(x + 0.2, minimal["independent_tickets"], width=0.4, color="#BBBBBB", label="independent tickets")
        histogram.set_xlabel("covered clusters")
        histogram.set_ylabel("frequency")
        histogram.set_title(f"a minimal network, K = {_MINIMAL}")
        histogram.legend()
        full = table[(table["part"] == "width") & (table["covered_clusters"] == 4)]
        widths = np.arange(_MINIMAL, full["width"].max() + 1)
        odds.plot(widths, [independent_tickets(int(w), 4) for w in widths], color="#888888", label="independent tickets")
        odds.errorbar(
            full["width"], full["frequency"], yerr=_interval(full), fmt="o", color=CYCLE[0], markersize=4, capsize=2, label="SGD"
        )
        odds.axhline(float(_CHANCE), color="#BBBBBB", linewidth=0.8, linestyle=":")
        odds.annotate(str(_CHANCE), (widths[-1], float(_CHANCE)), ha="right", va="bottom", fontsize=8)
        odds.set_xscale("log", base=2)
        odds.set_xticks([4, 8, 16, 32], ["4", "8", "16", "32"])
        odds.set_xlabel("width K")
        odds.set_ylabel("chance to cover all four")
        odds.set_title("more tickets")
        odds.legend()
        for order, part in table[(table["part"] == "order") & (table["covered_clusters"] == 4)].groupby("order", sort=False):
            look: Any = {"fmt": "o-", "markersize": 3.5, "capsize": 2, "color": ORDER_COLOURS[str(order)], "label": order}
            noise.errorbar(part["noise"], part["frequency"], yerr=_interval(part), **look)
        noise.set_ylim(bottom=0)
        noise.set_xlabel("noise of the hard level")
        noise.set_title(f"easy examples keep the odds (K = {_MINIMAL})")
        noise.legend()
    return figure


_CHANCE = Fraction(independent_tickets(_MINIMAL, 4))


def _interval(part: pd.DataFrame) -> np.ndarray:
    return np.array([part["frequency"] - part["low"], part["high"] - part["frequency"]]).clip(min=0)


def _bars(axis: Any, x: np.ndarray, part: pd.DataFrame, colour: str, label: str) -> None:
    axis.bar(x, part["frequency"], width=0.4, color=colour, label=label)
    axis.errorbar(x, part["frequency"], yerr=_interval(part), fmt="none", color="black", capsize=2, linewidth=0.8)


_TICKETS = settings_in_words(_STUDY.experiment, ["student.width"], _STUDY.dimension)
_AT_NOISE = settings_in_words(at_noise(_NOISES[0], _ORDERS[0]), ["levels.hard.noise", "protocol.order"])
_RUNS = f"{max(_WIDTHS.values()):,} (K = {min(_WIDTHS)}) to {min(_WIDTHS.values())} (K = {max(_WIDTHS)})"

FIGURE = NamedFigure(
    title=f"The lottery's odds: {_CHANCE} at K = {_MINIMAL}, how they grow with K, and what easy examples add",
    caption=(
        f"Clusters of the XOR mixture covered by online SGD, with 95 % confidence intervals. Left and middle, from {_RUNS} runs: "
        f"{_TICKETS}. Right, {_RUNS_AT_NOISE:,} runs a point, {listed(_ORDERS)}: {_AT_NOISE}. A unit covers the cluster of its "
        "largest cosine if that exceeds 1/2 and its readout has the right sign."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
