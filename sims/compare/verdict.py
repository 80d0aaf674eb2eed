"""The verdict on one quantity: whether runs deviate from the theory of their own starts by more than chance and finite D allow.

A function of arrays. With d_r(t) the deviation of run r from the theory of its own start, R runs, and n_s nets averaged over for
start s, the mean deviation has the variance

    Var d / R + sum_s (R_s / R)^2 sigma_net^2 / n_s,

Var d over all runs (each is paired to its own start, so they are independent: R - 1 degrees of freedom), sigma_net^2 the variance
between nets of one start, pooled over the starts with several (sum_s (n_s - 1) degrees of freedom).

The mean itself shifts with 1/D. Room for that is `SHIFT` / D, and no more than D^(-1/2), of the quantity's own scale, the largest
root mean square that it has had so far; and twice the variance of a single run, which is of order 1/D as well, and grows with the
shift where an instability amplifies both.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

FALSE_ALARM = 1e-3  # chance that a cell in perfect agreement is called a disagreement, by its statistics alone
SHIFT, AMPLIFIED = 20.0, 2.0
FEWEST_RUNS = 4  # below, Student's t allows anything


@dataclass(frozen=True)
class Tested:
    """A quantity held against theory, each array (times,).

    theory, simulation : means;  simulation_error : of the mean of the runs;  deviation, standard_error : of the paired difference
    scatter : of a single run's deviation;  theory_error : of the theory's nets
    allowed : largest deviation that is no disagreement
    """

    theory: np.ndarray
    simulation: np.ndarray
    simulation_error: np.ndarray
    deviation: np.ndarray
    standard_error: np.ndarray
    scatter: np.ndarray
    theory_error: np.ndarray
    allowed: np.ndarray


def judge(lines: list[np.ndarray], runs: np.ndarray, start: np.ndarray, dimension: int, tests: int, rounding: float) -> Tested:
    """The verdict on a quantity.

    lines : for each start the theory by each of its nets, (nets, times)
    runs : (runs, times);  start : (runs,) index of each run's
    tests : how many such tests share the chance of a false alarm;  rounding : relative error of the integrator
    """
    count, times = runs.shape
    theory = np.array([nets.mean(axis=0) for nets in lines])[start] if count else np.full((0, times), np.nan)
    paired = runs - theory
    variance, freedom = _net_variance(lines, times)
    weight = np.bincount(start, minlength=len(lines)) / max(count, 1)
    nets = np.array([len(each) for each in lines])
    theory_error = np.sqrt((weight**2 / nets).sum() * variance)
    scatter = paired.std(axis=0, ddof=1) if count > 1 else np.full(times, np.nan)
    of_runs = scatter / np.sqrt(max(count, 1))
    critical = -stdtrit(max(count - 1, 1), 0.5 * FALSE_ALARM / max(tests, 1))
    # An error estimated from few nets may itself be far too small: Student's t against the normal says by how much.
    caution = stdtrit(freedom, FALSE_ALARM / 2) / ndtri(FALSE_ALARM / 2) if freedom else 1.0
    scale = np.sqrt((theory**2).mean(axis=0)) if count else np.full(times, np.nan)
    scale = np.maximum.accumulate(scale)
    shift = min(SHIFT / dimension, dimension**-0.5) * scale + AMPLIFIED * scatter**2
    statistics = critical * np.sqrt(of_runs**2 + (caution * theory_error) ** 2)
    return Tested(
        theory=theory.mean(axis=0) if count else np.full(times, np.nan),
        simulation=runs.mean(axis=0) if count else np.full(times, np.nan),
        simulation_error=_between_starts(runs, start),
        deviation=paired.mean(axis=0) if count else np.full(times, np.nan),
        standard_error=np.hypot(of_runs, theory_error),
        scatter=scatter,
        theory_error=theory_error,
        allowed=np.maximum(statistics, shift) + rounding * np.maximum(scale, np.sqrt(np.finfo(float).eps)),
    )


def found_by(tested: Tested, sensitivity: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The relative error of a rate beyond which the verdict is a disagreement, (times,); infinite where none is.

    sensitivity : change of the theory's mean with the logarithm of the rate, (times,);  error : its standard error over starts
    """
    size = np.maximum(np.abs(sensitivity) - 2 * error, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, tested.allowed / size, np.inf)


def _net_variance(lines: list[np.ndarray], times: int) -> tuple[np.ndarray, int]:
    """Variance between nets of one start, pooled over starts, (times,), and its degrees of freedom."""
    freedom = sum(len(nets) - 1 for nets in lines)
    if not freedom:
        return np.zeros(times), 0
    return sum(((nets - nets.mean(axis=0)) ** 2).sum(axis=0) for nets in lines if len(nets) > 1) / freedom, freedom


def _between_starts(runs: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Standard error of the mean of runs (runs, times), as one of random starts: over the starts, where there are several."""
    return standard_error(runs, start)[0]


def standard_error(values: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, int]:
    """Standard error of the mean of `values` (runs, times) over random starts and runs, and the number of independent values in it.

    Runs from one start (runs,) resemble each other, so the means of the starts are the independent values; with one start alone the
    error is about that start, and the runs are.
    """
    numbers = np.unique(start)
    if numbers.size > 1:
        values = np.array([values[start == number].mean(axis=0) for number in numbers])
    count = values.shape[0]
    return (values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(values.shape[1], np.nan)), count
