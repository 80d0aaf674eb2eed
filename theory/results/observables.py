"""What is read off the order parameters: cosines, covered clusters, and (through the averages) the errors."""

import numpy as np


def cosines(Q: np.ndarray, M: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Cosine M_kp / sqrt(Q_kk T_pp) of unit k with reference p, over all blocks together.

    Q : (..., blocks, K, K), M : (..., blocks, K, P), T : (blocks, P, P) -> (..., K, P); NaN for a unit without weights
    """
    norm = np.diagonal(Q.sum(axis=-3), axis1=-2, axis2=-1)
    length = np.diagonal(T.sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return M.sum(axis=-3) / np.sqrt(norm[..., :, None] * length)


def covered_clusters(Q: np.ndarray, M: np.ndarray, v: np.ndarray, T: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Number 0..4 of clusters of the XOR mixture that some unit covers.

    Unit k covers the cluster (p, sign M_kp) of its largest |cosine| if that exceeds `threshold` and the sign of v_k is the
    label of the cluster (+1 on the a pair, -1 on the b pair). Shapes as in `cosines`, v : (..., K) -> (...) of int.
    """
    c = np.nan_to_num(cosines(Q, M, T))
    best = np.abs(c).argmax(axis=-1)
    value = np.take_along_axis(c, best[..., None], axis=-1)[..., 0]
    right = (np.abs(value) > threshold) & (np.sign(v) == np.where(best == 0, 1.0, -1.0))
    cluster = 2 * best + (value < 0)
    return sum((right & (cluster == j)).any(axis=-1).astype(int) for j in range(4))


def escape_time(t: np.ndarray, specialization: np.ndarray, units: int) -> np.ndarray:
    """Time of leaving the symmetric plateau of a teacher of M = `units`, (...) from the specialisation (..., times).

    On the plateau every student unit has the same overlap with all teacher units, a cosine of 1 / sqrt M at most (Saad & Solla
    1995). The plateau is left when the specialisation comes halfway from there to 1 for the last time (interpolated linearly);
    NaN where it never does, or where there is no plateau (M = 1).
    """
    threshold = 0.5 * (1.0 + units**-0.5)
    result = np.full(specialization.shape[:-1], np.nan)
    if units == 1:
        return result
    for index in np.ndindex(result.shape):
        s = specialization[index]
        below = np.flatnonzero(~(s >= threshold))
        if below.size == 0:
            result[index] = t[0]
        elif below[-1] + 1 < s.size:
            i = below[-1]
            result[index] = t[i] + (threshold - s[i]) / (s[i + 1] - s[i]) * (t[i + 1] - t[i])
    return result


def specialization(cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which student unit follows which teacher unit: the assignment of distinct units with the largest sum of |cosines|.

    cosines : (..., K, P) -> mean |cosine| of the assigned pairs (...), and the student unit that follows each teacher unit,
    (..., P), -1 where K < P leaves a teacher unit without one
    """
    from scipy.optimize import linear_sum_assignment

    size = np.nan_to_num(np.abs(cosines))
    mean, follower = np.zeros(size.shape[:-2]), np.full((*size.shape[:-2], size.shape[-1]), -1)
    for index in np.ndindex(mean.shape):
        units, teachers = linear_sum_assignment(size[index], maximize=True)
        mean[index] = size[index][units, teachers].mean()
        follower[index][teachers] = units
    return mean, follower
