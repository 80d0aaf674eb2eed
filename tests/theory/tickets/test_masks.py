"""Which weights are kept: criteria by hand, closed forms against nodes, strata."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

import curriculode as cu
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.magnitudes import in_strata, threshold
from curriculode.theory.tickets import theory
from curriculode.theory.tickets.coordinates import group, nodes, stratum_sizes
from curriculode.theory.tickets.masks import best, kept_share, scores

COURSE = {"protocol.duration": 6.0}
M = 0.5 * np.array([[1.0, 0.0], [0.0, 0.8], [-0.7, 0.1], [0.2, -0.6]])
START = cu.OrderParameters(0.6 * np.eye(4) + M @ M.T, M, [0.5, -0.4, 0.6, -0.5])


def test_what_large_weights_add_is_largest_at_a_third() -> None:
    """max of h(p) = 2 tau phi(tau) is .484 at p = .317."""
    found = minimize_scalar(lambda p: -kept_share(p), bounds=(0.01, 0.99), method="bounded")
    assert found.x == pytest.approx(0.317, abs=5e-4)
    assert -found.fun == pytest.approx(0.484, abs=5e-4)
    assert kept_share(1.0) == 0.0
    assert kept_share(1e-9) < 1e-6


def test_criteria_by_hand(rng: np.random.Generator) -> None:
    first, last = np.array([[1.0, -2.0, 3.0, 0.5]]), np.array([[-2.0, 2.0, 2.5, -0.1]])
    share, alive = np.full(4, 0.25), np.ones((1, 4), bool)
    kept = {
        "large-final": [1, 2],  # |w| = 2, 2, 2.5, .1
        "magnitude-increase": [0, 1],  # 1, 0, -.5, -.4
        "large-init": [1, 2],
        "movement": [0, 1],  # 3, 4, .5, .6
        "small-final": [0, 3],
    }
    for criterion, units in kept.items():
        score = scores(criterion, first, last, rng) + np.array([[0.0, 1e-9, 0.0, 0.0]])
        if criterion == "small-final":
            score[0, 1] -= 2e-9
        assert np.flatnonzero(best(score, alive, share, 0.5, "unit")).tolist() == units, criterion
    assert best(scores("random", first, last, rng), alive, share, 0.5, "unit").sum() == 2
    alive[0, 2] = False
    assert np.flatnonzero(best(np.abs(last), alive, share, 0.25, "unit"))[0] in (0, 1)


def test_a_layer_may_take_all_from_one_unit() -> None:
    score, share = np.array([[5.0, 4.0, 3.0, 2.0], [1.0, 0.9, 0.8, 0.7]]), np.full(4, 0.25)
    mask = best(score, np.ones((2, 4), bool), share, 0.5, "layer")
    assert mask.tolist() == [[True] * 4, [False] * 4]
    assert best(score, np.ones((2, 4), bool), share, 0.5, "unit").sum(axis=1).tolist() == [2, 2]


@pytest.mark.parametrize("net", [True, False])
@pytest.mark.parametrize("name", ["xor-fading", "perceptron-curriculum"])
def test_nodes_have_exactly_the_overlaps(name: str, net: bool, rng: np.random.Generator) -> None:
    experiment = cu.load(name).replace({"task.support": 0.3})
    setting, start = Setting.of(experiment), experiment.initial(500)
    Q, M, _ = start.blocked()
    coordinates, W, spare = nodes(setting, Q, M, 1000, 5, rng, net)
    groups, _ = group(coordinates, W, np.ones(W.shape, bool))
    summed = groups.summed(setting.shape[0])
    np.testing.assert_allclose(summed[0], Q, atol=1e-12)
    np.testing.assert_allclose(summed[1], M, atol=1e-12)
    assert coordinates.share.sum() == pytest.approx(1.0)
    for b in range(setting.shape[0]):
        here = coordinates.block == b
        np.testing.assert_allclose(
            (coordinates.u * coordinates.share)[:, here] @ coordinates.u[:, here].T, setting.blocks.T[b], atol=1e-12
        )
    assert spare.shape == (5, coordinates.count)


def test_sizes_of_strata_add_up() -> None:
    assert stratum_sizes(np.array([[0.05, 0.45], [0.25, 0.25]]), 1000).tolist() == [[50, 450], [250, 250]]
    assert stratum_sizes(np.array([[1 / 3, 1 / 3, 1 / 3]]), 100).sum() == 100


@pytest.mark.parametrize("rewind", [0.0, 2.0])
@pytest.mark.parametrize("keep", [0.05, 0.3])
def test_closed_form_of_what_is_kept_against_nodes(keep: float, rewind: float) -> None:
    """M' = p M(k) + h c a/q, Q' = p Q(k) + h c^2/q, T' = p T + h a^2/q, and (p + h) a, (p + h) q of fine-tuning."""
    experiment = cu.load("xor-curriculum").replace(COURSE)
    exact = cu.integrate(experiment, START, points=256, estimate_error=False, remember=[rewind], times=4, rtol=1e-8)
    pruning = cu.Pruning(keep=keep, rewind=rewind)
    study = cu.tickets(
        experiment, pruning, start=START, treatments=["ticket", "fine-tune"], nodes=2**14, points=256, times=2, rtol=1e-8
    )
    h, q, a = kept_share(keep), np.diag(exact.Q[-1]), exact.M[-1]
    c, past = np.diag(exact.two_time(rewind)[-1]), exact.state(rewind)
    ticket, tuned = study.begins["ticket"], study.begins["fine-tune"]
    close = {"atol": 4e-3 * np.abs(exact.Q).max()}
    np.testing.assert_allclose(ticket.M, keep * past.M + h * (c / q)[:, None] * a, **close)
    np.testing.assert_allclose(np.diag(ticket.Q), keep * np.diag(past.Q) + h * c**2 / q, **close)
    np.testing.assert_allclose(tuned.M, (keep + h) * a, **close)
    np.testing.assert_allclose(np.diag(tuned.Q), (keep + h) * q, **close)
    np.testing.assert_allclose(study.signal_kept, keep + h * a**2 / q[:, None], **close)
    assert (study.signal_kept >= keep - 4e-3).all()


