"""The simulators: exact placement, exact counts, reproducible bits, the law of one step, and equality of the two spaces."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from scipy import stats

import curriculode as cu
from curriculode.sims.runs.simulate import simulate
from curriculode.sims.spaces.draws import Segment, draw_level, level_counts, record_steps, segments, stage_counts
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.overlap_space import OverlapSpace
from curriculode.sims.spaces.weight_space import WeightSpace, place
from curriculode.theory.describe.protocol import ORDERS
from curriculode.theory.dynamics.setting import Setting
from tests import twins

LEVELS = [cu.Level("easy", share=0.3, noise=0.2), cu.Level("mid", share=0.3, noise=0.4), cu.Level("hard", noise=0.6)]


def protocol(order: str, duration: float = 2.0) -> cu.Protocol:
    return cu.Protocol(order=order, duration=duration, levels=LEVELS)


def test_placed_weights_have_the_prescribed_overlaps(rng: np.random.Generator) -> None:
    experiment = cu.load("xor-curriculum").replace({"task.faded_fraction": 0.4})
    start = experiment.initial(dimension=50, seed=4)
    Q, M, _ = start.blocked()
    T, edges = experiment.task.reference_overlap(), np.array([0, 20, 50])
    W, U = place(Q, M, T, edges, rng)
    for b, part in enumerate((slice(0, 20), slice(20, 50))):
        assert np.abs(W[:, part] @ W[:, part].T / 50 - Q[b]).max() < 1e-13
        assert np.abs(W[:, part] @ U[:, part].T / 50 - M[b]).max() < 1e-13
        assert np.abs(U[:, part] @ U[:, part].T / 50 - T[b]).max() < 1e-13


def test_placed_frames_are_isotropic(rng: np.random.Generator) -> None:
    """A unit vector of a uniformly random frame has components of mean 0 and mean square 1 / D."""
    Q, M, T = np.eye(1)[None], np.zeros((1, 1, 1)), np.eye(1)[None]
    first = np.array([place(Q, M, T, np.array([0, 5]), rng)[0][0] for _ in range(4000)]) / np.sqrt(5)
    assert np.abs(first.mean(axis=0)).max() < 4.5 * np.sqrt(1 / 5 / 4000)
    assert np.abs((first**2).mean(axis=0) - 0.2).max() < 4.5 * np.sqrt(2 * 0.04 / 4000)


def test_every_order_shows_the_same_numbers_of_examples() -> None:
    for order in ("curriculum", "anti-curriculum", "random"):
        assert np.sum(stage_counts(protocol(order), 33), axis=0).tolist() == level_counts((0.3, 0.3, 0.4), 66).tolist()
    assert stage_counts(protocol("hard-only"), 33)[0].tolist() == [0, 0, 66]
    assert level_counts((1 / 3, 1 / 3, 1 / 3), 100).sum() == 100
    assert level_counts((0.1, 0.9), 10000).tolist() == [1000, 9000]


def test_levels_are_drawn_without_replacement(rng: np.random.Generator) -> None:
    counts = np.array([3, 0, 2])
    first = np.zeros(3)
    for _ in range(6000):
        remaining = counts.copy()
        sequence = [draw_level(rng, remaining) for _ in range(5)]
        assert sorted(sequence) == [0, 0, 0, 2, 2]
        first[sequence[4]] += 1
    # Shuffled: the last example is easy with probability 3/5, like any other.
    assert abs(first[0] / 6000 - 0.6) < 4.5 * np.sqrt(0.24 / 6000)


def test_segments_meet_records_and_stages() -> None:
    counts = [np.array([10, 0]), np.array([0, 5])]
    assert list(segments(counts, np.array([0, 4, 10, 13]), 100)) == [
        Segment(0, 4, True),
        Segment(0, 6, True),
        Segment(1, 3, True),
        Segment(1, 2, False),
    ]
    assert [s.steps for s in segments(counts, np.array([15]), 4)] == [4, 4, 2, 4, 1]
    assert record_steps(np.array([0.0, 0.101, 0.104, 2.0]), protocol("random"), 10).tolist() == [0, 1, 20]


@pytest.mark.parametrize("space", ["overlap", "weight"])
def test_same_seed_same_bits_whatever_the_workers(xor: cu.Experiment, space: str) -> None:
    settings = dict(dimension=60, seed=5, space=space, times=4)
    one = simulate(xor, runs=6, workers=1, **settings)
    many = simulate(xor, runs=6, workers=4, **settings)
    fewer = simulate(xor, runs=3, workers=2, **settings)
    longer = simulate(xor, runs=40, workers=1, **settings)
    assert np.array_equal(one.Q, longer.Q[:6])
    assert np.array_equal(one.Q, many.Q)
    assert np.array_equal(one.v, many.v)
    assert np.array_equal(one.Q[:3], fewer.Q)
    other = simulate(xor, runs=6, **{**settings, "seed": 6})
    assert not np.array_equal(one.Q, other.Q)


@pytest.mark.parametrize(
    ("activation", "loss"), [("gelu", "squared"), ("erf", "logistic"), ("relu", "logistic"), ("tanh", "squared")]
)
def test_weight_space_against_plain_numpy(activation: str, loss: str) -> None:
    """The same Generator, the same draws: the kernel and a loop in plain numpy stay together to rounding for 50 steps."""
    experiment = cu.Experiment(
        task=cu.XorMixture(separation=1.2, faded_fraction=0.4),
        student=cu.Committee(width=3, activation=activation),
        training=cu.OnlineSGD(learning_rate=1.1, readout_learning_rate=0.6, weight_decay=0.2, loss=loss),
        protocol=cu.Protocol.single(duration=5.0, noise=0.5, fading=1.6),
    )
    D = 20
    start = experiment.initial(dimension=D, seed=1)
    setting = Setting.of(experiment)
    run = WeightSpace(Model.of(setting, D), [start], [np.random.default_rng(8)])
    twin = WeightSpace(Model.of(setting, D), [start], [np.random.default_rng(8)])
    run.advance(np.array([[50]]), 50, setting.rates)
    W, U, v, rng = twin.weights.W, twin.weights.U, twin.units.v[:, 0], twin.rng
    g, dg, _ = twins.ACTIVATIONS[activation]
    gain = np.where(np.arange(D) < 8, 1.6, 1.0)
    for _ in range(50):
        c = int(4 * rng.random())
        z = rng.standard_normal(D)
        y = 1 if c < 2 else -1
        x = (1 if c % 2 == 0 else -1) * gain * U[c // 2] / np.sqrt(D) + 0.5 * z
        lam = W @ x / np.sqrt(D)
        e = twins.SIGNALS[loss](v @ g(lam), y)
        W, v = (
            (1 - 1.1 * 0.2 / D) * W - 1.1 / np.sqrt(D) * np.outer(e * v * dg(lam), x),
            (1 - 0.6 * 0.2 / D) * v - 0.6 / D * e * g(lam),
        )
    assert np.abs(run.weights.W - W).max() < 1e-12
    assert np.abs(run.units.v[:, 0] - v).max() < 1e-13


def test_runs_in_random_order_depend_on_nothing_but_their_seed(xor: cu.Experiment) -> None:
    """Few examples, many records: runs exhaust a level at different times, and each still sees exactly its own numbers."""
    experiment = xor.replace(
        {"protocol.order": "random", "protocol.duration": 2.0, "levels.easy.share": 0.1, "levels.hard.share": 0.9}
    )
    settings = dict(dimension=20, seed=1, times=41, points=64)
    together = simulate(experiment, runs=40, workers=1, **settings)
    for number in range(0, 40, 7):
        alone = simulate(experiment, runs=1, first=number, workers=2, **settings)
        assert np.array_equal(alone.Q[0], together.Q[number])
    few = simulate(experiment, runs=40, workers=1, **{**settings, "times": 2})
    assert np.array_equal(few.v[:, -1], together.v[:, -1])
    setting = Setting.of(experiment)
    model = Model.of(setting, 20)
    starts = [experiment.initial(20, 1, i) for i in range(8)]
    space = OverlapSpace(model, starts, [np.random.default_rng(i) for i in range(8)])
    remaining = np.tile([4, 36], (8, 1))
    for _ in range(20):
        space.advance(remaining, 2, setting.rates)
        assert remaining.min() >= 0
    assert not remaining.any()


def space_law_cases() -> list[tuple[str, dict, int]]:
    return [
        ("gelu", {}, 12),
        ("erf", {"training.loss": "logistic"}, 30),
        ("relu", {"task.faded_fraction": 0.5, "levels.easy.fading": 2.0, "protocol.order": "random"}, 24),
        ("gelu", {"student.readout": "fixed", "training.weight_decay": 0.2}, 6),  # D = K + P: the basis is the space
    ]


@pytest.mark.parametrize(
    ("activation", "changes", "D", "runs"),
    [
        (*space_law_cases()[0], 800),
        *(pytest.param(*case, 800, marks=pytest.mark.slow) for case in space_law_cases()[1:]),
        pytest.param(*space_law_cases()[2], 4000, marks=pytest.mark.slow),
    ],
)
def test_the_two_spaces_have_one_law(xor: cu.Experiment, activation: str, changes: dict, D: int, runs: int, seed: int) -> None:
    """Kolmogorov-Smirnov on every order parameter and error at three times; p-values corrected for their number."""
    experiment = xor.replace({"student.activation": activation, "protocol.duration": 6.0, **changes})
    start = experiment.initial(dimension=D, seed=seed)
    settings = dict(dimension=D, runs=runs, start=start, times=[1.0, 3.0, 6.0], points=64)
    a = simulate(experiment, seed=seed, space="overlap", **settings)
    b = simulate(experiment, seed=seed + 10_000, space="weight", **settings)
    A, B = {**a.observables(), **a.entries()}, {**b.observables(), **b.entries()}
    names = [n for n in A if np.ptp(A[n]) > 0]
    p_values = [stats.ks_2samp(A[n][:, i], B[n][:, i], method="asymp").pvalue for n in names for i in range(3)]
    assert min(p_values) > 1e-4 / len(p_values)


@pytest.mark.slow
@pytest.mark.parametrize("label_noise", [0.0, 0.4])
def test_the_two_spaces_have_one_law_for_teachers(label_noise: float, seed: int) -> None:
    """A sign teacher, or a noisy committee, on irrelevant inputs; D = 16 with blocks of 8."""
    sign = label_noise == 0.0
    experiment = cu.Experiment(
        task=cu.TeacherStudent(
            teacher_width=1 if sign else 2,
            teacher_activation="sign" if sign else "tanh",
            relevant_fraction=0.5,
            label_noise=label_noise,
        ),
        student=cu.Committee(width=3, activation="gelu"),
        training=cu.OnlineSGD(learning_rate=0.8 if sign else 0.2, loss="logistic" if sign else "squared"),
        protocol=cu.Protocol(
            order="random",
            duration=4.0,
            levels=[cu.Level("easy", share=0.5, irrelevant_variance=0.1), cu.Level("hard", irrelevant_variance=2.0)],
        ),
    )
    start = experiment.initial(dimension=16, seed=seed)
    settings = dict(dimension=16, runs=1000, start=start, times=[1.0, 4.0], points=64)
    a = simulate(experiment, seed=seed, space="overlap", **settings)
    b = simulate(experiment, seed=seed + 10_000, space="weight", **settings)
    A, B = {**a.observables(), **a.entries()}, {**b.observables(), **b.entries()}
    names = [n for n in A if np.ptp(A[n]) > 0]
    p_values = [stats.ks_2samp(A[n][:, i], B[n][:, i], method="asymp").pvalue for n in names for i in range(2)]
    assert min(p_values) > 1e-4 / len(p_values)


@pytest.mark.slow
def test_one_step_moment_by_moment(xor: cu.Experiment, seed: int) -> None:
    """Means and covariances of (Q, M, v) after a single step at D = 12, 6,000 runs in each space."""
    experiment = xor.replace({"protocol.duration": 1 / 12, "protocol.order": "hard-only"})
    start = experiment.initial(dimension=12, seed=seed)
    settings = dict(dimension=12, runs=6_000, start=start, times=[1 / 12], points=16)
    samples = []
    for offset, space in enumerate(("overlap", "weight")):
        ensemble = simulate(experiment, seed=seed + 7 + offset, space=space, **settings)
        samples.append(np.stack([value[:, 0] for value in ensemble.entries().values()], axis=1))
    a, b = (s - samples[0].mean(axis=0) for s in samples)
    n = len(a)
    for power in (lambda s: s, lambda s: s[:, :, None] * s[:, None, :], lambda s: s**3):
        x, y = power(a).reshape(n, -1), power(b).reshape(n, -1)
        error = np.sqrt(x.var(0) / n + y.var(0) / n)
        z = (x.mean(0) - y.mean(0)) / np.where(error > 0, error, 1)
        assert np.abs(z).max() < stats.norm.isf(1e-4 / 2 / z.size)


def test_long_runs_do_not_drift() -> None:
    """With no learning the rotations are all that happens: after 2,000,000 steps the overlaps are those of the start."""
    experiment = cu.load("xor-curriculum").replace(
        {
            "training.learning_rate": 1e-300,
            "task.faded_fraction": 0.5,
            "protocol.duration": 2e6 / 1000,
            "protocol.order": "hard-only",
        }
    )
    start = experiment.initial(dimension=1000)
    ensemble = simulate(experiment, dimension=1000, runs=1, start=start, times=2)
    Q, M, _ = start.blocked()
    assert np.abs(ensemble.Q[0, -1] - Q).max() < 1e-11
    assert np.abs(ensemble.M[0, -1] - M).max() < 1e-11


def test_aligned_units_stay_finite_in_overlap_space(xor: cu.Experiment) -> None:
    """Two identical units, both along a reference: singular overlaps all the way, and the units stay identical."""
    T = xor.task.reference_overlap()[0]
    M = np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 0.3], [0.1, 0.1]])
    Q = M @ np.linalg.inv(T) @ M.T + np.diag([0.0, 0.0, 0.2, 0.2])
    start = cu.OrderParameters(Q, M, np.array([0.5, 0.5, -0.5, -0.2]))
    ensemble = simulate(xor, dimension=500, runs=2, start=start, times=3)
    assert np.isfinite(ensemble.Q).all()
    assert np.abs(ensemble.Q[:, :, 0] - ensemble.Q[:, :, 1]).max() < 1e-10


def test_diverged_runs_are_named(xor: cu.Experiment) -> None:
    wild = xor.replace({"student.activation": "quadratic", "student.readout": "fixed", "training.learning_rate": 30.0})
    ensemble = simulate(wild, dimension=40, runs=4, times=3, points=64)
    assert "diverged (a smaller learning_rate" in ensemble.status
    assert not ensemble.finite.all()


BAD = [
    (dict(dimension=100, runs=0), "runs = 0 is not allowed; it must be a whole number of at least 1"),
    (dict(dimension=100, runs=2.5), "runs = 2.5 is not allowed"),
    (dict(dimension=5), "D = 5 is too small"),
    (dict(dimension="a"), "dimension = 'a' is not allowed"),
    (dict(dimension=100, space="fourier"), "space 'fourier' is unknown; allowed: overlap, weight"),
    (dict(dimension=100, workers=0), "workers = 0"),
    (dict(dimension=100, seed="x"), "seed = 'x' is not allowed"),
    (dict(dimension=100, times=[5.0, 900.0]), "must lie in"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_simulate_refuses(xor: cu.Experiment, options: dict, message: str) -> None:
    with pytest.raises(cu.InputError, match=message):
        simulate(xor, **options)


def test_a_run_far_beyond_its_start_has_diverged(xor: cu.Experiment) -> None:
    """10^8 times the start, as in theory, though every number is still finite: it is named, and has no observables."""
    changes = {"student.activation": "relu", "student.readout": "fixed", "training.learning_rate": 60.0, "protocol.duration": 4.0}
    wild = xor.replace({**changes, "protocol.order": "hard-only"})
    ensemble = simulate(wild, dimension=50, runs=8, times=3, points=64)
    assert np.isfinite(ensemble.Q).all()
    assert not ensemble.finite.all()
    assert f"{int((~ensemble.finite).sum())} of them diverged" in ensemble.status
    seen = cu.observe(wild, ["v[0]"], dimension=50, runs=8, points=64)
    assert np.array_equal(np.isnan(seen.values["v[0]"]).all(axis=1), ~ensemble.finite)


def test_simulate_refuses_starts_that_do_not_fit(xor: cu.Experiment) -> None:
    with pytest.raises(cu.InputError, match="2 starts were given for 3 runs"):
        simulate(xor, dimension=100, runs=3, start=[xor.initial(100)] * 2)
    with pytest.raises(cu.InputError, match="no full example"):
        simulate(xor.replace({"protocol.duration": 1e-4}), dimension=100, runs=3)


def test_all_orders_run(xor: cu.Experiment) -> None:
    for order in ORDERS:
        ensemble = simulate(xor.replace({"protocol.order": order}), dimension=30, runs=2, times=5, points=64)
        assert ensemble.t[-1] == 8.0
        assert ensemble.status == "2 of 2 runs finished"
        assert len(ensemble.to_frame()) == 10
        assert ensemble.summary().shape[0] == 5


def test_interrupt_keeps_the_finished_runs() -> None:
    """A real SIGINT into a real process in the middle of a long simulation."""
    script = textwrap.dedent(
        """
        import os, signal, threading, time
        import curriculode as cu
        from curriculode.sims.runs.simulate import simulate
        experiment = cu.load("xor-curriculum")
        simulate(experiment.replace({"protocol.duration": 1.0}), dimension=50, runs=2, times=2)
        fired = []
        def progress(fraction):
            if fraction > 0.3 and not fired:
                fired.append(fraction)
                os.kill(os.getpid(), signal.SIGINT)
        ensemble = simulate(experiment, dimension=4000, runs=40, workers=2, times=3, progress=progress)
        print(ensemble.interrupted, len(ensemble.run), ensemble.v.shape[0], ensemble.status)
        """
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, env={**os.environ})
    assert result.returncode == 0, result.stderr
    interrupted, runs, rows, *status = result.stdout.split()
    assert interrupted == "True"
    assert 0 < int(runs) < 40
    assert rows == runs
    assert " ".join(status) == f"{runs} of 40 runs finished, then the simulation was interrupted"
