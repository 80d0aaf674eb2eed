"""The start of a tangent space in an orthonormal basis of the span of its weights w0 and the references u, block by block.

With G = [[T, M0'], [M0, Q0]] = F F' in a block, u_p and w0_k have the coordinates F (times sqrt D), and x has xi there, so that
u_p . x / sqrt(D) = F_p xi, w0_k . x / sqrt(D) = F_k xi. A change dw_k is given by its coordinates a_k in this basis, and by the
overlaps Q_perp of what is orthogonal to it. Directions that nothing spans (a block without references) are left out.
"""

from dataclasses import dataclass

import numpy as np

from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.tasks.blocks import Blocks


@dataclass(frozen=True)
class Change:
    """How far the weights have moved from the start: a, one (K, r_b) a block, dv (K,), and Q_perp (blocks, K, K)."""

    a: list[np.ndarray]
    dv: np.ndarray
    perpendicular: np.ndarray


@dataclass(frozen=True)
class Moved:
    """Order parameters after a change: Q, M, v, and C (blocks, K, K), the overlaps C_lk = w_l . w0_k / D with the start."""

    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    C: np.ndarray


@dataclass(frozen=True)
class Frame:
    """Q (blocks, K, K), M (blocks, K, P), v (K,) of the start; units, references : of each block F, (K, r_b) and (P, r_b)."""

    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    units: list[np.ndarray]
    references: list[np.ndarray]

    @classmethod
    def of(cls, start: OrderParameters, blocks: Blocks) -> "Frame":
        """The frame of a start."""
        Q, M, v = start.blocked()
        P = blocks.references
        units, references = [], []
        for b in range(blocks.count):
            factor = semidefinite_factor(np.block([[blocks.T[b], M[b].T], [M[b], Q[b]]]))
            factor = factor[:, np.abs(factor).max(axis=0) > 0.0]
            units.append(np.ascontiguousarray(factor[P:]))
            references.append(np.ascontiguousarray(factor[:P]))
        return cls(Q, M, v, units, references)

    @property
    def width(self) -> int:
        """K."""
        return int(self.v.size)

    def moved(self, change: Change) -> Moved:
        """The order parameters of w0 + dw, v0 + dv."""
        along = np.array([a @ F.T for a, F in zip(change.a, self.units, strict=True)])
        Q = self.Q + along + np.swapaxes(along, 1, 2) + np.array([a @ a.T for a in change.a]) + change.perpendicular
        M = self.M + np.array([a @ F.T for a, F in zip(change.a, self.references, strict=True)])
        return Moved(0.5 * (Q + np.swapaxes(Q, 1, 2)), M, self.v + change.dv, self.Q + along)

    def change(self, moved: Moved) -> Change:
        """The change that order parameters tell of: the inverse of `moved`."""
        a, perpendicular = [], np.empty_like(self.Q)
        for b, (units, references) in enumerate(zip(self.units, self.references, strict=True)):
            overlaps = np.hstack([moved.C[b] - self.Q[b], moved.M[b] - self.M[b]])  # = a F'
            along = overlaps @ np.linalg.pinv(np.vstack([units, references])).T
            cross = along @ units.T
            a.append(along)
            perpendicular[b] = moved.Q[b] - self.Q[b] - cross - cross.T - along @ along.T
        return Change(a, moved.v - self.v, perpendicular)
