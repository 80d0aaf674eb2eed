"""The right-hand side against hand computation, brute-force Monte Carlo over block fields, and one step of SGD on vectors."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.spaces.weight_space import place
from curriculode.theory.dynamics.online import OnlineLearning
from curriculode.theory.dynamics.packing import pack, state_size, unpack
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.tasks.blocks import Blocks
from tests import twins

CASES = [
    ("gelu", "squared", 0.0, 0.0),
    ("erf", "logistic", 0.0, 0.0),
    ("relu", "squared", 0.4, 0.0),
    ("relu", "logistic", 0.0, 0.2),
    ("tanh", "squared", 0.4, 0.1),
    ("quadratic", "squared", 0.0, 0.0),
    ("linear", "logistic", 1.0, 0.0),
]


def experiment(activation: str, loss: str, faded: float, decay: float, readout: str = "trained") -> cu.Experiment:
    fading = {"fading": 1.7} if faded else {}
    return cu.Experiment(
        task=cu.XorMixture(separation=1.3, faded_fraction=faded),
        student=cu.Committee(width=3, activation=activation, readout=readout),
        training=cu.OnlineSGD(learning_rate=0.8, readout_learning_rate=0.5, weight_decay=decay, loss=loss),
        protocol=cu.Protocol(
            order="random",
            duration=1.0,
            levels=[cu.Level("easy", share=0.4, noise=0.3, **fading), cu.Level("hard", share=0.6, noise=0.8)],
        ),
    )


def derivative(case: cu.Experiment, start: cu.OrderParameters, way: str = "auto", points: int = 2**14, noise_terms: bool = True):  # type: ignore[no-untyped-def]
    setting = Setting.of(case)
    engine = setting.engine(way, points, 0, noise_terms)
    rhs = OnlineLearning(setting, engine, setting.stages[0].probability, setting.rates, start.v)
    y = np.empty(rhs.size)
    Q, M, v = start.blocked()
    pack(Q, M, v, y)
    dQ, dM, dv = np.zeros_like(Q), np.zeros_like(M), np.zeros_like(v)
    unpack(rhs.rate(0.0, y), dQ, dM, dv)
    return dQ, dM, dv


def test_one_linear_unit_by_hand() -> None:
    """K = 1, g(x) = x, squared loss, one level of noise s: every term of the equations is a polynomial.

    m = M a per component: means +-M_a (y = 1), +-M_b (y = -1); e = v lambda - y; F = e v. With E over components,
    E F lambda = v (v (mean m^2 + s^2 Q) - mean y m) and mean y m = 0, mean m^2 = (M_a^2 + M_b^2)/2:
    E F lambda = 4 (.025 + .09) = .46;  E F^2 = v^2 (v^2 (.025 + .09) + 1) = 5.84;  E e lambda = 2 * .115 = .23
    E F nu_a = v^2 (E lambda nu_a) = 4 (M_a T/2 + s^2 M_a) = 4 * .2 * (.5 + .09) = .472;  likewise b: 4 * .1 * .59 = .236
    """
    case = cu.Experiment(
        task=cu.XorMixture(separation=1.0),
        student=cu.Committee(width=1, activation="linear"),
        training=cu.OnlineSGD(learning_rate=0.5, readout_learning_rate=0.25, weight_decay=0.1),
        protocol=cu.Protocol.single(duration=1.0, noise=0.3),
    )
    dQ, dM, dv = derivative(case, cu.OrderParameters(Q=[[1.0]], M=[[0.2, 0.1]], v=[2.0]), points=1024)
    assert dQ[0, 0, 0] == pytest.approx(-0.5 * 2 * 0.46 + 0.25 * 0.09 * 5.84 - 2 * 0.05 * 1.0, abs=1e-12)
    assert dM[0, 0] == pytest.approx([-0.5 * 0.472 - 0.05 * 0.2, -0.5 * 0.236 - 0.05 * 0.1], abs=1e-12)
    assert dv[0] == pytest.approx(-0.25 * 0.23 - 0.025 * 2.0, abs=1e-12)


@pytest.mark.parametrize(
    ("activation", "loss", "faded", "decay"), [CASES[0], *(pytest.param(*case, marks=pytest.mark.slow) for case in CASES[1:])]
)
def test_against_brute_force_over_block_fields(
    activation: str, loss: str, faded: float, decay: float, rng: np.random.Generator
) -> None:
    """Samples the joint block fields themselves: no Stein's lemma, no averages of the package."""
    case = experiment(activation, loss, faded, decay)
    start = case.initial(dimension=60, seed=3)
    results = [derivative(case, start, way) for way in ("auto", "quasi-Monte Carlo")]
    Q, M, v = start.blocked()
    T, phi = case.task.reference_overlap(), case.task.block_fractions()
    g, dg, _ = twins.ACTIVATIONS[activation]
    eta, eta_v, kappa, n = 0.8, 0.5, decay, 400_000
    total: dict[str, np.ndarray] = {}
    count = 0
    for level, share in zip(case.protocol.levels, (0.4, 0.6), strict=True):
        gains = [level.fading or 1.0, 1.0] if 0 < faded < 1 else [level.fading or 1.0] if faded else [1.0]
        for p, sign, y in ((0, 1, 1), (0, -1, 1), (1, 1, -1), (1, -1, -1)):
            fields, references = [], []
            for b in range(phi.size):
                C = level.noise**2 * np.block([[Q[b], M[b]], [M[b].T, T[b]]])
                mean = sign * gains[b] * np.concatenate([M[b][:, p], T[b][:, p]])
                x = mean + rng.standard_normal((n, 5)) @ np.linalg.cholesky(C + 1e-14 * np.eye(5)).T
                fields.append(x[:, :3])
                references.append(x[:, 3:])
            lam = sum(fields)
            e = twins.SIGNALS[loss](g(lam) @ v, y)
            F = e[:, None] * v * dg(lam)
            samples = {"v": -eta_v * e[:, None] * g(lam)}
            for b in range(phi.size):
                product = F[:, :, None] * fields[b][:, None, :]
                noise = eta**2 * phi[b] * level.noise**2 * F[:, :, None] * F[:, None, :]
                samples[f"Q{b}"] = -eta * (product + product.swapaxes(1, 2)) + noise
                samples[f"M{b}"] = -eta * F[:, :, None] * references[b][:, None, :]
            for name, value in samples.items():
                mean_and_variance = np.array([value.mean(0), value.var(0) / n])
                weight = np.array([share / 4, (share / 4) ** 2]).reshape(2, *[1] * (value.ndim - 1))
                total[name] = total.get(name, 0.0) + weight * mean_and_variance
            count += 1
    assert count == 8
    for dQ, dM, dv in results:
        ours = {"v": (dv, eta_v * kappa * v)}
        for b in range(phi.size):
            ours[f"Q{b}"] = (dQ[b], 2 * eta * kappa * Q[b])
            ours[f"M{b}"] = (dM[b], eta * kappa * M[b])
        for name, (value, decayed) in ours.items():
            mean, variance = total[name]
            # 5 sigma of the brute force, and what the nets leave.
            assert (np.abs(value + decayed - mean) < 5 * np.sqrt(variance) + 1e-3 * np.abs(mean).max()).all(), name


