"""Branches of states at rest, thresholds, and the wide limit."""

import math

import numpy as np
import pytest

import curriculode as cu
from curriculode import OrderParameters
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.thresholds import relu_threshold
from curriculode.theory.landscape.wide import WideLearning, _smeared, level_nodes
from curriculode.theory.units.activations import ERF, GELU, RELU


def two_gelu(decay: float = 0.05) -> cu.Experiment:
    return cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=2, activation="gelu"),
        training=cu.OnlineSGD(learning_rate=1.5, weight_decay=decay),
        protocol=cu.Protocol.single(duration=300.0, noise=0.5),
    )


ALIVE = OrderParameters([[0.81, -0.59], [-0.59, 0.81]], [[0.77, 0.0], [-0.77, 0.0]], [0.52, 0.52])


def test_the_fold_of_gelu_units(tmp_path: object) -> None:
    """Two units on a pair of clusters: alive just below the fold, dead just above, as integrations tell; the branch turns."""
    branch = cu.continuation(two_gelu(), "training.weight_decay", ALIVE, to=0.3, step=0.02, points=64)
    assert branch.folds.size == 1, branch.status
    assert 0.05 < branch.folds[0] < 0.15
    fold = float(branch.folds[0])
    assert branch.unstable[0] == 0
    assert branch.unstable[-1] >= 1
    assert "came back" in branch.status
    state = OrderParameters(branch.Q[0], branch.M[0], branch.v[0])
    ends = [
        cu.integrate(two_gelu(fold * factor), state, points=64, times=2, estimate_error=False).v[-1, 0] for factor in (0.98, 1.02)
    ]
    assert ends[0] > 0.2 > 0.05 > ends[1]
    # Near a fold the rate goes as the root of the distance: two points on the stable side.
    below = branch.parameter < fold
    stable = below & (np.arange(below.size) <= branch.special_point[0])
    assert (branch.leading[stable] < 0).all()
    assert cu.load_record(branch.save(tmp_path / "branch.npz")) == branch  # type: ignore[operator]
    assert branch.plot().get_xlabel() == "weight decay $\\kappa$"
    assert branch.specials()["kind"].tolist()[0] == "fold"
    assert branch.to_frame()["generalization_error"].iloc[-1] > branch.to_frame()["generalization_error"].iloc[0]


def test_stability_is_exchanged_where_a_mode_grows() -> None:
    """The plateau of a committee: its parting mode decays beyond a weight decay, which is where the branch says."""
    experiment = cu.load("committee-plateau").replace({"student.width": 2, "task.teacher_width": 2})
    start = OrderParameters(np.full((2, 2), 0.36), np.full((2, 2), 0.39), np.ones(2))
    branch = cu.continuation(experiment, "training.weight_decay", start, to=0.3, step=0.03, noise_terms=False)
    assert branch.exchanges.size == 1, branch.status
    place = float(branch.exchanges[0])
    for factor, grows in ((0.99, 1), (1.01, 0)):
        there = experiment.replace({"training.weight_decay": place * factor})
        found = cu.fixed_point(there, start, noise_terms=False)
        assert found.statistics["unstable"] == grows


def test_what_cannot_be_followed_is_told() -> None:
    with pytest.raises(cu.InputError, match="no number"):
        cu.continuation(two_gelu(), "student.activation", ALIVE, to=1.0)
    with pytest.raises(cu.InputError, match="begins already"):
        cu.continuation(two_gelu(), "training.weight_decay", ALIVE, to=0.05)


@pytest.mark.parametrize(("loss", "noise", "eta"), [("squared", 0.3, 0.5), ("logistic", 0.3, 0.5), ("squared", 0.7, 1.5)])
def test_the_threshold_of_small_relu_units(loss: str, noise: float, eta: float) -> None:
    """A unit too small to matter grows 3 % below kappa_c and shrinks 3 % above, by the equations."""
    threshold = relu_threshold(noise, eta, loss)
    sizes = []
    for decay in (0.97 * threshold, 1.03 * threshold):
        experiment = cu.Experiment(
            task=cu.XorMixture(),
            student=cu.Committee(width=1, activation="relu"),
            training=cu.OnlineSGD(learning_rate=eta, weight_decay=decay, loss=loss),
            protocol=cu.Protocol.single(duration=200.0, noise=noise),
        )
        start = OrderParameters([[1e-8]], [[0.9e-4, 0.0]], [1e-4])
        times = [0.0, 100.0, 200.0]
        found = cu.integrate(experiment, start, points=2048, times=times, rtol=1e-7, atol=1e-13, estimate_error=False)
        sizes.append(found.v[2, 0] / found.v[1, 0])
    assert sizes[0] > 1.0 > sizes[1]


