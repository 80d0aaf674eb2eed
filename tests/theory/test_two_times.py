"""Passengers: the overlaps of weights with earlier ones, and the indicators of early training read off them."""

import numpy as np
import pytest
from scipy.special import ndtri

import curriculode as cu
from curriculode.theory.dynamics.groups import Groups
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.magnitudes import changed_signs, common_share, threshold
from curriculode.theory.solve.groups import train_groups
from curriculode.theory.solve.way import Way

CASES = {
    "xor-curriculum": {"protocol.duration": 4.0},
    "xor-fading": {"protocol.duration": 2.0, "student.activation": "gelu", "training.weight_decay": 0.1},
    "perceptron-curriculum": {"protocol.duration": 4.0},
    "committee-plateau": {"protocol.duration": 10.0},
}
TIGHT = cu.Numerics(points=256, rtol=1e-10, atol=1e-12, estimate_error=False, method="DOP853", times=5)


@pytest.mark.parametrize("name", CASES)
def test_q_and_m_from_transports_are_those_of_the_equations(name: str, seed: int) -> None:
    """Q = R Q R' + R M S' + S M' R' + S T S' + phi Xi, M = R M + S T, to 1e-9."""
    experiment = cu.load(name).replace(CASES[name])
    setting, start = Setting.of(experiment), experiment.initial(500, seed)
    order = start.canonical_order()
    groups = Groups.whole(setting, start.permuted(order))
    end = experiment.protocol.duration
    found = train_groups(Way.of(setting, TIGHT), groups, start.v[order], 0.0, end, np.array([end]), transports=True)
    R, S, Xi = (found.transports[each] for each in ("R", "S", "Xi"))
    T, M, cross = groups.T, R @ groups.M + S @ groups.T, R @ groups.M @ np.swapaxes(S, 1, 2)
    Q = R @ groups.Q @ np.swapaxes(R, 1, 2) + cross + np.swapaxes(cross, 1, 2) + S @ T @ np.swapaxes(S, 1, 2)
    Q += groups.share[:, None, None] * Xi
    trajectory = cu.integrate(experiment, start, numerics=TIGHT)
    back = np.argsort(order)
    exact_Q, exact_M, exact_v = trajectory.state().blocked()
    np.testing.assert_allclose(Q[:, back][..., back], exact_Q, atol=1e-9)
    np.testing.assert_allclose(M[:, back], exact_M, atol=1e-9)
    np.testing.assert_allclose(found.v_end[back], exact_v, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_passengers_obey_the_transports(name: str, seed: int) -> None:
    """C(t, 0) = R Q(0) + S M(0)', and the trajectory is that without passengers."""
    experiment = cu.load(name).replace(CASES[name])
    setting, start = Setting.of(experiment), experiment.initial(500, seed)
    trajectory = cu.integrate(experiment, start, numerics=TIGHT, remember=[0.0])
    order, end = start.canonical_order(), experiment.protocol.duration
    groups, back = Groups.whole(setting, start.permuted(order)), np.argsort(order)
    found = train_groups(Way.of(setting, TIGHT), groups, start.v[order], 0.0, end, np.array([end]), transports=True)
    C = found.transports["R"] @ groups.Q + found.transports["S"] @ np.swapaxes(groups.M, 1, 2)
    last = trajectory.two_time(0.0)[-1]
    np.testing.assert_allclose(C[:, back][..., back], last if last.ndim == 3 else last[None], atol=1e-9)
    np.testing.assert_allclose(trajectory.Q, cu.integrate(experiment, start, numerics=TIGHT).Q, atol=1e-9)
    assert trajectory.two_time(0.0).shape == trajectory.Q.shape
    np.testing.assert_allclose(trajectory.two_time(0.0)[0], trajectory.Q[0])


def test_later_passengers_and_reflection(xor: cu.Experiment, seed: int) -> None:
    start, times = xor.initial(1000, seed), np.linspace(0.0, 8.0, 5)
    trajectory = cu.integrate(xor, start, numerics=TIGHT.set(times=times), remember=times)
    late = cu.integrate(xor, start, numerics=TIGHT.set(times=times), remember=[4.0])
    np.testing.assert_allclose(trajectory.two_time(4.0)[2:], late.two_time(4.0)[2:], atol=1e-9)
    assert np.isnan(late.two_time(4.0)[:2]).all()
    np.testing.assert_allclose(trajectory.two_time(8.0)[1], trajectory.two_time(2.0)[4].T)
    assert trajectory.weight_cosine(8.0)[-1] == pytest.approx(1.0)
    assert trajectory.weight_distance(8.0)[-1] == pytest.approx(0.0, abs=1e-6)
    assert trajectory.weight_correlation(0.2)[0] == pytest.approx(1.0, abs=1e-6)
    changes = trajectory.sign_changes()
    assert changes[0] == pytest.approx(0.0, abs=1e-6)
    assert (np.diff(changes) > 0).all()


def test_weight_correlation_has_its_limits() -> None:
    one = np.ones((1, 1))
    for p in (0.1, 0.5):
        assert common_share(one, one, 0 * one, np.ones(1), p)[0] == pytest.approx(p)  # R_p(r = 0) = p
        assert common_share(one, one, one, np.ones(1), p)[0] == pytest.approx(1.0)
        assert common_share(one, one, -one, np.ones(1), p)[0] == pytest.approx(1.0)
        assert threshold(one, np.ones(1), p)[0] == pytest.approx(-ndtri(p / 2))
    assert changed_signs(one, one, 0 * one, np.ones(1))[0] == pytest.approx(0.5)


def test_indicators_are_those_of_sampled_weights(rng: np.random.Generator) -> None:
    """Three strata with their own variances and correlations, two million weights."""
    shares, n = np.array([0.1, 0.6, 0.3]), 2_000_000
    before, after, r = np.array([4.0, 1.0, 0.3]), np.array([9.0, 0.5, 0.2]), np.array([0.9, 0.2, -0.5])
    stratum = rng.choice(3, n, p=shares)
    z = rng.standard_normal((2, n))
    w0 = np.sqrt(before)[stratum] * z[0]
    w1 = np.sqrt(after)[stratum] * (r[stratum] * z[0] + np.sqrt(1 - r[stratum] ** 2) * z[1])
    law = before[None], after[None], (r * np.sqrt(before * after))[None], shares
    for p in (0.1, 0.4):
        large = [np.abs(w) > np.quantile(np.abs(w), 1 - p) for w in (w0, w1)]
        assert common_share(*law, p)[0] == pytest.approx((large[0] & large[1]).sum() / large[0].sum(), abs=4 * n**-0.5 / p)
    assert changed_signs(*law)[0] == pytest.approx((w0 * w1 < 0).mean(), abs=4 * n**-0.5)


@pytest.mark.parametrize("support", [1.0, 0.1])
def test_theory_of_two_times_against_weights(support: float, seed: int) -> None:
    """C(t, 0), R_p and sign changes of 24 runs; the shift of the mean is of order 1/D."""
    changes = {"protocol.duration": 4.0, "task.support": support, "protocol.order": "random", "training.learning_rate": 1.5}
    experiment = cu.load("xor-curriculum").replace(changes)
    start, D, runs = experiment.initial(1000, seed), 1000, 24
    numerics = cu.Numerics(points=1024, times=3, estimate_error=False)
    theory = cu.integrate(experiment, start, numerics=numerics, remember=[0.0, 2.0])
    run = cu.simulate(experiment, dimension=D, runs=runs, seed=seed, start=start, space="weight", times=3, remember=[0.0, 2.0])
    assert run.two_time(0.0).shape == run.Q.shape
    for s in (0.0, 2.0):
        for mine, theirs in (
            (theory.two_time(s), run.two_time(s)),
            (theory.weight_correlation(0.1, s), run.weight_correlation(0.1, s)),
            (theory.weight_correlation(0.5, s), run.weight_correlation(0.5, s)),
            (theory.sign_changes(s), run.sign_changes(s)),
            (theory.weight_cosine(s), run.weight_cosine(s)),
        ):
            error = theirs.std(axis=0, ddof=1) / np.sqrt(runs)
            known = np.isfinite(mine)
            assert known[1:].any()
            assert (np.abs(theirs.mean(axis=0) - mine) <= 5 * error + 20 / D)[np.isfinite(error) & known].all()


def test_records_keep_what_was_remembered(tmp_path, xor: cu.Experiment) -> None:
    start = xor.initial(200)
    for record in (
        cu.integrate(xor, start, points=64, times=3, estimate_error=False, remember=[0.0]),
        cu.simulate(xor, dimension=200, runs=2, start=start, times=3, space="weight", remember=[0.0, 4.0]),
    ):
        again = cu.load_record(record.save(tmp_path / f"{record.kind}.npz"))
        assert again == record
        np.testing.assert_array_equal(again.sign_changes(), record.sign_changes())
        assert len(record.dims("passengers")) == record.passengers.ndim


def test_mistakes_are_told(xor: cu.Experiment) -> None:
    start = xor.initial(200)
    for wrong in ([9.0], [-1.0], ["a"], [[0.0, 1.0]], []):
        with pytest.raises(cu.InputError, match=r"^remember"):
            cu.integrate(xor, start, remember=wrong)
    with pytest.raises(cu.InputError, match=r"^overlap space has no weights to remember; use space = 'weight'"):
        cu.simulate(xor, dimension=100, runs=1, remember=[0.0])
    plain = cu.integrate(xor, start, points=64, times=2, estimate_error=False)
    with pytest.raises(cu.InputError, match=r"^no weights were remembered"):
        plain.two_time(0.0)
    kept = cu.integrate(xor, start, points=64, times=2, estimate_error=False, remember=[2.0])
    with pytest.raises(cu.InputError, match=r"^s = 0.0 was not remembered; the remembered times are 2$"):
        kept.sign_changes()
    with pytest.raises(cu.InputError, match=r"^share = 0 is not allowed"):
        kept.weight_correlation(0, 2.0)
