"""Records of states: a trajectory of theory, an ensemble of runs, and what is read off both."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import number_within
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.dynamics.packing import state_names
from curriculode.theory.results.errors import errors
from curriculode.theory.results.observables import cosines, covered_clusters, escape_time, specialization
from curriculode.theory.results.record import Record
from curriculode.theory.results.registered import OBSERVABLES, observable_names, registered_values, scalar_names
from curriculode.theory.results.tangent import TangentReadings
from curriculode.theory.results.two_times import TwoTimes
from curriculode.theory.tangent.space import TANGENT

if TYPE_CHECKING:
    import pandas as pd

DIVERGED = 1e8  # an order parameter this many times its initial scale has left every regime of learning


def entry_names(blocks: int, width: int, references: int, pairs: bool = True) -> list[str]:
    """Names of all order parameters: `Q[k,l]` (k <= l), `M[k,p]`, `v[k]`; with several blocks `Q[b,k,l]`, `M[b,k,p]`.

    With `pairs=False` the K (K - 1) / 2 overlaps of different units are summed up as `Q[k,rest]`, one for each unit.
    """
    if pairs:
        return list(state_names(blocks, range(width), references, True))
    prefix = [""] if blocks == 1 else [f"{b}," for b in range(blocks)]
    names = [f"Q[{before}{k},{k}]" for before in prefix for k in range(width)]
    names += [f"Q[{before}{k},rest]" for before in prefix for k in range(width)]
    names += [f"M[{before}{k},{p}]" for before in prefix for k in range(width) for p in range(references)]
    return names + [f"v[{k}]" for k in range(width)]


class StateRecord(TangentReadings, TwoTimes, Record):
    """A record of order parameters; the leading axes of each array are times, or runs and times.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Examples per input dimension.
    Q : ndarray of shape (..., [blocks,] K, K)
        Overlaps of units.
    M : ndarray of shape (..., [blocks,] K, P)
        Overlaps of units with references.
    v : ndarray of shape (..., K)
        Readout.
    """

    kind: ClassVar[str] = "states"
    lead: ClassVar[tuple[str, ...]] = ("time",)
    needed: ClassVar[tuple[str, ...]] = ("t", "Q", "M", "v")
    t: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray

    def __init_subclass__(cls, **options: Any) -> None:
        lead = cls.lead
        cls.dimensions = {
            "t": ("time",),
            "Q": (*lead, "block", "unit", "other_unit"),
            "M": (*lead, "block", "unit", "reference"),
            "v": (*lead, "unit"),
            "remembered": ("memory",),
            "remembered_Q": (*lead[:-1], "memory", "block", "unit", "other_unit"),
            "remembered_M": (*lead[:-1], "memory", "block", "unit", "reference"),
            "remembered_v": (*lead[:-1], "memory", "unit"),
            "passengers": (*lead, "memory", "block", "unit", "other_unit"),
            "train_loss": lead,
            "changed_signs": (*lead, "memory"),
            "common_weights": (*lead, "memory", "share"),
            **cls.dimensions,
        }
        super().__init_subclass__(**options)

    def _scrambling(self, index: tuple[int, ...]) -> int:
        """Which net averages the errors of the state at `index`."""
        raise NotImplementedError

    @property
    def blocked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q (..., blocks, K, K), M (..., blocks, K, P) and v (..., K), always with the block axis."""
        one = self.Q.ndim == self.v.ndim + 1
        return (self.Q[..., None, :, :], self.M[..., None, :, :], self.v) if one else (self.Q, self.M, self.v)

    def _state(self, index: tuple[int, ...]) -> OrderParameters:
        return OrderParameters(self.Q[index], self.M[index], self.v[index])

    def _time(self, t: float | None) -> int:
        """The index of a recorded time, by default the last."""
        if t is None:
            return self.t.size - 1
        wanted = number_within("t", t, -np.inf, np.inf, "give one of the recorded times")
        if not self.t.size:
            raise InputError("there is no recorded time")
        nearest = int(np.argmin(np.abs(self.t - wanted)))
        if not np.isclose(self.t[nearest], wanted, rtol=1e-9, atol=1e-12):
            raise InputError(f"t = {shown(t)} was not recorded; the nearest recorded time is {self.t[nearest]:.12g}")
        return nearest

    @checked
    def errors(self, level: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the generalisation error E[l(f, y)] and the classification error P(sign f != y) at a level.

        Parameters
        ----------
        level : str, optional
            Its name, by default that of the hardest.

        Returns
        -------
        generalization : ndarray
            E[l(f, y)], leading axes as in `v`.
        classification : ndarray
            P(sign f != y), leading axes as in `v`.
        """
        if isinstance(self.experiment.training, TANGENT):
            names = [each.name for each in self.experiment.protocol.levels]
            return self._tangent_errors(names.index(self.experiment.protocol.level(level).name), self._scrambling)
        return errors(self.experiment, level, *self.blocked, self.numerics, self._scrambling)

    def level_errors(self) -> dict[str, np.ndarray]:
        """Return the classification error at each level.

        Returns
        -------
        dict of str to ndarray
            Name of the level -> P(sign f != y), leading axes as in `v`.
        """
        return {level.name: self.errors(level.name)[1] for level in self.experiment.protocol.levels}

    @cached_property
    def _hardest(self) -> tuple[np.ndarray, np.ndarray]:
        return self.errors()

    @property
    def generalization_error(self) -> np.ndarray:
        """E[l(f, y)] at the hardest level, leading axes as in `v`."""
        return self._hardest[0]

    @property
    def classification_error(self) -> np.ndarray:
        """P(sign f != y) at the hardest level, leading axes as in `v`."""
        return self._hardest[1]

    @cached_property
    def _references(self) -> np.ndarray:
        return self.experiment.task.reference_overlap()

    @cached_property
    def cosines(self) -> np.ndarray:
        """Cosines M_kp / sqrt(Q_kk T_pp) of units with references, over all blocks together, (..., K, P)."""
        Q, M, _ = self.blocked
        return cosines(Q, M, self._references)

    @cached_property
    def covered_clusters(self) -> np.ndarray:
        """Number of clusters of the XOR mixture that some unit covers, 0..4, leading axes as in `v`.

        Unit k covers the cluster (p, sign M_kp) of its cosine of largest size where that exceeds 1/2 and sign v_k is the
        cluster's label.
        """
        return covered_clusters(*self.blocked, self._references)

    @cached_property
    def specialization(self) -> np.ndarray:
        """Mean size of the cosines of student and teacher units in their best assignment, 0..1."""
        return specialization(self.cosines)[0]

    @cached_property
    def followers(self) -> np.ndarray:
        """Which student unit follows each teacher unit in that assignment, (..., P) of int; -1 for a teacher unit left alone."""
        return specialization(self.cosines)[1]

    @cached_property
    def escape_time(self) -> np.ndarray:
        """When the symmetric plateau is left (Saad & Solla 1995); (runs,) for an ensemble.

        The specialisation comes halfway from 1 / sqrt M, its most on the plateau, to 1 for the last time. NaN where it never does,
        and for a teacher of one unit.
        """
        return escape_time(self.t, self.specialization, self._references.shape[-1])

    @checked
    def observable(self, name: str) -> np.ndarray:
        """Return a scalar observable or an order parameter by name.

        Parameters
        ----------
        name : str
            Of an observable of the task or one registered for it, "accuracy", or an order parameter such as "Q[0,0]".

        Returns
        -------
        ndarray
            Leading axes as in `v`.

        Raises
        ------
        InputError
            For a name that is not known.
        """
        if name == "train_loss" and name in self.arrays:
            return self.arrays["train_loss"]
        if name == "accuracy" and "classification_error" in self.experiment.task.observable_names:
            return 1.0 - self.observable("classification_error")
        if name in observable_names(self.experiment.task):
            finite = np.isfinite(self.v).all(axis=-1)
            if name in self.experiment.task.observable_names:
                return np.where(finite, np.asarray(getattr(self, name), dtype=float), np.nan)
            return registered_values(OBSERVABLES[name], self.experiment, self.Q, self.M, self.v)
        entries = self.entries()
        if name not in entries:
            raise InputError(unknown("observable", name, [*scalar_names(self.experiment.task), *entries]))
        return entries[name]

    def observables(self) -> dict[str, np.ndarray]:
        """Return the scalar observables of the task, those registered for it among them.

        Returns
        -------
        dict of str to ndarray
            Name -> values, leading axes as in `v`.
        """
        learnt = {"train_loss": self.arrays["train_loss"]} if "train_loss" in self.arrays else {}
        return {name: self.observable(name) for name in observable_names(self.experiment.task)} | learnt

    @checked
    def entries(self, pairs: bool = True) -> dict[str, np.ndarray]:
        """Return each order parameter by name: `Q[k,l]` (k <= l), `M[k,p]`, `v[k]`; with several blocks `Q[b,k,l]`, `M[b,k,p]`.

        Parameters
        ----------
        pairs : bool, default True
            False sums up the overlaps of each unit with the others as `Q[k,rest]`.

        Returns
        -------
        dict of str to ndarray
            Name -> values, leading axes as in `v`.
        """
        Q, M, v = self.blocked
        blocks, K, P = M.shape[-3:]
        upper = [Q[..., b, k, m] for b in range(blocks) for k in range(K) for m in range(k, K if pairs else k + 1)]
        if not pairs:
            rest = Q.sum(axis=-1) - np.diagonal(Q, axis1=-2, axis2=-1)
            upper += [rest[..., b, k] for b in range(blocks) for k in range(K)]
        cross = [M[..., b, k, p] for b in range(blocks) for k in range(K) for p in range(P)]
        return dict(zip(entry_names(blocks, K, P, pairs), [*upper, *cross, *np.moveaxis(v, -1, 0)], strict=True))


class Trajectory(StateRecord):
    """The theory of an experiment from one start: mean-field dynamics, or the overlaps after each slice of batch learning.

    Made by `integrate`, `state_evolution` and `load_record`; its constructor is that of `Record`.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Examples per input dimension; of batch learning the ends of the slices.
    Q : ndarray of shape (times, [blocks,] K, K)
        Overlaps of units.
    M : ndarray of shape (times, [blocks,] K, P)
        Overlaps of units with references.
    v : ndarray of shape (times, K)
        Readout.
    success : bool
        Whether the end of the protocol was reached.
    status : str
        One sentence on how it ended and, where it failed, what to do.
    statistics : mapping of str to value
        Solver, steps, evaluations, seconds, and the averages with their standard errors (`averages`); of batch learning passes,
        residual (the certificate), quadrature and the strengths used (`regularization`, `coupling`).
    """

    kind: ClassVar[str] = "trajectory"
    lead: ClassVar[tuple[str, ...]] = ("time",)

    def _scrambling(self, index: tuple[int, ...]) -> int:
        return self.numerics.scrambling

    @checked(t=inside)
    def state(self, t: float | None = None) -> OrderParameters:
        """Return the order parameters at a recorded time: a start to go on from.

        Parameters
        ----------
        t : float, optional
            One of the recorded times, by default the last.

        Returns
        -------
        OrderParameters
            The state.

        Raises
        ------
        InputError
            For a time that was not recorded.
        """
        if not self.t.size:
            raise InputError("the trajectory has no recorded time")
        return self._state((self._time(t),))

    @cached_property
    def classification_standard_error(self) -> np.ndarray:
        """Standard error that nets leave in `classification_error`, (times,).

        From smaller nets along the whole trajectory where that was estimated (`statistics`); else that of the average at these very
        states, from eight other nets. Zero where it is a closed form.
        """
        averages = self.statistics.get("averages", {})
        if "classification_standard_error" in averages:
            return np.asarray(averages["classification_standard_error"])
        if isinstance(self.experiment.training, BatchSlices):
            return np.zeros(self.t.size)
        nets = [2**30 + 8 * self.numerics.scrambling + r for r in range(8)]
        others = [self.replace(numerics=self.numerics.set(scrambling=net)).errors()[1] for net in nets]
        return np.where(np.ptp(others, axis=0) == 0.0, 0.0, np.std(others, axis=0, ddof=1))

    @checked
    def to_frame(self, order_parameters: bool = True) -> "pd.DataFrame":
        """Return the trajectory as a table.

        Parameters
        ----------
        order_parameters : bool, default True
            Whether every order parameter is a column.

        Returns
        -------
        DataFrame
            One row a time: t, the observables and the order parameters; of batch learning also the strengths of each slice and
            the test error at each level.
        """
        import pandas as pd

        columns: dict[str, Any] = {"t": self.t}
        if batch := isinstance(self.experiment.training, BatchSlices):
            done = self.t.size
            columns["regularization"] = np.array(self.statistics["regularization"][:done])
            columns["coupling"] = np.array([0.0, *self.statistics["coupling"]][:done])
        columns |= {**self.observables(), **(self.entries() if order_parameters else {})}
        if batch:
            columns |= {f"error_at_{name}": error for name, error in self.level_errors().items()}
        return pd.DataFrame(columns)


class Ensemble(StateRecord):
    """Runs of an experiment at finite D.

    Made by `simulate`, `minimize` and `load_record`; its constructor is that of `Record`.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Examples per input dimension, whole numbers of steps over D; of batch learning the ends of the slices.
    Q : ndarray of shape (runs, times, [blocks,] K, K)
        Overlaps of units.
    M : ndarray of shape (runs, times, [blocks,] K, P)
        Overlaps of units with references.
    v : ndarray of shape (runs, times, K)
        Readout.
    start_Q, start_M, start_v : ndarray
        The start of each run, runs first (not of batch learning, whose minima have none).
    run : ndarray of int of shape (runs,)
        Its number, which fixes its random numbers.
    distance : ndarray of shape (runs, times)
        Of batch learning alone: certified root mean square distance of the weights from the minimiser.
    status : str
        One sentence: how many runs finished, were interrupted or diverged.
    success : bool
        Whether all runs finished, and were not interrupted.
    """

    kind: ClassVar[str] = "ensemble"
    lead: ClassVar[tuple[str, ...]] = ("run", "time")
    dimensions: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "run": ("run",),
        "start_Q": ("run", "block", "unit", "other_unit"),
        "start_M": ("run", "block", "unit", "reference"),
        "start_v": ("run", "unit"),
        "distance": ("run", "time"),
    }
    needed: ClassVar[tuple[str, ...]] = ("t", "Q", "M", "v", "run")
    run: np.ndarray

    def _check_shapes(self) -> None:
        super()._check_shapes()
        if "distance" not in self.arrays and not {"start_Q", "start_M", "start_v"} <= set(self.arrays):
            raise InputError(
                "Ensemble needs the starts of its runs, start_Q, start_M and start_v (or, of batch learning, distance)"
            )

    def _scrambling(self, index: tuple[int, ...]) -> int:
        # A net for each run, none of them one of the theory's: their error is part of the scatter between runs.
        return 2**30 + int(self.run[index[0]])

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it before all runs were finished."""
        return not self.success

    @property
    def starts(self) -> tuple[OrderParameters, ...]:
        """The start of each run; none of batch learning."""
        if "start_Q" not in self.arrays:
            return ()
        return tuple(OrderParameters(*state) for state in zip(self.start_Q, self.start_M, self.start_v, strict=True))

    @checked(t=inside)
    def state(self, t: float | None = None, run: int = 0) -> OrderParameters:
        """Return the order parameters of one run at a recorded time.

        Parameters
        ----------
        t : float, optional
            One of the recorded times, by default the last.
        run : int, default 0
            Which of the ensemble's runs, counted from 0.

        Returns
        -------
        OrderParameters
            The state.

        Raises
        ------
        InputError
            For a time that was not recorded, and a run that there is not.
        """
        if run >= self.run.size:
            raise InputError(f"run = {shown(run)} is not allowed; the ensemble has the runs 0 ... {self.run.size - 1}")
        return self._state((run, self._time(t)))

    @cached_property
    def finite(self) -> np.ndarray:
        """Which runs count, (runs,) of bool: finite to the end, and no further than 10^8 times their start, as in theory.

        Of batch learning those that came within the tolerance of every minimum.
        """
        runs = self.v.shape[0]
        parts = [np.abs(part).reshape(runs, -1).max(axis=1, initial=0.0) for part in (self.Q, self.M, self.v)]
        largest = np.max(parts, axis=0)
        if "distance" in self.arrays:
            return np.isfinite(largest) & (self.distance <= self.statistics["tolerance"]).all(axis=1)
        begins = [np.abs(part).reshape(runs, -1).max(axis=1) for part in (self.start_Q, self.start_M, self.start_v)]
        return largest < DIVERGED * np.maximum(1.0, np.max(begins, axis=0))

    @checked
    def to_frame(self, order_parameters: bool = False) -> "pd.DataFrame":
        """Return the ensemble as a table.

        Parameters
        ----------
        order_parameters : bool, default False
            Whether every order parameter is a column.

        Returns
        -------
        DataFrame
            One row a run and time: run, t, the observables and the order parameters; of batch learning also the test error at
            each level and the distance from the minimum.
        """
        import pandas as pd

        runs, times = self.v.shape[:2]
        values = {**self.observables(), **(self.entries() if order_parameters else {})}
        if "distance" in self.arrays:
            values |= {f"error_at_{name}": error for name, error in self.level_errors().items()}
            values["distance"] = self.distance
        columns = {"run": np.repeat(self.run, times), "t": np.tile(self.t, runs)}
        return pd.DataFrame({**columns, **{name: value.reshape(-1) for name, value in values.items()}})

    def summary(self) -> "pd.DataFrame":
        """Return mean, standard error and scatter over the finite runs of each observable.

        Returns
        -------
        DataFrame
            One row a time: t, and for each observable `NAME`, `NAME_standard_error` and `NAME_scatter`.
        """
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
