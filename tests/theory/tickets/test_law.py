"""The law of one weight as a public object, against the equations, against weights, and against itself."""

import threading

import numpy as np
import pytest
from scipy.stats import kstest

import curriculode as cu
from curriculode.sims.spaces.model import Model
from curriculode.sims.tickets.trainer import Schedule, WeightTrainer
from curriculode.theory.dynamics.setting import Setting

TIMES = [0.0, 1.0, 3.0]


@pytest.mark.parametrize("name", ["xor-fading", "perceptron-curriculum", "xor-curriculum"])
def test_the_joint_law_has_the_overlaps_of_the_trajectory(name: str, seed: int) -> None:
    """phi_b times the covariance of a coordinate, averaged over strata, is Q(t), M(t) and C(t, s)."""
    changes = {"protocol.duration": 3.0, "task.support": 0.3, "student.activation": "erf"}
    experiment = cu.load(name).replace(changes)
    start = experiment.initial(500, seed)
    law = cu.weight_law(experiment, start, times=TIMES[1:], points=256, rtol=1e-9)
    exact = cu.integrate(experiment, start, points=256, rtol=1e-9, times=TIMES, remember=TIMES, estimate_error=False)
    shares, overlaps = experiment.task.strata()
    _, M, v = law.blocked
    K, P = v.shape[-1], M.shape[-1]
    for b in range(shares.shape[0]):
        summed = sum(share * law.covariance(b, s) for s, share in enumerate(shares[b]))
        np.testing.assert_allclose(summed[:P, :P], overlaps[b].sum(axis=0), atol=1e-12)
        for i, t in enumerate(TIMES):
            here = slice(P + i * K, P + (i + 1) * K)
            np.testing.assert_allclose(summed[here, :P], M[i, b], atol=1e-7)
            for j, s in enumerate(TIMES[: i + 1]):
                C = exact.two_time(s)[i]
                C = C if C.ndim == 2 else C[b]
                np.testing.assert_allclose(summed[here, P + j * K : P + (j + 1) * K], C, atol=1e-6, err_msg=f"{t} {s}")
        one, two, both = law.transport(0.0, 1.0, b), law.transport(1.0, 3.0, b), law.transport(0.0, 3.0, b)
        np.testing.assert_allclose(two[0] @ one[0], both[0])
        np.testing.assert_allclose(two[0] @ one[2] @ two[0].T + two[2], both[2])


def test_weights_of_a_simulation_are_gaussian_with_that_law(xor: cu.Experiment, seed: int) -> None:
    """Covariance of (u, w(0), w(t)) of one network at D = 20,000, and Kolmogorov-Smirnov of what each weight came to."""
    experiment = xor.replace({"protocol.duration": 1.0})
    start, D, setting = experiment.initial(1000, seed), 20_000, Setting.of(experiment)
    schedule = Schedule(setting.stages, np.array([0.0, 1.0]), 0.0, D)
    trainer = WeightTrainer(Model.of(setting, D), start, schedule, 1.0, np.random.default_rng(seed), threading.Event())
    w0, _, w1 = trainer.dense().weights
    law = cu.weight_law(experiment, start, times=[1.0], points=1024)
    joint = np.concatenate([trainer.coordinates.u, w0, w1])
    np.testing.assert_allclose(joint @ joint.T / D, law.covariance(), atol=0.03)
    size = w1.std(axis=1, keepdims=True)
    np.testing.assert_allclose(size[:, 0] ** 2, law.covariance().diagonal()[-4:], atol=0.03)
    # Within the scatter of its covariance, of order D^(-1/2), each is Gaussian.
    assert min(kstest(row, "norm").pvalue for row in w1 / size) > 1e-4 / len(w1)


def test_samples_have_the_covariance(xor: cu.Experiment, seed: int) -> None:
    law = cu.weight_law(xor, xor.initial(500), times=[2.0], points=128)
    u, w = law.sample(200_000, seed=seed)
    joint = np.concatenate([u, w.reshape(len(w), -1)], axis=1)
    np.testing.assert_allclose(joint.T @ joint / len(joint), law.covariance(), atol=0.03)


def test_mistakes_are_told(xor: cu.Experiment, tmp_path) -> None:
    start = xor.initial(200)
    with pytest.raises(cu.InputError, match=r"^times = .* must lie in \[0, 8\]"):
        cu.weight_law(xor, start, times=[9.0])
    law = cu.weight_law(xor, start, times=[2.0], points=64)
    assert cu.load_record(law.save(tmp_path / "law.npz")) == law
    with pytest.raises(cu.InputError, match=r"give s <= t$"):
        law.transport(2.0, 0.0)
    with pytest.raises(cu.InputError, match=r"^block = 1 is not allowed"):
        law.transport(0.0, 2.0, 1)
    with pytest.raises(cu.InputError, match=r"^stratum = 3 is not allowed"):
        law.covariance(0, 3)
    with pytest.raises(cu.InputError, match=r"has no online dynamics"):
        cu.weight_law(cu.load("batch-perceptron"), start, times=[0.1])
