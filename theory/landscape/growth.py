"""How a small signal grows: the equations at M = 0, and those of M to first order about them.

At M = 0 the fields of all components have no mean, so that averages depend on the label alone. With F0 = E_0[F | y_c] and H^y =
E_0[dF_k/dlambda_l | y], and a_cpb the gains of a mixture,

    dM^b_q/dt = - eta sum_d p_d { sum_c pi_c sum_p a_cpb T^b_pq H^{y_c} sum_b'p' a_cp'b' M^b'_p' + s_b^2 S M^b_q } - eta kappa M^b_q

S = sum_c pi_c H^{y_c}, on the path of Q and v at M = 0; of the XOR mixture, where the sum over c leaves
1/2 a_b a_b' T^b_pp H^p M^b'_p, p by p. M = 0 stays where sum_c pi_c a_cpb F0 vanishes. Once a trained readout has collapsed to
what the signal itself
allows, v = G^-1 b with b_k = sum_c pi_c y_c E[g''_k] m_ck^2 / 2 and G_kl = E[g_k g_l], growth is cubic (no weight decay):

    dM^b_kq/dt = eta v_k E[g''_k] sum_c pi_c y_c sum_p a_cpb T^b_pq m_ck,    m_ck = sum_bp a_cpb M^b_kp
"""

from typing import Any

import numpy as np

from curriculode.theory.averages import FieldAverages, FieldLaw, choose
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.interface import Dynamics
from curriculode.theory.dynamics.online import OnlineLearning
from curriculode.theory.dynamics.packing import pack
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.tasks import ExampleLaw

_NODES = 64  # of Gauss-Hermite quadrature, for E[g''] and E[g_k g_l] of smooth units
_INVARIANT = 1e-8  # of the force at M = 0 that is rounding


