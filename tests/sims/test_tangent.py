"""Tangent spaces at finite D: ridge on all features, SGD on the weights, and theory held against them."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.spaces.tangent_ridge import fit, seen_by
from curriculode.theory.tangent.ridge import Strengths
from curriculode.theory.tangent.rows import Model
from tests.conftest import SEED

K = 3
LEVELS = [cu.Level("easy", share=0.5, irrelevant_variance=0.25), cu.Level("hard", share=0.5, irrelevant_variance=1.0)]
TWO_BLOCKS = cu.TeacherStudent(teacher_width=2, label_noise=0.5, relevant_fraction=0.5)
ONE_BLOCK = cu.TeacherStudent(teacher_width=2, label_noise=0.5)


def experiment(training, task=ONE_BLOCK, activation="erf", width=K, duration=2.0, **student):
    two = task.relevant_fraction < 1
    protocol = cu.Protocol(order="curriculum", duration=duration, levels=LEVELS) if two else cu.Protocol.single(duration=duration)
    return cu.Experiment(
        task=task, student=cu.Committee(width=width, activation=activation, **student), training=training, protocol=protocol
    )


@pytest.mark.parametrize("count", [40, 90])
def test_fit_is_the_minimum_of_its_objective(count):
    """Both forms, in the weights and in the examples, against a least-squares problem written out with the penalty as rows."""
    rng, D = np.random.default_rng(SEED), 20
    W0, v0, x, y = rng.standard_normal((K, D)), rng.standard_normal(K), rng.standard_normal((count, D)), rng.standard_normal(count)
    examples = seen_by(x, y, W0, v0, cu.Committee(width=1, activation="gelu").g)
    np.testing.assert_allclose(examples.f0, examples.g @ v0)
    gamma, gamma_v = 0.3, 0.2
    dW, dv, train = fit(examples, Strengths(count / D, gamma, gamma_v), Model(True, True, False), 1.0)
    features = np.hstack([*(examples.c[:, k, None] * x / np.sqrt(D) for k in range(K)), examples.g])
    penalty = np.diag(np.sqrt([gamma] * (K * D) + [gamma_v * D] * K))
    right = np.concatenate([y - examples.f0, np.zeros(len(penalty))])
    beta = np.linalg.lstsq(np.vstack([features, penalty]), right, rcond=None)[0]
    np.testing.assert_allclose(np.concatenate([dW.ravel(), dv]), beta, atol=1e-9)
    assert train == pytest.approx(0.5 * np.mean((y - examples.f0 - features @ beta) ** 2))


def test_linear_model_is_the_derivative_of_the_network():
    """f(w0 + h dw, v0 + h dv) - f0 over h tends to c . dw x + g . dv."""
    rng, D, h = np.random.default_rng(SEED), 30, 1e-5
    W0, v0, x = rng.standard_normal((K, D)), rng.standard_normal(K), rng.standard_normal((7, D))
    dW, dv = rng.standard_normal((K, D)), rng.standard_normal(K)
    unit = cu.Committee(width=1, activation="gelu").g
    examples = seen_by(x, np.zeros(7), W0, v0, unit)

    def network(step):
        return unit(x @ (W0 + step * dW).T / np.sqrt(D)) @ (v0 + step * dv)

    linear = np.einsum("nk,kd,nd->n", examples.c, dW, x) / np.sqrt(D) + examples.g @ dv
    np.testing.assert_allclose((network(h) - network(-h)) / (2 * h), linear, rtol=1e-7)


@pytest.mark.parametrize(
    ("task", "activation", "training"),
    [
        (TWO_BLOCKS, "gelu", cu.TangentRidge(examples=(1.0, 4.0, 8.0), regularization=0.1)),
        (ONE_BLOCK, "relu", cu.TangentRidge(examples=(1.0, 8.0), regularization=0.0, centred=False)),
        (TWO_BLOCKS, "erf", cu.TangentRidge(examples=(4.0,), regularization="optimal", layers="first")),
        (ONE_BLOCK, "gelu", cu.TangentRidge(examples=(4.0,), regularization=0.2, readout_regularization=0.1, layers="readout")),
        (TWO_BLOCKS, "gelu", cu.TangentSGD(learning_rate=0.6, weight_decay=0.05)),
        (ONE_BLOCK, "relu", cu.TangentSGD(learning_rate=0.5, readout_learning_rate=0.2, centred=False)),
    ],
)
def test_theory_and_simulation_agree(task, activation, training):
    found = cu.compare(experiment(training, task, activation), dimension=100, runs=24, starts=2, seed=SEED, times=4, progress=False)
    assert found.agrees, found.summary().to_string()
    if isinstance(training, cu.TangentRidge):
        assert "train_loss" in set(found.to_frame()["quantity"])


@pytest.mark.parametrize("mistake", ["noise", "strength", "rate"])
def test_a_wrong_theory_is_noticed(monkeypatch, mistake):
    """Theory of another label noise, strength or rate than the runs'."""
    from curriculode.sims.compare import tangent as module

    changes = {
        "noise": {"task.label_noise": 0.8},
        "strength": {"training.regularization": 0.4},
        "rate": {"training.learning_rate": 0.8},
    }
    rate = mistake == "rate"
    name = "integrate" if rate else "state_evolution"
    true = getattr(module, name)
    monkeypatch.setattr(module, name, lambda each, *more, **named: true(each.replace(changes[mistake]), *more, **named))
    training = cu.TangentSGD(learning_rate=0.4) if rate else cu.TangentRidge(examples=4.0, regularization=0.1)
    found = cu.compare(experiment(training), dimension=400, runs=32, seed=SEED, times=4, progress=False)
    assert not found.agrees


