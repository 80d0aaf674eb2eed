"""The spaces driven directly: counts of plans, rates of stages, bits alone and together, one step by hand, and one law."""

import numba
import numpy as np
import pytest
from scipy import stats

import curriculode as cu
from curriculode.sims.spaces.draws import level_counts, plan_counts, segments, stage_counts
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.overlap_space import OverlapSpace, norm_of_rest, norm_of_rest_slowly, rotate
from curriculode.sims.spaces.weight_space import WeightSpace
from curriculode.theory.describe.protocol import Stage
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.setting import Setting
from tests import twins

State = tuple[np.ndarray, np.ndarray, np.ndarray]


def drive(
    experiment: cu.Experiment,
    dimension: int,
    runs: range,
    kind: type = OverlapSpace,
    size: int = 32,
    seed: int = 0,
    cut: int = 10**6,
) -> list[State]:
    """Final Q, M, v of some runs of one ensemble, advanced `size` at a time, in segments of at most `cut` steps."""
    setting = Setting.of(experiment)
    model, counts = Model.of(setting, dimension), stage_counts(experiment.protocol, dimension)
    result: list[State] = []
    for first in range(runs.start, runs.stop, size):
        members = range(first, min(first + size, runs.stop))
        rngs = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,))) for i in members]
        space = kind(model, [experiment.initial(dimension, seed, i) for i in members], rngs)
        remaining = [np.tile(count, (len(members), 1)) for count in counts]
        for segment in segments(counts, np.array([], dtype=int), cut):
            space.advance(remaining[segment.stage], segment.steps, setting.stages[segment.stage].rates)
        assert not any(left.any() for left in remaining)
        result += [space.overlaps(lane) for lane in range(len(members))]
    return result


def plan(xor: cu.Experiment, *stages: Stage, duration: float = 2.0) -> cu.Experiment:
    protocol = cu.Protocol(order="stages", duration=duration, levels=xor.protocol.levels, plan=stages)
    return cu.Experiment(task=xor.task, student=xor.student, training=xor.training, protocol=protocol)


def test_counts_of_random_plans_are_never_one_off(rng: np.random.Generator) -> None:
    """Thousands of plans, short and long, of many levels, with mixtures that are pure, equal or arbitrary, ends on halves too."""
    for _ in range(2500):
        levels, stages = rng.integers(1, 8), rng.integers(1, 9)
        mixtures = rng.dirichlet(np.full(levels, rng.choice([0.1, 1.0, 10.0])), stages)
        if rng.random() < 0.3:
            chosen = rng.random((stages, levels)) < 0.5
            chosen[:, 0] |= ~chosen.any(axis=1)
            mixtures = chosen / chosen.sum(axis=1, keepdims=True)
        length = float(rng.choice([1.0, 2.5, 7.5, 20.0, 333.3, 1e6]))
        ends = length * np.cumsum(rng.dirichlet(np.ones(stages)))
        if rng.random() < 0.4:
            ends = np.sort(rng.integers(1, round(2 * length) + 1, stages)) / 2
            length = ends[-1]
        ends[-1] = length
        total = max(1, round(length))
        counts = np.array(plan_counts(ends, mixtures, total))
        exact = np.cumsum(np.diff(ends, prepend=0.0)[:, None] * mixtures, axis=0)
        given = np.cumsum(counts, axis=0)
        assert counts.min() >= 0
        assert np.abs(given.sum(axis=1) - ends).max() <= 0.5 + 1e-6
        assert given[-1].sum() == total
        assert np.abs(given - exact).max() < 1.0


def test_counts_where_largest_remainders_alone_would_fail() -> None:
    half = np.full(4, 0.25)
    counts = plan_counts([2.0, 3.0], [half, np.array([0.0, 0.0, 0.5, 0.5])], 3)
    assert np.sum(counts, axis=0).tolist() == [1, 0, 1, 1]
    assert min(count.min() for count in counts) == 0


