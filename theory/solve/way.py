"""Which solver goes with which equations, and at which tolerances."""

from collections.abc import Callable
from dataclasses import dataclass

from curriculode.theory.averages import Engine
from curriculode.theory.averages.quasi_monte_carlo import check_points, least_points
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.errors import DEFAULT_POINTS

_FEW = 150  # components of a state whose Jacobian is cheap


def solver_of(
    setting: Setting, method: str, exact: bool, points: int, rtol: float, atol: float, size: int
) -> tuple[str, float, float]:
    """Solver and tolerances of a state of `size` components, averaged exactly or by nets of so many points."""
    if method != "auto":
        return method, rtol, atol
    # Long plateaus are LSODA's strength where a Jacobian is cheap; points under a kink make a staircase, for low orders only.
    if exact and size <= _FEW:
        return "LSODA", rtol, atol
    if setting.activation.kinked and not exact:
        # Each stair is a point's weight high: below a tenth of it more steps resolve the stairs, not the equations.
        return "RK23", max(rtol, 0.1 / points), max(atol, 1e-3 / points)
    return ("RK45" if rtol > 1e-5 else "DOP853"), rtol, atol


@dataclass(frozen=True)
class Way:
    """How the equations of a setting are integrated, once for all trainings of one call.

    engine : the averages;  numerics : with the size of the nets filled in;  rtol, atol : before the solver asks for its own
    """

    setting: Setting
    engine: Engine
    numerics: Numerics
    rtol: float
    atol: float
    progress: Callable[[float], None] | None = None

    @classmethod
    def of(cls, setting: Setting, numerics: Numerics, progress: Callable[[float], None] | None = None) -> "Way":
        """The way that numerics ask for, with nets of a fixed size."""
        points = numerics.points or max(DEFAULT_POINTS, least_points(setting.fields))
        check_points(points, setting.fields)
        engine = setting.engine(numerics.averages, points, numerics.scrambling, numerics.noise_terms)
        rtol = numerics.rtol or 1e-6
        return cls(setting, engine, numerics.set(points=points), rtol, numerics.atol or 0.01 * rtol, progress)

    def solver(self, size: int) -> tuple[str, float, float]:
        """Solver and tolerances of a state of `size` components."""
        points = self.numerics.points or DEFAULT_POINTS
        return solver_of(self.setting, self.numerics.method, self.engine.exact, points, self.rtol, self.atol, size)
