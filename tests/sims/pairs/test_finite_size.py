"""Finite D of two copies: the joint diffusion against pairs of runs, and its one term that a single network has not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

import curriculode as cu
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.stretch import Diffuser
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.packing import unpack
from curriculode.theory.dynamics.setting import Setting


@pytest.fixture
def plateau() -> cu.Experiment:
    """Two units on the plateau of XOR, where finite D adds to X what is seen from a few dozen pairs."""
    return cu.load("xor-curriculum").replace({"student.width": 2, "protocol.order": "random", "protocol.duration": 6.0})


@pytest.mark.slow
@pytest.mark.parametrize("examples", ["independent", "same"])
def test_the_joint_diffusion_is_what_pairs_of_runs_do(plateau: cu.Experiment, examples: str, seed: int) -> None:
    """Theory at finite D agrees; the equations alone are off by many standard errors."""
    start = plateau.initial(60, 3)
    branch, settings = cu.Branching(at=1.0, examples=examples), dict(dimension=60, runs=600, times=4, points=512, seed=seed)
    found = cu.compare(plateau, branch=branch, starts=[start], **settings)
    assert found.agrees, found.verdict()
    table = found.to_frame()
    table = table[table["quantity"].str.match("X|v") & (table["t"] > 3.0)]
    alone = (table["simulation"] - table["mean_field"]) / (table["scatter"] / np.sqrt(settings["runs"]))
    assert alone.abs().max() > 4.0
    ratio = table["scatter"] / table["predicted_scatter"]
    assert ratio.median() == pytest.approx(1.0, abs=0.25)  # 48 paths


def test_copies_that_step_at_once(plateau: cu.Experiment, rng: np.random.Generator) -> None:
    """d2[X] = eta^2 E[F1 x] . E[F2 x], against weights of D numbers and examples of their own."""
    K, D, P, examples = 2, 24, 2, 200_000
    setting = Setting.of(plateau)
    U = np.linalg.qr(rng.standard_normal((D, P)))[0].T * np.sqrt(D)
    W, v = rng.standard_normal((2 * K, D)) + 0.5 * rng.choice([-1, 1], (2 * K, P)) @ U, np.array([0.8, -0.6, 0.5, -0.9])
    law, eta = setting.laws[-1], setting.rates.eta
    component = rng.integers(4, size=examples)
    x = law.gain[component, :, 0] @ U / np.sqrt(D) + law.scale[0] * rng.standard_normal((examples, D))
    fields = x @ W.T / np.sqrt(D)
    g, dg = fields * ndtr(fields), ndtr(fields) + fields * np.exp(-0.5 * fields**2) / np.sqrt(2 * np.pi)
    push = []
    for copy in (slice(0, K), slice(K, 2 * K)):
        e = g[:, copy] @ v[copy] - law.labels.label[component]
        push.append((e[:, None] * v[copy] * dg[:, copy]).T @ x / examples)
    expected = eta**2 * push[0] @ push[1].T

    state = OrderParameters(W @ W.T / D, W @ U.T / D, v)
    diffuser = Diffuser(Model.of(replace(setting, width=2 * K), 10**7), state, points=64, copies="independent")
    found, hard = [], np.array([[0, 10**6]] * 2)
    begin = packed(replace(setting, width=2 * K), state)
    y, Q, M = begin[None].copy(), np.empty((1, 2 * K, 2 * K)), np.empty((1, 2 * K, P))
    for _ in range(3000):
        y[0] = begin
        stretch = diffuser.draw(rng, hard, 1)
        diffuser.step(y, setting.rates, stretch, stretch.draws.share, np.ones(1), np.zeros(1, dtype=np.int64))
        unpack(diffuser._work.mean, Q, M, state.v.copy())
        found.append(Q[0, :K, K:].copy())
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - expected) < 5 * error + 0.02 * np.abs(expected).max())
    assert np.abs(expected).max() > 20 * error.max()  # there is something to be seen
