"""The records of control: what an example is worth when, and an optimal order or rate beside the classical ones."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.theory.control.kinds import kind_of
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import text
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

    from curriculode.theory.control.schedule import Schedule


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
    singular : ndarray of shape (starts, times, 3), optional
        With `singular=True`, where each interval begins: the share p* of the first of two levels on a singular arc there, the slope
        lambda . [f_h, g] of the gap of worths, which vanishes on such an arc, and lambda . [g, [f_h, g]], negative there.
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
        "singular": ("start", "time", "arc"),
    }
    needed: ClassVar[tuple[str, ...]] = tuple(name for name in dimensions if name != "singular")
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
        if "singular" in self.arrays:
            for i, name in enumerate(("share", "slope", "kelley")):
                columns[f"singular_{name}"] = self.arrays["singular"][:, :, i].mean(axis=0)
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
        began with, `values_of_beginnings`, `converged` (of each search), `promise` (what the derivatives at the optimum promise
        of going on, by control: nothing where it is one), `evaluations`, `budget_error`, `interrupted`.
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
    def counted(self) -> np.ndarray:
        """Which of the starts that it is judged by count, (tests,): those from which no protocol diverges."""
        kept = np.isfinite(self.values).all(axis=0)
        return kept if kept.any() else np.ones_like(kept)

    @property
    def _counted(self) -> np.ndarray:
        return self.values[:, self.counted]

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
        return self._pure()[0].written(self.experiment, bool(self.statistics["rates_written"]))

    @property
    def switching_times(self) -> np.ndarray:
        """When `bang_bang()` changes from one level to another, (switches,)."""
        return self._pure()[0].edges[1:-1]

    @property
    def best_order(self) -> str:
        """The simplest kind of order that is as good as the optimum, out of `kinds`.

        An order is as good where it loses, in the mean over the starts it is judged by, at most a twentieth of what separates the
        best protocol from the worst of curriculum, random and anti-curriculum; where that is less than a thousandth of the
        objective, the order does not matter.
        """
        if "order" not in self.statistics["control"]:
            raise InputError('the order of this optimum was not varied; optimize with control = ["order"] tells which kind is best')
        levels = self._pure()[1].tolist()
        return kind_of(dict(zip(self.protocols, self._counted.mean(axis=1), strict=True)), levels, self.probability.shape[1])

    def _pure(self) -> "tuple[Schedule, np.ndarray]":
        from curriculode.theory.control.schedule import Schedule, nearest_pure

        edges = np.concatenate([[0.0], np.cumsum(self.length)])
        return nearest_pure(Schedule(edges, self.probability, self.learning_rate))
