"""The search for the best schedule: scipy's SLSQP on exact gradients, budgets as linear constraints; L-BFGS-B for rates alone."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from curriculode.theory.control.passes import Path
from curriculode.theory.control.schedule import Schedule

_DEAR = 10.0  # what a step into divergence costs, in units of the best value so far
_SHORTER = 4  # halvings of a step before a divergence is believed


@dataclass
class Search:
    """Schedules of given edges, p or eta or both of which are varied.

    along : a path from every start;  order, rates : what is varied;  bounds : of the rates
    margin : by which rates may be larger without divergence;  allowed : error of the objective by the length of steps, relative
    watch : told every evaluation
    best, value : the best schedule so far, and its mean objective;  slopes : its derivatives by p and eta;  history : of its values
    """

    along: list[Path]
    order: bool
    rates: bool
    bounds: tuple[float, float]
    margin: float
    allowed: float
    watch: Callable[[], None] = lambda: None
    best: Schedule | None = None
    value: float = float("inf")
    slopes: tuple[np.ndarray, np.ndarray] | None = None
    history: list[float] = field(default_factory=list)
    evaluations: int = 0
    _here: Schedule = field(init=False)
    _here_value: float = field(init=False, default=float("inf"))
    _left: int = field(init=False, default=0)

    def run(self, begin: Schedule, iterations: int, tolerance: float) -> tuple[float, bool]:
        """The value of the best schedule that is found from `begin`, and whether the search came to its own end.

        Where larger rates, or another order, make the equations stiffer than those of the beginning, the steps are shortened and
        the search goes on from the best so far.
        """
        self._here, self._here_value, self._left = begin, float("inf"), iterations
        while True:
            try:
                ended = self._minimize(self._here, tolerance)
                shorter = self._shorten(self._here)
            except _TooLong:
                ended, shorter = False, True
            if not shorter:
                return self._here_value, ended
            self._measure_again()
            if self._left <= 0:
                while self._shorten(self._here):
                    self._measure_again()
                return self._here_value, False

    def _minimize(self, begin: Schedule, tolerance: float) -> bool:
        """One call of scipy from `begin`; whether it converged."""
        from scipy.optimize import Bounds, LinearConstraint, minimize

        N, levels = begin.probability.shape
        free = levels - 1 if self.order else 0
        budget, lengths = begin.budget, begin.lengths

        def schedule(x: np.ndarray) -> Schedule:
            p, eta = begin.probability, begin.eta
            if free:
                p = _with_budget(x[: N * free].reshape(N, free), lengths, budget)
            if self.rates:
                eta = np.clip(np.exp(x[N * free :]), *self.bounds)
            return Schedule(begin.edges, p, eta)

        def variables(given: Schedule) -> np.ndarray:
            parts = [given.probability[:, :free].ravel()] if free else []
            return np.concatenate([*parts, *([np.log(np.clip(given.eta, *self.bounds))] if self.rates else [])])

        def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
            here = schedule(x)
            found = self._sensitivity(here)
            if found is None:
                value = self._here_value if np.isfinite(self._here_value) else 1.0
                away = x - variables(self._here)
                # The step is refused: dearer the further it goes, so that every line search turns back.
                return value + _DEAR * abs(value) * (1.0 + float(away @ away)), 2.0 * _DEAR * abs(value) * away
            value, by_p, by_eta = found
            self._keep(here, value, by_p, by_eta)
            parts = [(by_p[:, :-1] - by_p[:, -1:]).ravel()] if free else []
            return value, np.concatenate([*parts, *([by_eta * here.eta] if self.rates else [])])

        def count(*_: object) -> None:
            self._left -= 1

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

        common = {"jac": True, "bounds": Bounds(low, high), "callback": count}
        options = {"maxiter": max(1, self._left), "ftol": tolerance}
        if not free:
            return bool(minimize(scaled, x, method="L-BFGS-B", options={**options, "gtol": 1e-9}, **common).success)
        rows = np.zeros((free, x.size))
        for d in range(free):
            rows[d, d : N * free : free] = lengths
        constraints = [LinearConstraint(rows, budget[:free], budget[:free])]
        if free > 1:
            sums = np.zeros((N, x.size))
            for n in range(N):
                sums[n, n * free : (n + 1) * free] = 1.0
            constraints.append(LinearConstraint(sums, -np.inf, 1.0))
        return bool(minimize(scaled, x, method="SLSQP", constraints=constraints, options=options, **common).success)

    def promise(self) -> dict[str, float]:
        """What the derivatives at the best schedule promise of going on, to first order, in units of the objective.

        order : by the best exchange of all examples within their budgets (Frank and Wolfe's gap), a linear programme
        learning_rate : by multiplying or dividing every rate that is inside its bounds by e
        Both vanish where no small step lowers the objective.
        """
        if self.best is None or self.slopes is None:
            return {}
        by_p, by_eta = self.slopes
        found = {}
        if self.order:
            found["order"] = _exchange(by_p, self.best)
        if self.rates:
            slope, eta = by_eta * self.best.eta, self.best.eta
            low, high = self.bounds
            held = ((eta <= low * (1 + 1e-9)) & (slope > 0)) | ((eta >= high * (1 - 1e-9)) & (slope < 0))
            found["learning_rate"] = float(np.abs(np.where(held, 0.0, slope)).sum())
        return found

    def _keep(self, here: Schedule, value: float, by_p: np.ndarray, by_eta: np.ndarray) -> None:
        """Note a schedule if it is the best of this search, or of all."""
        if value < self._here_value:
            self._here, self._here_value = here, value
        if value < self.value:
            self.best, self.value, self.slopes = here, value, (by_p, by_eta)
            self.history.append(value)

    def _shorten(self, schedule: Schedule) -> bool:
        """Halve the steps that are too long for a schedule; whether there were any."""
        shorter = False
        for path in self.along:
            coarse = path.value(schedule)
            path.step = min(path.step, float(schedule.lengths.max())) * 0.5
            if path.finest(float(schedule.edges[-1])) or abs(path.value(schedule) - coarse) <= self.allowed * abs(coarse):
                path.step *= 2.0
            else:
                shorter = True
        return shorter

    def _measure_again(self) -> None:
        """The values of the best schedules, after the steps were shortened."""
        best, here = self.best, self._here
        self.value = self._here_value = float("inf")
        for schedule in [here] if best is None or best is here else [best, here]:
            found = self._sensitivity(schedule)
            if found is not None:
                self._here_value = float("inf")
                self._keep(schedule, *found)
        if best is not None and not np.isfinite(self.value):
            self.best, self.slopes = None, None

    def _sensitivity(self, schedule: Schedule) -> tuple[float, np.ndarray, np.ndarray] | None:
        """Mean over starts of the objective and its derivatives; None where one of them, or a margin above it, diverges."""
        total, by_p, by_eta = 0.0, np.zeros_like(schedule.probability), np.zeros_like(schedule.eta)
        self.evaluations += 1
        above = Schedule(schedule.edges, schedule.probability, (1.0 + self.margin) * schedule.eta)
        for path in self.along:
            self.watch()
            if self.rates and not np.isfinite(path.value(above)):
                _diverging(path, above)
                return None
            found = path.sensitivity(schedule, self.order)
            if found is None or not np.isfinite(found.value):
                _diverging(path, schedule)
                return None
            total += found.value / len(self.along)
            by_p += found.probability / len(self.along)
            by_eta += found.eta / len(self.along)
        return total, by_p, by_eta


class _TooLong(Exception):
    """Steps were too long, and are shorter now: no step into divergence."""


def _diverging(path: Path, schedule: Schedule) -> None:
    """Of a schedule along which a path diverges: raise `_TooLong` where it does not with shorter steps, which it then keeps."""
    step = path.step
    for _ in range(_SHORTER):
        path.step = min(path.step, float(schedule.lengths.max())) * 0.5
        if path.finest(float(schedule.edges[-1])):
            break
        if np.isfinite(path.value(schedule)):
            raise _TooLong
    path.step = step


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


def _exchange(by_p: np.ndarray, schedule: Schedule) -> float:
    """max over p' of the same budgets of <by_p, p - p'>."""
    from scipy.optimize import linprog

    N, levels = by_p.shape
    budgets, sums = np.zeros((levels, N * levels)), np.zeros((N, N * levels))
    for d in range(levels):
        budgets[d, d::levels] = schedule.lengths
    for n in range(N):
        sums[n, n * levels : (n + 1) * levels] = 1.0
    found = linprog(
        by_p.ravel(),
        A_eq=np.vstack([budgets, sums])[:-1],
        b_eq=np.concatenate([schedule.budget, np.ones(N)])[:-1],
        bounds=(0.0, 1.0),
    )
    return max(0.0, float(by_p.ravel() @ schedule.probability.ravel() - found.fun)) if found.success else float("nan")
