"""The law of one step of online SGD at finite D, up to its second moments.

One step takes the order parameters y = (Q, M, v) to y + d / D + d2 / D^2. With F_k = e v_k g'(lambda_k), the block fields
lambda^b_k, nu^b_p, and s_b the scale of the level that was drawn,

    d[Q^b_kl] = - eta (F_k lambda^b_l + F_l lambda^b_k) + eta^2 phi_b s_b^2 F_k F_l - 2 eta kappa Q^b_kl
    d[M^b_kp] = - eta F_k nu^b_p - eta kappa M^b_kp,          d[v_k] = - eta_v e g(lambda_k) - eta_v kappa v_k

so that f = E d is the rate of the equations, and

    B = Cov d,
    E d2[Q^b_kl] = eta^2 E[F_k F_l (|xi_b|^2 - r_b s_b^2)] + eta^2 kappa (E[F_k lambda^b_l] + E[F_l lambda^b_k])
                   + eta^2 kappa^2 Q^b_kl

with xi_b the r_b coordinates of the example in the span of weights and references of block b; E d2 vanishes for M and v.
Averages are by nets over the coordinates of all blocks, and the noise on the label where there is some.
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.averages.quasi_monte_carlo import normal_points
from curriculode.theory.core.compiled import inner, kernel, part
from curriculode.theory.core.linear_algebra import factor_semidefinite, matrix_product, outer_product
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.online import State
from curriculode.theory.dynamics.packing import pack, state_size, unpack
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.tasks.example_law import NO_TEACHER, Labels, teacher_labels
from curriculode.theory.units.activations import evaluate
from curriculode.theory.units.losses import LOSSES, error_signal

_ROWS = 256  # points that are done together


class Law(NamedTuple):
    """The examples of a level: probability (components,), gain (components, P, blocks), scale (blocks,), labels; phi_b and T_b.

    copies (copies, 3) : of each network among the units its first, the one after its last, and whether it learns from these
    """

    probability: np.ndarray
    gain: np.ndarray
    scale: np.ndarray
    labels: Labels
    fractions: np.ndarray
    T: np.ndarray
    copies: np.ndarray


class Room(NamedTuple):
    """What is computed of some rows of examples.

    joint (n, n), L (blocks, n, n) : overlaps of the n = P + K references and units, and their factors
    xi (n, rows), u, centred (blocks, n, rows), size (blocks, rows) : coordinates, block fields with and without means,
        |xi_b|^2 - r_b s_b^2
    x, g, dg, F, eg (K, rows) : of the student, the last e g;  nu, teacher_g, teacher_dg (P, rows);  f, y, e (rows,)
    d (state, rows) : increments
    """

    joint: np.ndarray
    L: np.ndarray
    xi: np.ndarray
    u: np.ndarray
    centred: np.ndarray
    size: np.ndarray
    x: np.ndarray
    g: np.ndarray
    dg: np.ndarray
    F: np.ndarray
    eg: np.ndarray
    nu: np.ndarray
    teacher_g: np.ndarray
    teacher_dg: np.ndarray
    f: np.ndarray
    y: np.ndarray
    e: np.ndarray
    d: np.ndarray

    @classmethod
    def empty(cls, blocks: int, K: int, P: int, state: int, rows: int) -> "Room":
        """Room for so many rows."""
        n = P + K
        shapes = [(n, n), (blocks, n, n), (n, rows), *[(blocks, n, rows)] * 2, (blocks, rows), *[(K, rows)] * 5, *[(P, rows)] * 3]
        return cls(*(np.empty(shape) for shape in [*shapes, *[(rows,)] * 3, (state, rows)]))


class Moments(NamedTuple):
    """Of one step at one state, for each level: means (levels, n) and covariances (levels, n, n) of d, means of d2 (levels, n)."""

    drift: np.ndarray
    covariance: np.ndarray
    second: np.ndarray

    def mixed(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, E d2) where levels are drawn with `probability` (levels,)."""
        mean = probability @ self.drift
        apart = self.drift - mean
        covariance = np.tensordot(probability, self.covariance, axes=1) + (apart.T * probability) @ apart
        return covariance, probability @ self.second


