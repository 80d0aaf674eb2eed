"""Ridge regression in a tangent space: values of the theory, its closed forms, and the equations written out another way."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.tangent.frame import Change, Frame
from curriculode.theory.tangent.ridge import Packing, Ridge, Strengths
from curriculode.theory.tangent.rows import Model
from curriculode.theory.tangent.space import TangentSpace
from curriculode.theory.tasks.blocks import Blocks

K = 4
START = cu.OrderParameters(np.eye(K), np.zeros((K, 2)), np.array([1.0, -1.0, 1.0, -1.0]))


def experiment(activation="erf", training=None, noise=0.5, width=K, protocol=None, **task):
    return cu.Experiment(
        task=cu.TeacherStudent(teacher_width=2, teacher_activation=activation, label_noise=noise, **task),
        student=cu.Committee(width=width, activation=activation),
        training=training or cu.TangentRidge(examples=2.0, regularization=0.1),
        protocol=protocol or cu.Protocol.single(duration=6.0),
    )


# Found by an independent program, checked against ridge regression with K D + K features; last digits uncertain by 1 to 7.
@pytest.mark.parametrize(
    ("activation", "ridge", "least_norm"),
    [
        ("erf", (0.02167, 0.1622), (0.05075, 0.4078)),
        ("gelu", (0.0240, 0.4991), (0.1009, 0.832)),
        ("relu", (0.0549, 0.4764), (0.1338, 0.944)),
    ],
)
def test_values_of_train_and_test_loss(activation, ridge, least_norm):
    for (train, test), alpha, gamma in ((ridge, 2.0, 0.1), (least_norm, 6.0, 1e-9)):
        found = cu.state_evolution(experiment(activation, cu.TangentRidge(examples=alpha, regularization=gamma)), START)
        assert found.success
        np.testing.assert_allclose(found.train_loss, train, rtol=0.035)
        np.testing.assert_allclose(found.generalization_error, test, rtol=0.008)


def closed_ridge(alpha, gamma, square, noise):
    """Ridge regression of D isotropic inputs on a linear teacher of squared length `square` (Hastie et al. 2022, 1903.08560)."""
    # V = 1 / (gamma + alpha / (1 + V)), and with it bias and variance.
    b = gamma + alpha - 1.0
    V = (-b + np.sqrt(b * b + 4.0 * gamma)) / (2.0 * gamma)
    rho = 1.0 / (1.0 + V)
    kept = gamma * V  # share of the teacher that is not learnt
    error = (kept**2 * square + noise) / (1.0 - alpha * rho**2 * V**2) - noise
    return 0.5 * rho**2 * (error + noise), 0.5 * error


def test_linear_unit_is_ridge_regression():
    noise = 0.25
    for alpha in (0.5, 2.0):
        training = cu.TangentRidge(examples=alpha, regularization=0.3, layers="first")
        one = cu.Experiment(
            task=cu.TeacherStudent(teacher_width=1, teacher_activation="linear", label_noise=noise**0.5),
            student=cu.Committee(width=1, activation="linear"),
            training=training,
            protocol=cu.Protocol.single(duration=1.0),
        )
        found = cu.state_evolution(one, cu.OrderParameters([[1.0]], [[0.2]], [1.0]))
        np.testing.assert_allclose(
            [found.train_loss[0], found.generalization_error[0]], closed_ridge(alpha, 0.3, 1.0, noise), rtol=1e-6
        )


def test_least_norm_of_a_linear_unit_above_its_threshold():
    """Ordinary least squares: train (1 - 1/alpha) noise / 2, test noise / (2 (alpha - 1))."""
    found = cu.state_evolution(
        experiment("linear", cu.TangentRidge(examples=[2.0, 4.0], regularization=0.0, layers="first")), START
    )
    assert found.threshold == 1.0
    np.testing.assert_allclose(found.train_loss, 0.125 * (1.0 - 1.0 / found.t), rtol=1e-6)
    np.testing.assert_allclose(found.generalization_error, 0.125 / (found.t - 1.0), rtol=1e-6)


@pytest.mark.parametrize(("activation", "ratio"), [("erf", 0.15470), ("relu", 1.0), ("gelu", 0.82340)])
def test_population_optimum_of_orthogonal_units(activation, ratio):
    """(Var y - M m1_T^2 R1 + (E y)^2 (1 - R0)) / 2, R1 = K / (K + m2/m1^2 - 1), R0 by quadrature."""
    unit = cu.Committee(width=1, activation=activation).g
    u, w = np.polynomial.legendre.leggauss(2000)
    u, w = 9.0 * u, 9.0 * w * np.exp(-0.5 * (9.0 * u) ** 2) / np.sqrt(2.0 * np.pi)
    g, dg = unit(u), unit.derivative(u)
    mean, m1 = w @ g, w @ dg
    assert (w @ dg**2) / m1**2 - 1.0 == pytest.approx(ratio, abs=2e-5)
    variance = 2.0 * (w @ g**2 - mean**2)
    optimum = cu.tangent_optimum(experiment(activation, noise=0.0), START)
    # The constant from sums over units of g_k, c_k lambda_k, and (ReLU's g and g' lambda being one) c_k lambda_j.
    one, two = K, K * (K - 1)
    a, m2 = w @ (dg * u), w @ dg**2
    first = np.array([one * mean, one * a, 0.0])
    gram = np.zeros((3, 3))
    gram[:2, :2] = one * (np.array([g, dg * u]) * w) @ np.array([g, dg * u]).T + two * np.outer([mean, a], [mean, a])
    gram[2, :2] = gram[:2, 2] = two * m1 * np.array([w @ (g * u), w @ (dg * u * u)])
    gram[2, 2] = two * (m2 + a**2) + two * (K - 2) * m1**2
    R1, R0 = K / (K + ratio), first @ np.linalg.pinv(gram, rcond=1e-10) @ first
    expected = 0.5 * (variance - 2.0 * m1**2 * R1 + (2.0 * mean) ** 2 * (1.0 - R0))
    np.testing.assert_allclose(optimum.generalization_error, expected, rtol=5e-3)
    assert np.isinf(optimum.t).all()


def test_many_examples_lead_to_the_optimum():
    many = cu.state_evolution(experiment("gelu", cu.TangentRidge(examples=[1e3, 1e5], regularization=0.1)), START)
    best = cu.tangent_optimum(experiment("gelu"), START, numerics=cu.Numerics(points=many.statistics["averages"]["points"]))
    excess = many.generalization_error - best.generalization_error
    assert excess[0] > 50 * abs(excess[1])
    # The optimum is measured on a net that it was not fitted to: they agree to the error of nets, which is told with the ridge.
    averages = many.statistics["averages"]
    assert abs(excess[1]) < 4 * np.hypot(*averages["standard_error"][[1, 1]])
    assert 0 < averages["accuracy"] < 1e-2


def test_the_loss_of_an_optimum_is_not_that_of_the_net_it_is_fitted_to():
    """On a net of few rows a row of features is too good where it is fitted, and too bad elsewhere; their mean is neither."""
    wide = experiment("gelu", width=8)
    start = wide.initial(dimension=200)
    found = {points: cu.tangent_optimum(wide, start, numerics=cu.Numerics(points=points)) for points in (2**9, 2**14)}
    exact = found[2**14].train_loss[0]
    here = found[2**9]
    noise = 0.5 * wide.task.label_noise**2
    elsewhere = here.generalization_error[0] + noise
    own = 2.0 * here.train_loss[0] - elsewhere
    assert own < exact < elsewhere
    assert abs(here.train_loss[0] - exact) < 0.3 * min(exact - own, elsewhere - exact)


@pytest.mark.parametrize(("activation", "width", "expected"), [("erf", 3, 3.0), ("gelu", 2, 2.0), ("relu", 3, 3 / (1 - 0.125))])
def test_threshold(activation, width, expected):
    start = cu.OrderParameters(np.eye(width), np.zeros((width, 2)), np.ones(width))
    training = cu.TangentRidge(examples=[0.97 * expected, 1.05 * expected], regularization=0.0)
    found = cu.state_evolution(experiment(activation, training, width=width), start)
    np.testing.assert_allclose(found.threshold, expected, rtol=1e-3)
    # All that ReLU's silent examples have is the readout, which cannot fit them.
    silent = 2.0**-width if activation == "relu" else 0.0
    fitted = found.train_loss - 0.5 * silent * 0.25
    assert fitted[1] > 20 * abs(fitted[0]) or activation == "relu"
    if activation == "relu":
        assert found.train_loss[1] > found.train_loss[0] + 1e-3


def test_threshold_of_inputs_that_only_some_levels_see():
    levels = [cu.Level("easy", share=0.75, irrelevant_variance=0.0), cu.Level("hard", share=0.25, irrelevant_variance=1.0)]
    protocol = cu.Protocol(order="random", duration=1.0, levels=levels)
    found = cu.state_evolution(experiment(protocol=protocol, relevant_fraction=0.5), start_of_two_blocks())
    assert found.threshold == pytest.approx(min(K, K * 0.5 / 0.75))


def start_of_two_blocks():
    return cu.OrderParameters(np.array([0.5 * np.eye(K)] * 2), np.zeros((2, K, 2)), START.v)


def brute_V(rows, fractions, alpha, gamma):
    """V by plain iteration of its equation, one block."""
    V = np.eye(rows.c.shape[1])
    for _ in range(4000):
        rho = 1.0 / (1.0 + fractions[0] * rows.variance[:, 0] * np.einsum("nk,kl,nl->n", rows.c, V, rows.c))
        new = np.linalg.inv(gamma * np.eye(len(V)) + alpha * (rows.c.T * (rows.weight * rows.variance[:, 0] * rho)) @ rows.c)
        if np.abs(new - V).max() < 1e-13:
            break
        V = new
    return V, rho


def test_newton_against_plain_iteration_and_q_perp_by_its_own():
    start = cu.OrderParameters([[1.0, 0.3], [0.3, 1.2]], [[0.3, 0.1], [0.0, 0.2]], [1.0, 0.5])
    space = TangentSpace.of(experiment("gelu", width=2), start)
    rows = space.rows(space.shares, 256, 0)
    found = Ridge(space.frame, space.model, rows, space.blocks.fractions).solve(Strengths(1.5, 0.2, 0.05))
    V, rho = brute_V(rows, [1.0], 1.5, 0.2)
    np.testing.assert_allclose(found.L[0] @ found.L[0].T, V, rtol=1e-8)
    psi = np.hstack([rows.c[:, :, None] * rows.xi[0][:, None, :]]).reshape(256, -1)
    psi = np.hstack([psi, rows.g])
    N = np.diag([0.2] * (psi.shape[1] - 2) + [0.05] * 2)
    beta = np.linalg.solve(1.5 * (psi.T * (rows.weight * rho)) @ psi + N, 1.5 * psi.T @ (rows.weight * rho * rows.y))
    np.testing.assert_allclose(found.change.a[0].ravel(), beta[:-2], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.change.dv, beta[-2:], rtol=1e-6)
    X, square = np.zeros((2, 2)), (rows.y - psi @ beta) ** 2 + 0.25
    for _ in range(500):
        total = square + np.einsum("nk,kl,nl->n", rows.c, X, rows.c)
        X = V @ (1.5 * (rows.c.T * (rows.weight * rho**2 * total)) @ rows.c) @ V
    np.testing.assert_allclose(found.change.perpendicular[0], X, rtol=1e-7)
    assert found.train == pytest.approx(0.5 * rows.weight @ (rho**2 * total), rel=1e-8)


def test_packing_is_orthonormal_and_its_anticommutator_is_one():
    packing, rng = Packing(3), np.random.default_rng(0)
    A, S, R = (B + B.T for B in rng.standard_normal((3, 3, 3)))
    assert packing.pack(S) @ packing.pack(R) == pytest.approx(np.trace(S @ R))
    np.testing.assert_allclose(packing.unpack(packing.anticommutator(A) @ packing.pack(S)), 0.5 * (A @ S + S @ A))
    np.testing.assert_allclose(packing.unpack(packing.pack(S)), S)


def test_a_change_is_read_back_from_its_order_parameters():
    blocks = Blocks.of(cu.TeacherStudent(teacher_width=2, relevant_fraction=0.5))
    start, rng = start_of_two_blocks(), np.random.default_rng(1)
    frame = Frame.of(start, blocks)
    assert [F.shape[1] for F in frame.units] == [6, 4]  # the irrelevant block has no references
    B = rng.standard_normal((2, K, K))
    change = Change([rng.standard_normal(F.shape) for F in frame.units], rng.standard_normal(K), B @ np.swapaxes(B, 1, 2))
    again = frame.change(frame.moved(change))
    for one, other in zip(change.a, again.a, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    np.testing.assert_allclose(change.perpendicular, again.perpendicular, atol=1e-12)
    model = Model(True, True, True)
    np.testing.assert_allclose(model.change(frame, model.coefficients(change)).a[1], change.a[1])


def test_permuted_start_gives_the_permuted_result():
    start = cu.OrderParameters(np.diag([1.0, 1.2, 0.8]), [[0.1, 0.0], [0.0, 0.2], [0.1, 0.1]], [1.0, -0.5, 0.7])
    one = cu.state_evolution(experiment("relu", width=3), start)
    other = cu.state_evolution(experiment("relu", width=3), start.permuted(np.array([2, 0, 1])))
    np.testing.assert_array_equal(other.Q, one.Q[:, [2, 0, 1]][:, :, [2, 0, 1]])
    np.testing.assert_array_equal(other.laziness(), one.laziness()[:, [2, 0, 1]])


def test_optimal_strength_beats_its_neighbours():
    best = cu.state_evolution(experiment(training=cu.TangentRidge(examples=4.0, regularization="optimal")), START)
    (gamma,) = best.statistics["regularization"]
    for factor in (0.7, 1.4):
        other = cu.TangentRidge(examples=4.0, regularization=factor * gamma)
        assert cu.state_evolution(experiment(training=other), START).generalization_error > best.generalization_error
    assert "least test error at regularization" in best.status


def test_order_of_levels_is_of_no_account():
    def found(order):
        levels = [cu.Level("easy", share=0.4, irrelevant_variance=0.25), cu.Level("hard", share=0.6, irrelevant_variance=1.0)]
        protocol = cu.Protocol(order=order, duration=2.0, levels=levels)
        return cu.state_evolution(experiment(protocol=protocol, relevant_fraction=0.5), start_of_two_blocks())

    np.testing.assert_array_equal(found("curriculum").Q, found("anti-curriculum").Q)


def test_readout_alone_has_no_threshold_and_is_the_population_ridge():
    training = cu.TangentRidge(examples=3.0, regularization=0.0, readout_regularization=0.3, layers="readout")
    found = cu.state_evolution(experiment("relu", training), START)
    # Orthogonal ReLU units of length 1: E[g g'] = (1/2 - 1/(2 pi)) 1 + 1/(2 pi), and of a teacher of two E[g y] = 2/(2 pi).
    gram = (0.5 - 0.5 / np.pi) * np.eye(K) + 0.5 / np.pi
    dv = np.linalg.solve(3.0 * gram + 0.3 * np.eye(K), 3.0 * np.full(K, 1.0 / np.pi))
    np.testing.assert_allclose(found.v[0] - START.v, dv, rtol=2e-3)
    np.testing.assert_array_equal(found.Q[0], START.Q)
    assert found.threshold == 0.0


def test_uncentred_model_keeps_the_output_of_the_start():
    """With the centred target y + f0 in place of y the two models would be the same: errors differ by what f0 does not fit."""
    ridge = [
        cu.TangentRidge(examples=2.0, regularization=1e4, readout_regularization=1e4, centred=value) for value in (True, False)
    ]
    centred, not_centred = (cu.state_evolution(experiment("linear", each), START) for each in ridge)
    # So strongly held that nothing is learnt: E y^2 / 2 = 1, and E (y - f0)^2 / 2 = 1 + K / 2.
    assert centred.generalization_error[0] == pytest.approx(1.0, rel=2e-3)
    assert not_centred.generalization_error[0] == pytest.approx(3.0, rel=2e-3)


def test_xor_is_chance_for_odd_units_and_told():
    xor = cu.load("xor-curriculum").replace({"student.activation": "erf"})
    start = cu.OrderParameters(np.eye(K), 0.3 * np.ones((K, 2)), START.v)
    best = cu.tangent_optimum(xor, start)
    assert best.classification_error[0] == pytest.approx(0.5, abs=0.02)
    assert best.generalization_error[0] == pytest.approx(0.5, abs=5e-3)
    assert "chance" in best.status
    ridge = cu.Experiment(
        task=xor.task, student=xor.student, protocol=xor.protocol, training=cu.TangentRidge(regularization=1.0, examples=4.0)
    )
    assert "chance" in cu.state_evolution(ridge, start).status
    assert "chance" not in cu.state_evolution(ridge.replace({"student.activation": "relu"}), start).status


def test_what_is_not_to_be_trusted_is_told():
    start = cu.OrderParameters(np.eye(2), np.zeros((2, 2)), [1.0, -1.0])
    found = cu.state_evolution(experiment(training=cu.TangentRidge(examples=1.5, regularization=0.0), width=2), start)
    assert "K <= 2 q" in found.status
    # K (K + P) + K = 2 * 4 + 2 over alpha.
    assert found.statistics["correction"] == [pytest.approx(10 / 1.5)]
    assert "relative order 6.67 / D" in found.status


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: cu.state_evolution(experiment()), "tangent space is that of a start"),
        (lambda: cu.state_evolution(cu.load("batch-perceptron"), START), "start is for tangent spaces"),
        (lambda: cu.state_evolution(cu.load("xor-curriculum"), START), "start is for tangent spaces|learns online"),
        (lambda: cu.integrate(experiment(), START), "no online dynamics"),
        (lambda: cu.fluctuations(experiment(training=cu.TangentSGD(learning_rate=0.1)), START), "tangent space"),
        (lambda: cu.TangentRidge(regularization=-1.0), "regularization = -1.0 is not allowed"),
        (lambda: cu.TangentRidge(regularization=1.0, examples=[2.0, 1.0]), "increasing"),
        (lambda: cu.TangentRidge(regularization=1.0, loss="logistic"), "allowed: squared"),
        (lambda: cu.Committee(width=3, pairs=True), "even width"),
        (lambda: cu.integrate(cu.load("xor-curriculum"), START).threshold, "no interpolation threshold"),
        (lambda: cu.effective_complexity(cu.load("xor-curriculum"), START), "tangent-ridge"),
    ],
)
def test_mistakes(call, sentence):
    with pytest.raises(cu.InputError, match=sentence):
        call()
