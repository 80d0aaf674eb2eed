"""What a laboratory adds from outside: an activation, two tasks, an observable and a figure, in one module of its own."""

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

import curriculode as cu
from curriculode.figures.gallery import NamedFigure
from curriculode.theory.units.activations import activation


def swish(x: float) -> float:
    return x / (1.0 + math.exp(-x))


def swish_slope(x: float) -> float:
    s = 1.0 / (1.0 + math.exp(-x))
    return s + x * s * (1.0 - s)


cu.register_activation("swish", swish, swish_slope, formula="x / (1 + exp(-x))")


class CloudLevel(cu.Level):
    """noise : standard deviation of both clouds, > 0;  tilt : how much more of the signal is in the first half of the inputs."""

    noise: Annotated[float, Field(gt=0)] = 1.0
    tilt: Annotated[float, Field(ge=0, le=1)] = 0.0


@cu.register_task
class TwoClouds(cu.Task):
    """Two Gaussian clouds at +mu (label 1) and -mu (label -1), |mu|^2 / D = separation, in two halves of the inputs."""

    kind: Literal["two-clouds"] = "two-clouds"
    separation: Annotated[float, Field(gt=0)] = 1.0

    level_type: ClassVar[type[cu.Level]] = CloudLevel

    @property
    def reference_names(self) -> tuple[str, ...]:
        return ("mu",)

    def block_fractions(self) -> np.ndarray:
        return np.array([0.5, 0.5])

    def reference_overlap(self) -> np.ndarray:
        return np.full((2, 1, 1), 0.5 * self.separation)

    def example_law(self, level: Any) -> cu.ExampleLaw:
        halves = np.array([1.0 + level.tilt, 1.0 - level.tilt])
        return cu.ExampleLaw(
            probability=np.array([0.5, 0.5]),
            gain=np.array([1.0, -1.0])[:, None, None] * halves,
            scale=np.full(2, level.noise),
            label=np.array([1.0, -1.0]),
        )

    def definitions(self) -> list[str]:
        return [f"y = 1 and -1 at the clouds of mean mu and -mu, |mu|²/D = {self.separation:g}"]


class ShiftLevel(cu.Level):
    """shift : how far both clouds are from the origin, along the teacher."""

    shift: Annotated[float, Field(ge=0)] = 0.0


@cu.register_task
class ShiftedTeacher(cu.Task):
    """A teacher of one unit, g(nu), on inputs in two clouds at + and - `shift` times its weights."""

    kind: Literal["shifted-teacher"] = "shifted-teacher"
    teacher_activation: str = "swish"

    level_type: ClassVar[type[cu.Level]] = ShiftLevel
    observable_names: ClassVar[tuple[str, ...]] = ("generalization_error",)

    @property
    def binary_labels(self) -> bool:
        return False

    def reference_overlap(self) -> np.ndarray:
        return np.ones((1, 1, 1))

    def example_law(self, level: Any) -> cu.ExampleLaw:
        return cu.ExampleLaw(
            probability=np.array([0.5, 0.5]),
            gain=np.array([level.shift, -level.shift]).reshape(2, 1, 1),
            scale=np.ones(1),
            label=np.zeros(2),
            teacher=cu.Teacher(activation(self.teacher_activation).code, np.ones(1)),
        )


@cu.register_observable("length", label="root mean square of the lengths of the units")
def length(state: cu.OrderParameters) -> float:
    units = state.Q.shape[-1]
    return math.sqrt(np.trace(state.Q.reshape(-1, units, units).sum(axis=0)) / units)


def two_clouds(order: str = "curriculum") -> cu.Experiment:
    """Clouds that come closer to each other's noise, learnt by two swish units."""
    return cu.Experiment(
        task=TwoClouds(separation=1.0),
        student=cu.Committee(width=2, activation="swish", readout_scale=0.5),
        training=cu.OnlineSGD(learning_rate=0.5),
        protocol=cu.Protocol(
            order=order,
            duration=2.0,
            levels=[CloudLevel("easy", share=0.5, noise=0.5, tilt=0.5), CloudLevel("hard", share=0.5, noise=1.0)],
        ),
    )


def shifted_teacher() -> cu.Experiment:
    """One swish unit taught by another, first near the origin, then further out."""
    return cu.Experiment(
        task=ShiftedTeacher(),
        student=cu.Committee(width=2, activation="swish", readout_scale=0.5),
        training=cu.OnlineSGD(learning_rate=0.3),
        protocol=cu.Protocol(
            order="curriculum", duration=2.0, levels=[ShiftLevel("near", share=0.5), ShiftLevel("far", share=0.5, shift=0.7)]
        ),
    )


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    experiment = two_clouds()
    ensemble = cu.simulate(experiment, dimension=60, runs=max(1, round(10 * scale)), times=3, points=64, workers=1, progress=report)
    return ensemble.to_frame()


def draw(table: pd.DataFrame) -> Figure:
    figure = Figure()
    axes = figure.subplots()
    for _, run in table.groupby("run"):
        axes.plot(run["t"], run["length"])
    return figure


cu.register_figure(
    "clouds",
    NamedFigure(
        title="Lengths of swish units",
        caption="Their root mean square over time, a line a run.",
        experiment=two_clouds(),
        compute=compute,
        draw=draw,
    ),
)
