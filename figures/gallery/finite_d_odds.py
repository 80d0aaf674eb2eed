"""The odds of covering the clusters at finite D, by the diffusion and by SGD: from D = 200 to where SGD is out of reach.

The mean-field equations have no odds of their own: from one start they have one end. At finite D the noise of the examples draws
the lottery anew in each run, and the diffusion keeps it at a cost that does not know D.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.lottery import independent_tickets
from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, new_figure, style
from curriculode.sims.runs.observe import observe
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.study import Study

_EXPERIMENT, _LOTTERY = "xor-curriculum", "xor-lottery"
_STUDY, _TICKETS = Study.load(_EXPERIMENT), Study.load(_LOTTERY)
_ORDERS = ("curriculum", "random", "hard-only")
_DIMENSIONS = (200, 1000, 10**4, 10**5)
_MOST_OF_SGD = 10**4  # its steps are D times as many as those of the diffusion
_SHOWN = 1000  # whose distributions are drawn
_RUNS = 240
_WIDTHS = {4: 300, 6: 150, 8: 100, 16: 40}  # width -> runs of the lottery
_LARGE = 10**5  # its D
_SOURCES = {"diffusion": "diffusion", "SGD": "overlap"}  # name -> space
_COUNTS = np.arange(5)


def _minimal() -> Experiment:
    return _STUDY.experiment.replace({"student.width": 4})


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """One row a part, D, order or width, source and number of covered clusters: how many of the runs end there."""
    plan: list[tuple[dict[str, Any], Experiment, int, int, float]] = []
    for D in _DIMENSIONS:
        for order in _ORDERS:
            for source in _SOURCES:
                if source == "diffusion" or D <= _MOST_OF_SGD:
                    labels = {"part": "order", "dimension": D, "order": order, "width": 4, "source": source}
                    plan.append(
                        (labels, _minimal().replace({"protocol.order": order}), D, _RUNS, 3.0 if source == "diffusion" else D / 1e3)
                    )
    lottery = [(width, _LARGE, "diffusion") for width in _WIDTHS] + [(width, _TICKETS.dimension, "SGD") for width in _WIDTHS]
    for width, D, source in lottery:
        labels = {"part": "lottery", "dimension": D, "order": "hard-only", "width": width, "source": source}
        plan.append(
            (labels, _TICKETS.experiment.replace({"student.width": width}), D, _WIDTHS[width], 10.0 if D == _LARGE else 1.0)
        )
    costs = [runs * cost for *_, runs, cost in plan]
    rows = []
    for i, (labels, experiment, D, runs, _) in enumerate(plan):

        def advance(fraction: float, i: int = i) -> None:
            report((sum(costs[:i]) + fraction * costs[i]) / sum(costs))

        seen = observe(
            experiment,
            ["covered_clusters"],
            dimension=D,
            runs=max(16, round(scale * runs)),
            times=[experiment.protocol.duration],
            space=_SOURCES[str(labels["source"])],
            progress=advance,
        )
        if seen.interrupted:
            raise KeyboardInterrupt
        ends = seen.values["covered_clusters"][:, -1]
        rows += [{**labels, "covered_clusters": c, "count": int((ends == c).sum()), "runs": ends.size} for c in _COUNTS]
    return pd.DataFrame(rows)


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean number of covered clusters with its standard error, by D, order and source."""
    rows = []
    for (D, order, source), part in table[table["part"] == "order"].groupby(["dimension", "order", "source"], sort=False):
        share = part["count"] / part["runs"]
        mean = (share * part["covered_clusters"]).sum()
        variance = (share * (part["covered_clusters"] - mean) ** 2).sum()
        error = np.sqrt(variance / part["runs"].iloc[0])
        rows.append({"dimension": D, "order": order, "source": source, "mean": mean, "error": error})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Mean number of covered clusters against D, its distributions at one D, and the lottery against K."""
    found = means(table)
    with style():
        figure, (panels,) = new_figure(1, 3, width=3.3, height=2.8)
        mean, law, lottery = panels
        for order in _ORDERS:
            part, colour = found[found["order"] == order], ORDER_COLOURS[order]
            theory, seen = (part[part["source"] == source] for source in _SOURCES)
            mean.plot(theory["dimension"], theory["mean"], color=colour, label=order)
            mean.fill_between(
                theory["dimension"],
                theory["mean"] - 2 * theory["error"],
                theory["mean"] + 2 * theory["error"],
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
            mean.errorbar(seen["dimension"], seen["mean"], yerr=2 * seen["error"], fmt="o", color=colour, markersize=3.5, capsize=2)
        mean.set_xscale("log")
        mean.set_ylim(0, 4)
        mean.set_xlabel("input dimension D")
        mean.set_ylabel("covered clusters, mean")
        mean.set_title("lines: diffusion, points: SGD", fontsize=9)
        mean.legend()
        shown = table[(table["part"] == "order") & (table["dimension"] == min(_SHOWN, _MOST_OF_SGD))]
        for k, order in enumerate(_ORDERS):
            part = shown[shown["order"] == order]
            theory, seen = (part[part["source"] == source] for source in _SOURCES)
            x = _COUNTS + 0.27 * (k - 1)
            law.bar(x, theory["count"] / theory["runs"], width=0.25, color=ORDER_COLOURS[order], alpha=0.55)
            law.errorbar(x, seen["count"] / seen["runs"], yerr=_bars(seen), fmt="o", color="black", markersize=3, capsize=1.5)
        law.set_xlabel("covered clusters")
        law.set_ylabel("share of runs")
        law.set_title(f"D = {min(_SHOWN, _MOST_OF_SGD):,}: bars diffusion, points SGD", fontsize=9)
        full = table[(table["part"] == "lottery") & (table["covered_clusters"] == 4)]
        K = np.arange(min(_WIDTHS), max(_WIDTHS) + 1)
        lottery.plot(K, [independent_tickets(int(k), 4) for k in K], color="#888888", label="independent tickets")
        for shift, (source, part), colour in zip((0.97, 1.03), full.groupby("source"), ("black", CYCLE[2]), strict=True):
            look: Any = {"fmt": "o" if source == "diffusion" else "^", "color": colour, "markersize": 4, "capsize": 2}
            label = f"{source}, D = {part['dimension'].iloc[0]:,}"
            lottery.errorbar(shift * part["width"], part["count"] / part["runs"], yerr=_bars(part), label=label, **look)
        lottery.set_xscale("log", base=2)
        ticks = [4, 8, 16]
        lottery.set_xticks(ticks, [str(k) for k in ticks])
        lottery.set_xlabel("width K")
        lottery.set_ylabel("chance to cover all four")
        lottery.set_title("the lottery", fontsize=9)
        lottery.legend()
    return figure


def _bars(part: pd.DataFrame) -> np.ndarray:
    """95 % confidence intervals (Wilson) of the shares, as lengths below and above them, (2, rows)."""
    n, share = part["runs"].to_numpy(), (part["count"] / part["runs"]).to_numpy()
    z2 = 1.96**2
    middle, half = share + z2 / (2 * n), 1.96 * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return np.array([share - (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n) - share]).clip(min=0)


FIGURE = NamedFigure(
    title="The odds of the lottery at finite D: the diffusion and SGD, and the diffusion alone at large D",
    caption=(
        f"Clusters of the XOR mixture covered at the end, each run from a random start of its own. Left: mean over {_RUNS} runs "
        f"with two standard errors, by the diffusion and, to D = {_MOST_OF_SGD:,}, by online SGD, {listed(_ORDERS)}; middle: the "
        f"shares of runs at D = {_SHOWN:,} with 95 % confidence intervals of SGD; both with "
        f"{settings_in_words(_minimal(), ['protocol.order'])}. "
        f"Right: chance that all four are covered, {max(_WIDTHS.values())} (K = {min(_WIDTHS)}) to {min(_WIDTHS.values())} "
        f"(K = {max(_WIDTHS)}) runs, with 95 % confidence intervals: {settings_in_words(_TICKETS.experiment, ['student.width'])}. "
        "What a run covers shrinks with D, for a fixed time: the clusters are found after a time of order log D or more."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
