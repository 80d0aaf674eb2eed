"""The tests of a verdict on samples made by hand: how rare false alarms are, and what is found."""

import numpy as np
import pytest

from curriculode.sims.compare.verdict import Sample, covariances, divided_by_covariance, error_of_rate, judge


def test_the_error_of_nets_is_pooled_over_starts() -> None:
    """Known variances: 3 starts with 2, 2 and 1 nets; sigma_net^2 from the pairs, over n_s nets each, weighted by runs."""
    nets = [np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]]), np.array([[4.0]])]
    start = np.array([0, 0, 1, 2])
    runs = np.array([[1.0], [3.0], [2.0], [4.0]])
    tested = judge(nets, runs, start, dimension=100, tests=1, rounding=0.0)
    # means 1, 1, 4: deviations 0, 2, 1, 0; net variance (2 + 0) / 2 = 1, weights (1/2, 1/4, 1/4)
    assert tested.deviation == pytest.approx([0.75])
    assert tested.theory_error == pytest.approx([np.sqrt(1 / 4 / 2 + 1 / 16 / 2 + 1 / 16)])
    assert tested.scatter == pytest.approx([np.std([0, 2, 1, 0], ddof=1)])
    assert tested.standard_error == pytest.approx(np.hypot(tested.scatter / 2, tested.theory_error))


