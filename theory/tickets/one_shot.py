"""One-shot pruning by |w(T)|: nodes over w(T) alone, and all else integrated out.

Of a coordinate, y = (w(T), w(k), w(0), u) = L z is Gaussian, L the Cholesky factor of its covariance in this order: the first K
normals z_T are w(T). Which weights are kept is a function of them, so that over the coordinates of a group g (a pattern of units)

    E[y y'; g] = L_T E[z_T z_T'; g] L_T' + phi_g L_r L_r',      L = (L_T, L_r),

whose entries are Q^g and M^g of what is kept, w(k) or w(T), and T^g. Only E[z_T z_T'; g] and phi_g need nodes: K dimensions in
place of 3 K + P, and the scatter of all else among the nodes is gone.
"""

from dataclasses import dataclass

import numpy as np

from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.dynamics.groups import Groups
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.tickets.coordinates import Coordinates, group, normals, stratum_sizes


@dataclass(frozen=True)
class OneShotNodes:
    """Nodes ordered by w(T), and what is known of the rest.

    coordinates : the nodes;  weights : w(0), w(k) and w(T) (K, n) at them;  z : (K, n) the normals of w(T)
    stratum : (n,) each one's;  factors : of every stratum L (3 K + P, 3 K + P)
    """

    coordinates: Coordinates
    weights: tuple[np.ndarray, np.ndarray, np.ndarray]
    z: np.ndarray
    stratum: np.ndarray
    factors: list[np.ndarray]

    def groups(self, mask: np.ndarray, final: bool) -> Groups:
        """The groups under a mask (K, n) of the weights w(k), or with `final` w(T)."""
        K, share = self.z.shape[0], self.coordinates.share
        found, where = group(self.coordinates, self.weights[2 if final else 1], mask)
        own = slice(0, K) if final else slice(K, 2 * K)
        Q, M, T = np.zeros_like(found.Q), np.zeros_like(found.M), np.zeros_like(found.T)
        cell = where * len(self.factors) + self.stratum
        order = np.flatnonzero(where >= 0)
        order = order[np.argsort(cell[order], kind="stable")]
        cells, first = np.unique(cell[order], return_index=True)
        for number, here in zip(cells, np.split(order, first[1:]), strict=True):
            g, s = divmod(int(number), len(self.factors))
            L, mu, z = self.factors[s], share[here], self.z[:, here]
            second = L[:, :K] @ ((z * mu) @ z.T) @ L[:, :K].T + mu.sum() * (L[:, K:] @ L[:, K:].T)
            m = found.pattern[g]
            Q[g] += second[own, own] * np.outer(m, m)
            M[g] += second[own, 3 * K :] * m[:, None]
            T[g] += second[3 * K :, 3 * K :]
        return Groups(found.block, found.pattern, found.share, T, M, Q, found.riders, found.drive)


def one_shot_nodes(
    setting: Setting,
    Q: np.ndarray,
    M: np.ndarray,
    transports: tuple[dict[str, np.ndarray], dict[str, np.ndarray]],
    count: int,
    rng: np.random.Generator,
    even: bool,
) -> OneShotNodes:
    """`count` nodes, a net, of a dense training from Q (blocks, K, K), M (blocks, K, P).

    transports : R, S, Xi of every block from 0 to k, and from k to T;  even : as for `nodes`
    """
    shares = setting.strata[0]
    sizes = stratum_sizes(shares, count, even)
    K, P = Q.shape[1], M.shape[2]
    parts: list[tuple[np.ndarray, ...]] = []
    factors: list[np.ndarray] = []
    for b, s in np.ndindex(shares.shape):
        n = int(sizes[b, s])
        L = semidefinite_factor(_covariance(setting, Q, M, transports, b, s))
        z = normals(P + 3 * K, n, rng, True, P + 3 * K)
        y = L @ z
        number = np.full(n, len(factors))
        parts.append(
            (np.full(n, shares[b, s] / n), np.full(n, b), y[3 * K :], y[2 * K : 3 * K], y[K : 2 * K], y[:K], z[:K], number)
        )
        factors.append(L)
    share, block, u, w0, wk, wT, z, stratum = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return OneShotNodes(Coordinates(share, block, u), (w0, wk, wT), z, stratum, factors)


def _covariance(
    setting: Setting, Q: np.ndarray, M: np.ndarray, transports: tuple[dict[str, np.ndarray], ...], b: int, s: int
) -> np.ndarray:
    """The covariance of (w(T), w(k), w(0), u) of a coordinate in stratum s of block b."""
    shares, overlaps = setting.strata
    K, P = Q.shape[1], M.shape[2]
    T = overlaps[b].sum(axis=0)
    along = M[b] @ np.linalg.pinv(T, hermitian=True)
    rest = (Q[b] - along @ T @ along.T) / setting.blocks.fractions[b]
    # Rows of the weights at one time in terms of the independent u, w_perp(0), xi_1, xi_2, whose covariances are `own`.
    own = np.zeros((P + 3 * K, P + 3 * K))
    for place, C in (
        (0, overlaps[b, s] / shares[b, s]),
        (P, rest),
        (P + K, transports[0]["Xi"][b]),
        (P + 2 * K, transports[1]["Xi"][b]),
    ):
        own[place : place + len(C), place : place + len(C)] = C
    rows = [np.hstack([along, np.eye(K), np.zeros((K, 2 * K))])]
    for i, part in enumerate(transports):
        row = part["R"][b] @ rows[-1]
        row[:, :P] += part["S"][b]
        row[:, P + (1 + i) * K : P + (2 + i) * K] += np.eye(K)
        rows.append(row)
    F = np.vstack([rows[2], rows[1], rows[0], np.hstack([np.eye(P), np.zeros((P, 3 * K))])])
    C = F @ own @ F.T
    return 0.5 * (C + C.T)
