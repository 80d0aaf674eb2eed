"""Boundaries of phases at large and at small weights, and what a trained readout conserves."""

import numpy as np
import pytest

import curriculode as cu
from curriculode import OrderParameters
from curriculode.theory.dynamics.online import packed

from .test_rest import equations_of


def one_level(K: int, *, trained: bool, noise: float = 0.8, rate: float = 0.5, **training: float) -> cu.Experiment:
    return cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=K, activation="relu", readout="trained" if trained else "fixed", readout_start="equal"),
        training=cu.OnlineSGD(learning_rate=rate, **training),
        protocol=cu.Protocol.single(duration=20.0, noise=noise),
    )


@pytest.mark.parametrize(("rate", "decay", "noise", "v"), [(2.0, 0.0, 1.0, 1.0), (1.3, 0.1, 0.8, 1.5), (0.7, 0.05, 0.5, -2.5)])
def test_the_growth_of_one_large_unit(rate: float, decay: float, noise: float, v: float) -> None:
    """d ln Q/dt = - eta s^2 v^2 + (eta s^2 v^2)^2 / 2 - 2 eta kappa, by hand; nets of 1024 points miss two thousandths."""
    experiment = one_level(1, trained=False, noise=noise, rate=rate, weight_decay=decay)
    drive = rate * noise**2 * v**2
    found = cu.growth_far_out(experiment, OrderParameters([[3.0]], [[0.2, 0.0]], [v]))
    assert found == pytest.approx(-drive + drive**2 / 2 - 2 * rate * decay, abs=2e-3 * drive)


def test_units_alike_diverge_together() -> None:
    """K units of readout 1 become one of readout K, whose weights each feels: eta s^2 K = 2."""
    line = cu.phase_boundary(one_level(2, trained=False), "levels.only.noise", [0.5, 1.0], "training.learning_rate", (0.5, 20.0))
    assert line["phase"].tolist() == ["divergent"] * 2
    np.testing.assert_allclose(line["training.learning_rate"] * line["levels.only.noise"] ** 2 * 2, 2.0, rtol=2e-3)


def test_readouts_of_one_sign_are_one_unit() -> None:
    """Weights v_k u: each feels |v|^2 g(u), so that eta s^2 |v|^2 = 2, by hand 1.619; by the equations Q turns there."""
    start = OrderParameters(1e6 * np.array([[1.0, 0.3], [0.3, 0.8]]), np.zeros((2, 2)), np.array([1.2, 0.7]))
    base = one_level(2, trained=False)
    line = cu.phase_boundary(base, "levels.only.noise", [0.8], "training.learning_rate", (0.5, 8.0), start=start)
    assert float(line["training.learning_rate"].iloc[0]) == pytest.approx(2 / (0.64 * 1.93), rel=3e-3)
    for factor in (0.95, 1.05):
        experiment = base.replace({"training.learning_rate": factor * 1.619})
        found = cu.integrate(experiment, start, points=256, times=[0.0, 10.0, 20.0], rtol=1e-4, estimate_error=False)
        size = np.trace(found.Q[1:], axis1=1, axis2=2)
        assert (size[1] > size[0]) == (factor > 1.0)


def test_readouts_of_both_signs() -> None:
    """They neither cancel nor add: the boundary lies between rates at which the equations shrink and grow."""
    start = OrderParameters(1e6 * np.array([[1.0, 0.3], [0.3, 0.8]]), np.zeros((2, 2)), np.array([1.2, -0.7]))
    base, rates = one_level(2, trained=False), (1.5, 2.4)
    growths = [cu.growth_far_out(base.replace({"training.learning_rate": rate}), start, points=512) for rate in rates]
    assert growths[0] < 0.0 < growths[1]
    for rate, growth in zip(rates, growths, strict=True):
        experiment = base.replace({"training.learning_rate": rate})
        found = cu.integrate(experiment, start, points=256, times=[0.0, 10.0, 20.0], rtol=1e-4, estimate_error=False)
        size = np.trace(found.Q[1:], axis1=1, axis2=2)
        assert (size[1] > size[0]) == (growth > 0.0)


def test_the_dead_beyond_a_rate() -> None:
    """Along the rate, the boundary is where the critical decay is the experiment's own."""
    experiment = one_level(1, trained=True, noise=0.8, weight_decay=0.05)
    line = cu.phase_boundary(experiment, "levels.only.noise", [0.8], "training.learning_rate", (0.05, 20.0))
    assert line["phase"].tolist() == ["dead"]
    rate = float(line["training.learning_rate"].iloc[0])
    assert cu.critical_decay(experiment.replace({"training.learning_rate": rate})) == pytest.approx(0.05, rel=1e-3)


