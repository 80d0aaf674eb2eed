"""The verdict: whether runs deviate from the theory of their own starts by more than chance allows. Arrays only.

Theory at finite D is the equations of each start and, for online learning, what finite D adds to them (`sims/runs/finite_size.py`):
pairs of deviations with opposite noise. Held against each other are, of the deviations from the equations of the own start, for
each quantity and time

* the means;
* the scatter, by the mean sizes of the deviations (Brown and Forsythe);
* the laws, by the largest distance of the two distributions (Kolmogorov and Smirnov);
* the covariances, by the scatter of sums of two quantities, each over its own scatter.

With d_r the deviation of run r, R runs, p_i the mean of pair i of n, and n_s nets averaged over for start s, the variance of the
mean is

    Var d / R + Var p / n + sum_s (R_s / R)^2 sigma_net^2 / n_s,

with sigma_net^2 the variance between nets of one start, pooled over the starts with several. Over all quantities and times i
together, for each rate of the learning, the error of it is estimated that fits the deviations best, with S_s the sensitivity of
the equations from start s (i), and C the covariance of what a run is off by, for chance or other reasons (i, j):

    theta = sum_r S_s(r)' C^-1 d_r  /  sum_r S_s(r)' C^-1 S_s(r),     of runs less that of paths.

Its correlations are those of the odd halves of the pairs, which have no share in the means of pairs, shrunk towards none.

All tests share the chance of a false alarm. Beyond chance, the next order in 1/D may shift a mean by `NEXT_ORDER` of what finite D
adds, and the integrator by `rounding` of the quantity's scale, the largest root mean square that it has had so far. Where finite D
is not predicted (batch learning, pruned training), room for its shift is `SHIFT` / D (of a ridge in a tangent space the number of
its features over alpha D, if that is more), and no more than D^(-1/2), of that scale; and twice the variance of a single run, which
is of order 1/D too.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import kolmogi, ndtri, stdtrit

FALSE_ALARM = 1e-3  # chance that a cell in perfect agreement is called a disagreement, by its statistics alone
SHIFT, AMPLIFIED = 20.0, 2.0
NEXT_ORDER = 0.1
FEWEST_RUNS = 4  # below, Student's t allows anything
_KINDS = 4  # of tests of quantities
_OF_QUANTITIES = 0.5  # share of false alarms that tests of single quantities may give; the rates' may give the rest
_PAIRS_OF_A_LAW = 2  # of each start
_RUNS_OF_A_LAW = 8  # fewer may scatter far too little by luck, whatever the pairs do
_FEWEST_DEGREES = 4.0  # of freedom of the runs, for the error of a rate: for the same reason


@dataclass(frozen=True)
class Tested:
    """A quantity held against theory, each array (times,).

    theory, simulation : means, of theory at finite D;  mean_field : mean of the equations alone
    simulation_error : of the mean of the runs;  deviation, standard_error : of the paired difference
    scatter, predicted_scatter : of a single run's deviation from the equations (NaN where it is not predicted)
    theory_error : of the theory's nets and pairs
    allowed : largest deviation that is no disagreement;  room : of that, what is not chance
    used : how much of what they are allowed the other tests use up, by name
    moved : what the distributions of runs and paths may be apart by, where these are compared
    """

    theory: np.ndarray
    mean_field: np.ndarray
    simulation: np.ndarray
    simulation_error: np.ndarray
    deviation: np.ndarray
    standard_error: np.ndarray
    scatter: np.ndarray
    predicted_scatter: np.ndarray
    theory_error: np.ndarray
    allowed: np.ndarray
    room: np.ndarray
    used: dict[str, np.ndarray] = field(default_factory=dict)
    moved: np.ndarray | None = None

    @property
    def tests(self) -> dict[str, np.ndarray]:
        """How much of what is allowed each test uses up, (times,): above 1 it is a disagreement."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(self.deviation == 0.0, 0.0, np.abs(self.deviation) / self.allowed)
        return {"mean": mean, **self.used}

    @property
    def share(self) -> np.ndarray:
        """The most of them, (times,)."""
        return np.max(list(self.tests.values()), axis=0)

    @property
    def worst(self) -> np.ndarray:
        """The name of that test, (times,)."""
        return np.array(list(self.tests))[np.argmax(list(self.tests.values()), axis=0)]


