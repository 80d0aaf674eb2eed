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


CASES = {
    "perceptron": ("perceptron-curriculum", {}),
    "committee": ("committee-plateau", {"task.label_noise": 0.3}),
}


def teacher(name: str, **changes: object) -> cu.Experiment:
    known, more = CASES[name]
    return cu.load(known).replace({"protocol.duration": 2.0, **more, **changes})


def test_labels_of_a_teacher_that_know_nothing_of_the_input() -> None:
    """Mean and mean square by hand: erf^2 of a normal (2/pi) asin(1/2) = 1/3; ReLU 1/sqrt(2 pi) and 1/2; sign 1."""
    law = cu.TeacherStudent(teacher_width=2, teacher_activation="erf", labels="random", label_noise=0.5).example_law(
        cu.Level("one")
    )
    np.testing.assert_allclose(law.label, [np.sqrt(2 / 3 + 0.25), -np.sqrt(2 / 3 + 0.25)], rtol=1e-12)
    assert not law.teacher.exists
    relu = cu.TeacherStudent(teacher_width=1, teacher_activation="relu", labels="random").example_law(cu.Level("one"))
    spread = np.sqrt(0.5 - 1 / (2 * np.pi))
    np.testing.assert_allclose(relu.label, 1 / np.sqrt(2 * np.pi) + np.array([spread, -spread]), rtol=1e-12)
    # Two ReLUs that overlap by rho = 1/2: E[g g'] = (sin(angle) + (pi - angle) cos(angle)) / (2 pi), angle = pi/3.
    overlap = [[1.0, 0.5], [0.5, 1.0]]
    two = cu.TeacherStudent(teacher_width=2, teacher_activation="relu", labels="random", teacher_overlap=overlap)
    product = (np.sin(np.pi / 3) + np.pi / 3) / (2 * np.pi)
    label = two.example_law(cu.Level("one")).label
    assert (label**2).mean() == pytest.approx(1.0 + 2 * product, rel=1e-12)
    assert cu.TeacherStudent(teacher_width=1, teacher_activation="sign", labels="random").example_law(
        cu.Level("one")
    ).label.tolist() == [1.0, -1.0]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("labels", ["random", "one"])
def test_teacher_student_with_other_labels(name: str, labels: str, seed: int) -> None:
    if labels == "one" and name == "committee":
        with pytest.raises(cu.InputError, match=r'labels = "one" is for labels \+1 and -1'):
            teacher(name, **{"task.labels": labels})
        return
    experiment = teacher(name, **{"task.labels": labels})
    assert cu.Experiment.from_toml(experiment.to_toml()) == experiment
    assert cu.compare(experiment, dimension=400, runs=16, times=3, points=256, seed=seed).agrees


@pytest.mark.parametrize("name", CASES)
def test_random_labels_forget_the_teacher(name: str) -> None:
    """What is known of the teacher decays, and from there the task is learnt; the equations know the label's two moments alone."""
    experiment = teacher(name, **{"task.labels": "random"})
    Q, M, v = (part.copy() for part in experiment.initial(400).blocked())
    M[0] += 0.3
    Q[0] += 0.2
    start = cu.OrderParameters(Q[0] if len(Q) == 1 else Q, M[0] if len(M) == 1 else M, v)
    numerics = cu.Numerics(points=256, times=2, estimate_error=False)
    state = cu.integrate(experiment, start, numerics=numerics).state()
    assert np.abs(state.M).max() < 0.8 * np.abs(start.M).max()
    told = cu.integrate(teacher(name), state, numerics=numerics)
    assert told.generalization_error[-1] < told.generalization_error[0]
