"""The law of one example at one level of difficulty, in the form that theory and simulation share.

With probability pi_c the example belongs to component c, and in each block b of the inputs

    x_b = sum_p a_{cpb} u_{p,b} / sqrt(D) + s_b z_b,      z ~ N(0, 1).

A task supplies this law, its blocks and the overlaps of its references; nothing else of it is known to the equations or
to the simulators.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from curriculode.theory.core.checks import number_within, numbers, truth, whole_number
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.units.activations import evaluate, is_known_code

NO_TEACHER = -1


class Labels(NamedTuple):
    """How labels arise, as kernels take it: `label` (components,) where `teacher` is NO_TEACHER, else the teacher's."""

    label: np.ndarray
    teacher: int
    readout: np.ndarray
    sign: bool
    noise: float


@dataclass(frozen=True)
class Teacher:
    """Labels from the reference fields: y = sum_p A_p g(nu_p), or its sign, plus noise.

    Parameters
    ----------
    activation : int, optional
        Code of g; by default there is no teacher.
    readout : ndarray of shape (P,), optional
        A_p.
    sign : bool, default False
        Whether the label is the sign of the sum.
    noise : float, default 0.0
        Standard deviation of the noise.
    """

    activation: int = NO_TEACHER
    readout: np.ndarray = field(default_factory=lambda: np.zeros(0))
    sign: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        code = whole_number("the teacher's activation", self.activation, NO_TEACHER, 2**63 - 1)
        if code != NO_TEACHER and not is_known_code(code):
            raise InputError(f"the teacher's activation = {code} is no code of an activation; give that of one, as of Committee.g")
        object.__setattr__(self, "activation", code)
        object.__setattr__(self, "readout", np.atleast_1d(numbers("the teacher's readout", self.readout)))
        object.__setattr__(self, "sign", truth("the teacher's sign", self.sign))
        noise = number_within("the teacher's noise", self.noise, 0.0, 1e15, "it must be at least 0 and finite")
        object.__setattr__(self, "noise", noise)

    @property
    def exists(self) -> bool:
        """Whether labels come from the references at all, and not from the component."""
        return self.activation != NO_TEACHER


@dataclass(frozen=True)
class ExampleLaw:
    """The Gaussian mixture of one level.

    With probability pi_c the example belongs to component c, and in each block b of the inputs::

        x_b = sum_p a_{cpb} u_{p,b} / sqrt(D) + s_b z_b,      z ~ N(0, 1).

    Parameters
    ----------
    probability : array_like of shape (components,)
        pi_c, sums to 1.
    gain : array_like of shape (components, P, blocks)
        a_cpb of each reference.
    scale : array_like of shape (blocks,)
        s_b >= 0.
    label : array_like of shape (components,)
        y_c, where there is no teacher.
    teacher : Teacher, optional
        How the label follows from the reference fields, where there is one.

    Raises
    ------
    InputError
        Where shapes do not fit together, probabilities do not sum to 1, or scales are negative.
    """

    probability: np.ndarray
    gain: np.ndarray
    scale: np.ndarray
    label: np.ndarray
    teacher: Teacher = field(default_factory=Teacher)

    def __post_init__(self) -> None:
        for name in ("probability", "gain", "scale", "label"):
            value = np.ascontiguousarray(numbers(f"the law's {name}", getattr(self, name), finite=False))
            if not np.isfinite(value).all():
                raise InputError(f"the law of the examples has a {name} that is no finite number")
            object.__setattr__(self, name, value)
        if not isinstance(self.teacher, Teacher):
            raise InputError(f"teacher = {shown(self.teacher)} is not allowed; give a curriculode.Teacher")
        components = self.probability.size
        if self.probability.ndim != 1 or self.gain.ndim != 3 or self.label.shape != (components,) or self.scale.ndim != 1:
            self._unfit()
        if self.gain.shape[0] != components or self.gain.shape[2] != self.scale.size:
            self._unfit()
        if (self.probability < 0).any() or abs(self.probability.sum() - 1.0) > 1e-9:
            raise InputError(f"the probabilities of the components, {self.probability.tolist()}, must be >= 0 and sum to 1")
        if (self.scale < 0).any():
            raise InputError(f"the scales of the blocks, {self.scale.tolist()}, must be >= 0")
        if self.teacher.exists and self.teacher.readout.shape != (self.gain.shape[1],):
            raise InputError(
                f"the teacher has a readout of {self.teacher.readout.size} numbers for {self.gain.shape[1]} references; give one "
                "each"
            )

    def _unfit(self) -> None:
        raise InputError(
            f"the law of the examples has shapes probability {self.probability.shape}, gain {self.gain.shape}, scale "
            f"{self.scale.shape}, label {self.label.shape}; allowed: (components,), (components, references, blocks), (blocks,), "
            "(components,)"
        )

    @property
    def labels(self) -> Labels:
        """How labels arise, for kernels."""
        teacher = self.teacher
        return Labels(self.label, teacher.activation, teacher.readout, teacher.sign, teacher.noise)

    def has_labels_of(self, other: "ExampleLaw") -> bool:
        """Return whether another level has the same components, labels and teacher.

        A level may change gain and scale alone.

        Parameters
        ----------
        other : ExampleLaw
            Of the other level.

        Returns
        -------
        bool
            Whether it has.
        """
        if not isinstance(other, ExampleLaw):
            raise InputError(f"other = {shown(other)} is not allowed; give a curriculode.ExampleLaw")
        same = (np.array_equal(getattr(self, name), getattr(other, name)) for name in ("probability", "label"))
        mine, theirs = self.teacher, other.teacher
        alike = (mine.activation, mine.sign, mine.noise) == (theirs.activation, theirs.sign, theirs.noise)
        return all(same) and self.gain.shape == other.gain.shape and alike and np.array_equal(mine.readout, theirs.readout)


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