@dataclass(frozen=True)
class Sample:
    """Deviations (members, n) from the equations of the own start, `start` (members,); `paired` if members are, two and two."""

    values: np.ndarray
    start: np.ndarray
    paired: bool = False

    def odd(self) -> np.ndarray:
        """Half the difference of each pair, (pairs, n): its noise, to first order."""
        pairs = self.values.reshape(-1, 2, self.values.shape[-1])
        return 0.5 * (pairs[:, 0] - pairs[:, 1])

    def independent(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of what was read off the members the independent values, and their starts: of pairs the means."""
        if not self.paired:
            return values, self.start
        return values.reshape(-1, 2, values.shape[-1]).mean(axis=1), self.start[::2]

    def mean(self, values: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Mean of what was read off the members, its variance, (n,) each, and its degrees of freedom.

        share : (starts,) that each start has in the mean
        """
        values, start = self.independent(values)
        count = len(values)
        # A start's share is spread over its members, and that of starts that have none over all.
        members = np.bincount(start, minlength=share.size)
        each = share[start] / members[start] / share[members > 0].sum()
        residual = values - values.mean(axis=0)
        return each @ values, each**2 @ residual**2 * count / max(count - 1, 1), max(count - 1, 1)


def judge(
    lines: list[np.ndarray],
    runs: np.ndarray,
    start: np.ndarray,
    dimension: int,
    tests: int,
    rounding: float,
    predicted: np.ndarray | None = None,
    start_of_pair: np.ndarray | None = None,
    moves: float = SHIFT,
) -> Tested:
    """The verdict on a quantity.

    lines : for each start the theory by each of its nets, (nets, times)
    runs : (runs, times);  start : (runs,) index of each run's
    tests : how many such quantities and times share the chance of a false alarm;  rounding : relative error of the integrator
    predicted : (pairs, 2, times) what finite D adds, and `start_of_pair` (pairs,);  None where that is not predicted
    moves : D times the relative shift there is room for where it is not
    """
    count, times = runs.shape
    if not count:
        nothing: Any = [np.full(times, np.nan)] * 11
        return Tested(*nothing)
    equations = np.array([nets.mean(axis=0) for nets in lines])
    own = equations[start]
    sample, paths = Sample(runs - own, start), None
    if predicted is not None and start_of_pair is not None:
        paths = Sample(predicted.reshape(-1, times), np.repeat(start_of_pair, 2), paired=True)
    between_nets, freedom = _net_variance(lines, times)
    share = np.bincount(start, minlength=len(lines)) / count
    of_nets = (share**2 / [len(nets) for nets in lines]).sum() * between_nets
    # An error estimated from few nets may itself be far too small: Student's t against the normal says by how much.
    caution = stdtrit(freedom, FALSE_ALARM / 2) / ndtri(FALSE_ALARM / 2) if freedom else 1.0
    alarm = FALSE_ALARM * (1.0 if paths is None else _OF_QUANTITIES / _KINDS) / max(tests, 1)
    scale = np.maximum.accumulate(np.sqrt((own**2).mean(axis=0)))
    slack = rounding * np.maximum(scale, np.sqrt(np.finfo(float).eps))

    def difference(read: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Mean of runs less that of paths; its variance by runs, and by theory; the largest that is chance."""
        apart, variance, more, freedom = _difference(sample, paths, read, share)
        chance = -stdtrit(freedom, 0.5 * alarm) * np.sqrt(variance + more + caution**2 * of_nets)
        return apart, variance, more + of_nets, chance

    deviation, of_runs, of_theory, chance = difference(lambda values: values)
    moved = None
    scatter = sample.values.std(axis=0, ddof=1) if count > 1 else np.full(times, np.nan)
    shift, predicted_scatter, used = np.zeros(times), np.full(times, np.nan), {}
    if paths is None:
        room = shift_room(dimension, moves) * scale + AMPLIFIED * scatter**2
        allowed = np.maximum(chance, room) + slack
    else:
        shift = paths.mean(paths.values, share)[0]
        predicted_scatter = np.sqrt(np.maximum((paths.values**2).mean(axis=0) - paths.values.mean(axis=0) ** 2, 0.0))
        room = NEXT_ORDER * np.abs(shift)
        allowed = chance + room + slack
        # Starts scatter differently: laws are compared where each has its share of both samples.
        each = np.bincount(paths.start, minlength=len(lines)).min()
        if each >= 2 * _PAIRS_OF_A_LAW and count >= _RUNS_OF_A_LAW:
            # What a start's own net errs by is part of its deviations.
            moved = room + slack - ndtri(0.5 * alarm) * caution * np.sqrt(between_nets / min(len(nets) for nets in lines))
            wider, _, _, chance = difference(_distances)
            with np.errstate(divide="ignore", invalid="ignore"):
                used["scatter"] = np.where(wider == 0.0, 0.0, np.abs(wider) / (chance + moved))
            critical = float(kolmogi(alarm)) / np.sqrt(count * len(paths.values) / (count + len(paths.values)))
            used["law"] = _distance(sample.values, paths.values, moved) / critical
    return Tested(
        theory=own.mean(axis=0) + shift,
        mean_field=own.mean(axis=0),
        simulation=runs.mean(axis=0),
        simulation_error=standard_error(runs, start)[0],
        deviation=deviation,
        standard_error=np.sqrt(of_runs + of_theory),
        scatter=scatter,
        predicted_scatter=predicted_scatter,
        theory_error=np.sqrt(of_theory),
        allowed=allowed,
        room=room + slack,
        used=used,
        moved=moved,
    )


def covariances(
    tested: dict[str, Tested],
    runs: dict[str, np.ndarray],
    predicted: dict[str, np.ndarray],
    start: np.ndarray,
    start_of_pair: np.ndarray,
) -> dict[str, np.ndarray]:
    """How much of what is allowed the covariances of each quantity with others use up, (times,), by the worst of these.

    tested : those whose laws were compared;  runs, predicted : deviations from the equations, (runs, times) and (pairs, 2, times)
    """
    names = list(tested)
    if len(names) < 2:
        return {}
    x, y = (np.array([of[name] for name in names]) for of in (runs, predicted))
    y = y.reshape(len(names), -1, y.shape[-1])
    share = np.bincount(start) / start.size
    of_pair = np.repeat(start_of_pair, 2)
    size = np.sqrt(0.5 * (x.var(axis=1) + y.var(axis=1)))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.where(size > 0.0, each / size, 0.0) for each in (x, y))
        moved = np.array([np.where(of > 0.0, tested[name].moved / of, np.inf) for name, of in zip(names, size[:, 0], strict=True)])
    alarm = FALSE_ALARM * _OF_QUANTITIES / _KINDS / (0.5 * len(names) * (len(names) - 1) * x.shape[-1])
    result = np.zeros((len(names), x.shape[-1]))
    for i in range(len(names) - 1):
        sums = [np.moveaxis(each[i] + each[i + 1 :], 1, 0).reshape(each.shape[1], -1) for each in (x, y)]
        wider, variance, more, freedom = _difference(Sample(sums[0], start), Sample(sums[1], of_pair, True), _distances, share)
        allowed = -stdtrit(freedom, 0.5 * alarm) * np.sqrt(variance + more) + (moved[i] + moved[i + 1 :]).ravel()
        used = (np.abs(wider) / np.where(allowed > 0.0, allowed, np.inf)).reshape(len(names) - i - 1, -1)
        result[i] = np.maximum(result[i], used.max(axis=0))
        result[i + 1 :] = np.maximum(result[i + 1 :], used)
    return dict(zip(names, result, strict=True))


def _difference(
    sample: Sample, paths: Sample | None, read: Any, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Mean of what is read off runs less that off paths, (n,); the variances of both, and degrees of freedom."""
    mine, variance, degrees = sample.mean(read(sample.values), share)
    if paths is None:
        return mine, variance, np.zeros_like(variance), degrees
    theirs, more, others = paths.mean(read(paths.values), share)
    return mine - theirs, variance, more, _welch(variance, degrees, more, others)


def _distances(values: np.ndarray) -> np.ndarray:
    """From the medians: what Brown and Forsythe compare the means of."""
    distances: np.ndarray = np.abs(values - np.median(values, axis=0))
    return distances


def shift_room(dimension: int, moves: float = SHIFT) -> float:
    """Room for the shift of a mean by finite D where that is not predicted, relative to the quantity's scale."""
    return float(min(moves / dimension, dimension**-0.5))


@dataclass(frozen=True)
class ErrorOfRate:
    """The relative error of a rate that fits the runs best, its standard error, and the least that is called a disagreement."""

    error: float = 0.0
    standard_error: float = np.inf
    allowed: float = np.inf

    @property
    def agrees(self) -> bool:
        """Whether it is none, for all that can be told."""
        return not abs(self.error) > self.allowed


def error_of_rate(
    slope: dict[int, np.ndarray], runs: Sample, paths: Sample | None, variance: np.ndarray, room: np.ndarray, rates: int
) -> ErrorOfRate:
    """What error of a rate the deviations of runs, less those of paths, amount to.

    slope : start -> change of all quantities at all times (n,) with the logarithm of the rate
    runs, paths : deviations (members, n);  variance : of a single run (n,);  room : what is no disagreement, (n,)
    rates : how many share the chance of a false alarm
    """
    common = set(runs.start) & set(slope) & set(slope if paths is None else paths.start)
    known = np.isfinite(variance) & (variance > 0.0)
    starts = max(int(runs.start.max()), *slope) + 1
    weight, square = np.zeros((starts, known.sum())), np.zeros(starts)
    odd = np.zeros((0, known.sum())) if paths is None else paths.odd()[:, known]
    for j in common:
        weight[j] = divided_by_covariance(slope[j][known], variance[known], odd)
        square[j] = weight[j] @ slope[j][known]
    total = square[runs.start].sum()
    if not total > 0.0:
        return ErrorOfRate()
    share = np.bincount(runs.start, minlength=starts) / total

    def fitted(sample: Sample) -> tuple[float, float, float]:
        """The error, its variance, and degrees of freedom."""
        values, start = sample.independent(sample.values)
        each = share[start] / np.bincount(start, minlength=starts)[start]  # each start counts as much as it does among the runs
        product = np.einsum("ri,ri->r", values[:, known], weight[start])
        error, leverage = float(each @ product), each * square[start]
        with np.errstate(divide="ignore", invalid="ignore"):
            # Who has much to say on the fit is near it, whatever the error (the jackknife's correction).
            residual = (product - error * square[start]) / (1.0 - leverage)
            return error, float((each**2 * residual**2).sum()), 1.0 / float((leverage**2).sum()) - 1.0

    error, spread, degrees = fitted(runs)
    enough = degrees >= _FEWEST_DEGREES
    if paths is not None:
        theirs, more, others = fitted(paths)
        error, spread, degrees = error - theirs, spread + more, float(_welch(spread, degrees, more, others))
    if not (np.isfinite(spread) and enough):  # few runs, or one start, have all the say
        return ErrorOfRate(error)
    chance = -stdtrit(degrees, 0.5 * FALSE_ALARM * (1.0 - _OF_QUANTITIES) / rates) * np.sqrt(spread)
    return ErrorOfRate(error, float(np.sqrt(spread)), float(chance + share @ np.abs(weight) @ room[known]))


def divided_by_covariance(slope: np.ndarray, variance: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """C^-1 times a slope (n,), where C has this variance (n,), and the correlations of `odd` deviations (members, n).

    They are shrunk towards none by as much as errs least (Ledoit and Wolf; for correlations Schafer and Strimmer).
    """
    scale = np.sqrt((odd**2).mean(axis=0)) if len(odd) else np.zeros(slope.size)
    seen, z = scale > 0.0, slope / np.sqrt(variance)
    x = odd[:, seen] / scale[seen]
    members, n = x.shape
    gram = x @ x.T
    squares = (gram**2).sum() / max(members, 1) ** 2 - n  # sum of those of the correlations of two
    if members < 2 or not squares > 0.0:
        return slope / variance
    chance = (((np.diagonal(gram) ** 2).sum() - (x**4).sum()) / members - squares) / (members - 1)  # and of their variances
    shrunk = min(1.0, chance / squares)
    if shrunk < 1.0:
        inner = np.linalg.solve(shrunk * members / (1.0 - shrunk) * np.eye(members) + gram, x @ z[seen])
        z[seen] = (z[seen] - x.T @ inner) / shrunk
    return z / np.sqrt(variance)


def _welch(variance: Any, degrees: Any, more: Any, others: Any) -> Any:
    """Degrees of freedom of the difference of two means with these variances."""
    with np.errstate(divide="ignore", invalid="ignore"):
        together = (variance + more) ** 2 / (np.square(variance) / degrees + np.divide(np.square(more), others))
    return np.where(np.isfinite(together), together, degrees)


def _distance(first: np.ndarray, second: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Largest distance of the distributions of two samples (members, times), one of which may be moved by `slack` (times,)."""
    first, second = np.sort(first, axis=0), np.sort(second, axis=0)
    result = np.zeros(first.shape[1])
    for i, room in enumerate(slack):
        a, b = first[:, i], second[:, i]
        for x, y in ((a, b), (b, a)):
            # The supremum of F_x(z) - F_y(z + room), which is reached at a member of x.
            above = np.arange(1, x.size + 1) / x.size - np.searchsorted(y, x + room, side="right") / y.size
            result[i] = max(result[i], above.max())
    return result


def _net_variance(lines: list[np.ndarray], times: int) -> tuple[np.ndarray, int]:
    """Variance between nets of one start, pooled over starts, (times,), and its degrees of freedom."""
    freedom = sum(len(nets) - 1 for nets in lines)
    if not freedom:
        return np.zeros(times), 0
    return sum(((nets - nets.mean(axis=0)) ** 2).sum(axis=0) for nets in lines if len(nets) > 1) / freedom, freedom


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
