"""Orders of the same examples against each other: errors of every network, and what an order gains, paired over the seeds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.networks.describe import NetworkExperiment
from curriculode.sims.networks.record import MIXTURE
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import text
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown

if TYPE_CHECKING:
    import pandas as pd

_SURE = 0.05  # of all gaps together, that one is called significant where there is none


@dataclass(frozen=True, eq=False)
class OrderComparison:
    """Networks that saw the same examples in several orders.

    Parameters
    ----------
    experiment : NetworkExperiment
        What was varied.
    cells : list of dict
        The varied parameters of each cell.
    orders : tuple of str
        The orders.
    run : ndarray of int of shape (runs,)
        Numbers of the seeds.
    values : ndarray of shape (cells, orders, runs, 2, levels)
        Classification error and loss; NaN for networks that diverged or are missing.
    rates : ndarray of shape (cells, orders)
        The learning rate of each.
    scanned : DataFrame or None
        Mean error of every learning rate that was tried: cell, order, rate, error.
    status : str
        One sentence on how it ended.
    seed : int
        Of all runs.
    data : str
        The sha256 of the images.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    experiment: NetworkExperiment
    cells: list[dict[str, Any]]
    orders: tuple[str, ...]
    run: np.ndarray
    values: np.ndarray
    rates: np.ndarray
    scanned: "pd.DataFrame | None"
    status: str
    seed: int
    data: str
    interrupted: bool = False

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, and the mixture."""
        return (*(level.name for level in self.experiment.protocol.levels), MIXTURE)

    @property
    def errors(self) -> np.ndarray:
        """Classification errors (cells, orders, runs, levels), that on the mixture last."""
        errors = self.values[..., 0, :]
        return np.concatenate([errors, (errors @ np.array(self.experiment.protocol.shares))[..., None]], axis=-1)

    def to_frame(self) -> "pd.DataFrame":
        """Return every network as a row for each level.

        Returns
        -------
        DataFrame
            The varied parameters, order, learning_rate, run, level, classification_error.
        """
        import pandas as pd

        errors, rows = self.errors, []
        for i, j, r, k in np.ndindex(errors.shape):
            labels = {**self.cells[i], "order": self.orders[j], "learning_rate": self.rates[i, j]}
            rows.append({**labels, "run": int(self.run[r]), "level": self.levels[k], "classification_error": errors[i, j, r, k]})
        return _written(pd.DataFrame(rows))

    def summary(self) -> "pd.DataFrame":
        """Return means over the seeds.

        Returns
        -------
        DataFrame
            One row a cell, order and level: the varied parameters, order, learning_rate, level, classification_error,
            standard_error.
        """
        import pandas as pd

        errors, rows = self.errors, []
        for i, j, k in np.ndindex(errors.shape[:2] + errors.shape[3:]):
            mean, error, count = _mean(errors[i, j, :, k])
            labels = {**self.cells[i], "order": self.orders[j], "learning_rate": self.rates[i, j], "level": self.levels[k]}
            rows.append({**labels, "classification_error": mean, "standard_error": error, "runs": count})
        return _written(pd.DataFrame(rows))

    @checked(reference=text)
    def gaps(self, reference: str = "random") -> "pd.DataFrame":
        """Return what every order gains in accuracy over a reference, paired over the seeds.

        Parameters
        ----------
        reference : str, default "random"
            An order that was compared.

        Returns
        -------
        DataFrame
            One row a cell, order and level: the varied parameters, order, level, `gain` (error of the reference less that of the
            order), its `standard_error`, `p` of a paired t test, the number of `pairs`, and whether it is `significant` at 5 % for
            all rows together (Bonferroni).

        Raises
        ------
        InputError
            For an order that was not compared.
        """
        import pandas as pd
        from scipy.stats import ttest_1samp

        errors, base, rows = self.errors, self._place(reference), []
        for i, j, k in np.ndindex(errors.shape[:2] + errors.shape[3:]):
            if j == base:
                continue
            gap = errors[i, base, :, k] - errors[i, j, :, k]
            gap = gap[np.isfinite(gap)]
            mean, error, count = _mean(gap)
            p = float(ttest_1samp(gap, 0.0).pvalue) if count > 1 and np.ptp(gap) > 0 else np.nan
            labels = {**self.cells[i], "order": self.orders[j], "level": self.levels[k]}
            rows.append({**labels, "gain": mean, "standard_error": error, "p": p, "pairs": count})
        table = pd.DataFrame(rows)
        if len(table):
            table["significant"] = table["p"] < _SURE / len(table)
        return _written(table)

    @checked(over=text, order=text, reference=text)
    def trend(self, over: str = "network.width", order: str = "curriculum", reference: str = "random") -> "pd.DataFrame":
        """Return how the gain of an order changes as a parameter doubles: the slope in log2 of it, fitted seed by seed.

        Parameters
        ----------
        over : str, default "network.width"
            A varied parameter of numbers above 0.
        order, reference : str
            The orders.

        Returns
        -------
        DataFrame
            One row a level and combination of the other parameters: `slope` of the gain a doubling, `standard_error`, `p` of a t
            test of no slope over the seeds, `pairs`.

        Raises
        ------
        InputError
            For a parameter that was not varied.
        """
        import pandas as pd
        from scipy.stats import ttest_1samp

        if not self.cells or over not in self.cells[0]:
            raise InputError(unknown("over", over, list(self.cells[0]) if self.cells else []))
        given = [cell[over] for cell in self.cells]
        if any(isinstance(value, (list, str, bool)) or value <= 0 for value in given) or len(set(given)) < 2:
            raise InputError(f"over = {over!r} has the values {shown(given)}; a trend needs at least two numbers above 0")
        gap = self.errors[:, self._place(reference)] - self.errors[:, self._place(order)]  # (cells, runs, levels)
        rest = [str({name: value for name, value in cell.items() if name != over}) for cell in self.cells]
        rows = []
        for each in dict.fromkeys(rest):
            here = [i for i, other in enumerate(rest) if other == each]
            x = np.log2([float(given[i]) for i in here])
            weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
            for k, level in enumerate(self.levels):
                slopes = weights @ gap[here, :, k]
                slopes = slopes[np.isfinite(slopes)]
                mean, error, count = _mean(slopes)
                p = float(ttest_1samp(slopes, 0.0).pvalue) if count > 1 and np.ptp(slopes) > 0 else np.nan
                others = {name: value for name, value in self.cells[here[0]].items() if name != over}
                rows.append({**others, "level": level, "slope": mean, "standard_error": error, "p": p, "pairs": count})
        return _written(pd.DataFrame(rows))

    def verdict(self) -> str:
        """Return in a sentence which gains over the random order, or the last order where that is not among them, are significant.

        Returns
        -------
        str
            The sentence.
        """
        if len(self.orders) < 2:
            return f"one order alone, {self.orders[0]}: nothing to compare; {self.status}"
        reference = "random" if "random" in self.orders else self.orders[-1]
        gaps = self.gaps(reference)
        if not np.isfinite(gaps["p"]).any():
            return f"too few runs to tell any gain over {reference}, or none differs; {self.status}"
        sure = gaps[gaps["significant"]]
        if not len(sure):
            words = f"no gain over {reference} is significant among {len(gaps)}"
        else:
            row = sure.iloc[int(sure["gain"].abs().argmax())]
            cell = ", ".join(f"{name} {row[name]}" for name in (self.cells[0] if self.cells else {}))
            words = (
                f"{len(sure)} of {len(gaps)} gains over {reference} are significant; the largest: {row['order']} "
                f"{100 * row['gain']:+.1f} ± {100 * row['standard_error']:.1f} % at {row['level']}{f' ({cell})' if cell else ''}"
            )
        edge = self._at_edge()
        words += f"; the best rate of {edge} lies at an end of those tried" if edge else ""
        return f"{words}; {self.status}"

    def _at_edge(self) -> str:
        """Orders whose best rate is the smallest or largest that was tried."""
        if self.scanned is None:
            return ""
        tried = np.sort(self.scanned["rate"].unique())
        if tried.size < 3:
            return ""
        at = np.isin(self.rates, [tried[0], tried[-1]])
        return f"{int(at.sum())} of {at.size} cells and orders" if at.any() else ""

    def plot(self, level: str | None = None, ax: Any = None) -> Any:
        """Draw the gain of every order over the random one against the first varied parameter.

        Parameters
        ----------
        level : str, optional
            By default a panel for each level.
        ax : Axes, optional
            Where to draw one level.

        Returns
        -------
        Axes
            What was drawn on; an array of them for several levels.
        """
        from importlib import import_module  # pictures live a floor above, which this one must not import: loaded by name

        return import_module("curriculode.figures.plots.networks").plot_gains(self, level, ax=ax)

    def _place(self, order: str) -> int:
        if order not in self.orders:
            raise InputError(unknown("order", order, list(self.orders)))
        return self.orders.index(order)

    def __repr__(self) -> str:
        return f"OrderComparison({', '.join(self.orders)}; {len(self.cells)} cells, {self.run.size} runs; {self.status})"


def _mean(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, standard error and number of what is finite."""
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan"), 0
    error = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")
    return float(values.mean()), error, int(values.size)


def _written(table: "pd.DataFrame") -> "pd.DataFrame":
    """A table whose lists are texts, as in a file."""
    for name in table.columns:
        if any(isinstance(value, (list, tuple)) for value in table[name]):
            table[name] = [str(list(value)) if isinstance(value, (list, tuple)) else value for value in table[name]]
    return table
