"""The regularisations and couplings that are best in theory: least test error on the hardest level after the last slice.

All strengths that an experiment leaves "optimal" are varied together, in their logarithms within [1e-4, 1e4] (a coupling or
regularisation at an end of that range is as good as 0 or infinity, and the status says so): from the best points of a coarse
grid by Nelder and Mead's simplex, each started anew once.
"""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.batch.fixed_point import FixedPoint
from curriculode.theory.batch.slice_equations import solve
from curriculode.theory.batch.slices import Slices

if TYPE_CHECKING:
    from curriculode.theory.describe.experiment import Experiment

LOWEST, HIGHEST = 1e-4, 1e4
_COARSE = {1: 13, 2: 6, 3: 4}  # points of the grid along each strength, by the number of strengths
_STARTS = 2  # points of the grid that a search begins from
_TOLERANCE = 1e-9
_REMEMBERED = 256
_FOUND: dict[tuple, "Strengths"] = {}


@dataclass(frozen=True)
class Strengths:
    """regularization, coupling : (slices,) gamma_s and gamma_{s,s-1} (0 for the first);  note : what was optimised, or ""."""

    regularization: np.ndarray
    coupling: np.ndarray
    note: str = ""


def best_strengths(experiment: "Experiment") -> Strengths:
    """The strengths of an experiment, those that are "optimal" found by minimising its final test error.

    >>> from curriculode import load
    >>> best_strengths(load("batch-perceptron").replace({"training.coupling": 2.0})).coupling
    array([0., 2.])
    """
    slices = Slices.of(experiment)
    # Theory, minimisation and comparison of one experiment all ask for the same search.
    key = (slices.load.shape, *(np.ascontiguousarray(value).tobytes() for value in vars(slices).values()))
    if key not in _FOUND:
        if len(_FOUND) >= _REMEMBERED:
            _FOUND.clear()
        _FOUND[key] = optimise(slices, slices.variance[-1])
    return _FOUND[key]


def optimise(slices: Slices, variance: np.ndarray) -> Strengths:
    """The strengths of `slices` with those that are NaN optimised for the test error at a level of `variance` (blocks,).

    Raises `InputError` where a strength that is given as 0 leaves no single minimum.
    """
    from scipy.optimize import minimize

    given = np.concatenate([slices.regularization, slices.coupling])
    free = np.isnan(given)
    if not free.any():
        return Strengths(slices.regularization, slices.coupling)
    # What is free will be positive; a given 0 that leaves no single minimum is refused before the search.
    slices.check_unique(*(np.where(np.isnan(values), 1.0, values) for values in (slices.regularization, slices.coupling)))
    count, number = len(slices.load), int(free.sum())
    best: tuple[float, list[FixedPoint] | None] = (np.inf, None)

    def strengths(logarithms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = given.copy()
        values[free] = 10.0 ** np.asarray(logarithms)
        return values[:count], values[count:]

    def error(logarithms: np.ndarray) -> float:
        nonlocal best
        value, points = final_error(slices, *strengths(logarithms), variance, best[1])
        if value < best[0]:
            best = value, points
        return value

    ends = (np.log10(LOWEST), np.log10(HIGHEST))
    coarse = np.linspace(ends[0], ends[1], 2 * _COARSE.get(number, 3) + 1)[1::2]
    starts = sorted(product(coarse, repeat=number), key=lambda point: error(np.array(point)))[:_STARTS]
    least, at = np.inf, np.array(starts[0])
    for start in starts:
        point, spread = np.array(start), 0.5 * (coarse[1] - coarse[0])
        for _ in range(2):  # a simplex may collapse on the way; a second, smaller one tells
            simplex = np.vstack([point, point + spread * np.where(point + spread > ends[1], -1.0, 1.0) * np.eye(number)])
            found = minimize(
                error,
                point,
                method="Nelder-Mead",
                bounds=[ends] * number,
                options={"initial_simplex": simplex, "xatol": 1e-3, "fatol": _TOLERANCE, "maxfev": 200 * number},
            )
            point, spread = found.x, 0.25 * spread
        if found.fun < least:
            least, at = found.fun, found.x
    names = [f"regularization of slice {s + 1}" for s in range(count)] + [f"coupling of slice {s + 1}" for s in range(count)]
    parts = []
    for name, logarithm in zip(np.array(names)[free], at, strict=True):
        edge = " (end of the range)" if min(logarithm - ends[0], ends[1] - logarithm) < 1e-2 else ""
        parts.append(f"{name} = {10.0**logarithm:.4g}{edge}")
    chosen = strengths(at)
    return Strengths(*chosen, note="least test error at " + ", ".join(parts))


def final_error(
    slices: Slices, regularization: np.ndarray, coupling: np.ndarray, variance: np.ndarray, first: list[FixedPoint] | None = None
) -> tuple[float, list[FixedPoint]]:
    """Test error after the last slice at a level of `variance` (blocks,), and the fixed points; infinite where none was reached."""
    overlaps, points = solve(slices, regularization, coupling, first=first)
    if len(points) < len(slices.load) or not points[-1].converged:
        return np.inf, points
    last = overlaps[-1]
    return float(np.arctan2(np.sqrt(last.N @ variance), last.R / np.sqrt(slices.T)) / np.pi), points