@pytest.mark.parametrize(("runs", "starts"), [(8, 1), (8, 4), (32, 8), (24, 24)])
def test_false_alarms_are_as_rare_as_they_should_be(runs: int, starts: int, rng: np.random.Generator) -> None:
    """Perfect agreement, and no room for a shift: some 40 of 40,000 groups are called wrong."""
    size, groups = 1e-5, 40_000  # so small that the room for a shift, which is quadratic in the scatter, is nothing
    start = np.arange(runs) % starts
    nets = [1.0 + 0.1 * size * rng.standard_normal((9 // starts + 1, groups)) for _ in range(starts)]
    found = judge(nets, 1.0 + size * rng.standard_normal((runs, groups)), start, dimension=10**15, tests=1, rounding=0.0)
    rate = (np.abs(found.deviation) > found.allowed).mean()
    assert 3e-4 < rate < 1.6e-3  # nine nets know their error roughly, which makes it rarer than a thousandth


@pytest.mark.parametrize(("runs", "starts"), [(24, 1), (24, 4), (24, 12)])
def test_false_alarms_of_scatter_laws_and_rates_are_rare(runs: int, starts: int, rng: np.random.Generator) -> None:
    """Runs and pairs of one law, whose starts scatter unlike each other: none of 4000 groups is called wrong at 0.001 / 6 each."""
    times, pairs = 4000, 2 * max(starts, 6)
    start, of_pair = np.arange(runs) % starts, np.arange(pairs) % starts
    spread = 0.5 + np.arange(starts)
    lines = [np.ones((1, times)) for _ in range(starts)]
    values = 1.0 + 1e-3 * spread[start][:, None] * rng.standard_normal((runs, times))
    noise = 1e-3 * spread[of_pair][:, None] * rng.standard_normal((pairs, times))
    predicted = np.stack([noise, -noise], axis=1) + 1e-6 * rng.standard_normal((pairs, 1, times))
    found = judge(lines, values, start, 10**6, 1, 0.0, predicted, of_pair)
    for name, used in found.tests.items():
        assert (used > 1).mean() < 1.5e-3, name
        assert np.median(used) > 0.05, name  # it is a test at all
    slope = {j: (-1.0) ** j * rng.standard_normal(times) for j in range(starts)}
    alarms = []
    for i in range(0, times, 8):  # the error of a rate, from eight quantities at once
        part = {j: each[i : i + 8] for j, each in slope.items()}
        runs_of, paths = (
            Sample(values[:, i : i + 8] - 1.0, start),
            Sample(predicted[:, :, i : i + 8].reshape(-1, 8), of_pair.repeat(2), True),
        )
        error = error_of_rate(part, runs_of, paths, np.full(8, 1e-6), np.zeros(8), 1)
        alarms.append(not error.agrees)
    assert np.mean(alarms) < 0.01


def test_the_error_of_a_rate_by_hand() -> None:
    """Two starts of opposite sensitivity, runs off by a tenth of it: their means cancel, the fit does not; scatter is known."""
    slope = {0: np.array([2.0, 1.0]), 1: np.array([-2.0, 3.0])}
    start = np.array([0, 1] * 8)
    noise = np.repeat([[0.02, 0.0], [-0.02, 0.0]], 8, axis=0)
    runs = Sample(0.1 * np.array([slope[int(j)] for j in start]) + noise, start)
    found = error_of_rate(slope, runs, None, np.ones(2), np.zeros(2), 1)
    # sum of S^2 is 5 and 13 for a run from each start; noise adds +-2 * 0.02 to each product, and cancels in the sum
    assert found.error == pytest.approx(0.1)
    leverage = np.array([5.0, 13.0]) / (8 * 18)
    expected = np.sqrt(8 * ((0.04 / (1 - leverage)) ** 2).sum()) / (8 * 18)
    assert found.standard_error == pytest.approx(expected)
    assert not found.agrees
    assert error_of_rate(slope, runs, None, np.ones(2), np.ones(2), 1).agrees  # with room for deviations of 1
    nothing = error_of_rate({0: np.zeros(2)}, runs, None, np.ones(2), np.zeros(2), 1)
    assert nothing.agrees
    assert np.isinf(nothing.allowed)


@pytest.mark.parametrize(("correlation", "found"), [(0.8, False), (0.7, False), (0.0, True), (-0.8, True)])
def test_another_covariance_is_found(correlation: float, found: bool, rng: np.random.Generator) -> None:
    """Three quantities of the same means and scatters, of which two go together in the pairs, by .8, or not as much."""
    runs, pairs = 384, 192
    start, of_pair = np.zeros(runs, dtype=int), np.zeros(pairs, dtype=int)

    def drawn(count: int, correlation: float) -> np.ndarray:
        x, y, z = 0.01 * rng.standard_normal((3, count, 5))
        return np.array([x, correlation * x + np.sqrt(1 - correlation**2) * y, z])

    noise, values = drawn(pairs, 0.8), drawn(runs, correlation)
    predicted = np.stack([noise, -noise], axis=2)
    tested = {
        name: judge([np.ones((1, 5))], 1.0 + values[i], start, 10**4, 15, 0.0, predicted[i], of_pair)
        for i, name in enumerate("xyz")
    }
    assert all((each.share <= 1).all() for each in tested.values())
    used = covariances(tested, dict(zip("xyz", values, strict=True)), dict(zip("xyz", predicted, strict=True)), start, of_pair)
    assert (used["x"].max() > 1) == found
    assert (used["y"].max() > 1) == found
    assert 0.05 < used["z"].max() < 1


def test_a_slope_divided_by_a_covariance(rng: np.random.Generator) -> None:
    """Against the inverse of the matrix, with correlations that are shrunk by Schafer and Strimmer's sums, term by term."""
    members, n = 12, 5
    odd = rng.standard_normal((members, n)) @ (np.eye(n) + 0.8)
    variance, slope = rng.uniform(0.5, 2.0, n), rng.standard_normal(n)
    x = odd / np.sqrt((odd**2).mean(axis=0))
    correlation = x.T @ x / members
    of_chance, squares = 0.0, 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                of_chance += ((x[:, i] * x[:, j] - correlation[i, j]) ** 2).sum() / members / (members - 1)
                squares += correlation[i, j] ** 2
    shrunk = of_chance / squares
    assert 0.05 < shrunk < 0.95
    covariance = np.sqrt(np.outer(variance, variance)) * ((1 - shrunk) * correlation + shrunk * np.eye(n))
    assert divided_by_covariance(slope, variance, odd) == pytest.approx(np.linalg.solve(covariance, slope))
    alone = divided_by_covariance(slope, variance, rng.standard_normal((2, n)) * 0.0)
    assert alone == pytest.approx(slope / variance)


def test_noise_that_quantities_share_hides_no_error(rng: np.random.Generator) -> None:
    """Noise that is the same in all of 20 quantities, and a rate that moves them against each other: told by the pairs."""
    n, start = 20, np.zeros(96, dtype=int)
    slope = {0: np.resize([1.0, -1.0, 0.5], n)}

    def sample(members: int, paired: bool) -> Sample:
        noise = 0.1 * rng.standard_normal((members, 1)) + 0.01 * rng.standard_normal((members, n))
        both = np.stack([noise, -noise], axis=1).reshape(-1, n) if paired else noise
        return Sample(both, np.zeros(len(both), dtype=int), paired)

    runs, paths = sample(96, False), sample(24, True)
    unrelated = Sample(np.stack([x := 0.1 * rng.standard_normal((24, n)), -x], axis=1).reshape(-1, n), paths.start, True)
    variance, room = np.full(n, 0.01), np.zeros(n)
    known, ignored = (error_of_rate(slope, runs, each, variance, room, 1) for each in (paths, unrelated))
    assert known.agrees
    assert ignored.agrees
    assert known.allowed < 0.2 * ignored.allowed
    off = Sample(runs.values + 2 * known.allowed * slope[0], start)
    assert not error_of_rate(slope, off, paths, variance, room, 1).agrees


def test_another_scatter_and_another_law_are_found(rng: np.random.Generator) -> None:
    """Means agree; one quantity scatters three times as much, another is two-valued."""
    runs, pairs = 96, 48
    start, of_pair = np.zeros(runs, dtype=int), np.zeros(pairs, dtype=int)
    lines = [np.ones((1, 3))]
    noise = 0.01 * rng.standard_normal((pairs, 3))
    values = 0.01 * rng.standard_normal((runs, 3))
    values[:, 1] *= 3.0
    values[:, 2] = 0.01 * np.resize([1.0, -1.0], runs)
    found = judge(lines, 1.0 + values, start, 10**4, 30, 0.0, np.stack([noise, -noise], axis=1), of_pair)
    assert (found.share <= 1).tolist() == [True, False, True]
    assert found.worst[1] == "scatter"
    far = np.where(np.abs(noise) < 0.01, 0.02, -0.02)  # two-valued at twice the distance
    found = judge(lines, 1.0 + values, start, 10**4, 30, 0.0, np.stack([far, -far], axis=1), of_pair)
    assert found.tests["law"][0] > 0.9
