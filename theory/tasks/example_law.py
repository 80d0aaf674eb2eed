"""The law of one example at one level of difficulty, in the form that theory and simulation share.

With probability pi_c the example belongs to component c, and in each block b of the inputs

    x_b = sum_p a_{cpb} u_{p,b} / sqrt(D) + s_b z_b,      z ~ N(0, 1).

A task supplies this law, its blocks and the overlaps of its references; nothing else of it is known to the equations or
to the simulators.
"""

from dataclasses import dataclass, field

import numpy as np

from curriculode.theory.core.compiled import kernel
from curriculode.theory.units.activations import evaluate

NO_TEACHER = -1


@dataclass(frozen=True)
class Teacher:
    """Labels from the reference fields: y = sum_p A_p g(nu_p), or its sign, plus noise of standard deviation `noise`."""

    activation: int = NO_TEACHER
    readout: np.ndarray = field(default_factory=lambda: np.zeros(0))
    sign: bool = False
    noise: float = 0.0

    @property
    def exists(self) -> bool:
        """Whether labels come from the references at all, and not from the component."""
        return self.activation != NO_TEACHER


@dataclass(frozen=True)
class ExampleLaw:
    """The Gaussian mixture of one level.

    probability : (components,)                     pi_c, sums to 1
    gain        : (components, references, blocks)  a_cpb
    scale       : (blocks,)                         s_b >= 0
    label       : (components,)                     y_c, where there is no teacher
    teacher     : how the label follows from the reference fields, where there is one
    """

    probability: np.ndarray
    gain: np.ndarray
    scale: np.ndarray
    label: np.ndarray
    teacher: Teacher = field(default_factory=Teacher)


@kernel
def teacher_labels(activation, readout, sign, nu, g, dg, y):
    """Labels y (n,) without noise of the reference fields nu (P, n); g and dg (P, n) are for work."""
    evaluate(activation, nu.ravel(), g.ravel(), dg.ravel())
    y[:] = 0.0
    for p in range(nu.shape[0]):
        for i in range(nu.shape[1]):
            y[i] += readout[p] * g[p, i]
    if sign:
        for i in range(nu.shape[1]):
            y[i] = 1.0 if y[i] > 0.0 else -1.0
