"""The result of a comparison: numbers, verdict, and the gaps between orders."""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri, stdtrit

from curriculode.sims.runs.ensemble import Ensemble
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.results.trajectory import Trajectory

if TYPE_CHECKING:
    import pandas as pd

_FALSE_ALARM = 1e-3  # chance that a cell in perfect agreement is called a disagreement, by its statistics alone
# Room for the shift of the mean at finite D, which many runs resolve: 20/D, but no more than D^(-1/2), times the quantity where
# that exceeds one; and twice the variance of a single run, which is of order 1/D too, and grows with it where an instability
# amplifies both.
_SHIFT, _AMPLIFIED = 20.0, 2.0
_FEWEST_STARTS = 8  # from which on standard errors are those between starts
# These jump, or have kinks, where a cosine crosses a threshold or another: shown, but no test of the equations.
_WIDEST_WITH_PAIRS = 8
_NOT_TESTED = ("covered_clusters", "specialization")


def standard_error(values: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, int]:
    """Standard error of the mean of `values` (runs, times) over the runs, and the number of independent values in it.

    Runs from one start (runs,) resemble each other, so with enough starts the means of the starts are the independent values.
    """
    numbers = np.unique(start)
    if numbers.size >= _FEWEST_STARTS:
        values = np.array([values[start == number].mean(axis=0) for number in numbers])
    count = values.shape[0]
    return (values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(values.shape[1], np.nan)), count


def compares_pairs(width: int) -> bool:
    """Whether every overlap Q_kl of two units is compared; for wide students their sum for each unit is."""
    return width <= _WIDEST_WITH_PAIRS


