"""The verb `fixed_point`: a state at rest of one stage, and what becomes of small changes of it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import function, number_within
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.rest import Held, Holding, Rest
from curriculode.theory.landscape.stability import units_of
from curriculode.theory.results.errors import errors
from curriculode.theory.results.states import StateRecord

LONGEST = 5000.0


class FixedPoint(StateRecord):
    """A state at rest, with the rates at which small changes of it grow.

    Made by `fixed_point`. Where there is none, `success` is False, `status` says why, and the state is where the equations were
    left.

    Attributes
    ----------
    Q : ndarray of shape ([blocks,] K, K)
        Overlaps of units.
    M : ndarray of shape ([blocks,] K, P)
        Overlaps of units with references.
    v : ndarray of shape (K,)
        Readout.
    growth : ndarray of shape (modes,)
        Rates of growth per unit of time, largest first; empty where there is no rest.
    frequency : ndarray of shape (modes,)
        Their angular frequencies.
    squares : ndarray of shape (squares,)
        Rates of the mean squares of what is born in directions without weights (idle units, units that are one); the first decides.
    statistics : mapping of str to value
        `modes` (what each mode is), `unstable` and `neutral` (how many), `zero` (below which a rate is none), `residual`,
        `iterations`, `time` (for which the equations were followed), `stage`, `idle` and `twins` (units without weights, and
        groups of units that are one).
    """

    kind: ClassVar[str] = "fixed point"
    lead: ClassVar[tuple[str, ...]] = ()
    dimensions: ClassVar[Any] = {"growth": ("mode",), "frequency": ("mode",), "squares": ("square",)}
    needed: ClassVar[tuple[str, ...]] = ("Q", "M", "v", "growth", "frequency", "squares")
    growth: np.ndarray
    frequency: np.ndarray
    squares: np.ndarray

    def _scrambling(self, index: tuple[int, ...]) -> int:
        return self.numerics.scrambling

    @checked
    def errors(self, level: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the generalisation error E[l(f, y)] and the classification error P(sign f != y) at a level.

        Parameters
        ----------
        level : str, optional
            Its name, by default that of the hardest.

        Returns
        -------
        generalization : ndarray
            E[l(f, y)], a number.
        classification : ndarray
            P(sign f != y), a number.
        """
        Q, M, v = (part[None] for part in self.blocked)
        found = errors(self.experiment, level, Q, M, v, self.numerics, self._scrambling)
        return found[0][0], found[1][0]

    @cached_property
    def state(self) -> OrderParameters:
        """The order parameters: a start to go on from."""
        return OrderParameters(self.Q, self.M, self.v)

    @property
    def modes(self) -> list[str]:
        """What each mode is, in the order of `growth`."""
        return list(self.statistics.get("modes", []))

    @property
    def leading(self) -> float:
        """The largest rate of growth, that of squares among them; NaN where there is no rest."""
        rates = [*self.growth[:1], *self.squares[:1]]
        return float(max(rates)) if rates and self.success else float("nan")

    @property
    def stable(self) -> bool:
        """Whether it is at rest, and no small change grows."""
        return bool(self.success and self.leading <= self.statistics["zero"])

    def to_frame(self) -> Any:
        """Return the modes as a table.

        Returns
        -------
        DataFrame
            One row a mode: growth, frequency, kind ("unstable", "zero", "stable") and what it is.
        """
        import pandas as pd

        zero = self.statistics.get("zero", 0.0)
        kinds = np.where(self.growth > zero, "unstable", np.where(self.growth < -zero, "stable", "zero"))
        return pd.DataFrame({"growth": self.growth, "frequency": self.frequency, "kind": kinds, "mode": self.modes})


def stage_held(experiment: Experiment, setting: Setting, stage: Any) -> tuple[Held, str]:
    """The stage of that number, or the level of that name alone at the training's rates; and what it is called."""
    names = [level.name for level in experiment.protocol.levels]
    if isinstance(stage, str):
        if stage not in names:
            raise InputError(unknown("stage", stage, names) + "; or give the number of a stage")
        return Held(np.eye(len(names))[names.index(stage)], setting.rates), f"level {stage}"
    count = len(setting.stages)
    if isinstance(stage, bool) or not isinstance(stage, (int, np.integer)) or not -count <= stage < count:
        raise InputError(
            f"stage = {shown(stage)} is not allowed; give the name of a level ({', '.join(names)}), or a number of the protocol's "
            f"stages, 0 to {count - 1} or -1 for the last"
        )
    found = setting.stages[stage]
    return Held(found.probability, found.rates), f"stage {stage % count}"


