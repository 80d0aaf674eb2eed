"""Chosen observables of many runs, without their order parameters, and their statistics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

_FIXED = ("t", "run")


class Observations(Record):
    """Chosen observables of many runs; each is an array (runs, times) of its name, and an item, `observations["accuracy"]`.

    Made by `observe` and `load_record`; its constructor is that of `Record`.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Examples per input dimension.
    run : ndarray of int of shape (runs,)
        Numbers of the runs.
    status : str
        One sentence: how many runs finished.
    success : bool
        Whether it was not interrupted.
    """

    kind: ClassVar[str] = "observations"
    dimensions: ClassVar[dict[str, tuple[str, ...]]] = {"t": ("time",), "run": ("run",)}
    other: ClassVar[tuple[str, ...]] = ("run", "time")
    t: np.ndarray
    run: np.ndarray

    @property
    def values(self) -> dict[str, np.ndarray]:
        """The observables by name, (runs, times)."""
        return {name: value for name, value in self.arrays.items() if name not in _FIXED}

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it before all runs were finished."""
        return not self.success

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.values:
            raise InputError(unknown("observable", name, list(self.values)))
        return self.arrays[name]

    def mean(self, name: str) -> np.ndarray:
        """Return the mean over the runs.

        Parameters
        ----------
        name : str
            Of the observable.

        Returns
        -------
        ndarray of shape (times,)
            NaN where a run diverged.
        """
        return self[name].mean(axis=0)

    def standard_error(self, name: str) -> np.ndarray:
        """Return the standard error of the mean over the runs.

        Parameters
        ----------
        name : str
            Of the observable.

        Returns
        -------
        ndarray of shape (times,)
            NaN where a run diverged.
        """
        return self[name].std(axis=0, ddof=1) / np.sqrt(self.run.size)

    def covariance(self, time: int = -1) -> np.ndarray:
        """Return the covariance over the runs of all observables, in their order.

        Parameters
        ----------
        time : int, default -1
            Index of the time.

        Returns
        -------
        ndarray of shape (names, names)
            In the order of `values`.
        """
        return np.atleast_2d(np.cov(np.array([value[:, time] for value in self.values.values()])))

    def quantile(self, name: str, q: float | Sequence[float]) -> np.ndarray:
        """Return quantiles over the runs.

        Parameters
        ----------
        name : str
            Of the observable.
        q : float or sequence of float
            In [0, 1].

        Returns
        -------
        ndarray
            Of the shape of `q` and then (times,).
        """
        return np.quantile(self[name], q, axis=0)

    def frequencies(self, name: str, outcomes: Sequence[float], time: int = -1) -> "pd.DataFrame":
        """Return how often each outcome of a whole-number observable was met, with its 95 % confidence interval (Wilson).

        Parameters
        ----------
        name : str
            Of the observable.
        outcomes : sequence of float
            Which to count.
        time : int, default -1
            Index of the time.

        Returns
        -------
        DataFrame
            One row an outcome: the outcome, `runs` that met it, `frequency`, `low` and `high`.
        """
        import pandas as pd

        n = self.run.size
        count = np.array([int((self[name][:, time] == outcome).sum()) for outcome in outcomes])
        low, high = wilson_interval(count, n)
        return pd.DataFrame({name: list(outcomes), "runs": count, "frequency": count / n, "low": low, "high": high})

    def to_frame(self) -> "pd.DataFrame":
        """Return mean, standard error, scatter and quantiles as a table.

        Returns
        -------
        DataFrame
            One row a time and observable; the quantiles are 5, 25, 50, 75 and 95 %.
        """
        import pandas as pd

        parts = []
        for name, value in self.values.items():
            columns = {"t": self.t, "observable": name, "mean": self.mean(name), "standard_error": self.standard_error(name)}
            levels = (0.05, 0.25, 0.5, 0.75, 0.95)
            quantiles = {f"q{100 * q:.0f}": row for q, row in zip(levels, self.quantile(name, levels), strict=True)}
            parts.append(pd.DataFrame({**columns, "scatter": value.std(axis=0, ddof=1), **quantiles}))
        return pd.concat(parts, ignore_index=True)


def wilson_interval(count: np.ndarray, n: int, z: float = 1.959964) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's confidence interval of a frequency: right also where the count is 0 or n."""
    p = count / n
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)
