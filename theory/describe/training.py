"""How the student is trained: online, or in batches.

`OnlineSGD`: stochastic gradient descent, one fresh example a step.

    w_k <- (1 - eta kappa / D) w_k - (eta / sqrt(D)) e v_k g'(lambda_k) x
    v_k <- (1 - eta_v kappa / D) v_k - (eta_v / D) e g(lambda_k)

`BatchSlices`: each slice s of the examples is learnt to convergence, tied elastically to the weights of the slice before.

    w_s = argmin_w  sum_{mu in s} l(w . x_mu / sqrt(D), y_mu) + (gamma_s / 2) |w|^2 + (gamma_{s,s-1} / 2) |w - w_{s-1}|^2
"""

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from curriculode.theory.core.description import Description
from curriculode.theory.core.errors import InputError

if TYPE_CHECKING:
    from curriculode.theory.describe.committee import Committee
    from curriculode.theory.tasks import TeacherStudent, XorMixture

_LARGEST = 1e9


class OnlineSGD(Description):
    """Online stochastic gradient descent.

    learning_rate : eta >= 0, of the weights
    readout_learning_rate : eta_v >= 0, of the readout; by default eta
    weight_decay : kappa >= 0, of weights and trained readout
    loss : "squared", (f-y)^2/2, or "logistic", ln(1+exp(-y f))

    >>> OnlineSGD(learning_rate=1.5).eta_v
    1.5
    """

    kind: Literal["online-sgd"] = "online-sgd"
    learning_rate: Annotated[float, Field(ge=0, le=1e6)]
    readout_learning_rate: Annotated[float, Field(ge=0)] | None = None
    weight_decay: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    loss: Literal["squared", "logistic"] = "squared"

    @property
    def eta_v(self) -> float:
        """Learning rate of the readout."""
        return self.learning_rate if self.readout_learning_rate is None else self.readout_learning_rate


class BatchSlices(Description):
    """Batch learning in slices with elastic consolidation (Saglietti, Sarao Mannelli, Saxe 2022, 2106.08068).

    The slices are the stages of the protocol: `curriculum` and `anti-curriculum` learn one level a slice, `random` all
    examples in one pooled slice. For a perceptron: a sign teacher, and a linear student of width 1.

    regularization : gamma_s >= 0, a number for all slices, or a list of one for each slice in the order in which they are learnt
    coupling : gamma_{s,s-1} >= 0, a number, or a list of one for each slice after the first; an order of one slice has no use
        for the number
    Each may be "optimal": all its values, jointly, such that the test error on the hardest level after the last slice is
    least (by the state evolution; minimisation at finite D takes the same values).
    loss : "squared", (f-y)^2/2, "logistic", ln(1+exp(-y f)), or "hinge", max(0, 1 - y f)

    >>> BatchSlices(regularization=0.1, coupling=2.0).couplings(3)
    [0.0, 2.0, 2.0]
    """

    kind: Literal["batch-slices"] = "batch-slices"
    loss: Literal["squared", "logistic", "hinge"] = "logistic"
    regularization: float | list[float] | Literal["optimal"]
    coupling: float | list[float] | Literal["optimal"] = 0.0

    @field_validator("regularization", "coupling", mode="before")
    @classmethod
    def _strength(cls, value: Any, info: Any) -> Any:
        """One sentence for whatever is neither strengths nor "optimal"."""
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        if value == "optimal":
            return value
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= _LARGEST:
                raise InputError(
                    f"BatchSlices: {info.field_name} = {value!r} is not allowed; give a number from 0 to {_LARGEST:g}, "
                    'a list of them (one for each slice), or "optimal"'
                )
        return [float(number) for number in numbers] if isinstance(value, (list, tuple)) else float(value)

    def regularizations(self, slices: int) -> list[float]:
        """gamma_s of each of so many slices; NaN where it is to be optimised."""
        return _spread("regularization", self.regularization, slices, slices)

    def couplings(self, slices: int) -> list[float]:
        """gamma_{s,s-1} of each of so many slices, 0 for the first; NaN where it is to be optimised."""
        return [0.0, *_spread("coupling", self.coupling, slices - 1, slices)]

    def check(self, task: "TeacherStudent | XorMixture", student: "Committee", slices: int) -> None:
        """Raise `InputError` for what is learnt in slices by a perceptron only."""
        if task.kind != "teacher-student" or task.teacher_width != 1 or task.teacher_activation != "sign" or task.A[0] != 1.0:
            raise InputError(
                'training.kind = "batch-slices" is for a perceptron: task.kind = "teacher-student" with teacher_width = 1, '
                'teacher_activation = "sign" and teacher_readout = 1'
            )
        fixed = student.readout == "fixed" and student.readout_start == "equal" and student.v_scale == 1.0
        if student.width != 1 or student.activation != "linear" or not fixed:
            raise InputError(
                'training.kind = "batch-slices" is for a linear student: student.width = 1, activation = "linear", '
                'readout = "fixed", readout_start = "equal" and readout_scale = 1'
            )
        self.regularizations(slices)
        self.couplings(slices)


Training = OnlineSGD | BatchSlices
TRAININGS: dict[str, type[OnlineSGD] | type[BatchSlices]] = {"online-sgd": OnlineSGD, "batch-slices": BatchSlices}


def _spread(name: str, value: float | list[float] | str, count: int, slices: int) -> list[float]:
    if value == "optimal":
        return [math.nan] * count
    if isinstance(value, list):
        if len(value) != count:
            raise InputError(
                f"training.{name} has {len(value)} numbers, but this order learns {slices} slice(s) and needs {count}; "
                "give one number for all"
            )
        return list(value)
    return [float(value)] * count