@pytest.mark.slow
def test_one_step_of_sgd_on_vectors(rng: np.random.Generator) -> None:
    """D times the mean change of Q, M, v in one step of SGD, written out on vectors, is the right-hand side up to order 1/D."""
    case = experiment("tanh", "squared", 0.0, 0.1)
    D, batch, eta, eta_v, kappa = 400, 4000, 0.8, 0.5, 0.1
    start = case.initial(dimension=D, seed=5)
    Q, M, v = start.blocked()
    W, U = place(Q, M, case.task.reference_overlap(), np.array([0, D]), rng)
    dQ, dM, dv = derivative(case, start)
    changes: list[np.ndarray] = []
    weights: list[float] = []
    for noise, share in ((0.3, 0.4), (0.8, 0.6)):
        for p, sign, y in ((0, 1, 1), (0, -1, 1), (1, 1, -1), (1, -1, -1)):
            for _ in range(6):
                X = sign * U[p] / np.sqrt(D) + noise * rng.standard_normal((batch, D))
                lam = X @ W.T / np.sqrt(D)
                e = np.tanh(lam) @ v - y
                F = e[:, None] * v / np.cosh(lam) ** 2
                dot, square, along = X @ W.T, (X * X).sum(1), X @ U.T
                # w' = (1 - eta kappa / D) w - eta / sqrt(D) F x, so that D (Q' - Q) = D [w'.w' - w.w] / D
                keep, step = 1 - eta * kappa / D, eta / np.sqrt(D)
                cross = F[:, :, None] * dot[:, None, :]
                new_Q = keep**2 * Q[0] * D - keep * step * (cross + cross.swapaxes(1, 2))
                new_Q = new_Q + step**2 * F[:, :, None] * F[:, None, :] * square[:, None, None]
                new_M = keep * M[0] * D - step * F[:, :, None] * along[:, None, :]
                new_v = (1 - eta_v * kappa / D) * v - eta_v / D * e[:, None] * np.tanh(lam)
                flat = [(new_Q - D * Q[0]).reshape(batch, -1), (new_M - D * M[0]).reshape(batch, -1), D * (new_v - v)]
                changes.append(np.concatenate(flat, axis=1))
                weights.append(share / 4 / 6)
    mean = sum(w * c.mean(0) for w, c in zip(weights, changes, strict=True))
    error = np.sqrt(sum(w**2 * c.var(0) / batch for w, c in zip(weights, changes, strict=True)))
    ours = np.concatenate([dQ[0].ravel(), dM[0].ravel(), dv])
    assert (np.abs(ours - mean) < 5 * error + 4 / D * np.maximum(1, np.abs(ours))).all()


