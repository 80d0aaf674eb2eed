"""The diffusion against online SGD at the same D, and against the equations where D is endless."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import curriculode as cu
from curriculode.sims.runs.finite_size import FiniteSize, as_carried_out, finite_size
from curriculode.sims.spaces.draws import drawn_levels
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.stretch import Diffuser
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.finite_d.step import Step
from tests.sims.test_fluctuations import COMMITTEE as MIXED

COMMITTEE = MIXED.replace({"protocol.duration": 3.0})
XOR = cu.load("xor-curriculum").replace({"protocol.duration": 3.0})
CASES = {
    "xor, curriculum": (XOR, 300, 80),
    "xor, random": (XOR.replace({"protocol.order": "random"}), 300, 80),
    "committee, two blocks, label noise": (COMMITTEE, 100, 300),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_one_law_with_sgd(name: str, seed: int) -> None:
    """Every order parameter at the end, by Kolmogorov and Smirnov; p corrected for their number."""
    case, D, runs = CASES[name]
    start = case.initial(dimension=D, seed=seed)
    ends = [
        cu.simulate(case, dimension=D, runs=count, start=start, space=space, times=2, seed=seed + 1, progress=False).entries()
        for space, count in (("overlap", 4 * runs), ("diffusion", runs))
    ]
    moved = [name for name, values in ends[0].items() if values[:, -1].std() > 1e-9]
    p = [ks_2samp(ends[0][name][:, -1], ends[1][name][:, -1]).pvalue for name in moved]
    assert min(p) * len(p) > 1e-3
    # The test would see the scatter of a quarter of the dimension.
    quarter = cu.simulate(
        case, dimension=D // 4, runs=runs, start=start, space="diffusion", times=2, seed=seed + 2, progress=False
    ).entries()
    assert min(ks_2samp(ends[0][name][:, -1], quarter[name][:, -1]).pvalue for name in moved) * len(moved) < 1e-3


def test_endless_dimension_is_the_equations() -> None:
    case = COMMITTEE.replace({"protocol.duration": 1.0})
    start = case.initial(dimension=10**9)
    runs = cu.simulate(case, dimension=10**12, runs=2, start=start, space="diffusion", times=3, progress=False)
    theory = cu.integrate(case, start, times=3, averages="quasi-Monte Carlo", points=256, estimate_error=False)
    # Heun's step of 0.05 leaves some 1e-4, and the net of the drift its own error.
    for name, values in runs.entries().items():
        np.testing.assert_allclose(values, np.tile(theory.entries()[name], (2, 1)), atol=5e-3)


def test_the_same_seed_gives_the_same_bits() -> None:
    case = COMMITTEE.replace({"protocol.duration": 0.3})
    options = {"dimension": 1000, "runs": 3, "space": "diffusion", "times": 2, "progress": False}
    one, two = (cu.simulate(case, workers=workers, **options) for workers in (1, 2))
    assert one == two.replace(numerics=one.numerics)


@pytest.mark.parametrize("remaining", [[30, 70], [0, 5], [3 * 10**9, 10**9], [10**12, 0, 3 * 10**12]])
def test_examples_without_replacement(remaining: list[int], rng: np.random.Generator) -> None:
    """Counts add up, never exceed what is left, and scatter as the hypergeometric law does, exact or Gaussian."""
    left = np.array(remaining)
    taken = int(left.sum()) // 4
    draws = np.array([drawn_levels(rng, left, taken) for _ in range(2000)])
    assert (draws.sum(axis=1) == taken).all()
    assert (draws >= 0).all()
    assert (draws <= left).all()
    share, total = left / left.sum(), float(left.sum())
    variance = taken * share * (1 - share) * (total - taken) / (total - 1)
    assert (np.abs(draws.mean(axis=0) - taken * share) <= 5 * np.sqrt(variance / 2000) + 1e-9).all()
    np.testing.assert_allclose(draws.var(axis=0), variance, rtol=0.2, atol=1e-9)


@pytest.mark.parametrize("case", [XOR.replace({"protocol.order": "random"}), COMMITTEE], ids=["components", "label noise"])
def test_the_noise_of_a_stretch_has_the_covariance_of_its_steps(case: cu.Experiment, rng: np.random.Generator) -> None:
    """B of the law of a step, levels drawn among them, and the mean of its second order; few fresh examples make it no larger."""
    setting = Setting.of(case)
    start = case.initial(dimension=300, seed=1)
    stage, D, taken, draws, together = setting.stages[0], 10**7, 2000, 6000, 30
    diffuser = Diffuser(Model.of(setting, D), start, points=256, draws=together)  # as far as pairs of paths cancel, nets do
    y = packed(setting, start)
    B, second = Step(setting, start.v, 2**13).moments(y, stage.rates).mixed(stage.probability)
    remaining = np.tile(np.rint(1e12 * stage.probability).astype(np.int64), (together, 1))
    signs, drawn = np.append(np.ones(together), 0.0), np.append(np.arange(together), 0)
    ends = np.empty((draws // together, together, y.size))
    for end in ends:
        states = np.tile(y, (together + 1, 1))
        stretch = diffuser.draw(rng, remaining, taken)
        diffuser.step(states, stage.rates, stretch, np.vstack([stretch.draws.share, stage.probability]), signs, drawn)
        end[:] = states[:-1] - states[-1]  # one net for all: what is left is noise, and what is of order 1/D
    scaled = ends.reshape(draws, -1) * D / np.sqrt(taken)
    covariance = np.cov(scaled.T)
    error = np.sqrt((np.outer(np.diag(B), np.diag(B)) + B**2) / draws)
    assert (np.abs(covariance - B) <= 6 * error + 0.02 * np.abs(B)).all()
    assert np.trace(covariance) / np.trace(B) == pytest.approx(1.0, abs=0.02)  # one part in sixteen would be seen
    mean = scaled.mean(axis=0)
    assert (np.abs(mean) <= 5 * np.sqrt(np.diag(B) / draws) + 1e-3).all()
    assert np.abs(second).max() > 0


def test_pairs_cancel_what_is_linear_in_the_noise() -> None:
    """A run scatters as D^(-1/2), the mean of a pair as 1/D: a hundred times the dimension, ten and a hundred times less."""
    case = COMMITTEE.replace({"protocol.duration": 1.0})
    start = case.initial(dimension=10**4, seed=2)
    single, pair = [], []
    for D in (200, 20_000):
        setting = as_carried_out(Setting.of(case), case, D)
        found = finite_size(case, setting, D, [start], 40, 0, np.array([D]), cu.Numerics(workers=1), lambda fraction: None)
        assert found.finite.all()
        added = FiniteSize.deviations(found.paths.v[:, :, 0])[:, :, 0]
        single.append(added.std())
        pair.append(added.mean(axis=1).std())
    assert single[0] / single[1] == pytest.approx(10.0, rel=0.3)
    assert pair[0] / pair[1] == pytest.approx(100.0, rel=0.5)