def test_thresholds_at_small_rates_and_noise() -> None:
    """c/4 sqrt T at no noise, 1/8 for the logistic loss (Ben Arous et al., 2206.04030), and the closed form at eta -> 0."""
    assert relu_threshold(1e-7, 0.0, "logistic") == pytest.approx(0.125, abs=1e-6)
    assert relu_threshold(1e-7, 0.0, "squared") == pytest.approx(0.25, abs=1e-6)
    s = 0.4
    density = [math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) for x in (1 / s, 0.0)]
    closed = 0.25 * (math.erf(1 / (s * math.sqrt(2))) + 2 * s * (density[0] - density[1]))
    assert relu_threshold(s, 0.0, "squared") == pytest.approx(closed, rel=1e-9)
    with pytest.raises(cu.InputError, match="continuation"):
        cu.critical_decay(two_gelu())


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_a_fixed_readout_diverges_beyond_its_rate(factor: float) -> None:
    """ReLU, K = 1, no signal left: eta sigma^2 v^2 = 2 (1 + 2 kappa / (sigma^2 v^2)) at large Q."""
    v, noise, decay = 1.5, 0.8, 0.1
    s2 = noise**2 * v**2
    eta = factor * 2 * (1 + 2 * decay / s2) / s2
    experiment = cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=1, activation="relu", readout="fixed"),
        training=cu.OnlineSGD(learning_rate=eta, weight_decay=decay),
        protocol=cu.Protocol.single(duration=30.0, noise=noise),
    )
    found = cu.integrate(experiment, OrderParameters([[1e6]], [[0.0, 0.0]], [v]), points=1024, times=3, estimate_error=False)
    assert bool(found.Q[-1, 0, 0] > 1e6) == (factor > 1)


@pytest.mark.parametrize("code", [GELU, ERF, RELU])
def test_units_averaged_over_their_own_noise(code: int) -> None:
    """Against Gauss-Hermite quadrature of smooth units, and by parts of ReLU's: d gbar/dm = gbar', d gbar/ds^2 = gbar''/2."""
    name = {GELU: "gelu", ERF: "erf", RELU: "relu"}[code]
    g = cu.Committee(width=1, activation=name).g
    z, w = np.polynomial.hermite_e.hermegauss(80)
    for m, s2 in ((0.3, 0.5), (-1.2, 2.0)):
        value, slope, curve = _smeared(code, m, s2)
        if code != RELU:
            assert value == pytest.approx(float((w / w.sum()) @ g(m + math.sqrt(s2) * z)), abs=1e-6)
        h = 1e-5
        assert slope == pytest.approx((_smeared(code, m + h, s2)[0] - _smeared(code, m - h, s2)[0]) / (2 * h), abs=1e-8)
        assert curve == pytest.approx((_smeared(code, m, s2 + h)[0] - _smeared(code, m, s2 - h)[0]) / h, abs=1e-8)


def wide(width: int, name: str = "xor-curriculum", **changes: object) -> cu.Experiment:
    rates = {"training.learning_rate": 1.5 * width, "training.readout_learning_rate": 1.5 / width, "student.width": width}
    return cu.load(name).replace({**rates, "student.readout_scale": "1/K", **changes})


