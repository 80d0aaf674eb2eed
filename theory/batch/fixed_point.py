"""Fixed points x = F(x) of a few numbers, by Anderson's acceleration with a certificate.

The next iterate is the combination of the last maps whose residuals cancel best (Anderson 1965, J. ACM 12, 547; Walker & Ni 2011,
SIAM J. Numer. Anal. 49, 1715); where that leads away, some plain steps take over, damped more each time. What counts is the
certificate: the largest component of F(x) - x at the point that is returned, computed there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_MEMORY = 5
_PLAIN = 8  # plain steps before acceleration, at the start and after each failure of it
_WORSE = 10.0
_LONGEST = 2.0  # no component moves by more in an accelerated step


@dataclass(frozen=True)
class FixedPoint:
    """x : (n,), residual : max |F(x) - x|, evaluations : of F, converged : whether the residual is within the tolerance."""

    x: np.ndarray
    residual: float
    evaluations: int
    converged: bool


def fixed_point(
    step: Callable[[np.ndarray], np.ndarray], start: np.ndarray, tolerance: float = 1e-11, most: int = 2000
) -> FixedPoint:
    """The fixed point of `step` near `start` (n,), with at most `most` evaluations.

    >>> found = fixed_point(np.cos, np.array([1.0]))
    >>> found.converged, round(float(found.x[0]), 6)
    (True, 0.739085)
    """
    x = np.array(start, dtype=float)
    best, least, residual_there = x, np.inf, x
    points: list[np.ndarray] = []
    residuals: list[np.ndarray] = []
    plain, damping = _PLAIN, 1.0
    for count in range(1, most + 1):
        residual = step(x) - x
        size = float(np.abs(residual).max())
        if size < least:
            best, least, residual_there = x, size, residual
            if least <= tolerance:
                return FixedPoint(best, least, count, True)
        if not np.isfinite(size) or (plain == 0 and size > _WORSE * least):
            if not np.isfinite(least):
                break
            # Back to the best point so far, without the memory that led away from it.
            points, residuals, plain, damping = [], [], 2 * _PLAIN, 0.5 * damping
            x = best + damping * residual_there
            continue
        points, residuals = [*points[-_MEMORY:], x], [*residuals[-_MEMORY:], residual]
        if plain > 0:
            plain -= 1
            x = x + damping * residual
            continue
        moves = np.diff(np.array(points), axis=0)
        changes = np.diff(np.array(residuals), axis=0)
        weights = np.linalg.lstsq(changes.T, residual, rcond=1e-14)[0]
        x = x + np.clip(residual - weights @ (moves + changes), -_LONGEST, _LONGEST)
    return FixedPoint(best, least, most, False)
