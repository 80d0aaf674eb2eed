"""Attractors, their odds, and the gap between orders as lottery and speed."""

import math

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.landscape import attractors as verb
from curriculode.theory.landscape.ends import Ends, held_on
from curriculode.theory.landscape.records import Attractors

TALK = {"training.learning_rate": 1.5, "training.weight_decay": 0.05}
TIMES = [0.0, 5.0, 50.0, 200.0]


@pytest.fixture(scope="module")
def found() -> Attractors:
    experiment = cu.load("xor-curriculum").replace(TALK)
    return cu.attractors(
        experiment, 10, orders=["curriculum", "random"], dimension=200, times=TIMES, until=200.0, points=64, progress=False
    )


def test_the_attractors_of_the_talks_setting(found: Attractors) -> None:
    """Each at rest and stable; the loss of the best is .3015 and that of the dead 1/2, whatever the starts."""
    assert found.success
    assert (found.end >= 0).all()
    assert (found.leading < 0).all()
    assert (np.diff(found.loss) > 0).all()
    for number in range(found.error.size):  # integrated on, it stays: by nets of its own
        experiment = found.experiment.replace({"protocol.order": "hard-only", "protocol.duration": 5.0})
        start = cu.OrderParameters(found.Q[number], found.M[number], found.v[number])
        after = cu.integrate(experiment, start, times=2, points=1024, estimate_error=False)
        np.testing.assert_allclose(after.v[-1], found.v[number], atol=0.03)
    four = found.covered_clusters == 4
    if four.any():
        assert found.loss[four][0] == pytest.approx(0.3015, abs=0.02)
        assert found.error[four][0] == pytest.approx(0.197, abs=0.02)
    two = found.covered_clusters == 2
    assert two.sum() == 1
    assert found.error[two][0] == pytest.approx(0.393, abs=0.01)
    assert found.loss[-1] == pytest.approx(0.5)


def test_odds_and_the_split_add_up(found: Attractors) -> None:
    odds = found.odds()
    np.testing.assert_allclose(odds.groupby("order")["frequency"].sum(), 1.0)
    assert ((odds["low"] <= odds["frequency"]) & (odds["frequency"] <= odds["high"])).all()
    split = found.gap_split()
    np.testing.assert_allclose(split["gap"], split["lottery"] + split["speed"], atol=1e-15)
    np.testing.assert_allclose(split["gap"][:4], found.values.mean(axis=1)[1] - found.values.mean(axis=1)[0])
    assert abs(split["speed"].iloc[-1]) < 1e-3  # at rest all of it is the lottery
    np.testing.assert_allclose(found.gap_split("random", "curriculum")["gap"], -split["gap"], atol=1e-15)
    assert "attractors (errors" in found.sentence()
    assert f"at t = {50:g}" in found.sentence()


def test_records_of_attractors(found: Attractors, tmp_path: object) -> None:
    again = cu.load_record(found.save(tmp_path / "found.npz"))  # type: ignore[operator]
    assert again == found
    assert again.sentence() == found.sentence()  # type: ignore[attr-defined]
    assert found.plot().get_ylabel() == "odds"
    assert found.plot("gap").get_xscale() == "symlog"
    assert found.to_frame()[["curriculum", "random"]].sum().tolist() == [1.0, 1.0]
    with pytest.raises(cu.InputError, match="order 'hard-only' is unknown"):
        found.gap_split("curriculum", "hard-only")


def test_runs_at_finite_d_end_in_the_same_attractors(found: Attractors, seed: int) -> None:
    """Runs of SGD and of the diffusion: one kind with ends of theory, from losses and overlaps; and of the same odds."""
    experiment = cu.load("xor-curriculum").replace(TALK)
    for space in ("overlap", "diffusion"):
        runs = cu.attractors(
            experiment,
            6,
            orders=["random"],
            dimension=200,
            times=[0.0, 60.0],
            until=60.0,
            points=64,
            space=space,
            seed=seed,
            progress=False,
        )
        assert runs.statistics["by"] == space
        assert (runs.end >= 0).all()
        for loss, error in zip(runs.loss, runs.error, strict=True):
            known = np.abs(found.loss - loss) < 0.02
            unstable_elsewhere = not known.any()
            assert unstable_elsewhere or np.abs(found.error[known] - error).min() < 0.03
        assert 0.5 - 1e-6 <= runs.loss[-1] <= 0.5 + 1e-6
        test = found.against(runs)
        assert test.agrees, test.verdict()
        assert test.table["order"].unique().tolist() == ["random"]
        np.testing.assert_allclose(test.table[["first", "second"]].sum(), 1.0)
        assert f"by theory and {space} agree (10 and 6 starts" in test.verdict()


def with_ends(found: Attractors, ends: list[list[int]], by: str) -> Attractors:
    """The same attractors with other ends of the starts, (orders, starts)."""
    end = np.array(ends)
    shape = (2, end.shape[1])
    arrays = {**found.arrays, "end": end, "values": np.zeros((*shape, found.t.size)), "final": np.zeros(shape)}
    return Attractors(found.experiment, found.numerics, arrays, "", statistics={**found.statistics, "by": by})


