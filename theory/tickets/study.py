"""The record of a study of tickets: each treatment's course, from theory or from simulation."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import text
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.results.record import Record
from curriculode.theory.results.states import Ensemble, Trajectory
from curriculode.theory.tickets.coordinates import Coordinates
from curriculode.theory.tickets.treatments import Course, Outcome

if TYPE_CHECKING:
    import pandas as pd

DENSE = "dense"
_PARTS = {
    "t": ("time",),
    "Q": ("run", "time", "block", "unit", "other_unit"),
    "M": ("run", "time", "block", "unit", "reference"),
    "v": ("run", "time", "unit"),
    "signs": ("run", "time", "unit"),
    "kept": ("run", "unit"),
    "signal": ("run", "unit", "reference"),
}


class TicketStudy(Record):
    """What is kept of a network, and what becomes of it: by theory one run a draw of nodes, by simulation one a network.

    Made by `tickets` and `load_record`; its constructor is that of `Record`. Arrays are called TREATMENT.NAME, with "dense" for the
    training before the pruning: `t` (times of that treatment), `Q`, `M`, `v` over all coordinates that are kept, `kept` the share
    of its weights that each unit keeps, `signal` the share of |u_p|^2 on the coordinates that it keeps; with `signs` also that, the
    share of the weights kept whose sign is not that of the treatment's beginning.

    Attributes
    ----------
    run : ndarray of int of shape (runs,)
        Numbers of the runs.
    status : str
        One sentence on how it ended.
    success : bool
        Whether all runs and treatments came to their end.
    """

    kind: ClassVar[str] = "tickets"
    dimensions: ClassVar[dict[str, tuple[str, ...]]] = {"run": ("run",)}
    needed: ClassVar[tuple[str, ...]] = ("run", "dense.t", "dense.Q", "dense.M", "dense.v")
    run: np.ndarray

    def _dimensions(self, name: str) -> tuple[str, ...]:
        treatment, _, part = name.rpartition(".")
        if not treatment or part not in _PARTS:
            return super()._dimensions(name)
        return tuple(f"{each} of {treatment}" if each == "time" else each for each in _PARTS[part])

    @property
    def pruning(self) -> Pruning:
        """What was kept."""
        return Pruning(**self.statistics["pruning"])

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of the treatments."""
        return tuple(self.statistics["treatments"])

    @property
    def by_theory(self) -> bool:
        """Whether it is theory; else a simulation."""
        return self.dimension is None

    def _single(self) -> bool:
        return self.by_theory and self.run.size == 1

    @cached_property
    def trajectories(self) -> dict[str, Any]:
        """The course of each treatment, and of the dense training: a `Trajectory`, or of several runs an `Ensemble`."""
        return {name: self._course(name) for name in (DENSE, *self.treatments)}

    def _course(self, name: str) -> Trajectory | Ensemble:
        t, Q, M, v = (self.arrays[f"{name}.{part}"] for part in ("t", "Q", "M", "v"))
        if self._single():
            return Trajectory(self.experiment, self.numerics, {"t": t, "Q": Q[0], "M": M[0], "v": v[0]}, self.status, self.success)
        starts = {"start_Q": Q[:, 0], "start_M": M[:, 0], "start_v": v[:, 0]}
        arrays = {"t": t, "Q": Q, "M": M, "v": v, "run": self.run, **starts}
        return Ensemble(self.experiment, self.numerics, arrays, self.status, self.success, self.seed, self.dimension)

    @cached_property
    def begins(self) -> dict[str, Any]:
        """What each treatment begins with, summed over all that is kept: `OrderParameters`, or a tuple of them, one a run."""
        found = {}
        for name in self.treatments:
            Q, M, v = (self.arrays[f"{name}.{part}"] for part in ("Q", "M", "v"))
            states = tuple(OrderParameters(Q[i, 0], M[i, 0], v[i, 0]) for i in range(self.run.size))
            found[name] = states[0] if self._single() else states
        return found

    @property
    def signal_kept(self) -> np.ndarray:
        """The share of |u_p|^2 on the coordinates that unit k keeps by the first treatment's mask, ([runs,] K, P).

        With one block and stratum, by large-final, p + h a^2 / (q T_pp), a = M_kp(T), q = Q_kk(T): more than the share p.
        """
        signal = self.arrays[f"{self.treatments[0]}.signal"]
        return signal[0] if self._single() else signal

    @checked(treatment=text)
    def sign_changes(self, treatment: str = "ticket") -> np.ndarray:
        """Return the share of the weights kept whose sign is not that of the treatment's beginning, of a study with `signs`.

        Parameters
        ----------
        treatment : str, default "ticket"
            One that is trained under a mask.

        Returns
        -------
        ndarray of shape ([runs,] times)
            At the times of the treatment, mean over units by the weights that they keep.

        Raises
        ------
        InputError
            For what the study has not.
        """
        if f"{treatment}.signs" not in self.arrays:
            raise InputError(f"the study knows no signs of treatment {treatment!r}; make it with tickets(..., signs=True)")
        kept = np.nan_to_num(self.arrays[f"{treatment}.kept"])[:, None]
        found = (np.nan_to_num(self.arrays[f"{treatment}.signs"]) * kept).sum(axis=-1) / kept.sum(axis=-1)
        changes: np.ndarray = found[0] if self._single() else found
        return changes

    def final(self, name: str = "generalization_error") -> "pd.DataFrame":
        """Return an observable at the end of each treatment.

        Parameters
        ----------
        name : str, default "generalization_error"
            Of an observable or order parameter, or "accuracy".

        Returns
        -------
        DataFrame
            One row a run, one column a treatment, "dense" first.
        """
        import pandas as pd

        columns = {each: np.atleast_1d(self.trajectories[each].observable(name)[..., -1]) for each in (DENSE, *self.treatments)}
        return pd.DataFrame(columns, index=pd.Index(self.run, name="run"))

    def paired(self, one: str, other: str, name: str = "generalization_error") -> dict[str, float]:
        """Return how much more `one` ends with than `other`, paired over runs.

        Parameters
        ----------
        one, other : str
            Names of treatments.
        name : str, default "generalization_error"
            Of the observable.

        Returns
        -------
        dict of str to float
            `difference`, `standard_error`, and `p`, that of a paired t test of no difference.
        """
        from scipy.stats import ttest_1samp

        table = self.final(name)
        for each in (one, other):
            if each not in table:
                raise InputError(f"treatment {each!r} is not in the study; it has {', '.join(map(str, table))}")
        gap = (table[one] - table[other]).to_numpy()
        if gap.size < 2 or np.ptp(gap) == 0.0:
            return {"difference": float(gap.mean()), "standard_error": float("nan"), "p": float("nan")}
        error = float(gap.std(ddof=1) / np.sqrt(gap.size))
        return {"difference": float(gap.mean()), "standard_error": error, "p": float(ttest_1samp(gap, 0.0).pvalue)}

    def to_frame(self) -> "pd.DataFrame":
        """Return the study as a table.

        Returns
        -------
        DataFrame
            One row a treatment, run and time: treatment, run, t, the share `kept`, and the observables.
        """
        import pandas as pd

        parts = []
        for name in (DENSE, *self.treatments):
            course, t = self.trajectories[name], self.arrays[f"{name}.t"]
            kept = self.arrays[f"{name}.kept"].mean(axis=1) if name != DENSE else np.ones(self.run.size)
            columns = {"treatment": name, "run": np.repeat(self.run, t.size), "t": np.tile(t, self.run.size)}
            columns["kept"] = np.repeat(kept, t.size)
            parts.append(pd.DataFrame({**columns, **{key: value.reshape(-1) for key, value in course.observables().items()}}))
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> "pd.DataFrame":
        """Return what each treatment begins and ends with.

        Returns
        -------
        DataFrame
            One row a treatment: `kept`, and of each observable its mean at the beginning, `NAME_begin`, at the end, `NAME`, and the
            standard error of the end over runs.
        """
        import pandas as pd

        rows = []
        for name in (DENSE, *self.treatments):
            kept = 1.0 if name == DENSE else float(self.arrays[f"{name}.kept"].mean())
            row: dict[str, Any] = {"treatment": name, "kept": kept}
            for key, value in self.trajectories[name].observables().items():
                values = np.atleast_2d(value)
                row[f"{key}_begin"], row[key] = values[:, 0].mean(), values[:, -1].mean()
                count = values.shape[0]
                row[f"{key}_standard_error"] = values[:, -1].std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
            rows.append(row)
        return pd.DataFrame(rows)


