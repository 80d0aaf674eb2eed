"""One pass of a solver through the stages of a protocol, whatever the dynamics: a named state and its rate."""

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curriculode.theory.dynamics.interface import Dynamics, Stretch

_MOST_STEPS = 1_000_000
_MOST_BETWEEN = 1000  # steps between two output times; who needs more may be on the way to infinity, and is watched
_REMEDY = "(the trajectory up to there is kept; a smaller learning_rate or a larger weight_decay may help)"
# ODEPACK may keep what it knows of an integration in one place for the whole process, and compiled rates let other threads run.
_ODEPACK = threading.RLock()


@dataclass
class Solution:
    """states : (n,) each, at the first of the output times;  failure : why it ended before the last, or None."""

    states: list[np.ndarray] = field(default_factory=list)
    steps: int = 0
    evaluations: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class Solver:
    """How stages are solved: `method` of scipy.integrate, tolerances, the size beyond which a state has diverged, the watcher.

    limit : absolute;  progress : called with the time reached after each step
    """

    method: str
    rtol: float
    atol: float
    limit: float
    progress: Callable[[float], None] | None = None

    def solve(self, stages: Sequence[Stretch], y: np.ndarray, times: np.ndarray) -> Solution:
        """The states at `times` (increasing) from y (n,) at the start of the first stage; ends early, and says why, if it fails."""
        solution = Solution([y.copy()] if times.size and times[0] == stages[0].start else [])
        for stage in stages:
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
        rate: Callable = stage.dynamics.rate
        if self.progress is not None:
            rate = _watched(rate, self.progress)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it complains of is told by the other way
            states, told = odeint(
                rate,
                y,
                stops,
                tfirst=True,
                full_output=True,
                **{"rtol": self.rtol, "atol": self.atol, "tcrit": [stage.end], "mxstep": _MOST_BETWEEN},
            )
        if told["message"] != "Integration successful." or not np.abs(states).max() < self.limit:
            return self._stepwise(stage, y, times, solution)
        solution.states.extend(states[np.searchsorted(stops, inside)])
        solution.steps += int(told["nst"][-1])
        return states[-1]

    def _stepwise(self, stage: Stretch, y: np.ndarray, times: np.ndarray, solution: Solution) -> np.ndarray:
        """A stage step by step, so that each can be watched."""
        import scipy.integrate

        names = stage.dynamics.names
        solver: Any = getattr(scipy.integrate, self.method)(
            stage.dynamics.rate, stage.start, y, stage.end, rtol=self.rtol, atol=self.atol
        )
        while solver.status == "running" and solution.failure is None:
            solver.step()
            if solver.status == "failed":
                # A step below rounding: the solution reaches infinity at this very time, or the equations are too stiff.
                solution.failure = (
                    f"diverged at t = {solver.t:.6g}: {_largest(names, solver.y)}, and no step is small enough {_REMEDY}"
                )
            elif not np.abs(solver.y).max() < self.limit:  # false for NaN as well
                solution.failure = f"diverged at t = {solver.t:.6g}: {_largest(names, solver.y)} {_REMEDY}"
            else:
                _record(solver, times, solution.states)
                solution.steps += 1
                if solution.steps >= _MOST_STEPS:
                    solution.failure = (
                        f"stopped at t = {solver.t:.6g} after {solution.steps} steps of {self.method}; the equations are stiff, or "
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


def _watched(rate: Callable, progress: Callable[[float], None]) -> Callable:
    """The same rate, which tells the latest time that it was asked for."""
    latest = -np.inf

    def watched(t: float, y: np.ndarray) -> np.ndarray:
        nonlocal latest
        if t > latest:
            latest = t
            progress(t)
        return rate(t, y)

    return watched


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
