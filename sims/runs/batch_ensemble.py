"""The result of minimisation at finite D: many runs of slices learnt to convergence."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from curriculode.sims.runs.ensemble import Ensemble
from curriculode.theory.batch import BatchRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BatchEnsemble(BatchRecord, Ensemble):
    """Runs of batch learning at finite D: an `Ensemble` whose times are the ends of the slices.

    t : (slices,);  Q, M : (runs, slices, [blocks,] 1, 1);  v : (runs, slices, 1), all ones;  starts : empty, as a minimum has none
    distance : (runs, slices) certified root mean square distance of the weights from the minimiser
    statistics : tolerance of `distance`, strengths used (`regularization`, `coupling`), seconds, workers
    """

    distance: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @cached_property
    def finite(self) -> np.ndarray:
        """Which runs came within the tolerance of every minimum, (runs,) of bool."""
        return np.isfinite(self.Q.reshape(self.Q.shape[0], -1)).all(axis=1) & (self.distance <= self.statistics["tolerance"]).all(
            axis=1
        )

    def to_frame(self, order_parameters: bool = False) -> "pd.DataFrame":
        """One row a run and slice: run, t, the observables, the test error at each level, the distance, on request Q and M."""
        frame = super().to_frame(order_parameters)
        for name, error in self.level_errors().items():
            frame[f"error_at_{name}"] = error.reshape(-1)
        frame["distance"] = self.distance.reshape(-1)
        return frame
