"""Where a student ends that goes through a protocol and is then held on one level: the equations' part of `attractors`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.protocol import Stage
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.fixed_point import fixed_point_record, stage_held
from curriculode.theory.landscape.kinds import invariants
from curriculode.theory.landscape.rest import Held, Holding, Rest
from curriculode.theory.landscape.weights import WeightCoordinates
from curriculode.theory.results.states import Trajectory

_SETTLE = 100.0  # over eta: followed before the first steps of Newton, from where the times end

_RTOL = 1e-5
_FINE = 2048  # points of the nets of errors, whatever those of the equations


def held_on(experiment: Experiment, order: str, until: float, level: str) -> Experiment:
    """The experiment in an order, and then on with a level alone until a later time."""
    ordered = experiment.replace({"protocol.order": order}) if order != experiment.protocol.order else experiment
    protocol = ordered.protocol
    T = protocol.duration
    if until <= T:
        return ordered
    names = [each.name for each in protocol.levels]
    plan = [
        Stage(
            share=(stage.end - stage.start) / until,
            probability={name: float(p) for name, p in zip(names, stage.probability, strict=True) if p > 0},
            learning_rate=stage.learning_rate,
        )
        for stage in protocol.stages()
    ]
    plan.append(Stage(share=1.0 - sum(stage.share for stage in plan), probability={level: 1.0}))
    return ordered.replace({"protocol.order": "stages", "protocol.duration": until, "protocol.plan": plan})


@dataclass(frozen=True)
class End:
    """Where one student ended.

    values : (times,) of the quantity, and `final` at rest;  rest : the state at rest, or none;  invariants : of it
    """

    values: np.ndarray
    final: float
    rest: Rest
    invariants: tuple[np.ndarray, ...] | None


class Ends:
    """The way to the end of students of one experiment in one order.

    experiment : held on the level after its protocol;  quantity : an observable;  longest : that the equations are followed
    """

    def __init__(self, experiment: Experiment, level: str, numerics: Numerics, quantity: str, longest: float) -> None:
        self.experiment, self.quantity, self.longest = experiment, quantity, longest
        self.setting = Setting.of(experiment)
        held, self.called = stage_held(experiment, self.setting, level)
        self.holding = Holding(self.setting, held, numerics)
        self.numerics = self.holding.way.numerics.set(rtol=numerics.rtol or _RTOL)
        self._place = WeightCoordinates(self.setting)
        self._apart = 1e-9 * self.setting.stages[-1].end  # what is closer is one time
        quick = numerics.set(rtol=numerics.rtol or _RTOL)
        self._stages = [Holding(self.setting, Held(stage.probability, stage.rates), quick) for stage in self.setting.stages]
        self._settle = _SETTLE / max(held.rates.eta, held.rates.eta_v, 1e-3)

    def of_theory(self, start: OrderParameters, times: np.ndarray) -> End:
        """The end of a student by the equations alone, met at each of the times anew: units that die away lead a long way of
        integration out of what is physical.
        """
        state, seen = start, [start]
        for holding, begin, end in self._stretches(times):
            after, failure = holding.follow(state, end - begin)
            if failure is not None:
                break
            state = after
            if len(seen) < times.size and end >= times[len(seen)] - self._apart:
                seen.append(state)
        Q, M, v = (np.array([getattr(each, name) for each in seen]) for name in "QMv")
        found = self._at_rest(state, self._values(times[: len(seen)], Q, M, v))
        left = np.full(times.size - len(seen), found.final if found.invariants is not None else np.nan)  # it rests from there on
        return replace(found, values=np.concatenate([found.values, left]))

    def _stretches(self, times: np.ndarray) -> list[tuple[Holding, float, float]]:
        """The stages, cut at the times, each with its equations, its start and its end."""
        stretches = []
        for holding, stage in zip(self._stages, self.setting.stages, strict=True):
            inside = times[(times > stage.start + self._apart) & (times < stage.end - self._apart)]
            edges = [stage.start, *inside, stage.end]
            stretches += [(holding, float(a), float(b)) for a, b in pairwise(edges)]
        return stretches

    def of_states(self, Q: np.ndarray, M: np.ndarray, v: np.ndarray, times: np.ndarray) -> End:
        """The end of a run, whose states at the times are given, times first: where the equations lead it from the last of them."""
        values = self._values(times, Q, M, v)
        return self._at_rest(OrderParameters(Q[-1], M[-1], v[-1]), values)

    def _values(self, t: np.ndarray, Q: np.ndarray, M: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The quantity at states, times first; of units that die away the integrator's error leaves squares below zero."""
        one = Q.ndim == 3
        if one:
            Q, M = Q[:, None], M[:, None]
        states = [self._place.physical(*each) for each in zip(Q, M, v, strict=True)]
        arrays = {"t": t, "v": v, **{name: np.array([state[i] for state in states]) for i, name in enumerate("QM")}}
        if one:
            arrays |= {name: arrays[name][:, 0].copy() for name in "QM"}
        numerics = self.numerics.set(points=max(_FINE, self.numerics.points or 0))
        found: np.ndarray = Trajectory(self.experiment, numerics, arrays, "").observable(self.quantity)
        return found

    def _at_rest(self, state: OrderParameters, values: np.ndarray) -> End:
        rest = self.holding.rest(state, min(self._settle, self.longest), self.longest, ends=True)
        if rest.failure is not None:
            return End(values, float(values[-1]) if values.size else float("nan"), rest, None)
        final = self._values(np.zeros(1), *(getattr(rest.state, name)[None] for name in "QMv"))[0]
        return End(values, float(final), rest, invariants(self.experiment, rest.state, self.numerics))

    def record(self, end: End) -> Any:
        """The fixed point of an end, with its spectrum and sentence."""
        return fixed_point_record(self.experiment, self.holding, end.rest, self.called)


def default_times(protocol_end: float, until: float, count: int = 21) -> np.ndarray:
    """Times that are even through the protocol, and from its end to `until` in equal ratios."""
    half = max(2, (count + 1) // 2)
    early = np.linspace(0.0, protocol_end, half)
    late = np.geomspace(protocol_end, until, max(2, count - half + 1))[1:] if until > protocol_end else np.zeros(0)
    times: np.ndarray = np.concatenate([early, late])
    if late.size:
        times[-1] = until
    return times


def paired(values: Sequence[Sequence[End]], times: int) -> tuple[np.ndarray, np.ndarray]:
    """Of ends (starts) x (orders): values (orders, starts, times) and those at rest (orders, starts)."""
    along = np.array([[end.values for end in row] for row in values]).reshape(len(values), -1, times)
    final = np.array([[end.final for end in row] for row in values]).reshape(len(values), -1)
    return np.ascontiguousarray(np.swapaxes(along, 0, 1)), np.ascontiguousarray(final.T)
