"""Chosen observables of many runs, without their order parameters, and their statistics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import numbers, plain
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

_FIXED = ("t", "run")


def _quantiles(name: str, value: Any) -> Any:
    levels = numbers(name, value)
    if levels.ndim > 1 or (levels < 0).any() or (levels > 1).any():
        raise InputError(f"{name} = {shown(value)} is not allowed; give a number, or a list of numbers, from 0 to 1")
    return levels if levels.ndim else float(levels)


def _outcomes(name: str, value: Any) -> list[float]:
    outcomes = numbers(name, value)
    if outcomes.ndim != 1:
        raise InputError(f"{name} = {shown(value)} is not allowed; give a list of numbers, such as [0, 1, 2]")
    found: list[float] = plain(value)
    return found


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
    needed: ClassVar[tuple[str, ...]] = ("t", "run")
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
        if not isinstance(name, str) or name not in self.values:
            raise InputError(unknown("observable", name, list(self.values)))
        return self.arrays[name]

    @checked
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

    @checked
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

    @checked
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
        time = self._index(time)
        return np.atleast_2d(np.cov(np.array([value[:, time] for value in self.values.values()])))

    @checked(q=_quantiles)
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

    @checked(outcomes=_outcomes)
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

        n, time = self.run.size, self._index(time)
        count = np.array([int((self[name][:, time] == outcome).sum()) for outcome in outcomes])
        low, high = wilson_interval(count, n)
        return pd.DataFrame({name: list(outcomes), "runs": count, "frequency": count / n, "low": low, "high": high})

    def _index(self, time: int) -> int:
        if not -self.t.size <= time < self.t.size:
            raise InputError(f"time = {time} is not allowed; there are {self.t.size} times, numbered from 0 (or -1 for the last)")
        return time

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
