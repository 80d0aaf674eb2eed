"""The verb `continuation`: a state at rest followed in a parameter, its folds and exchanges of stability located."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked, inside, whole
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import function, number, number_within
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.branch import Branch, Point
from curriculode.theory.landscape.fixed_point import LONGEST, stage_held
from curriculode.theory.landscape.newton import StageEquations
from curriculode.theory.landscape.rest import Holding, pivoted_order
from curriculode.theory.landscape.stability import Spectrum
from curriculode.theory.results.record import Record
from curriculode.theory.results.states import Trajectory

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_STEP, _SHORTEST_STEP = 4.0, 2.0**-14  # of a branch, in first steps
_LONGER = 1.5
_LOCATED = 1e-4  # of a first step, in which special points are located


class Continuation(Record):
    """A state at rest along a parameter.

    Made by `continuation`.

    Attributes
    ----------
    parameter : ndarray of shape (points,)
        Its value at each point of the branch, in order along it.
    Q : ndarray of shape (points, [blocks,] K, K)
        Overlaps of units.
    M : ndarray of shape (points, [blocks,] K, P)
        Overlaps with references.
    v : ndarray of shape (points, K)
        Readout.
    leading : ndarray of shape (points,)
        The largest rate of growth of a small change.
    unstable : ndarray of int of shape (points,)
        Number of modes that grow.
    special : ndarray of shape (specials,)
        Values of the parameter at folds and exchanges of stability.
    special_point : ndarray of int of shape (specials,)
        The point of the branch that each comes after.
    statistics : mapping of str to value
        `name` of the parameter; `kinds` and `modes` of the special points; `stage`.
    """

    kind: ClassVar[str] = "continuation"
    dimensions: ClassVar[Any] = {
        "parameter": ("point",),
        "Q": ("point", "block", "unit", "other_unit"),
        "M": ("point", "block", "unit", "reference"),
        "v": ("point", "unit"),
        "leading": ("point",),
        "unstable": ("point",),
        "special": ("special",),
        "special_point": ("special",),
    }
    needed: ClassVar[tuple[str, ...]] = tuple(dimensions)
    parameter: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    leading: np.ndarray
    unstable: np.ndarray
    special: np.ndarray
    special_point: np.ndarray

    @property
    def name(self) -> str:
        """Dotted name of the parameter."""
        return str(self.statistics["name"])

    @property
    def folds(self) -> np.ndarray:
        """Values of the parameter at the folds, (folds,)."""
        return self.special[[kind == "fold" for kind in self.statistics["kinds"]]]

    @property
    def exchanges(self) -> np.ndarray:
        """Values of the parameter where stability is exchanged without a fold, (exchanges,)."""
        return self.special[[kind != "fold" for kind in self.statistics["kinds"]]]

    def observable(self, name: str) -> np.ndarray:
        """Return an observable at every point.

        Parameters
        ----------
        name : str
            Of a scalar observable or an order parameter, as of a trajectory; errors at the levels' own parameters.

        Returns
        -------
        ndarray of shape (points,)
            Its values.
        """
        found = []
        for i, value in enumerate(self.parameter):
            there = self.experiment.replace({self.name: float(value)})
            arrays = {"t": np.zeros(1), "Q": self.Q[i : i + 1], "M": self.M[i : i + 1], "v": self.v[i : i + 1]}
            found.append(float(Trajectory(there, self.numerics, arrays, "").observable(name)[0]))
        return np.array(found)

    def specials(self) -> "pd.DataFrame":
        """Return folds and exchanges of stability as a table.

        Returns
        -------
        DataFrame
            One row each: the parameter by its name, `kind`, `mode` (what grows there), `point`.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                self.name: self.special,
                "kind": list(self.statistics["kinds"]),
                "mode": list(self.statistics["modes"]),
                "point": self.special_point,
            }
        )

    def to_frame(self) -> "pd.DataFrame":
        """Return the branch as a table.

        Returns
        -------
        DataFrame
            One row a point: the parameter by its name, generalization_error, leading, unstable, |v|^2 and the mean of Q_kk.
        """
        import pandas as pd

        blocked = self.Q if self.Q.ndim == 4 else self.Q[:, None]
        return pd.DataFrame(
            {
                self.name: self.parameter,
                "generalization_error": self.observable("generalization_error"),
                "leading": self.leading,
                "unstable": self.unstable,
                "readout_square": (self.v**2).sum(axis=1),
                "mean_weight": np.einsum("nbkk->n", blocked) / self.v.shape[1],
            }
        )