def test_the_rates_of_the_wide_limit_by_brute_force() -> None:
    """Its definition, with every unit's own noise averaged by quadrature and derivatives by differences."""
    experiment = wide(3, **{"protocol.order": "hard-only"})
    setting, start = Setting.of(experiment), wide(3).initial(400, 0)
    stage, h, K = setting.stages[0], 1.5, 3
    dynamics = WideLearning(setting, K, stage.probability, stage.rates, 40)
    q, M = np.diagonal(start.Q - start.M @ start.M.T), 3.0 * start.M
    a = K * start.v
    da, dM, dq = dynamics.parts(dynamics.rate(0.0, np.concatenate([a, M.ravel(), q])))
    z, w = np.polynomial.hermite_e.hermegauss(50)
    w = w / w.sum()
    g, s = experiment.student.g, 0.5

    def unit(mean: np.ndarray, k: int) -> np.ndarray:
        return g((mean[:, None] + s * np.sqrt(q[k]) * z).ravel()).reshape(mean.size, -1) @ w

    clouds = [
        (+1.0, np.array([1.0, 0.0])),
        (+1.0, np.array([-1.0, 0.0])),
        (-1.0, np.array([0.0, 1.0])),
        (-1.0, np.array([0.0, -1.0])),
    ]
    grid, weight = np.stack(np.meshgrid(z, z), axis=-1).reshape(-1, 2), np.outer(w, w).ravel() / 4.0
    found: list[np.ndarray] = [np.zeros(K), np.zeros((K, 2)), np.zeros(K)]
    for label, centre in clouds:
        nu = centre + s * grid
        units = [unit(nu @ M[k], k) for k in range(K)]
        e = weight * (sum(a[k] * units[k] for k in range(K)) / K - label)
        for k in range(K):
            step = 1e-4
            above, below = unit(nu @ M[k] + step, k), unit(nu @ M[k] - step, k)
            found[0][k] -= h * e @ units[k]
            found[1][k] -= h * a[k] * (e * (above - below) / (2 * step)) @ nu
            found[2][k] -= 2 * h * a[k] * s**2 * q[k] * (e @ (above + below - 2 * units[k])) / step**2
    np.testing.assert_allclose(da, found[0], atol=1e-7)
    np.testing.assert_allclose(dM, found[1], atol=1e-7)
    np.testing.assert_allclose(dq[0], found[2], atol=1e-6)


def test_the_deviation_from_the_wide_limit_falls_as_one_over_k() -> None:
    """Two erf units that teach, h = 1.5: K times the deviation of the loss is the same at K = 8 and 32."""
    scaled = []
    for width in (8, 32):
        trained = {"student.readout": "trained", "student.readout_start": "gaussian", "task.teacher_width": 2}
        experiment = wide(width, "committee-plateau", **trained, **{"protocol.duration": 8.0})
        few, copies = wide(8, "committee-plateau", **trained).initial(1000, 0), width // 8
        M = np.tile(few.M, (copies, 1))
        q = np.tile(np.diagonal(few.Q - few.M @ few.M.T), copies)
        start = OrderParameters(M @ M.T + np.diag(q), M, np.tile(few.v, copies) / copies)  # the same particles, more often
        limit = cu.mean_field(experiment, start, times=2, nodes=20)
        own = cu.integrate(experiment, start, times=2, noise_terms=False)
        scaled.append(width * float(own.generalization_error[-1] - limit.generalization_error[-1]))
        assert limit.success
        assert limit.experiment == experiment
    assert scaled[1] == pytest.approx(scaled[0], rel=0.15)
    assert scaled[1] < -0.01


def test_particles_of_another_number_have_rates_of_their_own() -> None:
    found = cu.mean_field(wide(4, **{"protocol.duration": 0.1}), particles=6, times=2, nodes=8, points=64)
    assert found.v.shape == (2, 6)
    assert found.experiment.training.learning_rate == pytest.approx(9.0)  # type: ignore[attr-defined]
    assert found.experiment.training.readout_learning_rate == pytest.approx(0.25)  # type: ignore[attr-defined]


def test_nodes_of_a_teacher() -> None:
    """Moments of the reference fields and labels of a teacher, against its closed forms."""
    experiment = cu.load("committee-plateau").replace({"task.teacher_width": 2})
    nodes = level_nodes(Setting.of(experiment), 0, 1.0, 28)
    assert nodes.weight.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(np.einsum("n,np,nq->pq", nodes.weight, nodes.nu, nodes.nu), np.eye(2), atol=1e-10)
    assert nodes.weight @ nodes.label**2 == pytest.approx(2 * (2 / math.pi) * math.asin(0.5), rel=1e-6)


def test_other_limits_are_refused() -> None:
    good = wide(4)
    for changes, words in (
        ({"student.readout_scale": 1.0}, "1/K"),
        ({"training.weight_decay": 0.1}, "weight_decay"),
        ({"training.readout_learning_rate": 1.0}, "readout_learning_rate"),
        ({"student.activation": "tanh"}, "tanh"),
        ({"task.faded_fraction": 0.5}, "several blocks"),
    ):
        with pytest.raises(cu.InputError, match=words):
            cu.mean_field(good.replace(changes), particles=4)