def test_odds_are_tested_by_their_counts(found: Attractors) -> None:
    """Two of 10 against 8 of 10: by the hypergeometric law, summed by hand. Of 300, a large difference is found, a small is not."""
    few, many = (with_ends(found, [[0] * n + [-1] * (10 - n)] * 2, by) for n, by in ((2, "theory"), (8, "overlap")))
    exact = 2 * sum(math.comb(10, x) * math.comb(10, 10 - x) for x in (8, 9, 10)) / math.comb(20, 10)
    test = few.against(many)
    np.testing.assert_allclose(test.table["p_value"], exact, rtol=0.15)
    assert test.agrees
    last = found.error.size - 1
    odds = {"theory": 30, "overlap": 90, "diffusion": 34}
    theory, other, near = (with_ends(found, [[0] * n + [last] * (300 - n), [last] * 300], by) for by, n in odds.items())
    assert not theory.against(other).agrees
    assert "disagree (300 and 300 starts" in theory.against(other).verdict()
    assert "attractor 0 in the order curriculum is 0.100 by theory and 0.300 by overlap" in theory.against(other).verdict()
    assert theory.against(near).agrees
    finds = theory.against(near).table["finds"].iloc[0]
    p = 64 / 600
    assert finds == pytest.approx(3.4808 * math.sqrt(p * (1 - p) * 2 / 300), rel=1e-4)  # the normal law at 1/2000 / 2 orders
    with pytest.raises(cu.InputError, match="two experiments"):
        found.against(Attractors(cu.load("xor-curriculum"), found.numerics, found.arrays, "", statistics=found.statistics))
    with pytest.raises(cu.InputError, match="give what `attractors` returns"):
        found.against(3)  # type: ignore[arg-type]


def test_the_lottery_alone_where_speeds_are_equal() -> None:
    """Made by hand: differences of pairs that end elsewhere are the lottery, and no others."""
    experiment = cu.load("xor-curriculum")
    K = 4
    record = Attractors(
        experiment,
        cu.Numerics(),
        {
            "t": np.array([0.0, 50.0]),
            "values": np.array([[[0.5, 0.1], [0.5, 0.2], [0.5, 0.3]], [[0.5, 0.4], [0.5, 0.3], [0.5, 0.3]]]),
            "final": np.array([[0.1, 0.2, 0.2], [0.4, 0.2, 0.2]]),
            "end": np.array([[0, 1, 1], [2, 1, 1]]),
            "Q": np.zeros((3, K, K)),
            "M": np.zeros((3, K, 2)),
            "v": np.zeros((3, K)),
            "error": np.array([0.1, 0.2, 0.4]),
            "loss": np.array([0.1, 0.2, 0.4]),
            "leading": -np.ones(3),
        },
        "",
        statistics={"orders": ["curriculum", "random"], "protocol": 50.0, "statuses": ["", "", ""]},
    )
    split = record.gap_split()
    np.testing.assert_allclose(split["lottery"], [0.0, 0.1, 0.1])
    np.testing.assert_allclose(split["speed"], [0.0, 0.1 / 3, 0.0], atol=1e-15)
    np.testing.assert_allclose(split["gap"], [0.0, 0.4 / 3, 0.1])


def test_the_protocol_is_held_on_the_level() -> None:
    experiment = held_on(cu.load("xor-curriculum"), "random", 200.0, "hard")
    stages = experiment.protocol.stages()
    assert [(stage.start, stage.end) for stage in stages] == [(0.0, pytest.approx(50.0)), (pytest.approx(50.0), 200.0)]
    np.testing.assert_allclose([stage.probability for stage in stages], [[0.1, 0.9], [0.0, 1.0]])


def test_ctrl_c_keeps_the_starts_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    made, ends = [], Ends.of_theory

    def interrupted(self: Ends, *given: object) -> object:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(0)
        return ends(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(verb.Ends, "of_theory", interrupted)
    experiment = cu.load("xor-curriculum").replace({**TALK, "student.width": 2, "protocol.duration": 5.0})
    found = cu.attractors(experiment, 3, orders=["curriculum", "random"], dimension=100, times=2, points=64, progress=False)
    assert found.interrupted
    assert found.end.shape == (2, 1)
    assert "1 of 3 starts" in found.status


def test_what_is_wrong_is_told() -> None:
    experiment = cu.load("xor-curriculum")
    for options, words in (
        ({"orders": ["backwards"]}, "order 'backwards' is unknown"),
        ({"orders": ["random", "random"]}, "names an order twice"),
        ({"until": 10.0}, "before the protocol's end"),
        ({"quantity": "colour"}, "quantity 'colour' is unknown"),
        ({"space": "outer"}, "space 'outer' is unknown"),
        ({"level": "harder"}, "level 'harder' is unknown"),
    ):
        with pytest.raises(cu.InputError, match=words):
            cu.attractors(experiment, 1, **options)  # type: ignore[arg-type]
    with pytest.raises(cu.InputError, match="starts"):
        cu.attractors(experiment, "many")  # type: ignore[arg-type]
    with pytest.raises(cu.InputError, match="online"):
        cu.attractors(cu.load("batch-perceptron"), 1)
