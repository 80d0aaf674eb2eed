"""Pruned training in a comparison: the dense training and every treatment of what is kept, a cell each.

Theory draws its nodes at random, as many as there are inputs, so that what is drawn anew, in fresh weights and random masks,
scatters in theory and simulation alike; the scatter between draws is the error of the theory's mean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from curriculode.sims.compare.cell import Cell, Perturbed
from curriculode.sims.compare.jobs import RATES, OnlineJob
from curriculode.sims.compare.verdict import FEWEST_RUNS
from curriculode.sims.runs.finite_size import FiniteSize
from curriculode.sims.tickets.simulate import ticket_simulation
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.states import Trajectory
from curriculode.theory.tickets.study import DENSE, TicketStudy
from curriculode.theory.tickets.theory import ticket_theory

_MOST_DRAWS = 32
_STEP = 0.1  # relative change of a rate: smaller ones drown in single nodes that cross the threshold of the mask
_ERRATIC = ("supermask",)  # nodes cross it all the time


@dataclass(frozen=True)
class PrunedJob(OnlineJob):
    """Tickets: theory of random nodes against masked weights."""

    pruning: Pruning
    treatments: tuple[str, ...]

    @property
    def _rewind(self) -> int:
        """The time k in steps."""
        last = round(self.setting.stages[-1].end * self.dimension)
        return min(int(np.rint(self.pruning.rewind * self.dimension)), last)

    @cached_property
    def records(self) -> np.ndarray:
        """The compared times in steps, that of the rewinding among them."""
        return np.union1d(super().records, [self._rewind])

    def run(self, report: Callable[[float], None]) -> list[Cell]:
        """Both sides of every treatment."""
        theory, simulation, perturbed = self.studies(lambda fraction: report(0.8 * fraction))
        return self.cells(theory, simulation, perturbed, self.added(lambda fraction: report(0.8 + 0.2 * fraction)))

    def studies(self, report: Callable[[float], None]) -> tuple[TicketStudy, TicketStudy, dict[str, TicketStudy]]:
        """The study by theory, by simulation, and by theory with each rate changed, of one draw a start."""
        draws = self.starts * max(2, -(-min(max(self.runs, FEWEST_RUNS), _MOST_DRAWS) // self.starts))
        parts = [(self.setting, draws)] + [(self.setting.with_rate(name, 1.0 + _STEP), self.known) for name in self.rates]
        total, done, found = sum(count for _, count in parts), 0, []
        for setting, count in parts:

            def told(fraction: float, done: int = done, count: int = count) -> None:
                report(0.5 * (done + fraction * count) / total)

            found.append(self._theory_of(setting, count, told))
            done += count
        simulation = ticket_simulation(
            self.experiment,
            self.pruning,
            self.treatments,
            [self.initial[j] for j in self.start_of_run],
            self.dimension,
            self.runs,
            self.seed,
            None,
            self.at_records,
            lambda fraction: report(0.5 + 0.5 * fraction),
        )
        if simulation.run.size < self.runs:
            raise KeyboardInterrupt
        return found[0], simulation, dict(zip(self.rates, found[1:], strict=True))

    def _theory_of(self, setting: Setting, draws: int, report: Callable[[float], None]) -> TicketStudy:
        """Draw i begins at start i, counted round, whatever the setting."""
        k = min(self._rewind / self.dimension, self.experiment.protocol.duration)
        return ticket_theory(
            self.experiment,
            Pruning(**{**self.pruning.to_dict(), "rewind": k}),
            self.treatments,
            [self.initial[i % self.starts] for i in range(draws)],
            draws,
            self.seed,
            self.dimension,
            None,
            False,
            self.at_records,
            report,
            setting,
        )

    def cells(
        self, theory: TicketStudy, simulation: TicketStudy, perturbed: dict[str, TicketStudy], added: FiniteSize | None
    ) -> list[Cell]:
        """A cell for the dense training, of which alone it is known what finite D adds, and one for each treatment."""
        found = []
        for name in (DENSE, *self.treatments):
            lines = _draws(theory, name)
            nearby = {
                RATES[rate]: Perturbed(_STEP, dict(enumerate(_draws(study, name))))
                for rate, study in perturbed.items()
                if name not in _ERRATIC
            }
            found.append(
                Cell(
                    {**self.labels, "treatment": name},
                    self.experiment,
                    [lines[j :: self.starts] for j in range(self.starts)],
                    simulation.trajectories[name],
                    self.start_of_run,
                    nearby,
                    added if name == DENSE else None,
                )
            )
        return found


def _draws(study: TicketStudy, name: str) -> list[Trajectory]:
    """The course of a treatment in each draw of the nodes, its errors averaged by the net of that draw."""
    arrays: dict[str, Any] = {part: study.arrays[f"{name}.{part}"] for part in ("Q", "M", "v")}
    found = []
    for i in range(study.run.size):
        sound = np.isfinite(arrays["v"][i]).all(axis=-1)
        last = sound.size if sound.all() else int(np.argmin(sound))
        values = {part: value[i, :last] for part, value in arrays.items()}
        numerics = study.numerics.set(scrambling=study.numerics.scrambling + i)
        t = study.arrays[f"{name}.t"][:last]
        found.append(Trajectory(study.experiment, numerics, {"t": t, **values}, study.status, success=last == sound.size))
    return found
