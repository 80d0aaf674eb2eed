"""The diffusion against online SGD at the same D, and against the equations where D is endless."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import curriculode as cu
from curriculode.sims.spaces.diffusion import _drawn
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
    # The test would see the scatter of half the dimension.
    half = cu.simulate(
        case, dimension=D // 2, runs=runs, start=start, space="diffusion", times=2, seed=seed + 2, progress=False
    ).entries()
    assert min(ks_2samp(ends[0][name][:, -1], half[name][:, -1]).pvalue for name in moved) * len(moved) < 1e-3


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
    draws = np.array([_drawn(rng, left, taken) for _ in range(2000)])
    assert (draws.sum(axis=1) == taken).all()
    assert (draws >= 0).all()
    assert (draws <= left).all()
    share, total = left / left.sum(), float(left.sum())
    variance = taken * share * (1 - share) * (total - taken) / (total - 1)
    assert (np.abs(draws.mean(axis=0) - taken * share) <= 5 * np.sqrt(variance / 2000) + 1e-9).all()
    np.testing.assert_allclose(draws.var(axis=0), variance, rtol=0.2, atol=1e-9)
