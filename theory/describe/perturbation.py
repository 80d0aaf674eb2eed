"""What is done to the weights at one moment of the training: noise, shuffles, signs alone, fresh weights.

[[protocol.plan]]
share = 0.8
probability = {hard = 1.0}
perturbation = {kind = "noise", size = 0.5}
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from curriculode.theory.core.checks import MOST
from curriculode.theory.core.description import LARGEST, Description, unknown
from curriculode.theory.core.errors import InputError

Kind = Literal[
    "noise", "reinitialise", "shuffle-unit", "shuffle-layer", "shuffle-inputs", "same-sign-unit", "same-sign-layer", "signs"
]
KINDS: tuple[str, ...] = get_args(Kind)
SIGNED = ("same-sign-unit", "same-sign-layer", "signs")  # that look at the signs of weights, whose law they change


class Perturbation(Description):
    """A change of the weights w of all units at one moment (Frankle, Schwab & Morcos 2020, 2002.10365).

    Every block of inputs is perturbed by itself; the readout stays. Noise and fresh weights are in units of the standard deviation
    `weight_scale` of initial weights.

    Parameters
    ----------
    kind : str
        "noise" (size standard deviations of it are added), "reinitialise" (fresh weights), "shuffle-unit" (the weights of each unit
        among its inputs), "shuffle-layer" (of all units together), "shuffle-inputs" (one permutation of the inputs for all units),
        "same-sign-unit" and "same-sign-layer" (shuffled among weights of the same sign), or "signs" (each weight becomes its sign
        times the root mean square of its unit).
    size : float, default 1.0
        Of the noise, >= 0; other kinds know none.
    dimension : int, optional
        D of what theory draws for the new part of M, of order D^(-1/2); by default it has none, as D -> infinity. Simulations
        have their own D.
    seed : int, default 0
        Of that draw.

    Examples
    --------
    >>> Perturbation(kind="noise", size=0.5).kind
    'noise'
    """

    kind: Kind
    size: Annotated[float, Field(ge=0, le=LARGEST)] = 1.0
    dimension: Annotated[int, Field(ge=1, le=MOST)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**128)] = 0

    @classmethod
    def of(cls, value: Any) -> "Perturbation":
        """Return a perturbation from one, or from its kind alone.

        Parameters
        ----------
        value : Perturbation or str
            The perturbation.

        Returns
        -------
        Perturbation
            The same, or that of this kind.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or value not in KINDS:
            raise InputError(unknown("perturbation", value, KINDS))
        return cls(kind=value)  # type: ignore[arg-type]


class TimedPerturbation(Perturbation):
    """A perturbation and its time: that of a protocol whose order has a name, whose settings are parameters of a sweep.

    [protocol.perturbation]
    kind = "noise"
    size = 0.5
    at = 5.0

    Parameters
    ----------
    kind : str
        As of `Perturbation`, and so for what follows.
    size : float, default 1.0
        Of the noise.
    dimension : int, optional
        D of what theory draws.
    seed : int, default 0
        Of that draw.
    at : float, default 0.0
        When, in examples per input dimension, from 0 to below the duration.

    Examples
    --------
    >>> TimedPerturbation(kind="signs", at=5.0).at
    5.0
    """

    at: Annotated[float, Field(ge=0, le=1e12)] = 0.0

    @property
    def alone(self) -> Perturbation:
        """What is done, without its time."""
        return Perturbation(**self.model_dump(exclude={"at"}))
