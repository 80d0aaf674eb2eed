"""The gradient of what a net averages, by differentiating the net itself: reverse differentiation through x = m + L z.

For weights a, B, c, r, S and w the number

    h = sum_c a_c . force_c + <S, student> + <c, E[F nu']> + <B, square> + r . readout + w_g E[l(f, y)] + w_c E[Phi(-f sign(y) / o)]

is a sum over points, and so is its gradient. With h_k = v_k g'_k, q = e^2 + label noise^2, e_1 = de/df, e_2 = d e_1/df and
A = sum_k alpha_k h_k + r . g + sum_k S_kk v_k g''_k, alpha = a + c nu, a point adds

    dh/df = e_1 A + e_2 h'Sh + 2 e e_1 h'Bh + w_g e - w_c (sign(y) / o) phi(f / o)
    dh/dx_k = dh/df h_k + e (alpha_k v_k g''_k + r_k g'_k + S_kk v_k g'''_k) + 2 (e_1 Sh + q Bh)_k v_k g''_k
    dh/dv_k = dh/df g_k + e (alpha_k g'_k + S_kk g''_k) + 2 (e_1 Sh + q Bh)_k g'_k

dh/dm = E[dh/dx], dh/dL = E[dh/dx z'], and the factorisation C = L L' is reversed. Reference fields come first, so that their
points do not move with the state and labels that jump are no matter. A column of L that vanishes (units that are one) stays so
along every trajectory, and has no gradient. Where g' jumps, the pathwise derivative of the noise term lacks the delta function of
g'', which is averaged in its own direction, as for the first order in `quasi_monte_carlo`.
"""

import math
from typing import NamedTuple

import numpy as np

from curriculode.theory.averages.field_averages import FieldLaw
from curriculode.theory.averages.quasi_monte_carlo import normal_points
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.core.linear_algebra import factor_semidefinite, fill
from curriculode.theory.tasks.example_law import teacher_labels
from curriculode.theory.units.activations import Activation, evaluate, evaluate_curved
from curriculode.theory.units.losses import LOGISTIC, LOSSES, error_signal, error_slope, loss

SMOOTHING = 0.05  # o: of outputs, over which the step of the classification error is smoothed
_STEP = 1e-5  # of the differences of g'' that are g'''
_ROWS = 256


class Weights(NamedTuple):
    """What the averages of one level are weighted with: force (components, K), student (K, K), both it and square symmetric,
    reference (K, R) of E[F_k (nu_p - E nu_p)], square (K, K), readout (K,), and numbers of E[l(f, y)] and P(sign f != sign y).
    """

    force: np.ndarray
    student: np.ndarray
    reference: np.ndarray
    square: np.ndarray
    readout: np.ndarray
    generalization: float
    classification: float

    @classmethod
    def zero(cls, components: int, width: int, references: int) -> "Weights":
        """Weights of nothing."""
        square = (width, width)
        return cls(
            np.zeros((components, width)),
            np.zeros(square),
            np.zeros((width, references)),
            np.zeros(square),
            np.zeros(width),
            0.0,
            0.0,
        )


class FieldGradient(NamedTuple):
    """By the means (components, K), the covariance (R + K, R + K), symmetric, paired over all entries, and the readout (K,)."""

    mean: np.ndarray
    covariance: np.ndarray
    v: np.ndarray

    @classmethod
    def empty(cls, components: int, width: int, references: int) -> "FieldGradient":
        """Zero, of the right shapes."""
        joint = references + width
        return cls(np.zeros((components, width)), np.zeros((joint, joint)), np.zeros(width))


