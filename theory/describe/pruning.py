"""Pruning: which weights are kept, after how many rounds of training, and to which time what is kept is rewound.

[pruning]
keep = 0.2
criterion = "large-final"
scope = "unit"
rounds = 1
rewind = 0.0
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from curriculode.theory.core.arguments import CHECKS, instance
from curriculode.theory.core.checks import plain
from curriculode.theory.core.description import LARGEST, Description
from curriculode.theory.core.errors import InputError

PREFIX = "pruning."  # of its settings among the dotted parameters of a grid
CRITERIA = ("large-final", "magnitude-increase", "large-init", "movement", "small-final", "random")


class Pruning(Description):
    """Which weights are kept, and what they go back to.

    After r of n rounds a share keep^(r/n) is left: of every round's training from the rewound weights to the end of the protocol,
    those with the largest score among the survivors. With w(0) at the start of all and w at the end of the round's training, the
    scores are |w| ("large-final"), |w| - |w(0)| ("magnitude-increase"), |w(0)| ("large-init"), |w - w(0)| ("movement"), -|w|
    ("small-final"), or a uniform number ("random"): Zhou, Lan, Liu & Yosinski 2019 (1905.01067). Several rounds with rewinding are
    iterative magnitude pruning: Frankle & Carbin 2019 (1803.03635), Frankle et al. 2020 (1912.05671).

    Parameters
    ----------
    keep : float
        Share of the weights that is left in the end, in (0, 1].
    criterion : str, default "large-final"
        large-final, magnitude-increase, large-init, movement, small-final or random.
    scope : {"unit", "layer"}, default "unit"
        Whether each unit keeps that share, or all units together; then a unit may lose all weights, and drops out.
    rounds : int, default 1
        1 is one-shot pruning; at most 1000.
    rewind : float, default 0.0
        The time k of the weights w(k) that tickets begin with, in examples per input dimension; training goes on from there.
    readout : {"rewound", "final"}, default "rewound"
        Whether tickets begin with the readout v(k), or with that of the end of the dense training. It is not pruned.

    Examples
    --------
    >>> Pruning(keep=0.25, rounds=2).left(1)
    0.5
    """

    keep: Annotated[float, Field(gt=0, le=1)]
    criterion: Literal["large-final", "magnitude-increase", "large-init", "movement", "small-final", "random"] = "large-final"
    scope: Literal["unit", "layer"] = "unit"
    rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    rewind: Annotated[float, Field(ge=0, le=LARGEST)] = 0.0
    readout: Literal["rewound", "final"] = "rewound"

    @classmethod
    def taken_from(cls, tables: dict[str, Any]) -> "Pruning | None":
        """What the section [pruning] of a TOML file says, which is taken out of its tables; None where there is none."""
        section = tables.pop("pruning", None)
        if section is not None and (not isinstance(section, dict) or "self" in section):
            raise InputError(f"pruning must be a section [pruning] with {', '.join(cls.model_fields)}")
        return None if section is None else cls(**section)

    def left(self, after: int) -> float:
        """Return the share of the weights that is left after so many rounds.

        Parameters
        ----------
        after : int
            Number of rounds, from 0.

        Returns
        -------
        float
            keep^(after/rounds).
        """
        return float(self.keep ** (after / self.rounds))

    def check(self, duration: float, weights: int) -> None:
        """Raise `InputError` for what cannot be pruned so.

        Parameters
        ----------
        duration : float
            Of the protocol.
        weights : int
            Of a unit: coordinates of the theory, or D.
        """
        if self.rewind > duration:
            raise InputError(
                f"rewind = {self.rewind:g} is not allowed; it must lie in [0, {duration:g}], the protocol's duration, "
                "to which training goes back"
            )
        if self.rounds > weights:
            raise InputError(
                f"rounds = {self.rounds} is not allowed; a unit has {weights} weights, and every round takes one at least"
            )
        if self.keep * weights < 0.5:
            raise InputError(f"keep = {self.keep:g} of {weights} weights is none at all; keep more, or take a larger dimension")

    def to_dict(self) -> dict[str, Any]:
        """Return the section [pruning] of a file.

        Returns
        -------
        dict
            Setting -> value, defaults included.
        """
        return {name: plain(getattr(self, name)) for name in type(self).model_fields}


CHECKS["pruning"] = instance(Pruning, "give a curriculode.Pruning, such as Pruning(keep=0.2)")
