"""Masks: the score of a weight, and the share of weights with the largest scores that is kept."""

import numpy as np
from scipy.special import ndtri

from curriculode.theory.core.errors import InputError


def kept_share(keep: float) -> float:
    """h(p) = 2 tau phi(tau), tau = Phi^-1(1 - p/2): what large weights add to the share p of the overlaps that is kept.

    Where a share p of the weights of a unit is kept by |w(T)|, with q = Q_kk(T), a = M_kp(T), c = C_kk(T, k), and one stratum:

        M'_kp = p M_kp(k) + h c a / q,    Q'_kk = p Q_kk(k) + h c^2 / q,    T'_pp = p T_pp + h a^2 / q

    Its maximum is .484, at p = .317 (tau = 1).

    >>> round(kept_share(0.3173), 3)
    0.484
    """
    if keep >= 1.0:
        return 0.0
    tau = -ndtri(0.5 * keep)
    return float(2.0 * tau * np.exp(-0.5 * tau * tau) / np.sqrt(2.0 * np.pi))


def scores(criterion: str, first: np.ndarray, last: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The score of each weight, first and last (K, n) being those at the start of all and at the end of the training."""
    if criterion == "random":
        return rng.random(last.shape)
    return {
        "large-final": lambda: np.abs(last),
        "magnitude-increase": lambda: np.abs(last) - np.abs(first),
        "large-init": lambda: np.abs(first),
        "movement": lambda: np.abs(last - first),
        "small-final": lambda: -np.abs(last),
    }[criterion]()


def best(score: np.ndarray, alive: np.ndarray, share: np.ndarray, keep: float | np.ndarray, scope: str) -> np.ndarray:
    """The mask (K, n) of the survivors with the largest scores that make up a share `keep` of all coordinates.

    alive : (K, n) of bool, the survivors;  share : (n,) of each coordinate;  keep : of each unit (K,), or of all
    """
    K, n = score.shape
    ranked = np.where(alive, score, -np.inf)
    if scope == "layer":
        flat = _top(ranked.ravel(), np.tile(share, K) / K, float(np.mean(keep)))
        return flat.reshape(K, n) & alive
    targets = np.broadcast_to(keep, K)
    return np.array([_top(row, share, float(target)) for row, target in zip(ranked, targets, strict=True)]) & alive


def _top(score: np.ndarray, share: np.ndarray, keep: float) -> np.ndarray:
    """Those with the largest scores whose shares add up to the nearest of `keep`."""
    order = np.argsort(-score, kind="stable")
    before = np.cumsum(share[order]) - 0.5 * share[order]
    chosen = np.zeros(score.size, bool)
    chosen[order[before < keep]] = True
    return chosen


def checked_mask(mask: object, width: int, count: int) -> np.ndarray:
    """A mask of the user's as an array (K, n) of bool, or `InputError`."""
    found = np.asarray(mask)
    if found.shape != (width, count) or found.dtype.kind not in "biuf" or not np.isin(found, (0, 1)).all():
        raise InputError(
            f"mask of shape {found.shape} is not allowed; give zeros and ones of shape ({width}, {count}): units, and "
            "coordinates in the order of the blocks"
        )
    return found.astype(bool)
