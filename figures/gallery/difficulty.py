"""Final loss against the overall difficulty, for two kinds of curricula, and how many clusters are covered.

Sarao Mannelli, Ivashynka, Saxe, Saglietti (2406.01589): a curriculum by fading (amplified centroids) ends below the random
order, and that below the hard examples alone, up to where nothing can be learnt and every loss is ln 2.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.paired_orders import observe_orders
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.study import Study

_EXPERIMENT = "xor-fading"
_STUDY = Study.load(_EXPERIMENT)
_NOISES = (0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
_SHOWN = (0.2, 0.4, 0.6)
_ORDERS = ("curriculum", "random", "hard-only")
_RUNS = 800
_EASIER = 0.4  # noise of easy examples over that of hard ones, in the curriculum by variance


def at_noise(experiment: Experiment, kind: str, noise: float) -> Experiment:
    """The experiment with hard noise `noise`, and easy examples that are amplified ("fading") or less noisy ("variance")."""
    if kind == "fading":
        return experiment.replace({"levels.easy.noise": noise, "levels.hard.noise": noise})
    return experiment.replace({"levels.easy.noise": _EASIER * noise, "levels.easy.fading": 1.0, "levels.hard.noise": noise})


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Final loss and frequencies of 0..4 covered clusters, for each kind of curriculum, noise and order."""
    runs = max(16, round(scale * _RUNS))
    plan = [(kind, noise) for kind in ("fading", "variance") for noise in _NOISES]
    rows = []
    for i, (kind, noise) in enumerate(plan):
        experiment = at_noise(_STUDY.experiment, kind, noise)

        def advance(fraction: float, i: int = i) -> None:
            report((i + fraction) / len(plan))

        names, times = ["generalization_error", "covered_clusters"], [experiment.protocol.duration]
        seen = observe_orders(experiment, _ORDERS, names, _STUDY.dimension, runs, times, _STUDY.numerics, advance)
        for order, observations in seen.items():
            covered = observations.frequencies("covered_clusters", range(5))["frequency"]
            labels = {"kind": kind, "noise": noise, "order": order, "runs": observations.run.size}
            loss = {
                "loss": observations.mean("generalization_error")[-1],
                "standard_error": observations.standard_error("generalization_error")[-1],
            }
            rows.append({**labels, **loss, **{f"covered_{c}": covered[c] for c in range(5)}})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Final loss against noise for both kinds of curriculum; histograms of covered clusters at three noises."""
    with style():
        figure, axes = new_figure(2, 3, width=2.9, height=2.3)
        for axis, kind, title in zip(axes[0], ("fading", "variance"), ("easy = amplified", "easy = less noise"), strict=False):
            for order in _ORDERS:
                part = table[(table["kind"] == kind) & (table["order"] == order)]
                look: Any = {"fmt": "o-", "markersize": 3, "capsize": 1.5, "linewidth": 1.2}
                look |= {"color": ORDER_COLOURS[order], "label": order}
                axis.errorbar(part["noise"], part["loss"], yerr=2 * part["standard_error"], **look)
            axis.axhline(np.log(2), color="#888888", linewidth=0.8, linestyle=":")
            axis.annotate("ln 2", (_NOISES[0], np.log(2)), va="bottom", fontsize=8)
            axis.set_ylim(0.15, 0.75)
            axis.set_xlabel(r"noise $\sigma$ of the hard level")
            axis.set_title(title)
        axes[0, 0].set_ylabel("final loss, hard level")
        axes[0, 0].legend(loc="lower right")
        gain = axes[0, 2]
        for kind, line in (("fading", "-"), ("variance", "--")):
            losses = table[table["kind"] == kind].pivot(index="noise", columns="order", values="loss")
            for order in ("curriculum", "random"):
                label = f"{order}, {'amplified' if kind == 'fading' else 'less noise'}"
                gain.plot(losses.index, losses["hard-only"] - losses[order], line, color=ORDER_COLOURS[order], label=label)
        gain.axhline(0, color="#888888", linewidth=0.8)
        gain.set_xlabel(r"noise $\sigma$ of the hard level")
        gain.set_ylabel("loss saved over hard-only")
        gain.set_title("what easy examples save")
        gain.set_ylim(top=0.19)
        gain.legend(loc="upper left", fontsize=7, ncols=2, columnspacing=0.8, handlelength=1.4)
        for axis, noise in zip(axes[1], _SHOWN, strict=True):
            for i, order in enumerate(_ORDERS):
                row = table[(table["kind"] == "fading") & (table["noise"] == noise) & (table["order"] == order)].iloc[0]
                heights = [row[f"covered_{c}"] for c in range(5)]
                axis.bar(np.arange(5) + 0.27 * (i - 1), heights, width=0.27, color=ORDER_COLOURS[order])
            axis.set_title(rf"easy = amplified, $\sigma$ = {noise:g}")
            axis.set_xlabel("covered clusters")
            axis.set_ylim(0, 1)
        axes[1, 0].set_ylabel("frequency")
    return figure


_FADING = _STUDY.experiment.get("levels.easy.fading")
_VARIED = ["protocol.order", "levels.easy.noise", "levels.easy.fading", "levels.hard.noise"]

FIGURE = NamedFigure(
    title="Overall difficulty: final loss against noise, and covered clusters, for two kinds of curricula",
    caption=(
        f"Easy examples have centroids {_FADING:g} times as long (amplified, the fading curriculum), or noise {_EASIER:g} times "
        f"that of the hard level (less noise). Above: mean final loss on the hard level of {_RUNS} runs of online SGD, bars of two "
        "standard errors (the runs are the same in all orders), and what easy examples save over hard ones alone. Below: how many "
        "of the four clusters a network ends up covering. Settings: "
        f"{settings_in_words(_STUDY.experiment, _VARIED, _STUDY.dimension)}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
