"""Adaptive refinement: a sweep over two parameters that spends its points where a boundary is.

The rectangle is divided into squares of a coarse grid. What is found at a place puts it on one side of the boundary or another;
a square with places of different sides, at its corners or where finer neighbours touch its edges, is divided in four, the largest
first. So a line of length L is found to a resolution h from some L / h points, where a grid needs 1 / h^2.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.sweep.average import average, checked_significance
from curriculode.sims.sweep.plan import Plan, checked_seeds
from curriculode.sims.sweep.status import Again
from curriculode.sims.sweep.sweep import Filled, fill, opened, planned, result_columns, to_frame
from curriculode.sims.sweep.tables import checked_name, checked_orders, shown
from curriculode.sims.sweep.workers import Crew
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import number_within, plain, truth, whole_number
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment, checked_experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.variant import Variant, branching_of

if TYPE_CHECKING:
    import pandas as pd

_COARSE = 4  # squares a side to begin with
_FAILED = 9  # the side of a place where every seed failed

Range = tuple[str, float, float] | tuple[str, float, float, str]


# The plan checks these itself.
@checked(
    **dict.fromkeys(
        [
            "x",
            "y",
            "value",
            "level",
            "gap",
            "significance",
            "budget",
            "finest",
            "seeds",
            "store",
            "retry",
            "observables",
            "executor",
        ],
        inside,
    )
)
def refine(
    experiment: Experiment,
    x: Range,
    y: Range,
    value: str = "classification_error",
    *,
    level: float | None = None,
    gap: Sequence[str] | None = None,
    significance: float = 0.05,
    budget: int = 200,
    finest: int = 5,
    seeds: int | Sequence[int] = 1,
    store: str | Path | None = None,
    retry: bool = False,
    numerics: Numerics | None = None,
    observables: Sequence[str] | str | None = None,
    workers: int | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    progress: bool | Callable[[float], None] | None = None,
    **settings: Any,
) -> "pd.DataFrame":
    """Sweep over two ranges with the points near a boundary.

    With a store the same call resumes.

    Parameters
    ----------
    experiment : Experiment
        What every point is, but for the two parameters.
    x, y : tuple of (str, float, float)
        (parameter, lowest, highest), with "log" as a fourth where steps are to be ratios; whole numbers stay whole.
    value : str, default "classification_error"
        A column of the table; "failed" has the level 1/2.
    level : float, optional
        The boundary is where the mean of that column over seeds crosses it.
    gap : sequence of str, optional
        Two orders; the boundary is then that of the region where their gap is significant (two-sided paired t test over seeds,
        p <= `significance`), or, with `level`, where it crosses that.
    significance : float, default 0.05
        Of that test.
    budget : int, default 200
        Most places (x, y) that are computed, each for all seeds (and both orders); at least 25.
    finest : int, default 5
        How often a square of the coarse grid of 4 x 4 may be halved, up to 30.
    seeds : int or sequence of int, default 1
        As for `sweep`.
    store : str or Path, optional
        As for `sweep`.
    retry : bool, default False
        As for `sweep`.
    numerics : Numerics, optional
        As for `sweep`.
    observables : str or sequence of str, optional
        As for `sweep`.
    workers : int, optional
        As for `sweep`.
    executor : Executor or callable, optional
        As for `sweep`.
    progress : bool or callable, optional
        As for `sweep`.
    **settings : object
        `theory`, `runs`, `dimension`, `scramblings`, `branch`, and the shortcuts for settings of the numerics, as for `sweep`.

    Returns
    -------
    DataFrame
        The table of `sweep`, for `phase_diagram`.

    Raises
    ------
    InputError
        For ranges that are not allowed, and where neither level nor gap is given.

    Examples
    --------
    >>> import curriculode as cu
    >>> experiment = cu.load("xor-curriculum").replace({"protocol.duration": 1.0, "student.width": 1})
    >>> table = refine(experiment, ("levels.hard.noise", 0.1, 0.9), ("training.learning_rate", 0.1, 2.0), "generalization_error",
    ...                level=0.5, budget=40, finest=2, points=64, workers=1)
    >>> 25 <= len(table) <= 40
    True
    """
    if settings.get("pruning") is not None or "treatments" in settings:
        raise InputError(
            "refine follows one boundary, and a pruning has one for each treatment; sweep a grid of it, and see `prizes`"
        )
    settings.pop("pruning", None)
    finest = whole_number("finest", finest, 0, 30)
    budget = whole_number("budget", budget, (_COARSE + 1) ** 2)
    level = 0.5 if level is None and isinstance(value, str) and value == "failed" else level
    if level is None and gap is None:
        raise InputError("a boundary needs a level that the value crosses, or a gap between two orders; give level or gap")
    if level is not None:
        level = number_within("level", level, -1e150, 1e150, "it must be a number")
    significance, retry = checked_significance(significance), truth("retry", retry)
    if not isinstance(value, str):
        raise InputError(f"value = {shown(value)} is not allowed; give the name of a column, such as 'classification_error'")
    if gap is not None:
        gap = checked_orders(gap)
    if gap is not None and level is None and len(checked_seeds(seeds)) < 2:
        raise InputError("a gap needs seeds of at least 2, since it is tested by what differs between them; or give a level")
    checked_experiment(experiment)
    asked = dict.fromkeys(each[0] for each in (x, y) if isinstance(each, (tuple, list)) and each and isinstance(each[0], str))
    base = Variant(experiment, branch=branching_of(settings.get("branch"), asked))
    axes = [_Axis.of(base, given, _COARSE << finest) for given in (x, y)]
    if axes[0].name == axes[1].name:
        raise InputError(f"x and y are both {axes[0].name!r}; give two parameters")
    over = None if gap is None else {"protocol.order": list(gap)}

    def plan(places: Sequence[tuple[Any, Any]]) -> Plan:
        paired = {axis.name: [place[i] for place in places] for i, axis in enumerate(axes)}
        return planned(experiment, over, zip=paired, seeds=seeds, observables=observables, numerics=numerics, **settings)

    def sides(table: "pd.DataFrame") -> dict[tuple[Any, Any], int]:
        cells = average(table, [axis.name for axis in axes], value, gap=gap)
        if level is not None:
            side = np.sign(cells["value"] - level)
        else:
            side = np.sign(cells["value"]).where(cells["p_value"] <= significance, 0.0)
        side = side.mask(cells["seeds"] == 0, _FAILED).astype(int)
        return dict(zip(zip(cells[axes[0].name], cells[axes[1].name], strict=True), side, strict=True))

    tree = _Tree(axes, finest)
    places = tree.begin()
    whole, again = plan(places), Again()
    columns = [*result_columns(whole), "failed"]
    if f"{value}_simulation" not in columns:
        checked_name("value", value, columns)
    with (
        Crew(whole.settings.numerics.workers if workers is None else workers, executor) as crew,
        opened(whole, store, crew) as kept,
    ):
        while True:
            whole = plan(places)
            filled = fill(whole, kept, crew, retry, progress)
            retry, again = False, again + filled.again  # trying once is enough
            table = to_frame(whole, kept, Filled(filled.interrupted, again))
            if filled.interrupted:
                return table
            fresh = tree.divide(sides(table), budget - len(places))
            if not fresh:
                return table
            places = sorted({*places, *fresh})


@dataclass(frozen=True)
class _Axis:
    """A range of a parameter in equal steps, or equal ratios."""

    name: str
    low: float
    high: float
    log: bool
    whole: bool
    steps: int

    @classmethod
    def of(cls, base: Variant, given: Any, steps: int) -> "_Axis":
        if not isinstance(given, (tuple, list)) or len(given) not in (3, 4) or not isinstance(given[0], str):
            raise InputError(
                f"range {shown(given)} is not allowed; give (parameter, lowest, highest), such as ('levels.hard.noise', 0.1, 0.7)"
            )
        name, low, high = given[:3]
        log = len(given) == 4
        if log and not (isinstance(given[3], str) and given[3] == "log"):
            raise InputError(f"range {shown(given)} is not allowed; its fourth entry can only be 'log'")
        numbers = all(
            isinstance(end, (int, float)) and not isinstance(end, bool) and abs(end) <= 1e150 for end in map(plain, (low, high))
        )
        if not numbers or not low < high or (log and low <= 0):
            raise InputError(
                f"range {shown(given)} is not allowed; its ends must be numbers, the lowest first" + (" and above 0" if log else "")
            )
        try:
            current = base.settings()[name] if name in base.settings() else base.experiment.get(name)
        except InputError:  # a parameter that may be left out, and is
            current = float(low)
            base.changed({name: current})
        if isinstance(current, (bool, str, list)):
            raise InputError(f"{name} = {current!r} is no number; a boundary can be looked for in parameters that are")
        whole = isinstance(current, int)
        if whole and not (float(low).is_integer() and float(high).is_integer()):
            raise InputError(f"range {shown(given)} is not allowed; {name} is a whole number, and so are the ends of its range")
        return cls(name, float(low), float(high), log, whole, steps)

    def value(self, i: int) -> Any:
        """The value after `i` of all steps, to twelve digits."""
        share = i / self.steps
        exact = self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
        return round(exact) if self.whole else float(f"{exact:.12g}")


class _Tree:
    """Squares of a rectangle, divided where a boundary passes. Corners are counted in the finest steps."""

    def __init__(self, axes: list[_Axis], finest: int) -> None:
        self._axes = axes
        size = 1 << finest
        # (left, bottom, size) of each square that is not divided
        self._squares = [(i * size, j * size, size) for i in range(_COARSE) for j in range(_COARSE)]
        self._corners: set[tuple[int, int]] = set()

    def begin(self) -> list[tuple[Any, Any]]:
        """The places of the coarse grid."""
        for i, j, size in self._squares:
            self._corners |= {(i + a, j + b) for a in (0, size) for b in (0, size)}
        return sorted({self._place(corner) for corner in self._corners})

    def _place(self, corner: tuple[int, int]) -> tuple[Any, Any]:
        return self._axes[0].value(corner[0]), self._axes[1].value(corner[1])

    def divide(self, sides: dict[tuple[Any, Any], int], budget: int) -> list[tuple[Any, Any]]:
        """Divide squares on the boundary, the largest of them, as long as the budget lasts; the places that are new.

        sides : the side of each place that is known
        """
        while True:
            corners = np.array(sorted(self._corners))
            side = np.array([sides[self._place((i, j))] for i, j in corners.tolist()])
            mixed = []
            for i, j, size in self._squares:
                from_left, from_below = corners[:, 0] - i, corners[:, 1] - j
                inside = (from_left >= 0) & (from_left <= size) & (from_below >= 0) & (from_below <= size)
                if size > 1 and np.ptp(side[inside]) > 0:
                    mixed.append((i, j, size))
            if not mixed:
                return []
            largest = max(size for _, _, size in mixed)
            fresh: dict[tuple[Any, Any], None] = {}
            for i, j, size in mixed:
                if size != largest:
                    continue
                half = size // 2
                added = {(i + a, j + b) for a in (0, half, size) for b in (0, half, size)}
                places = {self._place(corner) for corner in added} - set(sides) - set(fresh)
                if len(fresh) + len(places) > budget:
                    return list(fresh)
                fresh |= dict.fromkeys(sorted(places))
                self._corners |= added
                self._squares.remove((i, j, size))
                self._squares += [(i + a, j + b, half) for a in (0, half) for b in (0, half)]
            # Whole numbers may have no place between two others: then there is nothing to compute, and smaller squares to look at.
            if fresh:
                return list(fresh)
