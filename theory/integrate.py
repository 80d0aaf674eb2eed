"""Integrate the order parameters' equations with scipy, stage by stage, under error control."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from curriculode.theory.averages import Engine, FieldLaw
from curriculode.theory.dynamics import RightHandSide, System
from curriculode.theory.errors import InputError
from curriculode.theory.experiment import Experiment
from curriculode.theory.order_parameters import OrderParameters, checked_seed, gram_spectrum, pack, state_size, unpack
from curriculode.theory.trajectory import Trajectory

METHODS = ("auto", "DOP853", "RK45", "RK23", "LSODA", "Radau", "BDF")
_DIVERGED = 1e8  # an order parameter this many times its initial scale has left every regime of learning
_ERROR_SCRAMBLINGS = 4
_ERROR_TIMES = 9
_MOST_STEPS = 1_000_000


def integrate(
    experiment: Experiment,
    start: OrderParameters,
    *,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    times: int | ArrayLike = 101,
    spacing: str = "linear",
    method: str = "auto",
    averages: str = "auto",
    points: int = 1024,
    scrambling: int = 0,
    noise_terms: bool = True,
    estimate_error: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Trajectory:
    """Integrate the mean-field equations of `experiment` from `start` to the end of its protocol.

    rtol, atol : tolerances of the integrator, relative and absolute, on every order parameter
    times : number of output times (start and end included), or the increasing times themselves, t = examples / D
    spacing : "linear" or "logarithmic", where `times` is a number
    method : a solver of scipy.integrate, or "auto": DOP853; RK23 for ReLU, whose averages have kinks, with a tolerance
        no smaller than a tenth of a point's weight (`statistics` tells the one used); LSODA for closed
        forms with few order parameters, whose long plateaus it crosses best
    averages : "auto", "closed form" (erf students of erf or sign teachers, squared loss) or "quasi-Monte Carlo"
    points : size of the quasi-Monte Carlo net, a power of two; `scrambling` picks another net of that size
    noise_terms : False drops the eta^2 term (the limit of small learning rates)
    estimate_error : whether to report the standard error of the averages at the states of the trajectory, from independent
        scramblings (`statistics["averages"]`). What it adds up to along the trajectory shows between trajectories with
        different `scrambling`; `compare` integrates eight and counts it.
    progress : called with the time reached after each step

    Never raises on a solution that diverges: the trajectory then ends there, `success` is False and `status` says why.
    Raises `InputError` for a start that does not fit the experiment or is not physical.

    >>> from curriculode import load, integrate
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> trajectory = integrate(experiment, experiment.initial(dimension=1000), points=256)
    >>> trajectory.success, float(trajectory.t[-1])
    (True, 1.0)
    """
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"experiment = {experiment!r} is not allowed; give a curriculode.Experiment, such as load('xor-curriculum')"
        )
    if not isinstance(start, OrderParameters):
        raise InputError(f"start = {start!r} is not allowed; give OrderParameters, such as experiment.initial(dimension=1000)")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not isinstance(value, (int, float)) or not 1e-14 <= value < 1:
            raise InputError(f"{name} = {value!r} is not allowed; a tolerance lies between 1e-14 and 1, such as 1e-6")
    checked_seed(scrambling)
    if method not in METHODS:
        raise InputError(f"method {method!r} is unknown; allowed: {', '.join(METHODS)}")
    system = System.of(experiment)
    start.check(system.width, system.T)
    t_out = output_times(experiment.protocol.duration, times, spacing)
    engine = system.engine(averages, points, scrambling)
    if method == "auto":
        # Long plateaus are LSODA's strength where a Jacobian is cheap; points under a kink make a staircase, for low orders only.
        small = state_size(*system.shape, system.readout_trained) <= 150
        method = "LSODA" if engine.name == "closed form" and small else "RK23" if experiment.student.g.kinked else "DOP853"
        if method == "RK23":
            # Each stair is a point's weight high: below a tenth of it more steps resolve the stairs, not the equations.
            rtol, atol = max(rtol, 0.1 / points), max(atol, 1e-3 / points)

    clock = time.perf_counter()
    order = start.canonical_order()
    with one_blas_thread():
        run = _Run(system, engine, start.permuted(order), order, t_out, rtol, atol, method, noise_terms, progress)
        for stage in experiment.protocol.stages():
            if not run.advance(stage.start, stage.end, stage.probability):
                break
        recorded = t_out[: len(run.states)]
        Q, M, v = run.arrays()
        seconds = time.perf_counter() - clock
        report: dict[str, Any] = {"way": engine.name, "points": points}
        if estimate_error:
            report |= _averages_error(experiment, system, engine, recorded, Q, M, v, noise_terms)
    back = np.argsort(order)
    Q, M, v = Q[:, :, back][..., back], M[:, :, back], v[:, back]
    if system.T.shape[0] == 1:
        Q, M = Q[:, 0], M[:, 0]
    statistics = {
        "method": method, "rtol": rtol, "atol": atol,
        "steps": run.steps, "evaluations": run.evaluations, "seconds": seconds, "averages": report,
    }  # fmt: skip
    success = run.failure is None
    status = run.failure or f"reached t = {experiment.protocol.duration:g} in {run.steps} steps of {method}"
    return Trajectory(experiment, recorded, Q, M, v, success, status, averages, points, scrambling, statistics)


def output_times(duration: float, times: int | ArrayLike, spacing: str = "linear") -> np.ndarray:
    """Output times from 0 to `duration`: `times` of them, spaced "linear" or "logarithmic", or those given.

    >>> output_times(10.0, 3)
    array([ 0.,  5., 10.])
    """
    if spacing not in ("linear", "logarithmic"):
        raise InputError(f"spacing {spacing!r} is unknown; allowed: linear, logarithmic")
    if isinstance(times, (int, np.integer)) and not isinstance(times, bool):
        if times > 10**7:
            raise InputError(f"times = {times} is not allowed; at most ten million output times")
        if times < 2:
            raise InputError(f"times = {times} is not allowed; at least 2 output times (start and end)")
        if spacing == "linear":
            return np.linspace(0.0, duration, int(times))
        if spacing != "linear":
            late = np.geomspace(duration * 1e-4, duration, int(times) - 1) if times > 2 else np.array([duration])
            late[-1] = duration
            return np.concatenate([[0.0], late])
    try:
        t = np.array(times, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"times = {times!r} is not allowed; give a number of times or a list of increasing times") from None
    if t.ndim != 1 or t.size == 0 or not np.isfinite(t).all() or (np.diff(t) <= 0).any():
        raise InputError("times must be increasing finite numbers")
    if t[0] < 0 or t[-1] > duration * (1 + 1e-12):
        raise InputError(
            f"times from {t[0]:g} to {t[-1]:g} are not allowed; they must lie in [0, {duration:g}], the protocol's duration"
        )
    return np.minimum(t, duration)


class _Run:
    """One pass through the stages: the solver is stepped by hand, so that every step can be watched."""

    def __init__(
        self, system: System, engine: Engine, start: OrderParameters, order: np.ndarray, t_out: np.ndarray,
        rtol: float, atol: float, method: str, noise_terms: bool, progress: Callable[[float], None] | None,
    ) -> None:  # fmt: skip
        self.system, self.engine, self.t_out, self.noise_terms, self.progress = (
            system,
            engine,
            t_out,
            noise_terms,
            progress,
        )
        self.rtol, self.atol, self.method, self.order = rtol, atol, method, order
        Q, M, self.v0 = start.blocked()
        self.y = np.empty(state_size(*system.shape, system.readout_trained))
        pack(Q, M, self.v0, self.y)
        self.limit = _DIVERGED * max(1.0, float(np.abs(self.y).max()))
        self.states: list[np.ndarray] = [self.y.copy()] if t_out[0] == 0.0 else []
        self.steps = self.evaluations = 0
        self.failure: str | None = None

    def advance(self, start: float, end: float, probability: np.ndarray) -> bool:
        """Integrate one stage; False if it failed."""
        import scipy.integrate

        rhs = RightHandSide(self.system, self.engine, probability, self.v0, self.noise_terms)
        solver: Any = None
        # Overflow on the way to infinity is expected: it is caught below and becomes the status.
        with np.errstate(all="ignore"):
            solver = getattr(scipy.integrate, self.method)(rhs, start, self.y, end, rtol=self.rtol, atol=self.atol)
            while solver.status == "running":
                solver.step()
                if solver.status == "failed":
                    # A step below rounding: the solution reaches infinity at this very time, or the equations are too stiff.
                    self.failure = (
                        f"diverged at t = {solver.t:.6g}: {self._largest(solver.y)}, and no step is small enough {_REMEDY}"
                    )
                    break
                if not self._bounded(solver.t, solver.y):
                    break
                self._record(solver)
                self.steps += 1
                if self.failure is not None:
                    break
                if self.steps >= _MOST_STEPS:
                    self.failure = (
                        f"stopped at t = {solver.t:.6g} after {self.steps} steps of {self.method}; the equations are stiff, or "
                        "jump: use method = LSODA or Radau, a larger rtol, or a smaller weight_decay"
                    )
                    break
                if self.progress is not None:
                    self.progress(solver.t)
        self.y = np.array(solver.y)
        self.evaluations += rhs.evaluations
        return self.failure is None and self._physical(solver.t, self.y)

    def _record(self, solver: Any) -> None:
        """Store the output times that the last step passed."""
        n = len(self.states)
        upto = int(np.searchsorted(self.t_out, solver.t, side="right"))
        if upto > n:
            interpolant = solver.dense_output()
            for t in self.t_out[n:upto]:
                state = np.array(solver.y if t == solver.t else interpolant(t))
                if not self._physical(t, state):
                    return
                self.states.append(state)

    def _bounded(self, t: float, y: np.ndarray) -> bool:
        if np.isfinite(y).all() and np.abs(y).max() < self.limit:
            return True
        self.failure = f"diverged at t = {t:.6g}: {self._largest(y)} {_REMEDY}"
        return False

    def _physical(self, t: float, y: np.ndarray) -> bool:
        Q, M, _ = self._unpacked(y)
        for b in range(Q.shape[0]):
            lowest, scale = gram_spectrum(Q[b], M[b], self.system.T[b])
            if lowest < -max(1e-6, 1e3 * self.rtol) * scale:
                self.failure = (
                    f"left the physical states before t = {t:.6g}: the overlaps of block {b} have the negative eigenvalue "
                    f"{lowest:.3g}; use a smaller rtol, or more points in the averages"
                )
                return False
        return True

    def _largest(self, y: np.ndarray) -> str:
        """Name and value of the largest order parameter of a state vector."""
        index = int(np.argmax(np.where(np.isfinite(y), np.abs(y), np.inf)))
        tags = np.zeros(self.y.size)
        tags[index] = 1.0
        Q, M, v = self._unpacked(tags, np.zeros_like(self.v0))
        for name, array in (("Q", Q), ("M", M), ("v", v[None])):
            where = np.argwhere(array)
            if where.size:
                units = {"Q": (1, 2), "M": (1,), "v": (1,)}[name]
                entry = [int(self.order[i]) if axis in units else int(i) for axis, i in enumerate(where[0])]
                entry = entry if self.system.T.shape[0] > 1 and name != "v" else entry[1:]
                return f"{name}[{','.join(str(i) for i in entry)}] = {y[index]:.3g}"
        raise AssertionError(index)

    def _unpacked(self, y: np.ndarray, v: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        blocks, K, P = self.system.shape
        Q, M, v = np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.array(self.v0 if v is None else v)
        unpack(y, Q, M, v)
        return Q, M, v

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Recorded Q (times, blocks, K, K), M (times, blocks, K, P), v (times, K)."""
        blocks, K, P = self.system.shape
        n = len(self.states)
        Q, M, v = np.empty((n, blocks, K, K)), np.empty((n, blocks, K, P)), np.empty((n, K))
        for i, y in enumerate(self.states):
            Q[i], M[i], v[i] = self._unpacked(y)
        return Q, M, v


