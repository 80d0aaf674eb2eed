"""One pass of a solver through the stages of a protocol, whatever the dynamics: a named state and its rate."""

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curriculode.theory.dynamics.interface import Dynamics, Stretch

_MOST_STEPS = 1_000_000
_PATIENCE = 10.0  # seconds, after which an integration that is nowhere near its end is asked whether it will come there
_RARELY = 100  # steps between two questions
_FEWEST_STEPS = 300  # that say how long the steps are; before, a slow integration is merely slow
_MOST_BETWEEN = 1000  # steps between two output times; who needs more may be on the way to infinity, and is watched
STOPPED = "stopped at"  # begins the failure of an integration that takes too many steps
_REMEDY = "(the trajectory up to there is kept; a smaller learning_rate or a larger weight_decay may help)"
# ODEPACK may keep what it knows of an integration in one place for the whole process, and compiled rates let other threads run.
_ODEPACK = threading.RLock()


@dataclass
class Solution:
    """states : (n,) each, at the first of the output times;  failure : why it ended before the last, or None;  end : of all."""

    states: list[np.ndarray] = field(default_factory=list)
    steps: int = 0
    evaluations: int = 0
    failure: str | None = None
    end: float = 0.0


class _Prospect:
    """Whether so many steps as are allowed will do, from those that were made: seconds say when to ask, steps alone decide.

    The later half of the steps so far tells their length, so that a transient at the start is forgotten.
    """

    def __init__(self, start: float, end: float, most: int, patience: float, clock: Callable[[], float]) -> None:
        self.end, self.most, self.clock = end, most, clock
        self.since = clock() + patience
        self.seen = [(0, start)]

    def hopeless(self, made: int, t: float) -> bool:
        """Of a stage so far, with `made` steps to the time `t`: whether the end of all would take more than are allowed."""
        self.seen.append((made, t))
        if made < _FEWEST_STEPS or self.clock() < self.since:
            return False
        return made + (self.end - t) / max(self.recent, 1e-300) > self.most

    @property
    def recent(self) -> float:
        """Mean length of the later half of the steps."""
        (before, begin), (made, t) = self.seen[len(self.seen) // 2], self.seen[-1]
        return (t - begin) / max(made - before, 1)


class _Stopped(Exception):
    """An integration within compiled code was left, for the steps in Python to say what becomes of it."""


@dataclass(frozen=True)
class Solver:
    """How stages are solved: `method` of scipy.integrate, tolerances, the size beyond which a state has diverged, the watcher.

    limit : absolute;  progress : called with the time reached after each step
    most_steps : of all stages;  patience : seconds, by the `clock`, until it is asked whether they will do
    """

    method: str
    rtol: float
    atol: float
    limit: float
    progress: Callable[[float], None] | None = None
    most_steps: int = _MOST_STEPS
    patience: float = _PATIENCE
    clock: Callable[[], float] = time.monotonic

    def solve(self, stages: Sequence[Stretch], y: np.ndarray, times: np.ndarray) -> Solution:
        """The states at `times` (increasing) from y (n,) at the start of the first stage; ends early, and says why, if it fails."""
        solution = Solution([y.copy()] if times.size and times[0] == stages[0].start else [], end=stages[-1].end)
        for stage in stages:
            if stage.event is not None:
                y = stage.event(y)
                if len(solution.states) == 1 and stage.start == times[0] == stages[0].start:
                    solution.states[0] = y.copy()  # what happens at the very start is the start
            if stage.end <= stage.start:
                continue
            since, before = len(solution.states), stage.dynamics.evaluations
            # Overflow on the way to infinity is expected: it is caught below and becomes the failure.
            with np.errstate(all="ignore"):
                if self.method == "LSODA":
                    with _ODEPACK:
                        y = self._quickly(stage, y, times, solution)
                else:
                    y = self._stepwise(stage, y, times, solution)
            solution.evaluations += stage.dynamics.evaluations - before
            self._check_physical(stage.dynamics, since, times, y, stage.end, solution)
            if solution.failure is not None:
                break
        return solution

    def _quickly(self, stage: Stretch, y: np.ndarray, times: np.ndarray, solution: Solution) -> np.ndarray:
        """A stage by ODEPACK's own loop over the output times, with no Python between its steps; step by step where that fails."""
        from scipy.integrate import odeint

        first = len(solution.states)
        inside = times[first:][times[first:] <= stage.end]
        stops = np.unique(np.concatenate([[stage.start], inside, [stage.end]]))
        rate = _watched(stage.dynamics.rate, self.progress, self._prospect(stage, solution))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it complains of is told by the other way
            try:
                states, told = odeint(
                    rate,
                    y,
                    stops,
                    tfirst=True,
                    full_output=True,
                    **{"rtol": self.rtol, "atol": self.atol, "tcrit": [stage.end], "mxstep": _MOST_BETWEEN},
                )
            except _Stopped:
                return self._stepwise(stage, y, times, solution, patience=0.0)
        if told["message"] != "Integration successful." or not np.abs(states).max() < self.limit:
            return self._stepwise(stage, y, times, solution)
        solution.states.extend(states[np.searchsorted(stops, inside)])
        solution.steps += int(told["nst"][-1])
        return states[-1]

    def _prospect(self, stage: Stretch, solution: Solution, patience: float | None = None) -> _Prospect:
        patience = self.patience if patience is None else patience
        return _Prospect(stage.start, solution.end, self.most_steps - solution.steps, patience, self.clock)

    def _stepwise(
        self, stage: Stretch, y: np.ndarray, times: np.ndarray, solution: Solution, patience: float | None = None
    ) -> np.ndarray:
        """A stage step by step, so that each can be watched."""
        import scipy.integrate

        names = stage.dynamics.names
        prospect, first = self._prospect(stage, solution, patience), solution.steps
        try:
            solver: Any = getattr(scipy.integrate, self.method)(
                stage.dynamics.rate, stage.start, y, stage.end, rtol=self.rtol, atol=self.atol
            )
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):  # what is not finite is told by its own rate
            solution.failure = _no_step(stage, y)
            return y
        if not np.isfinite(getattr(solver, "h_abs", 0.0)):  # a first step that is NaN is made for ever
            solution.failure = _no_step(stage, y)
            return y
        while solver.status == "running" and solution.failure is None:
            before = solver.t
            try:
                solver.step()
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                solver.status = "failed"
            if solver.status == "failed" or not solver.t > before:
                # A step below rounding: the solution reaches infinity at this very time, or the equations are too stiff.
                solution.failure = (
                    f"diverged at t = {solver.t:.6g}: {_largest(names, solver.y)}, and no step is small enough {_REMEDY}"
                )
            elif not np.abs(solver.y).max() < self.limit:  # false for NaN as well
                solution.failure = f"diverged at t = {solver.t:.6g}: {_largest(names, solver.y)} {_REMEDY}"
            else:
                _record(solver, times, solution.states)
                solution.steps += 1
                if solution.steps % _RARELY == 0 and prospect.hopeless(solution.steps - first, solver.t):
                    solution.failure = (
                        f"{STOPPED} t = {solver.t:.6g} after {solution.steps} steps of {self.method}: at the recent step of "
                        f"{prospect.recent:.1e} the end would take more than {self.most_steps}; use method = LSODA or Radau, a "
                        "larger rtol, smaller rates, or a shorter duration"
                    )
                elif solution.steps >= self.most_steps:
                    solution.failure = (
                        f"{STOPPED} t = {solver.t:.6g} after {solution.steps} steps of {self.method}; the equations are stiff, or "
                        "jump: use method = LSODA or Radau, a larger rtol, or a smaller weight_decay"
                    )
                elif self.progress is not None:
                    self.progress(solver.t)
        return np.array(solver.y)

    def _check_physical(
        self, dynamics: Dynamics, since: int, times: np.ndarray, y: np.ndarray, end: float, solution: Solution
    ) -> None:
        """Drop the states recorded since number `since` from the first one on that is not physical, and say so."""
        found = dynamics.unphysical(np.array([*solution.states[since:], y]), self.rtol)
        if found is None:
            return
        worst, why = found
        t = np.append(times[since : len(solution.states)], end)
        solution.failure = (
            f"left the physical states before t = {t[worst]:.6g}: {why}; use a smaller rtol, or more points in the averages"
        )
        del solution.states[since + worst :]


