"""What a cell of a comparison is computed from, and how: both sides, and what tells how sharp the verdict is."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from curriculode.sims.compare.cell import Cell, Perturbed
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.finite_size import FiniteSize, as_carried_out, finite_size
from curriculode.sims.runs.minimize import minimize
from curriculode.sims.runs.simulate import simulate_setting
from curriculode.sims.spaces.draws import record_steps
from curriculode.theory.averages.quasi_monte_carlo import least_points
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.states import Trajectory
from curriculode.theory.solve.integrate import integrate_setting
from curriculode.theory.solve.state_evolution import state_evolution

TIMES = 21
POINTS = 1024
_PARALLEL_WIDTH = 16
STEP = 0.02  # relative change of a rate, from which the theory's sensitivity to it is told
RATES = {"eta": "learning_rate", "eta_v": "readout_learning_rate", "kappa": "weight_decay"}
EXTRA_NETS = 4  # beyond one a start, over all starts: from their scatter the error of the nets is pooled
_PAIRS, _PAIRS_WIDE, _WIDE = 24, 6, 8  # pairs of the diffusion, at least, and of students wider than this
_STARTS_WIDE = 2  # most starts of such students that pairs and sensitivities to the rates are computed for


def at_once(told: Callable[[], None]) -> None:
    """Wait for nothing."""


@dataclass(frozen=True)
class Job(ABC):
    """One combination of the varied parameters.

    labels : their values;  dimension : D, as it is carried out;  runs, starts, seed, numerics : as for `compare`
    ready : waits until paths of the diffusion can be computed, and meanwhile calls its argument
    given : the starts, where they are not those of the seed
    """

    labels: dict[str, Any]
    experiment: Experiment
    dimension: int
    runs: int
    starts: int
    seed: Any
    numerics: Numerics
    given: tuple[OrderParameters, ...] = field(default=(), kw_only=True)
    ready: Callable[[Callable[[], None]], None] = field(default=at_once, kw_only=True, repr=False)

    @property
    def work(self) -> float:
        """How much there is to compute, for the runs: units times steps; none of what has no steps."""
        return 0.0

    @abstractmethod
    def run(self, report: Callable[[float], None]) -> list[Cell]:
        """Compute both sides; KeyboardInterrupt where that ends them."""


@dataclass(frozen=True)
class BatchJob(Job):
    """Batch learning: one theory for all runs, as a minimum does not know where it was approached from."""

    def run(self, report: Callable[[float], None]) -> list[Cell]:
        """State evolution, and minima."""
        theory = state_evolution(self.experiment)
        ensemble = minimize(
            self.experiment, dimension=self.dimension, runs=self.runs, seed=self.seed, numerics=self.numerics, progress=report
        )
        if ensemble.interrupted:
            raise KeyboardInterrupt
        return [Cell(self.labels, self.experiment, [[theory]], ensemble, np.zeros(self.runs, dtype=np.int64))]


@dataclass(frozen=True)
class OnlineJob(Job):
    """Online learning: the equations from each start, what finite D adds to them, and runs."""

    @cached_property
    def setting(self) -> Setting:
        """As it is carried out in so many inputs."""
        return as_carried_out(Setting.of(self.experiment, perturbed=True), self.experiment, self.dimension)

    @property
    def work(self) -> float:
        """Units times steps of all runs."""
        return self.runs * self.setting.width * self.dimension * self.experiment.protocol.duration

    @cached_property
    def initial(self) -> list[OrderParameters]:
        """The starts."""
        return list(self.given[: self.starts]) or [
            self.experiment.initial(self.dimension, self.seed, j) for j in range(self.starts)
        ]

    @property
    def start_of_run(self) -> np.ndarray:
        """Number of the start of each run, (runs,)."""
        return np.arange(self.runs) % self.starts

    @cached_property
    def records(self) -> np.ndarray:
        """The compared times, in steps."""
        protocol = self.experiment.protocol
        return record_steps(self.numerics.output_times(protocol.duration, TIMES), protocol, self.dimension)

    @property
    def at_records(self) -> Numerics:
        """The numerics, with these times."""
        times = np.minimum(self.records / self.dimension, self.experiment.protocol.duration)
        return self.numerics.set(times=times, points=self.numerics.points or POINTS)

    def points_of_equations(self, first_order: bool) -> int:
        """Points of the nets of the equations: all, where the `first_order` is averaged by them.

        Of a noise term alone as many as keep what they err by well below what the runs resolve, at most all: at K = 32, D = 200
        and 96 runs half of 256 makes the theory's median share of the standard error .710 in place of .709 (XOR, GELU), and at
        K = 4 and 32 the trace of Q has no bias that was seen.
        """
        points = self.at_records.points or POINTS
        if first_order:
            return points
        resolving = 1 << int(np.ceil(np.log2(0.75 * np.sqrt(self.dimension * self.runs))))
        return min(max(resolving, least_points(self.setting.fields)), points)

    @property
    def known(self) -> int:
        """Number of starts of which it is computed what finite D adds, and what rates would change: of wide students the first."""
        return min(self.starts, _STARTS_WIDE) if self.setting.width > _WIDE else self.starts

    @property
    def rates(self) -> list[str]:
        """The rates that there are."""
        return [name for name in RATES if getattr(self.setting.rates, name) > 0]

    def run(self, report: Callable[[float], None]) -> list[Cell]:
        """Both sides."""
        theory, perturbed = self.theory(lambda fraction: report(0.3 * fraction))
        ensemble = simulate_setting(
            self.experiment,
            self.setting,
            self.dimension,
            range(self.runs),
            self.seed,
            [self.initial[j] for j in self.start_of_run],
            self.at_records,
            lambda fraction: report(0.3 + 0.2 * fraction),
        )
        if ensemble.interrupted:
            raise KeyboardInterrupt
        self.ready(lambda: report(0.5))
        added = self.added(lambda fraction: report(0.5 + 0.5 * fraction))
        return [Cell(self.labels, self.experiment, theory, ensemble, self.start_of_run, perturbed, added)]

    @property
    def exact(self) -> bool:
        """Whether nothing but the averages of one network's equations can need nets."""
        return True

    def solved(self, setting: Setting, start: int, numerics: Numerics, watch: Callable[[float], None]) -> Any:
        """The equations from one of the starts."""
        return integrate_setting(self.experiment, setting, self.initial[start], numerics, watch)

    def added(self, report: Callable[[float], None]) -> FiniteSize:
        """What finite D adds, by pairs of the diffusion: two a start at least; fewer of wide students, which scatter little."""
        pairs = _PAIRS_WIDE if self.setting.width > _WIDE else self.starts * max(2, -(-_PAIRS // self.starts))
        return self.diffused(pairs, self.initial[: self.known], report)

    def diffused(self, pairs: int, starts: list[OrderParameters], report: Callable[[float], None]) -> FiniteSize:
        """So many pairs of paths of the diffusion, spread over these starts."""
        return finite_size(
            *(self.experiment, self.setting, self.dimension, starts, pairs, self.seed, self.records, self.at_records, report)
        )

    def theory(self, report: Callable[[float], None]) -> tuple[list[list[Trajectory]], dict[str, Perturbed]]:
        """Trajectories of each start by each of its nets, and of some starts with each rate changed."""
        setting, read = self.setting, self.at_records
        engine = setting.engine(read.averages, read.points or POINTS, 0, read.noise_terms)
        numerics = read.set(points=self.points_of_equations(engine.first is None))
        exact = engine.exact and self.exact
        if numerics.rtol is None:
            # What so many runs could resolve, were they to scatter by D^(-1/2); below that only the nets' staircases are resolved.
            resolved = 0.03 / np.sqrt(self.dimension * self.runs)
            numerics = numerics.set(rtol=1e-6 if exact else float(np.clip(resolved, 1e-6, 3e-4)))
        extra = 0 if exact and engine.errors_exact else -(-EXTRA_NETS // self.starts)
        several = -(-EXTRA_NETS // extra) if extra else 0  # so many starts have several nets
        nets = [1 + (extra if j < several else 0) for j in range(self.starts)]
        first = np.concatenate([[0], np.cumsum(nets)])
        # Exact equations are integrated once a start; the nets of their errors are drawn again below.
        jobs: list[tuple[Setting, int, int]] = [
            (setting, j, int(first[j]) + r) for j in range(self.starts) for r in range(1 if exact else nets[j])
        ]
        rates, changed = self.rates, range(self.known)
        for name in rates:
            jobs += [(setting.with_rate(name, 1.0 + STEP), j, int(first[j])) for j in changed]
        found = [each.replace(numerics=each.numerics.set(points=read.points)) for each in self._integrated(jobs, numerics, report)]
        theory: list[list[Trajectory]] = [[] for _ in self.initial]
        for (_, j, _), trajectory in zip(jobs[: len(jobs) - len(rates) * len(changed)], found, strict=False):
            theory[j].append(trajectory)
        if exact:
            theory = [
                [
                    only.replace(numerics=only.numerics.set(scrambling=numerics.scrambling + int(first[j]) + r))
                    for r in range(nets[j])
                ]
                for j, (only,) in enumerate(theory)
            ]
        rest = found[len(found) - len(rates) * len(changed) :]
        perturbed = {
            RATES[name]: Perturbed(STEP, dict(zip(changed, rest[i * len(changed) : (i + 1) * len(changed)], strict=True)))
            for i, name in enumerate(rates)
        }
        return theory, perturbed

    def _integrated(
        self,
        jobs: list[tuple[Setting, int, int]],
        numerics: Numerics,
        report: Callable[[float], None],
    ) -> list[Trajectory]:
        """The trajectory of each job (setting, start, net), on threads."""

        def solve(job: tuple[Setting, int, int], stop: threading.Event) -> Trajectory:
            def watch(_: float) -> None:
                """After each step of the integration: leave it if the comparison was interrupted."""
                if stop.is_set():
                    raise KeyboardInterrupt

            setting, start, net = job
            trajectory = self.solved(setting, start, numerics.set(scrambling=numerics.scrambling + net), watch)
            finished.append(trajectory)
            return trajectory

        finished: list[Trajectory] = []
        # Steps of small students are mostly Python's, which threads would only take from each other.
        workers = worker_count(numerics.workers) if self.setting.width >= _PARALLEL_WIDTH else 1
        found, interrupted = spread("equations", solve, jobs, workers, lambda: len(finished) / len(jobs), report)
        if interrupted:
            raise KeyboardInterrupt
        return found
