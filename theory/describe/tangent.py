"""Training in the tangent space of the start: by steps of SGD, or to the minimum of a ridge regression.

    f_lin = [f0] + sum_k dv_k g(lambda0_k) + sum_k v0_k g'(lambda0_k) (dw_k . x) / sqrt(D),     lambda0_k = w0_k . x / sqrt(D)

is linear in what is learnt, dw and dv; f0 is the output of the start.
"""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.description import LARGEST
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.committee import Committee
from curriculode.theory.describe.protocol import Protocol
from curriculode.theory.describe.training import Rates, Stepped, Training
from curriculode.theory.tasks import Task

_LEAST, _STRONGEST = 1e-6, 1e9
Layers = Literal["both", "first", "readout"]


def moving_layers(layers: str, student: Committee) -> tuple[bool, bool]:
    """Whether the first layer and the readout move: a readout that is fixed does not."""
    return layers != "readout", layers != "first" and student.readout == "trained"


def _check_layers(layers: str, student: Committee) -> None:
    if layers == "readout" and student.readout == "fixed":
        raise InputError(
            'training.layers = "readout" moves the readout alone, but student.readout = "fixed": nothing could be learnt'
        )


class TangentSGD(Stepped):
    """Online SGD in the tangent space of the start: the linear model takes the place of the network, example by example.

    With c_k = v0_k g'(lambda0_k) and g_k = g(lambda0_k) a step is::

        w_k <- (1 - eta kappa / D) w_k - (eta / sqrt(D)) (f_lin - y) c_k x
        v_k <- (1 - eta_v kappa / D) v_k - (eta_v / D) (f_lin - y) g_k

    Parameters
    ----------
    kind : {"tangent-sgd"}
        Its name in files.
    loss : {"squared"}
        (f - y)^2 / 2; the only one that is linear in what is learnt.
    learning_rate : float
        eta >= 0, of the weights.
    readout_learning_rate : float, optional
        eta_v >= 0, of the readout; by default eta.
    weight_decay : float, default 0.0
        kappa >= 0, of weights and trained readout; like the rates at most 1e6.
    centred : bool, default True
        Whether the output f0 of the start is subtracted from the model.
    layers : {"both", "first", "readout"}, default "both"
        Which layers move; "readout": random features.

    Examples
    --------
    >>> TangentSGD(learning_rate=0.5, layers="first").rates().eta_v
    0.0
    """

    kind: Literal["tangent-sgd"] = "tangent-sgd"
    loss: Literal["squared"] = "squared"
    centred: bool = True
    layers: Layers = "both"

    @checked
    def rates(self, readout_trained: bool = True, learning_rate: float | None = None) -> Rates:
        """Return the rates of a stage: 0 of a layer that does not move.

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
        rates = super().rates(readout_trained and self.layers != "first", learning_rate)
        return rates._replace(eta=0.0) if self.layers == "readout" else rates

    @checked
    def check(self, task: Task, student: Committee, protocol: Protocol) -> None:
        """Raise `InputError` for what cannot be trained in this way.

        Parameters
        ----------
        task : Task
            Of the experiment; any will do.
        student : Committee
            Of the experiment.
        protocol : Protocol
            Of the experiment.

        Raises
        ------
        InputError
            Where only the readout moves and that is fixed, and for rates that are too large.
        """
        _check_layers(self.layers, student)
        self.check_rates(protocol)


class TangentRidge(Training):
    """Ridge regression in the tangent space of the start, on alpha D stored examples.

    The minimum, over dw and dv, of::

        sum_mu (y_mu - f_lin(x_mu))^2 / 2 + (gamma / 2) |dw|^2 + (gamma_v D / 2) |dv|^2

    The levels have their shares of the examples; their order is of no account.

    Parameters
    ----------
    kind : {"tangent-ridge"}
        Its name in files.
    loss : {"squared"}
        (f - y)^2 / 2; the only one with linear equations.
    examples : float or sequence of float, optional
        alpha, examples per input dimension, 1e-6 to 1e6, or increasing numbers of them, solved one after the other; by default
        the duration of the protocol.
    regularization : float or "optimal"
        gamma >= 0; 0 is the limit of small gamma, the least norm that fits the examples best. "optimal" is the one of least test
        error on the hardest level, in theory, at each number of examples.
    readout_regularization : float, default 0.0
        gamma_v >= 0.
    centred : bool, default True
        Whether the output f0 of the start is subtracted from the model.
    layers : {"both", "first", "readout"}, default "both"
        Which layers move; "readout": random features.

    Examples
    --------
    >>> TangentRidge(examples=4.0, regularization=0.1).numbers(10.0)
    array([4.])
    """

    kind: Literal["tangent-ridge"] = "tangent-ridge"
    stored: ClassVar[bool] = True
    loss: Literal["squared"] = "squared"
    examples: float | tuple[float, ...] | None = None
    regularization: float | Literal["optimal"]
    readout_regularization: Annotated[float, Field(ge=0, le=LARGEST)] = 0.0
    centred: bool = True
    layers: Layers = "both"

    @field_validator("regularization", mode="before")
    @classmethod
    def _strength(cls, value: Any) -> Any:
        """One sentence for whatever is neither a strength nor "optimal"."""
        if isinstance(value, str) and value == "optimal":
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _STRONGEST:
            raise InputError(
                f"TangentRidge: regularization = {shown(value)} is not allowed; give a number from 0 (least norm) to "
                f'{_STRONGEST:g}, or "optimal"'
            )
        return float(value)

    @field_validator("examples", mode="before")
    @classmethod
    def _loads(cls, value: Any) -> Any:
        """One sentence for whatever are no numbers of examples."""
        if value is None:
            return None
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        fine = bool(numbers) and all(
            not isinstance(each, bool) and isinstance(each, (int, float)) and _LEAST <= each <= LARGEST for each in numbers
        )
        if not fine or any(b <= a for a, b in pairwise(numbers)):
            raise InputError(
                f"TangentRidge: examples = {shown(value)} is not allowed; give a number per input dimension from {_LEAST:g} to "
                f"{LARGEST:g}, or increasing ones"
            )
        return tuple(float(each) for each in numbers) if isinstance(value, (list, tuple)) else float(value)

    @checked
    def numbers(self, duration: float) -> np.ndarray:
        """Return the numbers of examples per input dimension.

        Parameters
        ----------
        duration : float
            Of the protocol, which stands for a number that is not given.

        Returns
        -------
        ndarray of shape (times,)
            alpha, increasing.
        """
        return np.atleast_1d(np.array(duration if self.examples is None else self.examples, dtype=float))

    @checked
    def check(self, task: Task, student: Committee, protocol: Protocol) -> None:
        """Raise `InputError` for what cannot be trained in this way.

        Parameters
        ----------
        task : Task
            Of the experiment; any will do.
        student : Committee
            Of the experiment.
        protocol : Protocol
            Of the experiment; without learning rates of its stages.

        Raises
        ------
        InputError
            Where only the readout moves and that is fixed, and for stages with learning rates.
        """
        _check_layers(self.layers, student)
        if any(stage.learning_rate is not None for stage in protocol.stages()):
            raise InputError('a stage with a learning_rate is for online learning; training.kind = "tangent-ridge" has none')
