"""Online SGD in the tangent space as dynamics of a change: a (K, r_b) in each block, dv (K,), Q_perp (blocks, K, K).

In the orthonormal basis of the frame, with e = beta . psi - r and F_k the coordinates of w0_k,

    da^b_k/dt    = - eta E[e c_k xi^b] - eta kappa (a^b_k + F^b_k)
    d dv_k/dt    = - eta_v E[e g_k] - eta_v kappa (v0 + dv)_k
    dQ_perp^b/dt = - eta (C_b Q_perp + Q_perp C_b) + eta^2 phi_b E[s_b^2 c c' (e^2 + noise + sum_b' s_b'^2 c' Q_perp^b' c)]
                   - 2 eta kappa Q_perp^b,                C_b = E[s_b^2 c c']

since given the span an example's part across it is normal, of variance s_b^2 a direction.
"""

import numpy as np

from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.interface import Dynamics
from curriculode.theory.tangent.frame import Change
from curriculode.theory.tangent.rows import Rows, spread_of
from curriculode.theory.tangent.space import TangentSpace


class TangentLearning(Dynamics):
    """The equations of a stage, averaged over its `rows`, at its `rates`."""

    def __init__(self, space: TangentSpace, rows: Rows, rates: Rates, noise_terms: bool = True) -> None:
        self.space, self.rates, self.noise_terms, self._rows = space, rates, noise_terms, rows
        frame, K = space.frame, space.frame.width
        blocks = len(frame.units)
        self._upper = np.triu_indices(K)
        first = [f"a[{b},{k},{j}]" for b, F in enumerate(frame.units) for k in range(K) for j in range(F.shape[1])]
        across = [f"Q_perp[{b},{k},{m}]" for b in range(blocks) for k, m in zip(*self._upper, strict=True)]
        self.names = tuple([*first, *(f"dv[{k}]" for k in range(K)), *across])
        model, size = space.model, space.model.count(frame)
        self._matrix, self._source, self._C = np.zeros((size, size)), np.zeros(size), np.zeros((blocks, K, K))
        for piece in rows.chunks():
            features = model.features(piece)
            weighted = features.T * piece.weight
            self._matrix += weighted @ features
            self._source += weighted @ model.target(piece)
            for b in range(blocks):
                self._C[b] += (piece.c.T * (piece.weight * piece.variance[:, b])) @ piece.c
        self._pieces = [(piece, model.features(piece), model.target(piece)) for piece in rows.chunks()]
        self._rate = np.concatenate([np.full(size, rates.eta)])
        if model.readout:
            self._rate[-K:] = rates.eta_v

    def pack(self, change: Change) -> np.ndarray:
        """The state (n,) of a change."""
        across = [Q[self._upper] for Q in change.perpendicular]
        return np.concatenate([*(a.ravel() for a in change.a), change.dv, *across])

    def unpack(self, y: np.ndarray) -> Change:
        """The change of a state (n,)."""
        frame, K, at, a = self.space.frame, self.space.frame.width, 0, []
        for F in frame.units:
            a.append(y[at : at + F.size].reshape(F.shape))
            at += F.size
        dv, at = y[at : at + K], at + K
        perpendicular = np.zeros_like(frame.Q)
        m = self._upper[0].size
        for b in range(len(frame.units)):
            Q = perpendicular[b]
            Q[self._upper] = y[at + b * m : at + (b + 1) * m]
            perpendicular[b] = np.triu(Q) + np.triu(Q, 1).T
        return Change(a, dv, perpendicular)

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of the state y (n,) at time t."""
        self.evaluations += 1
        space, (eta, eta_v, kappa) = self.space, self.rates
        change = self.unpack(y)
        beta = space.model.coefficients(change)
        learnt = space.model.change(space.frame, -self._rate * (self._matrix @ beta - self._source))
        a = [d - eta * kappa * (here + F) for d, here, F in zip(learnt.a, change.a, space.frame.units, strict=True)]
        dv = learnt.dv - eta_v * kappa * (space.frame.v + change.dv)
        perpendicular = np.empty_like(change.perpendicular)
        for b, (C, Q) in enumerate(zip(self._C, change.perpendicular, strict=True)):
            perpendicular[b] = -eta * (C @ Q + Q @ C) - 2.0 * eta * kappa * Q
        if self.noise_terms and eta > 0.0:
            for piece, features, target in self._pieces:
                square = (features @ beta - target) ** 2 + piece.noise + spread_of(piece, change.perpendicular)
                for b, phi in enumerate(space.blocks.fractions):
                    weight = (eta * eta * phi) * piece.weight * piece.variance[:, b] * square
                    perpendicular[b] += (piece.c.T * weight) @ piece.c
        return self.pack(Change(a, dv, perpendicular))

    def observe(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Q, M, v and the overlaps C with the start, times first, always with the block axis."""
        moved = [self.space.frame.moved(self.unpack(y)) for y in states]
        return {name: np.array([getattr(each, name) for each in moved]) for name in ("Q", "M", "v", "C")}

    def unphysical(self, states: np.ndarray, tolerance: float) -> tuple[int, str] | None:
        """The first state whose Q_perp is no covariance in some block."""
        for i, y in enumerate(states):
            change = self.unpack(y)
            for b, Q in enumerate(change.perpendicular):
                if not np.isfinite(Q).all():
                    continue  # a diverged state is told as such
                values = np.linalg.eigvalsh(Q)
                if values[0] < -max(1e-6, 10.0 * tolerance) * max(values[-1], 1.0):
                    return i, f"Q_perp of block {b} has the negative eigenvalue {values[0]:.3g}"
        return None
