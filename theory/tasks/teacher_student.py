"""Teacher-student: the label is the output of a fixed committee that sees the relevant inputs only.

    y = sum_m A_m g_T(nu_m) + label_noise N(0, 1),    nu_m = u_m . x / sqrt(D),    or  y = sign(sum_m A_m g_T(nu_m))

A fraction rho = `relevant_fraction` of the inputs has unit variance and carries the teacher; on the others a level sets the
variance `irrelevant_variance` = Delta: the smaller, the easier. Saad & Solla 1995 (PRE 52, 4225); with irrelevant inputs and a
sign teacher, the curriculum perceptron: Saglietti, Sarao Mannelli, Saxe 2022 (2106.08068).
"""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field, field_validator, model_validator

from curriculode.theory.core.checks import numbers
from curriculode.theory.core.description import LARGEST, NOT_TINY, PART
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.tasks.example_law import ExampleLaw, Teacher
from curriculode.theory.tasks.label_moments import label_moments
from curriculode.theory.tasks.level import Level
from curriculode.theory.tasks.strata import on_support
from curriculode.theory.tasks.task import Task, register_task
from curriculode.theory.units.activations import SIGN, activation

_SIGN_KEEPING = ("erf", "relu", "gelu", "linear", "tanh", "sign", "hermite-1")


def _known(name: str) -> str:
    return name if name == "sign" else activation(name).name


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class TeacherStudentLevel(Level):
    """Level of a teacher-student task.

    Parameters
    ----------
    irrelevant_variance : float, optional
        Delta >= 0 of the irrelevant inputs, where there are some.
    """

    irrelevant_variance: Annotated[float, Field(ge=0, le=LARGEST), NOT_TINY] | None = None