def test_strata_in_closed_form_against_nodes() -> None:
    """Sparse references: tau -> theta_k / sigma_ks, p -> p_ks and h -> h_ks in each stratum."""
    keep = 0.2
    experiment = cu.load("xor-curriculum").replace({**COURSE, "task.support": 0.1})
    exact = cu.integrate(experiment, START, points=256, estimate_error=False, remember=[0.0], times=2, rtol=1e-8)
    study = cu.tickets(experiment, cu.Pruning(keep=keep), start=START, treatments=["ticket"], nodes=2**16, points=256, times=2)
    shares, overlaps = experiment.task.strata()
    blocked = [part[None] for part in (exact.Q[-1], exact.M[-1], START.Q, START.M, exact.two_time(0.0)[-1])]
    Q, M, Q0, M0, C = blocked
    variance, phi = in_strata(Q, M, M, shares, overlaps)
    past, _ = in_strata(Q0, M0, M0, shares, overlaps)
    between, _ = in_strata(C, M, M0, shares, overlaps)
    theta = threshold(np.sqrt(variance), phi, keep)
    tau = theta[:, None] / np.sqrt(variance)
    p, h = 2 * ndtr(-tau), 2 * tau * np.exp(-0.5 * tau**2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose((phi * p).sum(axis=1), keep)
    first = phi * (p * past + h * between**2 / variance)
    close = {"atol": 4e-3}
    np.testing.assert_allclose(np.diag(study.begins["ticket"].Q), first.sum(axis=1), **close)
    # All of the references is in the first stratum: a_s = M, c_s = phi_1 * covariance there.
    kept = p[:, :1] * M0[0] + (h * between / variance)[:, :1] * M[0]
    np.testing.assert_allclose(study.begins["ticket"].M, kept, **close)
    signal = p[:, :1] + h[:, :1] * M[0] ** 2 / (phi[0] * variance[:, :1])
    np.testing.assert_allclose(study.signal_kept, signal, **close)
    assert study.signal_kept.mean() > 0.6  # one weight in five keeps most of what there is to know


def test_nodes_over_the_last_weights_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One shot by |w(T)| with all else integrated out has the limit of full nodes, and less than half their error."""
    experiment = cu.load("xor-fading").replace({"protocol.duration": 2.0, "task.support": 0.3, "student.activation": "gelu"})
    start, names = experiment.initial(300, 1), ["ticket", "fine-tune"]
    options = {"start": start, "treatments": names, "points": 64, "times": 2}
    pruning = cu.Pruning(keep=0.2, rewind=0.5)

    def kept(nodes: int, seed: int) -> np.ndarray:
        begins = cu.tickets(experiment, pruning, nodes=nodes, seed=seed, **options).begins
        return np.concatenate([part.ravel() for name in names for part in (begins[name].Q, begins[name].M)])

    exact = kept(2**17, 0)
    few = np.array([kept(2**10, seed) - exact for seed in range(6)])
    monkeypatch.setattr(theory, "BY_LAST", ())
    full = np.array([kept(2**10, seed) - exact for seed in range(6)])
    np.testing.assert_allclose(kept(2**17, 0), exact, atol=4e-3)
    assert np.sqrt((few**2).mean()) < 0.5 * np.sqrt((full**2).mean())
    # Seeds scatter about the limit: it is the same by both.
    error = np.hypot(few.std(axis=0, ddof=1), full.std(axis=0, ddof=1)) / np.sqrt(6)
    assert (np.abs(few.mean(axis=0) - full.mean(axis=0)) < 6 * error + 1e-3).all()
