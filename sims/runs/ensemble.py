"""The result of a simulation: many runs of online SGD, recorded at common times."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.results.trajectory import StateRecord
from curriculode.theory.solve.staged_run import DIVERGED

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Ensemble(StateRecord):
    """Runs of an experiment at finite D.

    t : (times,)  examples per input dimension, whole numbers of steps over D
    Q : (runs, times, [blocks,] K, K), M : (runs, times, [blocks,] K, P), v : (runs, times, K)
    starts : the start of each run;  run : (runs,) its number, which fixes its random numbers
    status : one sentence: how many runs finished, were interrupted or diverged
    """

    experiment: Experiment
    dimension: int
    t: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    run: np.ndarray
    starts: tuple[OrderParameters, ...]
    status: str
    interrupted: bool = False
    averages: str = "auto"
    points: int = 1024
    statistics: dict[str, Any] = field(default_factory=dict)

    def _scrambling(self, index: tuple[int, ...]) -> int:
        # A net for each run, none of them one of the theory's: their error is part of the scatter between runs.
        return 2**30 + int(self.run[index[0]])

    @cached_property
    def finite(self) -> np.ndarray:
        """Which runs stayed finite to the end, (runs,) of bool; beyond 10^8 times its start a run has diverged, as in theory."""
        runs = self.v.shape[0]
        largest = np.max([np.abs(part).reshape(runs, -1).max(axis=1, initial=0.0) for part in (self.Q, self.M, self.v)], axis=0)
        scale = [max(1.0, *(np.abs(part).max() for part in (start.Q, start.M, start.v))) for start in self.starts]
        return largest < DIVERGED * np.array(scale)

    def to_frame(self, order_parameters: bool = False) -> "pd.DataFrame":
        """One row a run and time: run, t, the observables, and on request every order parameter."""
        import pandas as pd

        runs, times = self.v.shape[:2]
        values = {**self.observables(), **(self.entries() if order_parameters else {})}
        return pd.DataFrame(
            {
                "run": np.repeat(self.run, times),
                "t": np.tile(self.t, runs),
                **{name: value.reshape(-1) for name, value in values.items()},
            }
        )

    def summary(self) -> "pd.DataFrame":
        """One row a time: mean, standard error and scatter over the finite runs of each observable."""
        import pandas as pd

        columns: dict[str, np.ndarray] = {"t": self.t}
        count = int(self.finite.sum())
        for name, value in self.observables().items():
            kept = value[self.finite]
            columns[name] = kept.mean(axis=0) if count else np.full(self.t.size, np.nan)
            scatter = kept.std(axis=0, ddof=1) if count > 1 else np.full(self.t.size, np.nan)
            columns[f"{name}_standard_error"] = scatter / np.sqrt(max(count, 1))
            columns[f"{name}_scatter"] = scatter
        return pd.DataFrame(columns)
