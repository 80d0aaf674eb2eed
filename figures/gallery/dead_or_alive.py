"""Where weight decay kills: the threshold of small ReLU units, and the fold of GELU units, over the noise.

A small ReLU unit outgrows its decay below kappa_c, in closed form. For GELU units the dead state attracts at every decay; what
lives ends
in a fold, which is found by following the state at rest.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.study import Study
from curriculode.theory.landscape.continuation import continuation
from curriculode.theory.landscape.fixed_point import fixed_point
from curriculode.theory.landscape.thresholds import relu_threshold
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "xor-curriculum"
_NOISES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the fold
_CURVE = np.linspace(0.02, 1.0, 50)
_RATES = (0.0, 1.5)
_AROUND = (0.97, 1.03)  # of a boundary, where integrations are to live and to die
_CHECKED = (0.3, 0.5, 0.7)
_POINTS, _LONG = 256, 400.0
_CHANGES = {"training.learning_rate": 1.5, "protocol.order": "hard-only", "protocol.duration": _LONG}
_VARIED = ("training.weight_decay", "levels", "protocol.duration", "protocol.order")
_STUDY = Study.load(_EXPERIMENT)


def _all_four(v: float) -> OrderParameters:
    """Four units, one on each cluster."""
    M = v * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    return OrderParameters(M @ M.T + 0.05 * np.eye(4), M, v * np.array([1.0, 1.0, -1.0, -1.0]))


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """kappa_c of ReLU units by loss and rate, folds of GELU units, and whether integrations on both sides live."""
    rows: list[dict[str, Any]] = []
    for loss in ("squared", "logistic"):
        for rate in _RATES:
            for s in _CURVE:
                rows.append({"part": "relu", "loss": loss, "rate": rate, "noise": s, "decay": relu_threshold(s, rate, loss)})
    base = _STUDY.experiment.replace(_CHANGES)
    for i, s in enumerate(_NOISES):
        experiment = base.replace({"levels.hard.noise": s, "training.weight_decay": 0.03})
        state = fixed_point(experiment, _all_four(0.7), settle=50.0, points=_POINTS).state
        branch = continuation(experiment, "training.weight_decay", state, to=0.25, step=0.02, points=_POINTS, most=40)
        fold = float(branch.folds[0])
        rows.append({"part": "gelu", "loss": "squared", "rate": base.training.learning_rate, "noise": s, "decay": fold})  # type: ignore[attr-defined]
        if s in _CHECKED:
            rows += [_lives(experiment, state, fold * factor) for factor in _AROUND]
        report((i + 1) / len(_NOISES))
    return pd.DataFrame(rows)


def _lives(experiment: Any, state: OrderParameters, decay: float) -> dict[str, Any]:
    """Whether the state lives on at a weight decay, to the end of a long protocol."""
    end = integrate(
        experiment.replace({"training.weight_decay": decay}), state, points=_POINTS, times=2, estimate_error=False
    ).state()
    alive = float(np.abs(end.v).max()) > 0.1
    return {
        "part": "checked",
        "loss": "squared",
        "rate": 1.5,
        "noise": experiment.get("levels.hard.noise"),
        "decay": decay,
        "alive": alive,
    }


def draw(table: pd.DataFrame) -> Any:
    """Weight decay against noise."""
    with style():
        figure, axes = new_figure(1, 1, width=4.6, height=3.5)
        axis = axes[0, 0]
        relu = table[table["part"] == "relu"]
        for colour, (loss, part) in zip(CYCLE, relu.groupby("loss", sort=False), strict=False):
            for line, (rate, curve) in zip(("-", "--"), part.groupby("rate", sort=False), strict=False):
                axis.plot(curve["noise"], curve["decay"], line, color=colour, label=rf"ReLU, {loss} loss, $\eta$ = {rate:g}")
        fold = table[table["part"] == "gelu"]
        axis.plot(fold["noise"], fold["decay"], color=CYCLE[2], marker="s", markersize=3, label="GELU, squared loss: fold")
        checked = table[table["part"] == "checked"]
        for alive, marker in ((True, "o"), (False, "x")):
            part = checked[checked["alive"].astype(bool) == alive]
            axis.plot(
                part["noise"],
                part["decay"],
                marker,
                color="black",
                markersize=4,
                label="integrated: " + ("lives" if alive else "dies"),
            )
        axis.set_xlabel("noise σ")
        axis.set_ylabel(r"weight decay $\kappa$")
        axis.set_ylim(0.0, None)
        axis.set_title("below: learnable, above: dead", fontsize=9)
        axis.legend(fontsize=7)
    return figure


FIGURE = NamedFigure(
    title="Where weight decay kills: the threshold of small ReLU units and the fold of GELU units, over the noise",
    caption=(
        f"ReLU: the weight decay below which a small unit grows, in closed form, for both losses at the learning rates "
        f"{listed(_RATES)}. GELU: "
        "the fold in which the student of four units that covers all clusters ends, by pseudo-arclength continuation; "
        "integrations for "
        f"t = {_LONG:g} at {listed(_AROUND)} times the fold's decay live (circles) or die (crosses). "
        f"{settings_in_words(_STUDY.experiment.replace(_CHANGES), _VARIED)}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
