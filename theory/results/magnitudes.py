"""The law of the size of a weight: thresholds of shares, weight correlation and sign changes, in closed form.

In stratum s of block b (a share phi_s of all coordinates, over which the references overlap by T^s) weights are Gaussian, and with
one block's Q, M, T, and phi = sum_s phi_s,

    Q^s = M T^+ T^s T^+ M' + (phi_s / phi) (Q - M T^+ M'),      sigma_ks^2 = Q^s_kk / phi_s

since what a weight has beyond the references is alike in all strata. The largest weights of unit k that make up a share p of them
are those beyond the theta_k of sum_s phi_s 2 Phi(- theta_k / sigma_ks) = p.
"""

from typing import Any

import numpy as np
from scipy.special import ndtr

from curriculode.theory.averages.bivariate_normal import bivariate_normal_cdf

_BISECTIONS = 200


def in_strata(
    Q: np.ndarray, left: np.ndarray, right: np.ndarray, shares: np.ndarray, overlaps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Variances sigma_k^2 and, of two networks or times, covariances of a coordinate's weights in each stratum.

    Q : (..., blocks, K, K) overlaps w_k . w'_l / D;  left, right : (..., blocks, K, P) of w, w' with the references
    shares : (blocks, strata) of all coordinates;  overlaps : (blocks, strata, P, P) of the references, summing up to T

    Returns the overlap of w_k with w'_k a coordinate, (..., K, blocks * strata), and the shares (blocks * strata,).
    """
    T = np.linalg.pinv(overlaps.sum(axis=1), hermitian=True)  # (blocks, P, P)
    before, after = left @ T, right @ T
    inner = np.einsum("...bkp,bpq,...bkq->...bk", before, overlaps.sum(axis=1), after)
    across = np.einsum("...bkk->...bk", Q) - inner
    along = np.einsum("...bkp,bspq,...bkq->...kbs", before, overlaps, after)
    total = shares.sum(axis=1)
    found = along / shares + np.swapaxes(across / total, -1, -2)[..., None]
    return found.reshape(*found.shape[:-2], -1), shares.ravel()


def threshold(sigma: np.ndarray, shares: np.ndarray, keep: Any) -> np.ndarray:
    """theta (...) beyond which a share `keep` of all weights is in size: sum_s phi_s 2 Phi(- theta / sigma_s) = keep.

    sigma : (..., strata) standard deviations;  shares : (strata,) or (..., strata), summing to 1
    """
    low = np.zeros(sigma.shape[:-1])
    high = 40.0 * np.nan_to_num(sigma).max(axis=-1)
    keep = np.broadcast_to(keep, low.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            beyond = (shares * 2.0 * ndtr(-middle[..., None] / sigma)).sum(axis=-1)
            above = beyond > keep
            low, high = np.where(above, middle, low), np.where(above, high, middle)
            if (high - low <= 1e-16 * high).all():
                break
    return np.where(np.isfinite(sigma).all(axis=-1), 0.5 * (low + high), np.nan)


def common_share(before: np.ndarray, after: np.ndarray, between: np.ndarray, shares: np.ndarray, p: float) -> np.ndarray:
    """R_p: of the share p of a unit's largest weights the part that is among its largest again, (...).

    before, after : (..., strata) variances at the two times;  between : (..., strata) covariances;  shares : (strata,)

    R_p = (1/p) sum_s phi_s 2 [ Phi2(-a, -b; r) + Phi2(-a, -b; -r) ] with a, b the thresholds over the standard deviations: Liu et
    al. 2021 (R_p = p without correlation, 1 with all of it).
    """
    sigma = np.sqrt(before), np.sqrt(after)
    at = [threshold(each, shares, p) for each in sigma]
    result = np.full(at[0].shape, np.nan)
    for index in np.ndindex(result.shape):
        total = 0.0
        for s, share in enumerate(shares):
            a, b = at[0][index] / sigma[0][index][s], at[1][index] / sigma[1][index][s]
            r = between[index][s] / (sigma[0][index][s] * sigma[1][index][s])
            r = max(-1.0, min(1.0, r)) if abs(r) < 1.0 + 1e-6 else r  # equal weights, but for rounding
            total += share * 2.0 * (bivariate_normal_cdf(-a, -b, r) + bivariate_normal_cdf(-a, -b, -r))
        result[index] = total / p
    return result


def changed_signs(before: np.ndarray, after: np.ndarray, between: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Share of a unit's weights whose sign differs, sum_s phi_s arccos(r_s) / pi, (...); arguments as in `common_share`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        r = between / np.sqrt(before * after)
    return (shares * np.arctan2(np.sqrt(np.maximum(1.0 - r * r, 0.0)), r)).sum(axis=-1) / np.pi
