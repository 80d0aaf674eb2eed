"""Starts with other labels: random ones, or the same for all; then the task."""

import numpy as np
import pytest

import curriculode as cu


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_random_labels_are_both_labels_as_often(xor: cu.Experiment, loss: str) -> None:
    """E[l(f, y)] over y = 1 and -1 is the mean of that of f and that of -f against 1."""
    state = cu.OrderParameters(np.eye(4), np.tile([0.3, 0.1], (4, 1)), [1.0, 0.5, -0.3, -0.8])
    mirrored = cu.OrderParameters(state.Q, state.M, -state.v)

    def error(labels: str, at: cu.OrderParameters) -> float:
        experiment = xor.replace({"task.labels": labels, "training.loss": loss, "protocol.duration": 0.01})
        numerics = cu.Numerics(points=2**12, times=2, estimate_error=False, averages="quasi-Monte Carlo")
        return float(cu.integrate(experiment, at, numerics=numerics).generalization_error[0])

    both = 0.5 * (error("one", state) + error("one", mirrored))
    assert error("random", state) == pytest.approx(both, rel=1e-12)
    assert abs(error("clusters", state) - both) > 1e-3


@pytest.mark.parametrize("labels", ["random", "one"])
def test_theory_and_simulation_agree_with_other_labels(xor: cu.Experiment, labels: str, seed: int) -> None:
    experiment = xor.replace({"task.labels": labels, "protocol.duration": 2.0})
    assert cu.Experiment.from_toml(experiment.to_toml()) == experiment
    assert cu.compare(experiment, dimension=400, runs=16, times=3, points=256, seed=seed).agrees


def test_other_labels_first_and_then_the_task(xor: cu.Experiment) -> None:
    """No label, no learning: with random ones the overlaps with the clusters decay, and training goes on from there."""
    start = cu.OrderParameters(np.eye(4), np.full((4, 2), 0.1), [0.5, 0.5, -0.5, -0.5])
    numerics = cu.Numerics(points=256, times=2, estimate_error=False)
    early = xor.replace({"protocol.duration": 3.0, "task.labels": "random"})
    state = cu.integrate(early, start, numerics=numerics).state()
    assert np.abs(state.M).max() < 0.1
    told = cu.integrate(early.replace({"task.labels": "clusters"}), start, numerics=numerics).state()
    assert np.abs(told.M).max() > np.abs(state.M).max()
    assert cu.integrate(xor, state, numerics=numerics).success
