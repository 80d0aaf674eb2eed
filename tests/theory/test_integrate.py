"""The integration: limits, symmetries, accuracy, and how it ends."""

import importlib

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.describe.protocol import ORDERS


def change(experiment: cu.Experiment, **values) -> cu.Experiment:  # type: ignore[no-untyped-def]
    return experiment.replace({name.replace("__", "."): value for name, value in values.items()})


def same(a: cu.Trajectory, b: cu.Trajectory, tolerance: float) -> bool:
    return all(np.abs(getattr(a, n) - getattr(b, n)).max() <= tolerance for n in ("Q", "M", "v"))


def test_tolerance_controls_the_error(xor: cu.Experiment, seed: int) -> None:
    start = xor.initial(dimension=400, seed=seed)
    truth = cu.integrate(xor, start, rtol=1e-11, atol=1e-13, points=256, times=5)
    errors = []
    for rtol in (1e-4, 1e-6, 1e-8):
        trajectory = cu.integrate(xor, start, rtol=rtol, atol=rtol * 1e-2, points=256, times=5)
        errors.append(np.abs(trajectory.Q - truth.Q).max())
    assert errors[0] < 1e-2
    assert errors[1] < 1e-4
    assert errors[2] < 1e-6


@pytest.mark.parametrize("method", ["RK45", "LSODA", "Radau", "BDF"])
def test_methods_agree(xor: cu.Experiment, method: str, seed: int) -> None:
    xor = change(xor, protocol__duration=2.0)
    start = xor.initial(dimension=400, seed=seed)
    assert same(cu.integrate(xor, start, method=method, points=256), cu.integrate(xor, start, points=256), 1e-3)


def test_output_times_are_met_exactly(xor: cu.Experiment) -> None:
    start = xor.initial(dimension=400)
    given = [0.0, 0.1, 1.999999, 2.0, 2.5, 8.0]
    assert cu.integrate(xor, start, times=given, points=64).t.tolist() == given
    log = cu.integrate(xor, start, times=9, spacing="logarithmic", points=64)
    assert log.t[0] == 0
    assert log.t[-1] == 8.0
    assert log.t.size == log.Q.shape[0] == 9
    assert cu.integrate(xor, start, times=2, spacing="logarithmic", points=64).t.tolist() == [0.0, 8.0]
    late = cu.integrate(xor, start, times=[3.0, 8.0], points=64)
    full = cu.integrate(xor, start, times=[0.0, 3.0, 8.0], points=64)
    assert np.array_equal(late.Q, full.Q[1:])


def test_stage_boundary_is_a_kink_of_the_solution(xor: cu.Experiment) -> None:
    """The slope jumps where the level changes, at t = 2, and only there."""
    h = 1e-4
    t = [1.0 - h, 1.0, 1.0 + h, 2.0 - h, 2.0, 2.0 + h]
    v = cu.integrate(xor, xor.initial(dimension=100, seed=1), times=t, rtol=1e-10, atol=1e-12, points=64).v
    slopes = np.diff(v, axis=0)[[0, 1, 3, 4]] / h
    assert np.abs(slopes[1] - slopes[0]).max() < 1e-3
    assert np.abs(slopes[3] - slopes[2]).max() > 1e-2


def test_one_level_gives_the_same_for_every_order() -> None:
    results = []
    for order in ORDERS:
        experiment = cu.Experiment(
            task=cu.XorMixture(),
            student=cu.Committee(width=3, activation="erf"),
            training=cu.OnlineSGD(learning_rate=1.0),
            protocol=cu.Protocol(order=order, duration=3.0, levels=[cu.Level("only", share=1.0, noise=0.4)]),
        )
        results.append(cu.integrate(experiment, experiment.initial(dimension=100), points=256))
    assert all(same(results[0], other, 0.0) for other in results[1:])


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_permuting_units_permutes_the_result(xor: cu.Experiment, activation: str, rng: np.random.Generator) -> None:
    xor = change(xor, student__activation=activation, protocol__duration=3.0)
    start = xor.initial(dimension=200, seed=2)
    order = rng.permutation(4)
    plain, permuted = cu.integrate(xor, start, points=256), cu.integrate(xor, start.permuted(order), points=256)
    assert np.array_equal(plain.v[:, order], permuted.v)
    assert np.array_equal(plain.Q[:, order][:, :, order], permuted.Q)
    assert np.array_equal(plain.generalization_error, permuted.generalization_error)


def test_swapping_labels_pairs_and_readout_changes_nothing(xor: cu.Experiment) -> None:
    start = xor.initial(dimension=200, seed=2)
    mirrored = cu.OrderParameters(start.Q, start.M[:, ::-1], -start.v)
    plain, swapped = cu.integrate(xor, start, points=256), cu.integrate(xor, mirrored, points=256)
    assert np.abs(plain.Q - swapped.Q).max() < 1e-7
    assert np.abs(plain.M - swapped.M[..., ::-1]).max() < 1e-7
    assert np.abs(plain.v + swapped.v).max() < 1e-7
    assert np.abs(plain.generalization_error - swapped.generalization_error).max() < 1e-7


