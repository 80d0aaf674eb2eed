"""One cell of a comparison: an experiment, the theory of each start, the runs, and what they say of each other."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.compare.verdict import FEWEST_RUNS, SHIFT, ErrorOfRate, Sample, Tested, covariances, error_of_rate, judge
from curriculode.sims.runs.finite_size import FiniteSize
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.pairs.record import Pair
from curriculode.theory.results.registered import OBSERVABLES
from curriculode.theory.results.states import Ensemble, StateRecord, Trajectory

if TYPE_CHECKING:
    import pandas as pd

_WIDEST_WITH_PAIRS = 8
# These jump, or have kinks, where a cosine crosses a threshold or another: no test of theory where only its mean is known.
_JUMPING = ("covered_clusters", "specialization")


def compares_pairs(width: int) -> bool:
    """Whether every overlap Q_kl of two units is compared; for wide students their sum for each unit is."""
    return width <= _WIDEST_WITH_PAIRS


def is_tested(name: str) -> bool:
    """Whether a quantity counts for the verdict."""
    return name not in _JUMPING and (name not in OBSERVABLES.names() or OBSERVABLES[name].tested)


_COLUMNS = (
    *("theory", "mean_field", "simulation", "simulation_error", "standard_error", "scatter", "predicted_scatter"),
    *("theory_error", "deviation"),
)


@dataclass(frozen=True)
class Perturbed:
    """Theory of some starts with one rate changed by a small relative `step`: what the verdict would be sensitive to.

    theory : start -> trajectory with the same net as the first of that start
    """

    step: float
    theory: dict[int, Trajectory] | dict[int, Pair]


@dataclass(frozen=True)
class Cell:
    """One experiment of a comparison: the theory of each start, and the runs.

    theory : for each start, trajectories (of two copies: pairs) that differ in the net of their averages only
    start_of_run : (runs,) index of the start of each run
    perturbed : name of a rate -> theory with that rate changed
    finite_size : what finite D adds to the theory, or None where that is not predicted
    moves : where it is not, D times the relative shift there is room for
    """

    labels: dict[str, Any]
    experiment: Experiment
    theory: list[list[Trajectory]] | list[list[Pair]]
    ensemble: Ensemble | Pair
    start_of_run: np.ndarray
    perturbed: dict[str, Perturbed] = field(default_factory=dict)
    finite_size: FiniteSize | None = None
    moves: float = SHIFT

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
        if self.finite_size is not None and not self.finite_size.finite.all():
            pairs = self.finite_size.finite
            return f"theory at finite D: {(~pairs).sum()} of {pairs.size} pairs of runs of the diffusion diverged"
        if self.ensemble.run.size < FEWEST_RUNS:
            return (
                f"{self.ensemble.run.size} runs are too few to tell chance from a disagreement; use at least {FEWEST_RUNS}, "
                "better 32"
            )
        return None

    def _read(self, record: StateRecord | Pair) -> dict[str, np.ndarray]:
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

    @cached_property
    def added(self) -> dict[str, np.ndarray] | None:
        """For each quantity what finite D adds to the equations by each pair, (pairs, 2, times)."""
        if self.finite_size is None:
            return None
        read = self._read(self.finite_size.paths)
        return {name: FiniteSize.deviations(value)[self.finite_size.finite, :, : self.times] for name, value in read.items()}

    def theory_of_runs(self, name: str) -> np.ndarray:
        """A quantity by the theory of each run's start, with what finite D adds in the mean, (runs, times)."""
        equations = self._equations(name)
        if self.added is not None and self.finite_size is not None:
            of_pair = self.finite_size.start_of_pair[self.finite_size.finite]
            for start in np.unique(of_pair):
                equations[start] += self.added[name][of_pair == start].mean(axis=(0, 1))
        return equations[self.start_of_run]

    @cached_property
    def rounding(self) -> float:
        """Relative error that the integrator may have left, ten times its tolerance; batch learning's are exact to 1e-5."""
        return max([1e-5, *(10.0 * trajectory.statistics.get("rtol", 0.0) for trajectory in chain(*self.theory))])

    @cached_property
    def verdicts(self) -> dict[str, Tested]:
        """The verdict on each quantity."""
        kept = self.ensemble.finite
        tests = max(self.times, 1) * sum(is_tested(name) for name in self.runs)
        start, of_pair = self.start_of_run[kept], self._start_of_pair
        found = {
            name: judge(
                self.lines[name],
                runs[kept],
                start,
                self.ensemble.dimension or 1,
                tests,
                self.rounding,
                None if self.added is None else self.added[name],
                of_pair,
                self.moves,
            )
            for name, runs in self.runs.items()
        }
        if self.added is not None and of_pair is not None:
            compared = {name: tested for name, tested in found.items() if is_tested(name) and tested.moved is not None}
            deviations = {name: self.runs[name][kept] - self._equations(name)[start] for name in compared}
            used = covariances(compared, deviations, {name: self.added[name] for name in compared}, start, of_pair)
            for name, share in used.items():
                found[name] = replace(found[name], used=found[name].used | {"covariance": share})
        return found

    def _equations(self, name: str) -> np.ndarray:
        """A quantity by the equations of each start, (starts, times)."""
        return np.array([nets.mean(axis=0) for nets in self.lines[name]])

    @property
    def _start_of_pair(self) -> np.ndarray | None:
        return None if self.finite_size is None else self.finite_size.start_of_pair[self.finite_size.finite]

    @cached_property
    def rate_errors(self) -> dict[str, ErrorOfRate]:
        """Rate -> the relative error of it that fits the runs best, over all quantities and times."""
        kept = self.ensemble.finite
        if not kept.any() or not self.times:
            return {rate: ErrorOfRate() for rate in self.perturbed}
        names = [name for name in self.runs if is_tested(name)]
        equations = {name: self._equations(name) for name in names}
        start = self.start_of_run[kept]
        runs = Sample(np.hstack([self.runs[name][kept] - equations[name][start] for name in names]), start)
        paths = None
        if self.added is not None and self._start_of_pair is not None:
            added = np.concatenate([self.added[name] for name in names], axis=-1)
            paths = Sample(added.reshape(-1, added.shape[-1]), np.repeat(self._start_of_pair, 2), paired=True)
        tested = [self.verdicts[name] for name in names]
        scatter = np.concatenate([each.scatter if paths is None else each.predicted_scatter for each in tested])
        room, error = (np.concatenate([getattr(each, of) for each in tested]) for of in ("room", "theory_error"))
        # What is not chance, and what theory errs by, is the same in all runs.
        variance = scatter**2 + (room**2 + error**2) * kept.sum()
        slopes = {
            rate: {j: self._slope(names, perturbed, j) for j in perturbed.theory} for rate, perturbed in self.perturbed.items()
        }
        return {rate: error_of_rate(slope, runs, paths, variance, room, len(slopes)) for rate, slope in slopes.items()}

    def _slope(self, names: list[str], perturbed: Perturbed, start: int) -> np.ndarray:
        """Change of all quantities at all times with the logarithm of a rate, one after the other."""
        changed = self._read(perturbed.theory[start])
        slope = np.zeros((len(names), self.times))  # beyond the end of what diverged nothing is known
        n = min(self.times, perturbed.theory[start].t.size)
        for row, name in zip(slope, names, strict=True):
            row[:n] = (changed[name][:n] - self.lines[name][start][0][:n]) / perturbed.step
        return slope.ravel()

    @property
    def found(self) -> dict[str, float]:
        """Rate -> the smallest relative error of it that this comparison would have called a disagreement; infinite for none."""
        return {rate: each.allowed for rate, each in self.rate_errors.items()}

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row a quantity and time; see `Comparison.to_frame`."""
        import pandas as pd

        names, verdicts = list(self.verdicts), list(self.verdicts.values())
        values = {column: np.concatenate([getattr(tested, column) for tested in verdicts]) for column in _COLUMNS}
        deviation, theory = values["deviation"], values["theory"]
        with np.errstate(divide="ignore", invalid="ignore"):
            nothing = np.abs(deviation) <= self.rounding * np.maximum(1.0, np.abs(theory))
            in_errors = np.where(nothing, 0.0, deviation / values["standard_error"])
        share = np.concatenate([tested.share for tested in verdicts])
        columns = {
            "t": np.tile(self.t, len(names)),
            "quantity": np.repeat(names, self.times),
            **values,
            "deviation_in_standard_errors": in_errors,
            "deviation_in_inverse_root_D": deviation * np.sqrt(self.ensemble.dimension or 1),
            "allowed": np.concatenate([tested.allowed for tested in verdicts]),
            "share_of_allowed": share,
            "worst_test": np.concatenate([tested.worst for tested in verdicts]),
            "tested": np.repeat([is_tested(name) for name in names], self.times),
            "agrees": share <= 1.0,
        }
        labels = {key: value if not isinstance(value, list) else str(value) for key, value in self.labels.items()}
        return pd.DataFrame({**labels, **columns})

    @cached_property
    def agrees(self) -> bool:
        """Whether the theory holds at every tested quantity and time, to the end of the protocol."""
        rates = all(each.agrees for each in self.rate_errors.values())
        tested = all((each.share <= 1.0).all() for name, each in self.verdicts.items() if is_tested(name))
        return self.problem is None and rates and tested
