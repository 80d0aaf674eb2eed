"""Runs of the diffusion that online SGD becomes as D grows, stretch by stretch (`stretch.py`), at a cost that does not know D."""

import numpy as np

from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.stretch import Diffuser
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.online import packed

_FIRST, _LONGEST = 0.02, 1.0  # stretches, in t


class Pace:
    """How long the next stretch is, from how much the last steps changed."""

    def __init__(self, dimension: int, longest: float = _LONGEST, ease: float = 1.0) -> None:
        self._dimension, self._longest, self._ease, self._next = dimension, longest, ease, _FIRST

    def steps(self, left: int) -> int:
        """Examples of the next stretch, of those that are left until something is due; the rest is shared evenly."""
        wanted = max(1.0, self._next * self._dimension)
        return -(-left // max(1, int(np.ceil(left / wanted))))

    def passed(self, h: float, error: float) -> None:
        """After a stretch of the length h whose Heun and Euler steps differ by `error`, of what is allowed."""
        factor = (self._ease / error) ** 0.5 if error > 0.0 else 2.0
        self._next = min(self._longest, h * min(2.0, max(0.2, 0.9 * factor))) if np.isfinite(factor) else h


_ONCE, _FIRST_DRAW = np.ones(1), np.zeros(1, dtype=np.int64)


class Diffusion:
    """Up to 32 runs, each from exactly the overlaps of its start."""

    def __init__(self, model: Model, starts: list[OrderParameters], rngs: list[np.random.Generator]) -> None:
        self.model, self.rngs = model, rngs
        self._diffusers = [Diffuser(model, start) for start in starts]
        self._states = [packed(model.setting, start)[None].copy() for start in starts]
        self._paces = [Pace(model.dimension) for _ in starts]

    @staticmethod
    def steps_a_second(model: Model) -> float:
        """How many examples a second, roughly: only to cut long stretches of steps."""
        return 1e2 * _LONGEST * model.dimension

    @staticmethod
    def together(width: int, runs: int, workers: int) -> int:
        """How many runs to advance one after the other, without leaving the compiled code of the same arrays."""
        return max(1, min(32, -(-runs // (4 * workers))))

    def advance(self, remaining: np.ndarray, steps: int, rates: Rates) -> None:
        """Take `steps` steps at these rates, of examples from the numbers of each level still `remaining`, (runs, levels)."""
        for run, rng in enumerate(self.rngs):
            diffuser, pace, left = self._diffusers[run], self._paces[run], steps
            state = self._states[run]
            while left > 0:
                stretch = diffuser.draw(rng, remaining[run], pace.steps(left))
                remaining[run] -= stretch.counts[0]
                error = diffuser.step(state, rates, stretch, stretch.draws.share, _ONCE, _FIRST_DRAW)
                pace.passed(stretch.taken / self.model.dimension, error)
                left -= stretch.taken

    def overlaps(self, lane: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current Q (blocks, K, K), M (blocks, K, P), v (K,) of one of the runs."""
        return self._diffusers[lane].overlaps(self._states[lane][0])