class NetGradient:
    """The gradient of weighted averages of one student and loss over a net of `points`; `seed` picks the scrambling."""

    def __init__(self, activation: Activation, loss: str, width: int, references: int, points: int, seed: int) -> None:
        joint, rows = references + width, min(points, _ROWS)
        self._z = normal_points(joint, points, seed).reshape(joint, -1, rows).swapaxes(0, 1).copy()
        self._codes = activation.code, LOSSES[loss]
        self._kinks = np.array(activation.kinks, dtype=float).reshape(-1, 2)
        self._square = np.zeros((3, joint, joint))
        self._references, self._student = np.zeros((3, references, rows)), np.zeros((11, width, rows))
        self._joint = np.zeros((2, joint, rows))
        self._signals = np.zeros((6, rows))

    def gradient(self, law: FieldLaw, v: np.ndarray, weights: Weights) -> tuple[FieldGradient, float]:
        """The gradient of the weighted averages at `law` and v (K,), and the value of the weighted errors."""
        found = FieldGradient.empty(law.mean.shape[0], v.size, law.references)
        value = _gradient_of(
            v,
            self._z,
            law.example.labels,
            law.example.probability,
            law.mean,
            law.reference_mean,
            law.covariance,
            *self._codes,
            self._kinks,
            weights,
            self._square,
            self._references,
            self._student,
            self._joint,
            self._signals,
            found,
        )
        return found, value


def with_stein(weights: Weights, law: FieldLaw, reference: np.ndarray) -> tuple[Weights, np.ndarray]:
    """Weights of E[F nu'] that stand for weights `reference` (K, R) of E[dF/dnu], and what C_Kp gains by it (K, R) a unit of
    E[dF/dlambda]: E[dF/dnu] = (E[F nu'] - E[dF/dlambda] C_lambda,nu) C_nu,nu^-1.
    """
    R = law.references
    cross = reference @ law.precision[:R, :R].T
    student = weights.student - cross @ law.covariance[:R, R:]
    return weights._replace(reference=cross, student=0.5 * (student + student.T)), cross


