"""What an integrator knows of equations: a named state and its rate, and no more.

Online learning, two copies of a student, a student in its tangent space or a wide limit are each a `Dynamics`; what solves them
(`theory/solve/`) is the same for all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


class Dynamics(ABC):
    """dy/dt = rate(t, y) of a named state y within one stage of a protocol.

    names : (n,) of each component, such as "Q[0,1]";  evaluations : how often `rate` was called
    """

    names: tuple[str, ...]
    evaluations: int = 0

    @abstractmethod
    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """dy/dt at time `t` of the state y (n,), a fresh array."""

    def unphysical(self, states: np.ndarray, tolerance: float) -> tuple[int, str] | None:
        """The first of the `states` (times, n) that nothing physical can have, and why in words; None where all are physical.

        tolerance : relative, of the integrator that made them
        """
        return None

    def observe(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """The named arrays that the `states` (times, n) stand for, times first."""
        return {name: states[:, i] for i, name in enumerate(self.names)}

    def jacobian(self, t: float, y: np.ndarray) -> np.ndarray:
        """d rate_i / d y_j, (n, n), by central differences; a dynamics that knows it in closed form says so itself."""
        size = np.cbrt(np.finfo(float).eps) * np.maximum(1e-3, np.abs(y))
        columns = []
        for j, h in enumerate(size):
            above, below = y.copy(), y.copy()
            above[j] += h
            below[j] -= h
            columns.append((self.rate(t, above) - self.rate(t, below)) / (above[j] - below[j]))
        return np.array(columns).T

    def step_covariance(self, t: float, y: np.ndarray) -> np.ndarray:
        """D^2 times the covariance of one step at finite D, (n, n), where the dynamics is the limit of steps."""
        raise NotImplementedError(f"{type(self).__name__} does not know the covariance of a step")


@dataclass(frozen=True)
class Stretch:
    """A stage as the integrator sees it: from time `start` to `end` under one dynamics.

    event : what happens to the state as it begins, if anything: the state after it
    """

    start: float
    end: float
    dynamics: Dynamics
    event: Callable[[np.ndarray], np.ndarray] | None = None
