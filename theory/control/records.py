"""The records of control: what an example is worth when, and an optimal order or rate beside the classical ones."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import text
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.results.record import Record

if TYPE_CHECKING:
    import pandas as pd


class Worth(Record):
    """What one more example of each level at a time would change in the objective, over D.

    Made by `worth`; along the protocol of its experiment. With `s = worth.mean("easy")`, one more example of the level "easy" at
    the time t changes the objective by s(t) / D.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Middles of the intervals, examples per input dimension.
    length : ndarray of shape (times,)
        Of the intervals; the worth is the mean over each.
    worth : ndarray of shape (starts, times, levels)
        s_d = costate . (eta A_d + eta^2 B_d), the switching function.
    learning_rate : ndarray of shape (starts, times)
        Derivative of the objective by eta(t), over the length of the interval; eta_v keeps its ratio to eta.
    weight_decay : ndarray of shape (starts, times)
        Derivative by kappa(t), likewise.
    probability : ndarray of shape (times, levels)
        Of the protocol.
    value : ndarray of shape (starts,)
        The objective itself.
    """

    kind: ClassVar[str] = "worth"
    dimensions: ClassVar[Any] = {
        "t": ("time",),
        "length": ("time",),
        "worth": ("start", "time", "level"),
        "learning_rate": ("start", "time"),
        "weight_decay": ("start", "time"),
        "probability": ("time", "level"),
        "value": ("start",),
    }
    needed: ClassVar[tuple[str, ...]] = tuple(dimensions)
    t: np.ndarray
    length: np.ndarray
    worth: np.ndarray
    learning_rate: np.ndarray
    weight_decay: np.ndarray
    probability: np.ndarray
    value: np.ndarray

    @property
    def levels(self) -> list[str]:
        """Names of the levels."""
        return [level.name for level in self.experiment.protocol.levels]

    def _of(self, name: str) -> np.ndarray:
        """(starts, times) of a level's worth, "learning_rate" or "weight_decay"."""
        if name in self.levels:
            return self.worth[:, :, self.levels.index(name)]
        if name in ("learning_rate", "weight_decay"):
            return self.arrays[name]
        raise InputError(unknown("quantity", name, [*self.levels, "learning_rate", "weight_decay"]))

    @checked(quantity=text)
    def mean(self, quantity: str) -> np.ndarray:
        """Return the mean over starts of the worth of a level, or of a sensitivity.

        Parameters
        ----------
        quantity : str
            Name of a level, "learning_rate" or "weight_decay".

        Returns
        -------
        ndarray of shape (times,)
            The mean.
        """
        return self._of(quantity).mean(axis=0)

    @checked(quantity=text)
    def standard_error(self, quantity: str) -> np.ndarray:
        """Return the standard error of the mean over starts; zero for one start.

        Parameters
        ----------
        quantity : str
            Name of a level, "learning_rate" or "weight_decay".

        Returns
        -------
        ndarray of shape (times,)
            The standard error.
        """
        values = self._of(quantity)
        count = len(values)
        return values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(values.shape[1])

    def to_frame(self) -> "pd.DataFrame":
        """Return means over starts and their standard errors as a table.

        Returns
        -------
        DataFrame
            One row a time: t, length, of each level its probability, worth and `_error`, and the sensitivities.
        """
        import pandas as pd

        columns: dict[str, Any] = {"t": self.t, "length": self.length}
        for i, name in enumerate(self.levels):
            columns[f"probability_{name}"] = self.probability[:, i]
            columns[f"worth_{name}"], columns[f"worth_{name}_error"] = self.mean(name), self.standard_error(name)
        for name in ("learning_rate", "weight_decay"):
            columns[f"by_{name}"], columns[f"by_{name}_error"] = self.mean(name), self.standard_error(name)
        return pd.DataFrame(columns)