class Step:
    """The law of a step for one setting, by one net of `points` (a power of two); not shared by threads."""

    def __init__(self, setting: Setting, v: np.ndarray, points: int = 1024, seed: int = 0) -> None:
        self.setting, (blocks, K, P) = setting, setting.shape
        self.size, n = state_size(blocks, K, P, setting.readout_trained), P + K
        noisy = any(law.labels.noise > 0 for law in setting.laws)
        rows = min(points, _ROWS)
        z = normal_points(blocks * n + noisy, points, seed)
        self._z = np.ascontiguousarray(z.reshape(blocks * n + noisy, -1, rows).swapaxes(0, 1))
        self._state = State(np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.array(v, dtype=float))
        self._second = np.empty((blocks, K, K)), np.zeros((blocks, K, P)), np.zeros(K)
        self._room, self._product = Room.empty(blocks, K, P, self.size, rows), np.empty((self.size, self.size))
        self._codes = setting.activation.code, LOSSES[setting.loss]
        blocked = setting.blocks
        of_all = blocked.fractions, blocked.T, np.array([[0, K, 1]])
        self._laws = [Law(law.probability, law.gain, law.scale, law.labels, *of_all) for law in setting.laws]

    def moments(self, y: np.ndarray, rates: Rates) -> Moments:
        """The moments of a step from the state y (n,), at each level."""
        levels, n = len(self.setting.laws), self.size
        result = Moments(np.zeros((levels, n)), np.zeros((levels, n, n)), np.zeros((levels, n)))
        unpack(y, *self._state)
        for level, law in enumerate(self._laws):
            into = self._product, self._second[0], result.drift[level], result.covariance[level]
            _moments_of(self._z, law, *self._codes, rates, self._state, self._room, *into)
            pack(*self._second, result.second[level])
        return result


@kernel
def _moments_of(z, law, activation, loss, rates, state, room, product, second, mean, covariance):
    """Mean (n,) and covariance (n, n) of d, mean of d2 for Q into `second` (blocks, K, K), for one level."""
    rows, d = z.shape[2], room.d
    factors(state, law.T, room)
    second[:] = rates.eta * rates.eta * rates.kappa * rates.kappa * state.Q
    for chunk in range(z.shape[0]):
        centre(z[chunk], law, room)
        for c in range(law.probability.size):
            weight = law.probability[c] / (z.shape[0] * rows)
            answer(z[chunk], c, law, activation, loss, state.v, room)
            _increments(rates, law, state, room, weight, second)
            outer_product(d, d, product)
            for a in range(d.shape[0]):
                total = 0.0
                for i in range(rows):
                    total += d[a, i]
                mean[a] += weight * total
                for j in range(d.shape[0]):
                    covariance[a, j] += weight * product[a, j]
    for a in range(mean.size):
        for j in range(mean.size):
            covariance[a, j] -= mean[a] * mean[j]


@inner
def factors(state, T, room):
    """L_b with L_b L_b' = [[T_b, M_b'], [M_b, Q_b]] in each block."""
    Q, M, joint, L = state.Q, state.M, room.joint, room.L
    blocks, K, P = M.shape
    for b in range(blocks):
        for i in range(P + K):
            for j in range(P + K):
                if i < P:
                    joint[i, j] = T[b, i, j] if j < P else M[b, j - P, i]
                else:
                    joint[i, j] = M[b, i - P, j] if j < P else Q[b, i - P, j - P]
        factor_semidefinite(joint, L[b])


