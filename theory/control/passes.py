"""Forward and backward along a schedule: classical Runge-Kutta steps of fixed length, and their exact reverse.

A step of y' = f(y) from y_n is y_n + h (k1 + 2 k2 + 2 k3 + k4) / 6. Its reverse hands the costate of y_n+1 to those of the k_i,
h/6, h/3, h/3, h/6 of it and what later k depend on them by, and each to the state it was taken at. So the gradient is that of the
numbers as they are computed, and not a discretised costate equation: central differences agree to their own error.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from curriculode.theory.control.objective import Objective
from curriculode.theory.control.schedule import Schedule
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.costates import Costates
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.results.states import DIVERGED

_FIRST_STEPS, _MOST_STEPS = 32, 2**15


class Sensitivity(NamedTuple):
    """The objective and its derivatives: by p of each stretch (N, levels), by eta (N,), and by the weight decay over each (N,).

    states, costates : (N, n) where each stretch begins
    """

    value: float
    probability: np.ndarray
    eta: np.ndarray
    kappa: np.ndarray
    states: np.ndarray
    costates: np.ndarray


@dataclass
class Path:
    """The equations from one start, for schedules of one experiment.

    step : the longest that is made;  evaluations : how many rates were computed, those of a backward stage counted as one
    """

    setting: Setting
    objective: Objective
    start: OrderParameters
    numerics: Numerics
    step: float

    def __post_init__(self) -> None:
        from curriculode.theory.averages.quasi_monte_carlo import check_points, least_points

        self.setting.check(self.start)
        points = self.numerics.points or max(DEFAULT_POINTS, least_points(self.setting.fields))
        check_points(points, self.setting.fields)
        ordered = self.start.permuted(self.start.canonical_order())
        scrambling = self.numerics.scrambling
        self.engine = self.setting.engine(self.numerics.averages, points, scrambling, self.numerics.noise_terms)
        self.costates = Costates(self.setting, self.engine, scrambling, ordered.v)
        self._y, self._v = packed(self.setting, ordered), ordered.v
        self._limit = DIVERGED * max(1.0, float(np.abs(self._y).max()))
        self.evaluations = 0

    def rates(self, eta: float) -> Rates:
        """Those of a stretch: the readout's keeps its ratio to that of the weights."""
        base = self.setting.rates
        return Rates(eta, base.eta_v * eta / base.eta if base.eta > 0 else base.eta_v, base.kappa)

    def finest(self, duration: float) -> bool:
        """Whether the step is as short as it is ever made."""
        return duration / self.step >= _MOST_STEPS

    def value(self, schedule: Schedule) -> float:
        """The objective at the end of the schedule; infinite where the equations diverge."""
        states = self._forward(schedule)
        if states is None:
            return float("inf")
        return float(sum(weight * self.objective.value_and_gradient(self.costates, y)[0] for weight, y in self._counted(states)))

    def sensitivity(self, schedule: Schedule, orders: bool = True) -> Sensitivity | None:
        """The objective and its derivatives by all of the schedule; None where the equations diverge.

        orders : whether those by the probability of levels that a stretch has none of are wanted too; they are zero otherwise
        """
        states = self._forward(schedule)
        if states is None:
            return None
        N, levels = schedule.probability.shape
        begins = np.array([stretch[0][1] for stretch in states])
        found = Sensitivity(0.0, np.zeros((N, levels)), np.zeros(N), np.zeros(N), begins, np.zeros_like(begins))
        value, costate = 0.0, np.zeros_like(self._y)
        weights = {id(y): weight for weight, y in self._counted(states)}
        for n in range(N - 1, -1, -1):
            p, rates = schedule.probability[n], self.rates(float(schedule.eta[n]))
            along = self.along(p, rates)
            h = (states[n][-1][0] - states[n][0][0]) / (len(states[n]) - 1)
            for i in range(len(states[n]) - 1, 0, -1):
                if id(states[n][i][1]) in weights:
                    share = weights.pop(id(states[n][i][1]))
                    here, gradient = self.objective.value_and_gradient(self.costates, states[n][i][1])
                    value, costate = value + share * here, costate + share * gradient
                y = states[n][i - 1][1]
                k1 = along.rate(0.0, y)
                y2 = y + 0.5 * h * k1
                k2 = along.rate(0.0, y2)
                y3 = y + 0.5 * h * k2
                y4 = y + h * along.rate(0.0, y3)
                back = costate.copy()
                handed = np.zeros_like(costate)
                for place, share, step in ((y4, h / 6.0, h), (y3, h / 3.0, 0.5 * h), (y2, h / 3.0, 0.5 * h), (y, h / 6.0, 0.0)):
                    pulled = self.costates.pull(place, share * costate + handed, p, rates, orders)
                    back += pulled.state
                    handed = step * pulled.state
                    found.probability[n] += pulled.levels
                    found.eta[n] += pulled.eta
                    found.kappa[n] += pulled.kappa
                costate = back
                self.evaluations += 7
            found.costates[n] = costate
        first = states[0][0][1]
        if id(first) in weights:
            value += weights[id(first)] * self.objective.value_and_gradient(self.costates, first)[0]
        return found._replace(value=float(value))

    def along(self, p: np.ndarray, rates: Rates) -> OnlineLearning:
        """The equations of a stretch."""
        return OnlineLearning(self.setting, self.engine, p, rates, self._v)

    def _forward(self, schedule: Schedule) -> list[list[tuple[float, np.ndarray]]] | None:
        """Times and states of the steps of each stretch, both ends included; None where they leave every bound."""
        y, stretches = self._y, []
        with np.errstate(all="ignore"):
            for n, length in enumerate(schedule.lengths):
                along = self.along(schedule.probability[n], self.rates(float(schedule.eta[n])))
                count = max(1, int(np.ceil(length / self.step - 1e-9)))
                h, start = length / count, schedule.edges[n]
                kept = [(float(start), y)]
                for i in range(count):
                    k1 = along.rate(0.0, y)
                    k2 = along.rate(0.0, y + 0.5 * h * k1)
                    k3 = along.rate(0.0, y + 0.5 * h * k2)
                    k4 = along.rate(0.0, y + h * k3)
                    y = y + (h / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
                    self.evaluations += 4
                    if not np.abs(y).max() < self._limit:
                        return None
                    kept.append((float(start + (i + 1) * h), y))
                stretches.append(kept)
        return stretches

    def _counted(self, states: list[list[tuple[float, np.ndarray]]]) -> list[tuple[float, np.ndarray]]:
        """Weights and states that the objective counts: the last, or all by the trapezoidal rule."""
        if not self.objective.averaged:
            return [(1.0, states[-1][-1][1])]
        steps = [states[0][0], *(step for stretch in states for step in stretch[1:])]
        t = np.array([step[0] for step in steps])
        half = 0.5 * np.diff(t) / (t[-1] - t[0])
        weights = np.concatenate([half, [0.0]]) + np.concatenate([[0.0], half])
        return [(float(weight), step[1]) for weight, step in zip(weights, steps, strict=True)]


def paths(
    setting: Setting,
    objective: Objective,
    starts: list[OrderParameters],
    numerics: Numerics,
    schedules: list[Schedule],
    allowed: float,
) -> list[Path]:
    """A path from every start, with a step of its own that is short enough for `schedules`: halved until the objective changes by
    less than `allowed`, relatively. One start may sit on a plateau where another one's equations are stiff.
    """
    return [_settled(Path(setting, objective, start, numerics, np.inf), schedules, allowed, i) for i, start in enumerate(starts)]


def _settled(path: Path, schedules: list[Schedule], allowed: float, number: int) -> Path:
    T = float(schedules[0].edges[-1])
    # No longer than a stretch: a step that is halved is then another one.
    step = min(T / _FIRST_STEPS, *(float(schedule.lengths.max()) for schedule in schedules))
    before = np.full(len(schedules), np.inf)
    while True:
        path.step = step
        now = np.array([path.value(schedule) for schedule in schedules])
        finite = np.isfinite(now) & np.isfinite(before)
        settled = finite.any() and np.array_equal(np.isfinite(now), np.isfinite(before))
        if settled and (np.abs(now - before)[finite] <= allowed * np.abs(now[finite])).all():
            path.step = 2.0 * step  # the longer one was short enough
            return path
        if path.finest(T):
            if not np.isfinite(now).any():
                raise InputError(f"the equations diverge from start {number}; give a smaller learning_rate or more weight_decay")
            return path
        step, before = 0.5 * step, now