class Optimum(Record):
    """The best order or rates that were found, as a protocol in stages: `experiment` is the optimal one.

    Made by `optimize`.

    Attributes
    ----------
    t : ndarray of shape (stages,)
        Middles of the stages.
    length : ndarray of shape (stages,)
        Of the stages.
    probability : ndarray of shape (stages, levels)
        Of the levels.
    learning_rate : ndarray of shape (stages,)
        eta of the weights.
    values : ndarray of shape (protocols, tests)
        The objective of the protocols named in `protocols`, the optimum first, from each of the starts that it is judged by: those
        of the test, else those it was optimised on. Integrated at the tolerance of `integrate`, errors as they are; infinite where
        the equations diverge.
    history : ndarray of shape (improvements,)
        The objective each time it became smaller, mean over the starts that are optimised on.
    statistics : mapping of str to value
        `protocols`, `objective`, `control`, `tested` (whether on other starts), `beginning`, the protocol that the best search
        began with, `values_of_beginnings`, `evaluations`, `budget_error`, `interrupted`.
    """

    kind: ClassVar[str] = "optimum"
    dimensions: ClassVar[Any] = {
        "t": ("stage",),
        "length": ("stage",),
        "probability": ("stage", "level"),
        "learning_rate": ("stage",),
        "values": ("protocol", "test"),
        "history": ("improvement",),
    }
    needed: ClassVar[tuple[str, ...]] = tuple(dimensions)
    t: np.ndarray
    length: np.ndarray
    probability: np.ndarray
    learning_rate: np.ndarray
    values: np.ndarray
    history: np.ndarray

    @property
    def protocols(self) -> list[str]:
        """Names of the protocols that are compared, "optimum" first."""
        return list(self.statistics["protocols"])

    @property
    def _counted(self) -> np.ndarray:
        """Starts from which no protocol diverges."""
        kept = np.isfinite(self.values).all(axis=0)
        return self.values[:, kept] if kept.any() else self.values

    @property
    def value(self) -> float:
        """Mean of the objective of the optimum over the starts that it is judged by."""
        return float(self._counted[0].mean())

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the search: the optimum is the best until then."""
        return bool(self.statistics.get("interrupted", False))

    def to_frame(self) -> "pd.DataFrame":
        """Return the optimum beside the classical orders.

        Returns
        -------
        DataFrame
            One row a protocol: its mean objective and standard error over starts; what the optimum gains on it and the standard
            error of that, paired by start; the number of starts from which it diverges, which count for no protocol.
        """
        import pandas as pd

        values = self._counted
        gain = values - values[0]
        count = values.shape[1]
        root = np.sqrt(count)
        unknown_error = np.full(len(values), np.nan)
        return pd.DataFrame(
            {
                "protocol": self.protocols,
                "value": values.mean(axis=1),
                "standard_error": values.std(axis=1, ddof=1) / root if count > 1 else unknown_error,
                "gain": gain.mean(axis=1),
                "gain_error": gain.std(axis=1, ddof=1) / root if count > 1 else unknown_error,
                "diverged": (~np.isfinite(self.values)).sum(axis=1),
            }
        )

    def stages(self) -> "pd.DataFrame":
        """Return the stages of the optimum.

        Returns
        -------
        DataFrame
            One row a stage: t, length, probability of each level, learning_rate.
        """
        import pandas as pd

        names = [f"probability_{level.name}" for level in self.experiment.protocol.levels]
        columns = {"t": self.t, "length": self.length, **dict(zip(names, self.probability.T, strict=True))}
        return pd.DataFrame({**columns, "learning_rate": self.learning_rate})

    def bang_bang(self) -> Experiment:
        """Return the nearest protocol of pure stages, of the same numbers of examples.

        Every stage becomes one of its most probable level, neighbours of one level are joined, and the lengths of each level's
        stages are scaled to its number of examples.

        Returns
        -------
        Experiment
            In stages of one level each, whose rates are the means of the optimum's.
        """
        from curriculode.theory.control.schedule import Schedule

        edges, chosen, rates = self._runs()
        pure = np.eye(self.probability.shape[1])[chosen]
        written = self.statistics["rates_written"]
        return Schedule(edges, pure, rates).written(self.experiment, bool(written))

    @property
    def switching_times(self) -> np.ndarray:
        """When `bang_bang()` changes from one level to another, (switches,)."""
        return self._runs()[0][1:-1]

    def _runs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges (N + 1,), levels (N,) and rates (N,) of the nearest protocol of pure stages."""
        budget = self.length @ self.probability
        levels: list[int] = []
        lengths: list[float] = []
        weighted: list[float] = []
        shown = self.probability.argmax(axis=1)
        for level in np.flatnonzero(budget > 0.0):
            if level not in shown:  # it is never the most probable: where it is most so, it stands alone
                shown[self.probability[:, level].argmax()] = level
        for level, length, eta in zip(shown, self.length, self.learning_rate, strict=True):
            if levels and levels[-1] == level:
                lengths[-1] += length
                weighted[-1] += length * eta
            else:
                levels.append(int(level))
                lengths.append(float(length))
                weighted.append(float(length * eta))
        chosen, before = np.array(levels), np.array(lengths)
        scaled = before * np.array([budget[level] / before[chosen == level].sum() for level in levels])
        return np.concatenate([[0.0], np.cumsum(scaled)]), chosen, np.array(weighted) / before
