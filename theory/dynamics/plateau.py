"""What SGD's noise does on a plateau that begins at random weights: the law of m = sqrt(D) M, where M itself is of order D^(-1/2).

XOR mixture, one block; averages at M = 0 given the label y, T = separation, y_p the label of the pair of clusters p, and
S^y = E[dF/dlambda | y]. As D -> infinity column p of m obeys, about the equations at M = 0,

    dm_p = Gam^p m_p dt + (N^p)^(1/2) dB,    Gam^p = - eta sum_d p_d [ (T/2) S^{y_p} + (s^2/2)(S^+ + S^-) ] - eta kappa
    N^p = eta^2 sum_d p_d [ (T^2/2) E[F F'| y_p] + (s^2 T/2)(E[F F'| +] + E[F F'| -]) ]

Its covariance C over runs obeys dC/dt = Gam C + C Gam' + N; of two copies that part at k the cross covariance goes on without N.
"""

import numpy as np

from curriculode.theory.averages import FieldAverages, FieldLaw, choose
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.interface import Dynamics
from curriculode.theory.dynamics.online import OnlineLearning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.tasks import ExampleLaw

LABELS = (1.0, -1.0)  # of the pairs of clusters p = 0 and 1


class PlateauLearning(Dynamics):
    """The equations at M = 0, and of each pair of clusters the propagator U (K, K) and the covariance C (K, K) of m.

    online : the equations themselves, in a stage;  the state holds theirs, then U and C of each pair
    """

    def __init__(self, online: OnlineLearning, probability: np.ndarray, rates: Rates, numerics: Numerics) -> None:
        self._online, self._rates, setting = online, rates, online.setting
        self.separation, self.setting = float(setting.blocks.T[0, 0, 0]), setting
        K = setting.width
        self._met = [
            (float(p), float(setting.laws[i].scale[0]) ** 2, _laws(setting, i)) for i, p in enumerate(probability) if p > 0
        ]
        laws = [law for _, _, each in self._met for law in each]
        self._engine = choose(
            numerics.averages, setting.activation, setting.loss, laws, K, numerics.points or DEFAULT_POINTS, numerics.scrambling
        )
        self._found = [FieldAverages.empty(1, K, setting.blocks.references) for _ in LABELS]
        more = tuple(f"{name} of pair {p}" for p in range(2) for name in ["U"] * K**2 + ["C"] * K**2)
        self.names = (*online.names, *more)

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of the state y (n,) at time t."""
        self.evaluations += 1
        K, n = self.setting.width, self._online.size
        Q, M, v = (part[0] for part in self._online.unpacked(y[None, :n]))
        rest = y[n:].reshape(2, 2, K, K)
        Gam, N = self.coefficients(Q, M, v)
        U, C = rest[:, 0], rest[:, 1]
        growth = Gam @ C
        change = np.stack([Gam @ U, growth + np.swapaxes(growth, 1, 2) + N], axis=1)
        return np.concatenate([self._online.rate(t, np.ascontiguousarray(y[:n])), change.ravel()])

    def coefficients(self, Q: np.ndarray, M: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gam and N of both pairs of clusters, each (2, K, K)."""
        K, T, (eta, _, kappa) = v.size, self.separation, self._rates
        Gam = -eta * kappa * np.array([np.eye(K)] * 2)
        N = np.zeros((2, K, K))
        for probability, variance, laws in self._met:
            for law, found in zip(laws, self._found, strict=True):
                law.update(Q, 0.0 * M)
                self._engine.averages(law, v, found)
            slopes, squares = (np.array([getattr(each, name) for each in self._found]) for name in ("student", "square"))
            Gam -= 0.5 * eta * probability * (T * slopes + variance * slopes.sum(axis=0))
            N += 0.5 * eta**2 * probability * (T**2 * squares + variance * T * squares.sum(axis=0))
        return Gam, N


def _laws(setting: Setting, level: int) -> list[FieldLaw]:
    """The fields at M = 0 given each label."""
    law, shape = setting.laws[level], (1, setting.blocks.references, 1)
    return [
        FieldLaw(ExampleLaw(np.ones(1), np.zeros(shape), law.scale, np.array([y])), setting.width, setting.blocks.T) for y in LABELS
    ]