@checked(
    to=number,
    stage=inside,
    step=lambda name, value: number_within(name, value, 1e-15, 1e12, "give a step of the parameter, > 0"),
    settle=lambda name, value: number_within(name, value, 0.0, 1e9, "give a time >= 0"),
    most=whole(1, 10**5),
    progress=function,
)
def continuation(
    experiment: Experiment,
    name: str,
    start: OrderParameters,
    *,
    to: float,
    stage: int | str = -1,
    step: float | None = None,
    settle: float = 0.0,
    most: int = 200,
    numerics: Numerics | None = None,
    averages: str | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    noise_terms: bool | None = None,
    progress: Callable[[float], None] | None = None,
) -> Continuation:
    """Follow a state at rest in a parameter, through its folds, and locate where its stability changes.

    The branch f(u, p) = 0 is followed along its length (pseudo-arclength, Keller 1977), u the weights: at a fold, where two
    states at rest meet and vanish, it turns back in p and goes on. A fold is where the tangent has no part along p; an exchange
    of stability, where a rate of growth passes zero without one. Both are located by secants along the branch.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online; its own value of the parameter is where the branch begins.
    name : str
        Dotted name of a number, such as "training.weight_decay", "levels.hard.noise" or "training.learning_rate".
    start : OrderParameters
        Near a state at rest there; see `fixed_point`.
    to : float
        Value of the parameter at which the branch ends. It ends as well where it comes back to its first value.
    stage : int or str, default -1
        As for `fixed_point`.
    step : float, optional
        First step of the parameter, by default a twentieth of the way; also the unit in which the length of the branch is measured.
    settle : float, default 0.0
        As for `fixed_point`.
    most : int, default 200
        Points of the branch.
    numerics : Numerics, optional
        How; the keywords from `averages` to `noise_terms` are shortcuts for single settings of it.
    averages, points, scrambling, noise_terms : optional
        See `Numerics`; nets have 1024 points by default, whatever the accuracy.
    progress : callable, optional
        Called with the finished fraction of `most`.

    Returns
    -------
    Continuation
        `.parameter`, `.folds`, `.exchanges`, `.specials()`, `.to_frame()`, `.plot()`.

    Raises
    ------
    InputError
        For a name that is no number of the experiment, and a start that leads to no state at rest.

    Examples
    --------
    The plateau of two erf units that learn two (Saad & Solla 1995) under label noise.

    >>> import numpy as np
    >>> from curriculode import OrderParameters, continuation, load
    >>> experiment = load("committee-plateau").replace({"student.width": 2, "task.teacher_width": 2})
    >>> start = OrderParameters(np.full((2, 2), 0.3), np.full((2, 2), 0.35), np.ones(2))
    >>> branch = continuation(experiment, "training.weight_decay", start, to=0.01, step=0.005, noise_terms=False)
    >>> int(branch.unstable[0]), bool(branch.parameter[-1] == 0.01)
    (1, True)
    """
    settings = numerics_with(numerics, averages=averages, points=points, scrambling=scrambling, noise_terms=noise_terms)
    first = experiment.get(name)
    if isinstance(first, bool) or not isinstance(first, (int, float)):
        raise InputError(f"{name} = {shown(first)} is no number that can be followed; set it to one, or name another parameter")
    begin = float(first)
    if to == begin:
        raise InputError(f"to = {to:g} is where {name} begins already; give another value")
    scale = abs(to - begin) / 20.0 if step is None else step
    setting = Setting.of(experiment)
    setting.check(start)
    held, called = stage_held(experiment, setting, stage)
    holding = Holding(setting, held, settings)
    rest = holding.rest(start, settle, max(LONGEST, settle), False)
    if rest.failure is not None:
        raise InputError(f"the start leads to no state at rest at {name} = {begin:g}; give another start, or a longer settle")
    order = pivoted_order(setting, rest.state)
    ordered = rest.state.permuted(order)
    known: dict[float, StageEquations] = {}

    def at(value: float) -> StageEquations:
        """The equations at a value of the parameter; those of the last few values are remembered."""
        if value not in known:
            if len(known) > 8:
                known.pop(next(iter(known)))
            there = experiment.replace({name: value})
            near = Setting.of(there)
            known[value] = Holding(near, stage_held(there, near, stage)[0], settings).equations(ordered.v)
        return known[value]

    with one_blas_thread(), np.errstate(all="ignore"):
        branch = Branch(at, packed(setting, ordered), begin, scale)
        way = _Way(branch, begin, to, most, progress)
        way.go()
    return _record(experiment, holding.way.numerics, name, called, branch, way, np.argsort(order))