def test_counts_of_a_plan_meet_those_of_the_orders(xor: cu.Experiment) -> None:
    """A plan of one mixed stage is the random order, one of pure stages the curriculum; a stage may have no step at all."""
    mixed = plan(xor, Stage(share=1.0, probability={"easy": 0.25, "hard": 0.75}))
    pure = plan(xor, Stage(share=0.25, probability={"easy": 1.0}), Stage(share=0.75, probability={"hard": 1.0}))
    for D in (1, 7, 33, 1000):
        assert np.array_equal(stage_counts(mixed.protocol, D)[0], level_counts((0.25, 0.75), 2 * D))
    assert [count.tolist() for count in stage_counts(pure.protocol, 1000)] == [[500, 0], [0, 1500]]
    short = plan(xor, Stage(share=0.01, probability={"easy": 1.0}), Stage(share=0.99, probability={"hard": 1.0}))
    counts = stage_counts(short.protocol, 10)
    assert [count.tolist() for count in counts] == [[0, 0], [0, 20]]
    assert [(s.stage, s.steps) for s in segments(counts, np.array([5]), 100)] == [(1, 5), (1, 15)]


@pytest.mark.parametrize("kind", [OverlapSpace, WeightSpace])
def test_each_stage_has_its_own_rate(xor: cu.Experiment, kind: type) -> None:
    """A stage of rate 0 leaves everything where it was; a stage of the training's own rate is one without a rate."""
    easy, hard = {"easy": 1.0}, {"hard": 1.0}
    size = 2 if kind is OverlapSpace else 1
    frozen = plan(xor, Stage(share=0.5, probability=easy, learning_rate=0.0), Stage(share=0.5, probability=hard, learning_rate=0.0))
    start = xor.initial(40, 0, 1)
    for found, expected in zip(drive(frozen, 40, range(1, 3), kind, size)[0], start.blocked(), strict=True):
        assert np.abs(found - expected).max() < 1e-12
    own = plan(xor, Stage(share=0.5, probability=easy, learning_rate=1.5), Stage(share=0.5, probability=hard))
    same = plan(xor, Stage(share=0.5, probability=easy), Stage(share=0.5, probability=hard))
    slow = plan(xor, Stage(share=0.5, probability=easy), Stage(share=0.5, probability=hard, learning_rate=0.5))
    a, b, c = (drive(experiment, 40, range(2), kind, size)[0] for experiment in (own, same, slow))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert np.abs(a[0] - c[0]).max() > 1e-3


def described(
    width: int = 4,
    activation: str = "gelu",
    readout: str = "trained",
    loss: str = "squared",
    weight_decay: float = 0.0,
    faded_fraction: float = 0.0,
    order: str = "curriculum",
    duration: float = 4.0,
) -> cu.Experiment:
    fading = {"fading": 2.0} if faded_fraction else {}
    levels = [cu.Level("easy", share=0.25, noise=0.2, **fading), cu.Level("hard", noise=0.6)]
    return cu.Experiment(
        task=cu.XorMixture(faded_fraction=faded_fraction),
        student=cu.Committee(width=width, activation=activation, readout=readout, readout_scale=0.5),
        training=cu.OnlineSGD(learning_rate=1.5, loss=loss, weight_decay=weight_decay),
        protocol=cu.Protocol(order=order, duration=duration, levels=levels),
    )


BITS = {
    "one block": {},
    "many units": {"width": 19, "duration": 1.0},
    "one unit": {"width": 1},
    "two blocks": {"faded_fraction": 0.4, "order": "random", "weight_decay": 0.1},
    "kink": {"activation": "relu", "loss": "logistic", "readout": "fixed"},
}


