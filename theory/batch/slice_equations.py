"""The state evolution of slices learnt to convergence: a fixed point for each slice, given the overlaps of the one before.

With Q_b = |w_b|^2 / D and R = w_rel . w_T / D, the field of a fresh example at level d has variance q_d = sum_b Delta_db Q_b and
covariance R with the teacher's field nu (variance T). With f, df of `theory/batch/proximal.py` at V_d = sum_b Delta_db V_b,
alpha_d the examples of level d in the slice over D, G = gamma_s + gamma_{s,s-1} and rel the teacher's block, Delta_{d,rel} = 1:

    Vhat_b = - sum_d alpha_d Delta_db E_d[df],     qhat_b = sum_d alpha_d Delta_db E_d[f^2],     mhat = sum_d alpha_d E_d[df/d nu]

    V_b   = phi_b / (G + Vhat_b)
    R     = (mhat T + gamma_{s,s-1} R_prev) / (G + Vhat_rel)
    Q_rel = (mhat^2 T + phi_rel qhat_rel + gamma_{s,s-1}^2 Q_prev,rel + 2 mhat gamma_{s,s-1} R_prev) / (G + Vhat_rel)^2
    Q_irr = (phi_irr qhat_irr + gamma_{s,s-1}^2 Q_prev,irr) / (G + Vhat_irr)^2

Why: a weight w_i of block b minimises (G + Vhat_b) w^2 / 2 - (mhat w_T,i + sqrt(qhat_b) xi_i + gamma_{s,s-1} w_prev,i) w with xi_i
standard normal and independent of w_prev, because the examples of a slice are independent of what was learnt before. A slice
of several levels sums over them. What is iterated is V_b, R, and the squared length N_b across the teacher: N_rel = Q_rel - R^2 / T
and N_irr = Q_irr, which stay positive, with N_rel = (phi_rel qhat_rel + gamma_{s,s-1}^2 N_prev,rel) / (G + Vhat_rel)^2.

Saglietti, Sarao Mannelli, Saxe 2022 (2106.08068); derived anew, and checked against minimisation at finite D.
"""

from dataclasses import dataclass

import numpy as np

from curriculode.theory.batch.averages import averages
from curriculode.theory.batch.fixed_point import FixedPoint, fixed_point
from curriculode.theory.batch.slices import Slices
from curriculode.theory.core.compiled import kernel

_SMALLEST = 1e-300
_DIRECT = 150  # passes before a slice is approached from a stiffer one
_STIFFEST, _RATIO = 1e4, 10.0


@dataclass(frozen=True)
class Overlaps:
    """What a slice leaves behind: R, and the squared length N (blocks,) across the teacher, N_rel = Q_rel - R^2 / T."""

    R: float
    N: np.ndarray

    def Q(self, T: float) -> np.ndarray:
        """|w_b|^2 / D, (blocks,)."""
        Q = self.N.copy()
        Q[0] += self.R**2 / T
        return Q


@kernel
def evolve(code, fewer, load, variance, fractions, T, G, tie, R_prev, N_prev, V, R, N, V_new, N_new):
    """One pass through the equations of a slice; writes V_new, N_new (blocks,) and returns the new R.

    load : (levels,) alpha_d;  variance : (levels, blocks);  fractions, N_prev, V, N : (blocks,);  tie : gamma_{s,s-1}
    """
    V_new[:] = 0.0
    N_new[:] = 0.0
    mhat = 0.0
    for d in range(load.size):
        if load[d] == 0.0:
            continue
        across, V_d = 0.0, 0.0
        for b in range(fractions.size):
            across += variance[d, b] * N[b]
            V_d += variance[d, b] * V[b]
        square, change, turn = averages(code, fewer, R / np.sqrt(T), across, T, V_d)
        mhat += load[d] * turn
        for b in range(fractions.size):
            V_new[b] -= load[d] * variance[d, b] * change
            N_new[b] += load[d] * variance[d, b] * square
    R_new = (mhat * T + tie * R_prev) / (G + V_new[0])
    for b in range(fractions.size):
        stiff = G + V_new[b]
        N_new[b] = (fractions[b] * N_new[b] + tie * tie * N_prev[b]) / (stiff * stiff)
        V_new[b] = fractions[b] / stiff
    return R_new


