"""Means and paired gaps of a table, against numbers computed by hand and by scipy.stats."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

import curriculode as cu
from curriculode.sims.sweep.average import average


@pytest.fixture
def table(rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        {"student.width": K, "levels.hard.noise": s, "protocol.order": order, "seed": seed}
        for K, s, order, seed in product((2, 4), (0.1, 0.2), ("curriculum", "random"), range(6))
    ]
    table = pd.DataFrame(rows)
    return table.assign(error=rng.random(len(rows)), failed=False, status="", seconds=1.0)


def test_means_and_errors(table: pd.DataFrame) -> None:
    cells = average(table, ["student.width", "levels.hard.noise"], "error", where={"protocol.order": "random"})
    part = table[(table["student.width"] == 4) & (table["levels.hard.noise"] == 0.1) & (table["protocol.order"] == "random")]
    row = cells[(cells["student.width"] == 4) & (cells["levels.hard.noise"] == 0.1)].iloc[0]
    assert len(cells) == 4
    assert row["value"] == pytest.approx(part["error"].mean())
    assert row["standard_error"] == pytest.approx(part["error"].std(ddof=1) / np.sqrt(6))
    assert (row["seeds"], row["failed"]) == (6, 0)


def test_gaps_are_paired_by_seed(table: pd.DataFrame) -> None:
    shuffled = table.sample(frac=1.0, random_state=1)
    cells = average(shuffled, ["student.width", "levels.hard.noise"], "error", gap=("curriculum", "random"))
    part = table[(table["student.width"] == 2) & (table["levels.hard.noise"] == 0.2)]
    first, second = (part[part["protocol.order"] == order]["error"].to_numpy() for order in ("curriculum", "random"))
    row = cells[(cells["student.width"] == 2) & (cells["levels.hard.noise"] == 0.2)].iloc[0]
    assert row["value"] == pytest.approx((first - second).mean())
    assert row["p_value"] == pytest.approx(ttest_rel(first, second).pvalue)


def test_failed_points_count_and_do_not_enter(table: pd.DataFrame) -> None:
    failed = table.assign(failed=table["seed"].eq(3) & table["protocol.order"].eq("random"))
    cells = average(failed, ["student.width", "levels.hard.noise"], "error", gap=("random", "curriculum"))
    assert (cells["seeds"] == 5).all()
    assert (cells["failed"] == 1).all()
    share = average(failed, ["student.width", "levels.hard.noise"], "failed", where={"protocol.order": "random"})
    assert share["value"].tolist() == pytest.approx([1 / 6] * 4)


def test_no_test_of_one_seed_and_no_doubt_without_scatter(table: pd.DataFrame) -> None:
    one = average(table[table["seed"] == 0], ["student.width", "levels.hard.noise"], "error", gap=("curriculum", "random"))
    assert one["p_value"].isna().all()
    exact = table.assign(error=table["protocol.order"].eq("random") * 0.25 + table["seed"])
    certain = average(exact, ["student.width", "levels.hard.noise"], "error", gap=("random", "curriculum"))
    assert certain["p_value"].tolist() == [0.0] * 4
    equal = average(exact.assign(error=1.0), ["student.width", "levels.hard.noise"], "error", gap=("random", "curriculum"))
    assert equal["p_value"].tolist() == [1.0] * 4


def test_what_is_infinite_counts_as_failed(table: pd.DataFrame) -> None:
    by = ["student.width", "levels.hard.noise"]
    first = (table["seed"] == 0) & (table["protocol.order"] == "random")
    strange = table.assign(error=table["error"].mask(first, np.inf))
    cells = average(strange, by, "error", gap=("curriculum", "random"))
    assert (cells["seeds"] == 5).all()
    assert (cells["failed"] == 1).all()
    expected = average(table[table["seed"] != 0], by, "error", gap=("curriculum", "random"))
    assert cells["p_value"].tolist() == expected["p_value"].tolist()
    nothing = average(table.assign(error=-np.inf), by, "error", where={"protocol.order": "random"})
    assert nothing["value"].isna().all()
    assert (nothing["seeds"] == 0).all()


def test_rows_that_stand_there_twice_are_refused(table: pd.DataFrame) -> None:
    by = ["student.width", "levels.hard.noise"]
    for ignored in (False, True):
        with pytest.raises(
            cu.InputError, match=r"48 rows twice \(such as student.width = 2, .*\), which would count as more seeds"
        ):
            average(pd.concat([table, table], ignore_index=ignored), by, "error", gap=("curriculum", "random"))
    # Equal values are one, however they are written.
    again = table[table["seed"] == 0].astype({"student.width": float, "levels.hard.noise": object})
    with pytest.raises(cu.InputError, match="8 rows twice"):
        average(pd.concat([table, again]), by, "error", gap=("curriculum", "random"))


def test_equal_values_of_pairs_are_one(xor: cu.Experiment) -> None:
    pairs = {"student.width": [1, 1.0], "training.learning_rate": [1, 1.0]}
    with pytest.raises(cu.InputError, match="have a pair twice"):
        cu.sweep(xor, zip=pairs, workers=1)
    with pytest.raises(cu.InputError, match="has a value twice"):
        cu.sweep(xor, {"student.width": [1, 1.0]}, workers=1)


def test_columns_of_every_type_are_numbers_or_refused(table: pd.DataFrame) -> None:
    by, where = ["student.width", "levels.hard.noise"], {"protocol.order": "random"}
    expected = average(table, by, "error", where=where)
    kinds = {
        "student.width": "Int64",
        "levels.hard.noise": "category",
        "protocol.order": "category",
        "error": "object",
        "failed": "boolean",
    }
    pd.testing.assert_frame_equal(average(table.astype(kinds), by, "error", where=where), expected)
    with pytest.raises(cu.InputError, match=r"column 'error' holds '0\.\d+', which is no number; give a column of numbers"):
        average(table.astype({"error": str}), by, "error", where=where)
    with pytest.raises(cu.InputError, match="column 'error' holds numbers beyond 1e\\+150, which have no mean"):
        average(table.assign(error=1e200), by, "error", where=where)
    with pytest.raises(cu.InputError, match=r"the table has levels\.hard\.noise = inf, which can be no place of a sweep"):
        average(table.replace({"levels.hard.noise": {0.1: np.inf}}), by, "error", where=where)
    with pytest.raises(cu.InputError, match="the table has no rows"):
        average(table[:0], by, "error", where=where)
    with pytest.raises(cu.InputError, match="share no seed at any place; a gap is paired by seed"):
        average(table[(table["seed"] < 3) == (table["protocol.order"] == "random")], by, "error", gap=("curriculum", "random"))


BAD = [
    (dict(by=["student.width"], value="error"), r"also varies in levels.hard.noise \(0.1, 0.2\); choose one with where$"),
    (dict(by=["student.width", "levels.hard.noise"], value="error"), "choose one with where or two of them as a gap"),
    (dict(by=["student.width"], value="joy"), "value 'joy' is unknown; allowed: error, failed"),
    (dict(by=["happiness"], value="error"), "parameter 'happiness' is unknown; allowed: student.width"),
    (
        dict(by=["student.width"], value="error", where={"levels.hard.noise": 0.7}),
        "no row with levels.hard.noise = 0.7; its values are",
    ),
    (dict(by=["student.width"], value="error", gap=("curriculum", "hard-only")), "two different orders of the table, which has"),
    (dict(by=["student.width"], value="error", gap="curriculum"), "give two different orders"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_mistakes(table: pd.DataFrame, arguments: dict, message: str) -> None:
    with pytest.raises(cu.InputError, match=message):
        average(table, **arguments)


def test_other_tables_are_refused() -> None:
    with pytest.raises(cu.InputError, match="this is no table of a sweep"):
        average(pd.DataFrame({"x": [1]}), ["x"], "x")
