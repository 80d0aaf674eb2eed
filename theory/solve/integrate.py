"""Integrate the order parameters' equations with scipy, stage by stage, under error control."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.averages.quasi_monte_carlo import check_points, least_points
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters, checked_seed
from curriculode.theory.dynamics.online import System
from curriculode.theory.dynamics.packing import state_size
from curriculode.theory.results.trajectory import Trajectory
from curriculode.theory.solve.staged_run import StagedRun

METHODS = ("auto", "DOP853", "RK45", "RK23", "LSODA", "Radau", "BDF")
DEFAULT_POINTS = 1024
_PILOTS = 4  # nets of a quarter of the points whose scatter bounds the error
_MOST_UNASKED = 2**16  # points; a larger net must be asked for
_PARALLEL_WIDTH = 32  # from here on an integration is long enough, and all compiled, to be run beside others


def integrate(
    experiment: Experiment,
    start: OrderParameters,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    times: int | ArrayLike = 101,
    spacing: str = "linear",
    method: str = "auto",
    averages: str = "auto",
    accuracy: float = 1e-3,
    points: int | None = None,
    scrambling: int = 0,
    noise_terms: bool = True,
    estimate_error: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Trajectory:
    """Integrate the mean-field equations of `experiment` from `start` to the end of its protocol.

    rtol, atol : tolerances of the integrator, relative and absolute, on every order parameter; by default 1e-6 and a hundredth
        of rtol, and for nets that meet an `accuracy` a tenth of it (1e-4 at most): `statistics` tells those used
    times : number of output times (start and end included), or the increasing times themselves, t = examples / D
    spacing : "linear" or "logarithmic", where `times` is a number
    method : a solver of scipy.integrate, or "auto": DOP853; RK45 for rtol above 1e-5; RK23 for ReLU averaged by nets, which
        have kinks, with a tolerance no smaller than a tenth of a point's weight; LSODA for closed forms with few order parameters,
        whose long plateaus it crosses best
    averages : "auto" (each term in closed form where there is one), "closed form" (all of them, or an `InputError`), or
        "quasi-Monte Carlo"; `statistics["averages"]["ways"]` says which term was averaged how
    accuracy : where nets are used, the standard error they may leave in the generalisation error at any time, relative to its
        largest value on the trajectory. Nets grow until it is met, up to 2^16 points; else the status says what was reached
    points : a fixed size of the nets, a power of two, in place of an accuracy; `scrambling` picks another net of that size
    noise_terms : False drops the eta^2 term (the limit of small learning rates)
    estimate_error : whether a fixed net gets its error estimated, which doubles the cost
    progress : called with the time reached after each step

    The error of the nets is what adds up along the trajectory: four more trajectories with independent nets of a quarter of the
    points scatter with a standard deviation at least twice that of the full net, since a scrambled net converges no slower
    than Monte Carlo. `statistics["averages"]` holds `standard_error` at the times `t`, and `accuracy`, its maximum in
    relative terms, and `classification_standard_error`. That observable is a step function averaged by a net in nearly every
    experiment; where the equations themselves are exact, `Trajectory.classification_standard_error` is its error.

    Never raises on a solution that diverges: the trajectory then ends there, `success` is False and `status` says why.
    Raises `InputError` for a start that does not fit the experiment or is not physical.

    >>> from curriculode import load, integrate
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> trajectory = integrate(experiment, experiment.initial(dimension=1000), accuracy=0.01)
    >>> trajectory.success, float(trajectory.t[-1]), trajectory.statistics["averages"]["ways"]["first order"]
    (True, 1.0, 'bivariate normal cdf')
    """
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"experiment = {experiment!r} is not allowed; give a curriculode.Experiment, such as load('xor-curriculum')"
        )
    if not isinstance(start, OrderParameters):
        raise InputError(f"start = {start!r} is not allowed; give OrderParameters, such as experiment.initial(dimension=1000)")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and (not isinstance(value, (int, float)) or not 1e-14 <= value < 1):
            raise InputError(f"{name} = {value!r} is not allowed; a tolerance lies between 1e-14 and 1, such as 1e-6")
    if not isinstance(accuracy, (int, float)) or not 1e-12 <= accuracy < 1:
        raise InputError(f"accuracy = {accuracy!r} is not allowed; give a relative error between 1e-12 and 1, such as 1e-3")
    checked_seed(scrambling)
    if method not in METHODS:
        raise InputError(f"method {method!r} is unknown; allowed: {', '.join(METHODS)}")
    system = System.of(experiment)
    start.check(system.width, system.T)
    t_out = output_times(experiment.protocol.duration, times, spacing)
    size = points if points is not None else max(DEFAULT_POINTS, least_points(system.fields))
    check_points(size, system.fields)
    exact = system.engine(averages, size, scrambling, noise_terms).exact
    if rtol is None:
        rtol = 1e-6 if exact or points is not None else min(1e-4, max(1e-6, 0.1 * accuracy))
    atol = 0.01 * rtol if atol is None else atol
    single = partial(_integrate, experiment, system, start, t_out, rtol, atol, method, averages, noise_terms)
    if exact or (points is not None and not estimate_error):
        return single(size, scrambling, progress)
    while True:
        trajectory = _with_error(single, size, scrambling, system, progress)
        reached = trajectory.statistics["averages"]["accuracy"]
        if points is not None and not np.isfinite(reached):
            return replace(trajectory, status=f"{trajectory.status}; a smaller net diverged, so that the error is not known")
        if points is not None or reached <= accuracy or not trajectory.success:
            return trajectory
        if 4 * size > _MOST_UNASKED:
            return replace(
                trajectory,
                status=f"{trajectory.status}; the averages reach a relative accuracy of {reached:.1e}, not {accuracy:.1e}: ask for "
                f"points = {4 * size} or more, or for less accuracy",
            )
        size *= 4


def _with_error(
    single: Callable[[int, int, Callable[[float], None] | None], Trajectory],
    points: int,
    scrambling: int,
    system: System,
    progress: Callable[[float], None] | None,
) -> Trajectory:
    """The trajectory of a net of `points`, with the standard error of its generalisation error from smaller nets."""
    quarter = max(points // 4, least_points(system.fields))
    stop = threading.Event()

    def watch(_: float) -> None:
        """After each step of a pilot: leave it if the integration was interrupted."""
        if stop.is_set():
            raise KeyboardInterrupt

    # A pilot has an independent net: its number is as good a seed as any.
    jobs = [(points, scrambling, progress), *((quarter, 2**31 + _PILOTS * scrambling + r, watch) for r in range(_PILOTS))]
    if system.width < _PARALLEL_WIDTH:
        trajectory, *pilots = (single(*job) for job in jobs)
    else:
        with one_blas_thread(), ThreadPoolExecutor(min(os.cpu_count() or 1, len(jobs))) as pool:
            try:
                trajectory, *pilots = pool.map(lambda job: single(*job), jobs)
            except BaseException:
                stop.set()
                raise
    errors = {}
    for name in ("generalization_error", "classification_error"):
        # Where a pilot diverged and the full net did not, the error is not known: infinite.
        values = np.full((_PILOTS, trajectory.t.size), np.nan)
        for row, pilot in zip(values, pilots, strict=True):
            row[: pilot.t.size] = getattr(pilot, name)[: row.size]
        scatter = np.std(values, axis=0, ddof=1) * (quarter / points) ** 0.5
        errors[name] = np.where(np.isnan(scatter), np.inf, scatter)
    largest = np.abs(trajectory.generalization_error).max(initial=0.0)
    trajectory.statistics["averages"] |= {
        "t": trajectory.t,
        "standard_error": errors["generalization_error"],
        "classification_standard_error": errors["classification_error"],
        "accuracy": float(errors["generalization_error"].max(initial=0.0) / largest) if largest > 0 else 0.0,
    }
    return trajectory


def _integrate(
    experiment: Experiment, system: System, start: OrderParameters, t_out: np.ndarray, rtol: float, atol: float, method: str,
    averages: str, noise_terms: bool, points: int, scrambling: int, progress: Callable[[float], None] | None,
) -> Trajectory:  # fmt: skip
    """One trajectory with nets of a given size."""
    engine = system.engine(averages, points, scrambling, noise_terms)
    if method == "auto":
        # Long plateaus are LSODA's strength where a Jacobian is cheap; points under a kink make a staircase, for low orders only.
        small = state_size(*system.shape, system.readout_trained) <= 150
        method = "LSODA" if engine.exact and small else "RK45" if rtol > 1e-5 else "DOP853"
        if experiment.student.g.kinked and not engine.exact:
            method = "RK23"
        if method == "RK23":
            # Each stair is a point's weight high: below a tenth of it more steps resolve the stairs, not the equations.
            rtol, atol = max(rtol, 0.1 / points), max(atol, 1e-3 / points)

    clock = time.perf_counter()
    order = start.canonical_order()
    with one_blas_thread():
        run = StagedRun(system, engine, start.permuted(order), order, t_out, rtol, atol, method, progress)
        for stage in experiment.protocol.stages():
            if not run.advance(stage.start, stage.end, stage.probability):
                break
        recorded = t_out[: len(run.states)]
        Q, M, v = run.arrays()
    seconds = time.perf_counter() - clock
    back = np.argsort(order)
    Q, M, v = Q[:, :, back][..., back], M[:, :, back], v[:, back]
    if system.T.shape[0] == 1:
        Q, M = Q[:, 0], M[:, 0]
    statistics = {
        "method": method, "rtol": rtol, "atol": atol, "steps": run.steps, "evaluations": run.evaluations, "seconds": seconds,
        "averages": {"ways": engine.ways, "points": None if engine.exact else points},
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