class _Way:
    """The points of a branch as they are found, and its special ones."""

    def __init__(self, branch: Branch, begin: float, to: float, most: int, progress: Callable[[float], None] | None) -> None:
        self.branch, self.begin, self.to, self.most, self.progress = branch, begin, to, most, progress
        self.sign = 1.0 if to > begin else -1.0
        self.points: list[Point] = []
        self.spectra: list[Spectrum] = []
        self.specials: list[tuple[float, int, str, str]] = []
        self.ended = ""

    def go(self) -> None:
        """Follow the branch to its end."""
        point = self.branch.start._replace(tangent=self.sign * self.branch.start.tangent)
        self._keep(point)
        length = 1.0
        while len(self.points) < self.most:
            point = self.points[-1]
            try:
                found = self.branch.next(point, length)
            except InputError:  # beyond what the experiment allows
                found = None
            turned = found is not None and float(found.tangent @ point.tangent) < 0.5
            if found is None or turned:
                length *= 0.5
                if length < _SHORTEST_STEP:
                    self.ended = f"ends at {point.parameter:.6g}, where it can be followed no further"
                    return
                continue
            outside = self._outside(found)
            if outside is not None:
                last = self.branch.located(point, length, partial(_beyond, end=outside), 1e-9)
                self._special(point, last, length)
                self._keep(last._replace(parameter=outside))
                self.ended = "reached its end" if outside == self.to else f"came back to {self.begin:g}"
                return
            self._special(point, found, length)
            self._keep(found)
            if found.iterations <= 3:
                length = min(_LONGER * length, _LONGEST_STEP)
            if self.progress is not None:
                self.progress(len(self.points) / self.most)
        self.ended = f"was followed for {self.most} points"

    def _outside(self, point: Point) -> float | None:
        """The end that a point has passed, if one."""
        if self.sign * (point.parameter - self.to) >= 0.0:
            return self.to
        return self.begin if len(self.points) > 1 and self.sign * (point.parameter - self.begin) <= 0.0 else None

    def _keep(self, point: Point) -> None:
        self.points.append(point)
        self.spectra.append(self.branch.spectrum(point))

    def _special(self, point: Point, found: Point, length: float) -> None:
        """Note folds and exchanges of stability between two neighbours."""
        before, after = self.spectra[-1], self.branch.spectrum(found)
        fold = point.tangent[-1] * found.tangent[-1] < 0.0
        where = len(self.points) - 1
        if fold:
            at = self.branch.located(point, length, lambda each: float(each.tangent[-1]), _LOCATED)
            self.specials.append((at.parameter, where, "fold", after.names[0]))
        change = after.unstable - before.unstable
        if change == 0 or (fold and abs(change) == 1):
            return
        mode = max(before.unstable, after.unstable) - 1
        at = self.branch.located(point, length, lambda each: float(self.branch.spectrum(each).growth[mode]), 1e-2)
        there = self.branch.spectrum(at)
        kind = "exchange of stability" if there.frequency[mode] == 0.0 else "exchange of stability, oscillating"
        self.specials.append((at.parameter, where, kind, there.names[mode]))


def _beyond(point: Point, end: float) -> float:
    """How far a point lies beyond an end."""
    return point.parameter - end


def _record(
    experiment: Experiment, numerics: Numerics, name: str, called: str, branch: Branch, way: _Way, back: np.ndarray
) -> Continuation:
    """The record of a branch, the units as they were at the start."""
    overlaps = [branch.place.overlaps(point.y, point.v) for point in way.points]
    Q = np.array([part[0] for part in overlaps])[:, :, back][..., back]
    M, v = np.array([part[1] for part in overlaps])[:, :, back], np.array([part[2] for part in overlaps])[:, back]
    if Q.shape[1] == 1:
        Q, M = Q[:, 0], M[:, 0]
    specials = sorted(way.specials, key=lambda each: each[1])
    values = np.array([point.parameter for point in way.points])
    told = [f"{kind} at {value:.6g}" for value, _, kind, _ in specials]
    status = f"{name}: {len(values)} points from {values[0]:.6g}, the branch {way.ended}; " + (", ".join(told) or "nothing special")
    return Continuation(
        experiment,
        numerics,
        {
            "parameter": values,
            "Q": Q.copy(),
            "M": M.copy(),
            "v": v.copy(),
            "leading": np.array([each.leading for each in way.spectra]),
            "unstable": np.array([each.unstable for each in way.spectra], dtype=np.int64),
            "special": np.array([each[0] for each in specials], dtype=float),
            "special_point": np.array([each[1] for each in specials], dtype=np.int64),
        },
        status,
        success="no further" not in way.ended,
        statistics={
            "name": name,
            "kinds": [each[2] for each in specials],
            "modes": [each[3] for each in specials],
            "stage": called,
        },
    )
