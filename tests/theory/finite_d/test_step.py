"""The law of one step against steps that are taken, with weights and examples of D numbers."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.packing import pack, state_size
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.finite_d.step import Step
from tests import twins

D, EXAMPLES = 40, 100_000


def xor(**student: object) -> cu.Experiment:
    return cu.Experiment(
        task=cu.XorMixture(separation=1.3, faded_fraction=0.5),
        student=cu.Committee(width=3, **student),
        training=cu.OnlineSGD(learning_rate=0.8, readout_learning_rate=0.5, weight_decay=0.3, loss="logistic"),
        protocol=cu.Protocol(order="random", duration=1.0, levels=[cu.Level("a", share=0.4, noise=0.5), cu.Level("b", noise=0.9)]),
    )


def committee(label_noise: float = 0.4) -> cu.Experiment:
    return cu.Experiment(
        task=cu.TeacherStudent(teacher_width=2, teacher_activation="erf", relevant_fraction=0.5, label_noise=label_noise),
        student=cu.Committee(width=2, activation="erf", readout="trained"),
        training=cu.OnlineSGD(learning_rate=1.2, readout_learning_rate=0.7, weight_decay=0.2),
        protocol=cu.Protocol.single(duration=1.0, irrelevant_variance=0.6),
    )


def taken(case: cu.Experiment, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """A state, and of many steps from it, each with a fresh example: D times the change (examples, n), and its part of order 1."""
    setting = Setting.of(case)
    (blocks, K, P), n = setting.shape, setting.width
    T, of_block = setting.blocks.T, np.repeat(np.arange(blocks), D // blocks)
    u, w = np.zeros((P, D)), rng.standard_normal((K, D))
    for b in range(blocks):  # references of exactly these overlaps
        basis = np.linalg.qr(rng.standard_normal((D // blocks, P)))[0]
        value, vector = np.linalg.eigh(T[b])
        u[:, of_block == b] = (vector * np.sqrt(np.maximum(value, 0.0) * D)) @ basis.T
    v = 0.4 * rng.standard_normal(K)
    training = case.training
    eta, eta_v, kappa = training.learning_rate, training.readout_learning_rate, training.weight_decay
    levels = rng.choice(len(setting.laws), EXAMPLES, p=setting.stages[0].probability)
    x, y = rng.standard_normal((EXAMPLES, D)), np.empty(EXAMPLES)
    g, dg, _ = twins.ACTIVATIONS[case.student.activation]
    for level, law in enumerate(setting.laws):
        mine = np.flatnonzero(levels == level)
        component = rng.choice(law.probability.size, mine.size, p=law.probability)
        x[mine] *= law.scale[of_block]
        x[mine] += np.einsum("epd,pd->ed", law.gain[component][:, :, of_block], u) / np.sqrt(D)
        if law.teacher.exists:
            y[mine] = twins.ACTIVATIONS["erf"][0](x[mine] @ u.T / np.sqrt(D)) @ law.teacher.readout
            y[mine] += law.teacher.noise * rng.standard_normal(mine.size)
        else:
            y[mine] = law.label[component]
    fields = x @ w.T / np.sqrt(D)
    e = twins.SIGNALS[training.loss](g(fields) @ v, y)
    F = e[:, None] * v * dg(fields)
    scale = np.array([law.scale for law in setting.laws])[levels]
    change, first = [], []
    upper = np.triu_indices(K)
    for b in range(blocks):
        part = of_block == b
        lam, square = x[:, part] @ w[:, part].T / np.sqrt(D), (x[:, part] ** 2).sum(axis=1) / D
        cross = F[:, upper[0]] * lam[:, upper[1]] + F[:, upper[1]] * lam[:, upper[0]]
        FF, Q = F[:, upper[0]] * F[:, upper[1]], (w[:, part] @ w[:, part].T / D)[upper]
        keep = 1 - eta * kappa / D
        # w -> keep w - eta / sqrt(D) F x, squared
        change.append(D * ((keep**2 - 1) * Q - keep * eta / D * cross + eta**2 / D * FF * square[:, None]))
        size = part.sum() / D * scale[:, b] ** 2
        first.append(-eta * cross + eta**2 * FF * size[:, None] - 2 * eta * kappa * Q)
    for b in range(blocks):
        part = of_block == b
        nu, M = x[:, part] @ u[:, part].T / np.sqrt(D), w[:, part] @ u[:, part].T / D
        both = (-eta * F[:, :, None] * nu[:, None, :] - eta * kappa * M).reshape(EXAMPLES, -1)
        change.append(both)
        first.append(both)
    if setting.readout_trained:
        both = -eta_v * e[:, None] * g(fields) - eta_v * kappa * v
        change.append(both)
        first.append(both)
    state = np.empty(state_size(blocks, n, P, setting.readout_trained))
    Q = np.array([w[:, of_block == b] @ w[:, of_block == b].T / D for b in range(blocks)])
    M = np.array([w[:, of_block == b] @ u[:, of_block == b].T / D for b in range(blocks)])
    pack(Q, M, v, state)
    return state, v, np.hstack(change), np.hstack(first)


CASES = {
    "fading": xor(activation="gelu"),
    "kinked, fixed readout": xor(activation="relu", readout="fixed"),
    "label noise": committee(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_moments_are_those_of_steps(name: str, rng: np.random.Generator) -> None:
    """Means, covariances and the second order, to five standard errors (and what a net of 2^15 points leaves)."""
    case = CASES[name]
    setting = Setting.of(case)
    y, v, change, first = taken(case, rng)
    stage = setting.stages[0]
    moments = Step(setting, v, 2**15).moments(y, stage.rates)
    B, second = moments.mixed(stage.probability)
    drift = stage.probability @ moments.drift
    for ours, samples in ((drift, first), (second, D * (change - first))):
        error = samples.std(axis=0) / np.sqrt(EXAMPLES)
        assert (np.abs(samples.mean(axis=0) - ours) <= 5 * error + 2e-3 * np.abs(ours).max()).all()
        assert (np.abs(ours) > 15 * error).any()  # it is seen at all
    centred = first - first.mean(axis=0)
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(axis=0) / np.sqrt(EXAMPLES)
    assert (np.abs(products.mean(axis=0) - B) <= 5 * error + 4e-3 * np.abs(B).max()).all()


@pytest.mark.parametrize("name", CASES)
def test_the_mean_is_the_rate_of_the_equations(name: str, rng: np.random.Generator) -> None:
    case = CASES[name]
    setting, start = Setting.of(case), case.initial(dimension=100, seed=1)
    y, stage = packed(setting, start), setting.stages[0]
    rate = OnlineLearning(setting, setting.engine("auto", 2**15, 0), stage.probability, stage.rates, start.v).rate(0.0, y)
    drift = stage.probability @ Step(setting, start.v, 2**15, seed=1).moments(y, stage.rates).drift
    np.testing.assert_allclose(drift, rate, atol=3e-3 * np.abs(rate).max())


def test_levels_that_differ_add_to_the_covariance() -> None:
    """Law of total covariance, by hand for two levels of one number each."""
    from curriculode.theory.finite_d.step import Moments

    moments = Moments(np.array([[1.0], [4.0]]), np.array([[[2.0]], [[3.0]]]), np.array([[10.0], [20.0]]))
    B, second = moments.mixed(np.array([0.25, 0.75]))
    assert B[0, 0] == pytest.approx(0.25 * 2 + 0.75 * 3 + 0.25 * 0.75 * 9)
    assert second[0] == pytest.approx(17.5)
