"""One cell of a comparison: an experiment, the theory of each start, the runs, and what they say of each other."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.compare.verdict import FEWEST_RUNS, Tested, found_by, judge
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.results.registered import OBSERVABLES
from curriculode.theory.results.states import Ensemble, StateRecord, Trajectory

if TYPE_CHECKING:
    import pandas as pd

_WIDEST_WITH_PAIRS = 8
# These jump, or have kinks, where a cosine crosses a threshold or another: shown, but no test of the equations.
_NOT_TESTED = ("covered_clusters", "specialization")


def compares_pairs(width: int) -> bool:
    """Whether every overlap Q_kl of two units is compared; for wide students their sum for each unit is."""
    return width <= _WIDEST_WITH_PAIRS


def is_tested(name: str) -> bool:
    """Whether a quantity counts for the verdict."""
    return name not in _NOT_TESTED and (name not in OBSERVABLES.names() or OBSERVABLES[name].tested)


@dataclass(frozen=True)
class Perturbed:
    """Theory of some starts with one rate changed by a small relative `step`: what the verdict would be sensitive to.

    theory : start -> trajectory with the same net as the first of that start
    """

    step: float
    theory: dict[int, Trajectory]


@dataclass(frozen=True)
class Cell:
    """One experiment of a comparison: the theory of each start, and the runs.

    theory : for each start, trajectories that differ in the net of their averages only
    start_of_run : (runs,) index of the start of each run
    perturbed : name of a rate -> theory with that rate changed
    """

    labels: dict[str, Any]
    experiment: Experiment
    theory: list[list[Trajectory]]
    ensemble: Ensemble
    start_of_run: np.ndarray
    perturbed: dict[str, Perturbed] = field(default_factory=dict)

    @cached_property
    def times(self) -> int:
        """Number of times up to which the theory of every start holds."""
        return min(trajectory.t.size for trajectory in chain(*self.theory))

    @property
    def t(self) -> np.ndarray:
        """Compared times, (times,)."""
        return self.ensemble.t[: self.times]

    @cached_property
    def problem(self) -> str | None:
        """Why the cell could not be compared to its end, or None."""
        for trajectory in chain(*self.theory):
            if not trajectory.success:
                return f"theory: {trajectory.status}"
        if not self.ensemble.finite.all():
            return f"simulation: {self.ensemble.status}"
        if self.ensemble.run.size < FEWEST_RUNS:
            return (
                f"{self.ensemble.run.size} runs are too few to tell chance from a disagreement; use at least {FEWEST_RUNS}, "
                "better 32"
            )
        return None

    def _read(self, record: StateRecord) -> dict[str, np.ndarray]:
        return {**record.observables(), **record.entries(compares_pairs(self.experiment.student.width))}

    @cached_property
    def lines(self) -> dict[str, list[np.ndarray]]:
        """For each quantity the theory of each start by each of its nets, (nets, times)."""
        read = [[self._read(trajectory) for trajectory in nets] for nets in self.theory]
        return {name: [np.array([each[name][: self.times] for each in nets]) for nets in read] for name in read[0][0]}

    @cached_property
    def runs(self) -> dict[str, np.ndarray]:
        """For each quantity the runs, (runs, times)."""
        return {name: value[:, : self.times] for name, value in self._read(self.ensemble).items()}

    def theory_of_runs(self, name: str) -> np.ndarray:
        """A quantity by the theory of each run's start, (runs, times)."""
        return np.array([nets.mean(axis=0) for nets in self.lines[name]])[self.start_of_run]

    @cached_property
    def rounding(self) -> float:
        """Relative error that the integrator may have left, ten times its tolerance; batch learning's are exact to 1e-5."""
        return max([1e-5, *(10.0 * trajectory.statistics.get("rtol", 0.0) for trajectory in chain(*self.theory))])

    @cached_property
    def verdicts(self) -> dict[str, Tested]:
        """The verdict on each quantity."""
        kept = self.ensemble.finite
        tests = max(self.times, 1) * sum(is_tested(name) for name in self.runs)
        return {
            name: judge(self.lines[name], runs[kept], self.start_of_run[kept], self.ensemble.dimension or 1, tests, self.rounding)
            for name, runs in self.runs.items()
        }

    @cached_property
    def found(self) -> dict[str, float]:
        """Rate -> the smallest relative error of it that this comparison would have called a disagreement; infinite for none."""
        result = {}
        for rate, perturbed in self.perturbed.items():
            changed = {start: self._read(trajectory) for start, trajectory in perturbed.theory.items()}
            smallest = np.inf
            for name, tested in self.verdicts.items():
                if not is_tested(name) or not self.times:
                    continue
                n = min(self.times, *(trajectory.t.size for trajectory in perturbed.theory.values()))
                slopes = np.array(
                    [(values[name][:n] - self.lines[name][start][0][:n]) / perturbed.step for start, values in changed.items()]
                )
                count = len(slopes)
                every = count == len(self.theory)  # then the mean is that of the comparison itself, and has no error
                error = np.zeros(n) if every else slopes.std(axis=0, ddof=1) / np.sqrt(count)
                part = Tested(*(getattr(tested, each)[:n] for each in Tested.__dataclass_fields__))
                smallest = min(smallest, float(found_by(part, slopes.mean(axis=0), error).min()))
            result[rate] = smallest
        return result

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row a quantity and time; see `Comparison.to_frame`."""
        import pandas as pd

        parts = []
        for name, tested in self.verdicts.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                nothing = np.abs(tested.deviation) <= self.rounding * np.maximum(1.0, np.abs(tested.theory))
                in_errors = np.where(nothing, 0.0, tested.deviation / tested.standard_error)
            columns = {
                "t": self.t,
                "quantity": name,
                "theory": tested.theory,
                "simulation": tested.simulation,
                "simulation_error": tested.simulation_error,
                "standard_error": tested.standard_error,
                "scatter": tested.scatter,
                "theory_error": tested.theory_error,
                "deviation": tested.deviation,
                "deviation_in_standard_errors": in_errors,
                "deviation_in_inverse_root_D": tested.deviation * np.sqrt(self.ensemble.dimension or 1),
                "allowed": tested.allowed,
                "tested": is_tested(name),
                "agrees": np.abs(tested.deviation) <= tested.allowed,
            }
            labels = {key: value if not isinstance(value, list) else str(value) for key, value in self.labels.items()}
            parts.append(pd.DataFrame({**labels, **columns}))
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def agrees(self) -> bool:
        """Whether the theory holds at every tested quantity and time, to the end of the protocol."""
        return self.problem is None and bool(self.table.loc[self.table["tested"], "agrees"].all())