def test_noise_terms_are_the_difference_of_the_two_limits() -> None:
    case = experiment("gelu", "squared", 0.0, 0.0)
    start = case.initial(dimension=60, seed=3)
    full, flow = derivative(case, start), derivative(case, start, noise_terms=False)
    assert np.array_equal(full[1], flow[1])
    assert np.array_equal(full[2], flow[2])
    assert np.linalg.eigvalsh(full[0][0] - flow[0][0]).min() > 0


@pytest.mark.parametrize("teacher", ["erf", "sign"])
def test_one_call_for_erf_committees_is_the_sum_of_its_parts(teacher: str) -> None:
    """The fused right-hand side against the general one, on two blocks, two levels, with weight decay."""
    case = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=2, teacher_activation=teacher, relevant_fraction=0.4),
        student=cu.Committee(width=3, activation="erf"),
        training=cu.OnlineSGD(learning_rate=0.7, readout_learning_rate=0.3, weight_decay=0.1),
        protocol=cu.Protocol(
            order="random",
            duration=1.0,
            levels=[cu.Level("easy", share=0.4, irrelevant_variance=0.1), cu.Level("hard", irrelevant_variance=1.3)],
        ),
    )
    start = case.initial(dimension=60, seed=3)
    setting = Setting.of(case)
    for noise_terms in (True, False):
        rhs = OnlineLearning(
            setting, setting.engine("closed form", 64, 0, noise_terms), setting.stages[0].probability, setting.rates, start.v
        )
        y = np.empty(rhs.size)
        pack(*start.blocked(), y)
        fused = rhs.rate(0.0, y)
        assert rhs._whole is not None
        rhs._whole = None
        assert fused == pytest.approx(rhs.rate(0.0, y), rel=1e-13, abs=1e-15)


def test_fixed_readout_is_no_part_of_the_state() -> None:
    case = experiment("gelu", "squared", 0.0, 0.0, readout="fixed")
    assert state_size(1, 3, 2, False) == 12
    assert derivative(case, case.initial(dimension=60))[2].tolist() == [0, 0, 0]


def test_block_sizes_sum_and_refuse() -> None:
    T = np.eye(2)[None]
    two, one = Blocks(np.array([0.3, 0.7]), np.concatenate([T, T])), Blocks(np.ones(1), T)
    assert two.sizes(10, 1).tolist() == [3, 7]
    assert two.sizes(1e3, 1).tolist() == [300, 700]
    with pytest.raises(cu.InputError, match=r"need K \+ P = 6 inputs in each block; use D of at least 20"):
        two.sizes(10, 4)
    with pytest.raises(cu.InputError, match="it must be a whole number"):
        one.sizes(10.5, 1)  # type: ignore[arg-type]