def study_of(
    experiment: Experiment,
    pruning: Pruning,
    treatments: tuple[str, ...],
    found: Sequence[tuple[Outcome, Coordinates]],
    members: Sequence[int],
    numerics: Numerics,
    order: Sequence[np.ndarray],
    **fields: Any,
) -> TicketStudy:
    """The record of what came of each run; `order` is of each the numbers that its units had.

    Courses that failed are filled up with NaN.
    """
    arrays: dict[str, np.ndarray] = {"run": np.array(members, dtype=np.int64)}
    failures = []
    T = np.asarray(experiment.task.reference_overlap()).sum(axis=0).diagonal()
    for name in (DENSE, *treatments):
        courses: list[Course | None] = [_course_of(outcome, name) for outcome, _ in found]
        longest = max((course for course in courses if course is not None), key=lambda course: course.t.size, default=None)
        if longest is None:
            # The dense training of every run failed before anything was pruned.
            dense = found[0][0].dense
            longest = Course(dense.t[:0], dense.Q[:0], dense.M[:0], dense.v[:0])
        arrays[f"{name}.t"] = longest.t
        for part in ("Q", "M", "v", *(() if longest.signs is None else ("signs",))):
            shape = getattr(longest, part).shape
            values = np.full((len(found), *shape), np.nan)
            for i, course in enumerate(courses):
                if course is not None:
                    back = np.argsort(order[i])
                    value = getattr(course, part)
                    value = value[..., back, :] if part in "QM" else value[..., back]
                    values[i, : len(value)] = value[..., back] if part == "Q" else value
            blocked = part in "QM" and values.shape[2] == 1
            arrays[f"{name}.{part}"] = values[:, :, 0] if blocked else values
        failures += [course.failure for course in courses if course is not None and course.failure is not None]
        if name == DENSE:
            continue
        kept, signal = np.full((len(found), arrays["dense.v"].shape[-1]), np.nan), None
        signal = np.full((*kept.shape, T.size), np.nan)
        for i, (outcome, coordinates) in enumerate(found):
            if name in outcome.treated:
                mask, back = outcome.treated[name].mask, np.argsort(order[i])
                kept[i] = (mask @ coordinates.share)[back]
                with np.errstate(divide="ignore", invalid="ignore"):
                    signal[i] = (outcome.treated[name].signal / T)[back]
        arrays[f"{name}.kept"], arrays[f"{name}.signal"] = kept, signal
    status = fields.pop("status")
    if failures:
        status = f"{status}; of {len(found)} runs {len(failures)} trainings failed, the first: {failures[0]}"
    statistics = {**fields.pop("statistics", {}), "pruning": pruning.to_dict(), "treatments": list(treatments)}
    return TicketStudy(
        experiment, numerics, arrays, status, success=fields.pop("success", True) and not failures, statistics=statistics, **fields
    )


def _course_of(outcome: Outcome, name: str) -> Course | None:
    if name == DENSE:
        return outcome.dense
    return outcome.treated[name].course if name in outcome.treated else None
