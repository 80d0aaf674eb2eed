"""Adaptive quadrature over one or two correlated normals, written without the package: panels end where a unit has its kink."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.integrate import quad

Function = Callable[[float], float]


def density(x: float) -> float:
    return float(np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


def _over(function: Function, edges: set[float]) -> float:
    ends = sorted({-9.0, 9.0, *(e for e in edges if -9 < e < 9)})
    return sum(quad(function, a, b, epsabs=1e-13, epsrel=1e-11, limit=200)[0] for a, b in pairwise(ends))


def one(f: Function, m: float, C: float) -> float:
    """E[f(x)], x ~ N(m, C)."""
    s = C**0.5
    return f(m) if s == 0 else _over(lambda z: f(m + s * z) * density(z), {-m / s})


def two(f1: Function, f2: Function, m1: float, m2: float, C11: float, C12: float, C22: float) -> float:
    """E[f1(x1) f2(x2)], the inner integral over x2 given x1; C11 > 0."""
    slope, rest = C12 / C11, max(C22 - C12**2 / C11, 0.0)

    def given(z: float) -> float:
        x = m1 + C11**0.5 * z
        return f1(x) * one(f2, m2 + slope * (x - m1), rest) * density(z)

    edges = {-m1 / C11**0.5}
    if slope:
        centre, width = (-m2 / slope) / C11**0.5, rest**0.5 / abs(slope) / C11**0.5
        edges |= {centre + k * width for k in (-4, -1, 0, 1, 4)}
    return _over(given, edges)


def delta(f2: Function, m1: float, m2: float, C11: float, C12: float, C22: float) -> float:
    """E[delta(x1) f2(x2)]."""
    return density(m1 / C11**0.5) / C11**0.5 * one(f2, m2 - C12 / C11 * m1, max(C22 - C12**2 / C11, 0.0))
