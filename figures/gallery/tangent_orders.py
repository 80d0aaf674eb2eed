"""What the order of examples does in the tangent space, where the problem is convex, and in the network that leaves it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.describe.committee import Committee
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.protocol import Protocol
from curriculode.theory.describe.tangent import TangentRidge, TangentSGD
from curriculode.theory.describe.training import OnlineSGD, Training
from curriculode.theory.solve.integrate import integrate
from curriculode.theory.solve.state_evolution import state_evolution
from curriculode.theory.tasks import Level, TeacherStudent

_DIMENSION, _RUNS, _DURATION, _RATE = 200, 24, 16.0, 0.7
_ORDERS = ("curriculum", "anti-curriculum", "random")
_TIMES = np.linspace(0.0, _DURATION, 17)
_KINDS: dict[str, Training] = {
    "tangent space": TangentSGD(learning_rate=_RATE),
    "network": OnlineSGD(learning_rate=_RATE),
}


def experiment(training: Training, order: Any) -> Experiment:
    """A committee that learns of a teacher on half of the inputs, the others easy (quiet) in half of the examples."""
    levels = (Level("easy", share=0.5, irrelevant_variance=0.1), Level("hard", share=0.5, irrelevant_variance=1.0))
    return Experiment(
        task=TeacherStudent(teacher_width=2, label_noise=0.2, relevant_fraction=0.5),
        student=Committee(width=4, readout_scale="1/sqrt(K)"),
        training=training,
        protocol=Protocol(order=order, duration=_DURATION, levels=levels),
    )


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Test loss on the hard level along every order, by theory and of runs from one start, and of the ridge that knows none."""
    runs, rows = max(4, round(scale * _RUNS)), []
    plan = [(kind, order) for kind in _KINDS for order in _ORDERS]
    for i, (kind, order) in enumerate(plan):
        here = experiment(_KINDS[kind], order)
        start = here.initial(_DIMENSION, 0)
        theory = integrate(here, start, times=_TIMES)
        found = simulate(here, dimension=_DIMENSION, runs=runs, start=start, times=_TIMES[::4], progress=False)
        measured = found.generalization_error
        frame = pd.DataFrame({"t": theory.t, "kind": kind, "order": order, "theory": theory.generalization_error})
        points = pd.DataFrame(
            {
                "t": _TIMES[::4],
                "simulation": measured.mean(axis=0),
                "error": measured.std(axis=0, ddof=1) / np.sqrt(runs),
            }
        )
        rows.append(frame.merge(points, on="t", how="left"))
        report((i + 1) / len(plan))
    ridge = experiment(TangentRidge(examples=tuple(_TIMES[2::2]), regularization="optimal"), "random")
    best = state_evolution(ridge, ridge.initial(_DIMENSION, 0), tolerance=1e-8)
    rows.append(pd.DataFrame({"t": best.t, "kind": "tangent space", "order": "any, stored", "theory": best.generalization_error}))
    return pd.concat(rows, ignore_index=True)


def draw(table: pd.DataFrame) -> Any:
    """Test loss against time in the tangent space and in the network."""
    with style():
        figure, axes = new_figure(1, 2, width=3.5, height=2.8, sharey=True)
        for axis, kind in zip(axes[0], _KINDS, strict=True):
            for order in (*_ORDERS, "any, stored"):
                here = table[(table["kind"] == kind) & (table["order"] == order)]
                if here.empty:
                    continue
                colour = ORDER_COLOURS.get(order, "black")
                axis.plot(here["t"], here["theory"], color=colour, label=order, ls="--" if order == "any, stored" else "-")
                points = here.dropna(subset="simulation")
                axis.errorbar(points["t"], points["simulation"], 2.0 * points["error"], color=colour, fmt="o", ms=3, capsize=2)
            axis.set_title(kind)
            axis.set_xlabel("examples per input dimension, t = n / D")
        axes[0, 0].set_ylabel("test loss on the hard level")
        axes[0, 0].set_ylim(bottom=0.0)
        axes[0, 0].legend(loc="upper right")
    return figure


FIGURE = NamedFigure(
    title="The order of examples in the tangent space and in the network",
    caption=(
        "Test loss on the hard level against time, of online SGD in the tangent space of a start (left) and of the network from "
        f"the same start with the same rates (right). Lines: theory; points: means of {_RUNS} runs at D = {_DIMENSION}, with bars "
        "of two standard errors. Dashes: the best ridge on stored examples, which knows no order. Settings: "
        f"{settings_in_words(experiment(_KINDS['network'], 'random'), ['protocol.order'])}."
    ),
    experiment=experiment(_KINDS["tangent space"], "curriculum"),
    compute=compute,
    draw=draw,
)
