"""A cell in a tangent space: ridge or SGD from matched starts, against the features of D inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from curriculode.sims.compare.cell import Cell
from curriculode.sims.compare.jobs import EXTRA_NETS, TIMES, Job
from curriculode.sims.compare.verdict import SHIFT
from curriculode.sims.runs.minimize import minimize
from curriculode.sims.runs.simulate import simulate
from curriculode.sims.spaces.draws import record_steps
from curriculode.theory.describe.tangent import TangentRidge
from curriculode.theory.results.states import Trajectory
from curriculode.theory.solve.integrate import integrate
from curriculode.theory.solve.state_evolution import state_evolution


@dataclass(frozen=True)
class TangentJob(Job):
    """Ridge or SGD in a tangent space; what finite D adds is not predicted, and has room."""

    def run(self, report: Callable[[float], None]) -> list[Cell]:
        """Both sides."""
        experiment, numerics, moves = self.experiment, self.numerics, SHIFT
        ridge = isinstance(experiment.training, TangentRidge)
        if not ridge:
            records = record_steps(numerics.output_times(experiment.protocol.duration, TIMES), experiment.protocol, self.dimension)
            numerics = numerics.set(times=np.minimum(records / self.dimension, experiment.protocol.duration))
        initial = [experiment.initial(self.dimension, self.seed, j) for j in range(self.starts)]
        extra = -(-EXTRA_NETS // self.starts)
        theory: list[list[Trajectory]] = []
        for j, start in enumerate(initial):
            nets = [numerics.set(scrambling=j * (1 + extra) + r) for r in range(1 + extra)]
            solve: Any = state_evolution if ridge else integrate
            theory.append([solve(experiment, start, numerics=each) for each in nets])
            report(0.4 * (j + 1) / self.starts)
        start_of_run = np.arange(self.runs) % self.starts
        simulation: Any = minimize if ridge else simulate
        ensemble = simulation(
            experiment,
            dimension=self.dimension,
            runs=self.runs,
            seed=self.seed,
            start=[initial[j] for j in start_of_run],
            numerics=self.numerics.set(points=None),
            progress=lambda fraction: report(0.4 + 0.6 * fraction),
        )
        if ensemble.interrupted:
            raise KeyboardInterrupt
        if ridge:
            moves = max(SHIFT, max(theory[0][0].statistics["correction"]))
        return [Cell(self.labels, experiment, theory, ensemble, start_of_run, moves=moves)]
