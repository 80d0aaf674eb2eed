"""Two copies by theory: closed solution, polarisation, reordered examples, the line, matching."""

from typing import Any

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.averages.field_averages import FieldAverages
from curriculode.theory.averages.two_signals import TwoSignals
from curriculode.theory.dynamics.groups import Groups
from curriculode.theory.dynamics.pair import joint_law
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.matching import parity
from curriculode.theory.solve.groups import train_groups
from curriculode.theory.solve.way import Way

CASES: dict[str, dict[str, Any]] = {
    "xor-curriculum": {"protocol.duration": 4.0},
    "xor-fading": {"protocol.duration": 2.0, "student.activation": "gelu", "training.weight_decay": 0.1},
    "perceptron-curriculum": {"protocol.duration": 4.0},
    "committee-plateau": {"protocol.duration": 10.0},
}
TIGHT = cu.Numerics(points=256, rtol=1e-9, atol=1e-11, method="DOP853", times=4)


def experiment_of(name: str) -> cu.Experiment:
    return cu.load(name).replace(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_cross_overlaps_have_their_closed_solution(name: str, seed: int) -> None:
    """X = M1 T^+ M2' + U1 X_perp(k) U2' with the propagator U of one weight, to 1e-7."""
    experiment = experiment_of(name)
    start, setting, end = experiment.initial(500, seed), Setting.of(experiment), experiment.protocol.duration
    pair = cu.branch(experiment, start, at=0.3 * end, numerics=TIGHT)
    order, inverse = start.canonical_order(), np.linalg.pinv(setting.blocks.T, hermitian=True)
    way = Way.of(setting, TIGHT)
    early = train_groups(way, Groups.whole(setting, start.permuted(order)), start.v[order], 0.0, 0.3 * end, np.zeros(0))
    late = train_groups(way, early.groups, early.v_end, 0.3 * end, end, np.zeros(0), transports=True)
    U, M0, M1 = late.transports["R"], early.groups.M, late.groups.M
    perpendicular = early.groups.Q - M0 @ inverse @ np.swapaxes(M0, 1, 2)
    X = M1 @ inverse @ np.swapaxes(M1, 1, 2) + U @ perpendicular @ np.swapaxes(U, 1, 2)
    back = np.argsort(order)
    np.testing.assert_allclose(pair.blocked[3][-1], X[:, back][..., back], atol=1e-7)


@pytest.mark.parametrize("name", ["xor-curriculum", "perceptron-curriculum"])
def test_each_copy_learns_as_one(name: str, seed: int) -> None:
    experiment = experiment_of(name)
    start, end = experiment.initial(500, seed), experiment.protocol.duration
    pair = cu.branch(experiment, start, at=0.25 * end, numerics=TIGHT)
    alone = cu.integrate(experiment, start, numerics=TIGHT.set(times=pair.t, estimate_error=False))
    for copy in range(2):
        np.testing.assert_allclose(pair.Q[:, copy], alone.Q, atol=1e-7)
        np.testing.assert_allclose(pair.M[:, copy], alone.M, atol=1e-7)
        np.testing.assert_allclose(pair.v[:, copy], alone.v, atol=1e-7)
    np.testing.assert_allclose(pair.X[0], pair.Q[0, 0], atol=1e-9)
    assert (np.einsum("tbkk->t", pair.blocked[3]) <= np.einsum("tbkk->t", pair.blocked[0][:, 0]) + 1e-9).all()


@pytest.mark.parametrize("name", ["xor-curriculum", "committee-plateau"])
def test_copies_that_meet_the_same_examples_stay_one(name: str, seed: int) -> None:
    experiment = experiment_of(name)
    pair = cu.branch(experiment, experiment.initial(500, seed), at=1.0, examples="same", numerics=TIGHT)
    assert pair.success
    np.testing.assert_allclose(pair.X, pair.Q[:, 0], atol=1e-7)
    np.testing.assert_allclose(pair.barrier(), 0.0, atol=1e-12)


def _joint(experiment: cu.Experiment, seed: int) -> tuple[Setting, Any, np.ndarray]:
    """The joint fields of two students that share half of their weights, and both readouts."""
    setting = Setting.of(experiment)
    _, K, P = setting.shape
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((2 * K, 3 * K))
    w[K:] = 0.5 * w[K:] + 0.5 * w[:K]
    u = rng.standard_normal((P, 3 * K)) * 0.5
    law = joint_law(setting, -1)
    Q, M = w @ w.T / (3 * K), w @ u.T / (3 * K)
    law.update(Q[None], M[None])
    law.covariance[: law.references, : law.references] = (u @ u.T / (3 * K))[: law.references, : law.references]
    return setting, law, rng.standard_normal(2 * K)


@pytest.mark.parametrize("activation", ["erf", "quadratic"])
def test_polarisation_is_the_average_of_two_signals(activation: str, seed: int) -> None:
    """E[F1 F2'] from students of 2K units in closed form, label noise included, against a net of both signals."""
    name = "committee-plateau" if activation == "erf" else "xor-curriculum"
    changes: dict[str, Any] = {"student.activation": activation}
    if activation == "erf":
        changes["task.label_noise"] = 0.5
    experiment = cu.load(name).replace({**changes, "training.learning_rate": 0.1, "student.width": 2})
    setting, law, v = _joint(experiment, seed)
    laws = [joint_law(setting, level) for level in range(len(setting.laws))]
    arguments = (setting.activation, setting.loss, laws, setting.width, 2**16)
    closed = TwoSignals("auto", *arguments, 0)
    assert closed.way == "closed form by polarisation"
    nets = np.array([TwoSignals("quasi-Monte Carlo", *arguments, net).square(law, v) for net in range(4)])
    error = nets.std(axis=0, ddof=1) / 2
    exact = closed.square(law, v)
    assert (np.abs(nets.mean(axis=0) - exact) <= 8 * error + 1e-3 * np.abs(exact).max()).all()
    # The own blocks are the noise term of each student.
    found = FieldAverages.empty(law.example.probability.size, 2 * setting.width, law.references)
    closed._noise(law, np.concatenate([v[: setting.width], 0 * v[setting.width :]]), found)
    np.testing.assert_allclose(exact[: setting.width, : setting.width], found.square[: setting.width, : setting.width])


def test_two_signals_against_sampling(seed: int) -> None:
    """Logistic loss, ReLU units, cluster labels: the net against a million plain samples in numpy."""
    experiment = cu.load("xor-curriculum").replace(
        {"training.loss": "logistic", "student.activation": "relu", "student.width": 2, "levels.hard.noise": 0.7}
    )
    setting, law, v = _joint(experiment, seed)
    laws = [joint_law(setting, level) for level in range(len(setting.laws))]
    signals = TwoSignals("auto", setting.activation, setting.loss, laws, 2, 2**14, 0)
    rng, n, K = np.random.default_rng(seed + 1), 10**6, 2
    c = rng.integers(4, size=n)
    x = law.mean[c] + rng.standard_normal((n, 2 * K)) @ np.linalg.cholesky(law.covariance).T
    y = law.example.label[c]
    f = [np.maximum(part, 0) @ v[i * K : (i + 1) * K] for i, part in enumerate((x[:, :K], x[:, K:]))]
    e = np.stack([-y / (1 + np.exp(y * each)) for each in f])
    F = np.repeat(e, K, axis=0).T * v * (x > 0)
    products = F[:, :, None] * F[:, None, :]
    error = products.std(axis=0) / np.sqrt(n)
    assert (np.abs(signals.square(law, v) - products.mean(axis=0)) <= 4 * error + 1e-3 * np.abs(products.mean(axis=0)).max()).all()


def test_reordered_examples_of_a_linear_unit_in_closed_form() -> None:
    """K = 1, g(x) = x, no signal, fixed readout: X_perp grows by I0(2 eta sqrt L) over e^(-2 eta L)."""
    from scipy.special import i0

    eta, L = 0.3, 4.0
    experiment = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=1, teacher_activation="linear"),
        student=cu.Committee(width=1, activation="linear", readout="fixed"),
        training=cu.OnlineSGD(learning_rate=eta),
        protocol=cu.Protocol.single(duration=L),
    )
    # The error of a linear student of a linear teacher is that of the difference of weights: r = w - u starts at |r|^2/D = 1.
    blocks = Setting.of(experiment).blocks.count
    T = experiment.task.reference_overlap()
    assert blocks == 1
    start = cu.OrderParameters([[1.0 + T[0, 0, 0]]], [[T[0, 0, 0]]], [1.0])
    pair = cu.branch(experiment, start, examples="reordered", times=3, rtol=1e-10)
    own = cu.branch(experiment, start, times=3, rtol=1e-10)
    rest = [each.X[-1, 0, 0] - each.M[-1, 0, 0, 0] - each.M[-1, 1, 0, 0] + T[0, 0, 0] for each in (pair, own)]
    assert rest[1] == pytest.approx(np.exp(-2 * eta * L), rel=1e-7)
    assert rest[0] == pytest.approx(np.exp(-2 * eta * L) * i0(2 * eta * np.sqrt(L)), rel=2e-5)
    assert pair.statistics["grid_error"] < 1e-4


