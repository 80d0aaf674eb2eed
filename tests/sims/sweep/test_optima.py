"""Sweeps of optima: the same store, resumed; a row a protocol; what is found is compared like any experiment."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import curriculode as cu
from curriculode.theory.control.kinds import KINDS, kind_of

BOTH = {"classification_error": {"easy": 0.5, "hard": 0.5}}
PERCEPTRON = cu.load("perceptron-curriculum").replace(
    {"training.learning_rate": 3.0, "levels.hard.irrelevant_variance": 2.0, "protocol.duration": 6.0}
)
SEARCH = cu.Optimization(control=["order"], stages=4, starts=1, tests=2, objective=BOTH, iterations=10)
QUICK = {"optimization": SEARCH, "rtol": 1e-3, "workers": 1, "progress": False}


def test_rows_are_those_of_optimize_and_the_store_goes_on(tmp_path: Path) -> None:
    options = {**QUICK, "store": tmp_path / "optima.sqlite"}
    table = cu.sweep(PERCEPTRON, {"levels.easy.share": [0.5]}, seeds=[3], **options)
    starts = [PERCEPTRON.initial(1000, 3, number) for number in range(3)]
    settings = {"objective": BOTH, "iterations": 10, "numerics": cu.Numerics(rtol=1e-3, points=1024, scrambling=3)}
    best = cu.optimize(
        PERCEPTRON.replace({"levels.easy.share": 0.5}), stages=4, starts=starts[:1], test_starts=starts[1:], **settings
    )
    frame = best.to_frame()
    assert table["treatment"].tolist() == frame["protocol"].tolist()
    np.testing.assert_allclose(table["objective"], frame["value"], rtol=1e-12)
    np.testing.assert_allclose(table["gain"], frame["gain"], atol=1e-12)
    np.testing.assert_allclose(table["gain_standard_error"], frame["gain_error"], atol=1e-12)
    assert {KINDS[int(kind)] for kind in table["kind"]} == {best.best_order}
    # Observables are those of each protocol at its end: the objective is half of each level's error.
    hard = [cu.integrate(best.experiment, start, times=2, rtol=1e-3).classification_error[-1] for start in starts[1:]]
    assert table["classification_error"][0] == pytest.approx(np.mean(hard), rel=1e-4)
    # Another share is computed, this one is not; other settings of the search are another point.
    more = cu.sweep(PERCEPTRON, {"levels.easy.share": [0.3, 0.5]}, seeds=[3], **options)
    again = more[more["levels.easy.share"] == 0.5].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    other = {**options, "optimization": cu.Optimization(**{**SEARCH.to_dict(), "iterations": 1})}
    assert "0 of 1" not in cu.sweep(PERCEPTRON, seeds=[3], **other).attrs["status"]
    assert (cu.prizes(more, "levels.easy.share", "optimum", "curriculum", "objective")["difference"] > 0).all()


def test_what_is_found_is_compared_like_any_experiment() -> None:
    start = PERCEPTRON.initial(1000)
    best = cu.optimize(PERCEPTRON, stages=2, starts=start, objective=BOTH, iterations=3, rtol=1e-3)
    found = cu.compare(best.experiment, dimension=200, runs=16, seed=0)
    assert found.agrees, found.verdict()
    assert {cell.experiment.protocol.order for cell in found.cells} == {"stages"}


def test_kinds_of_orders() -> None:
    values = {"curriculum": 1.0, "random": 1.1, "anti-curriculum": 1.2, "hard-only": 1.5}
    assert kind_of({**values, "optimum": 1.0, "pure stages": 1.0}, [0, 1], 2) == "easy to hard"
    assert kind_of({**values, "optimum": 0.999, "pure stages": 0.999}, [0, 1, 0], 2) == "easy to hard"
    assert kind_of({**values, "optimum": 0.8, "pure stages": 0.801}, [0, 1, 0], 2) == "easy, hard, easy"
    assert kind_of({**values, "optimum": 0.8, "pure stages": 0.9}, [0, 1, 0], 2) == "mixed stages"
    assert kind_of({**values, "optimum": 0.8, "pure stages": 0.8}, [0, 2, 1], 3) == "other pure stages"
    same = dict.fromkeys(values, 1.0)
    assert kind_of({**same, "optimum": 0.9999, "pure stages": 1.0}, [0, 1, 0], 2) == "any order"
    turned = {"curriculum": 1.2, "random": 1.0, "anti-curriculum": 0.9}
    assert kind_of({**turned, "optimum": 0.9, "pure stages": 0.9}, [1, 0], 2) == "hard to easy"


def test_mistakes_are_told() -> None:
    for arguments, words in (
        ({"runs": 2}, r"^a sweep of optima is by theory"),
        ({"pruning": cu.Pruning(keep=0.2)}, r"^a sweep has either a pruning or an optimization"),
        ({"optimization": "order"}, r"^optimization = 'order' is not allowed; give a curriculode.Optimization"),
        ({"optimization": cu.Optimization(**{**SEARCH.to_dict(), "objective": "error"})}, r"^objective 'error' is unknown"),
        ({"optimization": cu.Optimization(**{**SEARCH.to_dict(), "bounds": (2.0, 1.0)})}, r"^bounds = "),
    ):
        with pytest.raises(cu.InputError, match=words):
            cu.sweep(PERCEPTRON, **{**QUICK, **arguments})
    with pytest.raises(cu.InputError, match=r"^Optimization: control"):
        cu.Optimization(control=["orders"])
    with pytest.raises(cu.InputError, match="no online dynamics"):
        cu.sweep(cu.load("batch-perceptron"), **QUICK)


def test_a_ridge_has_its_train_loss() -> None:
    ridge = cu.load("tangent-committee").replace({"student.width": 2})
    table = cu.sweep(ridge, {"training.examples": [3.0, 6.0]}, runs=2, dimension=60, points=512, workers=1, progress=False)
    start = ridge.initial(60, 0)
    for row, alpha in zip(table.itertuples(), (3.0, 6.0), strict=True):
        by_hand = cu.state_evolution(ridge.replace({"training.examples": alpha}), start, numerics=cu.Numerics(points=512))
        assert row.train_loss == pytest.approx(by_hand.train_loss[-1], rel=1e-6)
        assert row.train_loss_simulation == pytest.approx(row.train_loss, rel=0.5)
