"""One pass of a scipy solver through the stages of a protocol, stepped by hand so that every step can be watched."""

from collections.abc import Callable
from typing import Any

import numpy as np

from curriculode.theory.averages import Engine
from curriculode.theory.core.linear_algebra import gram_spectrum
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.online import RightHandSide, System
from curriculode.theory.dynamics.packing import pack, state_size, unpack

DIVERGED = 1e8  # an order parameter this many times its initial scale has left every regime of learning
_MOST_STEPS = 1_000_000


class StagedRun:
    """One pass through the stages: the solver is stepped by hand, so that every step can be watched."""

    def __init__(
        self, system: System, engine: Engine, start: OrderParameters, order: np.ndarray, t_out: np.ndarray,
        rtol: float, atol: float, method: str, progress: Callable[[float], None] | None,
    ) -> None:  # fmt: skip
        self.system, self.engine, self.t_out, self.progress = system, engine, t_out, progress
        self.rtol, self.atol, self.method, self.order = rtol, atol, method, order
        Q, M, self.v0 = start.blocked()
        self.y = np.empty(state_size(*system.shape, system.readout_trained))
        pack(Q, M, self.v0, self.y)
        self.limit = DIVERGED * max(1.0, float(np.abs(self.y).max()))
        self.states: list[np.ndarray] = [self.y.copy()] if t_out[0] == 0.0 else []
        self.steps = self.evaluations = 0
        self.failure: str | None = None

    def advance(self, start: float, end: float, probability: np.ndarray) -> bool:
        """Integrate one stage; False if it failed."""
        import scipy.integrate

        since = len(self.states)
        rhs = RightHandSide(self.system, self.engine, probability, self.v0)
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
        self._check_physical(since, solver.t)
        return self.failure is None

    def _record(self, solver: Any) -> None:
        """Store the output times that the last step passed."""
        n = len(self.states)
        if n < self.t_out.size and self.t_out[n] <= solver.t:
            times = self.t_out[n : int(np.searchsorted(self.t_out, solver.t, side="right"))]
            self.states.extend(solver.dense_output()(times).T)
            if times[-1] == solver.t:
                self.states[-1] = np.array(solver.y)

    def _bounded(self, t: float, y: np.ndarray) -> bool:
        if np.abs(y).max() < self.limit:  # false for NaN as well
            return True
        self.failure = f"diverged at t = {t:.6g}: {self._largest(y)} {_REMEDY}"
        return False

    def _check_physical(self, since: int, end: float) -> None:
        """Drop the states recorded since number `since` from the first one on that is not physical, and say so."""
        t = np.append(self.t_out[since : len(self.states)], end)
        Q, M, _ = self._arrays([*self.states[since:], self.y])
        worst = t.size
        for b in range(Q.shape[1]):
            # A diverged state has no spectrum; it is told as such.
            finite = np.isfinite(Q[:, b]).all(axis=(1, 2)) & np.isfinite(M[:, b]).all(axis=(1, 2))
            lowest, scale = gram_spectrum(Q[finite, b], M[finite, b], self.system.T[b])
            bad = np.flatnonzero(finite)[lowest < -max(1e-6, 1e3 * self.rtol) * scale]
            if bad.size and bad[0] < worst:
                worst = int(bad[0])
                self.failure = (
                    f"left the physical states before t = {t[worst]:.6g}: the overlaps of block {b} have the negative eigenvalue "
                    f"{lowest[np.flatnonzero(finite) == worst][0]:.3g}; use a smaller rtol, or more points in the averages"
                )
        del self.states[since + worst :]

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
        return self._arrays(self.states)

    def _arrays(self, states: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        blocks, K, P = self.system.shape
        n = len(states)
        Q, M, v = np.empty((n, blocks, K, K)), np.empty((n, blocks, K, P)), np.tile(self.v0, (n, 1))
        for i, y in enumerate(states):
            unpack(y, Q[i], M[i], v[i])
        return Q, M, v


_REMEDY = "(the trajectory up to there is kept; a smaller learning_rate or a larger weight_decay may help)"