def test_the_line_has_hand_computed_states() -> None:
    """Q_al = al^2 Q1 + (1 - al)^2 Q2 + al (1 - al)(X + X')."""
    from curriculode.theory.pairs.line import states_along

    Q = np.array([[[[2.0, 0.0], [0.0, 2.0]]], [[[4.0, 1.0], [1.0, 4.0]]]])
    M, v, X = (
        np.array([[[[1.0], [0.0]]], [[[3.0], [2.0]]]]),
        np.array([[1.0, 0.0], [0.0, 2.0]]),
        np.array([[[1.0, 0.5], [0.0, 1.0]]]),
    )
    along, M_along, v_along = states_along(Q, M, v, X, np.array([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(along[0], Q[1])
    np.testing.assert_allclose(along[2], Q[0])
    np.testing.assert_allclose(along[1, 0], [[0.125 + 2.25 + 0.375, 0.5625 + 0.09375], [0.5625 + 0.09375, 2.75]])
    np.testing.assert_allclose(M_along[1, 0], [[2.5], [1.5]])
    np.testing.assert_allclose(v_along[1], [0.25, 1.5])


def test_the_line_is_that_of_vectors(xor: cu.Experiment, rng: np.random.Generator) -> None:
    """Errors along the line are those of a student that has the weights on it."""
    pair = cu.branch(xor, xor.initial(500), at=2.0, numerics=TIGHT)
    line = pair.interpolate([0.0, 0.3, 1.0], t=8.0)
    assert line.generalization_error.shape == (1, 3)
    assert line.generalization_error[0, 2] == pytest.approx(pair.copies[0].generalization_error[-1], abs=1e-12)
    assert line.generalization_error[0, 0] == pytest.approx(pair.copies[1].generalization_error[-1], abs=1e-12)
    D = 40
    w1, w2, u = rng.standard_normal((4, D)), rng.standard_normal((4, D)), rng.standard_normal((2, D))
    w, v = 0.3 * w1 + 0.7 * w2, rng.standard_normal((2, 4))
    from curriculode.theory.pairs.line import states_along

    Q, M = np.array([w1 @ w1.T, w2 @ w2.T])[:, None] / D, np.array([w1 @ u.T, w2 @ u.T])[:, None] / D
    along = states_along(Q, M, v, (w1 @ w2.T / D)[None], np.array([0.3]))
    np.testing.assert_allclose(along[0][0, 0], w @ w.T / D)
    np.testing.assert_allclose(along[1][0, 0], w @ u.T / D)
    np.testing.assert_allclose(along[2][0], 0.3 * v[0] + 0.7 * v[1])
    assert len(line.to_frame()) == 3


@pytest.mark.parametrize("activation", ["erf", "gelu", "quadratic"])
def test_matching_undoes_a_permutation_with_flips(activation: str, seed: int) -> None:
    """Copy 2 permuted, and where g has a parity turned, is found again; none has a lower middle than enumeration finds."""
    experiment = cu.load("committee-plateau").replace(
        {"student.width": 3, "student.activation": activation, "protocol.duration": 2.0, "student.readout": "trained"}
    )
    g = experiment.student.g
    assert parity(g) == {"erf": -1, "gelu": 0, "quadratic": 1}[activation]
    experiment = experiment.replace({"training.learning_rate": 0.05})
    pair = cu.branch(experiment, experiment.initial(500, seed), numerics=TIGHT.set(times=2))
    order, sign = np.array([2, 0, 1]), np.array([1.0, -1.0, -1.0]) if parity(g) else np.ones(3)
    moved = pair._rearranged(np.tile(order, (2, 1)), np.tile(sign, (2, 1)), odd=parity(g) < 0)
    assert np.abs(moved.X - pair.X).max() > 0.1
    found = moved.match()
    np.testing.assert_allclose(found.X, pair.X, atol=1e-12)
    np.testing.assert_allclose(found.v, pair.v, atol=1e-12)
    np.testing.assert_allclose(found.copies[1].generalization_error, pair.copies[1].generalization_error, atol=1e-6)
    best = moved.match("enumeration")
    # Of networks that have learnt little the best line is not that of the units themselves: averages of other units err less.
    assert (best.midpoint() <= found.midpoint() + 1e-12).all()


def test_networks_of_two_starts_meet_after_matching(seed: int) -> None:
    """A committee that has specialised: the barrier between other starts is high, and gone after matching, as enumeration says."""
    experiment = cu.load("committee-plateau").replace({"protocol.duration": 150.0, "training.learning_rate": 1.0})
    one, two = experiment.initial(100, seed), experiment.initial(100, seed)
    swapped = cu.OrderParameters(two.Q, two.M[::-1], two.v)  # what unit 0 becomes there unit 1 becomes here
    pair = cu.branch(experiment, one, other=swapped, times=2)
    error = "generalization_error"
    assert pair.copies[0].specialization[-1] > 0.95
    assert pair.barrier(error)[-1] > 5 * pair.copies[0].generalization_error[-1]
    assert pair.match().barrier(error)[-1] < 1e-3
    np.testing.assert_allclose(pair.match("enumeration").X[-1], pair.match().X[-1], atol=1e-9)


def test_a_barrier_is_never_below_half_the_difference_of_the_ends(xor: cu.Experiment) -> None:
    pair = cu.branch(xor, xor.initial(300), other=xor.initial(300, 5), numerics=TIGHT)
    values = pair.interpolate().classification_error
    assert (pair.barrier() >= 0.5 * np.abs(values[:, 0] - values[:, -1]) - 1e-12).all()
    assert (pair.midpoint() <= pair.barrier() + 1e-12).all()
    T = xor.task.reference_overlap()[0]
    np.testing.assert_allclose(pair.X, pair.M[:, 0] @ np.linalg.inv(T) @ np.swapaxes(pair.M[:, 1], 1, 2), atol=1e-7)


def test_the_law_of_the_plateau_has_its_numbers() -> None:
    """K = 4 GELU, v = (.6, .3, -.4, -.7), noise .5, eta 2, Q(0) = 1, t = 6."""
    experiment = cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=4, activation="gelu"),
        training=cu.OnlineSGD(learning_rate=2.0),
        protocol=cu.Protocol.single(duration=6.0, noise=0.5),
    )
    start = cu.OrderParameters(np.eye(4), np.zeros((4, 2)), [0.6, 0.3, -0.4, -0.7])
    law = cu.plateau_law(experiment, start, at=[0.0, 2.0, 6.0], until=6.0)
    np.testing.assert_allclose(law.r[0], [0.798, 0.800], atol=1e-3)
    np.testing.assert_allclose(law.r_units[0, 0], [0.755, 0.913, 0.557, 0.277], atol=2e-3)
    np.testing.assert_allclose(law.r[-1], 1.0, atol=1e-9)
    np.testing.assert_allclose(law.opposite, np.arccos(np.minimum(law.r, 1.0)) / np.pi)
    assert (np.diff(law.r, axis=0) > 0).all()
    np.testing.assert_allclose(law.equations_share, law.r[0])  # what noise adds is what the equations lack


def test_records_are_read_again(tmp_path, xor: cu.Experiment) -> None:
    pair = cu.branch(xor, xor.initial(200), at=2.0, numerics=TIGHT)
    again = cu.load_record(pair.save(tmp_path / "pair.npz"))
    assert again == pair
    assert again.at == 2.0
    assert again.examples == "independent"
    np.testing.assert_array_equal(again.barrier(), pair.barrier())
    assert pair.dims("X") == ("time", "unit", "unit_of_copy_2")
    assert pair.dims("Q") == ("time", "copy", "unit", "other_unit")
    assert {"t", "barrier", "midpoint", "X[0,1]", "copy-2 v[3]"} <= set(pair.to_frame().columns)
    np.testing.assert_array_equal(pair.observable("X[1,2]"), pair.X[:, 1, 2])
    np.testing.assert_array_equal(pair.observable("copy-2 Q[1,2]"), pair.Q[:, 1, 1, 2])


def test_mistakes_are_told(xor: cu.Experiment) -> None:
    start = xor.initial(200)
    for at in (8.0, 9.0, -1.0):
        with pytest.raises(cu.InputError, match=r"^at = .* is not allowed; copies part within the protocol, from 0 to below its"):
            cu.branch(xor, start, at=at)
    with pytest.raises(cu.InputError, match=r"^the start has 6 hidden units, but the experiment's student.width is 4$"):
        cu.branch(xor, start, other=xor.replace({"student.width": 6}).initial(200))
    with pytest.raises(cu.InputError, match=r"^examples 'shuffled' is unknown"):
        cu.branch(xor, start, examples="shuffled")
    with pytest.raises(cu.InputError, match=r"^batch learning has no copies that part"):
        cu.branch(cu.load("batch-perceptron"), start)
    with pytest.raises(cu.InputError, match=r"^theory needs one start"):
        cu.branch(xor)
    with pytest.raises(cu.InputError, match=r"^at = 2 goes with one start"):
        cu.branch(xor, start, at=2.0, other=start)
    pair = cu.branch(xor, start, at=4.0, numerics=TIGHT)
    with pytest.raises(
        cu.InputError, match=r"^alphas from -0.5 to 1 leave the line between the copies, \[0, 1\]; give beyond=True"
    ):
        pair.interpolate([-0.5, 1.0])
    assert pair.interpolate([-0.5, 1.0], beyond=True).alphas[0] == -0.5
    wide = xor.replace({"student.width": 5})
    five = cu.branch(wide, wide.initial(200), at=7.9, numerics=TIGHT)
    with pytest.raises(cu.InputError, match=r'^way = "enumeration" is for at most 4 units, not 5'):
        five.match("enumeration")
    with pytest.raises(cu.InputError, match=r"^the law of the plateau is known for the XOR mixture"):
        cu.plateau_law(cu.load("committee-plateau"), start, at=[0.0], until=1.0)
