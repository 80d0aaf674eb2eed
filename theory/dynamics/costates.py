"""What the equations of online learning hand back: the product of a costate with their derivatives, at the price of few rates.

With costates Lambda^b (symmetric, paired over all entries), mu^b, omega of Q^b, M^b, v, and at one level S = E[dF/dlambda],
G = E[dF/dnu], Phi^b = sum_c force_c a_c^b, the product of the costate with the rate is, but for the weight decay,

    s = sum_b [ - 2 eta <Lambda^b, s_b^2 (S Q^b + G M^b') + Phi^b M^b'> - eta <mu^b, s_b^2 (S M^b + G T^b) + Phi^b T^b>
                + eta^2 phi_b s_b^2 <Lambda^b, square> ] - eta_v omega . readout

Its derivatives by Q and M with the averages held are read off; with X^b = 2 Lambda^b M^b + mu^b T^b and Y^b = 2 Lambda^b Q^b +
mu^b M^b' the averages themselves have the weights

    force: - eta sum_b a_c^b X^b,   S: - eta sum_b s_b^2 Y^b,   G: - eta sum_b s_b^2 X^b,   readout: - eta_v omega,
    square: eta^2 sum_b phi_b s_b^2 Lambda^b

whose gradient by means, covariance and readout is that of `theory/averages/gradient.py`. s is what an example of the level is worth
(Mignacco & Mori 2025, arXiv 2507.07907, for the perceptron; Pontryagin's switching function).
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.averages import Engine, FieldAverages
from curriculode.theory.averages.gradient import AverageGradient
from curriculode.theory.averages.net_gradient import FieldGradient, Weights
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.packing import pack, state_size, unpack
from curriculode.theory.dynamics.setting import Setting


class Pulled(NamedTuple):
    """Products with a costate: with the Jacobian (n,), with the rate of each level (levels,), with its derivatives by eta, where
    eta_v keeps its ratio to eta, and by kappa.
    """

    state: np.ndarray
    levels: np.ndarray
    eta: float
    kappa: float


class Costates:
    """The derivatives of the equations of a setting, averaged by `engine`; v (K,) is the readout where the state has none."""

    def __init__(self, setting: Setting, engine: Engine, scrambling: int, v: np.ndarray) -> None:
        blocks, K, P = setting.shape
        self.setting, self.engine = setting, engine
        self.size = state_size(blocks, K, P, setting.readout_trained)
        self._laws = [setting.field_law(level) for level in range(len(setting.laws))]
        self._averages = [FieldAverages.empty(law.example.probability.size, K, P) for law in self._laws]
        references = setting.fields - K
        self._gradient = AverageGradient(engine, setting.activation, setting.loss, K, references, scrambling)
        self._v = np.array(v, dtype=float)
        off = np.ones((K, K)) + np.eye(K)
        self._halves = 0.5 * off  # of a costate of a triangle, paired over all entries of a symmetric matrix

    @property
    def gradients(self) -> AverageGradient:
        """Those of the averages."""
        return self._gradient

    def laws_at(self, y: np.ndarray) -> tuple[list, np.ndarray, np.ndarray, np.ndarray]:
        """The laws of the fields of all levels at the state y (n,), and Q, M, v."""
        Q, M, v = self.unpacked(y)
        for law in self._laws:
            law.update(Q, M)
        return self._laws, Q, M, v

    def unpacked(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q (blocks, K, K), M (blocks, K, P), v (K,) of a state."""
        blocks, K, P = self.setting.shape
        Q, M, v = np.empty((blocks, K, K)), np.empty((blocks, K, P)), self._v.copy()
        unpack(np.ascontiguousarray(y), Q, M, v)
        return Q, M, v

    def packed_gradient(self, by_Q: np.ndarray, by_M: np.ndarray, by_v: np.ndarray) -> np.ndarray:
        """Gradient by the state vector, from those by Q (symmetric, paired over all entries), M and v."""
        found = np.empty(self.size)
        pack(np.ascontiguousarray(by_Q / self._halves), np.ascontiguousarray(by_M), by_v, found)
        return found

    def chained(self, level: int, fields: FieldGradient) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gradients by Q, M, v of what has a gradient by means and covariance of a level's fields."""
        law, R = self.setting.laws[level], self._laws[level].references
        variance = law.scale[:, None, None] ** 2
        by_Q = variance * fields.covariance[None, R:, R:]
        by_M = np.einsum("cpb,ck->bkp", law.gain, fields.mean)
        if R:
            by_M = by_M + 2.0 * variance * fields.covariance[None, R:, :R]
        return by_Q, by_M, fields.v

    def pull(self, y: np.ndarray, costate: np.ndarray, probability: np.ndarray, rates: Rates, absent: bool = True) -> Pulled:
        """Products of the costate (n,) with the derivatives of a stage's rate at y (n,); with levels of p = 0 where `absent`."""
        laws, Q, M, v = self.laws_at(y)
        eta, eta_v, kappa = rates.eta, rates.eta_v, rates.kappa
        T, fractions = self.setting.blocks.T, self.setting.blocks.fractions
        full, mu, omega = self.unpacked(costate)
        Lambda = full * self._halves
        if not self.setting.readout_trained:
            omega = np.zeros_like(v)
        X = 2.0 * Lambda @ M + mu @ T
        Y = 2.0 * Lambda @ Q + mu @ M.transpose(0, 2, 1)
        by_Q, by_M, by_v = -2.0 * eta * kappa * Lambda, -eta * kappa * mu, -eta_v * kappa * omega
        decay = -2.0 * np.sum(Lambda * Q) - np.sum(mu * M)  # per eta kappa
        decay_v = -float(omega @ v)
        values, linear, square = np.zeros(len(laws)), 0.0, 0.0
        for level, (law, averages) in enumerate(zip(laws, self._averages, strict=True)):
            p = float(probability[level])
            if p == 0.0 and not absent:
                continue
            self.engine.averages(law, v, averages)
            example = self.setting.laws[level]
            variance = example.scale[:, None, None] ** 2
            S, G = averages.student, averages.reference
            Phi = np.einsum("ck,cpb->bkp", averages.force, example.gain)
            first = -float(np.sum(variance * (Y * S)) + np.sum(variance * (X * G)) + np.sum(X * Phi))
            B = np.tensordot(fractions * example.scale**2, Lambda, axes=1)
            second = float(np.sum(B * averages.square)) if self.engine.noise_terms else 0.0
            third = -float(omega @ averages.readout)
            values[level] = eta * first + eta**2 * second + eta_v * third
            if p == 0.0:
                continue
            linear += p * (eta * first + eta_v * third)
            square += p * eta**2 * second
            S2 = 0.5 * (S + S.T)
            by_Q = by_Q - p * eta * variance * (S2 @ Lambda + Lambda @ S2)
            by_M = by_M - p * eta * (2.0 * Lambda @ (Phi + variance * G) + variance * (S.T @ mu))
            student = -eta * np.sum(variance * Y, axis=0)
            weights = Weights(
                -eta * np.einsum("cpb,bkp->ck", example.gain, X),
                0.5 * (student + student.T),
                -eta * np.sum(variance * X, axis=0)[:, : law.references],
                eta**2 * B if self.engine.noise_terms else np.zeros_like(B),
                -eta_v * omega,
                0.0,
                0.0,
            )
            found = self.chained(level, self._gradient.gradient(law, v, weights))
            by_Q, by_M, by_v = by_Q + p * found[0], by_M + p * found[1], by_v + p * found[2]
        by_eta = (linear + 2.0 * square) / eta + kappa * (decay + (eta_v / eta) * decay_v) if eta > 0.0 else 0.0
        return Pulled(self.packed_gradient(by_Q, by_M, by_v), values, by_eta, eta * decay + eta_v * decay_v)
