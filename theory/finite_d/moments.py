"""Mean and covariance of the order parameters at finite D: the expansion in 1/D, and a closure that keeps the nonlinearity.

With y_n = ybar(t) + xi / sqrt(D) + m / D, f = E d, J = df/dy, C = Cov xi, and B, e = E d2 of `theory.finite_d.step`,

    dC/dt = J C + C J' + B,         dm/dt = J m + 1/2 sum_ij (d2f/dy_i dy_j) C_ij + e - 1/2 J f.

Levels are drawn with exact totals: in a mixed stage of length tau, S_l' = J S_l + p_l (f_l - f), S_l(0) = 0, and C loses
S A S' with A the pseudo-inverse of tau (diag p - p p'), while m' gains - (1 / tau) sum_l J_l S_l.

Closure: with eigenpairs w_i, V_i of C and h_i = max(1e-4, sqrt(3 w_i / D)), about the mean mu itself

    E f = f(mu) + sum_i [f(mu + h_i V_i) - 2 f(mu) + f(mu - h_i V_i)] / 6,    J V_i = [f(mu + h_i V_i) - f(mu - h_i V_i)] / (2 h_i)

replace f + (1/2D) sum C d2f and J; below the floor of h_i the second difference has the weight w_i / (2 D h_i^2). B is averaged
over the same points. To leading order both are the same; the closure holds further where directions grow, such as on plateaus.
"""

from collections.abc import Sequence

import numpy as np

from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.interface import Dynamics
from curriculode.theory.finite_d.step import Step

_SMALL, _FLOOR = 1e-3, 1e-4  # steps of differences: of the expansion, and the least of the closure
_STAIRS = 0.03  # the least step where averages are staircases: points under the kink of a unit
_NO_CORRECTION = 1e-8  # variance below which B is that at the mean
_QUARTER = 0.25  # by which B averaged over the closure's points may differ from B, in norm
_NOTHING = 1e-14  # variance, relative to the largest, below which a direction has none


