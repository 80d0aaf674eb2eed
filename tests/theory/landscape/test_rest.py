"""States at rest and their spectra, against the literature, against differences, and against integrations."""

import math

import numpy as np
import pytest

import curriculode as cu
from curriculode import OrderParameters
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.fixed_point import stage_held
from curriculode.theory.landscape.kinds import kinds
from curriculode.theory.landscape.newton import StageEquations, newton
from curriculode.theory.landscape.rest import Holding, pivoted_order

TALK = {"training.learning_rate": 1.5, "training.weight_decay": 0.05, "protocol.order": "hard-only"}


def committee(K: int, **changes: object) -> cu.Experiment:
    return cu.load("committee-plateau").replace({"student.width": K, "task.teacher_width": K, **changes})


def plateau(K: int) -> OrderParameters:
    return OrderParameters(np.full((K, K), 1.1 / (2 * K - 1)), np.full((K, K), 0.95 / math.sqrt(K * (2 * K - 1))), np.ones(K))


def equations_of(
    experiment: cu.Experiment, state: OrderParameters, points: int = 64, noise_terms: bool = True
) -> tuple[StageEquations, np.ndarray]:
    setting = Setting.of(experiment)
    numerics = Numerics(points=points, noise_terms=noise_terms)
    holding = Holding(setting, stage_held(experiment, setting, -1)[0], numerics)
    ordered = state.permuted(pivoted_order(setting, state))
    return holding.equations(ordered.v), packed(setting, ordered)


@pytest.mark.parametrize("K", [2, 3])
def test_plateaus_of_saad_and_solla(K: int) -> None:
    """PRE 52, 4225, eta -> 0: Q = C = 1/(2K-1), R = 1/sqrt(K(2K-1)), the error, (K-1)^2 unstable modes and their rate."""
    experiment = committee(K)
    found = cu.fixed_point(experiment, plateau(K), noise_terms=False)
    assert found.success, found.status
    np.testing.assert_allclose(found.Q, 1 / (2 * K - 1), rtol=1e-6)
    np.testing.assert_allclose(found.M, 1 / math.sqrt(K * (2 * K - 1)), rtol=1e-6)
    error = (K / math.pi) * (math.pi / 6 - K * math.asin(1 / (2 * K)))
    assert found.generalization_error == pytest.approx(error, rel=1e-6)
    rate = (2 * experiment.training.learning_rate / math.pi) * K / (math.sqrt(2 * K - 1) * (2 * K + 1) ** 1.5)  # type: ignore[attr-defined]
    assert found.statistics["unstable"] == (K - 1) ** 2
    np.testing.assert_allclose(found.growth[: (K - 1) ** 2], rate, rtol=1e-4)
    assert found.modes[0].startswith("parting of units")
    assert found.statistics["neutral"] == K - 1
    assert "unstable" in found.status
    assert not found.stable


def test_the_error_that_label_noise_leaves() -> None:
    """Saad & Solla's committee under label noise: error* = eta sigma^2 K / (2 sqrt 3 pi) + O(eta^2)."""
    K, noise = 2, 0.3
    errors = []
    for eta in (0.02, 0.01):
        experiment = committee(K, **{"task.label_noise": noise, "training.learning_rate": eta})
        found = cu.fixed_point(experiment, OrderParameters(1.05 * np.eye(K), np.eye(K), np.ones(K)))
        assert found.stable, found.status
        errors.append(float(found.generalization_error) / (eta * noise**2 * K / (2 * math.sqrt(3) * math.pi)) - 1.0)
    assert 0 < errors[1] < 0.1
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)  # what is left is of the next order


def at(kind: str) -> tuple[cu.Experiment, OrderParameters]:
    """Two states of a small student: one with an idle unit, one with two units that are one."""
    experiment = cu.load("xor-curriculum").replace({**TALK, "student.width": 3})
    M = np.array([[0.8, 0.1], [-0.7, 0.2], [0.0, 0.0]])
    L = np.array([[0.4, 0.0], [0.1, 0.3], [0.0, 0.0]])
    v = np.array([0.6, 0.5, 0.0])
    if kind == "twins":
        M[2], L[2], v[2] = M[0], L[0], v[0]
    return experiment, OrderParameters(M @ M.T + L @ L.T, M, v)