def test_zero_learning_rate_keeps_the_state(xor: cu.Experiment) -> None:
    still = change(xor, training__learning_rate=0.0, training__weight_decay=0.3)
    start = still.initial(dimension=100)
    trajectory = cu.integrate(still, start)
    assert np.array_equal(trajectory.Q[-1], start.Q)
    assert np.array_equal(trajectory.v[-1], start.v)


def test_weight_decay_alone_is_exponential(xor: cu.Experiment) -> None:
    """With v = 0 and its learning rate 0 nothing acts on w but the decay: Q ~ exp(-2 eta kappa t)."""
    case = change(xor, training__readout_learning_rate=0.0, training__weight_decay=0.2, protocol__duration=2.0)
    start = case.initial(dimension=100)
    start = cu.OrderParameters(start.Q, start.M, np.zeros(4))
    end = cu.integrate(case, start, rtol=1e-9, atol=1e-12, points=64)
    assert np.abs(end.Q[-1] - start.Q * np.exp(-2 * 1.5 * 0.2 * 2.0)).max() < 1e-8
    assert np.abs(end.M[-1] - start.M * np.exp(-1.5 * 0.2 * 2.0)).max() < 1e-8


def test_gradient_flow_lowers_the_population_loss(xor: cu.Experiment) -> None:
    case = change(xor, protocol__order="hard-only", protocol__duration=40.0)
    flow = cu.integrate(case, case.initial(dimension=400), noise_terms=False)
    assert (np.diff(flow.generalization_error) < 1e-9).all()
    assert flow.generalization_error[-1] < 0.99 * flow.generalization_error[0]


def test_fading_on_all_inputs_is_a_larger_separation() -> None:
    """A gain on every input only moves the centroids: the fields' means grow, but the references stay what they are."""
    common = dict(student=cu.Committee(width=3, activation="erf"), training=cu.OnlineSGD(learning_rate=0.7))
    faded = cu.Experiment(
        task=cu.XorMixture(separation=1.0, faded_fraction=1.0),
        protocol=cu.Protocol.single(duration=5.0, noise=0.5, fading=1.5),
        **common,
    )
    far = cu.Experiment(task=cu.XorMixture(separation=2.25), protocol=cu.Protocol.single(duration=5.0, noise=0.5), **common)
    start = faded.initial(dimension=100)
    a = cu.integrate(faded, start, rtol=1e-9)
    b = cu.integrate(far, cu.OrderParameters(start.Q, 1.5 * start.M, start.v), rtol=1e-9)
    assert np.abs(a.Q - b.Q).max() < 1e-8
    assert np.abs(1.5 * a.M - b.M).max() < 1e-8


def test_two_equal_blocks_are_one() -> None:
    """With a gain of 1 the split into blocks is a bookkeeping: block sums follow the one-block equations."""
    common = dict(student=cu.Committee(width=3, activation="gelu"), training=cu.OnlineSGD(learning_rate=0.7))
    protocol = cu.Protocol.single(duration=5.0, noise=0.5)
    two = cu.Experiment(task=cu.XorMixture(faded_fraction=0.3), protocol=protocol, **common)
    one = cu.Experiment(task=cu.XorMixture(), protocol=protocol, **common)
    start = two.initial(dimension=100)
    a = cu.integrate(two, start, rtol=1e-9)
    b = cu.integrate(one, cu.OrderParameters(start.Q.sum(0), start.M.sum(0), start.v), rtol=1e-9)
    assert np.abs(a.Q.sum(axis=1) - b.Q).max() < 1e-8
    assert np.abs(a.M.sum(axis=1) - b.M).max() < 1e-8


def test_divergence_names_time_and_quantity(xor: cu.Experiment) -> None:
    wild = change(xor, student__activation="quadratic", student__readout="fixed", training__learning_rate=5.0)
    trajectory = cu.integrate(wild, wild.initial(dimension=100))
    assert not trajectory.success
    assert trajectory.status.startswith("diverged at t = ")
    assert "[" in trajectory.status.split(":")[1]
    assert "smaller learning_rate" in trajectory.status
    assert trajectory.t[-1] < 8.0
    assert trajectory.t.size == trajectory.Q.shape[0] == len(trajectory.to_frame())
    assert np.isfinite(trajectory.Q).all()