@kernel
def _gradient_of(
    v,
    z,
    labels,
    probability,
    mean,
    reference_mean,
    covariance,
    activation,
    loss_code,
    kinks,
    weights,
    square,
    references,
    student,
    joint,
    signals,
    found,
):
    """Fill `found`; see the head of this file. Room: square (3, R + K, R + K), references (3, R, rows), student (11, K, rows),
    joint (2, R + K, rows), signals (6, rows).
    """
    R, K, rows = references.shape[1], v.size, z.shape[2]
    L, L_bar, work = square[0], square[1], square[2]
    centred, moved_z = joint[0], joint[1]
    nu, g_nu, dg_nu = references[0], references[1], references[2]
    x, g, dg, d2g, d3g, h, Sh, Bh, dx, near = (
        student[0],
        student[1],
        student[2],
        student[3],
        student[4],
        student[5],
        student[6],
        student[7],
        student[8],
        student[9],
    )
    f, y, e, total, slope, q = signals[0], signals[1], signals[2], signals[3], signals[4], signals[5]
    product, alpha = work[:K], student[10]
    fill(L_bar, 0.0)
    factor_semidefinite(covariance, L)
    value = 0.0
    first = False
    for k in range(K):
        first = first or weights.readout[k] != 0.0
        for m in range(K):
            first = first or weights.student[k, m] != 0.0
        for c in range(probability.size):
            first = first or weights.force[c, k] != 0.0
        for p in range(R):
            first = first or weights.reference[k, p] != 0.0
    for chunk in range(z.shape[0]):
        np.dot(L, z[chunk], centred)
        for c in range(probability.size):
            share = probability[c] / (z.shape[0] * rows)
            for p in range(R):
                for i in range(rows):
                    nu[p, i] = centred[p, i] + reference_mean[c, p]
            for k in range(K):
                for i in range(rows):
                    x[k, i] = centred[R + k, i] + mean[c, k]
            evaluate_curved(activation, x.ravel(), g.ravel(), dg.ravel(), d2g.ravel())
            if first:
                _third(activation, x, near, h, dx, Sh, Bh, d3g)
            else:
                fill(d3g, 0.0)
            _labels_and_outputs(v, g, labels, c, nu, g_nu, dg_nu, f, y)
            for k in range(K):
                for i in range(rows):
                    h[k, i] = v[k] * dg[k, i]
            np.dot(weights.square, h, Bh)
            _noise_strengths(loss_code, labels.noise, f, y, h, Bh, e, slope, q, total)
            if first:
                np.dot(weights.student, h, Sh)
                np.dot(weights.reference, centred[:R], alpha)
                for k in range(K):
                    for i in range(rows):
                        alpha[k, i] += weights.force[c, k]
                _add_first_order(loss_code, v, weights, f, y, g, d2g, h, Sh, alpha, slope, total)
            value += share * _add_errors(loss_code, weights, f, y, e, total)
            for k in range(K):
                by_v, by_mean, S = 0.0, 0.0, weights.student[k, k]
                for i in range(rows):
                    both = 2.0 * q[i] * Bh[k, i]
                    dx[k, i] = share * (total[i] * h[k, i] + both * v[k] * d2g[k, i])
                    by_v += total[i] * g[k, i] + both * dg[k, i]
                if first:
                    for i in range(rows):
                        both = e[i] * alpha[k, i] + 2.0 * slope[i] * Sh[k, i]
                        more = e[i] * (weights.readout[k] * dg[k, i] + S * v[k] * d3g[k, i])
                        dx[k, i] += share * (both * v[k] * d2g[k, i] + more)
                        by_v += both * dg[k, i] + e[i] * S * d2g[k, i]
                for i in range(rows):
                    by_mean += dx[k, i]
                found.v[k] += share * by_v
                found.mean[c, k] += by_mean
            np.dot(dx, z[chunk].T, product)
            for k in range(K):
                for j in range(R + k + 1):
                    L_bar[R + k, j] += product[k, j]
            for n in range(kinks.shape[0]):
                place, jump = kinks[n, 0], kinks[n, 1]
                for k in range(K):
                    variance = covariance[R + k, R + k]
                    if variance <= 0.0 or jump == 0.0:
                        continue
                    distance = mean[c, k] - place
                    density = np.exp(-0.5 * distance * distance / variance) / np.sqrt(2.0 * np.pi * variance)
                    for i in range(rows):
                        off = (centred[R + k, i] + distance) / variance
                        for j in range(R + K):
                            moved_z[j, i] = z[chunk, j, i] - L[R + k, j] * off
                        for p in range(R):
                            nu[p, i] = centred[p, i] + reference_mean[c, p] - covariance[p, R + k] * off
                        for m in range(K):
                            near[m, i] = x[m, i] - covariance[R + m, R + k] * off if m != k else place
                    evaluate(activation, near.ravel(), g.ravel(), dg.ravel())
                    # g' at its jump is the mean of both sides, which makes the jump of g'^2 right.
                    _mean_slope(activation, place, dg[k])
                    _labels_and_outputs(v, g, labels, c, nu, g_nu, dg_nu, f, y)
                    for i in range(rows):
                        signal = error_signal(loss_code, f[i], y[i])
                        strength = signal * signal + labels.noise * labels.noise
                        weighted = 0.0
                        for m in range(K):
                            weighted += weights.square[k, m] * v[m] * dg[m, i]
                        dx[0, i] = share * density * jump * 2.0 * strength * weighted * v[k]
                        found.mean[c, k] += dx[0, i]
                    for j in range(R + k + 1):
                        for i in range(rows):
                            L_bar[R + k, j] += dx[0, i] * moved_z[j, i]
    reverse_factor(L, L_bar, work, found.covariance)
    return value


@inner
def _mean_slope(activation, place, slope):
    """g' in the middle of its jump at `place`, into `slope` (rows,)."""
    sides = np.empty((3, 2))
    sides[0, 0], sides[0, 1] = place - 1e-9, place + 1e-9
    evaluate(activation, sides[0], sides[1], sides[2])
    for i in range(slope.size):
        slope[i] = 0.5 * (sides[2, 0] + sides[2, 1])


@inner
def _third(activation, x, near, g, dg, above, below, d3g):
    """g''' of x (K, rows) by central differences of g''; all else is room."""
    for sign in (1.0, -1.0):
        for k in range(x.shape[0]):
            for i in range(x.shape[1]):
                near[k, i] = x[k, i] + sign * _STEP
        evaluate_curved(activation, near.ravel(), g.ravel(), dg.ravel(), above.ravel() if sign > 0.0 else below.ravel())
    for k in range(x.shape[0]):
        for i in range(x.shape[1]):
            d3g[k, i] = (above[k, i] - below[k, i]) / (2.0 * _STEP)


