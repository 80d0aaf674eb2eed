"""Weight coordinates: the state as weights in an orthonormal basis, where idle units and units that are one are regular points.

In block b let A^b = [R^b, L^b], R (K, P) the coordinates of w_k / sqrt(D) along the references and L (K, K) those across them:

    Q^b = R R' + L L',    M^b = R U',    T^b = U U'

Every A is a physical state. In Q and M themselves a unit without weights, or two that are one, lie on the edge of what is
physical, and a step of Newton's leads across it.
"""

import numpy as np

from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.dynamics.packing import pack, unpack
from curriculode.theory.dynamics.setting import Setting


class WeightCoordinates:
    """The map between weights z, (blocks, K, P + K) and v where it is trained, and state vectors y (n,) of a setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.blocks, self.K, self.P = setting.shape
        self._factors = [semidefinite_factor(T) for T in setting.blocks.T]
        self._inverses = [np.linalg.pinv(factor) for factor in self._factors]
        self._upper = np.triu_indices(self.K)
        self._triangle = self._upper[0].size
        self.trained = self.K if setting.readout_trained else 0
        self.size = self.blocks * (self._triangle + self.K * self.P) + self.trained

    def overlaps(self, y: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q (blocks, K, K), M (blocks, K, P), v (K,) of a state vector; `v` where it holds none."""
        Q, M, read = np.empty((self.blocks, self.K, self.K)), np.empty((self.blocks, self.K, self.P)), np.array(v, dtype=float)
        unpack(np.ascontiguousarray(y), Q, M, read)
        return Q, M, read

    def across(self, y: np.ndarray, v: np.ndarray) -> np.ndarray:
        """C^b = Q^b - M^b T^-1 M^b', the overlaps of what lies across the references, (blocks, K, K)."""
        Q, M, _ = self.overlaps(y, v)
        along = np.array([M[b] @ self._inverses[b].T for b in range(self.blocks)]).reshape(M.shape)
        return Q - along @ along.transpose(0, 2, 1)

    def weights(self, y: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A (blocks, K, P + K) and v (K,) of a state vector; L is the symmetric root of what lies across the references."""
        Q, M, v = self.overlaps(y, v)
        A = np.zeros((self.blocks, self.K, self.P + self.K))
        for b, C in enumerate(self.across(y, v)):
            A[b, :, : self.P] = M[b] @ self._inverses[b].T
            values, vectors = np.linalg.eigh(C)
            floor = 1e-15 * max(float(np.trace(Q[b])), 0.0)  # rounding of Q is no weight
            A[b, :, self.P :] = (vectors * np.sqrt(np.where(values > floor, values, 0.0))) @ vectors.T
        return A, v

    def state(self, A: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The state vector of weights."""
        Q = A @ A.transpose(0, 2, 1)
        M = np.array([A[b, :, : self.P] @ self._factors[b].T for b in range(self.blocks)]).reshape(self.blocks, self.K, self.P)
        y = np.empty(self.size)
        pack(np.ascontiguousarray(Q), M, v, y)
        return y

    def physical(self, Q: np.ndarray, M: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Q (blocks, K, K) and M (blocks, K, P) without what an integrator's error left of negative squares."""
        y = np.empty(self.size)
        pack(np.ascontiguousarray(Q), np.ascontiguousarray(M), np.ascontiguousarray(v), y)
        sound = self.overlaps(self.state(*self.weights(y, v)), v)
        return sound[0], sound[1]

    def slopes(self, A: np.ndarray) -> np.ndarray:
        """dy / dz, (n, blocks K (P + K) + K): the state's derivative by the weights, then by v where it is trained."""
        K, P, n = self.K, self.P, self._triangle
        block = K * (P + K)
        found = np.zeros((self.size, self.blocks * block + self.trained))
        rows, columns = self._upper
        for b in range(self.blocks):
            for k in range(K):
                at = b * block + k * (P + K)
                for m in range(K):
                    entry = b * n + np.flatnonzero((rows == min(k, m)) & (columns == max(k, m)))[0]
                    found[entry, at : at + P + K] += (2.0 if m == k else 1.0) * A[b, m]
                begins = self.blocks * n + (b * K + k) * P
                found[begins : begins + P, at : at + P] = self._factors[b]
        if self.trained:
            found[-K:, -K:] = np.eye(K)
        return found

    def moved(self, A: np.ndarray, v: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The weights and v after a step (z,)."""
        weights = A.size
        return A + step[:weights].reshape(A.shape), v + step[weights:] if self.trained else v