class SignalGrowth(Dynamics):
    """Q and v of one stage at M = 0, and M to first order; the state is that of the equations, M being the small signal."""

    def __init__(self, setting: Setting, online: OnlineLearning, probability: np.ndarray, rates: Rates, numerics: Numerics) -> None:
        self.setting, self._online, self.rates = setting, online, rates
        self.names, self.size = online.names, online.size
        self._met = [(float(p), level) for level, p in enumerate(probability) if p > 0]
        self._labels = np.unique(setting.laws[0].label)
        laws = [self._law(level, y) for level in range(len(setting.laws)) for y in self._labels]
        self._laws = laws
        points = numerics.points or DEFAULT_POINTS
        self._engine = choose(
            numerics.averages if numerics.averages != "closed form" else "auto",
            setting.activation,
            setting.loss,
            laws,
            setting.width,
            points,
            numerics.scrambling,
            False,
        )
        self._found = FieldAverages.empty(1, setting.width, setting.blocks.references)

    def _law(self, level: int, y: float) -> FieldLaw:
        """The fields at M = 0 given the label."""
        shape = (1, self.setting.blocks.references, self.setting.blocks.count)
        example = ExampleLaw(np.ones(1), np.zeros(shape), self.setting.laws[level].scale, np.array([float(y)]))
        return FieldLaw(example, self.setting.width, self.setting.blocks.T)

    def slopes(self, level: int, Q: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """H^y (labels, K, K) and F0 (labels, K) of a level at Q (blocks, K, K), v (K,), in the order of the labels."""
        blocks, K, P = self.setting.shape
        H, F0 = np.empty((self._labels.size, K, K)), np.empty((self._labels.size, K))
        for i in range(self._labels.size):
            law = self._laws[level * self._labels.size + i]
            law.update(Q, np.zeros((blocks, K, P)))
            self._engine.averages(law, v, self._found)
            H[i], F0[i] = self._found.student, self._found.force[0]
        return H, F0

    def operator(self, level: int, Q: np.ndarray, v: np.ndarray) -> np.ndarray:
        """dM/dt of M by one level alone, (blocks K P, blocks K P), the weight decay included."""
        law, eta = self.setting.laws[level], self.rates.eta
        blocks, K, P = self.setting.shape
        H, F0 = self.slopes(level, Q, v)
        which = np.searchsorted(self._labels, law.label)
        force = np.einsum("c,cpb,ck->bkp", law.probability, law.gain, F0[which])
        if np.abs(force).max() > _INVARIANT * max(1.0, float(np.abs(F0).max())):
            raise InputError(
                "the signal needs no discovery here: M = 0 does not stay, as the examples' means follow their label; the gain is "
                "for tasks such as the XOR mixture"
            )
        along = np.einsum("c,cpb,bpq,ckl,cre->bkqelr", law.probability, law.gain, self.setting.blocks.T, H[which], law.gain)
        S = np.einsum("c,ckl->kl", law.probability, H[which])
        across = np.einsum("b,be,kl,qr->bkqelr", law.scale**2, np.eye(blocks), S, np.eye(P))
        found: np.ndarray = -eta * (along + across).reshape(blocks * K * P, -1) - eta * self.rates.kappa * np.eye(blocks * K * P)
        return found

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of Q and v at M = 0, and of the small signal M."""
        self.evaluations += 1
        Q, M, v = (part[0] for part in self._online.unpacked(np.ascontiguousarray(y)[None]))
        still = np.empty(self.size)
        pack(np.ascontiguousarray(Q), np.zeros_like(M), np.ascontiguousarray(v), still)
        dQ, _, dv = (part[0] for part in self._online.unpacked(self._online.rate(t, still)[None]))
        growth = sum(p * self.operator(level, Q, v) for p, level in self._met)
        dM = (growth @ M.ravel()).reshape(M.shape)
        found = np.empty(self.size)
        pack(np.ascontiguousarray(dQ), np.ascontiguousarray(dM), np.ascontiguousarray(dv), found)
        return found


class CollapsedGrowth:
    """Cubic growth after the readout has collapsed, at fixed Q (blocks, K, K), of one level; smooth units and the squared loss."""

    def __init__(self, setting: Setting, level: int, rates: Rates, Q: np.ndarray) -> None:
        self.setting, self.law, self.rates = setting, setting.laws[level], rates
        C = np.tensordot(self.law.scale**2, Q, axes=1)
        self.curvature, self.gram = curvature_and_gram(setting.activation, C)

    def readout(self, M: np.ndarray) -> np.ndarray:
        """The readout that a signal M (blocks, K, P) allows, (K,)."""
        means = np.einsum("cpb,bkp->ck", self.law.gain, M)
        b = 0.5 * self.curvature * ((self.law.probability * self.law.label) @ means**2)
        found: np.ndarray = np.linalg.solve(self.gram, b)
        return found

    def rate(self, M: np.ndarray) -> np.ndarray:
        """dM/dt, (blocks, K, P), cubic in M."""
        means = np.einsum("cpb,bkp->ck", self.law.gain, M)
        pull = np.einsum("c,cpb,bpq,ck->bkq", self.law.probability * self.law.label, self.law.gain, self.setting.blocks.T, means)
        found: np.ndarray = self.rates.eta * pull * (self.readout(M) * self.curvature)[None, :, None]
        return found

    def time(self, M: np.ndarray) -> float:
        """When the cubic growth from M (blocks, K, P) becomes infinite: the discovery, to leading order in 1 / M^2; inf if never.

        In the time ds = |M|^2 dt the direction of M obeys an equation of its own, and ln|M| grows at its rate r, so that
        t = int ds exp(-2 int r) / |M(0)|^2.
        """
        from scipy.integrate import solve_ivp

        size = float(np.linalg.norm(M))
        if size == 0.0:
            return float("inf")
        shape = M.shape
        scale = float(np.linalg.norm(self.rate(M / size)))
        if scale == 0.0:
            return float("inf")

        def along(_: float, y: np.ndarray) -> np.ndarray:
            direction = y[2:].reshape(shape)
            f = self.rate(direction) / scale
            r = float((f * direction).sum())
            return np.concatenate([[r, np.exp(-2.0 * y[0])], (f - r * direction).ravel()])

        def done(_: float, y: np.ndarray) -> float:
            return float(y[0] - 16.0)

        done.terminal = True  # type: ignore[attr-defined]
        begin = np.concatenate([[0.0, 0.0], (M / size).ravel()])
        found = solve_ivp(along, (0.0, 1e6), begin, method="LSODA", rtol=1e-8, atol=1e-12, events=done)
        return float(found.y[1, -1] / (scale * size**2)) if found.t_events[0].size else float("inf")


def curvature_and_gram(activation: Any, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[g''(lambda_k)] (K,) and E[g(lambda_k) g(lambda_l)] (K, K) of fields without mean and of covariance C (K, K).

    By Gauss-Hermite quadrature, E[g''] as E[g z^2 - g] / C_kk: for smooth units.
    """
    z, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    weight = weight / weight.sum()
    K = len(C)
    root = np.sqrt(np.diagonal(C))
    curvature = np.array([(weight * activation(r * z) * (z**2 - 1.0)).sum() / r**2 if r > 0 else 0.0 for r in root])
    gram = np.empty((K, K))
    for k in range(K):
        for m in range(k, K):
            if root[k] * root[m] == 0.0:
                value = float(activation(0.0)) ** 2
            else:
                rho = np.clip(C[k, m] / (root[k] * root[m]), -1.0, 1.0)
                other = rho * z[:, None] + np.sqrt(1.0 - rho**2) * z[None, :]
                value = float(
                    weight
                    @ (activation(root[k] * z)[:, None] * activation((root[m] * other).ravel()).reshape(other.shape))
                    @ weight
                )
            gram[k, m] = gram[m, k] = value
    return curvature, gram
