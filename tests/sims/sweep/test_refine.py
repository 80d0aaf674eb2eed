"""Refinement finds a boundary that is known, with few of the points of a grid of the same resolution."""

import numpy as np
import pytest

import curriculode as cu

from .conftest import QUICK
from .test_sweep import same


@pytest.fixture
def linear() -> cu.Experiment:
    """One linear unit with fixed readout 1 on labels it cannot know: dQ/dt = eta s^2 (eta s^2 - 2) Q + ..., which grows without
    bound if eta s^2 > 2."""
    return cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=1, activation="linear", readout="fixed", readout_start="equal"),
        training=cu.OnlineSGD(learning_rate=1.0),
        protocol=cu.Protocol.single(duration=200.0, noise=1.0),
    )


RATES, NOISES = ("training.learning_rate", 0.5, 4.0), ("levels.only.noise", 0.5, 2.0)


@pytest.mark.slow
def test_it_finds_where_learning_diverges(linear: cu.Experiment) -> None:
    table = cu.refine(linear, RATES, NOISES, "failed", finest=3, budget=400, rtol=1e-4, workers=1, **QUICK)
    side = 4 * 2**3 + 1
    assert len(table) < 0.25 * side**2
    drive = table["training.learning_rate"] * table["levels.only.noise"] ** 2
    # By t = 200 a growth by 10^8 shows where eta s^2 (eta s^2 - 2) > 18.4 / 200.
    clear = (drive < 2.0) | (drive > 2.12)
    assert (table["failed"] == (drive > 2.06))[clear].all()
    # Every finest square of the full grid through which the boundary passes has its corners in the table.
    known = set(zip(table["training.learning_rate"], table["levels.only.noise"], strict=True))
    rate, noise = np.linspace(0.5, 4.0, side), np.linspace(0.5, 2.0, side)
    beyond = rate[:, None] * noise[None] ** 2 > 2.06
    corners = np.stack([beyond[:-1, :-1], beyond[1:, :-1], beyond[:-1, 1:], beyond[1:, 1:]])
    crossed = np.argwhere(corners.any(axis=0) & ~corners.all(axis=0))
    found = sum(
        all((float(f"{rate[i + a]:.12g}"), float(f"{noise[j + b]:.12g}")) in known for a in (0, 1) for b in (0, 1))
        for i, j in crossed
    )
    assert found > 0.9 * len(crossed)


def test_it_finds_the_boundaries_that_stability_tells() -> None:
    """ReLU units: where a fixed readout diverges, and where weight decay kills small units of a trained one."""
    rate, noise, decay = RATES[0], NOISES[0], "training.weight_decay"
    student = cu.Committee(width=1, activation="relu", readout="fixed", readout_start="equal")
    fixed = cu.Experiment(
        task=cu.XorMixture(),
        student=student,
        training=cu.OnlineSGD(learning_rate=1.0),
        protocol=cu.Protocol.single(duration=100.0, noise=1.0),
    )
    table = cu.refine(fixed, (rate, 0.5, 8.0), NOISES, "failed", finest=1, budget=40, rtol=1e-3, workers=1, **QUICK)
    places = sorted(set(table[noise]))
    line = cu.phase_boundary(fixed, noise, places, rate, (0.2, 20.0), points=64).set_index(noise)[rate]
    beyond = table[rate] / table[noise].map(line)
    clear = (beyond < 0.97) | (beyond > 1.15)  # a growth by 10^8 until t = 100 takes a rate of .18
    assert clear.sum() > 25
    assert (table["failed"] == (beyond > 1.0))[clear].all()
    assert table["failed"].nunique() == 2
    changes = {"student.readout": "trained", "student.weight_scale": 0.05, "student.readout_scale": 0.05, rate: 0.5}
    small = fixed.replace({**changes, "protocol.duration": 150.0})
    ranges = (noise, 0.2, 0.8), (decay, 0.05, 0.25)
    table = cu.refine(small, *ranges, "generalization_error", level=0.4999, finest=1, budget=40, rtol=1e-3, workers=1, **QUICK)
    line = cu.phase_boundary(small, noise, sorted(set(table[noise])), decay, (0.01, 1.0)).set_index(noise)[decay]
    above = table[decay] / table[noise].map(line)
    clear = (above < 0.8) | (above > 1.1)
    assert clear.sum() > 20
    assert ((table["generalization_error"] > 0.4999) == (above > 1.0))[clear].all()


