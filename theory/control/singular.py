"""Singular arcs: where examples of two levels are best mixed, and in which shares.

Between two levels e and h at a fixed rate, y' = f_h + p g, g = f_e - f_h, the costate obeys lambda' = -(Df)' lambda, and the gap of
worths s = lambda . g has, with [a, b] = (Db) a - (Da) b,

    s' = lambda . [f_h, g],     s'' = lambda . [f_h, [f_h, g]] + p lambda . [g, [f_h, g]].

On an arc along which s stays at the multiplier of the budget both vanish, so that the share is

    p* = - lambda . [f_h, [f_h, g]] / lambda . [g, [f_h, g]],

and lambda . [g, [f_h, g]] <= 0 is needed there (Kelley's condition of a least objective). Mignacco & Mori (2025, arXiv 2507.07907)
find pure examples of both levels in quick turn in their place.

The products of lambda with a Jacobian are those of the costates, and phi = lambda . [f_h, g] = (Df_e' lambda) . f_h -
(Df_h' lambda) . f_e is one of them; what is left, a derivative of phi and of the rates each along one direction, is a central
difference.
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.control.passes import Path

_STEP = 3e-4  # of the differences, relative to the state: truncated and rounded at about 1e-7


class SingularArc(NamedTuple):
    """At one time: p* of the first level, lambda . [f_h, g], which vanishes on an arc, and Kelley's lambda . [g, [f_h, g]]."""

    share: float
    slope: float
    kelley: float


def singular_arc(path: Path, y: np.ndarray, costate: np.ndarray, eta: float) -> SingularArc:
    """The singular share of the first of two levels at the state y (n,) with this costate (n,) and rate."""
    rates = path.rates(eta)
    fields = [path.along(p, rates) for p in np.eye(2)]

    def rate(level: int, at: np.ndarray) -> np.ndarray:
        return fields[level].rate(0.0, at)

    def pulled(level: int, at: np.ndarray) -> np.ndarray:
        return path.costates.pull(at, costate, np.eye(2)[level], rates, absent=False).state

    def slope(at: np.ndarray) -> float:
        return float(pulled(0, at) @ rate(1, at) - pulled(1, at) @ rate(0, at))

    def step(along: np.ndarray) -> float:
        return _STEP * max(float(np.abs(y).max()), 1e-300) / max(float(np.abs(along).max()), 1e-300)

    easy, hard = rate(0, y), rate(1, y)
    h_easy, h_hard = step(easy), step(hard)
    # [f_h, g] = (Df_e) f_h - (Df_h) f_e
    bracket = (rate(0, y + h_hard * hard) - rate(0, y - h_hard * hard)) / (2.0 * h_hard)
    bracket -= (rate(1, y + h_easy * easy) - rate(1, y - h_easy * easy)) / (2.0 * h_easy)
    along_hard = (slope(y + h_hard * hard) - slope(y - h_hard * hard)) / (2.0 * h_hard)
    along_easy = (slope(y + h_easy * easy) - slope(y - h_easy * easy)) / (2.0 * h_easy)
    twice_hard = along_hard - float(pulled(1, y) @ bracket)
    twice_easy = along_easy - float(pulled(0, y) @ bracket)
    kelley = twice_easy - twice_hard
    return SingularArc(-twice_hard / kelley if kelley != 0.0 else float("nan"), slope(y), kelley)