@pytest.mark.parametrize("kind", ["idle", "twins"])
@pytest.mark.parametrize("way", ["auto", "quasi-Monte Carlo"])
def test_the_jacobian_in_weights_against_differences(kind: str, way: str) -> None:
    """Along every change of the weights, also where Q lies on the edge of what is physical."""
    experiment, state = at(kind)
    setting = Setting.of(experiment)
    held = stage_held(experiment, setting, -1)[0]
    holding = Holding(setting, held, Numerics(points=64, averages=way))
    ordered = state.permuted(pivoted_order(setting, state))
    equations, y = holding.equations(ordered.v), packed(setting, ordered)
    place = equations.coordinates
    A, v = place.weights(y, equations.v)
    np.testing.assert_allclose(place.state(A, v), y, atol=1e-12)
    slope = equations.jacobian(y) @ place.slopes(A)
    h, weights = 1e-5, A.size
    found = np.empty_like(slope)
    for j in range(slope.shape[1]):
        step = np.zeros(slope.shape[1])
        step[j] = h
        above, below = (equations.rate(place.state(*place.moved(A, v, sign * step))) for sign in (1.0, -1.0))
        found[:, j] = (above - below) / (2 * h)
    # Across an empty direction the net's factor is a size, and its difference from a side to the other none.
    empty = (A.reshape(-1, place.P + 3)[:, place.P :] ** 2).sum(axis=0) < 1e-12
    kept = np.ones(slope.shape[1], dtype=bool)
    kept[:weights].reshape(-1, place.P + 3)[:, place.P :][:, empty] = kind != "twins"
    np.testing.assert_allclose(slope[:, kept], found[:, kept], atol=2e-6 * max(1.0, np.abs(slope).max()))


def test_newton_finds_the_ends_of_the_talks_setting(seed: int) -> None:
    """Each of a dozen ends at weight decay .05; `benchmarks` counts those of many starts in three orders."""
    experiment = cu.load("xor-curriculum").replace(TALK)
    setting = Setting.of(experiment)
    holding = Holding(setting, stage_held(experiment, setting, "hard")[0], Numerics(points=64))
    found = []
    for number in range(12):
        rest = holding.rest(experiment.initial(200, seed, number), 150.0, 3000.0)
        assert rest.failure is None
        assert rest.root.residual < 1e-9
        assert rest.spectrum is not None
        assert rest.spectrum.stable
        # An independent witness: the equations stay there, but for what a net makes of another numbering of the units.
        after, failure = holding.follow(rest.state, 20.0)
        assert failure is None
        np.testing.assert_allclose(after.Q, rest.state.Q, atol=2e-3)
        found.append(rest)
    assert any(rest.root.y.any() for rest in found)


def test_a_saddle_is_found_and_named() -> None:
    """Three clusters covered and a fourth unit idle: at rest, and the idle unit grows."""
    experiment = cu.load("xor-curriculum").replace(TALK)
    M = np.array([[1.1, 0.0], [0.0, 0.95], [0.0, -0.95], [0.0, 0.0]])
    start = OrderParameters(M @ M.T + np.diag([0.1, 0.1, 0.1, 0.0]), M, np.array([0.6, -0.6, -0.6, 0.0]))
    found = cu.fixed_point(experiment, start, stage="hard", points=64)
    assert found.success, found.status
    assert found.statistics["idle"] == [3]
    assert found.statistics["unstable"] >= 1
    assert found.modes[0] == "idle unit 3"
    # The rate is that at which a small unit grows: by the equations.
    small = OrderParameters(found.Q, found.M, found.v + np.array([0, 0, 0, 1e-6]))
    equations, y = equations_of(experiment, small)
    t = 0.0
    sizes = []
    for _ in range(3000):
        y = y + 0.05 * equations.rate(y)
        t += 0.05
        if t > 80.0:
            sizes.append(abs(y[-1]))
    rate = np.log(sizes[-1] / sizes[0]) / (0.05 * (len(sizes) - 1))
    assert rate == pytest.approx(found.growth[0], rel=0.03)


def test_without_weight_decay_q_grows_for_ever() -> None:
    experiment = cu.load("xor-curriculum").replace({**TALK, "training.weight_decay": 0.0, "student.width": 2})
    found = cu.fixed_point(experiment, experiment.initial(200, 0, 5), settle=20.0, longest=60.0, points=64)
    assert not found.success
    assert found.status.startswith(("no fixed point: Q still grows", "no fixed point: Q"))
    assert "weight_decay" in found.status


def test_records_of_rest_are_kept(tmp_path: object) -> None:
    found = cu.fixed_point(committee(2), plateau(2), noise_terms=False)
    path = tmp_path / "plateau.npz"  # type: ignore[operator]
    again = cu.load_record(found.save(path))
    assert again == found
    assert again.modes == found.modes  # type: ignore[attr-defined]
    assert found.plot().get_xlabel() == "rate of growth"
    assert list(found.to_frame()["kind"])[:2] == ["unstable", "zero"]


