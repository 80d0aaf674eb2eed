"""How the student is trained: online, or in batches.

`OnlineSGD`: stochastic gradient descent, one fresh example a step.

    w_k <- (1 - eta kappa / D) w_k - (eta / sqrt(D)) e v_k g'(lambda_k) x
    v_k <- (1 - eta_v kappa / D) v_k - (eta_v / D) e g(lambda_k)

`BatchSlices`: each slice s of the examples is learnt to convergence, tied elastically to the weights of the slice before.

    w_s = argmin_w  sum_{mu in s} l(w . x_mu / sqrt(D), y_mu) + (gamma_s / 2) |w|^2 + (gamma_{s,s-1} / 2) |w - w_{s-1}|^2
"""

import math
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from curriculode.theory.core.arguments import CHECKS, checked, instance
from curriculode.theory.core.description import LARGEST, Description
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.registry import Registry
from curriculode.theory.describe.committee import Committee
from curriculode.theory.describe.protocol import Protocol
from curriculode.theory.tasks import Task, TeacherStudent

_LARGEST = 1e9


CHECKS["task"] = instance(Task, "give a curriculode.Task, such as XorMixture()")
CHECKS["student"] = instance(Committee, "give a curriculode.Committee, such as Committee(width=4)")
CHECKS["protocol"] = instance(Protocol, "give a curriculode.Protocol, such as Protocol.single(duration=10.0, noise=0.4)")


class Rates(NamedTuple):
    """The rates of a stage, as kernels take them.

    Parameters
    ----------
    eta : float
        Of the weights.
    eta_v : float
        Of the readout; 0 where it is fixed.
    kappa : float
        Weight decay.
    """

    eta: float
    eta_v: float
    kappa: float


class Training(Description):
    """How the student is trained; `kind` is its name in files.

    Parameters
    ----------
    kind : str
        Its name in files.
    loss : str
        l(f, y).

    Attributes
    ----------
    stored : bool
        Whether examples are stored and learnt to convergence, so that results are points and no course in time.
    """

    kind: str
    loss: str
    stored: ClassVar[bool] = False

    @checked
    def check(self, task: Task, student: Committee, protocol: Protocol) -> None:
        """Raise `InputError` for what cannot be trained in this way.

        Parameters
        ----------
        task : Task
            Of the experiment.
        student : Committee
            Of the experiment.
        protocol : Protocol
            Of the experiment.
        """


TRAININGS: Registry[type[Training]] = Registry("training.kind")


class Stepped(Training):
    """Training by steps of gradient descent, one example each, at rates that a stage may change.

    Parameters
    ----------
    kind : str
        Its name in files.
    loss : str
        l(f, y).
    learning_rate : float
        eta >= 0, of the weights.
    readout_learning_rate : float, optional
        eta_v >= 0, of the readout; by default eta.
    weight_decay : float, default 0.0
        kappa >= 0, of weights and trained readout; like the rates at most 1e6.
    """

    learning_rate: Annotated[float, Field(ge=0, le=LARGEST)]
    readout_learning_rate: Annotated[float, Field(ge=0, le=LARGEST)] | None = None
    weight_decay: Annotated[float, Field(ge=0, le=LARGEST)] = 0.0

    @property
    def eta_v(self) -> float:
        """Learning rate of the readout."""
        return self.learning_rate if self.readout_learning_rate is None else self.readout_learning_rate

    @checked
    def rates(self, readout_trained: bool = True, learning_rate: float | None = None) -> Rates:
        """Return the rates of a stage.

        Parameters
        ----------
        readout_trained : bool, default True
            Whether the readout is trained; its rate is 0 otherwise.
        learning_rate : float, optional
            The stage's own eta, by default the training's; the readout's keeps its ratio to it.

        Returns
        -------
        Rates
            eta, eta_v and kappa.
        """
        eta, eta_v = self.learning_rate, self.eta_v
        if learning_rate is not None:
            eta_v = learning_rate if self.readout_learning_rate is None else eta_v * (learning_rate / eta if eta > 0 else 1.0)
            eta = learning_rate
        return Rates(eta, eta_v if readout_trained else 0.0, self.weight_decay)

    @checked
    def check_rates(self, protocol: Protocol) -> None:
        """Raise `InputError` for rates of stages that make the readout's too large.

        Parameters
        ----------
        protocol : Protocol
            Of the experiment.

        Raises
        ------
        InputError
            Where one of them is.
        """
        for stage in protocol.stages():
            rate = self.rates(True, stage.learning_rate).eta_v
            if not rate <= LARGEST:
                raise InputError(
                    f"a stage of learning_rate {stage.learning_rate:g} makes that of the readout {rate:g}, as its ratio to the "
                    f"training's is kept; it must be at most {LARGEST:g}"
                )