def _settle(name: str, value: Any) -> float:
    return number_within(name, value, 0.0, 1e9, "give a time >= 0")


def _longest(name: str, value: Any) -> float:
    return number_within(name, value, 0.0, 1e9, "give a time >= 0")


@checked(stage=inside, settle=_settle, longest=_longest, progress=function)
def fixed_point(
    experiment: Experiment,
    start: OrderParameters,
    *,
    stage: int | str = -1,
    settle: float = 0.0,
    longest: float = LONGEST,
    numerics: Numerics | None = None,
    averages: str | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    noise_terms: bool | None = None,
    progress: Callable[[float], None] | None = None,
) -> FixedPoint:
    """Find a state at rest of one stage, and the rates at which small changes of it grow.

    The order parameters' equations dy/dt = f(y) rest where f = 0. Newton's steps are made in weight coordinates, Q = A A', in which
    units without weights and units that are one are regular points; rates are eigenvalues of df/dy there, by the differentiated
    averages. Where the steps do not converge the equations themselves are followed, until they do.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    start : OrderParameters
        Where to begin.
    stage : int or str, default -1
        Number of the stage of the protocol whose equations are meant, or the name of a level alone.
    settle : float, default 0.0
        0 looks for the state at rest, stable or not, that Newton's steps lead to. A time > 0 follows the equations for so long
        before the first attempt, and takes only the stable state that they end in.
    longest : float, default 5000.0
        Time after which the equations are followed no more.
    numerics : Numerics, optional
        How; the keywords from `averages` to `noise_terms` are shortcuts for single settings of it.
    averages, points, scrambling, noise_terms : optional
        See `Numerics`; nets have 1024 points by default, whatever the accuracy.
    progress : callable, optional
        Called with the finished fraction of `longest`.

    Returns
    -------
    FixedPoint
        The state, its spectrum and a sentence. Where there is no rest, `success` is False and the sentence says what happens
        instead.

    Raises
    ------
    InputError
        For batch learning, a start that does not fit, and a stage that there is not.

    Notes
    -----
    Units with kinks whose averages are taken by nets have rates that are staircases: rest is then a rate below four points'
    weights.

    Examples
    --------
    The plateau of two erf units that learn two (Saad & Solla 1995, PRE 52, 4225): Q = C = 1/(2K - 1), R = 1/sqrt(K (2K - 1)).

    >>> import numpy as np
    >>> from curriculode import OrderParameters, fixed_point, load
    >>> experiment = load("committee-plateau").replace({"student.width": 2, "task.teacher_width": 2})
    >>> start = OrderParameters(np.full((2, 2), 0.3), np.full((2, 2), 0.35), np.ones(2))
    >>> plateau = fixed_point(experiment, start, noise_terms=False)
    >>> plateau.Q.round(6).tolist(), int(plateau.statistics["unstable"])
    ([[0.333333, 0.333333], [0.333333, 0.333333]], 1)
    """
    settings = numerics_with(numerics, averages=averages, points=points, scrambling=scrambling, noise_terms=noise_terms)
    setting = Setting.of(experiment)
    setting.check(start)
    held, called = stage_held(experiment, setting, stage)
    holding = Holding(setting, held, settings)
    found = holding.rest(start, settle, max(longest, settle), True, progress)
    return fixed_point_record(experiment, holding, found, called)