_REMEDY = "(the trajectory up to there is kept; a smaller learning_rate or a larger weight_decay may help)"


def _averages_error(
    experiment: Experiment,
    system: System,
    engine: Engine,
    t: np.ndarray,
    Q: np.ndarray,
    M: np.ndarray,
    v: np.ndarray,
    noise_terms: bool,
) -> dict[str, Any]:
    """Standard errors of the averages at the states of a trajectory, from independent scramblings of nets of the same size.

    `rhs` is the largest standard error of any component of dy/dt, relative to the largest component at that time;
    `generalization_error` the absolute standard error of that observable, both at the times `t`.
    """
    chosen = np.unique(np.linspace(0, max(t.size - 1, 0), min(_ERROR_TIMES, t.size)).astype(int)) if t.size else np.empty(0, int)
    engines = [system.engine(engine.name, engine.points, 2**31 + r) for r in range(_ERROR_SCRAMBLINGS)]
    law = FieldLaw(experiment.task.example_law(experiment.protocol.level()), system.width, system.T)
    rhs_error, error_error = np.zeros(chosen.size), np.zeros(chosen.size)
    stages = experiment.protocol.stages()
    for i, n in enumerate(chosen):
        stage = next(s for s in stages if t[n] <= s.end)
        derivatives, errors = [], []
        y = np.empty(state_size(*system.shape, system.readout_trained))
        pack(Q[n], M[n], v[n], y)
        law.update(Q[n], M[n])
        for other in engines:
            derivatives.append(RightHandSide(system, other, stage.probability, v[n], noise_terms)(t[n], y))
            errors.append(other.errors(law, v[n])[0])
        scale = np.abs(np.mean(derivatives, axis=0)).max()
        rhs_error[i] = np.std(derivatives, axis=0, ddof=1).max() / scale if scale > 0 else 0.0
        error_error[i] = np.std(errors, ddof=1)
    return {
        "t": t[chosen],
        "rhs": rhs_error,
        "generalization_error": error_error,
    }


def one_blas_thread() -> Any:
    """One BLAS thread: matrices here are small, and the same seed must give the same bits on a busy machine."""
    return threadpool_limits(limits=1, user_api="blas")
