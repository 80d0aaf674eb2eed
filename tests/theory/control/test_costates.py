"""The gradients of the equations against central differences of the equations themselves, for every way of averaging."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.averages.net_gradient import reverse_factor
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.costates import Costates, Pulled
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.setting import Setting

XOR = cu.load("xor-curriculum").replace({"training.weight_decay": 0.1, "student.width": 3})
TEACHER = cu.Experiment(
    task=cu.TeacherStudent(teacher_width=2, teacher_activation="erf", relevant_fraction=0.6, label_noise=0.3),
    student=cu.Committee(width=3, activation="erf"),
    training=cu.OnlineSGD(learning_rate=0.8, weight_decay=0.05),
    protocol=cu.Protocol(
        order="random",
        duration=5.0,
        levels=[cu.Level("easy", share=0.3, irrelevant_variance=0.1), cu.Level("hard", irrelevant_variance=0.8)],
    ),
)
NET = "quasi-Monte Carlo"
CASES = {
    "erf teacher, I4": (TEACHER, "auto"),
    "erf teacher, net": (TEACHER, NET),
    "perceptron": (cu.load("perceptron-curriculum"), "auto"),
    "hermite, Wick": (TEACHER.replace({"student.activation": "hermite-2", "task.teacher_activation": "hermite-2"}), "auto"),
    "tanh, net": (TEACHER.replace({"student.activation": "tanh"}), "auto"),
    "XOR gelu": (XOR, "auto"),
    "XOR erf": (XOR.replace({"student.activation": "erf"}), "auto"),
    "XOR quadratic": (XOR.replace({"student.activation": "quadratic"}), "auto"),
    "XOR logistic": (XOR.replace({"training.loss": "logistic"}), "auto"),
    "fading": (XOR.replace({"task.faded_fraction": 0.5, "levels.easy.fading": 2.0}), "auto"),
}


class Point:
    """A state of an experiment, a costate, and what is made of both."""

    def __init__(self, experiment: cu.Experiment, way: str, points: int, seed: int) -> None:
        self.setting = Setting.of(experiment)
        self.engine = self.setting.engine(way, points, 0)
        rng = np.random.default_rng(seed)
        start = experiment.initial(dimension=60, seed=seed)
        K = self.setting.width
        # Far from the start: units that overlap with each other and with the references.
        mix = np.eye(K) + 0.4 * rng.normal(size=(K, K))
        Q, M, v = start.blocked()
        Q, M = (mix @ Q @ mix.T).reshape(start.Q.shape), (mix @ M).reshape(start.M.shape)
        self.state = cu.OrderParameters(Q, M, v + 0.2 * rng.normal(size=K))
        self.y = packed(self.setting, self.state)
        self.costate = rng.normal(size=self.y.size)
        levels = len(self.setting.laws)
        self.probability = np.array([0.3, 0.7]) if levels == 2 else np.ones(1)

    def product(self, y: np.ndarray, rates: Rates, probability: np.ndarray | None = None) -> float:
        """The costate with the rate of the equations."""
        p = self.probability if probability is None else probability
        return float(self.costate @ OnlineLearning(self.setting, self.engine, p, rates, self.state.v).rate(0.0, y))

    def differences(self, step: float) -> np.ndarray:
        """Of the product by every entry of the state."""
        rates, steps = self.setting.rates, step * np.eye(self.y.size)
        return np.array([(self.product(self.y + h, rates) - self.product(self.y - h, rates)) / (2 * step) for h in steps])

    def pulled(self) -> Pulled:
        return Costates(self.setting, self.engine, 0, self.state.v).pull(self.y, self.costate, self.probability, self.setting.rates)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_central_differences(name: str, seed: int) -> None:
    point = Point(*CASES[name], 64, 5 + seed)
    found, expected = point.pulled(), point.differences(1e-5)
    assert np.abs(found.state - expected).max() < 1e-7 * np.abs(expected).max()
    rates = point.setting.rates
    up, down = (rates._replace(eta=f * rates.eta, eta_v=f * rates.eta_v) for f in (1 + 1e-5, 1 - 1e-5))
    by_eta = (point.product(point.y, up) - point.product(point.y, down)) / (2e-5 * rates.eta)
    assert found.eta == pytest.approx(by_eta, rel=1e-7, abs=1e-8)
    up, down = (rates._replace(kappa=rates.kappa + h) for h in (1e-3, -1e-3))
    assert found.kappa == pytest.approx((point.product(point.y, up) - point.product(point.y, down)) / 2e-3, rel=1e-7)
    # The equations are linear in p: a level alone, without weight decay, has the product of its own.
    still = rates._replace(kappa=0.0)
    alone = [point.product(point.y, still, p) for p in np.eye(len(point.setting.laws))]
    np.testing.assert_allclose(found.levels, alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_units_with_kinks_to_the_error_of_the_net(loss: str, seed: int) -> None:
    """g' jumps, so that what a net averages is a staircase; differences over many of its steps see the slope.

    The tolerance is four times the scatter of the differences over eight other nets, and the truncation of a finite step.
    """
    point = Point(XOR.replace({"student.activation": "relu", "student.width": 2, "training.loss": loss}), "auto", 4096, 3 + seed)
    found = point.pulled().state
    differences = []
    for net in range(8):
        point.engine = point.setting.engine("auto", 4096, 100 + net)
        differences.append(point.differences(0.03))
    mean, scatter = np.mean(differences, axis=0), np.std(differences, axis=0, ddof=1)
    coarse = np.mean([point.differences(0.06)], axis=0)
    truncation = np.abs(coarse - point.differences(0.03)).max()
    assert (np.abs(found - mean) < 4 * scatter * np.sqrt(1 + 1 / 8) + 2 * truncation).all()
    # Without the delta functions of g'' it would be off by more than that in some entry.
    assert (4 * scatter + 2 * truncation).max() < 0.2 * np.abs(mean).max()


def test_units_that_are_one_have_a_gradient() -> None:
    """Two units that are the same stay so, and what they do together is what one unit of twice the readout does."""
    setting = Setting.of(XOR.replace({"student.width": 2, "training.weight_decay": 0.0}))
    engine = setting.engine("auto", 256, 0)
    Q, M, v = np.full((1, 2, 2), 0.8), np.tile([[0.3, -0.1]], (1, 2, 1)), np.array([0.4, 0.4])
    y = packed(setting, cu.OrderParameters(Q[0], M[0], v))
    costates = Costates(setting, engine, 0, v)
    costate = np.array([1.0, 1.0, 1.0, 0.2, 0.3, 0.2, 0.3, 0.5, 0.5])
    rates, p = setting.rates, np.array([0.5, 0.5])
    found = costates.pull(y, costate, p, rates).state
    assert np.isfinite(found).all()
    # Along the states in which they stay one: all of Q, equal rows of M, equal v.
    rate = OnlineLearning(setting, engine, p, rates, v).rate
    along = np.array(
        [[1, 1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1, 1]], float
    )
    expected = [costate @ (rate(0.0, y + 1e-5 * d) - rate(0.0, y - 1e-5 * d)) / 2e-5 for d in along]
    np.testing.assert_allclose(along @ found, expected, rtol=1e-6)


def test_the_reverse_of_a_factorisation(rng: np.random.Generator) -> None:
    A = rng.normal(size=(4, 4))
    C, weights = A @ A.T, np.tril(rng.normal(size=(4, 4)))
    found = np.empty((4, 4))
    reverse_factor(semidefinite_factor(C), weights.copy(), np.empty((4, 4)), found)
    for i in range(4):
        for j in range(i + 1):
            h = np.zeros((4, 4))
            h[i, j] = h[j, i] = 1e-6
            difference = np.sum(weights * (semidefinite_factor(C + h) - semidefinite_factor(C - h))) / 2e-6
            assert np.sum(found * h) / 1e-6 == pytest.approx(difference, rel=1e-6, abs=1e-7)
