"""Finite D by the diffusion that online SGD becomes as D grows: its nonlinearity is kept, and the cost does not know D.

    dY = (f - J f / (2 D) + e / D) dt + D^(-1/2) B^(1/2) dW

with f the rate of the equations, B and e those of one step (`theory/finite_d/step.py`). A stretch of h D examples is one step of
Heun's scheme for the drift, taken at Y - f / (2 D), whose first order is the second term, with the noise of the states at its
beginning. Of a mixed stage the examples of each level in a stretch are drawn without replacement, as SGD draws them.
"""

import numpy as np

from curriculode.sims.spaces.model import Model
from curriculode.theory.averages.quasi_monte_carlo import least_points
from curriculode.theory.core.compiled import kernel
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.packing import pack, unpack
from curriculode.theory.finite_d.step import Step

_STRETCH = 0.05  # most of t that is one step
_POINTS, _FRESH = 256, 32  # of the net of the drift; examples a component of the noise
_MOST_EXACT = 10**9  # examples from which numpy draws without replacement


class Diffusion:
    """Up to 32 runs, each from exactly the overlaps of its start."""

    def __init__(self, model: Model, starts: list[OrderParameters], rngs: list[np.random.Generator]) -> None:
        self.model, self.rngs, setting = model, rngs, model.setting
        self._states = [packed(setting, start) for start in starts]
        self._v = [np.array(start.v, dtype=float) for start in starts]
        self._engine = setting.engine("auto", _POINTS, 0)
        blocks, K, P = setting.shape
        fresh = max(_FRESH, least_points(blocks * (K + P) + 1))
        self._steps = [Step(setting, v, fresh) for v in self._v]
        self._inverse = np.array([np.linalg.pinv(T, hermitian=True) for T in setting.blocks.T])
        self._room, self._rest = (np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.empty(K)), np.empty((K, K))
        self._drifts: dict[Rates, list[list[OnlineLearning]]] = {}

    @staticmethod
    def steps_a_second(model: Model) -> float:
        """How many examples a second, roughly: only to cut long stretches of steps."""
        return _STRETCH * model.dimension / 1e-2  # for 32 runs one after the other

    @staticmethod
    def together(width: int, runs: int, workers: int) -> int:
        """How many runs to advance one after the other, without leaving the compiled code of the same arrays."""
        return max(1, min(32, -(-runs // (4 * workers))))

    def advance(self, remaining: np.ndarray, steps: int, rates: Rates) -> None:
        """Take `steps` steps at these rates, of examples from the numbers of each level still `remaining`, (runs, levels)."""
        levels = self._levels(rates)
        for run, rng in enumerate(self.rngs):
            left = steps
            while left > 0:
                taken = min(left, max(1, round(_STRETCH * self.model.dimension)))
                drawn = _drawn(rng, remaining[run], taken)
                remaining[run] -= drawn
                self._states[run] = self._stretch(run, rng, levels[run], drawn, taken, rates)
                left -= taken

    def _levels(self, rates: Rates) -> list[list[OnlineLearning]]:
        """The equations of each level alone, for each run, at these rates."""
        if rates not in self._drifts:
            setting = self.model.setting
            one = np.eye(len(setting.laws))
            self._drifts[rates] = [[OnlineLearning(setting, self._engine, p, rates, v) for p in one] for v in self._v]
        return self._drifts[rates]

    def _stretch(
        self, run: int, rng: np.random.Generator, levels: list[OnlineLearning], drawn: np.ndarray, taken: int, rates: Rates
    ) -> np.ndarray:
        """The state after `taken` examples, `drawn` (levels,) of each level."""
        y, D = self._states[run], self.model.dimension
        if not np.isfinite(y).all():
            return y  # diverged: it is recorded as it is
        h, share, met = taken / D, drawn / taken, np.flatnonzero(drawn)
        each = [levels[level].rate(0.0, y) for level in met]
        first = share[met] @ np.array(each)
        noise, second = np.zeros(y.size), np.zeros(y.size)
        for level, drift in zip(met, each, strict=True):
            noise += np.sqrt(share[level]) * self._steps[run].noise(y, rates, int(level), drift, rng, second, share[level])
        correction = (second - 0.5 * self._slope(levels, met, share, y, first)) / D
        noise *= np.sqrt(h / D)
        with np.errstate(all="ignore"):
            ahead = y + h * (first + correction) + noise
            after = share[met] @ np.array([levels[level].rate(0.0, ahead) for level in met])
            y = y + h * (0.5 * (first + after) + correction) + noise
        return self._physical(y)

    def _physical(self, y: np.ndarray) -> np.ndarray:
        """The state y, whose Q is no smaller than what its M says: noise may push it out of the physical states."""
        Q, M, v = self._room
        unpack(y, Q, M, v)
        if _is_physical(Q, M, self._inverse, self._rest) or not np.isfinite(y).all():
            return y
        for b in range(Q.shape[0]):
            along = M[b] @ self._inverse[b] @ M[b].T
            w, V = np.linalg.eigh(Q[b] - along)
            Q[b] = along + (V * np.maximum(w, 0.0)) @ V.T
        result = np.empty_like(y)
        pack(Q, M, v, result)
        return result

    @staticmethod
    def _slope(levels: list[OnlineLearning], met: np.ndarray, share: np.ndarray, y: np.ndarray, f: np.ndarray) -> np.ndarray:
        """J f, by one difference along f."""
        small = 1e-4 / max(1.0, float(np.abs(f).max()))
        moved = share[met] @ np.array([levels[level].rate(0.0, y - small * f) for level in met])
        slope: np.ndarray = (f - moved) / small
        return slope

    def overlaps(self, lane: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current Q (blocks, K, K), M (blocks, K, P), v (K,) of one of the runs."""
        blocks, K, P = self.model.setting.shape
        Q, M, v = np.empty((blocks, K, K)), np.empty((blocks, K, P)), self._v[lane].copy()
        unpack(self._states[lane], Q, M, v)
        return Q, M, v


def _drawn(rng: np.random.Generator, remaining: np.ndarray, taken: int) -> np.ndarray:
    """Of `taken` examples without replacement, how many are of each level."""
    if np.count_nonzero(remaining) == 1:
        return np.where(remaining > 0, taken, 0)
    total = int(remaining.sum())
    if total < _MOST_EXACT:
        return rng.multivariate_hypergeometric(remaining, taken)
    # So many that the law is Gaussian: one level after the other, given those before.
    drawn = np.zeros_like(remaining)
    for level, count in enumerate(remaining):
        rest = total - count
        spread = np.sqrt(max(taken * (count / total) * (rest / total) * ((total - taken) / max(total - 1, 1)), 0.0))
        number = round(taken * (count / total) + spread * rng.standard_normal()) if rest else taken
        drawn[level] = min(max(number, taken - rest, 0), count, taken)
        total, taken = rest, taken - drawn[level]
    return drawn


@kernel
def _is_physical(Q, M, inverse, rest):
    """Whether Q - M T^+ M' is positive semi-definite in every block, by its pivots."""
    blocks, K, P = M.shape
    for b in range(blocks):
        for k in range(K):
            for m in range(k + 1):
                total = Q[b, k, m]
                for p in range(P):
                    for q in range(P):
                        total -= M[b, k, p] * inverse[b, p, q] * M[b, m, q]
                rest[k, m] = total
        for j in range(K):
            if not rest[j, j] > 0.0:
                return False
            for i in range(j + 1, K):
                factor = rest[i, j] / rest[j, j]
                for m in range(j + 1, i + 1):
                    rest[i, m] -= factor * rest[m, j]
    return True
