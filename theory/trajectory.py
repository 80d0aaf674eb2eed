"""The result of an integration: order parameters and observables over time, statistics, and a status sentence."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .averages import FieldLaw, QuasiMonteCarlo
from .dynamics import System
from .experiment import Experiment
from .observables import cosines, covered_clusters

if TYPE_CHECKING:
    import pandas as pd


class StateRecord:
    """Observables of recorded order parameters; the leading axes of `states` are times, or runs and times.

    Subclasses hold `experiment`, `t` (times,), `Q` (..., [blocks,] K, K), `M` (..., [blocks,] K, P), `v` (..., K) and
    `points`, the size of the net with which the errors are averaged.
    """

    experiment: Experiment
    t: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    points: int

    def _blocked(self) -> tuple[np.ndarray, np.ndarray]:
        one = self.Q.ndim == self.v.ndim + 1
        return (self.Q[..., None, :, :], self.M[..., None, :, :]) if one else (self.Q, self.M)

    def errors(self, level: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Generalisation error E[l(f, y)] and classification error P(sign f != y) at a `level`, by default the hardest."""
        task, student = self.experiment.task, self.experiment.student
        law = FieldLaw(task.example_law(self.experiment.protocol.level(level)), student.width)
        engine = QuasiMonteCarlo(student.g, self.experiment.training.loss, student.width, self.points)
        Q, M = self._blocked()
        shape = self.v.shape[:-1]
        result = np.full((2, *shape), np.nan)
        for index in np.ndindex(shape):
            if np.isfinite(self.v[index]).all():
                law.update(Q[index], M[index])
                result[(slice(None), *index)] = engine.errors(law, np.ascontiguousarray(self.v[index]))
        return result[0], result[1]

    @cached_property
    def _hardest(self) -> tuple[np.ndarray, np.ndarray]:
        return self.errors()

    @property
    def generalization_error(self) -> np.ndarray:
        """E[l(f, y)] at the hardest level, leading axes as in `v`."""
        return self._hardest[0]

    @property
    def classification_error(self) -> np.ndarray:
        """P(sign f != y) at the hardest level."""
        return self._hardest[1]

    @cached_property
    def cosines(self) -> np.ndarray:
        """Cosines of units with references, (..., K, P)."""
        return cosines(*self._blocked(), self.experiment.task.reference_overlap())

    @cached_property
    def covered_clusters(self) -> np.ndarray:
        """Number of clusters covered, 0..4."""
        return covered_clusters(*self._blocked(), self.v, self.experiment.task.reference_overlap())

    def observables(self) -> dict[str, np.ndarray]:
        """The scalar observables by name."""
        return {
            "generalization_error": self.generalization_error,
            "classification_error": self.classification_error,
            "covered_clusters": self.covered_clusters.astype(float),
        }

    def entries(self) -> dict[str, np.ndarray]:
        """Each order parameter by name: `Q[k,l]` (k <= l), `M[k,p]`, `v[k]`; with several blocks `Q[b,k,l]`, `M[b,k,p]`."""
        Q, M = self._blocked()
        blocks, K, P = M.shape[-3:]
        prefix = [""] if blocks == 1 else [f"{b}," for b in range(blocks)]
        result = {f"Q[{prefix[b]}{k},{m}]": Q[..., b, k, m] for b in range(blocks) for k in range(K) for m in range(k, K)}
        result |= {f"M[{prefix[b]}{k},{p}]": M[..., b, k, p] for b in range(blocks) for k in range(K) for p in range(P)}
        return result | {f"v[{k}]": self.v[..., k] for k in range(K)}


@dataclass(frozen=True)
class Trajectory(StateRecord):
    """The mean-field dynamics of an experiment from one start.

    t : (times,)  examples per input dimension
    Q : (times, [blocks,] K, K), M : (times, [blocks,] K, P), v : (times, K)
    success : whether the end of the protocol was reached
    status : one sentence on how the integration ended and, where it failed, what to do
    statistics : solver, steps, evaluations, seconds, and the averages with their standard errors (`averages`)
    """

    experiment: Experiment
    t: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    success: bool
    status: str
    points: int = 1024
    statistics: dict[str, Any] = field(default_factory=dict)

    def to_frame(self, order_parameters: bool = True) -> "pd.DataFrame":
        """One row a time: t, the observables, and (unless told otherwise) every order parameter."""
        import pandas as pd

        columns = {"t": self.t, **self.observables(), **(self.entries() if order_parameters else {})}
        return pd.DataFrame(columns)

    @property
    def system(self) -> System:
        """The constants of the equations."""
        return System.of(self.experiment)
