"""Stability to the noise of SGD: the barrier between copies at the end, against the time at which they part."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.pairs.branch import branch, one_or_more, which_examples
from curriculode.sims.runs.progress import Told, progress_of
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import numbers, truth, whole_number
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.branching import checked_at
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.pairs.record import ERRORS, STABLE, one_error
from curriculode.theory.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

_DRAWN = 1000  # D of the random starts of theory


class Instability(Record):
    """The barrier between copies at the end of training, against the time k at which they part.

    Made by `instability` and `load_record`; its constructor is that of `Record`.

    Attributes
    ----------
    at : ndarray of shape (times of branching,)
        k, in examples per input dimension.
    run : ndarray of int of shape (runs,)
        Numbers of the pairs; pair i parts from the same network at every k.
    barrier : ndarray of shape (times of branching, runs)
        The highest error along the line between the copies over the mean of its ends.
    midpoint : ndarray of shape (times of branching, runs)
        The error in the middle over the mean of the ends.
    error : ndarray of shape (times of branching, runs)
        The mean of the ends.
    difference : ndarray of shape (times of branching, runs)
        Of the errors of the ends, in size.
    """

    kind: ClassVar[str] = "instability"
    dimensions: ClassVar[dict[str, tuple[str, ...]]] = {"at": ("branching",), "run": ("run",)}
    other: ClassVar[tuple[str, ...]] = ("branching", "run")
    needed: ClassVar[tuple[str, ...]] = ("at", "run", "barrier", "midpoint", "error", "difference")
    at: np.ndarray
    run: np.ndarray
    barrier: np.ndarray
    midpoint: np.ndarray
    error: np.ndarray
    difference: np.ndarray

    @property
    def stable_from(self) -> float:
        """The first of the times k from which on the mean barrier stays below 2 %; NaN where it never does."""
        stable = np.nanmean(self.barrier, axis=1) < STABLE
        later = np.logical_and.accumulate(stable[::-1])[::-1]
        return float(self.at[later.argmax()]) if later.any() else float("nan")

    def to_frame(self) -> "pd.DataFrame":
        """Return every pair as a row.

        Returns
        -------
        DataFrame
            at, run, barrier, midpoint, error, difference.
        """
        import pandas as pd

        runs = self.run.size
        labels = {"at": np.repeat(self.at, runs), "run": np.tile(self.run, self.at.size)}
        return pd.DataFrame({**labels, **{name: self.arrays[name].ravel() for name in self.needed[2:]}})

    def summary(self) -> "pd.DataFrame":
        """Return the curve over k with its bands.

        Returns
        -------
        DataFrame
            One row a k: mean `barrier` with `standard_error`, its quantiles `q10` and `q90` over the pairs, the mean `midpoint`
            with `midpoint_standard_error`, the mean `error`, the share `stable` of pairs below 2 %, and whether the mean is,
            `is_stable`.
        """
        import pandas as pd

        kept = [row[np.isfinite(row)] for row in self.barrier]
        middle = [row[np.isfinite(row)] for row in self.midpoint]
        rows = []
        for k, barrier, midpoint, error in zip(self.at, kept, middle, self.error, strict=True):
            several = barrier.size > 1
            rows.append(
                {
                    "at": k,
                    "barrier": barrier.mean() if barrier.size else np.nan,
                    "standard_error": barrier.std(ddof=1) / np.sqrt(barrier.size) if several else np.nan,
                    "q10": np.quantile(barrier, 0.1) if barrier.size else np.nan,
                    "q90": np.quantile(barrier, 0.9) if barrier.size else np.nan,
                    "midpoint": midpoint.mean() if midpoint.size else np.nan,
                    "midpoint_standard_error": midpoint.std(ddof=1) / np.sqrt(midpoint.size) if several else np.nan,
                    "error": np.nanmean(error) if np.isfinite(error).any() else np.nan,
                    "stable": (barrier < STABLE).mean() if barrier.size else np.nan,
                    "is_stable": bool(barrier.size and barrier.mean() < STABLE),
                }
            )
        return pd.DataFrame(rows)


def branching_times(name: str, value: Any) -> np.ndarray:
    """Times at which copies part, increasing, or `InputError`."""
    found = np.unique(np.atleast_1d(numbers(name, value)))
    if found.ndim != 1 or not found.size:
        raise InputError(f"{name} = {shown(value)} is not allowed; give a list of times, such as [0, 2, 5]")
    return found


def _starts(name: str, value: Any) -> Any:
    """A number of starts, or the starts themselves."""
    if isinstance(value, (OrderParameters, Sequence)) and not isinstance(value, (str, bytes)):
        states = one_or_more(name, value)
        return [states] if isinstance(states, OrderParameters) else states
    return whole_number(name, value, 1, 10**8)


@checked(at=branching_times, starts=_starts, examples=which_examples, error=one_error, match=truth, averages=inside)
def instability(
    experiment: Experiment,
    *,
    at: ArrayLike,
    starts: int | Sequence[OrderParameters] = 12,
    dimension: int | None = None,
    examples: str = "independent",
    error: str | None = None,
    level: str | None = None,
    match: bool = False,
    first: int = 0,
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    averages: str | None = None,
    points: int | None = None,
    space: str | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> Instability:
    """Measure how stable a network is to the noise of SGD: branch it at several times k, and compare its copies at the end.

    Frankle, Dziugaite, Roy & Carbin 2020 (1912.05671) call a network stable from the k on at which the barrier between the copies
    is below 2 %. With a dimension it is a simulation, one pair for every start, and the same network is branched at every k. Theory
    has no noise on plateaus that begin at random weights, where that of SGD is as large as what is learnt (see `plateau_law`):
    there it calls networks stable that are not.

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` as its training.
    at : array_like of float
        Times k of the branching, from 0 to below the duration.
    starts : int or sequence of OrderParameters, default 12
        How many random starts, or the starts.
    dimension : int, optional
        D of a simulation; by default theory, from random starts of D = 1000.
    examples : {"independent", "same", "reordered"}, default "independent"
        Which examples the copies meet.
    error : {"classification_error", "generalization_error"}, optional
        Whose barrier it is, by default that of the classes, and of a task without classes the generalisation error.
    level : str, optional
        Of the error, by default the hardest.
    match : bool, default False
        Whether units are matched before (see `Pair.match`).
    first : int, default 0
        Number of the first start.
    seed : int or SeedSequence, default 0
        Of starts and runs.
    numerics : Numerics, optional
        How; the keywords from `averages` to `workers` are shortcuts for single settings of it.
    averages : str, optional
        See `Numerics`.
    points : int, optional
        Of the nets that average, by default 1024.
    space : str, optional
        See `Numerics`; pairs have no diffusion.
    workers : int, optional
        Threads of a simulation.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    Instability
        The barrier of each pair at each k, `summary()`, `stable_from`.

    Raises
    ------
    InputError
        As for `branch`.

    Examples
    --------
    >>> from curriculode import instability, load
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 2.0})
    >>> instability(experiment, at=[0.0, 1.0], starts=4, dimension=100, points=128).barrier.shape
    (2, 4)
    """
    settings = numerics_with(numerics, averages=averages, points=points, space=space, workers=workers)
    duration, times = experiment.protocol.duration, np.asarray(at)
    for k in times:
        checked_at(float(k), duration)
    settings = settings.set(times=[duration])
    given = starts if isinstance(starts, list) else None
    count = len(given) if given is not None else int(starts)  # type: ignore[arg-type]
    values: dict[str, list[np.ndarray]] = {"barrier": [], "midpoint": [], "error": [], "difference": []}
    status, success, failed = f"{count} starts branched at {times.size} times", True, 0
    with progress_of(f"branching at {times.size} times", progress) as report:
        for i, k in enumerate(times):

            def told(fraction: float, i: int = i) -> None:
                report((i + fraction) / times.size)

            pairs = []
            if dimension is None:
                states = given or [experiment.initial(_DRAWN, seed, first + j) for j in range(count)]
                for j, state in enumerate(states):
                    pairs.append(branch(experiment, state, at=float(k), examples=examples, numerics=settings, progress=False))
                    told((j + 1) / count)
            else:
                pairs.append(
                    branch(
                        experiment, given, at=float(k), examples=examples, dimension=dimension, runs=count, first=first, seed=seed,
                        numerics=settings, progress=told,
                    )
                )  # fmt: skip
                if not pairs[0].success:
                    raise KeyboardInterrupt
            found = [last_of_pair(pair.match() if match else pair, error, level) for pair in pairs]
            for name, value in values.items():
                value.append(np.concatenate([each[name] for each in found]))
            failed += int(np.isnan(values["barrier"][-1]).sum())
    if failed:
        status, success = f"{status}; {failed} pairs diverged (a smaller learning_rate may help)", False
    return Instability(
        experiment,
        settings,
        {"at": times, "run": np.arange(first, first + count), **{name: np.array(value) for name, value in values.items()}},
        status,
        success=success,
        seed=seed,
        dimension=dimension,
        statistics={"examples": examples, "matched": match, "error": error or "", "level": level or ""},
    )


def last_of_pair(pair: Any, error: str | None, level: str | None) -> dict[str, np.ndarray]:
    """Of the end of a pair, or of several: the numbers of each, NaN where one did not come there."""
    line = pair.interpolate(level=level, t=pair.t[-1])
    values = np.atleast_2d(getattr(line, error or ERRORS[pair.has_classes])[..., -1, :])
    ended = pair.finite if not pair.by_theory else np.array([pair.success])
    return along_line(np.where(ended[:, None], values, np.nan))


def along_line(values: np.ndarray) -> dict[str, np.ndarray]:
    """Of errors (pairs, places) along lines between two copies, from one end to the other: the numbers of each, (pairs,)."""
    ends = values[:, 0], values[:, -1]
    mean = 0.5 * (ends[0] + ends[1])
    return {
        "barrier": values.max(axis=1) - mean,
        "midpoint": values[:, values.shape[1] // 2] - mean,
        "error": mean,
        "difference": np.abs(ends[0] - ends[1]),
    }
