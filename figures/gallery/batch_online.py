"""Online against batch: test error of the perceptron with irrelevant inputs against the number of examples.

Online, each example is used once (`perceptron-curriculum`); in batches, all of a slice until convergence (`batch-perceptron`).
Saglietti, Sarao Mannelli and Saxe (2106.08068).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.sims.runs.minimize import minimize
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.batch import state_evolution
from curriculode.theory.describe.experiment import load
from curriculode.theory.solve.integrate import integrate

_BATCH, _ONLINE = "batch-perceptron", "perceptron-curriculum"
_ALPHAS = (0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
_MEASURED = (0.5, 1.0, 2.0, 4.0)
_DIMENSION, _RUNS, _STARTS = 1000, 16, 4
_OPTIMAL = {"training.regularization": "optimal", "training.coupling": "optimal"}


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Final test error of curriculum and random (pooled) order for each number of examples, online and in batches.

    Below scale 0.1 for fewer numbers of examples.
    """
    runs = max(2, round(scale * _RUNS))
    batch, online = load(_BATCH).replace(_OPTIMAL), load(_ONLINE)
    plan = [(order, alpha) for order in ("curriculum", "random") for alpha in _ALPHAS[:: 1 if scale >= 0.1 else 4]]
    rows = []
    for i, (order, alpha) in enumerate(plan):
        changes = {"protocol.order": order, "protocol.duration": alpha}
        learner = online.replace(changes)
        starts = [learner.initial(_DIMENSION, 0, j) for j in range(_STARTS)]
        ends = [integrate(learner, start, times=[alpha], estimate_error=False).classification_error[-1] for start in starts]
        rows.append({"way": "online", "order": order, "alpha": alpha, "theory": np.mean(ends)})
        slices = batch.replace(changes)
        rows.append({"way": "batch", "order": order, "alpha": alpha, "theory": state_evolution(slices).classification_error[-1]})
        if alpha in _MEASURED:
            chosen = [starts[j % _STARTS] for j in range(runs)]
            ensembles = (
                simulate(learner, dimension=_DIMENSION, runs=runs, start=chosen, times=[alpha], progress=False),
                minimize(slices, dimension=_DIMENSION, runs=runs, progress=False),
            )
            for row, ensemble in zip(rows[-2:], ensembles, strict=True):
                if ensemble.interrupted:
                    raise KeyboardInterrupt
                errors = ensemble.classification_error[:, -1]
                row |= {"simulation": errors.mean(), "standard_error": errors.std(ddof=1) / np.sqrt(runs)}
        report((i + 1) / len(plan))
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Error against examples, and what the curriculum saves, online and in batches."""
    names = {"curriculum": "curriculum", "random": "random / pooled"}
    with style():
        figure, axes = new_figure(1, 2, width=3.5, height=2.8)
        left, right = axes[0]
        for way, line in (("online", "--"), ("batch", "-")):
            for order in ("random", "curriculum"):
                part = table[(table["way"] == way) & (table["order"] == order)]
                colour = ORDER_COLOURS[order]
                left.plot(part["alpha"], part["theory"], line, color=colour, label=f"{way}, {names[order]}")
                left.errorbar(
                    part["alpha"], part["simulation"], yerr=2 * part["standard_error"], fmt="o", color=colour, markersize=3.5,
                    markerfacecolor="white", capsize=2,
                )  # fmt: skip
            saved = table[table["way"] == way].pivot_table(index="alpha", columns="order", values="theory")
            right.plot(saved.index, saved["random"] - saved["curriculum"], line, color="#000000", label=way)
        left.set_ylabel("test error on the hard level")
        left.set_title("test error")
        left.set_ylim(0.0, 0.56)
        left.legend(loc="upper right", fontsize=7.5)
        right.axhline(0.0, color="#888888", linewidth=0.8)
        right.set_ylabel("test error saved")
        right.set_title("gain of the curriculum")
        right.legend(loc="upper left")
        for axis in axes[0]:
            axis.set_xscale("log")
            axis.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["0.25", "0.5", "1", "2", "4", "8"])
            axis.minorticks_off()
            axis.set_xlabel("examples per input dimension")
    return figure


FIGURE = NamedFigure(
    title="Online against batch: what the same examples teach, and what a curriculum saves",
    caption=(
        "Test error on the hard level (irrelevant variance 1) against the total number of examples over D, half of them easy "
        "(irrelevant variance 0); half of the inputs are relevant. Online: each example once, erf student, squared loss, learning "
        "rate 1, mean-field equations averaged over 4 starts. Batch: logistic loss, easy slice, then hard slice with elastic "
        "coupling, or all pooled, at the regularisations and coupling that minimise the error. Lines: theory; points: 16 runs "
        "at D = 1000 with two standard errors. Right: error of the random order (pooled slice) minus that of the curriculum."
    ),
    experiment=_BATCH,
    compute=compute,
    draw=draw,
)