def fixed_point_record(experiment: Experiment, holding: Holding, found: Rest, called: str) -> FixedPoint:
    """The record of a state at rest, or of where there was none."""
    root, told = found.root, found.spectrum
    statistics: dict[str, Any] = {
        "residual": root.residual,
        "iterations": root.iterations,
        "time": found.time,
        "stage": called,
        "ways": holding.way.engine.ways,
    }
    arrays = {"Q": found.state.Q, "M": found.state.M, "v": found.state.v}
    if told is None:
        empty = {name: np.zeros(0) for name in ("growth", "frequency", "squares")}
        return FixedPoint(
            experiment, holding.way.numerics, {**arrays, **empty}, _no_rest(holding, found), success=False, statistics=statistics
        )
    units = units_of(holding.equations(found.state.permuted(found.order).v), root.y)
    idle = sorted(int(found.order[k]) for k in np.flatnonzero(units.idle))
    twins = [sorted(int(found.order[k]) for k in group) for group in units.twins]
    names = [_renumbered(name, found.order) for name in told.names]
    statistics |= {
        "modes": names,
        "unstable": told.unstable,
        "neutral": told.neutral,
        "zero": told.zero,
        "idle": idle,
        "twins": twins,
    }
    return FixedPoint(
        experiment,
        holding.way.numerics,
        {**arrays, "growth": told.growth, "frequency": told.frequency, "squares": told.squares},
        _at_rest(found, names, idle, twins),
        statistics=statistics,
    )


def _renumbered(name: str, order: np.ndarray) -> str:
    """The name of a mode with the units' own numbers."""
    words = name.split(" ")
    numbers = [i for i, word in enumerate(words) if word.rstrip(",").isdigit()]
    own = sorted(int(order[int(words[i].rstrip(","))]) for i in numbers)
    for i, unit in zip(numbers, own, strict=True):
        words[i] = f"{unit}," if words[i].endswith(",") else str(unit)
    return " ".join(words)


def _at_rest(found: Rest, names: list[str], idle: list[int], twins: list[list[int]]) -> str:
    """One sentence on a state at rest."""
    told = found.spectrum
    assert told is not None
    facts = [f"at rest (rates below {max(found.root.residual, 1e-16):.0e}, {found.root.iterations} steps of Newton)"]
    if told.unstable:
        modes = "1 mode grows" if told.unstable == 1 else f"{told.unstable} modes grow"
        facts.append(f"unstable: {modes}, fastest at {told.growth[0]:.4g} ({names[0]})")
    elif not told.stable:
        facts.append(f"unstable: what is born across the references grows, its square at {told.squares[0]:.4g}")
    else:
        decaying = np.flatnonzero(told.growth < -told.zero)
        slowest = f", slowest mode at {told.growth[decaying[0]]:.4g} ({names[decaying[0]]})" if decaying.size else ""
        facts.append(f"stable{slowest}")
    if told.neutral:
        zero = [names[i] for i in np.flatnonzero(np.abs(told.growth) <= told.zero)]
        facts.append(f"{told.neutral} zero {'mode' if told.neutral == 1 else 'modes'} ({', '.join(dict.fromkeys(zero))})")
    if idle:
        facts.append(("idle unit " if len(idle) == 1 else "idle units ") + ", ".join(map(str, idle)))
    facts += [f"units {', '.join(map(str, group))} are one" for group in twins]
    return "; ".join(facts)


def _no_rest(holding: Holding, found: Rest) -> str:
    """One sentence on what happens where there is no state at rest."""
    y, equations = found.root.y, holding.equations(found.state.permuted(found.order).v)
    with np.errstate(all="ignore"):
        rate = equations.rate(y)
    names = equations.dynamics.names
    if found.failure:
        return f"runaway: {found.failure}"
    grows = [i for i, name in enumerate(names) if name.startswith("Q") and rate[i] > 0 and y[i] > 0]
    worst = max(grows, key=lambda i: rate[i], default=int(np.argmax(np.abs(rate))))
    name = _renumbered(names[worst].replace("[", " ").replace("]", "").replace(",", ", "), found.order)
    kind, numbers = name.split(" ", 1)
    entry = f"{kind}[{numbers.replace(', ', ',')}]"
    remedy = "" if holding.held.rates.kappa > 0 else "; without weight_decay there may be none, a larger one may bring it"
    return (
        f"no fixed point: {kind if grows else entry} still {'grows' if rate[worst] > 0 else 'moves'} ({entry} = {y[worst]:.4g}, at "
        f"{rate[worst]:.2g} per unit of time) after t = {found.time:g}{remedy}"
    )
