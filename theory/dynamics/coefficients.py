"""The coefficients of the law of one weight, from the same averages as the equations of the order parameters.

Coordinate i of block b, w_i = (w_1i ... w_Ki), u_i = (u_1i ... u_Pi), obeys as D -> infinity

    dw_i = - (A_b w_i + G_b u_i) dt + N_b^(1/2) dB_i

with averages over the levels d of the stage (probability p_d):

    A_b      = eta kappa 1 + eta sum_d p_d s_db^2 E[dF_k/dlambda_l]
    G_b[k,p] = eta sum_d p_d ( sum_c pi_c E[F_k | c] a^d_cpb + s_db^2 E[dF_k/dnu_p] )
    N_b      = eta^2 sum_d p_d s_db^2 E[F_k F_l]

Averaging w w' and w u' over the coordinates of a block gives back the equations of Q and M in `online.py`.
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.averages import Engine, FieldAverages
from curriculode.theory.core.compiled import kernel
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.online import LevelLaw
from curriculode.theory.dynamics.setting import Setting


class Coefficients(NamedTuple):
    """A (blocks, K, K), G (blocks, K, P), N (blocks, K, K) of dw = - (A w + G u) dt + N^(1/2) dB, and dv/dt (K,)."""

    A: np.ndarray
    G: np.ndarray
    N: np.ndarray
    dv: np.ndarray


class CoefficientLaw:
    """The coefficients of a stage whose levels have the given `probability` (levels,), at its `rates`."""

    def __init__(self, setting: Setting, averages: Engine, probability: np.ndarray, rates: Rates) -> None:
        self.setting, self.engine, self.rates = setting, averages, rates
        blocks, K, P = setting.shape
        met = [level for level, p in enumerate(probability) if p > 0]
        self._laws = [setting.field_law(level) for level in met]
        self._levels = [LevelLaw(float(probability[level]), setting.laws[level].gain, setting.laws[level].scale) for level in met]
        self._averages = [FieldAverages.empty(law.example.probability.size, K, P) for law in self._laws]
        self._found = Coefficients(np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.empty((blocks, K, K)), np.empty(K))

    def at(self, Q: np.ndarray, M: np.ndarray, v: np.ndarray) -> Coefficients:
        """The coefficients at Q (blocks, K, K), M (blocks, K, P), v (K,); the arrays are those of the last call."""
        found = self._found
        begin_coefficients(self.rates, v, found)
        for level, law, averages in zip(self._levels, self._laws, self._averages, strict=True):
            law.update(Q, M)
            self.engine.averages(law, v, averages)
            add_coefficients(level, self.rates, self.engine.noise_terms, averages, found)
        return found


@kernel
def begin_coefficients(rates, v, found):
    """What weight decay alone does: A = eta kappa 1, dv/dt = - eta_v kappa v, and zeros."""
    A, G, N, dv = found
    for b in range(A.shape[0]):
        for k in range(A.shape[1]):
            for m in range(A.shape[2]):
                A[b, k, m] = rates.eta * rates.kappa if k == m else 0.0
                N[b, k, m] = 0.0
            for p in range(G.shape[2]):
                G[b, k, p] = 0.0
    for k in range(v.size):
        dv[k] = -rates.eta_v * rates.kappa * v[k]


@kernel
def add_coefficients(level, rates, noise_terms, averages, found):
    """Add what one level contributes."""
    A, G, N, dv = found
    gain, scale, probability = level.gain, level.scale, level.probability
    force, student, reference, square = averages.force, averages.student, averages.reference, averages.square
    eta = rates.eta
    components, references, blocks = gain.shape
    K = A.shape[1]
    for b in range(blocks):
        variance = scale[b] * scale[b]
        for k in range(K):
            for m in range(K):
                A[b, k, m] += probability * eta * variance * student[k, m]
                if noise_terms:
                    N[b, k, m] += probability * eta * eta * variance * square[k, m]
            for p in range(references):
                total = variance * reference[k, p]
                for c in range(components):
                    total += force[c, k] * gain[c, p, b]
                G[b, k, p] += probability * eta * total
    for k in range(K):
        dv[k] -= probability * rates.eta_v * averages.readout[k]
