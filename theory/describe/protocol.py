"""Which examples are seen, how many, and in which order: levels, shares, orders -> stages."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from curriculode.theory.core.description import Description
from curriculode.theory.core.errors import InputError

Order = Literal["curriculum", "anti-curriculum", "random", "hard-only", "easy-only"]
ORDERS: tuple[str, ...] = ("curriculum", "anti-curriculum", "random", "hard-only", "easy-only")


class Level(Description):
    """One degree of difficulty.

    name : how it is called in tables and files
    share : its share of the examples, in [0, 1]; one level of a protocol may leave it out and gets the rest
    noise : XOR mixture: standard deviation of the clouds, >= 0
    fading : XOR mixture: gain of the centroids on the faded fraction of the inputs, >= 1
    irrelevant_variance : teacher-student: variance of the irrelevant inputs, >= 0

    >>> Level("easy", share=0.1, noise=0.2).name
    'easy'
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z][\w-]*$")]
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    noise: Annotated[float, Field(ge=0, le=1e6)] | None = None
    fading: Annotated[float, Field(ge=1, le=1e6)] | None = None
    irrelevant_variance: Annotated[float, Field(ge=0, le=1e6)] | None = None

    def __init__(self, name: str, **settings: Any) -> None:
        super().__init__(name=name, **settings)


@dataclass(frozen=True)
class Stage:
    """A stretch of a protocol with one mixture of levels: `probability` (levels,) of each, from time `start` to `end`."""

    start: float
    end: float
    probability: np.ndarray


class Protocol(Description):
    """Levels from easy to hard, their shares of the examples, their order, and the duration.

    order : "curriculum" (levels in the order given, easy to hard), "anti-curriculum" (reversed), "random" (all mixed),
        "hard-only" (the last level throughout), "easy-only" (the first)
    duration : t = examples seen per input dimension, > 0
    levels : at least one `Level`, from easy to hard; shares sum to 1

    >>> levels = [Level("easy", share=0.25, noise=0.2), Level("hard", noise=0.6)]
    >>> [(s.start, s.end) for s in Protocol(order="curriculum", duration=8.0, levels=levels).stages()]
    [(0.0, 2.0), (2.0, 8.0)]
    """

    order: Order = "curriculum"
    duration: Annotated[float, Field(gt=0)]
    levels: Annotated[tuple[Level, ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _check(self) -> "Protocol":
        names = [level.name for level in self.levels]
        if len(set(names)) < len(names):
            raise InputError(f"level names must differ, and these do not: {', '.join(names)}")
        open_ended = [level.name for level in self.levels if level.share is None]
        given = sum(level.share for level in self.levels if level.share is not None)
        if len(open_ended) > 1:
            raise InputError(f"levels {', '.join(open_ended)} have no share; at most one may leave it out, which gets the rest")
        if abs(given - 1.0) > 1e-9 and (not open_ended or given > 1.0):
            listed = ", ".join(f"{level.name} {level.share}" for level in self.levels if level.share is not None)
            raise InputError(f"the shares of the levels ({listed}) sum to {given:g}; they must sum to 1")
        return self

    @classmethod
    def single(cls, duration: float, **settings: Any) -> "Protocol":
        """A protocol of one level with the given settings: every order is then the same.

        >>> Protocol.single(duration=100.0, noise=0.4).shares
        (1.0,)
        """
        return cls(order="random", duration=duration, levels=[Level("only", share=1.0, **settings)])  # type: ignore[arg-type]

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the examples of each level, those left out filled in."""
        rest = 1.0 - sum(level.share for level in self.levels if level.share is not None)
        return tuple(max(rest, 0.0) if level.share is None else level.share for level in self.levels)

    def level(self, name: str | None = None) -> Level:
        """The level called `name`; by default the hardest, which is the last."""
        if name is None:
            return self.levels[-1]
        for level in self.levels:
            if level.name == name:
                return level
        raise InputError(f"level {name!r} is unknown; allowed: {', '.join(level.name for level in self.levels)}")

    def stages(self) -> list[Stage]:
        """The stages in time, without empty ones. A level's share of a mixture is its probability there."""
        shares, pure = np.array(self.shares), np.eye(len(self.levels))
        if self.order == "random":
            return [Stage(0.0, self.duration, shares)]
        if self.order in ("hard-only", "easy-only"):
            return [Stage(0.0, self.duration, pure[-1 if self.order == "hard-only" else 0])]
        sequence = range(len(shares)) if self.order == "curriculum" else range(len(shares) - 1, -1, -1)
        used = [k for k in sequence if shares[k] > 0]
        edges = self.duration * np.concatenate([[0.0], np.cumsum(shares[used])])
        edges[-1] = self.duration
        return [Stage(float(edges[i]), float(edges[i + 1]), pure[k]) for i, k in enumerate(used)]
