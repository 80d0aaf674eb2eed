"""Perturbations as maps of order parameters: constants by hand, brute force on weights, an event of a stage."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.spaces.perturb import perturb_weights
from curriculode.theory.describe.perturbation import KINDS

HALF = cu.OrderParameters([[1.0, 1.0], [1.0, 4.0]], [[0.2, 0.0], [0.4, 0.8]], [1.0, -1.0])  # rho = 1/2: asin = pi/6


def test_constants_are_those_computed_by_hand() -> None:
    """rho = 1/2, sizes 1 and 2: (2/pi) asin(1/2) = 1/3, (2/pi)^2 asin(1/2) = 2/(3 pi), sqrt(2/pi) = .797885, 2/pi = .636620."""
    signs = cu.perturb(HALF, "signs")
    np.testing.assert_allclose(signs.Q, [[1.0, 2 / 3], [2 / 3, 4.0]], atol=1e-12)
    np.testing.assert_allclose(signs.M, 0.7978845608 * HALF.M, atol=1e-9)
    unit = cu.perturb(HALF, "same-sign-unit")
    np.testing.assert_allclose(unit.Q, [[1.0, 4 / (3 * np.pi)], [4 / (3 * np.pi), 4.0]], atol=1e-12)
    np.testing.assert_allclose(unit.M, 0.6366197724 * HALF.M, atol=1e-9)
    layer = cu.perturb(HALF, "same-sign-layer")  # mean square 2.5, mean size 1.5
    np.testing.assert_allclose(layer.Q, [[2.5, 1.5 / np.pi], [1.5 / np.pi, 2.5]], atol=1e-12)
    np.testing.assert_allclose(layer.M, 0.6366197724 * 1.5 * HALF.M / [[1.0], [2.0]], atol=1e-9)
    noise = cu.perturb(HALF, "noise", size=0.5)
    np.testing.assert_allclose(noise.Q, HALF.Q + 0.25 * np.eye(2))
    np.testing.assert_allclose(noise.M, HALF.M)
    for kind, Q in (("shuffle-unit", np.diag([1.0, 4.0])), ("shuffle-layer", 2.5 * np.eye(2)), ("shuffle-inputs", HALF.Q)):
        np.testing.assert_allclose(cu.perturb(HALF, kind).Q, Q)
        np.testing.assert_allclose(cu.perturb(HALF, kind).M, 0.0)
    np.testing.assert_allclose(cu.perturb(HALF, "reinitialise").Q, np.eye(2))
    np.testing.assert_array_equal(signs.v, HALF.v)


def test_effective_sizes_are_those_computed_by_hand() -> None:
    """Of one unit of size 1: noise its size, shuffles sqrt 2, signs sqrt(2 - 2 sqrt(2/pi)), same sign sqrt(2 - 4/pi)."""
    one = cu.OrderParameters([[1.0]], [[0.0]], [1.0])
    expected = {
        "noise": 0.3,
        "reinitialise": 2**0.5,
        "shuffle-unit": 2**0.5,
        "shuffle-inputs": 2**0.5,
        "signs": (2 - 2 * (2 / np.pi) ** 0.5) ** 0.5,
        "same-sign-unit": (2 - 4 / np.pi) ** 0.5,
        "same-sign-layer": (2 - 4 / np.pi) ** 0.5,
    }
    for kind, size in expected.items():
        assert cu.effective_size(one, kind, size=0.3) == pytest.approx(size)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_those_of_weights(kind: str, seed: int) -> None:
    """200 draws of 4000 weights in two blocks: every overlap within 5 standard errors, and 20/D."""
    rng, D, K = np.random.default_rng(seed), 4000, 3
    edges, runs, scale = np.array([0, 1000, D]), 200, 1.3
    mix = rng.standard_normal((2, K + 1, K + 1))
    experiment = cu.load("xor-fading").replace({"task.faded_fraction": 0.25, "student.width": K, "student.weight_scale": scale})
    perturbation = cu.Perturbation(kind=kind, size=0.5)
    seen, mean = [], np.zeros((2, K, K + 1))
    for _ in range(runs):
        z = rng.standard_normal((K + 1, D))
        whole = np.concatenate([mix[0] @ z[:, :1000], mix[1] @ z[:, 1000:]], axis=1)  # u and w: Gaussian in each block
        after = perturb_weights(whole[1:], edges, scale, perturbation, rng)
        joint = np.concatenate([after, whole[:1]])
        seen.append([after[:, a:b] @ joint[:, a:b].T / D for a, b in ((0, 1000), (1000, D))])
    values = np.array(seen)
    covariance = np.array([share * m @ m.T for share, m in zip((0.25, 0.75), mix, strict=True)])
    Q, M = covariance[:, 1:, 1:], np.zeros((2, K, 2))
    from curriculode.theory.dynamics.perturbing import perturbed_overlaps

    T = experiment.task.reference_overlap()
    Q_after, _, multiple = perturbed_overlaps(Q, M, T, np.array([0.25, 0.75]), scale, perturbation)
    mean[:, :, :K], mean[:, :, K] = Q_after, multiple * covariance[:, 1:, 0]
    error = values.std(axis=0, ddof=1) / np.sqrt(runs)
    assert (np.abs(values.mean(axis=0) - mean) <= 5 * error + 20 / D * np.abs(mean).max()).all()


def test_new_parts_of_m_are_drawn_at_a_dimension(xor: cu.Experiment) -> None:
    """Shuffled weights have M ~ N(0, Q_kk T / D), noise adds what it should, and the same seed gives the same."""
    state = xor.initial(1000)
    draws = np.array([cu.perturb(state, "shuffle-unit", seed=s, dimension=400, experiment=xor).M for s in range(500)])
    variance = np.diagonal(state.Q)[:, None] * 1.0 / 400
    assert (np.abs((draws**2).mean(axis=0) / variance - 1) < 4 * np.sqrt(2 / 500)).all()
    kept = np.array([cu.perturb(state, "noise", size=0.5, seed=s, dimension=400, experiment=xor).M for s in range(500)]) - state.M
    assert (np.abs((kept**2).mean(axis=0) * 400 / 0.25 - 1) < 4 * np.sqrt(2 / 500)).all()
    again = [cu.perturb(state, "signs", seed=3, dimension=100, experiment=xor) for _ in range(2)]
    assert again[0] == again[1]
    assert again[0] != cu.perturb(state, "signs", seed=4, dimension=100, experiment=xor)


def perturbed(experiment: cu.Experiment, kind: str, at: float, **settings: object) -> cu.Experiment:
    protocol = experiment.protocol.perturbed(cu.Perturbation(kind=kind, **settings), at=at)
    return cu.Experiment(task=experiment.task, student=experiment.student, training=experiment.training, protocol=protocol)


@pytest.mark.parametrize("kind", ["noise", "signs", "same-sign-layer"])
def test_an_event_of_a_stage_in_theory_and_on_weights(xor: cu.Experiment, kind: str, seed: int) -> None:
    """Before it nothing changes, at it the map is applied, after it theory and runs agree."""
    changed, start = perturbed(xor, kind, 2.5, size=0.5), xor.initial(400, seed)
    assert cu.Experiment.from_toml(changed.to_toml()) == changed
    numerics = cu.Numerics(points=512, times=(0.0, 2.5, 2.51, 3.5), estimate_error=False)
    theory = cu.integrate(changed, start, numerics=numerics)
    plain = cu.integrate(xor, start, numerics=numerics)
    np.testing.assert_allclose(theory.Q[1], plain.Q[1], atol=1e-6)
    at_once = cu.perturb(plain.state(2.5), kind, size=0.5, experiment=xor)
    assert np.abs(theory.Q[2] - at_once.Q).max() < 0.2 * np.abs(theory.Q[2] - plain.Q[2]).max()
    runs = cu.simulate(changed, dimension=400, runs=32, seed=seed, start=start, numerics=numerics.set(space="weight", points=64))
    for name, values in runs.entries().items():
        error = values.std(axis=0, ddof=1) / np.sqrt(32)
        assert (np.abs(values.mean(axis=0) - theory.entries()[name]) <= 5 * error + 20 / 400).all(), name


def test_mistakes_are_told(xor: cu.Experiment) -> None:
    state = xor.initial(200)
    with pytest.raises(cu.InputError, match=r"^perturbation 'noize' is unknown \(did you mean 'noise'\?\)"):
        cu.perturb(state, "noize")
    with pytest.raises(cu.InputError, match=r"^size = -1 is not allowed"):
        cu.perturb(state, "noise", size=-1)
    with pytest.raises(cu.InputError, match=r"^what is drawn for a dimension follows the references"):
        cu.perturb(state, "noise", dimension=100)
    with pytest.raises(cu.InputError, match=r"^batch learning forgets its weights"):
        cu.perturb(state, "noise", experiment=cu.load("batch-perceptron"))
    blocks = cu.load("perceptron-curriculum")
    with pytest.raises(cu.InputError, match=r"^a state of 2 blocks needs its experiment"):
        cu.perturb(blocks.initial(200), "noise")
    with pytest.raises(cu.InputError, match=r"^at = 9 is not allowed; weights are perturbed within the protocol"):
        xor.protocol.perturbed("noise", at=9.0)
    changed = perturbed(xor, "noise", 2.0)
    with pytest.raises(cu.InputError, match=r"^a protocol that perturbs weights is for integrate, simulate"):
        cu.branch(changed, state, at=3.0)
    with pytest.raises(cu.InputError, match=r"^the map 'signs' needs references on all inputs"):
        cu.perturb(state, "signs", experiment=xor.replace({"task.support": 0.5}))


def test_signs_of_one_time_with_magnitudes_of_another(seed: int) -> None:
    """Against Gaussian coordinates of the joint law of both times, 2 million of them; the same time twice changes nothing."""
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 6.0, "student.width": 2, "training.learning_rate": 3.0})
    start = cu.OrderParameters(0.9 * np.eye(2) + 0.1, [[0.5, 0.1], [-0.2, 0.3]], [1.0, -0.8])
    numerics = cu.Numerics(points=256, times=(0.0, 3.0, 6.0), estimate_error=False)
    trajectory = cu.integrate(experiment, start, numerics=numerics, remember=[0.0, 3.0])
    law = cu.weight_law(experiment, start, times=[0.0, 3.0, 6.0], points=256)
    n = 2_000_000
    u, w = law.sample(n, seed=seed)
    for signs, magnitudes in ((0, 2), (2, 1)):
        t = trajectory.t
        found = cu.recombine(trajectory, signs=t[signs], magnitudes=t[magnitudes])
        h = np.sign(w[:, signs]) * np.abs(w[:, magnitudes])
        np.testing.assert_allclose(found.Q, h.T @ h / n, atol=5 * np.abs(found.Q).max() * (2 / n) ** 0.5 + 2e-3)
        np.testing.assert_allclose(found.M, h.T @ u / n, atol=5 * np.sqrt(np.abs(found.Q).max() / n) + 1e-4)
        assert np.abs(found.M - trajectory.M[magnitudes]).max() > 0.01
    same = cu.recombine(trajectory, signs=3.0, magnitudes=3.0)
    np.testing.assert_allclose(same.Q, trajectory.Q[1], atol=2e-3)
    np.testing.assert_allclose(same.M, trajectory.M[1], atol=1e-9)
    with pytest.raises(cu.InputError, match=r"^trajectory = .* is not allowed; give a trajectory with memory"):
        cu.recombine(cu.integrate(experiment, start, numerics=numerics), signs=0.0, magnitudes=6.0)
