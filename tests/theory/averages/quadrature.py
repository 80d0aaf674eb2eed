"""Quadrature over one or two correlated normals, written without the package: Gauss-Legendre panels that end where a unit kinks."""

from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def density(x):  # type: ignore[no-untyped-def]
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _panels(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (..., panels * 24) on the panels between edges (..., panels + 1) that are cut to [-9, 9] and sorted."""
    edges = np.sort(np.clip(edges, -9.0, 9.0), axis=-1)
    half = 0.5 * np.diff(edges)[..., None]
    x = 0.5 * (edges[..., 1:] + edges[..., :-1])[..., None] + half * _NODES
    return x.reshape(*x.shape[:-2], -1), (half * _WEIGHTS).reshape(*x.shape[:-2], -1)


def one(f: Function, m, C: float):  # type: ignore[no-untyped-def]
    """E[f(x)], x ~ N(m, C), for every mean of an array `m`."""
    m, s = np.asarray(m, dtype=float), C**0.5
    if s == 0:
        return f(m)
    kink = np.clip(-m / s, -9.0, 9.0)[..., None]
    z, weight = _panels(np.concatenate([np.broadcast_to(np.linspace(-9, 9, 7), (*m.shape, 7)), kink], axis=-1))
    return (weight * density(z) * f(m[..., None] + s * z)).sum(axis=-1)


def two(f1: Function, f2: Function, m1: float, m2: float, C11: float, C12: float, C22: float) -> float:
    """E[f1(x1) f2(x2)], the inner integral over x2 given x1; C11 > 0."""
    slope, rest = C12 / C11, max(C22 - C12**2 / C11, 0.0)
    edges = [*np.linspace(-9, 9, 13), -m1 / C11**0.5]
    if slope:
        centre, width = (-m2 / slope) / C11**0.5, rest**0.5 / abs(slope) / C11**0.5
        edges += [centre + k * width for k in range(-8, 9)]
    z, weight = _panels(np.array(edges))
    x = m1 + C11**0.5 * z
    return float((weight * density(z) * f1(x) * one(f2, m2 + slope * (x - m1), rest)).sum())


def delta(f2: Function, m1: float, m2: float, C11: float, C12: float, C22: float) -> float:
    """E[delta(x1) f2(x2)]."""
    return float(density(m1 / C11**0.5) / C11**0.5 * one(f2, m2 - C12 / C11 * m1, max(C22 - C12**2 / C11, 0.0)))
