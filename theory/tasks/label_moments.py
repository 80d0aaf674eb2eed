"""Mean and mean square of a teacher's labels: all that the squared loss knows of labels that know nothing of the input.

    E[y] = sum_m A_m E[g(nu_m)],      E[y^2] = sum_mn A_m A_n E[g(nu_m) g(nu_n)],      nu ~ N(0, T)

With (nu_m, nu_n) = r (sqrt(T_mm) cos(angle), sqrt(T_nn) cos(angle - arccos rho)) a kink or jump of g at 0 lies on four rays,
between which Gauss and Legendre's rule in the angle, and in r along a ray, are accurate to rounding.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np

_FARTHEST, _ALONG, _ACROSS = 12.0, 96, 40  # standard deviations; points in r, and between two rays
Unit = Callable[[np.ndarray], np.ndarray]


def label_moments(g: Unit, A: np.ndarray, T: np.ndarray) -> tuple[float, float]:
    """E[y] and E[y^2] of the label y = sum_m A_m g(nu_m), A (M,), T (M, M)."""
    size = np.sqrt(np.diagonal(T))
    rho = np.clip(T / np.outer(size, size), -1.0, 1.0)
    mean = np.array([_mean(g, float(each)) for each in size])
    square = 0.0
    for m, a in enumerate(A):
        for n, b in enumerate(A):
            product = mean[m] * mean[n] if rho[m, n] == 0.0 else _product(g, float(size[m]), float(size[n]), float(rho[m, n]))
            square += a * b * product
    return float(A @ mean), float(square)


def _panel(begin: float, end: float, points: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.legendre.leggauss(points)
    return 0.5 * (end - begin) * x + 0.5 * (end + begin), 0.5 * (end - begin) * w


@lru_cache(maxsize=4096)
def _mean(g: Unit, size: float) -> float:
    """E[g(size z)]."""
    z, w = _panel(0.0, _FARTHEST, _ALONG)
    density = w * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return float(density @ (g(size * z) + g(-size * z)))


@lru_cache(maxsize=4096)
def _product(g: Unit, first: float, second: float, rho: float) -> float:
    """E[g(x) g(y)] of normals of these sizes and this correlation."""
    r, along = _panel(0.0, _FARTHEST, _ALONG)
    radial = along * r * np.exp(-0.5 * r**2) / (2 * np.pi)
    phase, total = float(np.arccos(rho)), 0.0
    rays = np.unique(np.mod([0.5 * np.pi, 1.5 * np.pi, phase + 0.5 * np.pi, phase - 0.5 * np.pi], 2 * np.pi))
    for begin, end in pairwise([*rays, rays[0] + 2 * np.pi]):
        angle, across = _panel(begin, end, _ACROSS)
        x, y = (size * np.outer(np.cos(angle - turn), r).ravel() for size, turn in ((first, 0.0), (second, phase)))
        total += float(across @ (g(x) * g(y)).reshape(angle.size, r.size) @ radial)
    return total