class _Slice:
    """The map of one slice on x = (ln V_b, R / scale, ln N_b), in which differences are relative."""

    def __init__(self, slices: Slices, s: int, gamma: float, tie: float, before: Overlaps) -> None:
        self.slices, self.load, self.G, self.tie, self.before = slices, slices.load[s], gamma + tie, tie, before
        self.blocks = slices.fractions.size
        self._V, self._N = np.empty(self.blocks), np.empty(self.blocks)

    def start(self) -> np.ndarray:
        """A state of the right size: what a ridge of strength G would make of the labels."""
        one = self.slices.fractions / (self.G + self.load.sum())
        R = 0.5 * np.sqrt(self.slices.T) * self.load.sum() / (self.G + self.load.sum())
        return np.concatenate([np.log(one), [R], np.log(one + self.before.N)])

    def __call__(self, x: np.ndarray, fewer: bool = False) -> np.ndarray:
        """F(x)."""
        slices, n = self.slices, self.blocks
        R = evolve(
            slices.loss,
            fewer,
            self.load,
            slices.variance,
            slices.fractions,
            slices.T,
            self.G,
            self.tie,
            self.before.R,
            self.before.N,
            np.exp(x[:n]),
            x[n],
            np.exp(x[n + 1 :]),
            self._V,
            self._N,
        )
        # A block that no example sees and nothing ties has N = 0, whose logarithm must stay a number.
        return np.concatenate([np.log(self._V), [R], np.log(np.maximum(self._N, _SMALLEST))])

    def solve(self, start: np.ndarray, tolerance: float, most: int) -> FixedPoint:
        """The fixed point from `start`, or by following it down from a stiffer slice where that does not lead there."""
        with np.errstate(all="ignore"):  # a state on the way may overflow; the certificate sees to it
            point = fixed_point(self, start, tolerance, min(most, _DIRECT))
            used, G = point.evaluations, self.G
            nearest: FixedPoint | None = None
            factor, ratio = _STIFFEST, _RATIO
            while not point.converged and used < most and ratio > 1.01:
                self.G = G * factor
                origin = self.start() if nearest is None else nearest.x
                attempt = fixed_point(self, origin, tolerance, min(most - used, _DIRECT))
                used += attempt.evaluations
                if attempt.converged:
                    if factor == 1.0:
                        point = attempt
                    nearest = attempt
                else:  # too far at once
                    if nearest is None:
                        break
                    factor, ratio = factor * ratio, ratio**0.5
                factor = max(1.0, factor / ratio)
            self.G = G
        return FixedPoint(point.x, point.residual, used, point.converged)

    def overlaps(self, x: np.ndarray) -> Overlaps:
        """What the state x says of the weights."""
        N = np.exp(x[self.blocks + 1 :])
        return Overlaps(float(x[self.blocks]), np.where(N > 2 * _SMALLEST, N, 0.0))


def solve(
    slices: Slices,
    regularization: np.ndarray,
    coupling: np.ndarray,
    tolerance: float = 1e-10,
    most: int = 2000,
    first: list[FixedPoint] | None = None,
) -> tuple[list[Overlaps], list[FixedPoint]]:
    """Overlaps after each slice and the fixed points they were read from, up to the first that did not converge.

    regularization, coupling : (slices,) gamma_s and gamma_{s,s-1};  first : fixed points nearby to start from
    """
    before = Overlaps(0.0, np.zeros(slices.fractions.size))
    overlaps: list[Overlaps] = []
    points: list[FixedPoint] = []
    for s in range(len(slices.load)):
        equations = _Slice(slices, s, float(regularization[s]), float(coupling[s]), before)
        start = first[s].x if first is not None and s < len(first) else equations.start()
        with np.errstate(all="ignore"):
            point = equations.solve(start, tolerance, most)
        before = equations.overlaps(point.x)
        overlaps.append(before)
        points.append(point)
        if not point.converged:
            break
    return overlaps, points


def quadrature_error(
    slices: Slices, gammas: np.ndarray, ties: np.ndarray, overlaps: list[Overlaps], points: list[FixedPoint]
) -> float:
    """Largest change of F(x), relative as in the residual, when the averages are taken with fewer nodes."""
    before = Overlaps(0.0, np.zeros(slices.fractions.size))
    worst = 0.0
    for s, (after, point) in enumerate(zip(overlaps, points, strict=True)):
        equations = _Slice(slices, s, float(gammas[s]), float(ties[s]), before)
        worst = max(worst, float(np.abs(equations(point.x, True) - equations(point.x)).max()))
        before = after
    return worst
