"""Online against batch: test error of the perceptron with irrelevant inputs against the number of examples.

Online, each example is used once (`perceptron-curriculum`); in batches, all of a slice until convergence (`batch-perceptron`).
Saglietti, Sarao Mannelli and Saxe (2106.08068).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.batch_errors import final_errors
from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.describe.experiment import load
from curriculode.theory.solve.integrate import integrate

_BATCH, _ONLINE = "batch-perceptron", "perceptron-curriculum"
_ALPHAS = (0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
_MEASURED = (0.5, 1.0, 2.0, 4.0)
_DIMENSION, _RUNS, _STARTS = 1000, 16, 4
_OPTIMAL = {"training.regularization": "optimal", "training.coupling": "optimal"}
_SLICES, _ONE_PASS = load(_BATCH).replace(_OPTIMAL), load(_ONLINE)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Final test error of curriculum and random (pooled) order for each number of examples, online and in batches.

    Below scale 0.1 for fewer numbers of examples.
    """
    runs = max(2, round(scale * _RUNS))
    plan = [(order, alpha) for order in ("curriculum", "random") for alpha in _ALPHAS[:: 1 if scale >= 0.1 else 4]]
    rows = []
    for i, (order, alpha) in enumerate(plan):
        changes = {"protocol.order": order, "protocol.duration": alpha}
        learner = _ONE_PASS.replace(changes)
        starts = [learner.initial(_DIMENSION, 0, j) for j in range(_STARTS)]
        ends = [integrate(learner, start, times=[alpha], estimate_error=False).classification_error[-1] for start in starts]
        row = {"way": "online", "order": order, "alpha": alpha, "theory": np.mean(ends)}
        if alpha in _MEASURED:
            chosen = [starts[j % _STARTS] for j in range(runs)]
            ensemble = simulate(learner, dimension=_DIMENSION, runs=runs, start=chosen, times=[alpha], progress=False)
            if ensemble.interrupted:
                raise KeyboardInterrupt
            errors = ensemble.classification_error[:, -1]
            row |= {"simulation": errors.mean(), "standard_error": errors.std(ddof=1) / np.sqrt(runs)}
        batch = final_errors(_SLICES.replace(changes), _DIMENSION, runs if alpha in _MEASURED else 0)
        rows += [row, {"way": "batch", "order": order, "alpha": alpha, **batch}]
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
                look: Any = {"fmt": "o", "color": colour, "markersize": 3.5, "markerfacecolor": "white", "capsize": 2}
                left.errorbar(part["alpha"], part["simulation"], yerr=2 * part["standard_error"], **look)
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


_VARIED = ["protocol.order", "protocol.duration"]

FIGURE = NamedFigure(
    title="Online against batch: what the same examples teach, and what a curriculum saves",
    caption=(
        "Test error on the hard level against the total number of examples over D. Online, each example once, mean-field equations "
        f"averaged over {_STARTS} starts: {settings_in_words(_ONE_PASS, _VARIED)}. Batch, the easy slice and then the hard one "
        "with elastic coupling, or all pooled, at the regularisations and coupling that minimise the error: "
        f"{settings_in_words(_SLICES, [*_VARIED, 'training.regularization', 'training.coupling'])}. Lines: theory; points: {_RUNS} "
        f"runs at D = {_DIMENSION} with two standard errors. Right: error of the random order (pooled slice) minus that of the "
        "curriculum."
    ),
    experiment=_BATCH,
    compute=compute,
    draw=draw,
)
