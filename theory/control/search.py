"""The search for the best schedule: scipy's SLSQP on exact gradients, budgets as linear constraints; L-BFGS-B for rates alone."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from curriculode.theory.control.passes import Path
from curriculode.theory.control.schedule import Schedule

_DEAR = 10.0  # what a step into divergence costs, in units of the best value so far


@dataclass
class Search:
    """Schedules of given edges, p or eta or both of which are varied.

    along : a path from every start;  order, rates : what is varied;  bounds : of the rates
    margin : by which rates may be larger without divergence;  watch : told every evaluation
    best, value : the best schedule so far, and its mean objective;  history : of its values
    """

    along: list[Path]
    order: bool
    rates: bool
    bounds: tuple[float, float]
    margin: float
    watch: Callable[[], None] = lambda: None
    best: Schedule | None = None
    value: float = float("inf")
    history: list[float] = field(default_factory=list)
    evaluations: int = 0

    def run(self, begin: Schedule, iterations: int, tolerance: float) -> tuple[Schedule, float]:
        """The best schedule that is found from `begin`, and its value."""
        from scipy.optimize import Bounds, LinearConstraint, minimize

        N, levels = begin.probability.shape
        free = levels - 1 if self.order else 0
        budget, lengths = begin.budget, begin.lengths
        before: list[tuple[Schedule, float]] = []

        def schedule(x: np.ndarray) -> Schedule:
            p, eta = begin.probability, begin.eta
            if free:
                p = _with_budget(x[: N * free].reshape(N, free), lengths, budget)
            if self.rates:
                eta = np.clip(np.exp(x[N * free :]), *self.bounds)
            return Schedule(begin.edges, p, eta)

        def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
            here = schedule(x)
            found = self._sensitivity(here)
            if found is None:
                reference, value = before[0] if before else (begin, 1.0)
                away = x - variables(reference)
                # The step is refused: dearer the further it goes, so that every line search turns back.
                return value + _DEAR * abs(value) * (1.0 + float(away @ away)), 2.0 * _DEAR * abs(value) * away
            value, by_p, by_eta = found
            if not before or value < before[0][1]:
                before[:] = [(here, value)]
            if value < self.value:
                self.best, self.value = here, value
                self.history.append(value)
            parts = [(by_p[:, :-1] - by_p[:, -1:]).ravel()] if free else []
            return value, np.concatenate([*parts, *([by_eta * here.eta] if self.rates else [])])

        def variables(given: Schedule) -> np.ndarray:
            parts = [given.probability[:, :free].ravel()] if free else []
            return np.concatenate([*parts, *([np.log(np.clip(given.eta, *self.bounds))] if self.rates else [])])

        x = variables(begin)
        logs = np.log(self.bounds)
        low = np.concatenate([np.zeros(N * free), np.full(N if self.rates else 0, logs[0])])
        high = np.concatenate([np.ones(N * free), np.full(N if self.rates else 0, logs[1])])
        # Differences of the objective are counted in units of it.
        scale = abs(objective(x)[0])
        scale = 1.0 if not np.isfinite(scale) or scale == 0.0 else scale

        def scaled(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = objective(x)
            return value / scale, gradient / scale

        common = {"jac": True, "bounds": Bounds(low, high)}
        if not free:
            minimize(scaled, x, method="L-BFGS-B", options={"maxiter": iterations, "ftol": tolerance, "gtol": 1e-9}, **common)
        else:
            rows = np.zeros((free, x.size))
            for d in range(free):
                rows[d, d : N * free : free] = lengths
            constraints = [LinearConstraint(rows, budget[:free], budget[:free])]
            if free > 1:
                sums = np.zeros((N, x.size))
                for n in range(N):
                    sums[n, n * free : (n + 1) * free] = 1.0
                constraints.append(LinearConstraint(sums, -np.inf, 1.0))
            minimize(
                scaled, x, method="SLSQP", constraints=constraints, options={"maxiter": iterations, "ftol": tolerance}, **common
            )
        return before[0] if before else (begin, float("inf"))

    def _sensitivity(self, schedule: Schedule) -> tuple[float, np.ndarray, np.ndarray] | None:
        """Mean over starts of the objective and its derivatives; None where one of them, or a margin above it, diverges."""
        total, by_p, by_eta = 0.0, np.zeros_like(schedule.probability), np.zeros_like(schedule.eta)
        self.evaluations += 1
        for path in self.along:
            self.watch()
            if self.rates and not np.isfinite(
                path.value(Schedule(schedule.edges, schedule.probability, (1.0 + self.margin) * schedule.eta))
            ):
                return None
            found = path.sensitivity(schedule)
            if found is None or not np.isfinite(found.value):
                return None
            total += found.value / len(self.along)
            by_p += found.probability / len(self.along)
            by_eta += found.eta / len(self.along)
        return total, by_p, by_eta


def _with_budget(p: np.ndarray, lengths: np.ndarray, budget: np.ndarray) -> np.ndarray:
    """Probabilities of all levels from those of all but the last (N, levels - 1), with the budget kept to rounding.

    What the search is off by, within the tolerance of its constraints, is spread over the stages that have room for it.
    """
    p = np.clip(p, 0.0, 1.0)
    over = p.sum(axis=1, keepdims=True)
    p = p / np.maximum(over, 1.0)
    for _ in range(4):
        for d in range(p.shape[1]):
            missing = budget[d] - lengths @ p[:, d]
            room = np.minimum(1.0 - p.sum(axis=1), 1.0) if missing > 0 else p[:, d]
            total = float(lengths @ room)
            if total > 0.0:
                p[:, d] += np.clip(missing / total, -1.0, 1.0) * room
    p = np.clip(p, 0.0, 1.0)
    return np.column_stack([p, np.maximum(1.0 - p.sum(axis=1), 0.0)])