@inner
def _labels_and_outputs(v, g, labels, c, nu, g_nu, dg_nu, f, y):
    """Outputs f and labels y (rows,) of the points."""
    for i in range(f.size):
        f[i] = 0.0
    for k in range(v.size):
        for i in range(f.size):
            f[i] += v[k] * g[k, i]
    if nu.shape[0] > 0:
        teacher_labels(labels.teacher, labels.readout, labels.sign, nu, g_nu, dg_nu, y)
    else:
        for i in range(y.size):
            y[i] = labels.label[c]


@inner
def _noise_strengths(loss_code, noise, f, y, h, Bh, e, slope, q, total):
    """e, e_1, q = e^2 + noise^2 of the points, and 2 e e_1 h'Bh, the start of dh/df, into `total`."""
    for i in range(f.size):
        e[i] = error_signal(loss_code, f[i], y[i])
        slope[i] = error_slope(loss_code, f[i], y[i])
        q[i] = e[i] * e[i] + noise * noise
        total[i] = 0.0
    for k in range(h.shape[0]):
        for i in range(f.size):
            total[i] += h[k, i] * Bh[k, i]
    for i in range(f.size):
        total[i] *= 2.0 * e[i] * slope[i]


@inner
def _add_first_order(loss_code, v, weights, f, y, g, d2g, h, Sh, alpha, slope, total):
    """Add e_1 A + e_2 h'Sh to dh/df."""
    for k in range(v.size):
        S = weights.student[k, k] * v[k]
        for i in range(f.size):
            total[i] += slope[i] * (alpha[k, i] * h[k, i] + weights.readout[k] * g[k, i] + S * d2g[k, i])
    if loss_code == LOGISTIC:
        for i in range(f.size):
            curvature = -y[i] * slope[i] * (1.0 - 2.0 / (1.0 + np.exp(y[i] * f[i])))
            for k in range(v.size):
                total[i] += curvature * h[k, i] * Sh[k, i]


@inner
def _add_errors(loss_code, weights, f, y, e, total):
    """Add the slopes of the weighted errors to dh/df, and return their sum over the points."""
    lost = 0.0
    if weights.generalization != 0.0:
        for i in range(f.size):
            total[i] += weights.generalization * e[i]
            lost += weights.generalization * loss(loss_code, f[i], y[i])
    if weights.classification != 0.0:
        for i in range(f.size):
            sign = 1.0 if y[i] > 0.0 else (-1.0 if y[i] < 0.0 else 0.0)
            margin = f[i] * sign / SMOOTHING
            density = np.exp(-0.5 * margin * margin) * 0.3989422804014327
            total[i] -= weights.classification * density * sign / SMOOTHING
            lost += weights.classification * 0.5 * math.erfc(margin * 0.7071067811865476)
    return lost


@kernel
def reverse_factor(L, L_bar, work, C_bar):
    """The gradient by C of a function of its factor L (`factor_semidefinite`), of which that by L is L_bar; symmetric, into C_bar.

    L_bar is overwritten. The loops of the factorisation backwards (Smith 1995); vanishing columns are constants.
    """
    n = L.shape[0]
    fill(work, 0.0)
    for j in range(n - 1, -1, -1):
        root = L[j, j]
        if root <= 0.0:
            continue
        for i in range(n - 1, j, -1):
            # L_ij = (C_ij - sum_k L_ik L_jk) / L_jj
            share = L_bar[i, j] / root
            work[i, j] += share
            L_bar[j, j] -= share * L[i, j]
            for k in range(j):
                L_bar[i, k] -= share * L[j, k]
                L_bar[j, k] -= share * L[i, k]
        share = L_bar[j, j] / (2.0 * root)
        work[j, j] += share
        for k in range(j):
            L_bar[j, k] -= 2.0 * share * L[j, k]
    for i in range(n):
        C_bar[i, i] = work[i, i]
        for j in range(i):
            C_bar[i, j] = 0.5 * work[i, j]
            C_bar[j, i] = 0.5 * work[i, j]
