"""Newton's iteration in weight coordinates for the states at rest of one stage.

A step solves J (dy/dz) dz = - f(y) in least squares of least length, J = df/dy of the differentiated averages: so the turns of the
basis, the directions along which states at rest are continuous, and weights that vanish do no harm. Across a direction without
weights f is quadratic in them: there the iteration halves what is left a step, and elsewhere it doubles the digits.
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.averages import Engine
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.costates import Costates
from curriculode.theory.dynamics.online import OnlineLearning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.weights import WeightCoordinates

_MOST_ITERATIONS = 60
_SHORTEST = 2.0**-10  # share of a step, below which it is not made
_CUT = 1e-9  # of singular values, relative to the largest
_VANISHING = 1e-9  # of the weights' squares, relative to the largest: below it is nothing


class Root(NamedTuple):
    """Where the iteration ended: state y (n,), the largest rate |f| left there, iterations, and whether that is rest."""

    y: np.ndarray
    residual: float
    iterations: int
    found: bool


class StageEquations:
    """The equations of one stage with their Jacobian, averaged by `engine`; v (K,) is the readout where the state has none.

    stairs : relative height of the steps that nets make of units with kinks
    """

    def __init__(
        self,
        setting: Setting,
        engine: Engine,
        scrambling: int,
        probability: np.ndarray,
        rates: Rates,
        v: np.ndarray,
        stairs: float = 0.0,
    ) -> None:
        self.stairs = stairs
        self.setting, self.engine, self.probability, self.rates = setting, engine, probability, rates
        self.v = np.array(v, dtype=float)
        self.dynamics = OnlineLearning(setting, engine, probability, rates, self.v)
        self.coordinates = WeightCoordinates(setting)
        self._costates = Costates(setting, engine, scrambling, self.v)

    def rate(self, y: np.ndarray) -> np.ndarray:
        """dy/dt (n,)."""
        with np.errstate(all="ignore"):
            return self.dynamics.rate(0.0, y)

    def jacobian(self, y: np.ndarray) -> np.ndarray:
        """df_i / dy_j (n, n): row i is the product of the Jacobian with the i-th costate."""
        with np.errstate(all="ignore"):
            return np.array([self._costates.pull(y, row, self.probability, self.rates).state for row in np.eye(y.size)])

    def scale(self, y: np.ndarray) -> float:
        """What a rate is measured by: the decay's, or the learning rate's, times the largest order parameter."""
        return max(self.rates.eta, self.rates.eta_v, 1e-300) * max(1.0, float(np.abs(y).max()))


def newton(equations: StageEquations, y: np.ndarray, tolerance: float) -> Root:
    """The state at rest that Newton's steps lead to from y (n,); rest is a rate below `tolerance`, relative."""
    place = equations.coordinates
    if not np.isfinite(y).all():
        return Root(y, np.inf, 0, False)
    A, v = place.weights(y, equations.v)
    y = place.state(A, v)
    size = _norm(equations.rate(y))
    y, size = _without_remnants(equations, A, v, y, size, tolerance)
    A, v = place.weights(y, equations.v)
    f = equations.rate(y)
    last, made = np.inf, 0
    for made in range(_MOST_ITERATIONS):
        resting = size <= tolerance * equations.scale(y)
        if resting and (size <= 1e-6 * tolerance * equations.scale(y) or not size < 0.3 * last):  # the digits that there are
            break
        if not np.isfinite(size):
            return Root(y, size, made, False)
        slope = equations.jacobian(y) @ place.slopes(A)
        if not np.isfinite(slope).all():
            return Root(y, size, made, resting)
        step = np.linalg.lstsq(slope, -f, rcond=_CUT)[0]
        length = 1.0 + np.sqrt((A**2).sum() + (v**2).sum())
        step *= min(1.0, length / max(float(np.linalg.norm(step)), 1e-300))
        share, last = 1.0, size
        while share >= _SHORTEST:
            near = place.moved(A, v, share * step)
            state = place.state(*near)
            rate = equations.rate(state)
            if _norm(rate) < (1.0 - 0.1 * share) * size:
                A, v, y, f, size = *near, state, rate, _norm(rate)
                break
            share *= 0.5
        else:
            break
    resting = size <= tolerance * equations.scale(y)
    if resting:
        y, size = _without_remnants(equations, A, v, y, size, tolerance)
    return Root(y, size, made, bool(resting))


def _norm(f: np.ndarray) -> float:
    """Largest entry; infinite where one is not a number."""
    size = float(np.abs(f).max())
    return size if np.isfinite(size) else np.inf


def _without_remnants(
    equations: StageEquations, A: np.ndarray, v: np.ndarray, y: np.ndarray, size: float, tolerance: float
) -> tuple[np.ndarray, float]:
    """The state without units, and without directions across the references, whose weights are on their way to nothing."""
    place = equations.coordinates
    A, v = A.copy(), v.copy()
    largest = float((A**2).sum(axis=(0, 2)).max())
    lost = (A**2).sum(axis=(0, 2)) <= _VANISHING * max(largest, 1e-6)
    if place.trained:
        lost &= v**2 <= _VANISHING * max(float((v**2).max()), 1e-6)
    A[:, lost] = 0.0
    if place.trained:
        v[lost] = 0.0
    for b in range(A.shape[0]):
        left, values, right = np.linalg.svd(A[b, :, place.P :])
        values[values**2 <= _VANISHING * max(largest, 1e-6)] = 0.0
        A[b, :, place.P :] = (left * values) @ right
    state = place.state(A, v)
    left_over = _norm(equations.rate(state))
    return (state, left_over) if left_over <= max(2.0 * size, tolerance * equations.scale(y)) else (y, size)
