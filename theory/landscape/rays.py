"""Growth of idle units with kinks: to first order in their size, but not linear in it.

A ReLU unit of any size has a mean response, so that a unit of no weight has no derivatives. Its equations are homogeneous
instead: weights M_k, Q_kl and readout of first degree, Q_kk of second. Along a ray they keep their ratios and grow at one rate,
which is what the unit's size grows at; the rays that attract are found by following the ratios from each side of each reference,
with either sign of the readout.
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.dynamics.packing import pack
from curriculode.theory.landscape.newton import StageEquations

_SIZE = 1e-3  # of the unit, whose square is what it changes of all others
_STEP, _MOST = 0.4, 200  # of the ratios, over the largest rate
_STILL = 1e-7


class Ray(NamedTuple):
    """The rate at which a small unit grows on the side (+1 or -1) of a reference."""

    growth: float
    reference: int
    side: int


def rays(equations: StageEquations, y: np.ndarray, unit: int) -> list[Ray]:
    """The fastest growth of an idle unit along each ray that attracts, at the state y (n,); the fastest first."""
    place = equations.coordinates
    Q, M, v = place.overlaps(y, equations.v)
    inverse = [np.linalg.pinv(T, hermitian=True) for T in equations.setting.blocks.T]
    best: dict[tuple[int, int], float] = {}
    for p in range(place.P):
        for side in (1, -1):
            for sign in (1.0, -1.0):
                w = np.array([side * T[p] for T in equations.setting.blocks.T])  # along the reference, as long as it
                cross = np.array([w[b] @ inverse[b] @ M[b].T for b in range(place.blocks)])
                own = np.array([w[b] @ inverse[b] @ w[b] for b in range(place.blocks)])
                growth, end = _growth(equations, (Q, M, v), unit, w, cross, own, sign)
                total = end.sum(axis=0)
                at = int(np.argmax(np.abs(total)))
                key = at, (1 if total[at] >= 0.0 else -1)
                best[key] = max(growth, best.get(key, -np.inf))
    return sorted((Ray(growth, *key) for key, growth in best.items()), key=lambda ray: -ray.growth)


def _growth(
    equations: StageEquations,
    state: tuple[np.ndarray, np.ndarray, np.ndarray],
    unit: int,
    w: np.ndarray,
    cross: np.ndarray,
    own: np.ndarray,
    sign: float,
) -> tuple[float, np.ndarray]:
    """The rate along the ray that the ratios to the readout, `sign`, lead to, and w there.

    w (blocks, P), cross (blocks, K), own (blocks,): where they begin
    """
    place = equations.coordinates
    Q, M, v = (part.copy() for part in state)
    others = np.arange(place.K) != unit
    y = np.empty(place.size)
    h = _STEP / max(equations.rates.eta, equations.rates.eta_v)
    rate = 0.0
    for _ in range(_MOST):
        M[:, unit], v[unit] = _SIZE * w, _SIZE * sign
        Q[:, unit, :] = Q[:, :, unit] = _SIZE * np.where(others, cross, 0.0)
        Q[:, unit, unit] = _SIZE**2 * own
        pack(Q, M, v, y)
        dQ, dM, dv = place.overlaps(equations.rate(y), np.zeros(place.K))
        rate = float(dv[unit] / v[unit])
        by_w, by_cross = dM[:, unit] / _SIZE - rate * w, np.where(others, dQ[:, unit] / _SIZE, 0.0) - rate * cross
        by_own = dQ[:, unit, unit] / _SIZE**2 - 2.0 * rate * own
        w, cross, own = w + h * by_w, cross + h * by_cross, own + h * by_own
        if not np.isfinite(own).all() or (own < 0.0).any():
            return -np.inf, w
        if max(np.abs(by_w).max(), np.abs(by_own).max()) < _STILL:
            break
    return rate, w