def _watched(rate: Callable, progress: Callable[[float], None] | None, prospect: _Prospect) -> Callable:
    """The same rate, which tells the latest time that it was asked for, and stops where there seems to be no prospect of an end.

    It is asked once or twice a step, a hundred thousand times a second: so it looks up rarely where nobody is told.
    """
    latest, made, left, every = -np.inf, 0, 0, 1 if progress is not None else _RARELY

    def look(t: float) -> None:
        nonlocal latest, made, left
        made, left = made + every, every
        if t > latest:
            latest = t
            if progress is not None:
                progress(t)
        if made % _RARELY == 0 and prospect.hopeless(made, t):
            raise _Stopped

    def watched(t: float, y: np.ndarray) -> np.ndarray:
        nonlocal left
        left -= 1
        if left < 0:
            look(t)
        return rate(t, y)

    return watched


def _no_step(stage: Stretch, y: np.ndarray) -> str:
    """Why not even a first step can be made."""
    derivative = stage.dynamics.rate(stage.start, y)
    what = _largest(tuple(f"d{name}/dt" for name in stage.dynamics.names), derivative)
    return f"diverged at t = {stage.start:.6g}: {what}, and no step is small enough {_REMEDY}"


def _record(solver: Any, times: np.ndarray, states: list[np.ndarray]) -> None:
    """Keep the states at the output times that the last step passed."""
    n = len(states)
    if n < times.size and times[n] <= solver.t:
        passed = times[n : int(np.searchsorted(times, solver.t, side="right"))]
        states.extend(solver.dense_output()(passed).T)
        if passed[-1] == solver.t:
            states[-1] = np.array(solver.y)


def _largest(names: tuple[str, ...], y: np.ndarray) -> str:
    """Name and value of the largest component of a state."""
    index = int(np.argmax(np.where(np.isfinite(y), np.abs(y), np.inf)))
    return f"{names[index]} = {y[index]:.3g}"
