"""Two copies of a network in a comparison: the equations of pairs, their joint diffusion, and pairs of runs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from curriculode.sims.compare.cell import Cell
from curriculode.sims.compare.jobs import TIMES, OnlineJob
from curriculode.sims.pairs.finite_size import pair_finite_size
from curriculode.sims.pairs.simulate import pair_simulation
from curriculode.sims.runs.finite_size import FiniteSize
from curriculode.sims.spaces.draws import record_steps
from curriculode.theory.describe.branching import Branching
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.record import Pair
from curriculode.theory.pairs.theory import pair_theory


@dataclass(frozen=True)
class BranchedJob(OnlineJob):
    """Pairs: equations, what finite D adds, and pairs of runs, from the time on at which the copies part."""

    branch: Branching

    @property
    def _parting(self) -> int:
        """The time of the branching in steps."""
        return int(np.rint(self.branch.at * self.dimension))

    @cached_property
    def records(self) -> np.ndarray:
        """The compared times in steps, from the branching on."""
        protocol, numerics = self.experiment.protocol, self.numerics
        if numerics.times is None or isinstance(numerics.times, int):
            times = self.branch.at + numerics.output_times(protocol.duration - self.branch.at, TIMES)
        else:
            times = numerics.output_times(protocol.duration, TIMES)
        steps = record_steps(times, protocol, self.dimension)
        return np.union1d(steps[steps >= self._parting], [self._parting])

    @cached_property
    def others(self) -> list[OrderParameters] | None:
        """The starts of the second copies, where they have their own: those after the starts of the first."""
        if self.branch.weights == "shared":
            return None
        if self.given:
            return list(self.given[self.starts :])
        return [self.experiment.initial(self.dimension, self.seed, self.starts + j) for j in range(self.starts)]

    @property
    def exact(self) -> bool:
        """The noise that copies share may need nets where nothing else does."""
        return self.branch.examples == "independent"

    def run(self, report: Callable[[float], None]) -> list[Cell]:
        """Both sides."""
        theory, perturbed = self.theory(lambda fraction: report(0.4 * fraction))
        added = None
        if self.branch.examples != "reordered":  # an example that comes back at another time is no diffusion
            added = self.added(lambda fraction: report(0.4 + 0.4 * fraction))
        of_run = self.start_of_run
        pairs = pair_simulation(
            self.experiment,
            [self.initial[j] for j in of_run],
            None if self.others is None else [self.others[j] for j in of_run],
            self._parting / self.dimension,
            self.branch.examples,
            self.dimension,
            range(self.runs),
            self.seed,
            self.at_records,
            lambda fraction: report(0.8 + 0.2 * fraction),
        )
        if not pairs.success:
            raise KeyboardInterrupt
        return [Cell(self.labels, self.experiment, theory, pairs, of_run, perturbed, added)]

    def solved(self, setting: Setting, start: int, numerics: Numerics, watch: Callable[[float], None]) -> Pair:
        """The equations of both copies."""
        other = None if self.others is None else self.others[start]
        at = self._parting / self.dimension
        return pair_theory(self.experiment, self.initial[start], at, self.branch.examples, other, numerics, watch, setting)

    def diffused(self, pairs: int, starts: list[OrderParameters], report: Callable[[float], None]) -> FiniteSize:
        """Paths of the joint diffusion of both copies."""
        which: Any = self.branch.examples
        return pair_finite_size(
            *(self.experiment, self.setting, starts, self.others, self._parting, which, self.dimension, pairs, self.seed),
            *(self.records, self.at_records, report),
        )
