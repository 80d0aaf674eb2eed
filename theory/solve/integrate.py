"""Integrate the order parameters' equations of online learning with scipy, stage by stage, under error control."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.averages.quasi_monte_carlo import check_points, least_points
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import function
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.tangent import TangentSGD
from curriculode.theory.describe.training import OnlineSGD
from curriculode.theory.dynamics.online import OnlineLearning, online_stretches, packed
from curriculode.theory.dynamics.packing import state_size
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.results.states import DIVERGED, Trajectory
from curriculode.theory.solve.remember import remembered_times, remembering
from curriculode.theory.solve.stages import STOPPED, Solver
from curriculode.theory.solve.tangent_sgd import integrate_tangent
from curriculode.theory.solve.way import Way, solver_of

_TIMES = 101
_PILOTS = 4  # nets of a quarter of the points whose scatter bounds the error
_LOOSER = 10.0  # how much larger the tolerance is of the run that tells the integrator's own error
_CAUTION = 10.0  # an integrator's error follows its tolerance roughly, on the staircases of kinked units above all
_MOST_UNASKED = 2**16  # points; a larger net must be asked for
_PARALLEL_WIDTH = 32  # from here on an integration is long enough, and all compiled, to be run beside others


@checked(progress=function, remember=inside)
def integrate(
    experiment: Experiment,
    start: OrderParameters,
    *,
    dimension: int | None = None,
    numerics: Numerics | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    method: str | None = None,
    averages: str | None = None,
    accuracy: float | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    noise_terms: bool | None = None,
    estimate_error: bool | None = None,
    remember: ArrayLike | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trajectory:
    """Integrate the mean-field equations of `experiment` from `start` to the end of its protocol.

    Never raises on a solution that diverges: the trajectory then ends there, `success` is False and `status` says why.

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` or `TangentSGD` as its training.
    start : OrderParameters
        The state at t = 0, such as `experiment.initial(dimension=1000)`.
    dimension : int, optional
        Finite D: what runs there do in the mean, with `.band(quantity)`, as `fluctuations(..., dimension=D)` gives it. By default
        the limit of endless D.
    numerics : Numerics, optional
        How; the keywords from `rtol` to `estimate_error` are shortcuts for single settings of it.
    rtol, atol : float, optional
        By default 1e-6 and a hundredth of rtol, and for nets that meet an `accuracy` a tenth of it (1e-4 at most):
        `statistics` tells those used.
    times : int or array_like of float, optional
        By default 101.
    spacing : str, optional
        See `Numerics`.
    method : str, optional
        "auto" is DOP853; RK45 for rtol above 1e-5; RK23 for units with kinks averaged by nets, with a tolerance no smaller
        than a tenth of a point's weight; LSODA for closed forms with few order parameters, whose long plateaus it crosses
        best.
    averages : str, optional
        See `Numerics`.
    accuracy : float, optional
        Nets grow until it is met at every time, relative to the largest error on the trajectory, up to 2^16 points; else the
        status says what was reached. By default 1e-3.
    points : int, optional
        A fixed size of the nets in place of an accuracy.
    scrambling : int, optional
        See `Numerics`.
    noise_terms, estimate_error : bool, optional
        See `Numerics`.
    remember : array_like of float, optional
        Times s at which the weights become passengers, whose overlaps C(t, s) with the later weights are kept:
        `Trajectory.two_time(s)`, and what is read off it. dC/dt = - A C - G M(s)' with the coefficients of the law of one weight.
    progress : callable, optional
        Called with the time reached after each step.

    Returns
    -------
    Trajectory
        Order parameters at the output times; `Fluctuations`, which is one with bands, at a dimension. `statistics["averages"]`
        holds `standard_error` at the times `t`, `integrator_error` as its part, and `accuracy`, its maximum in relative terms, and
        `classification_standard_error`.

    Raises
    ------
    InputError
        For an experiment that learns in batches, and for a start that does not fit it or is not physical.

    Notes
    -----
    The error that is told is of the averages and of the integrator together. That of the nets is what adds up along the
    trajectory: four more trajectories with independent nets of a quarter of the points scatter with a standard deviation at
    least twice that of the full net, since a scrambled net converges no slower than Monte Carlo. The integrator's is the
    difference to one more trajectory of such a net at a tolerance ten times as large.

    The classification error is a step function averaged by a net in nearly every experiment; where the equations themselves
    are exact, `Trajectory.classification_standard_error` is its error.

    Examples
    --------
    >>> from curriculode import load, integrate
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> trajectory = integrate(experiment, experiment.initial(dimension=1000), accuracy=0.01)
    >>> trajectory.success, float(trajectory.t[-1]), trajectory.statistics["averages"]["ways"]["first order"]
    (True, 1.0, 'bivariate normal cdf')
    """
    settings = numerics_with(
        numerics,
        rtol=rtol,
        atol=atol,
        times=times,
        spacing=spacing,
        method=method,
        averages=averages,
        accuracy=accuracy,
        points=points,
        scrambling=scrambling,
        noise_terms=noise_terms,
        estimate_error=estimate_error,
    )
    if dimension is not None and not isinstance(experiment.training, OnlineSGD):
        raise InputError(
            f'training.kind = "{experiment.training.kind}" is known in the limit of endless D alone; leave `dimension` out'
        )
    if dimension is not None:
        if remember is not None:
            raise InputError("weights are remembered in the limit of endless D alone; leave `remember` or `dimension` out")
        # Fluctuations are made of these equations, and a room above this one.
        finite: Trajectory = import_module("curriculode.theory.finite_d.fluctuations").fluctuations(
            experiment, start, dimension=dimension, numerics=settings, progress=progress
        )
        return finite
    if isinstance(experiment.training, TangentSGD):
        if remember is not None and np.any(np.asarray(remember) != 0.0):
            raise InputError("in a tangent space the start alone is remembered, always; leave `remember` out")
        return integrate_tangent(experiment, start, settings, progress)
    setting = Setting.of(experiment, perturbed=remember is None)
    setting.check(start)
    memories = remembered_times(remember, experiment.protocol.duration)
    return integrate_setting(experiment, setting, start, settings, progress, memories)


def integrate_setting(
    experiment: Experiment,
    setting: Setting,
    start: OrderParameters,
    numerics: Numerics,
    progress: Callable[[float], None] | None = None,
    remember: np.ndarray | None = None,
) -> Trajectory:
    """As `integrate`, with the setting of the experiment and a start that fits it: for those who have them from before."""
    t_out = numerics.output_times(experiment.protocol.duration, _TIMES)
    points = numerics.points or max(DEFAULT_POINTS, least_points(setting.fields))
    check_points(points, setting.fields)
    exact = setting.engine(numerics.averages, points, numerics.scrambling, numerics.noise_terms).exact
    rtol = numerics.rtol
    if rtol is None:
        rtol = 1e-6 if exact or numerics.points is not None else min(1e-4, max(1e-6, 0.1 * numerics.accuracy))
    run = _Run(experiment, setting, start, t_out, numerics, rtol, numerics.atol or 0.01 * rtol, remember)
    if exact or (numerics.points is not None and not numerics.estimate_error):
        return run.once(points, numerics.scrambling, progress)
    while True:
        trajectory = run.with_error(points, progress)
        reached = trajectory.statistics["averages"]["accuracy"]
        if numerics.points is not None and not np.isfinite(reached):
            return trajectory.replace(status=f"{trajectory.status}; a smaller net diverged, so that the error is not known")
        if numerics.points is not None or reached <= numerics.accuracy or not trajectory.success:
            return trajectory
        if 4 * points > _MOST_UNASKED:
            return trajectory.replace(
                status=f"{trajectory.status}; the averages reach a relative accuracy of {reached:.1e}, not "
                f"{numerics.accuracy:.1e}: ask for points = {4 * points} or more, or for less accuracy"
            )
        points *= 4


@dataclass(frozen=True)
class _Run:
    """All that the trajectories of one call have in common."""

    experiment: Experiment
    setting: Setting
    start: OrderParameters
    t_out: np.ndarray
    numerics: Numerics
    rtol: float
    atol: float
    remember: np.ndarray | None = None

    def with_error(self, points: int, progress: Callable[[float], None] | None) -> Trajectory:
        """The trajectory of a net of `points`, with its standard error from smaller nets and a looser tolerance."""
        quarter = max(points // 4, least_points(self.setting.fields))
        stop = threading.Event()

        def watch(_: float) -> None:
            """After each step of a pilot: leave it if the integration was interrupted."""
            if stop.is_set():
                raise KeyboardInterrupt

        # A pilot has an independent net: its number is as good a seed as any.
        nets = [2**31 + _PILOTS * self.numerics.scrambling + r for r in range(_PILOTS)]
        jobs: list[tuple[Any, ...]] = [(points, self.numerics.scrambling, progress)]
        jobs += [(quarter, net, watch) for net in nets]
        jobs.append((quarter, nets[0], watch, _LOOSER))
        if self.setting.width < _PARALLEL_WIDTH:
            found = [self.once(*jobs[0])]
            if found[0].status.startswith(STOPPED):  # the pilots would be stopped as late
                return self._without_error(found[0])
            found += [self.once(*job) for job in jobs[1:]]
        else:
            with one_blas_thread(), ThreadPoolExecutor(min(os.cpu_count() or 1, len(jobs))) as pool:
                try:
                    found = list(pool.map(lambda job: self.once(*job), jobs))
                except BaseException:
                    stop.set()
                    raise
        trajectory, *pilots = found
        scatter, solver = _standard_error(trajectory, pilots, "generalization_error", points // quarter)
        averages = {
            **trajectory.statistics["averages"],
            "t": trajectory.t,
            "standard_error": np.hypot(scatter, solver),
            "integrator_error": solver,
            "classification_standard_error": np.hypot(
                *_standard_error(trajectory, pilots, "classification_error", points // quarter)
            ),
        }
        largest = np.abs(trajectory.generalization_error).max(initial=0.0)
        averages["accuracy"] = float(averages["standard_error"].max(initial=0.0) / largest) if largest > 0 else 0.0
        return trajectory.replace(statistics={**trajectory.statistics, "averages": averages})

    @staticmethod
    def _without_error(trajectory: Trajectory) -> Trajectory:
        """A trajectory whose error is not known: infinite."""
        unknown = dict.fromkeys(
            ("standard_error", "integrator_error", "classification_standard_error"), np.full(trajectory.t.size, np.inf)
        )
        averages = {**trajectory.statistics["averages"], "t": trajectory.t, **unknown, "accuracy": float("inf")}
        return trajectory.replace(statistics={**trajectory.statistics, "averages": averages})

    def once(self, points: int, scrambling: int, progress: Callable[[float], None] | None, looser: float = 1.0) -> Trajectory:
        """One trajectory with nets of a given size, at the tolerance that goes with them, times `looser`."""
        setting, start = self.setting, self.start
        engine = setting.engine(self.numerics.averages, points, scrambling, self.numerics.noise_terms)
        if self.remember is not None and scrambling == self.numerics.scrambling and looser == 1.0:
            way = Way(setting, engine, self.numerics.set(points=points, scrambling=scrambling), self.rtol, self.atol, progress)
            return remembering(self.experiment, way, start, self.t_out, self.remember)
        method, rtol, atol = self._method(engine.exact, points)
        rtol, atol = looser * rtol, looser * atol
        clock = time.perf_counter()
        order = start.canonical_order()
        ordered = start.permuted(order)
        y = packed(setting, ordered)
        stretches = online_stretches(setting, engine, ordered, order)
        solver = Solver(method, rtol, atol, DIVERGED * max(1.0, float(np.abs(y).max())), progress)
        with one_blas_thread():
            solution = solver.solve(stretches, y, self.t_out)
        arrays = _arrays(stretches[0].dynamics, solution.states, np.argsort(order))
        status = solution.failure or (f"reached t = {self.experiment.protocol.duration:g} in {solution.steps} steps of {method}")
        return Trajectory(
            self.experiment,
            self.numerics.set(points=points, scrambling=scrambling),
            {"t": self.t_out[: len(solution.states)].copy(), **arrays},
            status,
            success=solution.failure is None,
            statistics={
                "method": method,
                "rtol": rtol,
                "atol": atol,
                "steps": solution.steps,
                "evaluations": solution.evaluations,
                "seconds": time.perf_counter() - clock,
                "averages": {"ways": engine.ways, "points": None if engine.exact else points},
            },
        )

    def _method(self, exact: bool, points: int) -> tuple[str, float, float]:
        """Solver and tolerances."""
        size = state_size(*self.setting.shape, self.setting.readout_trained)
        return solver_of(self.setting, self.numerics.method, exact, points, self.rtol, self.atol, size)


def _arrays(dynamics: Any, states: Sequence[np.ndarray], order: np.ndarray) -> dict[str, np.ndarray]:
    """Q, M, v of the states with the units in their own order, without the block axis where there is one block."""
    assert isinstance(dynamics, OnlineLearning)
    Q, M, v = dynamics.unpacked(np.array(states))
    Q, M, v = Q[:, :, order][..., order], M[:, :, order], v[:, order]
    if Q.shape[1] == 1:
        Q, M = Q[:, 0], M[:, 0]
    return {"Q": Q, "M": M, "v": v}


def _standard_error(trajectory: Trajectory, pilots: Sequence[Trajectory], name: str, ratio: int) -> tuple[np.ndarray, np.ndarray]:
    """The errors of an observable at the trajectory's times that its net and its integrator leave."""
    # Where a pilot diverged and the full net did not, the error is not known: infinite.
    values = np.full((len(pilots), trajectory.t.size), np.nan)
    for row, pilot in zip(values, pilots, strict=True):
        row[: pilot.t.size] = getattr(pilot, name)[: row.size]
    scatter = np.std(values[:-1], axis=0, ddof=1) * ratio**-0.5
    # The error of a solver under control grows as its tolerance.
    full, pilot, looser = (each.statistics["rtol"] for each in (trajectory, pilots[0], pilots[-1]))
    solver = _CAUTION * full / (looser - pilot) * np.abs(values[-1] - values[0])
    return tuple(np.where(np.isnan(part), np.inf, part) for part in (scatter, solver))  # type: ignore[return-value]
