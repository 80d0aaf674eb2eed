"""Branching: when a network becomes two copies, and which examples they meet from then on.

[branch]
at = 5.0
examples = "independent"
weights = "shared"
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from curriculode.theory.core.arguments import CHECKS, instance
from curriculode.theory.core.checks import plain
from curriculode.theory.core.description import LARGEST, Description
from curriculode.theory.core.errors import InputError, shown

PREFIX = "branch."  # of its settings among the dotted parameters of a grid
Examples = Literal["independent", "same", "reordered"]
EXAMPLES: tuple[str, ...] = get_args(Examples)


class Branching(Description):
    """Two copies of a network: when they part, and which examples they meet (Frankle, Dziugaite, Roy & Carbin 2020, 1912.05671).

    Parameters
    ----------
    at : float, default 0.0
        The time k at which the copies part, in examples per input dimension, from 0 to below the duration.
    examples : {"independent", "same", "reordered"}, default "independent"
        Which examples the copies meet from then on: their own, the same ones, or those of each stage in another order within it.
    weights : {"shared", "own"}, default "shared"
        Whether the copies are one network until they part, or each has initial weights of its own; then `at` is 0.

    Examples
    --------
    >>> Branching(at=5.0).examples
    'independent'
    """

    at: Annotated[float, Field(ge=0, le=LARGEST)] = 0.0
    examples: Examples = "independent"
    weights: Literal["shared", "own"] = "shared"

    def check(self, duration: float) -> None:
        """Raise `InputError` for a branching that a protocol cannot have.

        Parameters
        ----------
        duration : float
            Of the protocol.
        """
        checked_at(self.at, duration)
        if self.weights == "own" and self.at > 0:
            raise InputError(
                f"at = {self.at:g} goes with shared weights; copies with weights of their own part at t = 0: leave one of both out"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the section [branch] of a file.

        Returns
        -------
        dict
            Setting -> value, defaults included.
        """
        return {name: plain(getattr(self, name)) for name in type(self).model_fields}


def checked_at(at: float, duration: float) -> float:
    """The time of a branching, or `InputError`."""
    if not 0.0 <= at < duration:
        raise InputError(
            f"at = {shown(at)} is not allowed; copies part within the protocol, from 0 to below its duration {duration:g}"
        )
    return at


CHECKS["branch"] = instance(Branching, "give a curriculode.Branching, such as Branching(at=5.0)")
