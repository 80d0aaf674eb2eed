"""A state at rest followed in a parameter: predictor along the branch, corrector across it (pseudo-arclength, Keller 1977).

The unknowns u are the weights along the references, a trapezoid L of those across them (as many columns as C^b has weight in,
so that no turn of the basis is left), the readout, and the parameter. A point solves f(u, p) = 0 on the plane across the
tangent, which is the null vector of [df/du, df/dp]: at a fold it has no part along p, and nothing is singular. Idle units stay
idle, and are left out.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from curriculode.theory.core.errors import InputError
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.landscape.newton import StageEquations
from curriculode.theory.landscape.stability import Spectrum, spectrum, units_of
from curriculode.theory.landscape.weights import WeightCoordinates

_EMPTY = 1e-8  # of the largest weights' square: less is none
_ITERATIONS = 12
_STEP = 1e-4  # of differences by the parameter, in its scale
_DIGITS = 1e-9  # of the rates at a point, relative
_NULL = 1e-7  # singular values that are none, relative


class Point(NamedTuple):
    """A point of a branch: parameter, weights A (blocks, K, P + K) and v (K,), tangent (u, p), state y, iterations."""

    parameter: float
    A: np.ndarray
    v: np.ndarray
    tangent: np.ndarray
    y: np.ndarray
    iterations: int


class Branch:
    """The branch through a state; `equations_at` gives the equations at a value of the parameter, `scale` is what one step of
    it is."""

    def __init__(self, equations_at: Callable[[float], StageEquations], y: np.ndarray, parameter: float, scale: float) -> None:
        self._at, self.scale = equations_at, scale
        here = equations_at(parameter)
        self.place: WeightCoordinates = here.coordinates
        place = self.place
        idle = units_of(here, y).idle
        across = place.across(y, here.v)
        A, v = place.weights(y, here.v)
        largest = max(float((A**2).sum(axis=2).max()), 1e-6)
        moves = np.zeros_like(A, dtype=bool)
        for b in range(place.blocks):
            L = semidefinite_factor(np.where(np.abs(across[b]) > 1e-300, across[b], 0.0))
            L[:, np.diagonal(L) ** 2 <= _EMPTY * largest] = 0.0
            A[b, :, place.P :] = L
            moves[b, :, : place.P] = np.diagonal(here.setting.blocks.T[b]) > 0.0
            for j in np.flatnonzero(np.diagonal(L) > 0.0):
                moves[b, j:, place.P + j] = True
        moves[:, idle] = False
        A[:, idle] = 0.0
        free = ~idle if place.trained else np.zeros(place.K, dtype=bool)
        self._free = np.concatenate([moves.ravel(), free[: place.trained]])
        self.start = self._point(parameter, A, v, None, 0)

    def _slope(self, parameter: float, A: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f (n,) and [df/du, df/dp] (n, u + 1), the parameter in units of `scale`."""
        equations = self._at(parameter)
        y = self.place.state(A, v)
        f = equations.rate(y)
        by_u = equations.jacobian(y) @ self.place.slopes(A)[:, self._free]
        return f, np.column_stack([by_u, self._by_parameter(parameter, y, f)])

    def _by_parameter(self, parameter: float, y: np.ndarray, f: np.ndarray) -> np.ndarray:
        """df/dp, (n,): a central difference, or at the edge of what is allowed one to the side that is."""
        h = _STEP * self.scale
        for sign in (0.0, 1.0, -1.0):
            try:
                if sign == 0.0:
                    return (self._at(parameter + h).rate(y) - self._at(parameter - h).rate(y)) / (2.0 * _STEP)
                one, two = (self._at(parameter + n * sign * h).rate(y) for n in (1, 2))
                return sign * (4.0 * one - two - 3.0 * f) / (2.0 * _STEP)
            except InputError:
                continue
        raise InputError(f"the parameter can be moved to neither side of {parameter:g}")

    def _tangent(self, slope: np.ndarray, along: np.ndarray | None) -> np.ndarray:
        """The unit null vector that goes on in the direction `along`; at first towards larger parameters."""
        _, values, right = np.linalg.svd(slope)
        rank = int((values > _NULL * values[0]).sum())
        null = right[rank:]
        if not len(null):
            null = right[-1:]
        wanted = np.zeros(slope.shape[1]) if along is None else along
        if along is None:
            wanted[-1] = 1.0
        found = null.T @ (null @ wanted)
        size = float(np.linalg.norm(found))
        return found / size if size > 0.0 else null[-1]

    def _point(self, parameter: float, A: np.ndarray, v: np.ndarray, along: np.ndarray | None, iterations: int) -> Point:
        _, slope = self._slope(parameter, A, v)
        return Point(parameter, A, v, self._tangent(slope, along), self.place.state(A, v), iterations)

    def _moved(self, point: Point, step: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        full = np.zeros(self._free.size)
        full[self._free] = step[:-1]
        A, v = self.place.moved(point.A, point.v, full)
        return point.parameter + float(step[-1]) * self.scale, A, v

    def next(self, point: Point, length: float) -> Point | None:
        """The point at a length along the branch, or None where the corrector does not converge."""
        tangent = point.tangent
        step = length * tangent
        last = np.inf
        for made in range(1, _ITERATIONS + 1):
            parameter, A, v = self._moved(point, step)
            try:
                f, slope = self._slope(parameter, A, v)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                return None
            if not (np.isfinite(f).all() and np.isfinite(slope).all()):
                return None
            size = float(np.abs(f).max())
            y = self.place.state(A, v)
            if size <= _DIGITS * self._at(parameter).scale(y):
                return Point(parameter, A, v, self._tangent(slope, tangent), y, made)
            if size > 10.0 * last:
                return None
            last = size
            bordered = np.vstack([slope, tangent])
            error = np.append(-f, length - float(tangent @ step))
            step = step + np.linalg.lstsq(bordered, error, rcond=1e-11)[0]
        return None

    def spectrum(self, point: Point) -> Spectrum:
        """The spectrum at a point."""
        return spectrum(self._at(point.parameter), point.y)

    def located(self, point: Point, length: float, test: Callable[[Point], float], tolerance: float) -> Point:
        """Where a test changes its sign between a point and that at a length from it, by Brent's method."""
        from scipy.optimize import brentq

        far = self.next(point, length)
        if far is None:
            return point
        reached = {0.0: point, length: far}

        def value(at: float) -> float:
            if at not in reached:
                found = self.next(point, at)
                if found is None:
                    raise ValueError("no point of the branch")
                reached[at] = found
            return test(reached[at])

        try:
            place = float(brentq(value, 0.0, length, xtol=tolerance, maxiter=40))
            value(place)
        except (ValueError, RuntimeError):  # no change of sign, or the corrector fails: the nearer of what was reached
            place = min(reached, key=lambda at: abs(test(reached[at])))
        return reached[place]