def test_deviation_falls_as_one_over_d():
    """Mean train loss of many runs at two dimensions, from orthogonal starts: what is left of the deviation is of order 1/D."""
    start = cu.OrderParameters(np.eye(K), np.zeros((K, 2)), [1.0, -1.0, 1.0])
    one = experiment(cu.TangentRidge(examples=4.0, regularization=0.1))
    theory = cu.state_evolution(one, start).train_loss[0]
    scaled = []
    for dimension, runs in ((20, 1600), (80, 400)):
        loss = cu.minimize(one, dimension=dimension, runs=runs, seed=SEED, start=start, progress=False).train_loss[:, 0]
        scaled.append((dimension * (loss.mean() - theory), dimension * loss.std(ddof=1) / np.sqrt(runs)))
    (near, error_near), (far, error_far) = scaled
    assert abs(near) > 4 * error_near  # there is a deviation at all
    assert abs(near - far) < 4 * np.hypot(error_near, error_far) + 0.5 * abs(near)


def test_more_examples_contain_the_fewer():
    several = experiment(cu.TangentRidge(examples=(2.0, 4.0), regularization=0.1))
    alone = several.replace({"training.examples": 2.0})
    both, one = (cu.minimize(each, dimension=40, runs=2, seed=SEED, progress=False) for each in (several, alone))
    np.testing.assert_array_equal(both.Q[:, 0], one.Q[:, 0])
    np.testing.assert_allclose(both.t, [2.0, 4.0])


def test_small_step_of_sgd_is_that_of_the_network():
    """From the start the first steps of a network and of its tangent space are the same, to first order in the rate."""
    rate, linear = 1e-5, experiment(cu.TangentSGD(learning_rate=1e-5, centred=False), activation="gelu", duration=1.0)
    network = cu.Experiment(
        task=linear.task, student=linear.student, protocol=linear.protocol, training=cu.OnlineSGD(learning_rate=rate)
    )
    start = linear.initial(50, SEED)
    options = {"dimension": 50, "runs": 1, "seed": SEED, "start": start, "times": 2, "progress": False}
    one = cu.simulate(linear, **options)
    other = cu.simulate(network, space="weight", remember=[0.0], **options)
    change = other.Q[0, -1] - other.Q[0, 0]
    np.testing.assert_allclose(one.Q[0, -1] - one.Q[0, 0], change, atol=1e-3 * np.abs(change).max())
    np.testing.assert_allclose(one.v[0, -1] - start.v, other.v[0, -1] - start.v, atol=1e-3 * np.abs(other.v[0, -1] - start.v).max())


