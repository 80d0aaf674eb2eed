"""Perturbations of the weights as maps of order parameters, exact as D -> infinity.

Within a block the coordinates of [u; w] are Gaussian with the covariance of their overlaps over phi_b, so that a map h of the
weights that acts on each coordinate by itself gives Q' = phi_b E[h h'] and M' = phi_b E[h u]. Each map is a multiple c of w and a
rest that knows nothing of u, so that M' = c M as D -> infinity; at finite D the rest brings M a draw of covariance
(Q' - c Q c) T / D. With sigma the scale of initial weights and rho the correlations of Q:

    noise            c = 1           Q + n^2 sigma^2 phi_b 1
    reinitialise     c = 0           sigma^2 phi_b 1
    shuffle-unit     c = 0           diag(Q_kk);   shuffle-layer  mean_k(Q_kk) 1;   shuffle-inputs  Q
    same-sign-unit   c = 2/pi        Q_kk kept,    Q_kl = (2/pi)^2 asin(rho_kl) sqrt(Q_kk Q_ll)
    same-sign-layer  c_k = (2/pi) mean_l(sqrt Q_ll) / sqrt Q_kk
                                     Q_kk = mean_l(Q_ll),   Q_kl = (2/pi)^2 asin(rho_kl) (mean_l sqrt Q_ll)^2
    signs            c = sqrt(2/pi)  Q_kl = (2/pi) asin(rho_kl) sqrt(Q_kk Q_ll)

since E[sgn x sgn y] = (2/pi) asin(rho) and E|x| = sqrt(2/pi) of standard normals. After a map of signs coordinates are not
Gaussian: training on is exact all the same, for the equations know overlaps alone, but a second such map is not.
"""

import numpy as np

from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.perturbation import Perturbation


def perturbed_overlaps(
    Q: np.ndarray, M: np.ndarray, T: np.ndarray, fractions: np.ndarray, scale: float, perturbation: Perturbation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q (blocks, K, K) and M (blocks, K, P) after a perturbation, and c (blocks, K).

    scale : weight_scale, the standard deviation of initial weights
    """
    after, multiple = np.empty_like(Q), np.empty(M.shape[:2])
    for b in range(len(Q)):
        after[b], multiple[b] = _map(Q[b], float(fractions[b]) * scale**2, perturbation)
    M = multiple[:, :, None] * M
    if perturbation.dimension is not None:
        rng = np.random.default_rng(perturbation.seed)
        for b, overlap in enumerate(T):
            rest = after[b] - multiple[b][:, None] * Q[b] * multiple[b]
            draws = rng.standard_normal(M[b].shape)
            M[b] += (
                semidefinite_factor(_semidefinite(rest)) @ draws @ semidefinite_factor(overlap).T / np.sqrt(perturbation.dimension)
            )
    return after, M, multiple


def _map(Q: np.ndarray, fresh: float, perturbation: Perturbation) -> tuple[np.ndarray, np.ndarray]:
    """Q' (K, K) and c (K,) of one block; `fresh` is phi_b sigma^2."""
    K, kind = len(Q), perturbation.kind
    size = np.sqrt(np.diagonal(Q))
    mean = size.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = np.where(np.outer(size, size) > 0, Q / np.outer(size, size), 0.0)
        of_layer = np.where(size > 0, mean / size, 0.0)
    # Of equal weights rho is 1 but for rounding, which asin does not forgive.
    angle = np.arcsin(np.clip(rho, -1.0, 1.0))
    if kind == "noise":
        return Q + perturbation.size**2 * fresh * np.eye(K), np.ones(K)
    if kind == "reinitialise":
        return fresh * np.eye(K), np.zeros(K)
    if kind == "shuffle-unit":
        return np.diag(size**2), np.zeros(K)
    if kind == "shuffle-layer":
        return (size**2).mean() * np.eye(K), np.zeros(K)
    if kind == "shuffle-inputs":
        return Q.copy(), np.zeros(K)
    if kind == "signs":
        return (2 / np.pi) * angle * np.outer(size, size), np.full(K, np.sqrt(2 / np.pi))
    of_unit = kind == "same-sign-unit"
    after = (2 / np.pi) ** 2 * angle * (np.outer(size, size) if of_unit else mean**2)
    after[np.diag_indices(K)] = size**2 if of_unit else (size**2).mean()
    return after, (2 / np.pi) * (np.ones(K) if of_unit else of_layer)


def _semidefinite(C: np.ndarray) -> np.ndarray:
    """A covariance without what rounding has made of its zeros."""
    w, V = np.linalg.eigh(0.5 * (C + C.T))
    return (V * np.where(w > 1e-12 * w[-1], w, 0.0)) @ V.T


def distance(Q: np.ndarray, after: np.ndarray, multiple: np.ndarray) -> float:
    """Root mean square change of a weight, from sum_b (Q'_kk + Q_kk - 2 c_k Q_kk) averaged over units."""
    before, new = np.einsum("bkk->bk", Q), np.einsum("bkk->bk", after)
    return float(np.sqrt(max((new + before - 2.0 * multiple * before).sum(axis=0).mean(), 0.0)))