@register_task
class TeacherStudent(Task):
    """A teacher committee on the relevant inputs.

    The label is::

        y = sum_m A_m g_T(nu_m) + label_noise N(0, 1),    nu_m = u_m . x / sqrt(D),    or  y = sign(sum_m A_m g_T(nu_m))

    Saad & Solla 1995 (PRE 52, 4225); with irrelevant inputs and a sign teacher, the curriculum perceptron: Saglietti, Sarao
    Mannelli, Saxe 2022 (2106.08068).

    Parameters
    ----------
    kind : {"teacher-student"}
        Its name in files.
    teacher_width : int
        M, from 1 to 1000.
    teacher_activation : str, default "erf"
        As for the student, or "sign" (the perceptron teacher).
    relevant_fraction : float, default 1.0
        rho in (0, 1]; below 1 (by at least 1e-9) the inputs form two blocks (relevant, irrelevant).
    label_noise : float, default 0.0
        Standard deviation of the noise on the label, >= 0 (up to 1e6); none on sign labels.
    teacher_overlap : array_like of shape (M, M), optional
        T_mn = u_m . u_n / D, positive definite; by default the identity.
    teacher_readout : float, sequence of float, or {"1/sqrt(M)", "1/M"}, default 1.0
        A_m: a number for all, or M numbers, up to 1e6 in size.
    label : {"value", "sign"}, default "value"
        The teacher's output (regression) or its sign (classification).
    support : float, default 1.0
        Share of the relevant inputs, in (0, 1], on which the teacher's units are non-zero, for all of them the same. Dense training
        does not see it; masks do.
    labels : {"teacher", "random", "one"}, default "teacher"
        The teacher's; or labels that know nothing of the input: of a classification +1 and -1 as often, of a regression the mean of
        the teacher's label plus or minus its standard deviation, as often (the squared loss knows no more of such labels); or, of a
        classification, +1 for all. To begin with other labels and go on with the task, train with them first, and take the state
        for the start (Frankle, Schwab & Morcos 2020, 2002.10365).

    Examples
    --------
    >>> TeacherStudent(teacher_width=2, relevant_fraction=0.5).block_fractions()
    array([0.5, 0.5])
    """

    kind: Literal["teacher-student"] = "teacher-student"
    teacher_width: Annotated[int, Field(ge=1, le=1000)]
    teacher_activation: Annotated[str, AfterValidator(_known)] = "erf"
    relevant_fraction: Annotated[float, Field(gt=0, le=1), PART] = 1.0
    label_noise: Annotated[float, Field(ge=0, le=LARGEST), NOT_TINY] = 0.0
    teacher_overlap: tuple[tuple[float, ...], ...] | None = None
    teacher_readout: float | tuple[float, ...] | Literal["1/sqrt(M)", "1/M"] = 1.0
    label: Literal["value", "sign"] = "value"

    support: Annotated[float, Field(gt=0, le=1), PART] = 1.0
    labels: Literal["teacher", "random", "one"] = "teacher"

    level_type: ClassVar[type[Level]] = TeacherStudentLevel
    observable_names: ClassVar[tuple[str, ...]] = ("generalization_error", "classification_error", "specialization")

    @field_validator("teacher_overlap", "teacher_readout", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: Any) -> Any:
        """One sentence for whatever is neither numbers nor a name."""
        matrix = info.field_name == "teacher_overlap"
        if value is None or (not matrix and isinstance(value, str) and value in ("1/sqrt(M)", "1/M")):
            return value
        try:
            given = numbers(info.field_name, value)
            if given.ndim not in ((2,) if matrix else (0, 1)) or (np.abs(given) > LARGEST).any():
                raise ValueError
        except ValueError:
            allowed = "a square matrix of numbers" if matrix else 'a number, a list of numbers, "1/sqrt(M)" or "1/M"'
            allowed += f", none beyond {LARGEST:g}"
            raise InputError(f"{cls.__name__}: {info.field_name} = {shown(value)} is not allowed; give {allowed}") from None
        return tuple(tuple(row) for row in given.tolist()) if matrix else _tuple(given.tolist())

    @model_validator(mode="after")
    def _check(self) -> "TeacherStudent":
        M = self.teacher_width
        if self.teacher_overlap is not None:
            rows = self.teacher_overlap
            if len(rows) != M or any(len(row) != M for row in rows):
                raise InputError(f"teacher_overlap must be a {M} x {M} matrix, one row a teacher unit (teacher_width = {M})")
            T = np.array(rows)
            if not np.allclose(T, T.T) or np.linalg.eigvalsh(T)[0] <= 1e-12 * max(1.0, np.abs(T).max()):
                raise InputError(
                    "teacher_overlap is no covariance of independent vectors; it must be symmetric and positive definite, "
                    "as u_m . u_n / D is"
                )
        if isinstance(self.teacher_readout, tuple) and len(self.teacher_readout) != M:
            raise InputError(
                f"teacher_readout has {len(self.teacher_readout)} numbers; it must be one number, or {M} (teacher_width)"
            )
        if self.label_noise > 0 and self.binary_labels:
            raise InputError(f"label_noise = {self.label_noise} is not allowed with labels +1 and -1; set it to 0")
        if self.labels == "one" and not self.binary_labels:
            raise InputError('labels = "one" is for labels +1 and -1, and the teacher\'s are real numbers; set label = "sign"')
        return self

    @property
    def A(self) -> np.ndarray:
        """The teacher's readout, (M,)."""
        M = self.teacher_width
        named = {"1/sqrt(M)": M**-0.5, "1/M": 1.0 / M}
        value = named[self.teacher_readout] if isinstance(self.teacher_readout, str) else self.teacher_readout
        return np.broadcast_to(np.asarray(value, dtype=float), (M,)).copy()

    @property
    def binary_labels(self) -> bool:
        """Whether every label is +1 or -1."""
        single = self.teacher_activation == "sign" and self.teacher_width == 1 and abs(self.A[0]) == 1.0
        return self.label == "sign" or single

    @property
    def reference_names(self) -> tuple[str, ...]:
        """Names of the teacher units."""
        return tuple(f"teacher {m}" for m in range(self.teacher_width))

    def block_fractions(self) -> np.ndarray:
        """Return the fraction phi_b of the inputs in each block.

        Returns
        -------
        ndarray of shape (blocks,)
            (rho, 1 - rho), those above 0.
        """
        split = np.array([self.relevant_fraction, 1.0 - self.relevant_fraction])
        return split[split > 0]

    def reference_overlap(self) -> np.ndarray:
        """Return the overlaps T^b of the teacher units within each block.

        Returns
        -------
        ndarray of shape (blocks, M, M)
            The teacher's on the relevant block, zero on the irrelevant one.
        """
        T = np.eye(self.teacher_width) if self.teacher_overlap is None else np.array(self.teacher_overlap, dtype=float)
        return np.stack([T, np.zeros_like(T)][: self.block_fractions().size])

    def strata(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the coordinates with and without teacher weights, and the overlaps of the teacher's units there.

        Returns
        -------
        shares : ndarray of shape (blocks, strata)
            Of all coordinates.
        overlaps : ndarray of shape (blocks, strata, M, M)
            All of T^b on the support.
        """
        return on_support(self.support, self.block_fractions(), self.reference_overlap())

    def example_law(self, level: Any) -> ExampleLaw:
        """Return the law of the examples of a level: one component of mean zero.

        Parameters
        ----------
        level : Level
            With `irrelevant_variance` where there are irrelevant inputs.

        Returns
        -------
        ExampleLaw
            The law.

        Raises
        ------
        InputError
            For a variance that is needed and missing, or given and of no use.
        """
        level = self.own_level(level)
        blocks = self.block_fractions().size
        if blocks == 2 and level.irrelevant_variance is None:
            raise InputError(f"level {shown(level.name)} needs 'irrelevant_variance' (>= 0), the variance of the irrelevant inputs")
        if blocks == 1 and level.irrelevant_variance is not None:
            raise InputError(
                f"level {shown(level.name)} has irrelevant_variance {level.irrelevant_variance}, but relevant_fraction is 1: "
                "set task.relevant_fraction below 1"
            )
        scale = np.sqrt(np.array([1.0, level.irrelevant_variance or 0.0])[:blocks])
        code = SIGN if self.teacher_activation == "sign" else activation(self.teacher_activation).code
        if self.labels != "teacher":
            label = self._other_labels()
            return ExampleLaw(
                probability=np.full(label.size, 1.0 / label.size),
                gain=np.zeros((label.size, self.teacher_width, blocks)),
                scale=scale,
                label=label,
            )
        sign = self.label == "sign"
        readout = self.A
        if sign and self.teacher_width == 1 and readout[0] != 0 and self.teacher_activation in _SIGN_KEEPING:
            # The sign of one such unit is the sign of its field: a label with closed forms.
            code, readout, sign = SIGN, np.sign(readout), False
        return ExampleLaw(
            probability=np.ones(1),
            gain=np.zeros((1, self.teacher_width, blocks)),
            scale=scale,
            label=np.zeros(1),
            teacher=Teacher(code, readout, sign, self.label_noise),
        )

    def _other_labels(self) -> np.ndarray:
        """The labels that know nothing of the input, each as often."""
        if self.labels == "one":
            return np.ones(1)
        if self.binary_labels:
            return np.array([1.0, -1.0])
        g = np.sign if self.teacher_activation == "sign" else activation(self.teacher_activation)
        mean, square = label_moments(g, self.A, self.reference_overlap()[0])
        return mean + np.array([1.0, -1.0]) * np.sqrt(square - mean**2 + self.label_noise**2)

    def definitions(self) -> list[str]:
        """Return label, fields and blocks in words.

        Returns
        -------
        list of str
            A line each.
        """
        output = f"sum_m A_m {self.teacher_activation}(ν_m)"
        label = f"sign({output})" if self.label == "sign" else output
        noise = f" + {self.label_noise:g} N(0, 1)" if self.label_noise else ""
        told = f"y = {label}{noise}"
        if self.labels != "teacher":
            told = "y = " + " or ".join(f"{value:g}" for value in self._other_labels()) + ", whatever the input"
        lines = [f"{told},  M = {self.teacher_width};  Cov(λ_k, λ_l) = sum_b s_b² Q^b_kl, Cov(λ_k, ν_m) = M_km"]
        if self.relevant_fraction < 1:
            lines.append(f"blocks b: relevant (φ = {self.relevant_fraction:g}, s = 1) and irrelevant (s² is the level's variance)")
        return lines