def test_what_has_no_boundary_is_told() -> None:
    fixed, start = one_level(1, trained=False), OrderParameters([[1.0]], [[0.0, 0.0]], [1.0])
    for changes, words in (
        ({"student.readout": "trained"}, "keeps them bounded"),
        ({"student.activation": "erf"}, "not linear far out"),
        ({"training.loss": "logistic"}, "bounded errors"),
    ):
        with pytest.raises(cu.InputError, match=words):
            cu.growth_far_out(fixed.replace(changes), start)
    noise, rate = "levels.only.noise", "training.learning_rate"
    for x, values, y, between, words in (
        (noise, [0.5], noise, (1.0, 2.0), "give two parameters"),
        (noise, [], rate, (1.0, 2.0), "give a list of numbers"),
        (noise, [0.5], rate, (2.0, 1.0), "the lowest and the highest"),
        ("levels.only.colour", [0.5], rate, (1.0, 2.0), "colour"),
    ):
        with pytest.raises(cu.InputError, match=words):
            cu.phase_boundary(fixed, x, values, y, between)


def test_a_trained_readout_keeps_what_a_unit_has_too_much() -> None:
    """ReLU units, small rates: Q_kk/eta - v_k^2/eta_v of each unit stays; with the noise of SGD it moves in proportion to eta."""
    start = one_level(3, trained=True).initial(200, 0)

    def kept(found: cu.Trajectory, rate: float, readout: float) -> np.ndarray:
        return np.einsum("tkk->tk", found.Q) / rate - found.v**2 / readout

    options: dict = {"points": 256, "times": 3, "estimate_error": False}
    flow = one_level(3, trained=True, rate=0.5, readout_learning_rate=0.2)
    found = cu.integrate(flow, start, noise_terms=False, rtol=1e-8, **options)
    np.testing.assert_allclose(kept(found, 0.5, 0.2), np.tile(kept(found, 0.5, 0.2)[0], (3, 1)), rtol=1e-5)
    assert np.abs(np.diff(found.v, axis=0)).max() > 0.1  # while the unit learns
    moved = []
    for rate in (0.02, 0.01):
        slow = one_level(3, trained=True, rate=rate).replace({"protocol.duration": 4.0 / rate})
        found = cu.integrate(slow, start, rtol=1e-5, **options)
        moved.append(rate * np.diff(kept(found, rate, rate), axis=0)[1])
    np.testing.assert_allclose(moved[0] / moved[1], 2.0, rtol=0.1)


def test_rescalings_are_the_zero_modes_of_what_is_conserved() -> None:
    """At rest the gradient of Q_kk - v_k^2 is a left eigenvector of the equations, at the rate - 2 eta kappa: without weight decay
    each unit has a zero mode, named so, and with it the least weights are shared, Q_kk = v_k^2, and none is left.
    """
    M = 0.6 * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    begin = OrderParameters(M @ M.T + 0.02 * np.eye(4), M, 0.6 * np.array([1.0, 1.0, -1.0, -1.0]))
    for decay in (0.0, 0.02):
        experiment = one_level(4, trained=True, noise=0.3, weight_decay=decay)
        found = cu.fixed_point(experiment, begin, noise_terms=False, settle=60.0, points=256)
        assert found.success, found.status
        named = [name == "rescaling of weights against the readout" for name in found.modes]
        assert sum(named) == (4 if decay == 0.0 else 0)
        if decay:
            np.testing.assert_allclose(np.diagonal(found.Q), found.v**2, rtol=1e-4)
        equations, y = equations_of(experiment, found.state, 256, noise_terms=False)
        v, jacobian = equations.coordinates.overlaps(y, found.v)[2], equations.jacobian(y)
        for k in range(4):
            own = np.eye(4)[k]
            gradient = packed(equations.setting, OrderParameters(np.diag(own), np.zeros((4, 2)), -2.0 * v * own))
            np.testing.assert_allclose(gradient @ jacobian, -2 * 0.5 * decay * gradient, atol=2e-3)


def test_trained_readouts_keep_large_weights_bounded() -> None:
    """Labels that average out: sum Q_kk - S + eta s^2 S^2 / 4, S = |v|^2, does not grow; of one unit it stays."""
    for K in (1, 3):
        experiment = one_level(K, trained=True, noise=1.0, rate=1.2).replace({"task.separation": 1e-6, "protocol.duration": 3.0})
        rng = np.random.default_rng(0)
        A = 40.0 * rng.normal(size=(K, K + 2))
        start = OrderParameters(A @ A.T, np.zeros((K, 2)), 2.0 * rng.normal(size=K))
        found = cu.integrate(experiment, start, points=256, times=[0.0, 0.02, 0.1, 1.0], rtol=1e-6, estimate_error=False)
        S = (found.v**2).sum(axis=1)
        held = np.einsum("tkk->t", found.Q) - S + 0.25 * 1.2 * S**2
        assert (np.diff(held) <= 1e-3 * held[0]).all()
        if K == 1:
            np.testing.assert_allclose(held, held[0], rtol=5e-3)
