"""Which examples are seen, how many, and in which order: levels, shares, orders -> stages."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import number
from curriculode.theory.core.description import LARGEST, NOT_TINY, Description, unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.perturbation import Perturbation, TimedPerturbation
from curriculode.theory.tasks.level import Level

Order = Literal["curriculum", "anti-curriculum", "random", "hard-only", "easy-only", "stages"]
ORDERS: tuple[str, ...] = ("curriculum", "anti-curriculum", "random", "hard-only", "easy-only")


class Stage(Description):
    """A stretch of a protocol that is written out: one mixture of levels.

    Parameters
    ----------
    share : float
        Its share of the duration, in (0, 1]; the shares of a plan sum to 1.
    probability : dict of str to float
        Level -> probability that an example is of it; levels left out have 0, and the rest sum to 1.
    learning_rate : float, optional
        eta of the weights in this stage, >= 0, by default the training's; the readout's keeps its ratio to it.
    perturbation : Perturbation, optional
        What is done to the weights as the stage begins.

    Examples
    --------
    >>> Stage(share=0.5, probability={"easy": 1.0}).learning_rate is None
    True
    """

    share: Annotated[float, Field(gt=0, le=1)]
    probability: dict[str, Annotated[float, Field(ge=0, le=1)]]
    learning_rate: Annotated[float, Field(ge=0, le=LARGEST)] | None = None
    perturbation: Perturbation | None = None

    @field_validator("perturbation", mode="before")
    @classmethod
    def _of_kind(cls, value: Any) -> Any:
        """A perturbation as it stands in a file, as a table or as its kind alone."""
        if isinstance(value, str):
            return Perturbation.of(value)
        return Perturbation(**value) if _is_table(value) else value

    @model_validator(mode="after")
    def _check(self) -> "Stage":
        total = sum(self.probability.values())
        if abs(total - 1.0) > 1e-9:
            listed = ", ".join(f"{name} {value:g}" for name, value in self.probability.items())
            raise InputError(f"the probabilities of a stage ({listed or 'none'}) sum to {total:g}; they must sum to 1")
        return self


def _is_table(stage: Any) -> bool:
    return isinstance(stage, dict) and all(isinstance(key, str) and key != "self" for key in stage)


@dataclass(frozen=True)
class TimedStage:
    """A stage in time.

    Parameters
    ----------
    start, end : float
        When it begins and ends, t = examples / D.
    probability : ndarray of shape (levels,)
        Of each level.
    learning_rate : float, optional
        Its own eta, if it has one.
    perturbation : Perturbation, optional
        What is done to the weights as it begins.
    """

    start: float
    end: float
    probability: np.ndarray
    learning_rate: float | None = None
    perturbation: Perturbation | None = None


class Protocol(Description):
    """Levels from easy to hard, their shares of the examples, their order, and the duration.

    Parameters
    ----------
    order : str, default "curriculum"
        "curriculum" (levels in the order given, easy to hard), "anti-curriculum" (reversed), "random" (all mixed),
        "hard-only" (the last level throughout), "easy-only" (the first), or "stages": as `plan` says.
    duration : float
        t = examples seen per input dimension, > 0 (1e-15 to 1e12).
    levels : sequence of Level
        At least one, from easy to hard; shares sum to 1.
    plan : sequence of Stage, optional
        Stages one after the other; what the order "stages" follows, whatever the shares of the levels are.
    perturbation : TimedPerturbation, optional
        What is done to the weights at one time. Its settings may be varied: "protocol.perturbation.at".

    Examples
    --------
    >>> levels = [Level("easy", share=0.25, noise=0.2), Level("hard", noise=0.6)]
    >>> [(s.start, s.end) for s in Protocol(order="curriculum", duration=8.0, levels=levels).stages()]
    [(0.0, 2.0), (2.0, 8.0)]
    """

    order: Order = "curriculum"
    duration: Annotated[float, Field(gt=0, le=1e12), NOT_TINY]
    levels: Annotated[tuple[SerializeAsAny[Level], ...], Field(min_length=1, strict=False)]
    plan: Annotated[tuple[Stage, ...], Field(strict=False)] = ()
    perturbation: TimedPerturbation | None = None

    @field_validator("perturbation", mode="before")
    @classmethod
    def _perturbation(cls, value: Any) -> Any:
        """A perturbation as it stands in a file, as a table."""
        return TimedPerturbation(**value) if _is_table(value) else value

    @field_validator("plan", mode="before")
    @classmethod
    def _stages(cls, value: Any) -> Any:
        """Stages as they stand in a file, as tables."""
        if not isinstance(value, (list, tuple)):
            raise InputError(
                f"Protocol: plan = {shown(value)} is not allowed; give a list of stages, each with share and probability"
            )
        return tuple(Stage(**stage) if _is_table(stage) else stage for stage in value)

    @model_validator(mode="after")
    def _check(self) -> "Protocol":
        names = [level.name for level in self.levels]
        if len(set(names)) < len(names):
            raise InputError(f"level names must differ, and these do not: {', '.join(names)}")
        self._check_plan(names)
        if self.perturbation is not None:
            self._check_time(self.perturbation.at)
        open_ended = [level.name for level in self.levels if level.share is None]
        given = sum(level.share for level in self.levels if level.share is not None)
        if self.order == "stages" and len(open_ended) == len(names):
            return self
        if len(open_ended) > 1:
            raise InputError(f"levels {', '.join(open_ended)} have no share; at most one may leave it out, which gets the rest")
        if abs(given - 1.0) > 1e-9 and (not open_ended or given > 1.0):
            listed = ", ".join(f"{level.name} {level.share}" for level in self.levels if level.share is not None)
            raise InputError(f"the shares of the levels ({listed}) sum to {given:g}; they must sum to 1")
        return self

    def _check_plan(self, names: list[str]) -> None:
        if self.order == "stages" and not self.plan:
            raise InputError(
                'order = "stages" needs a plan: Protocol(plan=[Stage(share=0.5, probability={"easy": 1.0}), ...]), in a file '
                "[[protocol.plan]] with share and probability"
            )
        for stage in self.plan:
            for name in stage.probability:
                if name not in names:
                    raise InputError(unknown("stage of the plan: level", name, names))
        total = sum(stage.share for stage in self.plan)
        if self.plan and abs(total - 1.0) > 1e-9:
            raise InputError(f"the shares of the plan's {len(self.plan)} stages sum to {total:g}; they must sum to 1")

    @classmethod
    def single(cls, duration: float, **settings: Any) -> "Protocol":
        """Build a protocol of one level: every order is then the same.

        Parameters
        ----------
        duration : float
            t = examples seen per input dimension, > 0.
        **settings : object
            Of the level, such as `noise`.

        Returns
        -------
        Protocol
            Its level is called "only".

        Examples
        --------
        >>> Protocol.single(duration=100.0, noise=0.4).shares
        (1.0,)
        """
        return cls(order="random", duration=duration, levels=[Level("only", share=1.0, **settings)])  # type: ignore[arg-type]

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the examples of each level, those left out filled in; of a plan without given shares, what it adds up to."""
        if self.order == "stages" and all(level.share is None for level in self.levels):
            return tuple(sum(stage.share * stage.probability.get(level.name, 0.0) for stage in self.plan) for level in self.levels)
        rest = 1.0 - sum(level.share for level in self.levels if level.share is not None)
        return tuple(max(rest, 0.0) if level.share is None else level.share for level in self.levels)

    @checked
    def level(self, name: str | None = None) -> Level:
        """Return the level called `name`.

        Parameters
        ----------
        name : str, optional
            By default that of the hardest, which is the last.

        Returns
        -------
        Level
            The level.

        Raises
        ------
        InputError
            For a name that no level has.
        """
        if name is None:
            return self.levels[-1]
        for level in self.levels:
            if level.name == name:
                return level
        raise InputError(unknown("level", name, [level.name for level in self.levels]))

    def stages(self) -> list[TimedStage]:
        """Return the stages in time, without empty ones.

        A level's share of a mixture is its probability there.

        Returns
        -------
        list of TimedStage
            From t = 0 to the duration.
        """
        shares, pure = np.array(self.shares), np.eye(len(self.levels))
        events: list[Perturbation | None] | None = None
        if self.order == "stages":
            lengths = [stage.share for stage in self.plan]
            mixtures = [np.array([stage.probability.get(level.name, 0.0) for level in self.levels]) for stage in self.plan]
            rates, events = [stage.learning_rate for stage in self.plan], [stage.perturbation for stage in self.plan]
        elif self.order == "random":
            lengths, mixtures, rates = [1.0], [shares], [None]
        elif self.order in ("hard-only", "easy-only"):
            lengths, mixtures, rates = [1.0], [pure[-1 if self.order == "hard-only" else 0]], [None]
        else:
            sequence = range(len(shares)) if self.order == "curriculum" else range(len(shares) - 1, -1, -1)
            used = [k for k in sequence if shares[k] > 0]
            lengths, mixtures, rates = [float(shares[k]) for k in used], [pure[k] for k in used], [None] * len(used)
        edges = self.duration * np.concatenate([[0.0], np.cumsum(lengths)])
        edges[-1] = self.duration
        events = [None] * len(mixtures) if events is None else events
        found = [
            TimedStage(float(edges[i]), float(edges[i + 1]), mixture, rates[i], events[i]) for i, mixture in enumerate(mixtures)
        ]
        return found if self.perturbation is None else _with_event(found, self.perturbation.alone, self.perturbation.at)

    @checked(at=number, perturbation=lambda name, value: Perturbation.of(value))
    def perturbed(self, perturbation: Perturbation, at: float) -> "Protocol":
        """Return the same protocol written out in stages, with a perturbation of the weights at a time.

        Parameters
        ----------
        perturbation : Perturbation or str
            What is done, or its kind.
        at : float
            When, from 0 to below the duration.

        Returns
        -------
        Protocol
            Of the order "stages".

        Raises
        ------
        InputError
            For a time outside the protocol, or at which it has a perturbation already.

        Examples
        --------
        >>> protocol = Protocol.single(duration=8.0, noise=0.4).perturbed("signs", at=2.0)
        >>> [(stage.share, stage.perturbation is not None) for stage in protocol.plan]
        [(0.25, False), (0.75, True)]
        """
        self._check_time(at)
        names, plan = [level.name for level in self.levels], []
        for stage in _with_event(self.stages(), perturbation, at):
            mixture = {name: float(p) for name, p in zip(names, stage.probability, strict=True) if p > 0}
            share = (stage.end - stage.start) / self.duration
            plan.append(Stage(share=share, probability=mixture, learning_rate=stage.learning_rate, perturbation=stage.perturbation))
        return self.model_copy(update={"order": "stages", "plan": tuple(plan), "perturbation": None})

    def _check_time(self, at: float) -> None:
        if not 0.0 <= at < self.duration:
            raise InputError(
                f"at = {at:g} is not allowed; weights are perturbed within the protocol, from 0 to below its duration "
                f"{self.duration:g}"
            )


def _with_event(stages: list[TimedStage], perturbation: Perturbation, at: float) -> list[TimedStage]:
    """The stages with one more perturbation, as the one that holds the time `at` begins, or a part of it."""
    found = []
    for stage in stages:
        cuts = [stage.start, *([at] if stage.start < at < stage.end else []), stage.end]
        for begin, end in pairwise(cuts):
            event = stage.perturbation if begin == stage.start else None
            if begin == at:
                if event is not None:
                    raise InputError(f"at = {at:g} has a perturbation already; choose another time")
                event = perturbation
            found.append(TimedStage(begin, end, stage.probability, stage.learning_rate, event))
    return found
