"""The growth of a small signal: against differences of the equations, closed solutions and integrations."""

import math

import numpy as np
import pytest

import curriculode as cu
from curriculode import OrderParameters
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.growth import CollapsedGrowth, SignalGrowth, curvature_and_gram


def single(width: int = 1, **training: float) -> cu.Experiment:
    return cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=width, activation="gelu"),
        training=cu.OnlineSGD(**{"learning_rate": 1.5, **training}),  # type: ignore[arg-type]
        protocol=cu.Protocol.single(duration=50.0, noise=0.5),
    )


@pytest.mark.parametrize("faded", [False, True])
def test_the_operator_against_differences_of_the_equations(faded: bool) -> None:
    """d(dM/dt)/dM at M = 0, with two blocks as well."""
    changes = {"student.width": 2, "protocol.order": "random", "training.weight_decay": 0.1}
    if faded:
        changes |= {"task.faded_fraction": 0.3, "levels.easy.fading": 2.0}
    experiment = cu.load("xor-curriculum").replace(changes)
    setting, start = Setting.of(experiment), experiment.initial(1000, 0)
    stage = setting.stages[0]
    still = OrderParameters(start.Q, 0.0 * start.M, start.v)
    online = OnlineLearning(setting, setting.engine("auto", 64, 0), stage.probability, stage.rates, start.v)
    growth = SignalGrowth(setting, online, stage.probability, stage.rates, Numerics(points=64))
    Q, M, v = still.blocked()
    found = sum(p * growth.operator(level, Q, v) for level, p in enumerate(stage.probability))
    first, size = Q.shape[0] * 3, M.size
    J = online.jacobian(0.0, packed(setting, still))[first : first + size, first : first + size]
    np.testing.assert_allclose(found, J, atol=1e-7)


def test_the_curvature_of_gelu_units() -> None:
    """E[g''] = (2 + c) / ((1 + c)^(3/2) sqrt(2 pi)) at the field variance c, and E[g g] against a sample's mean."""
    C = np.array([[0.7, 0.3], [0.3, 1.9]])
    curvature, gram = curvature_and_gram(cu.Committee(width=2, activation="gelu").g, C)
    c = np.diagonal(C)
    np.testing.assert_allclose(curvature, (2 + c) / ((1 + c) ** 1.5 * math.sqrt(2 * math.pi)), rtol=1e-10)
    x = np.random.default_rng(0).multivariate_normal(np.zeros(2), C, 400_000)
    g = cu.Committee(width=2, activation="gelu").g(x)
    products = np.einsum("nk,nl->nkl", g, g)
    error = products.std(axis=0) / np.sqrt(len(x))
    assert (np.abs(products.mean(axis=0) - gram) < 4 * error).all()


def test_the_time_of_discovery_after_the_collapse() -> None:
    """K = 1 from m = .003, eta 1.5, noise .5: t* = 4 G / (eta T E[g'']^2 m^2) = 59,978, and 60,080 by the equations."""
    experiment = single()
    start = OrderParameters([[1.0]], [[0.003, 0.0]], [0.0])
    found = cu.linear_gain(experiment, start, noise_terms=False, times=11)
    assert found.statistics["slow"] == pytest.approx(59978, rel=1e-4)
    longer = experiment.replace({"protocol.duration": 7e4})
    t = np.linspace(0.0, 7e4, 1401)
    trajectory = cu.integrate(longer, start, noise_terms=False, averages="closed form", times=t, rtol=1e-7)
    largest = np.abs(trajectory.cosines).max(axis=(1, 2))
    seen = float(t[int(np.argmax(largest >= 0.5))])
    assert seen == pytest.approx(found.slow_discovery_time() - 50.0, rel=0.004)
    assert found.slow_discovery_time(100.0) == pytest.approx(50.0 + 100.0 * found.statistics["slow"])  # in proportion to D


def test_cubic_growth_of_several_units_against_steps() -> None:
    """The blow-up time of the cubic equation against its own Euler steps in the time that slows down with it."""
    setting = Setting.of(single(3))
    start = single(3).initial(1000, 1)
    growth = CollapsedGrowth(setting, 0, setting.rates, start.blocked()[0])
    M, t = start.blocked()[1] / np.linalg.norm(start.M), 0.0
    for _ in range(60000):
        dt = 2e-4 / np.linalg.norm(growth.rate(M)) * np.linalg.norm(M)
        middle = M + 0.5 * dt * growth.rate(M)
        M, t = M + dt * growth.rate(middle), t + dt
        if np.linalg.norm(M) > 30.0:
            break
    found = growth.time(start.blocked()[1] / np.linalg.norm(start.M))
    assert t == pytest.approx(found, rel=5e-3)


def test_easy_examples_speed_up_the_discovery_as_predicted() -> None:
    """When a signal of D = 10^6 has become .03, by the equations as by linear growth, with and without easy examples."""
    base = cu.load("xor-curriculum").replace({"training.readout_learning_rate": 0.5, "protocol.duration": 30.0, "student.width": 2})
    start, times = base.initial(10**6, 0, 1), np.linspace(0.0, 30.0, 121)
    predicted, seen = [], []
    for order in ("curriculum", "hard-only"):
        experiment = base.replace({"protocol.order": order})
        gain = cu.linear_gain(experiment, start, points=64, times=times, threshold=0.03)
        predicted.append(gain.discovery_time())
        trajectory = cu.integrate(experiment, start, points=64, times=times, estimate_error=False)
        largest = np.abs(trajectory.cosines).max(axis=(1, 2))
        i = int(np.argmax(largest >= 0.03))
        assert largest[-1] > 0.03
        seen.append(float(np.interp(0.03, largest[i - 1 : i + 1], times[i - 1 : i + 1])))
        if order == "curriculum":
            assert gain.growth("easy")[0] > gain.growth("hard")[0]
    np.testing.assert_allclose(predicted, seen, rtol=0.02)
    assert seen[1] / seen[0] > 1.1


def test_the_readout_collapses_at_a_bounded_gain(tmp_path: object) -> None:
    experiment = cu.load("xor-curriculum").replace({"protocol.order": "hard-only"})
    found = cu.linear_gain(experiment, experiment.initial(10**6), points=64, times=21)
    assert found.critical_ratio < 1
    assert math.isinf(found.discovery_time())
    assert found.discovery_time(1e-12) == 0.0
    assert "D_c" in found.status
    assert np.abs(found.v[-1]).max() < 0.1 * np.abs(found.v[0]).max()
    assert cu.load_record(found.save(tmp_path / "gain.npz")) == found  # type: ignore[operator]
    assert found.plot().get_yscale() == "log"
    assert found.plot("rate").get_legend() is not None
    assert list(found.to_frame().columns) == ["t", "gain", "rate_easy", "rate_hard"]


def test_what_has_no_gain_is_told() -> None:
    committee = cu.load("committee-plateau")
    with pytest.raises(cu.InputError, match="the gain is of mixtures"):
        cu.linear_gain(committee, committee.initial(100))
    experiment = single(2)
    start = experiment.initial(100)
    with pytest.raises(cu.InputError, match="no signal"):
        cu.linear_gain(experiment, OrderParameters(start.Q, 0.0 * start.M, start.v))
