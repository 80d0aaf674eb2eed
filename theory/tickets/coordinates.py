"""Coordinates one by one: nodes of the law of one weight in theory, the inputs themselves in a simulation.

A coordinate i has a weight mu_i (its share of all coordinates), references u_i (P,) and student weights w_i (K,), so that
Q^b_kl = sum_{i in b} mu_i w_ki w_li. What is masked or re-initialised is decided here, the same in theory and simulation.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr, ndtri

from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.dynamics.groups import Groups
from curriculode.theory.dynamics.setting import Setting


@dataclass(frozen=True)
class Coordinates:
    """n coordinates.

    share : (n,) mu_i, sums to 1;  block : (n,) of int;  u : (P, n)
    """

    share: np.ndarray
    block: np.ndarray
    u: np.ndarray

    @property
    def count(self) -> int:
        """How many."""
        return int(self.share.size)


def stratum_sizes(shares: np.ndarray, count: int, even: bool = False) -> np.ndarray:
    """Numbers (blocks, strata) of `count` coordinates in all strata, nearest to their shares, at least 2; or `even` ones."""
    shares = np.full(shares.shape, 1.0 / shares.size) if even else shares
    sizes = np.maximum(np.rint(shares * count).astype(int), 2)
    largest = np.unravel_index(np.argmax(sizes), sizes.shape)
    sizes[largest] += max(count - sizes.sum(), 2 - sizes[largest])
    return sizes


def normals(rows: int, count: int, rng: np.random.Generator, net: bool, exact: int) -> np.ndarray:
    """Standard normals (rows, count): a scrambled Sobol net or random numbers, of which the first `exact` rows are whitened.

    Whitened rows have exactly the mean 0 and the covariance 1, a net's all of them, so that overlaps are exactly those asked for.
    """
    if net:
        from scipy.stats import qmc

        points = qmc.Sobol(rows, scramble=True, rng=rng).random_base2(max(1, int(np.ceil(np.log2(count)))))[:count].T
        z = ndtri(np.clip(points, 1e-16, 1.0 - 1e-16))
        exact = rows
    else:
        z = rng.standard_normal((rows, count))
    exact = min(exact, (count - 1) // 2)  # a few coordinates cannot have so many moments
    if exact:
        top = z[:exact] - z[:exact].mean(axis=1, keepdims=True)
        z[:exact] = np.linalg.solve(np.linalg.cholesky(top @ top.T / count), top)
    return z


def nodes(
    setting: Setting,
    Q: np.ndarray,
    M: np.ndarray,
    count: int,
    spare: int,
    rng: np.random.Generator,
    net: bool,
    even: bool = False,
) -> tuple[Coordinates, np.ndarray, np.ndarray]:
    """Coordinates with weights W (K, count) of the overlaps Q (blocks, K, K), M (blocks, K, P), and `spare` rows of normals.

    With `even` all strata get as many nodes, of different shares: where few coordinates hold all that matters, it is they that need
    them. In stratum s of block b, u ~ N(0, T^s/phi_s) and w = M T^+ u + N(0, (Q - M T^+ M') / phi).
    """
    shares, overlaps = setting.strata
    sizes = stratum_sizes(shares, count, even)
    K, P = Q.shape[1], M.shape[2]
    parts: list[tuple[np.ndarray, ...]] = []
    for b, s in np.ndindex(shares.shape):
        n, share = int(sizes[b, s]), float(shares[b, s])
        z = normals(P + K + spare, n, rng, net, P + K)
        T = overlaps[b].sum(axis=0)
        along = M[b] @ np.linalg.pinv(T, hermitian=True)
        rest = (Q[b] - along @ T @ along.T) / setting.blocks.fractions[b]
        u = semidefinite_factor(overlaps[b, s] / share) @ z[:P]
        W = along @ u + semidefinite_factor(0.5 * (rest + rest.T)) @ z[P : P + K]
        parts.append((np.full(n, share / n), np.full(n, b), u, W, z[P + K :]))
    joined = [np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)]
    return Coordinates(*joined[:3]), joined[3], joined[4]


def group(coordinates: Coordinates, W: np.ndarray, mask: np.ndarray, strata: np.ndarray | None = None) -> tuple[Groups, np.ndarray]:
    """Coordinates with the weights W (K, n) under a mask (K, n) in groups of one block and pattern, and each one's group (n,).

    Coordinates that no unit keeps are in none: -1. strata : (n,) of int, further marks that tell groups apart
    """
    K, P = W.shape[0], coordinates.u.shape[0]
    kept = np.flatnonzero(mask.any(axis=0))
    marks = [coordinates.block[kept, None].astype(np.int64).view(np.uint8), np.packbits(mask[:, kept], axis=0).T]
    if strata is not None:
        marks.append(strata[kept, None].astype(np.int64).view(np.uint8))
    code = np.ascontiguousarray(np.concatenate(marks, axis=1))
    codes = code.view([("", np.uint8)] * code.shape[1]).ravel()
    _, first, number = np.unique(codes, return_index=True, return_inverse=True)
    G, order = first.size, np.argsort(number, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=G))]).astype(int)
    Q, M, T = np.zeros((G, K, K)), np.zeros((G, K, P)), np.zeros((G, P, P))
    share = np.zeros(G)
    pattern = mask[:, kept[first]].T.copy()
    for g in range(G):
        here = kept[order[edges[g] : edges[g + 1]]]
        units = np.flatnonzero(pattern[g])
        w, u, mu = W[np.ix_(units, here)], coordinates.u[:, here], coordinates.share[here]
        Q[g, units[:, None], units] = (w * mu) @ w.T
        M[g, units] = (w * mu) @ u.T
        T[g] = (u * mu) @ u.T
        share[g] = mu.sum()
    where = np.full(coordinates.count, -1)
    where[kept] = number
    groups = Groups(coordinates.block[kept[first]], pattern, share, T, M, Q, np.zeros((G, K, 0)), np.zeros((G, P, 0)))
    return groups, where


def transported(
    coordinates: Coordinates, W: np.ndarray, where: np.ndarray, transports: dict[str, np.ndarray], z: np.ndarray
) -> np.ndarray:
    """The weights (K, n) after a training, R W + S u + Xi^(1/2) z, of coordinates in the groups `where` (n,)."""
    after = np.zeros_like(W)
    order = np.argsort(where, kind="stable")
    edges = np.searchsorted(where[order], np.arange(transports["R"].shape[0] + 1))
    for g, (begin, end) in enumerate(pairwise(edges)):
        here = order[begin:end]
        Xi = transports["Xi"][g]
        noise = semidefinite_factor(0.5 * (Xi + Xi.T)) @ z[:, here]
        after[:, here] = transports["R"][g] @ W[:, here] + transports["S"][g] @ coordinates.u[:, here] + noise
    return after


def sign_changes(
    coordinates: Coordinates, W: np.ndarray, mask: np.ndarray, where: np.ndarray, transports: dict[str, np.ndarray]
) -> np.ndarray:
    """Of the weights (K, n) that each unit keeps the share (K,) whose sign a training changes; NaN for a unit that keeps none.

    P(w' w < 0) = Phi(- sgn(w) (R w + S u)_k / Xi_kk^(1/2)) of a weight w_k, in the groups `where` (n,).
    """
    changed = np.zeros(W.shape)
    for g in range(transports["R"].shape[0]):
        here = np.flatnonzero(where == g)
        mean = transports["R"][g] @ W[:, here] + transports["S"][g] @ coordinates.u[:, here]
        scatter = np.sqrt(np.maximum(np.diagonal(transports["Xi"][g]), 0.0))[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            # Before anything has moved there is no noise, and no sign has changed.
            changed[:, here] = np.where(scatter > 0.0, ndtr(-np.sign(W[:, here]) * mean / scatter), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share: np.ndarray = ((changed * mask) @ coordinates.share) / (mask @ coordinates.share)
    return share