def test_ends_are_one_up_to_permutations_and_symmetries() -> None:
    a = (np.array([0.5, 0.3]), np.array([0.1, 1.0]), np.array([0.0, 1.0]), np.array([0.7]))
    near = tuple(part + 1e-3 for part in a)
    other = (np.array([0.5, 0.4]), *a[1:])
    assert kinds([a, near, other, None, a]).tolist() == [0, 0, 1, -1, 0]


def test_what_is_wrong_is_told() -> None:
    experiment = committee(2)
    with pytest.raises(cu.InputError, match="give the name of a level"):
        cu.fixed_point(experiment, plateau(2), stage=3)
    with pytest.raises(cu.InputError, match="stage 'hardest' is unknown"):
        cu.fixed_point(experiment, plateau(2), stage="hardest")
    with pytest.raises(cu.InputError, match="settle"):
        cu.fixed_point(experiment, plateau(2), settle=-1.0)


def test_newton_from_nowhere_says_so() -> None:
    experiment, state = at("idle")
    equations, y = equations_of(experiment, state)
    assert not newton(equations, y * np.nan, 1e-9).found


def relu_lottery(noise: float) -> cu.Experiment:
    return cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=4, activation="relu"),
        training=cu.OnlineSGD(learning_rate=1.0, weight_decay=0.1, loss="logistic"),
        protocol=cu.Protocol.single(duration=10.0, noise=noise),
    )


def placed(units: tuple[int, ...]) -> OrderParameters:
    """Units on the clusters 1 to 4 (+a, -a, +b, -b), which share what their cluster needs, or idle (0)."""
    needed = -math.log(0.4 / 0.6)  # C = - logit(4 kappa) of |v|^2 a cluster, at no noise
    size = np.array([math.sqrt(needed / units.count(c)) if c else 0.0 for c in units])
    ways = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])[list(units)]
    signs = np.array([0, 1, 1, -1, -1])[list(units)]
    M = size[:, None] * ways
    return OrderParameters(M @ M.T, M, size * signs)


def test_the_components_of_ben_arous_gheissari_and_jagannath() -> None:
    """2206.04030, K = 4 ReLU, logistic loss, eta -> 0: of 5^4 = 625 kinds of states at rest 24 are strictly stable, one unit on
    each cluster. Those without idle units that cover fewer are neutral (units share), those with one grow on what is uncovered.
    """
    experiment = relu_lottery(0.1)
    strict = neutral = unstable = 0
    # One of each kind up to the task's symmetries and permutations, and how many there are of it.
    seen: dict[tuple[tuple[tuple[int, ...], ...], int], list[tuple[int, ...]]] = {}
    for units in np.ndindex(5, 5, 5, 5):
        pairs = tuple(sorted(tuple(sorted((units.count(c), units.count(c + 1)))) for c in (1, 3)))
        seen.setdefault((pairs, units.count(0)), []).append(units)
    assert sum(map(len, seen.values())) == 625
    for (_, idle), kinds_of in seen.items():
        found = cu.fixed_point(experiment, placed(kinds_of[-1]), points=1024, noise_terms=False, longest=1.0)
        assert found.success, (kinds_of[-1], found.status)
        assert len(found.statistics["idle"]) == idle
        grows, rests = found.statistics["unstable"] > 0, found.statistics["neutral"] > 0
        strict += len(kinds_of) * (not grows and not rests)
        neutral += len(kinds_of) * (not grows and rests)
        unstable += len(kinds_of) * grows
        if grows:
            assert "born at" in found.modes[0]
    assert (strict, neutral, unstable) == (24, 4**4 - 24, 625 - 4**4)


def test_the_weights_of_the_best_component() -> None:
    """|v|^2 a cluster = C - sqrt(2/pi) sigma (1/(1 - 4 kappa) - C) + O(sigma^2), C = - logit(4 kappa)."""
    C, off = -math.log(0.4 / 0.6), []
    for noise in (0.1, 0.05):
        found = cu.fixed_point(relu_lottery(noise), placed((1, 2, 3, 4)), points=4096, noise_terms=False, longest=1.0)
        closed = C - math.sqrt(2 / math.pi) * noise * (1 / 0.6 - C)
        off.append(float((found.v**2).mean()) - closed)
    assert abs(off[0]) < 3 * 0.1**2
    assert off[0] / off[1] == pytest.approx(4.0, rel=0.35)
