"""The wide limit: a student whose readout is of order 1/K, as particles that see each other through their common output alone.

With v = a / K, learning_rate = K h, readout_learning_rate = h / K, no weight decay and no noise term, K -> infinity. A particle has
a readout a, overlaps M_p with the references, and q^b, the square of what lies across them in block b. Given the reference
fields nu its field is normal of mean m = M T^-1 nu and variance s^2 = sum_b s_b^2 q^b, which averages its unit to gbar(m, s) =
E g(m + s z):

    f(nu) = K^-1 sum_k a_k gbar(m_k(nu), s_k),     e = dl/df at f(nu) and the label of nu
    da_k = - h E[e gbar],    dM_kp = - h a_k E[e gbar' nu_p],    dq^b_k = - 2 h a_k s_b^2 q^b_k E[e gbar'']

gelu, R = 1 + s^2, x = m / sqrt R:  gbar = m Phi(x) + s^2 phi(x) / sqrt R,  gbar' = Phi + x phi / R,
    gbar'' = phi / sqrt R (1 + (1 - x^2) / R)
erf:   gbar = 2 Phi(x) - 1,  gbar' = 2 phi(x) / sqrt R,  gbar'' = - 2 x phi(x) / R
relu, x = m / s:  gbar = m Phi(x) + s phi(x),  gbar' = Phi(x),  gbar'' = phi(x) / s

(Chizat & Bach 2018, Mei, Montanari & Nguyen 2018, for the limit.) E runs over components and nu, by Gauss-Hermite quadrature.
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.interface import Dynamics
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.tasks.example_law import teacher_labels
from curriculode.theory.units.activations import ERF, GELU, RELU
from curriculode.theory.units.losses import LOSSES, error_signal
from curriculode.theory.units.normal import normal_cdf_pdf

KNOWN = {ERF: "erf", GELU: "gelu", RELU: "relu"}
NODES = 28  # an axis


class LevelNodes(NamedTuple):
    """The nodes of one level: nu (N, P), weight (N,) times its probability, label (N,), and s_b^2 (blocks,)."""

    nu: np.ndarray
    weight: np.ndarray
    label: np.ndarray
    variance: np.ndarray


def level_nodes(setting: Setting, level: int, probability: float, nodes: int) -> LevelNodes:
    """Nodes of the reference fields at a level, over its components."""
    law, T = setting.laws[level], setting.blocks.T
    effective = np.tensordot(law.scale**2, T, axes=1)
    means = np.einsum("cpb,bpq->cq", law.gain, T)
    P = len(effective)
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    if not effective.any():  # clouds without width
        z, w = np.zeros(1), np.ones(1)
    w = w / w.sum()
    grid = np.stack(np.meshgrid(*[z] * P, indexing="ij"), axis=-1).reshape(-1, P)
    weights = np.prod(np.stack(np.meshgrid(*[w] * P, indexing="ij"), axis=-1).reshape(-1, P), axis=1)
    centred = grid @ semidefinite_factor(effective).T
    nu = np.concatenate([mean + centred for mean in means])
    label = np.repeat(law.label, len(grid))
    if law.teacher.exists:
        labels, columns = law.labels, np.ascontiguousarray(nu.T)
        label = np.empty(len(nu))
        teacher_labels(labels.teacher, labels.readout, labels.sign, columns, np.empty_like(columns), np.empty_like(columns), label)
    weight = probability * np.concatenate([p * weights for p in law.probability])
    return LevelNodes(np.ascontiguousarray(nu), weight, label, law.scale**2)


class WideLearning(Dynamics):
    """The particles of one stage; the state is a (K,), M (K, P), q (blocks, K).

    rates : eta of the weights is K h, that of the readout h / K
    """

    def __init__(self, setting: Setting, particles: int, probability: np.ndarray, rates: Rates, nodes: int = NODES) -> None:
        blocks, _, P = setting.shape
        self.particles, self.blocks, self.P = particles, blocks, P
        K = setting.width
        self._h, self._h_v = rates.eta / K, rates.eta_v * K
        self._levels = [level_nodes(setting, d, float(p), nodes) for d, p in enumerate(probability) if p > 0]
        self._inverse = np.linalg.pinv(setting.blocks.T.sum(axis=0), hermitian=True)
        self._codes = setting.activation.code, LOSSES[setting.loss]
        self.names = tuple(
            [f"a[{k}]" for k in range(particles)]
            + [f"M[{k},{p}]" for k in range(particles) for p in range(P)]
            + [f"q[{b},{k}]" for b in range(blocks) for k in range(particles)]
        )
        self._room = [(np.empty((2, n)), np.empty((3, particles, n))) for n in (level.weight.size for level in self._levels)]

    def parts(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a (..., K), M (..., K, P), q (..., blocks, K) of states (..., n)."""
        N, P, lead = self.particles, self.P, y.shape[:-1]
        return (
            y[..., :N],
            y[..., N : N + N * P].reshape(*lead, N, P),
            y[..., N + N * P :].reshape(*lead, self.blocks, N),
        )

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of the state y (n,) at time t."""
        self.evaluations += 1
        a, M, q = self.parts(np.ascontiguousarray(y))
        dy = np.zeros(y.size)
        da, dM, dq = self.parts(dy)
        for level, room in zip(self._levels, self._room, strict=True):
            _particle_rates(*self._codes, *level, M @ self._inverse, a, q, *room, self._h, self._h_v, da, dM, dq)
        return dy


@kernel
def _particle_rates(activation, loss_code, nu, weight, label, variance, slope, a, q, room, units, h, h_v, da, dM, dq):
    """Add one level's rates; slope (K, P) is M T^-1, room (2, N), units (3, K, N)."""
    N, P, K, blocks = nu.shape[0], nu.shape[1], a.size, q.shape[0]
    f, e = room[0], room[1]
    for n in range(N):
        f[n] = 0.0
    for k in range(K):
        s2 = 0.0
        for b in range(blocks):
            s2 += variance[b] * q[b, k]
        for n in range(N):
            m = 0.0
            for p in range(P):
                m += slope[k, p] * nu[n, p]
            units[0, k, n], units[1, k, n], units[2, k, n] = _smeared(activation, m, s2)
            f[n] += a[k] * units[0, k, n] / K
    for n in range(N):
        e[n] = weight[n] * error_signal(loss_code, f[n], label[n])
    for k in range(K):
        by_a, by_s = 0.0, 0.0
        for n in range(N):
            by_a += e[n] * units[0, k, n]
            by_s += e[n] * units[2, k, n]
        for p in range(P):
            push = 0.0
            for n in range(N):
                push += e[n] * units[1, k, n] * nu[n, p]
            dM[k, p] -= h * a[k] * push
        da[k] -= h_v * by_a
        for b in range(blocks):
            dq[b, k] -= 2.0 * h * a[k] * variance[b] * q[b, k] * by_s


@kernel
def _smeared(activation, m, s2):
    """gbar, gbar', gbar'' at a mean and a variance of the unit's own noise; NaN for another unit."""
    if activation == RELU:
        if s2 <= 0.0:
            return max(m, 0.0), (1.0 if m > 0.0 else 0.0), 0.0
        s = np.sqrt(s2)
        cdf, pdf = normal_cdf_pdf(m / s)
        return m * cdf + s * pdf, cdf, pdf / s
    R = 1.0 + s2
    root = np.sqrt(R)
    x = m / root
    cdf, pdf = normal_cdf_pdf(x)
    if activation == GELU:
        return m * cdf + s2 * pdf / root, cdf + x * pdf / R, pdf / root * (1.0 + (1.0 - x * x) / R)
    if activation == ERF:
        return 2.0 * cdf - 1.0, 2.0 * pdf / root, -2.0 * x * pdf / R
    return np.nan, np.nan, np.nan
