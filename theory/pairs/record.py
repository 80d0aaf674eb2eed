"""The record of a pair: two copies of a student, what they have in common, and the line between them."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import text, truth
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.dynamics.pair import joint_overlaps
from curriculode.theory.pairs.line import ALPHAS, Line, checked_alphas, states_along
from curriculode.theory.pairs.matching import MOST_ENUMERATED, assigned, every_match, parity, rearranged
from curriculode.theory.pairs.names import BARRIERS, ERRORS, SECOND, cross_names, of_one_unit
from curriculode.theory.results.errors import errors
from curriculode.theory.results.record import Record
from curriculode.theory.results.registered import observable_names
from curriculode.theory.results.states import Ensemble, StateRecord, Trajectory
from curriculode.theory.units.activations import SIGN

if TYPE_CHECKING:
    import pandas as pd

STABLE = 0.02  # Frankle et al. 2020: a network is stable where the barrier is below 2 % of the error
WAYS = ("overlaps", "enumeration")
_STATE = {
    "Q": ("copy", "block", "unit", "other_unit"),
    "M": ("copy", "block", "unit", "reference"),
    "v": ("copy", "unit"),
    "X": ("block", "unit", "unit_of_copy_2"),
    "order": ("unit",),
    "sign": ("unit",),
}


def one_error(name: str, value: Any) -> str:
    """The name of one of the errors."""
    if not isinstance(value, str) or value not in ERRORS:
        raise InputError(unknown(name, value, ERRORS))
    return value


def _way(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in WAYS:
        raise InputError(unknown(name, value, WAYS))
    return value


class Pair(Record):
    """Two copies of a student from the time on at which they part, by theory or by simulation.

    Made by `branch` and `load_record`; its constructor is that of `Record`. A simulation has its pairs of runs in front.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Examples per input dimension, from the branching on.
    Q : ndarray of shape ([runs,] times, 2, [blocks,] K, K)
        Overlaps of the units of each copy.
    M : ndarray of shape ([runs,] times, 2, [blocks,] K, P)
        Overlaps of the units of each copy with the references.
    v : ndarray of shape ([runs,] times, 2, K)
        Readouts.
    X : ndarray of shape ([runs,] times, [blocks,] K, K)
        Cross overlaps X_kl = w1_k . w2_l / D.
    status : str
        One sentence on how it ended.
    success : bool
        Whether the end of the protocol was reached, in all runs.
    """

    kind: ClassVar[str] = "pair"
    dimensions: ClassVar[dict[str, tuple[str, ...]]] = {"t": ("time",), "run": ("run",), **dict.fromkeys(_STATE, ())}
    needed: ClassVar[tuple[str, ...]] = ("t", "Q", "M", "v", "X")
    t: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    X: np.ndarray

    def _dimensions(self, name: str) -> tuple[str, ...]:
        if name not in _STATE:
            return super()._dimensions(name)
        return (*(("run",) if "run" in self.arrays else ()), "time", *_STATE[name])

    @property
    def by_theory(self) -> bool:
        """Whether it is theory; else a simulation."""
        return "run" not in self.arrays

    @property
    def run(self) -> np.ndarray:
        """Numbers of the pairs of runs, (runs,) of int; of theory 0."""
        return self.arrays.get("run", np.zeros(1, dtype=np.int64))

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended a simulation before its last pair."""
        return not self.by_theory and not self.success

    @property
    def at(self) -> float:
        """The time of the branching."""
        return float(self.statistics["at"])

    @property
    def examples(self) -> str:
        """Which examples the copies meet: "independent", "same" or "reordered"."""
        return str(self.statistics["examples"])

    @property
    def blocked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Q, M, v and X, always with the block axis."""
        one = self.Q.ndim == self.v.ndim + 1
        Q, M, X = ((part[..., None, :, :] if one else part) for part in (self.Q, self.M, self.X))
        return Q, M, self.v, X

    @cached_property
    def copies(self) -> tuple[Any, Any]:
        """Each copy as a `Trajectory`, or of several pairs of runs as an `Ensemble` that starts at the branching."""
        first, second = (self._copy(copy) for copy in range(2))
        return first, second

    def _copy(self, copy: int) -> StateRecord:
        axis = 1 if self.by_theory else 2
        arrays = {name: np.take(getattr(self, name), copy, axis=axis) for name in "QMv"}
        if self.by_theory:
            return Trajectory(self.experiment, self.numerics, {"t": self.t, **arrays}, self.status, self.success)
        starts = {f"start_{name}": value[:, 0] for name, value in arrays.items()}
        arrays = {"t": self.t, "run": self.arrays["run"], **arrays, **starts}
        return Ensemble(self.experiment, self.numerics, arrays, self.status, self.success, self.seed, self.dimension)

    @cached_property
    def finite(self) -> np.ndarray:
        """Which pairs of runs count, (runs,) of bool: both copies finite to the end; of theory one of True."""
        if self.by_theory:
            return np.ones(1, bool)
        first, second = self.copies
        return np.asarray(first.finite & second.finite)

    @cached_property
    def has_classes(self) -> bool:
        """Whether labels are classes: whose error a barrier is of by default."""
        law = self.experiment.task.example_law(self.experiment.protocol.level())
        if not law.teacher.exists:
            return bool((np.abs(law.label) == 1.0).all())
        return law.teacher.sign or law.teacher.activation == SIGN

    def _net(self, index: tuple[int, ...]) -> int:
        return self.numerics.scrambling if self.by_theory else 2**30 + int(self.arrays["run"][index[0]])

    def _quantity(self, error: str | None) -> str:
        return error or ERRORS[self.has_classes]

    @checked(alphas=inside, beyond=truth, t=inside)
    def interpolate(
        self, alphas: ArrayLike | None = None, level: str | None = None, beyond: bool = False, t: float | None = None
    ) -> Line:
        """Return the errors along the straight line w = alpha w1 + (1 - alpha) w2 between the copies, v likewise.

        Parameters
        ----------
        alphas : array_like of float, optional
            Where, from 0 (copy 2) to 1 (copy 1); by default 33 places, both ends and the middle among them.
        level : str, optional
            Of the errors, by default the hardest.
        beyond : bool, default False
            Whether alphas outside [0, 1] are allowed.
        t : float, optional
            One of the recorded times, by default all of them.

        Returns
        -------
        Line
            Both errors, ([runs,] times, alphas).

        Raises
        ------
        InputError
            For alphas beyond the copies that were not asked for, a level that there is not, and a time that was not recorded.
        """
        places = checked_alphas(np.linspace(0.0, 1.0, ALPHAS) if alphas is None else alphas, beyond)
        states, times = self.blocked, self.t
        if t is not None:
            index = self.copies[0]._time(t)
            lead = 0 if self.by_theory else 1
            states, times = tuple(np.take(part, [index], axis=lead) for part in states), self.t[[index]]  # type: ignore[assignment]
        found = errors(self.experiment, level, *states_along(*states, places), self.numerics, self._net)
        return Line(times, places, *found, level=self.experiment.protocol.level(level).name)

    @checked(error=one_error)
    def barrier(self, error: str | None = None, level: str | None = None) -> np.ndarray:
        """Return the barrier: the highest error along the line over the mean of its ends (Frankle et al. 2020).

        It is never below half the difference of the ends; `midpoint` is free of that.

        Parameters
        ----------
        error : {"classification_error", "generalization_error"}, optional
            By default that of the classes, and of a task without classes the generalisation error.
        level : str, optional
            Of the error, by default the hardest.

        Returns
        -------
        ndarray of shape ([runs,] times)
            At least 0.
        """
        values = getattr(self.interpolate(level=level), self._quantity(error))
        return values.max(axis=-1) - 0.5 * (values[..., 0] + values[..., -1])

    @checked(error=one_error)
    def midpoint(self, error: str | None = None, level: str | None = None) -> np.ndarray:
        """Return the error in the middle of the line over the mean of its ends.

        Parameters
        ----------
        error : {"classification_error", "generalization_error"}, optional
            As for `barrier`.
        level : str, optional
            Of the error, by default the hardest.

        Returns
        -------
        ndarray of shape ([runs,] times)
            Below 0 where the middle is better than the ends are.
        """
        line = self._ends if level is None else self.interpolate([0.0, 0.5, 1.0], level)
        values = getattr(line, self._quantity(error))
        return values[..., 1] - 0.5 * (values[..., 0] + values[..., 2])

    @checked(way=_way)
    def match(self, way: str = "overlaps") -> "Pair":
        """Return the same pair with the units of copy 2 numbered, and where g has a parity turned, as those of copy 1.

        Parameters
        ----------
        way : {"overlaps", "enumeration"}, default "overlaps"
            The assignment with the largest sum of cross overlaps at each time; or, of at most 4 units, the one of all with the
            least error in the middle of the line, at each time.

        Returns
        -------
        Pair
            With two arrays more: `order`, the unit of copy 2 for each of copy 1, and `sign`, ([runs,] times, K).

        Raises
        ------
        InputError
            For an enumeration of more than 4 units.
        """
        turned = parity(self.experiment.student.g)
        if way == "overlaps":
            return self._rearranged(*assigned(self.blocked[3], bool(turned)), odd=turned < 0)
        K = self.v.shape[-1]
        if K > MOST_ENUMERATED:
            raise InputError(f'way = "enumeration" is for at most {MOST_ENUMERATED} units, not {K}; use way = "overlaps"')
        least = np.full(self.v.shape[:-2], np.inf)
        order, sign = np.tile(np.arange(K), (*least.shape, 1)), np.ones((*least.shape, K))
        for each, signs in every_match(K, bool(turned)):
            tried = self._rearranged(np.broadcast_to(each, order.shape), np.broadcast_to(signs, sign.shape), odd=turned < 0)
            middle = getattr(tried.interpolate([0.5]), self._quantity(None))[..., 0]
            better = middle < least
            order[better], sign[better], least = each, signs, np.where(better, middle, least)
        return self._rearranged(order, sign, odd=turned < 0)

    def _rearranged(self, order: np.ndarray, sign: np.ndarray, odd: bool) -> "Pair":
        Q, M, v, X = rearranged(*self.blocked, order, sign, odd)
        one = self.Q.ndim == self.v.ndim + 1
        arrays = {"Q": Q, "M": M, "X": X}
        arrays = {name: value[..., 0, :, :] if one else value for name, value in arrays.items()}
        return self.replace(arrays={**arrays, "v": v, "order": np.array(order), "sign": np.array(sign)})

    @checked
    def entries(self, pairs: bool = True) -> dict[str, np.ndarray]:
        """Return each order parameter by name: those of copy 1, `copy-2 Q[k,l]` and so on of copy 2, and `X[k,l]`.

        Parameters
        ----------
        pairs : bool, default True
            False sums up the overlaps of each unit with the others, as `Q[k,rest]` and `X[k,rest]`.

        Returns
        -------
        dict of str to ndarray
            Name -> values, ([runs,] times).
        """
        first, second = (copy.entries(pairs) for copy in self.copies)
        X = self.blocked[3]
        cross = dict(zip(cross_names(*X.shape[-3:-1]), np.moveaxis(X.reshape(*X.shape[:-3], -1), -1, 0), strict=True))
        if not pairs:
            K, rest = X.shape[-1], X.sum(axis=-1) - np.diagonal(X, axis1=-2, axis2=-1)
            each = of_one_unit(list(cross), K)
            sums = np.moveaxis(rest.reshape(*rest.shape[:-2], -1), -1, 0)
            others = {f"{name.rsplit(',', 1)[0]},rest]": value for name, value in zip(each, sums, strict=True)}
            cross = {name: cross[name] for name in each} | others
        return {**first, **{f"{SECOND}{name}": value for name, value in second.items()}, **cross}

    def observables(self) -> dict[str, np.ndarray]:
        """Return the scalar observables of copy 1, the errors of copy 2, and the middle of the line over its ends.

        Returns
        -------
        dict of str to ndarray
            Name -> values, ([runs,] times).
        """
        line, found = self._ends, {}
        for name in observable_names(self.experiment.task):
            found[name] = getattr(line, name)[..., -1] if name in ERRORS else self.copies[0].observable(name)
        found |= {f"{SECOND}{name}": getattr(line, name)[..., 0] for name in ERRORS if name in found}
        return {**found, "midpoint": self.midpoint()}

    @cached_property
    def _ends(self) -> Line:
        return self.interpolate([0.0, 0.5, 1.0])

    @cached_property
    def _matched(self) -> "Pair":
        return self.match()

    @checked(name=text)
    def observable(self, name: str) -> np.ndarray:
        """Return an order parameter or an observable of the pair by name.

        Parameters
        ----------
        name : str
            "barrier" or "midpoint", or after the units are matched "matched_barrier" or "matched_midpoint"; "generalization_error"
            or another observable of copy 1, "copy-2 NAME" for that of copy 2; or an order parameter such as "X[0,0]".

        Returns
        -------
        ndarray of shape ([runs,] times)
            The values.

        Raises
        ------
        InputError
            For a name that is not known.
        """
        if name in BARRIERS:
            pair = self._matched if name.startswith("matched_") else self
            return pair.barrier() if name.endswith("barrier") else pair.midpoint()
        if name.startswith("X["):
            entries = self.entries()
            if name not in entries:
                raise InputError(unknown("observable", name, [each for each in entries if each.startswith("X[")]))
            return entries[name]
        copy = self.copies[name.startswith(SECOND)]
        return copy.observable(name.removeprefix(SECOND))

    def last(self) -> "Pair":
        """Return the pair at its last time alone.

        Returns
        -------
        Pair
            One time.
        """
        axis = 0 if self.by_theory else 1
        arrays = {name: value if name == "run" else value[-1:] if name == "t" else np.take(value, [-1], axis=axis)
                  for name, value in self.arrays.items()}  # fmt: skip
        return self.replace(arrays=arrays)

    def to_frame(self) -> "pd.DataFrame":
        """Return the pair as a table.

        Returns
        -------
        DataFrame
            One row a time (of several pairs of runs: a run and time): both copies' errors, `barrier`, `midpoint`, and every order
            parameter.
        """
        import pandas as pd

        line = self.interpolate()
        columns: dict[str, np.ndarray] = {}
        for name in ERRORS[: 1 + self.has_classes]:
            values = getattr(line, name)
            columns |= {name: values[..., -1], f"copy-2 {name}": values[..., 0]}
        values = getattr(line, self._quantity(None))
        mean = 0.5 * (values[..., 0] + values[..., -1])
        columns |= {"barrier": values.max(axis=-1) - mean, "midpoint": values[..., values.shape[-1] // 2] - mean, **self.entries()}
        if self.by_theory:
            return pd.DataFrame({"t": self.t, **columns})
        runs, times = self.v.shape[:2]
        labels = {"run": np.repeat(self.arrays["run"], times), "t": np.tile(self.t, runs)}
        return pd.DataFrame({**labels, **{name: value.reshape(-1) for name, value in columns.items()}})

    def joint(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the overlaps of the 2K units of both copies together.

        Returns
        -------
        Q : ndarray of shape ([runs,] times, blocks, 2K, 2K)
            [[Q1, X], [X', Q2]].
        M : ndarray of shape ([runs,] times, blocks, 2K, P)
            Of copy 1, then of copy 2.
        v : ndarray of shape ([runs,] times, 2K)
            Likewise.
        """
        Q, M, v, X = self.blocked
        return (*joint_overlaps(Q, M, X), v.reshape(*v.shape[:-2], -1))
