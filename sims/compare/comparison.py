"""The result of a comparison: numbers, verdict, what it could have found, and the gaps between orders."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.compare.cell import Cell
from curriculode.sims.compare.verdict import shift_room, standard_error
from curriculode.theory.pairs.record import Pair
from curriculode.theory.tickets.study import DENSE

if TYPE_CHECKING:
    import pandas as pd


_SUMMARY = (
    "t",
    "accuracy_theory",
    "accuracy_simulation",
    "standard_error",
    "worst_quantity",
    "worst_in_standard_errors",
    "worst_in_inverse_root_D",
    "worst_test",
    "share_of_allowed",
)


_NOT_KNOWN = (
    "; what finite D adds is not known of reordered examples, and on a plateau that begins at random weights it is as large as "
    "what is learnt: begin from a state beyond it"
)


def _reordered(cell: Cell) -> bool:
    """Whether it is of two copies that meet the same examples in another order."""
    return isinstance(cell.ensemble, Pair) and cell.ensemble.examples == "reordered"


def worst_row(table: "pd.DataFrame") -> "pd.Series":
    """The row that uses up the most of what is allowed; the first where nothing could be compared."""
    return table.iloc[int(table["share_of_allowed"].fillna(0.0).to_numpy().argmax())]


@dataclass(frozen=True, repr=False)
class Comparison:
    """Theory against simulation in one or more cells.

    Theory at finite D is the equations from each start and what finite D adds to them, by pairs of paths of the diffusion with
    opposite noise (see `diffuse`). The verdict: in each cell, at each time, and for each quantity (errors and every order
    parameter), of the deviations of runs and of paths from the equations of their own start

    * the means agree,
    * the scatter agrees (Brown and Forsythe), and so does the distribution (Kolmogorov and Smirnov), where every start has at
      least two pairs,
    * and, over all of them together, no error of a rate of the learning explains the deviations better than chance,

    by Student's t and Kolmogorov's law, at a false-alarm rate of 0.001 for the whole cell, the error of the theory's nets
    included. Beyond chance a mean may differ by a tenth of what finite D adds to it, the next order in 1/D, and by ten times the
    integrator's tolerance. Batch learning has no such paths, nor have treatments of what was pruned and copies that meet reordered
    examples: their room is 20/D (at most D^(-1/2)) of the quantity's own scale, plus twice the variance of a single run, and the
    verdict says so. (The accuracy of tickets of K = 8 GELU units with a tenth of their weights is off by .001 +- .002 at D = 1000,
    and .001 +- .003 at 300.)

    `summary` says how sharp the verdict is: the smallest relative error of each rate that the comparison would have called a
    disagreement (`finds_learning_rate`, ...). With one start all statements, the gaps too, are about that start.

    Parameters
    ----------
    cells : list of Cell
        The finished cells: `labels`, `experiment`, `theory` of each start, `ensemble`.
    dimension : int
        D.
    seed : int or SeedSequence
        Of starts and runs.
    status : str
        One sentence: how many cells finished.
    interrupted : bool, default False
        Whether Ctrl-C ended it.
    """

    cells: list[Cell]
    dimension: int
    seed: Any
    status: str
    interrupted: bool = False

    def __repr__(self) -> str:
        return f"Comparison(D = {self.dimension}, {self.status}; {self.verdict() if self.cells else 'nothing to say'})"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<b>Comparison</b>, D = {self.dimension}: {escape(self.verdict())}{self.summary().to_html(index=False)}"

    @property
    def agrees(self) -> bool:
        """The verdict on all cells."""
        return bool(self.cells) and all(cell.agrees for cell in self.cells)

    def to_frame(self) -> "pd.DataFrame":
        """Return all numbers as a table.

        Returns
        -------
        DataFrame
            One row a cell, quantity and time. `theory`, `simulation`: means over the runs (and their starts), the former at
            finite D; `mean_field`: of the equations alone; `simulation_error`: standard error of the mean of the runs, scatter
            between starts included; `standard_error`: of the deviation, over runs and paths; `scatter`, `predicted_scatter`: of
            a single run's deviation from the equations, simulated and by theory; `theory_error`: of the theory's nets and paths;
            `deviation`: simulation - theory, paired by start; then the deviation in standard errors and in units of D^(-1/2);
            `allowed`: its limit; `share_of_allowed`, `worst_test`: how much the worst of the tests uses up of its limit, and
            which (mean, scatter, law or covariance); `tested`, `agrees`: whether it counts, whether it holds.
        """
        import pandas as pd

        return pd.concat([cell.table for cell in self.cells], ignore_index=True)

    def summary(self) -> "pd.DataFrame":
        """Return the essence of each cell as a table.

        Returns
        -------
        DataFrame
            One row a cell: final accuracy at the hardest level by theory and simulation, the worst deviations, the smallest error
            of each rate that would have been found, the verdict.
        """
        import pandas as pd

        rows = []
        for cell in self.cells:
            if cell.times == 0:  # the theory ended before the first time that was to be compared
                nothing = dict.fromkeys(_SUMMARY, np.nan)
                rows.append({**cell.labels, **nothing, "worst_quantity": "", "agrees": False, "problem": cell.problem or ""})
                continue
            tested = cell.table[cell.table["tested"]]
            # A task whose labels are no classes has no accuracy; its last time stands for that of the others.
            classes = "classification_error" in cell.runs
            final = cell.table[cell.table["quantity"] == ("classification_error" if classes else "v[0]")].iloc[-1]
            worst = worst_row(tested)
            rows.append(
                {
                    **cell.labels,
                    "t": final["t"],
                    "accuracy_theory": 1.0 - final["theory"] if classes else np.nan,
                    "accuracy_simulation": 1.0 - final["simulation"] if classes else np.nan,
                    "standard_error": final["standard_error"] if classes else np.nan,
                    "worst_quantity": worst["quantity"],
                    "worst_in_standard_errors": worst["deviation_in_standard_errors"],
                    "worst_in_inverse_root_D": worst["deviation_in_inverse_root_D"],
                    "worst_test": worst["worst_test"],
                    "share_of_allowed": worst["share_of_allowed"],
                    **{f"finds_{rate}": each.allowed for rate, each in cell.rate_errors.items()},
                    "agrees": cell.agrees,
                    "problem": cell.problem or "",
                }
            )
        return pd.DataFrame(rows)

    def verdict(self) -> str:
        """Return the verdict in words.

        Returns
        -------
        str
            One sentence.
        """
        if self.agrees:
            worst = max(row["share_of_allowed"] for _, row in self.summary().iterrows())
            return (
                f"theory and simulation agree at D = {self.dimension}: the largest deviation is {100 * worst:.0f} % of what "
                f"statistics and finite size allow{self._power()}{self._unpredicted()}"
            )
        bad = next(cell for cell in self.cells if not cell.agrees)
        where = ", ".join(f"{name} = {value}" for name, value in bad.labels.items()) or "the experiment"
        if bad.problem:
            return f"theory and simulation cannot be compared to the end for {where}: {bad.problem}"
        row = worst_row(bad.table[bad.table["tested"]])
        quantity, test = f"{row['quantity']} at t = {row['t']:.4g}", row["worst_test"]
        wrong = [(rate, each) for rate, each in bad.rate_errors.items() if not each.agrees]
        if row["agrees"] and wrong:
            rate, each = wrong[0]
            what = (
                f"the runs are as if their {rate.replace('_', ' ')} were {100 * each.error:+.2g} % off, "
                f"{abs(each.error) / each.standard_error:.1f} standard errors"
            )
        elif test == "scatter":
            what = f"{quantity} scatters by {row['scatter']:.3g} in simulation and {row['predicted_scatter']:.3g} in theory"
        elif test == "law":
            what = f"{quantity} has another distribution in simulation than in theory"
        elif test == "covariance":
            what = f"{quantity} goes together with others otherwise in simulation than in theory"
        else:
            what = (
                f"{quantity} is {row['simulation']:.4g} in simulation and {row['theory']:.4g} in theory, "
                f"{abs(row['deviation_in_standard_errors']):.1f} standard errors apart"
            )
        hint = _NOT_KNOWN if _reordered(bad) else ""
        return f"theory and simulation disagree at D = {self.dimension} for {where}: {what}{hint}"

    def _unpredicted(self) -> str:
        """What room there is for what finite D does to trainings of which that is not predicted, in words."""
        pruned = any(cell.labels.get("treatment", DENSE) != DENSE for cell in self.cells)
        if not pruned and not any(_reordered(cell) for cell in self.cells):
            return ""
        return (
            f"; what finite D adds to {'pruned training' if pruned else 'reordered examples'} is not predicted: it is allowed "
            f"{100 * shift_room(self.dimension):.2g} % of a quantity's scale"
        )

    def _power(self) -> str:
        """What would have been found, in words."""
        rates = dict.fromkeys(rate for cell in self.cells for rate in cell.found)
        words = []
        for rate in rates:
            # The verdict is on all cells: the sharpest of them finds an error that they share.
            error = min(cell.found.get(rate, np.inf) for cell in self.cells)
            size = "no error" if not np.isfinite(error) else f"an error of {100 * error:.2g} %"
            words.append(f"{size} in the {rate.replace('_', ' ')}")
        return f"; it would have noticed {', '.join(words)}" if words else ""

    def gaps(self) -> "pd.DataFrame":
        """Return the final accuracy gained over each other order, paired run by run (shared starts and seeds).

        Returns
        -------
        DataFrame
            One row for each pair of cells that differ in `protocol.order` only: gap by theory at finite D and `theory_error`, by
            simulation and `standard_error`; `mean_field`: by the equations alone.
        """
        import pandas as pd

        name = "classification_error"

        def final(cell: Cell) -> tuple[float, float, np.ndarray]:
            """Final accuracy by the equations, by theory at finite D, and of each run."""
            if name not in cell.runs or cell.times < cell.ensemble.t.size:  # the theory diverged: nothing is final
                return np.nan, np.nan, np.full(cell.ensemble.run.size, np.nan)
            tested = cell.verdicts[name]
            return 1.0 - tested.mean_field[-1], 1.0 - tested.theory[-1], 1.0 - cell.runs[name][:, -1]

        rows = []
        for i, first in enumerate(self.cells):
            for second in self.cells[i + 1 :]:
                others = {k: v for k, v in first.labels.items() if k != "protocol.order"}
                if "protocol.order" not in first.labels or others != {
                    k: v for k, v in second.labels.items() if k != "protocol.order"
                }:
                    continue
                (equations_1, theory_1, runs_1), (equations_2, theory_2, runs_2) = final(first), final(second)
                errors = [cell.verdicts[name].theory_error[-1] if name in cell.verdicts else np.nan for cell in (first, second)]
                finite = np.isfinite(runs_1 - runs_2)
                gap = (runs_1 - runs_2)[finite]
                error = standard_error(gap[:, None], first.start_of_run[finite])[0][0]
                rows.append(
                    {
                        **others,
                        "gap": f"{first.labels['protocol.order']} - {second.labels['protocol.order']}",
                        "mean_field": equations_1 - equations_2,
                        "theory": theory_1 - theory_2,
                        "theory_error": float(np.hypot(errors[0], errors[1])),
                        "simulation": gap.mean() if gap.size else np.nan,
                        "standard_error": error,
                    }
                )
        return pd.DataFrame(rows)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw theory as lines through simulation points with error bands.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw, for a comparison of one panel; by default on a new figure.
        **options : object
            `quantity`: "accuracy" (the default), an observable, or an order parameter such as "Q[0,0]".

        Returns
        -------
        Axes
            What was drawn on; an array of them for a new figure.
        """
        # Pictures live a floor above, which this one must not import: they are loaded by name when asked for.
        return import_module("curriculode.figures.plots.comparison").plot_comparison(self, ax=ax, **options)