@pytest.mark.slow
def test_a_wide_student_integrates(xor: cu.Experiment) -> None:
    wide = change(xor, student__width=256, student__readout_scale="1/sqrt(K)", protocol__duration=0.05)
    trajectory = cu.integrate(wide, wide.initial(dimension=1000), points=512, times=3, estimate_error=False)
    assert trajectory.success
    assert trajectory.Q.shape == (3, 256, 256)
    # Wider than the default net: it grows by itself, or is not needed at all.
    linear = change(xor, student__width=600, student__activation="linear", protocol__duration=0.01, training__learning_rate=0.1)
    assert cu.integrate(linear, linear.initial(dimension=1000), times=2, noise_terms=False).success


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "loss"), [("gelu", "squared"), ("relu", "squared"), ("tanh", "logistic")])
def test_accuracy_is_reached_and_honest(xor: cu.Experiment, activation: str, loss: str) -> None:
    """The reported standard error covers the distance to a far larger net all along the trajectory."""
    case = change(xor, student__activation=activation, training__loss=loss)
    start = case.initial(dimension=400, seed=1)
    rough = cu.integrate(case, start, accuracy=5e-3)
    report = rough.statistics["averages"]
    assert report["accuracy"] <= 5e-3
    fine = cu.integrate(case, start, points=2**15, estimate_error=False)
    difference = np.abs(rough.generalization_error - fine.generalization_error)
    assert (difference < 5 * report["standard_error"] + 1e-5).all()
    wrong = np.abs(rough.classification_error - fine.classification_error)
    assert (wrong < 5 * rough.classification_standard_error + 5 * fine.classification_standard_error).all()
    assert (rough.classification_standard_error > 0).all()
    finer = cu.integrate(case, start, accuracy=report["accuracy"] / 3, times=report["t"])
    assert finer.statistics["averages"]["points"] > report["points"]


def test_the_error_of_exact_equations_is_that_of_the_classification_error() -> None:
    """Erf committees: closed forms, but whether the sign is right is averaged by a net, whose error is told."""
    case = cu.load("committee-plateau").replace({"protocol.duration": 4.0})
    start = case.initial(dimension=1000)
    trajectory = cu.integrate(case, start, times=5)
    assert trajectory.statistics["averages"]["ways"]["classification error"] == "quasi-Monte Carlo"
    truth = trajectory.replace(numerics=trajectory.numerics.set(points=2**18, scrambling=1)).classification_error
    error = trajectory.classification_standard_error
    assert (error[1:] > 1e-5).all()
    assert (np.abs(trajectory.classification_error - truth) < 5 * error + 1e-4).all()


def test_a_smaller_net_that_diverges_leaves_no_error(xor: cu.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the four pilots ends early: the error after that is not known, which is told, and is no error of zero."""
    module = importlib.import_module("curriculode.theory.solve.integrate")
    whole = module._Run.once

    def cut(*arguments):  # type: ignore[no-untyped-def]
        trajectory = whole(*arguments)
        if arguments[2] != 2**31:  # the net of the first pilot
            return trajectory
        return trajectory.replace(arrays={name: value[:2] for name, value in trajectory.arrays.items()}, success=False)

    monkeypatch.setattr(module._Run, "once", cut)
    case = change(xor, student__activation="tanh", protocol__duration=1.0)
    trajectory = cu.integrate(case, case.initial(dimension=200), points=64, times=5)
    report = trajectory.statistics["averages"]
    assert trajectory.success
    assert "a smaller net diverged" in trajectory.status
    assert report["accuracy"] == np.inf
    assert np.isfinite(report["standard_error"]).tolist() == [True, True, False, False, False]


@pytest.mark.slow
def test_accuracy_out_of_reach_is_said(xor: cu.Experiment) -> None:
    case = change(xor, student__activation="tanh", protocol__duration=0.5)
    trajectory = cu.integrate(case, case.initial(dimension=400), accuracy=1e-12, times=3)
    assert trajectory.success
    assert "not 1.0e-12: ask for points = 262144 or more" in trajectory.status
    assert trajectory.statistics["averages"]["points"] == 2**16


def test_cosines_and_covered_clusters() -> None:
    from curriculode.theory.results.observables import cosines, covered_clusters

    T = np.eye(2)[None]
    M = np.array([[[0.9, 0.0], [-0.9, 0.0], [0.0, 0.8], [0.0, -0.8]]])
    Q = np.eye(4)[None]
    assert cosines(Q, M, T)[0, 0] == 0.9
    assert covered_clusters(Q, M, np.array([1.0, 1.0, -1.0, -1.0]), T) == 4
    assert covered_clusters(Q, M, np.array([1.0, -1.0, -1.0, -1.0]), T) == 3
    assert covered_clusters(Q, M, np.array([1.0, 1.0, -1.0, -1.0]), T, threshold=0.85) == 2
    assert covered_clusters(4 * Q, M, np.array([1.0, 1.0, -1.0, -1.0]), T) == 0