@inner
def answer(z, c, law, activation, loss, v, room):
    """Fields, outputs, labels, error signals e and F of the examples z of component c, which `centre` has seen."""
    x, g, dg, F, eg, f, y, e, labels = room.x, room.g, room.dg, room.F, room.eg, room.f, room.y, room.e, law.labels
    rows = x.shape[1]
    _fields(z, c, law.gain, law.scale, room)
    evaluate(activation, x.ravel(), g.ravel(), dg.ravel())
    for i in range(rows):
        y[i] = labels.label[c] if labels.teacher == NO_TEACHER else 0.0
    if labels.teacher != NO_TEACHER:
        teacher_labels(labels.teacher, labels.readout, labels.sign, room.nu, room.teacher_g, room.teacher_dg, y)
        if labels.noise > 0.0:
            for i in range(rows):
                y[i] += labels.noise * z[z.shape[0] - 1, i]
    for copy in range(law.copies.shape[0]):
        first, last, learns = law.copies[copy, 0], law.copies[copy, 1], law.copies[copy, 2]
        for i in range(rows):
            f[i] = 0.0
        for k in range(first, last):
            for i in range(rows):
                f[i] += v[k] * g[k, i]
        for i in range(rows):
            e[i] = error_signal(loss, f[i], y[i]) if learns > 0 else 0.0
        for k in range(first, last):
            for i in range(rows):
                F[k, i] = e[i] * v[k] * dg[k, i]
                eg[k, i] = e[i] * g[k, i]


@inner
def centre(z, law, room):
    """The fields of examples z (coordinates, rows), but for their means: s_b L_b z_b, which components share."""
    n = room.joint.shape[0]
    for b in range(room.u.shape[0]):
        for j in range(n):
            for i in range(z.shape[1]):
                room.xi[j, i] = law.scale[b] * z[b * n + j, i]
        matrix_product(room.L[b], room.xi, room.centred[b])


@part
def _fields(z, c, gain, scale, room):
    """Block fields u (blocks, P + K, rows) and |xi_b|^2 - r_b s_b^2 in `size` (blocks, rows); fields x (K, rows), nu (P, rows)."""
    L, u, centred, size, x, nu = room.L, room.u, room.centred, room.size, room.x, room.nu
    blocks, n, rows = u.shape
    P = nu.shape[0]
    for k in range(x.shape[0]):
        for i in range(rows):
            x[k, i] = 0.0
    for p in range(P):
        for i in range(rows):
            nu[p, i] = 0.0
    for b in range(blocks):
        for i in range(rows):
            size[b, i] = -n * scale[b] * scale[b]
        for j in range(n):
            mean, field = 0.0, 0.0
            for p in range(P):
                mean += gain[c, p, b] * L[b, p, j]
                for m in range(P):  # means lie in the span of the references
                    field += gain[c, p, b] * L[b, p, m] * L[b, j, m]
            for i in range(rows):
                xi = mean + scale[b] * z[b * n + j, i]
                size[b, i] += xi * xi
                u[b, j, i] = centred[b, j, i] + field
        for p in range(P):
            for i in range(rows):
                nu[p, i] += u[b, p, i]
        for k in range(x.shape[0]):
            for i in range(rows):
                x[k, i] += u[b, P + k, i]


@inner
def _increments(rates, law, state, room, weight, second):
    """The increments d (n, rows) in the order of the state vector; `weight` times the sum of d2 of Q is added to `second`."""
    eta, eta_v, kappa, fractions, scale = rates.eta, rates.eta_v, rates.kappa, law.fractions, law.scale
    Q, M, v, u, size, F, eg, d = state.Q, state.M, state.v, room.u, room.size, room.F, room.eg, room.d
    blocks, K, P = M.shape
    rows, a = F.shape[1], 0
    for b in range(blocks):
        noise = eta * eta * fractions[b] * scale[b] * scale[b]
        for k in range(K):
            for m in range(k, K):
                total = 0.0
                for i in range(rows):
                    first = F[k, i] * u[b, P + m, i] + F[m, i] * u[b, P + k, i]
                    square = F[k, i] * F[m, i]
                    d[a, i] = noise * square - eta * first - 2.0 * eta * kappa * Q[b, k, m]
                    total += eta * eta * (square * size[b, i] + kappa * first)
                second[b, k, m] += weight * total
                if m != k:
                    second[b, m, k] += weight * total
                a += 1
    for b in range(blocks):
        for k in range(K):
            for p in range(P):
                for i in range(rows):
                    d[a, i] = -eta * F[k, i] * u[b, p, i] - eta * kappa * M[b, k, p]
                a += 1
    for k in range(d.shape[0] - a):
        for i in range(rows):
            d[a + k, i] = -eta_v * eg[k, i] - eta_v * kappa * v[k]
