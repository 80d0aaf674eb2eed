"""The result of an integration: order parameters and observables over time, statistics, and a status sentence."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.theory.averages import FieldLaw, choose
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.results.observables import cosines, covered_clusters, escape_time, specialization

if TYPE_CHECKING:
    import pandas as pd


class StateRecord:
    """Observables of recorded order parameters; the leading axes of `states` are times, or runs and times.

    Subclasses hold `experiment`, `t` (times,), `Q` (..., [blocks,] K, K), `M` (..., [blocks,] K, P), `v` (..., K) and
    `averages`, `points`, the way and the net with which the errors are averaged.
    """

    experiment: Experiment
    t: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    averages: str
    points: int

    def _scrambling(self, index: tuple[int, ...]) -> int:
        """Which net averages the errors of the state at `index`."""
        raise NotImplementedError

    def _blocked(self) -> tuple[np.ndarray, np.ndarray]:
        one = self.Q.ndim == self.v.ndim + 1
        return (self.Q[..., None, :, :], self.M[..., None, :, :]) if one else (self.Q, self.M)

    def errors(self, level: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Generalisation error E[l(f, y)] and classification error P(sign f != y) at a `level`, by default the hardest."""
        task, student = self.experiment.task, self.experiment.student
        law = FieldLaw(task.example_law(self.experiment.protocol.level(level)), student.width, task.reference_overlap())
        Q, M = self._blocked()
        shape = self.v.shape[:-1]
        result = np.full((2, *shape), np.nan)
        order: np.ndarray | None = None
        with one_blas_thread():
            for index in np.ndindex(shape):
                if index[-1] == 0 or order is None:
                    net = self._scrambling(index)
                    engine = choose(
                        self.averages, student.g, self.experiment.training.loss, law, student.width, self.points, net, False
                    )  # fmt: skip
                    finite = np.isfinite(self.v[index]).all() and np.isfinite(Q[index]).all()
                    order = OrderParameters(Q[index], M[index], self.v[index]).canonical_order() if finite else None
                if order is not None and np.isfinite(self.v[index]).all() and np.isfinite(Q[index]).all():
                    law.update(Q[index][:, order][:, :, order], M[index][:, order])
                    result[(slice(None), *index)] = engine.errors(law, self.v[index][order])
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

    @cached_property
    def specialization(self) -> np.ndarray:
        """Mean |cosine| of the pairs of student and teacher units in their best assignment, 0..1."""
        return specialization(self.cosines)[0]

    @cached_property
    def followers(self) -> np.ndarray:
        """Which student unit follows each teacher unit in that assignment, (..., P) of int; -1 for a teacher unit left alone."""
        return specialization(self.cosines)[1]

    @cached_property
    def escape_time(self) -> np.ndarray:
        """When the symmetric plateau is left, see `curriculode.theory.results.observables.escape_time`; (runs,) for an ensemble."""
        return escape_time(self.t, self.specialization, self.experiment.task.reference_overlap().shape[-1])

    def observables(self) -> dict[str, np.ndarray]:
        """The scalar observables of the task by name."""
        finite = np.isfinite(self.v).all(axis=-1)
        return {
            name: np.where(finite, np.asarray(getattr(self, name), dtype=float), np.nan)
            for name in self.experiment.task.observable_names
        }

    def entries(self, pairs: bool = True) -> dict[str, np.ndarray]:
        """Each order parameter by name: `Q[k,l]` (k <= l), `M[k,p]`, `v[k]`; with several blocks `Q[b,k,l]`, `M[b,k,p]`.

        With `pairs=False` the K (K - 1) / 2 overlaps of different units are summed up as `Q[k,rest]`, one for each unit.
        """
        Q, M = self._blocked()
        blocks, K, P = M.shape[-3:]
        prefix = [""] if blocks == 1 else [f"{b}," for b in range(blocks)]
        last = K if pairs else 0
        result = {
            f"Q[{prefix[b]}{k},{m}]": Q[..., b, k, m] for b in range(blocks) for k in range(K) for m in range(k, max(last, k + 1))
        }
        if not pairs:
            rest = Q.sum(axis=-1) - np.diagonal(Q, axis1=-2, axis2=-1)
            result |= {f"Q[{prefix[b]}{k},rest]": rest[..., b, k] for b in range(blocks) for k in range(K)}
        result |= {f"M[{prefix[b]}{k},{p}]": M[..., b, k, p] for b in range(blocks) for k in range(K) for p in range(P)}
        return result | {f"v[{k}]": self.v[..., k] for k in range(K)}


@dataclass(frozen=True)
class Trajectory(StateRecord):
    """The mean-field dynamics of an experiment from one start.

    t : (times,)  examples per input dimension
    Q : (times, [blocks,] K, K), M : (times, [blocks,] K, P), v : (times, K)
    success : whether the end of the protocol was reached
    status : one sentence on how the integration ended and, where it failed, what to do
    averages, points, scrambling : the way of averaging that was asked for, and its net
    statistics : solver, steps, evaluations, seconds, and the averages with their standard errors (`averages`)
    """

    experiment: Experiment
    t: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    success: bool
    status: str
    averages: str = "auto"
    points: int = 1024
    scrambling: int = 0
    statistics: dict[str, Any] = field(default_factory=dict)

    def _scrambling(self, index: tuple[int, ...]) -> int:
        return self.scrambling

    @cached_property
    def classification_standard_error(self) -> np.ndarray:
        """Standard error that nets leave in `classification_error`, (times,).

        From smaller nets along the whole trajectory where that was estimated (`statistics`); else that of the average at these very
        states, from eight other nets. Zero where it is a closed form.
        """
        averages = self.statistics.get("averages", {})
        if "classification_standard_error" in averages:
            return averages["classification_standard_error"]
        others = [replace(self, scrambling=2**30 + 8 * self.scrambling + r).errors()[1] for r in range(8)]
        return np.where(np.ptp(others, axis=0) == 0.0, 0.0, np.std(others, axis=0, ddof=1))

    def to_frame(self, order_parameters: bool = True) -> "pd.DataFrame":
        """One row a time: t, the observables, and (unless told otherwise) every order parameter."""
        import pandas as pd

        columns = {"t": self.t, **self.observables(), **(self.entries() if order_parameters else {})}
        return pd.DataFrame(columns)