class OnlineSGD(Stepped):
    """Online stochastic gradient descent, one fresh example a step.

    A step is::

        w_k <- (1 - eta kappa / D) w_k - (eta / sqrt(D)) e v_k g'(lambda_k) x
        v_k <- (1 - eta_v kappa / D) v_k - (eta_v / D) e g(lambda_k),          e = dl/df

    Parameters
    ----------
    kind : {"online-sgd"}
        Its name in files.
    loss : {"squared", "logistic"}, default "squared"
        (f - y)^2 / 2, or ln(1 + exp(-y f)).
    learning_rate : float
        eta >= 0, of the weights.
    readout_learning_rate : float, optional
        eta_v >= 0, of the readout; by default eta.
    weight_decay : float, default 0.0
        kappa >= 0, of weights and trained readout; like the rates at most 1e6.

    Examples
    --------
    >>> OnlineSGD(learning_rate=1.5).eta_v
    1.5
    """

    kind: Literal["online-sgd"] = "online-sgd"
    loss: Literal["squared", "logistic"] = "squared"

    @checked
    def check(self, task: Task, student: Committee, protocol: Protocol) -> None:
        """Raise `InputError` for a loss that the labels do not fit.

        Parameters
        ----------
        task : Task
            Of the experiment.
        student : Committee
            Of the experiment; any will do.
        protocol : Protocol
            Of the experiment; any will do.

        Raises
        ------
        InputError
            For the logistic loss with labels other than +1 and -1.
        """
        if self.loss == "logistic" and not task.binary_labels:
            raise InputError(
                'the logistic loss needs labels +1 and -1, but the teacher\'s are real numbers; use task.label = "sign" '
                'or training.loss = "squared"'
            )
        self.check_rates(protocol)


class BatchSlices(Training):
    """Batch learning in slices with elastic consolidation (Saglietti, Sarao Mannelli, Saxe 2022, 2106.08068).

    Each slice s of the examples is learnt to convergence, tied to the weights of the slice before::

        w_s = argmin_w  sum_{mu in s} l(w . x_mu / sqrt(D), y_mu) + (gamma_s / 2) |w|^2 + (gamma_{s,s-1} / 2) |w - w_{s-1}|^2

    The slices are the stages of the protocol: `curriculum` and `anti-curriculum` learn one level a slice, `random` all
    examples in one pooled slice. For a perceptron: a sign teacher, and a linear student of width 1.

    Parameters
    ----------
    kind : {"batch-slices"}
        Its name in files.
    loss : {"squared", "logistic", "hinge"}, default "logistic"
        (f - y)^2 / 2, ln(1 + exp(-y f)), or max(0, 1 - y f).
    regularization : float, sequence of float, or "optimal"
        gamma_s >= 0, a number for all slices, or one for each slice in the order in which they are learnt.
    coupling : float, sequence of float, or "optimal", default 0.0
        gamma_{s,s-1} >= 0, a number, or one for each slice after the first; an order of one slice has no use for the number.

    Notes
    -----
    Either may be "optimal": all its values, jointly, such that the test error on the hardest level after the last slice is
    least (by the state evolution; minimisation at finite D takes the same values).

    Examples
    --------
    >>> BatchSlices(regularization=0.1, coupling=2.0).couplings(3)
    [0.0, 2.0, 2.0]
    """

    kind: Literal["batch-slices"] = "batch-slices"
    stored: ClassVar[bool] = True
    loss: Literal["squared", "logistic", "hinge"] = "logistic"
    regularization: float | tuple[float, ...] | Literal["optimal"]
    coupling: float | tuple[float, ...] | Literal["optimal"] = 0.0

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
                    f"BatchSlices: {info.field_name} = {shown(value)} is not allowed; give a number from 0 to {_LARGEST:g}, "
                    'a list of them (one for each slice), or "optimal"'
                )
        return tuple(float(number) for number in numbers) if isinstance(value, (list, tuple)) else float(value)

    @checked
    def regularizations(self, slices: int) -> list[float]:
        """Return gamma_s of each slice.

        Parameters
        ----------
        slices : int
            How many there are.

        Returns
        -------
        list of float
            One for each; NaN where it is to be optimised.

        Raises
        ------
        InputError
            Where strengths are given for another number of slices.
        """
        return _spread("regularization", self.regularization, slices, slices)

    @checked
    def couplings(self, slices: int) -> list[float]:
        """Return gamma_{s,s-1} of each slice.

        Parameters
        ----------
        slices : int
            How many there are.

        Returns
        -------
        list of float
            One for each, 0 for the first; NaN where it is to be optimised.

        Raises
        ------
        InputError
            Where strengths are given for another number of slices.
        """
        return [0.0, *_spread("coupling", self.coupling, slices - 1, slices)]

    @checked
    def check(self, task: Task, student: Committee, protocol: Protocol) -> None:
        """Raise `InputError` for what is learnt in slices by a perceptron only.

        Parameters
        ----------
        task : Task
            Of the experiment; a teacher of one sign unit.
        student : Committee
            Of the experiment; one linear unit with a readout fixed at 1.
        protocol : Protocol
            Of the experiment; without learning rates of its stages.

        Raises
        ------
        InputError
            For any other, and for strengths of another number of slices.
        """
        perceptron = isinstance(task, TeacherStudent) and task.teacher_width == 1 and task.teacher_activation == "sign"
        if not perceptron or task.A[0] != 1.0:  # type: ignore[attr-defined]
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
        stages = protocol.stages()
        if any(stage.learning_rate is not None for stage in stages):
            raise InputError('a stage with a learning_rate is for online learning; training.kind = "batch-slices" has none')
        self.regularizations(len(stages))
        self.couplings(len(stages))


for _kind in (OnlineSGD, BatchSlices):
    TRAININGS.add(_kind.model_fields["kind"].default, _kind)


def _spread(name: str, value: float | tuple[float, ...] | str, count: int, slices: int) -> list[float]:
    if value == "optimal":
        return [math.nan] * count
    if isinstance(value, tuple):
        if len(value) != count:
            raise InputError(
                f"training.{name} has {len(value)} numbers, but this order learns {slices} slice(s) and needs {count}; "
                "give one number for all"
            )
        return list(value)
    return [float(value)] * count
