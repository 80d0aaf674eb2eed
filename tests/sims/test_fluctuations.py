"""Predicted against observed mean and covariance of runs at finite D."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.figures.gallery.optimal_orders import _EXPERIMENT as EXPERIMENT_OF_ORDERS
from curriculode.figures.gallery.optimal_orders import _START as START_OF_ORDERS
from curriculode.theory.finite_d.fluctuations import fluctuations
from curriculode.theory.finite_d.record import Fluctuations

COMMITTEE = cu.Experiment(
    task=cu.TeacherStudent(teacher_width=2, teacher_activation="erf", relevant_fraction=0.5, label_noise=0.3),
    student=cu.Committee(width=2, activation="erf"),
    training=cu.OnlineSGD(learning_rate=1.0, weight_decay=0.05),
    protocol=cu.Protocol(
        order="random",
        duration=4.0,
        levels=[cu.Level("easy", share=0.25, irrelevant_variance=0.2), cu.Level("hard", irrelevant_variance=1.0)],
    ),
)


def xor(order: str, **changes: object) -> cu.Experiment:
    return cu.load("xor-curriculum").replace({"protocol.duration": 2.5, "protocol.order": order, **changes})


def compared(found: Fluctuations, runs: int, start: cu.OrderParameters | None, D: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """At the last time: observed over predicted variance along the main axes of C; deviations of the mean in standard errors."""
    ensemble = cu.simulate(found.experiment, dimension=D, runs=runs, seed=seed, start=start, times=found.t, progress=False)
    entries = ensemble.entries()
    values = np.array([entries[name][:, -1] for name in found.names])
    bands = [found.band(name, D) for name in found.names]
    mean, covariance = np.array([band[0][-1] for band in bands]), found.covariance[-1] / D
    w, V = np.linalg.eigh(covariance)
    main = w > 1e-3 * w[-1]
    observed = np.cov(values)
    error = np.sqrt(np.diag(observed) / runs)
    moved = error > 1e-9
    return np.diag(V.T @ observed @ V)[main] / w[main], ((values.mean(axis=1) - mean)[moved] / error[moved])


CASES = {
    "committee, two blocks, label noise, mixed": (COMMITTEE, 100, None),
    "committee at small D": (COMMITTEE, 40, "closure"),
    "xor, curriculum": (xor("curriculum"), 200, "closure"),
    "xor, mixed": (xor("random"), 200, "closure"),
    "xor, relu, logistic": (
        xor("random", **{"student.activation": "relu", "training.loss": "logistic", "protocol.duration": 1.0, "student.width": 2}),
        400,
        "closure",
    ),
    "perceptron": (cu.load("perceptron-curriculum").replace({"protocol.duration": 4.0}), 200, None),
    "perceptron, reversed": (
        cu.load("perceptron-curriculum").replace({"protocol.duration": 4.0, "protocol.order": "anti-curriculum"}),
        200,
        None,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_predicted_scatter_and_shift_are_those_of_runs(name: str, seed: int) -> None:
    """Variances within 6 % in the mean over axes (that of 4000 runs is known to 2 %), means within chance."""
    case, D, mode = CASES[name]
    start = case.initial(dimension=D, seed=seed)
    found = fluctuations(case, start, times=3, points=4096, dimension=D if mode else None)
    ratio, z = compared(found, 4000, start, D, seed + 1)
    assert abs(ratio.mean() - 1.0) < 0.06
    assert np.sqrt((z**2).mean()) < 1.7
    assert np.abs(z).max() < 4.5


@pytest.mark.slow
def test_random_starts_scatter_as_predicted(seed: int) -> None:
    case = cu.load("perceptron-curriculum").replace({"protocol.duration": 4.0, "student.readout": "fixed"})
    found = fluctuations(case, case.initial(dimension=200, seed=seed), times=3, points=4096, weights="random")
    ratio, z = compared(found, 4000, None, 200, seed)
    assert abs(ratio.mean() - 1.0) < 0.06
    assert np.abs(z).max() < 4.5


@pytest.mark.slow
def test_without_the_shift_the_mean_would_be_wrong(seed: int) -> None:
    """The power of the test above: the equations' own trajectory is many standard errors off."""
    start = COMMITTEE.initial(dimension=40, seed=seed)
    found = fluctuations(COMMITTEE, start, times=2, points=4096)
    _, z = compared(found.replace(arrays={"shift": np.zeros_like(found.shift)}), 20_000, start, 40, seed + 1)
    assert np.abs(z).max() > 8


@pytest.mark.slow
def test_errors_of_the_perceptron_lie_below_the_equations_as_predicted(seed: int) -> None:
    """The setting of optimal-orders: what its runs lack to the equations is 1/D."""
    case = EXPERIMENT_OF_ORDERS.replace({"protocol.order": "curriculum"})
    found = fluctuations(case, START_OF_ORDERS, times=2)
    mean, scatter = found.band("classification_error", dimension=50)
    runs = cu.simulate(case, dimension=50, runs=8000, seed=seed, start=START_OF_ORDERS, times=2, progress=False)
    observed = runs.classification_error[:, -1]
    error = observed.std() / np.sqrt(observed.size)
    assert abs(observed.mean() - mean[-1]) < 4 * error
    assert observed.mean() < found.classification_error[-1] - 5 * error
    assert scatter[-1] == pytest.approx(observed.std(), rel=0.1)  # of 512 states
