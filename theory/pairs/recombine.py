"""Signs of the weights at one time with magnitudes of another, as a map of order parameters.

With m and s the weights of a coordinate at the two times and u its references, jointly Gaussian, h_k = sgn(s_k) |m_k|. In each
block, r the correlation of m_k and s_k and u_p = al m_k + be s_k + rest,

    Q'_kk = Q^m_kk,   M'_kp = al (2/pi) Q^m_kk (r sqrt(1-r^2) + asin r) + be (2/pi) sqrt(Q^m_kk Q^s_kk) (sqrt(1-r^2) + r asin r),

sgn(r) M^m where |r| = 1; Q'_kl = phi_b E[h_k h_l] by a net over the four fields.
"""

import numpy as np

from curriculode.theory.averages.quasi_monte_carlo import normal_points
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import number
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.results.states import Trajectory

_POINTS = 2**14
_ONE = 1e-9  # from |r| = 1


def _remembering(name: str, value: object) -> Trajectory:
    if not isinstance(value, Trajectory) or "remembered" not in value.arrays:
        raise InputError(
            f"{name} = {shown(value)} is not allowed; give a trajectory with memory, as of integrate(..., remember=[0.0])"
        )
    return value


@checked(trajectory=_remembering, signs=number, magnitudes=number)
def recombine(trajectory: Trajectory, *, signs: float, magnitudes: float) -> OrderParameters:
    """Give weights the signs that they have at one time and the magnitudes that they have at another.

    M' and Q'_kk in closed form, Q'_kl by a net of 2^14 points, whose error is about 1e-4 (Frankle, Schwab & Morcos 2020,
    2002.10365, ask whether signs or magnitudes of early training matter). Coordinates are Gaussian: references on all inputs.

    Parameters
    ----------
    trajectory : Trajectory
        Of `integrate(..., remember=[...])`; the earlier of the two times is remembered, the later one recorded.
    signs : float
        The time of the signs.
    magnitudes : float
        The time of the magnitudes, and of the readout.

    Returns
    -------
    OrderParameters
        Of the recombined weights.

    Raises
    ------
    InputError
        For times that were not remembered or recorded, and references on a part of the inputs.

    Examples
    --------
    >>> from curriculode import integrate, load, recombine
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 2.0})
    >>> trajectory = integrate(experiment, experiment.initial(dimension=1000), points=128, times=3, remember=[0.0])
    >>> mixed = recombine(trajectory, signs=0.0, magnitudes=2.0)
    >>> bool(abs(mixed.Q.diagonal() - trajectory.Q[-1].diagonal()).max() < 1e-12)
    True
    """
    if trajectory.experiment.task.strata()[0].shape[1] > 1:
        raise InputError("signs and magnitudes are recombined for references on all inputs; set the task's support to 1")
    early, late = min(signs, magnitudes), max(signs, magnitudes)
    one = trajectory.Q.ndim == 3
    C = trajectory.two_time(early)[trajectory._time(late)]
    C = C[None] if one else C
    of = {time: trajectory.state(time).blocked() for time in (signs, magnitudes)}
    (Q_s, M_s, _), (Q_m, M_m, v) = of[signs], of[magnitudes]
    # w_l(late) . w_k(early): rows of the magnitudes.
    cross = C if magnitudes >= signs else np.swapaxes(C, 1, 2)
    fractions = trajectory.experiment.task.block_fractions()
    Q, M = np.empty_like(Q_m), np.empty_like(M_m)
    for b in range(len(Q)):
        Q[b] = fractions[b] * _overlaps(np.block([[Q_m[b], cross[b]], [cross[b].T, Q_s[b]]]) / fractions[b])
        Q[b][np.diag_indices(len(v))] = np.diagonal(Q_m[b])
        for k in range(len(v)):
            M[b, k] = _reference(Q_m[b, k, k], Q_s[b, k, k], cross[b, k, k], M_m[b, k], M_s[b, k])
    return OrderParameters(Q[0] if one else Q, M[0] if one else M, v)


def _overlaps(joint: np.ndarray) -> np.ndarray:
    """E[h_k h_l], (K, K), of [m; s] with the covariance `joint` (2K, 2K)."""
    K = len(joint) // 2
    fields = semidefinite_factor(joint) @ normal_points(2 * K, _POINTS, 0)
    h = np.sign(fields[K:]) * np.abs(fields[:K])
    return h @ h.T / _POINTS


def _reference(m: float, s: float, c: float, M_m: np.ndarray, M_s: np.ndarray) -> np.ndarray:
    """M'_k, (P,), of a unit with the variances m and s and the covariance c of its weights at the two times."""
    r = float(np.clip(c / np.sqrt(m * s), -1.0, 1.0))
    if 1.0 - abs(r) < _ONE:
        return np.sign(r) * M_m
    al, be = np.linalg.solve([[m, c], [c, s]], np.stack([M_m, M_s]))
    root = np.sqrt(1.0 - r * r)
    result: np.ndarray = 2 / np.pi * (al * m * (r * root + np.arcsin(r)) + be * np.sqrt(m * s) * (root + r * np.arcsin(r)))
    return result
