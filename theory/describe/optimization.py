"""An optimisation as what is done at every point of a sweep: what is varied, over how many starts, and how it is judged."""

from typing import Annotated, Any, Literal

from pydantic import Field

from curriculode.theory.core.arguments import CHECKS, MOST_RUNS, instance
from curriculode.theory.core.checks import plain
from curriculode.theory.core.description import Description

ORDERS = ("curriculum", "random", "anti-curriculum", "hard-only")  # beside which an optimum is judged
OPTIMUM, PURE = "optimum", "pure stages"


class Optimization(Description):
    """The best order, learning rate, or both at a point of a sweep: `optimize` with these settings.

    Seed s is optimised on the starts `experiment.initial(dimension, s, number)`, number = 0 ... starts - 1, and judged on the
    `tests` starts after them.

    Parameters
    ----------
    control : sequence of {"order", "learning_rate"}, default ("order",)
        What is varied.
    stages : int, default 12
        Equal stages of constant level probabilities and rate.
    starts : int, default 4
        That it is optimised on.
    tests : int, default 16
        That it is judged on.
    objective : str or dict, default "generalization_error"
        As for `optimize`.
    average : bool, default False
        Whether the mean over the protocol counts, and not the end.
    bounds : pair of float, optional
        Of the rates; by default a thousandth of the experiment's own and ten times it.
    margin : float, default 0.05
        Rates must be allowed to be larger by this part without divergence.
    iterations : int, default 200
        Of each search, at most.
    tolerance : float, default 1e-8
        Relative change of the objective at which a search ends.

    Examples
    --------
    >>> Optimization(control=["order", "learning_rate"]).labels
    ('optimum', 'curriculum', 'random', 'anti-curriculum', 'hard-only', 'pure stages')
    """

    control: Annotated[tuple[Literal["order", "learning_rate"], ...], Field(min_length=1, strict=False)] = ("order",)
    stages: Annotated[int, Field(ge=1, le=10**4)] = 12
    starts: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 4
    tests: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 16
    objective: Any = "generalization_error"
    average: bool = False
    bounds: Annotated[tuple[float, float] | None, Field(strict=False)] = None
    margin: Annotated[float, Field(ge=0, le=10)] = 0.05
    iterations: Annotated[int, Field(ge=1, le=10**5)] = 200
    tolerance: Annotated[float, Field(ge=1e-15, le=1)] = 1e-8

    @property
    def labels(self) -> tuple[str, ...]:
        """The protocols that are told apart, one row of a table each."""
        return (OPTIMUM, *ORDERS, *((PURE,) if "order" in self.control else ()))

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values.

        Returns
        -------
        dict
            Setting -> value, defaults included.
        """
        return {name: plain(getattr(self, name)) for name in type(self).model_fields}


CHECKS["optimization"] = instance(Optimization, 'give a curriculode.Optimization, such as Optimization(control=["order"])')
