"""Which kind of order is best: phase diagrams of the perceptron over share and difficulty, duration and rate; of XOR over width.

At each place the best order is searched for; the kind is the simplest order that is as good (`Optimum.best_order`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.labels import parameter_label
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.sweep.sweep import sweep
from curriculode.theory.control.kinds import KINDS
from curriculode.theory.describe.experiment import load
from curriculode.theory.describe.optimization import Optimization

_PERCEPTRON = load("perceptron-curriculum").replace(
    {"training.learning_rate": 3.0, "levels.hard.irrelevant_variance": 2.0, "protocol.duration": 6.0}
)
_XOR = load("xor-curriculum").replace({"protocol.duration": 30.0})
_BOTH = {"classification_error": {"easy": 0.5, "hard": 0.5}}
# Parts of the figure: the experiment, what is varied, and how the optimum is searched for.
_PARTS: dict[str, dict[str, Any]] = {
    "share": {
        "experiment": _PERCEPTRON,
        "over": {"levels.easy.share": [0.1, 0.3, 0.5, 0.7, 0.9], "levels.hard.irrelevant_variance": [0.5, 1.0, 2.0, 4.0]},
        "search": {"objective": _BOTH, "starts": 1, "tests": 2, "iterations": 30},
    },
    "rate": {
        "experiment": _PERCEPTRON,
        "over": {"protocol.duration": [1.5, 3.0, 6.0, 12.0, 24.0], "training.learning_rate": [0.5, 1.0, 2.0, 4.0]},
        "search": {"objective": _BOTH, "starts": 1, "tests": 2, "iterations": 30},
    },
    "width": {
        "experiment": _XOR,
        "over": {"student.width": [2, 4, 8], "levels.easy.share": [0.1, 0.4, 0.7]},
        "search": {"starts": 2, "tests": 8, "iterations": 6},
    },
}
_TITLES = {"share": "perceptron", "rate": "perceptron, half easy", "width": "XOR mixture"}
_STAGES, _DIMENSION, _POINTS, _RTOL = 8, 1000, 64, 3e-3
_COLOURS = ("#DDDDDD", "#0072B2", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#999999", "#D55E00")  # of the kinds


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """The kind of the best order at every place, and what it gains on the classical ones."""
    tables = []
    sizes = [part["experiment"].student.width + 8.0 * (name == "width") for name, part in _PARTS.items()]
    work = np.concatenate([[0.0], np.cumsum(sizes)]) / sum(sizes)
    for i, (name, part) in enumerate(_PARTS.items()):
        search = {**part["search"], "tests": max(2, round(scale * part["search"]["tests"]))}
        table = sweep(
            part["experiment"],
            part["over"],
            optimization=Optimization(control=("order",), stages=_STAGES, **search),
            dimension=_DIMENSION,
            points=_POINTS,
            rtol=_RTOL,
            observables=["objective", "gain", "kind"],
            progress=lambda fraction, i=i: report(work[i] + fraction * (work[i + 1] - work[i])),  # type: ignore[misc]
        )
        if table.attrs["interrupted"]:
            raise KeyboardInterrupt
        tables.append(table.drop(columns=["protocol.order", "seconds"]).assign(part=name))
    return pd.concat(tables, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """The kinds as colours, a panel a part."""
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    parts = list(dict.fromkeys(table["part"]))
    colours, norm = ListedColormap(_COLOURS), BoundaryNorm(np.arange(len(KINDS) + 1) - 0.5, len(KINDS))
    with style():
        figure, axes = new_figure(1, len(parts), width=2.9, height=3.0)
        found: set[int] = set()
        for axis, name in zip(axes[0], parts, strict=True):
            x, y = _PARTS[name]["over"]
            here = table[(table["part"] == name) & (table["treatment"] == "optimum")].pivot(index=y, columns=x, values="kind")
            axis.imshow(here.to_numpy(), cmap=colours, norm=norm, origin="lower", aspect="auto")
            axis.set_xticks(range(here.shape[1]), [f"{value:g}" for value in here.columns])
            axis.set_yticks(range(here.shape[0]), [f"{value:g}" for value in here.index])
            axis.set_xlabel(parameter_label(x))
            axis.set_ylabel(parameter_label(y))
            axis.set_title(_TITLES[name])
            axis.grid(visible=False)
            found |= {int(kind) for kind in here.to_numpy().ravel() if np.isfinite(kind)}
        handles = [Patch(color=_COLOURS[kind], label=KINDS[kind]) for kind in sorted(found)]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    return figure


FIGURE = NamedFigure(
    title="Which kind of order is best: share, difficulty, duration, rate and width",
    caption=(
        f"At each place the order of least error at the end was searched for in {_STAGES} stages, with the examples of all other "
        "orders; shown is the simplest kind that is as good: one that loses at most a twentieth of what separates the best "
        "from the worst of curriculum, random and anti-curriculum, on starts that the search has not seen. Perceptron: the mean "
        f"classification error of both levels. Settings: {settings_in_words(_PERCEPTRON, ['protocol.order'], _DIMENSION)}; XOR: "
        "generalisation error on the hard level, searches of at most six steps. Settings: "
        f"{settings_in_words(_XOR, ['protocol.order'], _DIMENSION)}."
    ),
    experiment=_PERCEPTRON,
    compute=compute,
    draw=draw,
)
