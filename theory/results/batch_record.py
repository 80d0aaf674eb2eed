"""Records of batch learning: the overlaps after each slice, and the errors that follow from them in closed form or by one integral.

P(sign f != y) = arccos(R / sqrt(q_d T)) / pi,      q_d = sum_b Delta_db Q_b   at level d
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.batch.averages import fresh_loss
from curriculode.theory.batch.slices import Slices
from curriculode.theory.results.trajectory import StateRecord, Trajectory

if TYPE_CHECKING:
    import pandas as pd


class BatchRecord(StateRecord):
    """Observables of the overlaps after each slice; the leading axes are slices, or runs and slices."""

    def errors(self, level: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Generalisation error E[l(f, y)] and classification error P(sign f != y) at a `level`, by default the hardest."""
        protocol, slices = self.experiment.protocol, Slices.of(self.experiment)
        variance = slices.variance[[other.name for other in protocol.levels].index(protocol.level(level).name)]
        Q, M = self._blocked()
        q = Q[..., 0, 0] @ variance
        along = M[..., 0, 0, 0] / np.sqrt(slices.T)
        across = np.maximum(q - along**2, 0.0)
        classification = np.arctan2(np.sqrt(across), along) / np.pi
        generalization = np.empty_like(q)
        for index in np.ndindex(q.shape):
            generalization[index] = fresh_loss(slices.loss, along[index], across[index]) if np.isfinite(q[index]) else np.nan
        return generalization, classification

    def level_errors(self) -> dict[str, np.ndarray]:
        """Classification error at each level by its name."""
        return {level.name: self.errors(level.name)[1] for level in self.experiment.protocol.levels}


@dataclass(frozen=True)
class BatchTrajectory(BatchRecord, Trajectory):
    """The state evolution of batch learning: a `Trajectory` whose times are the ends of the slices.

    t : (slices,)  examples per input dimension up to the end of each slice
    Q : (slices, [blocks,] 1, 1), M : (slices, [blocks,] 1, 1), v : (slices, 1), all ones
    status : one sentence: whether the fixed points converged and, where one did not, what to do
    statistics : passes, residual (the certificate), quadrature, the strengths used (`regularization`, `coupling`), seconds
    """

    def to_frame(self, order_parameters: bool = True) -> "pd.DataFrame":
        """One row a slice: t, its strengths, the observables at the hardest level, the test error at each level, Q and M."""
        frame = super().to_frame(order_parameters)
        done = len(frame)
        frame.insert(1, "regularization", self.statistics["regularization"][:done])
        frame.insert(2, "coupling", [0.0, *self.statistics["coupling"]][:done])
        for name, error in self.level_errors().items():
            frame[f"error_at_{name}"] = error
        return frame
