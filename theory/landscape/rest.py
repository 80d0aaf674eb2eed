"""The way to a state at rest: Newton's iteration, and where that fails the equations themselves, followed until it does not.

Units are numbered so that what lies across those before it shrinks (a pivoted Cholesky factorisation): the points of a net are
turned by the directions of the units that come first, and a unit on its way to nothing has a direction that means nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.packing import state_size
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.newton import Root, StageEquations, newton
from curriculode.theory.landscape.stability import Spectrum, spectrum
from curriculode.theory.results.states import DIVERGED
from curriculode.theory.solve.stages import Solver
from curriculode.theory.solve.way import Way

TOLERANCE = 1e-9  # of rates at rest, relative
_STAIRS = 4.0  # points' weights, of rates that nets make of units with kinks
_FIRST = 50.0  # time, in units of 1 / eta, that the equations are followed for where Newton fails, then twice as long, and so on
_NEAR = 0.2  # of a state, relative: how far from where the equations are a stable root may be for them to end in it
_RTOL = 1e-7
_FEW = 300  # components of a state whose Jacobian is cheap against so many steps


class Held(NamedTuple):
    """A stage in which a student is held.

    probability : (levels,) of each level;  rates : of the stage
    """

    probability: np.ndarray
    rates: Rates


class Rest(NamedTuple):
    """Where a student comes to rest, or where it was left.

    state : with the units as at the start;  root : where Newton's steps ended;  spectrum : of a state at rest, where asked for
    time : for which the equations were followed;  failure : why there is no state at rest, or None
    order : in which the units were numbered
    """

    state: OrderParameters
    root: Root
    spectrum: Spectrum | None
    time: float
    failure: str | None
    order: np.ndarray


def pivoted_order(setting: Setting, start: OrderParameters) -> np.ndarray:
    """An order of the units in which what lies across those before shrinks, (K,)."""
    Q = start.blocked()[0]
    C = np.tensordot(setting.laws[-1].scale ** 2, Q, axes=1)
    if not C.any():
        C = Q.sum(axis=0)
    left, order = list(range(len(C))), []
    own = np.diagonal(C).copy()
    while left:
        k = max(left, key=lambda unit: (C[unit, unit], own[unit], -unit))
        order.append(k)
        left.remove(k)
        if C[k, k] > 1e-14 * own[k]:
            C = C - np.outer(C[:, k], C[k]) / C[k, k]
    return np.array(order)


def lasting(setting: Setting, numerics: Numerics) -> Numerics:
    """Numerics for long times: near rest, and where weights grow, the equations are stiff, which LSODA is made for."""
    few = state_size(*setting.shape, setting.readout_trained) <= _FEW
    return numerics.set(method="LSODA") if numerics.method == "auto" and few and not setting.activation.kinked else numerics


class Holding:
    """A stage of a setting in which any students are held until they rest."""

    def __init__(self, setting: Setting, held: Held, numerics: Numerics) -> None:
        self.setting, self.held = setting, held
        self.way = Way.of(setting, lasting(setting, numerics.set(rtol=numerics.rtol or _RTOL)))
        exact = self.way.engine.exact or not setting.activation.kinked
        self._stairs = 0.0 if exact else _STAIRS / (self.way.numerics.points or 1)
        self.tolerance = max(TOLERANCE, self._stairs)

    def equations(self, v: np.ndarray) -> StageEquations:
        """The equations for a student of the readout v (K,) where it is not trained."""
        scrambling = self.way.numerics.scrambling
        return StageEquations(self.setting, self.way.engine, scrambling, self.held.probability, self.held.rates, v, self._stairs)

    def root(self, state: OrderParameters) -> tuple[Root, StageEquations, OrderParameters, np.ndarray]:
        """Where Newton's steps lead from a state; the equations, and that state with its units in the order that they took."""
        order = pivoted_order(self.setting, state)
        ordered = state.permuted(order)
        equations = self.equations(ordered.v)
        found = newton(equations, packed(self.setting, ordered), self.tolerance)
        return found, equations, unpacked(equations, found.y), order

    def follow(
        self, state: OrderParameters, duration: float, progress: Callable[[float], None] | None = None
    ) -> tuple[OrderParameters, str | None]:
        """The state after a time, and why it was not reached, or None."""
        order = pivoted_order(self.setting, state)
        ordered = state.permuted(order)
        equations = self.equations(ordered.v)
        # Of units that die away an integrator's error leaves squares below zero, from which there may be no way on.
        y = equations.coordinates.state(*equations.coordinates.weights(packed(self.setting, ordered), ordered.v))
        method, rtol, atol = self.way.solver(y.size)
        solver = Solver(method, rtol, atol, DIVERGED * max(1.0, float(np.abs(y).max())), progress)
        solution = solver.solve([Stretch(0.0, duration, equations.dynamics)], y, np.array([0.0, duration]))
        if not np.isfinite(solution.states[-1]).all():
            return state, solution.failure or "the state is not finite"
        after = unpacked(equations, solution.states[-1])
        return after.permuted(np.argsort(order)), solution.failure

    def rest(
        self,
        start: OrderParameters,
        settle: float,
        longest: float,
        spectra: bool = True,
        progress: Callable[[float], None] | None = None,
        ends: bool = False,
    ) -> Rest:
        """Where a student rests: the root nearest to the start for `settle` = 0, else where the equations lead it.

        settle : how long the equations are followed before the first attempt;  longest : until none is made any more
        ends : whether only a stable root nearby is taken, even at first
        """
        with one_blas_thread(), np.errstate(all="ignore"):
            state, time, failure = start, 0.0, None
            stretch = settle if settle > 0.0 else _FIRST / max(self.held.rates.eta, self.held.rates.eta_v, 1e-3)
            if settle > 0.0:
                state, failure = self.follow(state, stretch)
                time = stretch
            while True:
                root, equations, found, order = self.root(state) if failure is None else self._nowhere(state)
                if root.found:
                    told = spectrum(equations, root.y)
                    if (time == 0.0 and not ends) or (told.stable and _distance(state.permuted(order), found) <= _NEAR):
                        return Rest(found.permuted(np.argsort(order)), root, told if spectra else None, time, None, order)
                    if _distance(state.permuted(order), found) <= 1e-6 and time >= 8.0 * stretch:  # it rests on an edge
                        return Rest(found.permuted(np.argsort(order)), root, told if spectra else None, time, None, order)
                if failure is not None or time >= longest:
                    return Rest(state, root, None, time, failure or "", order)
                step = min(stretch if time == 0.0 else time, longest - time)
                state, failure = self.follow(state, step)
                time += step
                if progress is not None:
                    progress(min(1.0, time / longest))

    def _nowhere(self, state: OrderParameters) -> tuple[Root, StageEquations, OrderParameters, np.ndarray]:
        order = pivoted_order(self.setting, state)
        ordered = state.permuted(order)
        equations = self.equations(ordered.v)
        y = packed(self.setting, ordered)
        return Root(y, float(np.abs(equations.rate(y)).max()), 0, False), equations, ordered, order


def unpacked(equations: StageEquations, y: np.ndarray) -> OrderParameters:
    """The order parameters of a state vector, without the block axis where there is one block."""
    Q, M, v = equations.coordinates.overlaps(y, equations.v)
    return OrderParameters(Q[0], M[0], v) if len(Q) == 1 else OrderParameters(Q, M, v)


def _distance(one: OrderParameters, other: OrderParameters) -> float:
    """The largest difference of order parameters, relative to the largest of them."""
    largest = max(1e-2, *(float(np.abs(part).max(initial=0.0)) for part in (one.Q, one.v)))
    return (
        max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip((one.Q, one.M, one.v), (other.Q, other.M, other.v), strict=True))
        / largest
    )
