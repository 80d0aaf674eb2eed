"""The constants of a simulation at finite D, as the kernels of both spaces take them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.tasks.example_law import Labels
from curriculode.theory.units.losses import LOSSES


class Examples(NamedTuple):
    """How examples arise at every level.

    cumulative : (components,) cumulative probabilities;  labels : of all levels
    gain : (levels, components, P, blocks);  scale : (levels, blocks)
    """

    cumulative: np.ndarray
    labels: Labels
    gain: np.ndarray
    scale: np.ndarray


class Student(NamedTuple):
    """What the student computes and how it is told its error, in codes."""

    activation: int
    loss: int


class Steps(NamedTuple):
    """The sizes of a step: rate = eta / D, rate_v = eta_v / D, keep = 1 - eta kappa / D, keep_v likewise."""

    rate: float
    rate_v: float
    keep: float
    keep_v: float


@dataclass(frozen=True)
class Model:
    """A setting in D = `dimension` inputs.

    sizes : (blocks,) inputs D_b;  support : of each block its strata, numbers of inputs and overlaps (P, P) of the references there
    """

    setting: Setting
    dimension: int
    sizes: np.ndarray
    examples: Examples
    student: Student
    support: list[list[tuple[int, np.ndarray]]]

    @classmethod
    def of(cls, setting: Setting, dimension: int) -> "Model":
        """The model of a setting; raises `InputError` if a block has fewer than K + P inputs."""
        laws = setting.laws
        sizes = setting.blocks.sizes(dimension, setting.width)
        return cls(
            setting=setting,
            dimension=int(sizes.sum()),
            sizes=sizes,
            examples=Examples(
                cumulative=np.cumsum(laws[0].probability),
                labels=laws[0].labels,
                gain=np.ascontiguousarray([law.gain for law in laws]),
                scale=np.ascontiguousarray([law.scale for law in laws]),
            ),
            student=Student(setting.activation.code, LOSSES[setting.loss]),
            support=support_of(sizes, setting.strata),
        )

    def steps(self, rates: Rates) -> Steps:
        """The sizes of a step at these rates."""
        rate, rate_v = rates.eta / self.dimension, rates.eta_v / self.dimension
        return Steps(
            rate=rate,
            rate_v=rate_v,
            keep=1.0 - rates.eta * rates.kappa / self.dimension,
            keep_v=1.0 - rates.eta_v * rates.kappa / self.dimension,
        )


def support_of(sizes: np.ndarray, strata: tuple[np.ndarray, np.ndarray]) -> list[list[tuple[int, np.ndarray]]]:
    """Of each block of these `sizes` its strata: numbers of inputs, and overlaps (P, P) of the references there."""
    return [
        list(zip(_counts(size, shares), overlaps, strict=True))
        for size, shares, overlaps in zip(sizes, strata[0], strata[1], strict=True)
    ]


def _counts(size: int, shares: np.ndarray) -> list[int]:
    """Numbers of inputs of the strata of a block, summing to its `size`."""
    edges = np.rint(size * np.cumsum(np.concatenate([[0.0], shares])) / shares.sum()).astype(int)
    return [int(count) for count in np.diff(edges)]