@dataclass(frozen=True)
class Cell:
    """One experiment of a comparison: the theory of each start, and the runs.

    theory : for each start, trajectories that differ in the scrambling of their averages only
    start_of_run : (runs,) index of the start of each run
    """

    labels: dict[str, Any]
    experiment: Experiment
    theory: list[list[Trajectory]]
    ensemble: Ensemble
    start_of_run: np.ndarray

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
        return None

    @cached_property
    def quantities(self) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each quantity: theory of each run's start (runs, times), simulation (runs, times), theory's error (times,)."""
        pairs = compares_pairs(self.experiment.student.width)
        theory = [
            [{**trajectory.observables(), **trajectory.entries(pairs)} for trajectory in scramblings] for scramblings in self.theory
        ]
        simulation = {**self.ensemble.observables(), **self.ensemble.entries(pairs)}
        n, weight = self.times, np.bincount(self.start_of_run, minlength=len(self.theory)) / self.start_of_run.size
        result = {}
        for name, runs in simulation.items():
            lines = np.array([[values[name][:n] for values in scramblings] for scramblings in theory])
            count = lines.shape[1]
            # With one scrambling a start, each another one, their error is part of the scatter between starts.
            variance = lines.var(axis=1, ddof=1) / count if count > 1 else np.zeros((len(theory), n))
            result[name] = lines.mean(axis=1)[self.start_of_run], runs[:, :n], np.sqrt(weight**2 @ variance)
        return result

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row a quantity and time; see `Comparison.to_frame`."""
        import pandas as pd

        kept = self.ensemble.finite
        runs = int(kept.sum())
        tests = max(self.times, 1) * sum(name not in _NOT_TESTED for name in self.quantities)
        start = self.start_of_run[kept]
        independent = standard_error(np.zeros((runs, 1)), start)[1]
        critical = -stdtrit(max(independent - 1, 1), 0.5 * _FALSE_ALARM / tests)
        # An error estimated from few scramblings may itself be far too small: Student's t against the normal says by how much.
        scramblings = len(self.theory[0])
        caution = stdtrit(scramblings - 1, _FALSE_ALARM / 2) / ndtri(_FALSE_ALARM / 2) if scramblings > 1 else 1.0
        parts = []
        for name, (theory, simulation, theory_error) in self.quantities.items():
            paired = (simulation - theory)[kept]
            deviation = paired.mean(axis=0) if runs else np.full(self.times, np.nan)
            scatter = paired.std(axis=0, ddof=1) if runs > 1 else np.full(self.times, np.nan)
            paired_error = standard_error(paired, start)[0]
            error = np.sqrt(paired_error**2 + theory_error**2)
            level = theory.mean(axis=0)
            rounding = 1e-5 * np.maximum(1.0, np.abs(level))  # tolerance of the integrator, with room to accumulate
            D = self.ensemble.dimension
            shift = np.maximum(1.0, np.abs(level)) * min(_SHIFT / D, D**-0.5) + _AMPLIFIED * scatter**2
            statistics = critical * np.sqrt(paired_error**2 + (caution * theory_error) ** 2)
            allowed = np.maximum(statistics, shift) + rounding
            with np.errstate(divide="ignore", invalid="ignore"):
                in_errors = np.where(np.abs(deviation) <= rounding, 0.0, deviation / error)
            parts.append(
                pd.DataFrame(
                    {
                        **self.labels,
                        "t": self.t,
                        "quantity": name,
                        "theory": level,
                        "simulation": simulation[kept].mean(axis=0) if runs else np.nan,
                        "simulation_error": standard_error(simulation[kept], start)[0],
                        "standard_error": paired_error,
                        "scatter": scatter,
                        "theory_error": theory_error,
                        "deviation": deviation,
                        "deviation_in_standard_errors": in_errors,
                        "deviation_in_inverse_root_D": deviation * np.sqrt(self.ensemble.dimension),
                        "allowed": allowed,
                        "tested": name not in _NOT_TESTED,
                        "agrees": np.abs(deviation) <= allowed,
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def agrees(self) -> bool:
        """Whether the theory holds at every tested quantity and time, to the end of the protocol."""
        return self.problem is None and bool(self.table.loc[self.table["tested"], "agrees"].all())


_SUMMARY = (
    "t", "accuracy_theory", "accuracy_simulation", "standard_error", "worst_quantity", "worst_in_standard_errors",
    "worst_in_inverse_root_D", "share_of_allowed",
)  # fmt: skip


def worst_row(table: "pd.DataFrame") -> "pd.Series":
    """The row that uses up the most of what is allowed; the first where nothing could be compared."""
    used = (table["deviation"].abs() / table["allowed"]).fillna(0.0)
    return table.iloc[int(used.to_numpy().argmax())]


@dataclass(frozen=True)
class Comparison:
    """Theory against simulation in one or more cells.

    The verdict: in each cell, at each time, and for each quantity (errors and every order parameter) the mean deviation of
    the runs from the theory of their own start must lie within the larger of

    * its standard error (runs and averages together) times the critical value of Student's t at a false-alarm rate of
      0.001 for the whole cell,
    * the room for the shift of the mean, which is of order 1/D: 20/D (at most D^(-1/2)) times the quantity where that exceeds
      one, plus twice the variance of a single run, which is of order 1/D as well and shows where an instability amplifies both.

    So the verdict sharpens as 1/D: at D = 200 a learning rate that is wrong by a tenth may pass, at D = 30,000 it does not.
    With one start all statements, the gaps too, are about that start.
    """

    cells: list[Cell]
    dimension: int
    seed: int
    status: str
    interrupted: bool = False

    @property
    def agrees(self) -> bool:
        """The verdict on all cells."""
        return bool(self.cells) and all(cell.agrees for cell in self.cells)

    def to_frame(self) -> "pd.DataFrame":
        """All numbers: one row a cell, quantity and time.

        theory, simulation : means over the runs (and their starts); simulation_error : standard error of the mean of the runs,
        scatter between starts included; standard_error : of the deviation, over runs (over starts
        where there are eight or more); scatter : of a single run's deviation;
        theory_error : of the theory's averages; deviation : simulation - theory, paired by start; then the deviation in
        standard errors and in units of D^(-1/2); allowed : the limit of the verdict; tested, agrees : whether it counts,
        whether it holds.
        """
        import pandas as pd

        return pd.concat([cell.table for cell in self.cells], ignore_index=True)

    def summary(self) -> "pd.DataFrame":
        """One row a cell: final accuracy at the hardest level by theory and simulation, the worst deviations, the verdict."""
        import pandas as pd

        rows = []
        for cell in self.cells:
            if cell.times == 0:  # the theory ended before the first time that was to be compared
                nothing = dict.fromkeys(_SUMMARY, np.nan)
                rows.append({**cell.labels, **nothing, "worst_quantity": "", "agrees": False, "problem": cell.problem or ""})
                continue
            tested = cell.table[cell.table["tested"]]
            final = cell.table[cell.table["quantity"] == "classification_error"].iloc[-1]
            worst = worst_row(tested)
            rows.append(
                {
                    **cell.labels,
                    "t": final["t"],
                    "accuracy_theory": 1.0 - final["theory"],
                    "accuracy_simulation": 1.0 - final["simulation"],
                    "standard_error": final["standard_error"],
                    "worst_quantity": worst["quantity"],
                    "worst_in_standard_errors": worst["deviation_in_standard_errors"],
                    "worst_in_inverse_root_D": worst["deviation_in_inverse_root_D"],
                    "share_of_allowed": abs(worst["deviation"]) / worst["allowed"],
                    "agrees": cell.agrees,
                    "problem": cell.problem or "",
                }
            )
        return pd.DataFrame(rows)

    def verdict(self) -> str:
        """The verdict as one sentence."""
        if self.agrees:
            worst = max(row["share_of_allowed"] for _, row in self.summary().iterrows())
            return (
                f"theory and simulation agree at D = {self.dimension}: the largest deviation is {100 * worst:.0f} % of what "
                "statistics and finite size allow"
            )
        bad = next(cell for cell in self.cells if not cell.agrees)
        where = ", ".join(f"{name} = {value}" for name, value in bad.labels.items()) or "the experiment"
        if bad.problem:
            return f"theory and simulation cannot be compared to the end for {where}: {bad.problem}"
        table = bad.table[bad.table["tested"]]
        row = worst_row(table)
        amplified = row["scatter"] * np.sqrt(self.dimension)
        hint = (
            f" (single runs scatter there by {amplified:.0f} D^(-1/2): an instability amplifies the fluctuations of finite D; "
            "a larger dimension tells whether the theory is to blame)"
        )
        return (
            f"theory and simulation disagree at D = {self.dimension} for {where}: {row['quantity']} at t = {row['t']:.4g} is "
            f"{row['simulation']:.4g} in simulation and {row['theory']:.4g} in theory, "
            f"{abs(row['deviation_in_standard_errors']):.1f} standard errors apart{hint if amplified > 10 else ''}"
        )

    def gaps(self) -> "pd.DataFrame":
        """Final accuracy gained over each other order, paired run by run (shared starts and seeds).

        One row for each pair of cells that differ in `protocol.order` only: gap by theory, by simulation, its standard error.
        """
        import pandas as pd

        def final(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
            theory, simulation, _ = cell.quantities["classification_error"]
            if cell.times < cell.ensemble.t.size:  # the theory diverged: there is no final value
                return np.full(len(theory), np.nan), np.full(len(theory), np.nan)
            return 1.0 - theory[:, -1], 1.0 - simulation[:, -1]

        rows = []
        for i, first in enumerate(self.cells):
            for second in self.cells[i + 1 :]:
                others = {k: v for k, v in first.labels.items() if k != "protocol.order"}
                if "protocol.order" not in first.labels or others != {
                    k: v for k, v in second.labels.items() if k != "protocol.order"
                }:
                    continue
                (theory_1, runs_1), (theory_2, runs_2) = final(first), final(second)
                finite = np.isfinite(runs_1 - runs_2)
                gap = (runs_1 - runs_2)[finite]
                error = standard_error(gap[:, None], first.start_of_run[finite])[0][0]
                rows.append(
                    {
                        **others,
                        "gap": f"{first.labels['protocol.order']} - {second.labels['protocol.order']}",
                        "theory": (theory_1 - theory_2).mean(),
                        "simulation": gap.mean() if gap.size else np.nan,
                        "standard_error": error,
                    }
                )
        return pd.DataFrame(rows)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Theory lines through simulation points with error bands; see `curriculode.figures.plots.comparison.plot_comparison`."""
        # Pictures live a floor above, which this one must not import: they are loaded by name when asked for.
        return import_module("curriculode.figures.plots.comparison").plot_comparison(self, ax=ax, **options)
