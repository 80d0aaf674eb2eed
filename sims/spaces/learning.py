"""What a step does once the fields are known, the same in both spaces: outputs, labels, errors, forces, readout.

The run is last in every array: units have shape (K, lanes), a number a run (lanes,).
"""

from typing import NamedTuple

import numpy as np

from curriculode.sims.spaces.arithmetic import fma, part
from curriculode.theory.units.losses import error_signal


class Units(NamedTuple):
    """The readout v, the fields lambda, g and g' of them, and how far the weights are pushed; each (K, lanes)."""

    v: np.ndarray
    field: np.ndarray
    g: np.ndarray
    dg: np.ndarray
    push: np.ndarray

    @classmethod
    def empty(cls, width: int, lanes: int) -> "Units":
        """Units of zeros."""
        return cls(*(np.zeros((width, lanes)) for _ in cls._fields))


class Answers(NamedTuple):
    """The output f, the label y and the error signal e; each (lanes,)."""

    f: np.ndarray
    y: np.ndarray
    e: np.ndarray

    @classmethod
    def empty(cls, lanes: int) -> "Answers":
        """Answers of zeros."""
        return cls(*(np.zeros(lanes) for _ in cls._fields))


class References(NamedTuple):
    """The fields nu of the references, g and g' of them; each (P, lanes)."""

    nu: np.ndarray
    g: np.ndarray
    dg: np.ndarray

    @classmethod
    def empty(cls, references: int, lanes: int) -> "References":
        """References of zeros."""
        return cls(*(np.zeros((references, lanes)) for _ in cls._fields))


@part
def respond(v, g, f, lanes):
    """The output f (lanes,) of units whose g is known."""
    for run in range(lanes):
        f[run] = 0.0
    for k in range(v.shape[0]):
        for run in range(lanes):
            f[run] = fma(v[k, run], g[k, run], f[run])


@part
def learn(loss, rate, rate_v, keep_v, v, g, dg, push, f, y, e, lanes):
    """The error signals e, how far the weights are pushed along x, and the step of the readout."""
    for run in range(lanes):
        e[run] = error_signal(loss, f[run], y[run])
    for k in range(v.shape[0]):
        for run in range(lanes):
            push[k, run] = rate * e[run] * v[k, run] * dg[k, run]
            v[k, run] = fma(keep_v, v[k, run], -(rate_v * e[run] * g[k, run]))
