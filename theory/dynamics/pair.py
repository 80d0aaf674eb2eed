"""Two copies of a student, each learning by the equations of one, and their cross overlaps X_kl = w1_k . w2_l / D.

With the coefficients of the law of one weight (`coefficients.py`), dw = - (A w + G u) dt + N^(1/2) dB for each copy, within block b

    dX/dt = - (A1 X + G1 M2') - (A2 X' + G2 M1')' + phi_b N12,      N12 = eta^2 sum_d p_d s_db^2 E_d[F1_k F2_l]

where N12 is there if both copies meet the same examples at the same time, and zero if each has its own. Copies that meet the same
levels but not the same examples have examples of their own.
"""

from collections.abc import Sequence

import numpy as np

from curriculode.theory.averages import Engine, FieldLaw
from curriculode.theory.averages.two_signals import TwoSignals
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.coefficients import CoefficientLaw, Coefficients
from curriculode.theory.dynamics.interface import Dynamics
from curriculode.theory.dynamics.online import State, unphysical_overlaps
from curriculode.theory.dynamics.packing import pack, state_names, state_size, unpack
from curriculode.theory.dynamics.setting import Setting

_ROUNDING = 1e-10


def joint_overlaps(Q: np.ndarray, M: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q (..., blocks, 2K, 2K) and M (..., blocks, 2K, P) of both copies together.

    Q (..., 2, blocks, K, K) and M (..., 2, blocks, K, P) of each;  X (..., blocks, K, K)
    """
    upper = np.concatenate([Q[..., 0, :, :, :], X], axis=-1)
    lower = np.concatenate([np.swapaxes(X, -1, -2), Q[..., 1, :, :, :]], axis=-1)
    return np.concatenate([upper, lower], axis=-2), np.concatenate([M[..., 0, :, :, :], M[..., 1, :, :, :]], axis=-2)


class CrossNoise:
    """The noise that copies share in a stage: eta^2 sum_d p_d s_db^2 E_d[(F1; F2)(F1; F2)'], (blocks, 2K, 2K)."""

    def __init__(self, setting: Setting, signals: TwoSignals, probability: np.ndarray, rates: Rates) -> None:
        self._signals, self._eta, (blocks, K, _) = signals, rates.eta, setting.shape
        met = [level for level, p in enumerate(probability) if p > 0]
        self._laws = [joint_law(setting, level) for level in met]
        self._weights = [probability[level] * setting.laws[level].scale ** 2 for level in met]
        self._found = np.empty((blocks, 2 * K, 2 * K))

    def at(self, Q: np.ndarray, M: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Of both copies together, Q (blocks, 2K, 2K), M (blocks, 2K, P), v (2K,)."""
        self._found[:] = 0.0
        for law, weight in zip(self._laws, self._weights, strict=True):
            law.update(Q, M)
            self._found += self._eta**2 * weight[:, None, None] * self._signals.square(law, v)
        return self._found


def joint_law(setting: Setting, level: int) -> FieldLaw:
    """The law of the fields of both copies at a level."""
    return FieldLaw(setting.laws[level], 2 * setting.width, setting.blocks.T)


class PairLearning(Dynamics):
    """Both copies in a stage; the state holds that of copy 1, of copy 2, and X.

    v : (2, K), the readouts, which the state holds where they are trained
    signals : of copies that meet the same examples; None where each has its own
    """

    def __init__(
        self,
        setting: Setting,
        averages: Engine,
        probability: np.ndarray,
        rates: Rates,
        v: Sequence[np.ndarray],
        signals: TwoSignals | None = None,
    ) -> None:
        self.setting = setting
        blocks, K, P = setting.shape
        self._laws = [CoefficientLaw(setting, averages, probability, rates) for _ in range(2)]
        noise = signals is not None and averages.noise_terms
        self._cross = CrossNoise(setting, signals, probability, rates) if noise and signals is not None else None
        self.one = state_size(blocks, K, P, setting.readout_trained)
        self.size = 2 * self.one + blocks * K * K
        single = state_names(blocks, range(K), P, setting.readout_trained)
        prefix = [""] if blocks == 1 else [f"{b}," for b in range(blocks)]
        mixed = [f"X[{before}{k},{m}]" for before in prefix for k in range(K) for m in range(K)]
        self.names = (*(f"{name} of copy {c}" for c in (1, 2) for name in single), *mixed)
        self._states = [State(np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.array(each, dtype=float)) for each in v]
        self._rates = State(np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.empty(K))
        self._X, self._none = np.empty((blocks, K, K)), np.zeros((blocks, K, K))

    def packed(self, Q: np.ndarray, M: np.ndarray, v: np.ndarray, X: np.ndarray) -> np.ndarray:
        """The state vector of Q (2, blocks, K, K), M (2, blocks, K, P), v (2, K), X (blocks, K, K)."""
        y = np.empty(self.size)
        for copy in range(2):
            parts = (np.array(part[copy], dtype=float, order="C") for part in (Q, M, v))
            pack(*parts, y[copy * self.one : (copy + 1) * self.one])
        y[2 * self.one :] = X.ravel()
        return y

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of the state y (n,) at time t."""
        self.evaluations += 1
        y, n = np.ascontiguousarray(y), self.one
        first, second = self._states
        unpack(y[:n], *first)
        unpack(y[n : 2 * n], *second)
        self._X[:] = y[2 * n :].reshape(self._X.shape)
        ours = self._laws[0].at(*first)
        # Copies that are alike, as they are for ever where each has examples of its own, share their averages.
        alike = np.array_equal(y[:n], y[n : 2 * n]) and np.array_equal(first.v, second.v)
        theirs = ours if alike else self._laws[1].at(*second)
        noises = ours.N, theirs.N, self._none
        if self._cross is not None:
            # Copies that are one stay so: their noise is that of one, and not a joint net's that tells them apart.
            if alike and np.abs(self._X - first.Q).max() <= _ROUNDING * np.abs(first.Q).max():
                noises = ours.N, ours.N, ours.N
            else:
                K = first.v.size
                Q, M = joint_overlaps(np.array([first.Q, second.Q]), np.array([first.M, second.M]), self._X)
                whole = self._cross.at(Q, M, np.concatenate([first.v, second.v]))
                noises = whole[:, :K, :K].copy(), whole[:, K:, K:].copy(), whole[:, :K, K:].copy()
        dy = np.empty(self.size)
        for copy, (state, found) in enumerate(zip(self._states, (ours, theirs), strict=True)):
            self._own(state, found, noises[copy], dy[copy * n : (copy + 1) * n])
        fractions = self.setting.blocks.fractions
        dX = dy[2 * n :].reshape(self._X.shape)
        cross_rate(ours.A, ours.G, first.M, theirs.A, theirs.G, second.M, noises[2], fractions, self._X, dX)
        return dy

    def _own(self, state: State, found: Coefficients, N: np.ndarray, dy: np.ndarray) -> None:
        """The derivative of a copy into dy."""
        blocks = self.setting.blocks
        copy_rate(found.A, found.G, N, blocks.fractions, blocks.T, state.Q, state.M, self._rates.Q, self._rates.M)
        pack(self._rates.Q, self._rates.M, found.dv, dy)

    def observe(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Q (times, 2, blocks, K, K), M (times, 2, blocks, K, P), v (times, 2, K), X (times, blocks, K, K)."""
        times, (blocks, K, P), n = len(states), self.setting.shape, self.one
        Q, M = np.empty((times, 2, blocks, K, K)), np.empty((times, 2, blocks, K, P))
        v = np.tile(np.array([state.v for state in self._states]), (times, 1, 1))
        for i, y in enumerate(states):
            for copy in range(2):
                unpack(np.ascontiguousarray(y[copy * n : (copy + 1) * n]), Q[i, copy], M[i, copy], v[i, copy])
        return {"Q": Q, "M": M, "v": v, "X": np.reshape(states, (times, self.size))[:, 2 * n :].reshape(times, blocks, K, K)}

    def unphysical(self, states: np.ndarray, tolerance: float) -> tuple[int, str] | None:
        """The first state whose overlaps, those of both copies and the references, are no covariance in some block."""
        found = self.observe(states)
        Q, M = joint_overlaps(found["Q"], found["M"], found["X"])
        return unphysical_overlaps(Q, M, self.setting.blocks.T, tolerance)


@kernel
def copy_rate(A, G, N, fractions, T, Q, M, dQ, dM):
    """dQ = - (A Q + G M') - (A Q + G M')' + phi N and dM = - (A M + G T) in every block."""
    blocks, K, P = M.shape
    for b in range(blocks):
        for k in range(K):
            for m in range(K):
                dQ[b, k, m] = fractions[b] * N[b, k, m]
            for q in range(P):
                total = 0.0
                for i in range(K):
                    total += A[b, k, i] * M[b, i, q]
                for p in range(P):
                    total += G[b, k, p] * T[b, p, q]
                dM[b, k, q] = -total
        for k in range(K):
            for m in range(K):
                total = _driven(A[b, k], Q[b, m], G[b, k], M[b, m])
                dQ[b, k, m] -= total
                dQ[b, m, k] -= total


@kernel
def cross_rate(A1, G1, M1, A2, G2, M2, N12, fractions, X, dX):
    """dX = - (A1 X + G1 M2') - (A2 X' + G2 M1')' + phi N12 in every block."""
    blocks, K, _ = X.shape
    for b in range(blocks):
        for k in range(K):
            for m in range(K):
                total = _driven(A1[b, k], X[b, :, m], G1[b, k], M2[b, m])
                total += _driven(A2[b, m], X[b, k], G2[b, m], M1[b, k])
                dX[b, k, m] = fractions[b] * N12[b, k, m] - total


@inner
def _driven(a, x, g, m):
    """a . x + g . m."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * x[i]
    for p in range(g.size):
        total += g[p] * m[p]
    return total