def test_lazy_limit():
    """Readouts of scale a, rates eta / a^2 and eta_v, pairs: the network leaves its tangent space by 1 / a^2 (of errors)."""

    def apart(a):
        student = {"width": 4, "pairs": True, "readout_scale": a}
        rates = {"learning_rate": 0.5 / a**2, "readout_learning_rate": 0.5}
        linear = experiment(cu.TangentSGD(**rates), **student)
        network = cu.Experiment(task=linear.task, student=linear.student, protocol=linear.protocol, training=cu.OnlineSGD(**rates))
        start = cu.OrderParameters(np.kron(np.eye(2), np.ones((2, 2))), np.zeros((4, 2)), a * np.array([1.0, -1.0, 0.7, -0.7]))
        one = cu.integrate(linear, start, times=3, points=2**15, estimate_error=False, rtol=1e-8)
        other = cu.integrate(network, start, times=3, remember=[0.0], rtol=1e-8)
        both = [each.laziness()[-1].max() for each in (one, other)]
        return abs(one.generalization_error[-1] - other.generalization_error[-1]), both

    (near, lazy), (far, lazier) = apart(2.0), apart(8.0)
    np.testing.assert_allclose(lazier[0], lazier[1], rtol=0.03)
    assert lazier[0] < 0.35 * lazy[0]  # as 1 / a
    assert far < near / 8  # as 1 / a^2: sixteen times less, and the net's error


def test_laziness_is_counted_in_the_weights():
    one = experiment(cu.TangentSGD(learning_rate=0.5), activation="relu")
    start = one.initial(200, SEED)
    theory = cu.integrate(one, start, times=3).laziness()[-1]
    runs = cu.simulate(one, dimension=200, runs=16, seed=SEED, start=start, times=3, progress=False).laziness()[:, -1]
    assert (np.abs(runs.mean(axis=0) - theory) < 4 * runs.std(axis=0, ddof=1) / 4.0 + 20.0 / 200 * theory).all()


def test_records_are_read_back(tmp_path):
    one = experiment(cu.TangentRidge(examples=2.0, regularization=0.1))
    for record in (cu.state_evolution(one, one.initial(30)), cu.minimize(one, dimension=30, runs=2, progress=False)):
        again = cu.load_record(record.save(tmp_path / f"{record.kind}.npz"))
        assert again == record
        np.testing.assert_array_equal(again.generalization_error, record.generalization_error)
        assert "train_loss" in record.to_frame()


def test_sweep_of_tangent_kinds(tmp_path):
    for training in (cu.TangentRidge(examples=2.0, regularization=0.1), cu.TangentSGD(learning_rate=0.5)):
        options = {"dimension": 30, "runs": 2, "workers": 1, "store": tmp_path / training.kind}
        table = cu.sweep(experiment(training), over={"student.width": [2]}, seeds=1, **options)
        assert not table["failed"].any(), table["status"].tolist()
        row = table.iloc[0]
        assert abs(row["generalization_error"] - row["generalization_error_simulation"]) < 0.2


def test_mistakes():
    one = experiment(cu.TangentSGD(learning_rate=0.5))
    with pytest.raises(cu.InputError, match="weights alone"):
        cu.simulate(one, dimension=30, runs=2, space="diffusion")
    with pytest.raises(cu.InputError, match="start is for tangent spaces"):
        cu.minimize(cu.load("batch-perceptron"), dimension=30, runs=2, start=one.initial(30))
    with pytest.raises(cu.InputError, match="use a smaller dimension, or fewer examples"):
        cu.minimize(experiment(cu.TangentRidge(examples=100.0, regularization=1.0)), dimension=4000, runs=2)
    with pytest.raises(cu.InputError, match="2 starts were given for 3 runs"):
        cu.minimize(experiment(cu.TangentRidge(regularization=1.0)), dimension=30, runs=3, start=[one.initial(30)] * 2)