def test_level_of_an_observable_with_store_and_budget(linear: cu.Experiment, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contour of the generalisation error is smooth, and found within the budget."""
    short = linear.replace({"protocol.duration": 1.0})
    settings = dict(level=0.7, finest=4, budget=90, store=tmp_path / "a.sqlite", workers=1, **QUICK)
    table = cu.refine(short, (*RATES, "log"), NOISES, "generalization_error", **settings)
    assert 60 < len(table) <= 90
    near = (table["generalization_error"] - 0.7).abs()
    # Beyond the 25 of the coarse grid the points lie at the contour: their median distance is smaller.
    coarse = table["training.learning_rate"].isin(float(f"{0.5 * 8 ** (i / 4):.12g}") for i in range(5)) & table[
        "levels.only.noise"
    ].isin([0.5, 0.875, 1.25, 1.625, 2.0])
    assert coarse.sum() == 25
    assert near[~coarse].median() < 0.5 * near[coarse].median()

    def fail(*_: object) -> None:
        raise AssertionError("a point was computed that the store holds")

    monkeypatch.setattr("curriculode.sims.sweep.workers.compute", fail)
    same(table, cu.refine(short, (*RATES, "log"), NOISES, "generalization_error", **settings))


def test_whole_numbers_stay_whole_and_gaps_have_a_boundary(small: cu.Experiment) -> None:
    ranges = ("student.width", 1, 6), ("levels.hard.noise", 0.2, 0.6)
    table = cu.refine(small, *ranges, gap=("curriculum", "random"), seeds=4, finest=2, budget=60, workers=1, **QUICK)
    assert set(table["student.width"]) <= set(range(1, 7))
    assert table["student.width"].dtype.kind == "i"
    assert not table.duplicated(["student.width", "levels.hard.noise", "protocol.order", "seed"]).any()
    assert len(table) % 8 == 0


BAD = [
    ((RATES, NOISES), dict(value="generalization_error"), "give level or gap"),
    ((RATES, RATES), dict(level=0.1), "give two parameters"),
    ((("training.learning_rate", 2.0, 1.0), NOISES), dict(level=0.1), "the lowest first"),
    ((("training.learning_rate", 0.0, 1.0, "log"), NOISES), dict(level=0.1), "the lowest first and above 0"),
    ((("training.learning_rate", 0.1, 1.0, "lin"), NOISES), dict(level=0.1), "its fourth entry can only be 'log'"),
    ((("protocol.order", 0, 1), NOISES), dict(level=0.1), "protocol.order = 'random' is no number"),
    (("training.learning_rate", NOISES), dict(level=0.1), "give (parameter, lowest, highest)"),
    ((RATES, NOISES), dict(level=0.1, budget=10), "budget = 10 is not allowed; it must be a whole number of at least 25"),
    ((RATES, NOISES), dict(level="high"), "level = 'high' is not allowed"),
    ((RATES, NOISES), dict(gap=("random", "random")), "give two different orders"),
    ((RATES, NOISES), dict(gap=("curriculum", "random"), seeds=1), "a gap needs seeds of at least 2"),
    ((("training.readout_rate", 0.1, 1.0), NOISES), dict(level=0.1), "'readout_rate' is unknown"),
    ((RATES, NOISES), dict(level=0.1, value="joy"), "value 'joy' is unknown"),
    (
        (RATES, NOISES),
        dict(gap=("curriculum", "random"), seeds=2, significance=5),
        "significance = 5 is not allowed; it lies between",
    ),
    ((RATES, NOISES), dict(level=0.1, significance=0), "significance = 0 is not allowed"),
    ((RATES, NOISES), dict(level=float("-inf")), "level = -inf is not allowed"),
    ((RATES, NOISES), dict(gap=3), "gap = 3 is not allowed; give two different orders"),
    ((RATES, NOISES), dict(level=0.1, retry="yes"), "retry = 'yes' is not allowed"),
    ((("student.width", 1.5, 4), NOISES), dict(level=0.1), "student.width is a whole number, and so are the ends of its range"),
    ((RATES, NOISES), dict(level=0.1, times=3), "argument 'times' is unknown"),
]


@pytest.mark.parametrize(("axes", "arguments", "message"), BAD, ids=[message for _, _, message in BAD])
def test_mistakes(linear: cu.Experiment, axes: tuple, arguments: dict, message: str) -> None:
    with pytest.raises(cu.InputError) as caught:
        cu.refine(linear.replace({"protocol.duration": 0.1}), *axes, workers=1, **{**QUICK, **arguments})
    assert message in str(caught.value)