@pytest.mark.parametrize("settings", BITS.values(), ids=BITS.keys())
def test_which_runs_go_together_changes_no_bit(settings: dict) -> None:
    """Alone, in eight lanes and in 32; and cut into segments."""
    experiment = described(**settings)
    together = drive(experiment, 60, range(33))
    for other in (drive(experiment, 60, range(33), size=1, cut=37), drive(experiment, 60, range(33), size=5)):
        for one, two in zip(together, other, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_bits_of_noisy_teachers_alone_and_together() -> None:
    experiment = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=2, teacher_activation="tanh", relevant_fraction=0.5, label_noise=0.4),
        student=cu.Committee(width=3, activation="gelu"),
        training=cu.OnlineSGD(learning_rate=0.2),
        protocol=cu.Protocol.single(duration=6.0, irrelevant_variance=2.0),
    )
    for one, two in zip(drive(experiment, 30, range(9)), drive(experiment, 30, range(9), size=1), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_one_step_in_weight_space_by_hand(xor: cu.Experiment) -> None:
    """The same draws in plain numpy: one step on one level, and the exact overlaps of the weights after it."""
    setting, D = Setting.of(xor), 25
    model, start = Model.of(setting, D), xor.initial(25, 3)
    run, twin = (WeightSpace(model, [start], [np.random.default_rng(8)]) for _ in range(2))
    run.advance(np.array([[0, 1]]), 1, Rates(1.5, 0.6, 0.2))
    (W, U, _, _), v, rng = twin.weights, twin.units.v[:, 0], twin.rng
    g, dg, _ = twins.ACTIVATIONS["gelu"]
    c = int(4 * rng.random())
    x = (1 if c % 2 == 0 else -1) * U[c // 2] / np.sqrt(D) + 0.6 * rng.standard_normal(D)
    fields = W @ x / np.sqrt(D)
    e = v @ g(fields) - (1 if c < 2 else -1)
    W1 = (1 - 1.5 * 0.2 / D) * W - 1.5 / np.sqrt(D) * np.outer(e * v * dg(fields), x)
    Q, M, v1 = run.overlaps(0)
    assert np.abs(run.weights.W - W1).max() < 1e-13
    assert np.abs(Q[0] - W1 @ W1.T / D).max() < 1e-13
    assert np.abs(M[0] - W1 @ U.T / D).max() < 1e-13
    assert np.abs(v1 - ((1 - 0.6 * 0.2 / D) * v - 0.6 / D * e * g(fields))).max() < 1e-14


def test_the_two_spaces_have_one_law_with_rates_of_stages(xor: cu.Experiment, seed: int) -> None:
    """Kolmogorov-Smirnov on every order parameter after a plan of two rates, 1000 runs each; p-values corrected for number."""
    mixed = {"easy": 0.5, "hard": 0.5}
    experiment = plan(xor, Stage(share=0.5, probability=mixed), Stage(share=0.5, probability={"hard": 1.0}, learning_rate=0.7))
    overlap = drive(experiment, 16, range(1000), seed=seed)
    weight = drive(experiment, 16, range(1000, 2000), WeightSpace, 1, seed=seed)
    samples = [np.array([np.concatenate([part.ravel() for part in state]) for state in states]) for states in (overlap, weight)]
    p_values = [stats.ks_2samp(a, b, method="asymp").pvalue for a, b in zip(*(s.T for s in samples), strict=True)]
    assert min(p_values) > 1e-4 / len(p_values)


@pytest.mark.parametrize("lanes", [1, 8])
def test_rotation_keeps_overlaps(lanes: int, rng: np.random.Generator) -> None:
    """Independent units, aligned units, and a unit without weights, in every lane at once."""
    A = rng.standard_normal((2 + 5 + 8, 5, lanes))
    A[:, 3] = A[:, 1]
    A[:, 2, lanes // 2] = 0.0
    before, along = np.einsum("jkr,jmr->rkm", A, A), A[:2].copy()
    rotate(A, 2, np.empty((15 + 5 + 1, lanes)), lanes)
    assert np.abs(np.einsum("jkr,jmr->rkm", A, A) - before).max() < 1e-13
    assert np.array_equal(A[:2], along)
    assert np.array_equal(A[7:], np.zeros((8, 5, lanes)))


@numba.njit
def norms(rng: np.random.Generator, degrees: int, count: int) -> np.ndarray:
    d = 0.5 * degrees - 1 / 3
    c = 1 / np.sqrt(9 * d)
    xi, ticket, norm, result = np.empty((1, 1, 1)), np.empty(1), np.empty(1), np.empty(count)
    for i in range(count):
        xi[0, 0, 0], ticket[0] = rng.standard_normal(), rng.random()
        norm_of_rest(degrees, d, c, xi, 0, 0, ticket, norm, 1)
        if norm[0] < 0.0:
            norm[0] = norm_of_rest_slowly(rng, d, c, xi[0, 0, 0], ticket[0])
        result[i] = norm[0]
    return result


def test_norm_of_the_rest_is_a_chi_variable(rng: np.random.Generator) -> None:
    for degrees in (1, 2, 3, 10, 10**6):
        sample = norms(rng, degrees, 20_000)
        assert stats.kstest(np.square(sample), stats.chi2(degrees).cdf).pvalue > 1e-4 / 5