class MomentDynamics(Dynamics):
    """The moments in a stage of length `duration` whose levels have the given `probability` (levels,), at its `rates`.

    levels : the equations of each level alone;  dimension : D of the closure, or None for the expansion;  stairs : whether averages
    are nets of units with kinks
    The state is mean (n,), upper triangle of C, m (n,) of the expansion alone, and S (mixed levels, n).
    """

    def __init__(
        self,
        levels: Sequence[Dynamics],
        step: Step,
        probability: np.ndarray,
        rates: Rates,
        duration: float,
        dimension: int | None,
        stairs: bool = False,
    ) -> None:
        self._small, self._floor = (_STAIRS, _STAIRS) if stairs else (_SMALL, _FLOOR)
        self._levels, self._step, self._rates, self._dimension = levels, step, rates, dimension
        self._met = np.flatnonzero(probability > 0)
        self._probability = probability
        p = probability[self._met]
        self._mixed = len(p) if len(p) > 1 else 0
        self._duration = duration
        self._bridge = np.linalg.pinv(duration * (np.diag(p) - np.outer(p, p)), hermitian=True)
        self.n = n = len(levels[0].names)
        self.doubtful = np.inf  # the first time when B averaged over the closure's points is a quarter off
        self._upper = np.triu_indices(n)
        order = [f"C[{levels[0].names[i]},{levels[0].names[j]}]" for i, j in zip(*self._upper, strict=True)]
        shift = [f"shift {name}" for name in levels[0].names] if dimension is None else []
        totals = [f"level {level} {name}" for level in range(self._mixed) for name in levels[0].names]
        self.names = (*levels[0].names, *order, *shift, *totals)

    def packed(self, mean: np.ndarray, covariance: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """The state of a mean (n,), C (n, n) and m (n,) at the beginning of the stage."""
        parts = [mean, covariance[self._upper], *([shift] if self._dimension is None else []), np.zeros(self._mixed * self.n)]
        return np.concatenate(parts)

    def unpacked(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean (n,), C (n, n), m (n,) and S (mixed levels, n) of a state."""
        n, size = self.n, self._upper[0].size
        covariance = np.empty((n, n))
        covariance[self._upper] = state[n : n + size]
        covariance.T[self._upper] = state[n : n + size]
        at = n + size
        shift = np.zeros(n)
        if self._dimension is None:
            shift, at = state[at : at + n], at + n
        return state[:n], covariance, shift, state[at:].reshape(self._mixed, n)

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of the state y at time t."""
        self.evaluations += 1
        mean, C, m, S = self.unpacked(y)
        D, p = self._dimension, self._probability[self._met]
        each = self._drifts(t, mean)
        f = p @ each
        w, V = np.linalg.eigh(C)
        along = w > _NOTHING * max(w[-1], 1e-300)
        w, V = w[along], V[:, along]
        h = np.full(w.size, self._small) if D is None else np.maximum(self._floor, np.sqrt(3.0 * w / D))
        steps = V * h
        above = np.array([self._drift(t, mean + step) for step in steps.T]).reshape(-1, self.n)
        below = np.array([self._drift(t, mean - step) for step in steps.T]).reshape(-1, self.n)
        first = (above - below) / (2.0 * h)[:, None]  # J V_i
        curvature = 0.5 * ((w / h**2)[:, None] * (above - 2.0 * f + below)).sum(axis=0)  # 1/2 sum C_ij d2f
        JC = (first.T * w) @ V.T
        B, e = self._step.moments(mean, self._rates).mixed(self._probability)
        if D is not None:
            correction = self._correction(mean, B, w, V, h)
            if np.linalg.norm(correction) > _QUARTER * np.linalg.norm(B):
                self.doubtful = min(self.doubtful, t)
            B = B + correction
        dS = np.zeros_like(S)
        dC, level_term = JC + JC.T + B, np.zeros(self.n)
        if self._mixed:
            gained = p[:, None] * (each - f)
            for i, S_l in enumerate(S):
                J_S = self._slopes(t, mean, S_l)
                dS[i] = p @ J_S + gained[i]
                level_term -= J_S[i] / self._duration
            lost = gained.T @ self._bridge @ S
            dC -= lost + lost.T
        rest = e - 0.5 * (p @ self._slopes(t, mean, f)) + level_term
        if D is None:
            dm = p @ self._slopes(t, mean, m) + curvature + rest
            return np.concatenate([f, dC[self._upper], dm, dS.ravel()])
        return np.concatenate([f + (curvature + rest) / D, dC[self._upper], dS.ravel()])

    def _drifts(self, t: float, y: np.ndarray) -> np.ndarray:
        """f_l of the levels that are met, (met, n)."""
        return np.array([self._levels[int(level)].rate(t, y) for level in self._met])

    def _drift(self, t: float, y: np.ndarray) -> np.ndarray:
        return self._probability[self._met] @ self._drifts(t, y)

    def _slopes(self, t: float, y: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """J_l times a direction, of the levels that are met, (met, n)."""
        size = np.linalg.norm(direction)
        if size == 0.0:
            return np.zeros((self._met.size, self.n))
        step = self._small / size * direction
        return (self._drifts(t, y + step) - self._drifts(t, y - step)) * (size / (2.0 * self._small))

    def _correction(self, mean: np.ndarray, B: np.ndarray, w: np.ndarray, V: np.ndarray, h: np.ndarray) -> np.ndarray:
        """What B averaged over the closure's points differs by from B at the mean."""
        total, D = np.zeros_like(B), self._dimension
        assert D is not None
        for variance, direction, step in zip(w, V.T, h, strict=True):
            if variance >= _NO_CORRECTION:
                around = [self._step.moments(mean + s * direction, self._rates).mixed(self._probability)[0] for s in (step, -step)]
                total += variance / (2.0 * D * step**2) * (around[0] - 2.0 * B + around[1])
        return total
