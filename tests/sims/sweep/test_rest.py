"""States at rest as points of a sweep: the same ends as those of `attractors`, and their odds."""

import numpy as np
import pandas as pd
import pytest

import curriculode as cu

ORDERS = ["curriculum", "random"]


@pytest.fixture(scope="module")
def decaying() -> cu.Experiment:
    changes = {"training.weight_decay": 0.05, "training.learning_rate": 1.5, "protocol.duration": 20.0, "student.width": 2}
    return cu.load("xor-curriculum").replace(changes)


QUICK = {"dimension": 200, "points": 64, "workers": 1, "progress": False}


@pytest.fixture(scope="module")
def table(decaying: cu.Experiment) -> pd.DataFrame:
    grid = {"training.weight_decay": [0.05, 0.3], "protocol.order": ORDERS}
    return cu.sweep(decaying, grid, seeds=6, rest=True, **QUICK)


def test_ends_of_a_sweep_are_those_of_attractors(decaying: cu.Experiment, table: pd.DataFrame) -> None:
    """By nets of their own scrambling; above every fold all are dead, by the loss 1/2 and without readouts."""
    assert not table["failed"].any()
    assert (table["leading"] < 0.0).all()
    starts = [decaying.initial(200, seed) for seed in range(6)]
    found = cu.attractors(decaying, starts, orders=ORDERS, dimension=200, points=64, until=20.0, times=2, progress=False)
    ends = table[table["training.weight_decay"] == 0.05]
    for i, order in enumerate(ORDERS):
        own = ends[ends["protocol.order"] == order].sort_values("seed")
        np.testing.assert_allclose(own["loss"], found.loss[found.end[i]], atol=0.02)
    dead = table[table["training.weight_decay"] == 0.3]
    np.testing.assert_allclose(dead["loss"], 0.5, atol=1e-6)
    np.testing.assert_allclose(dead["readout_square"], 0.0, atol=1e-6)
    np.testing.assert_allclose(dead["leading"], -0.3 * 1.5, rtol=1e-3)  # nothing but decay: - eta kappa


def test_odds_at_every_place(table: pd.DataFrame) -> None:
    found = cu.odds(table)
    place = ["training.weight_decay", "protocol.order"]
    np.testing.assert_allclose(found.groupby(place)["frequency"].sum(), 1.0)
    assert found.groupby(place)["seeds"].sum().tolist() == [6] * 4
    assert ((found["low"] <= found["frequency"]) & (found["frequency"] <= found["high"])).all()
    assert found[found["training.weight_decay"] == 0.3]["attractor"].tolist() == [0, 0]
    alive = found[found["training.weight_decay"] == 0.05]
    assert alive["attractor"].max() >= 1
    per_order = alive[alive["protocol.order"] == "random"]
    assert (np.diff(per_order["loss"]) > 0).all()
    lost = table.copy()
    lost.loc[0, ["loss", "leading", "readout_square", "generalization_error"]] = np.nan
    assert -1 in cu.odds(lost)["attractor"].tolist()


def test_what_comes_to_no_rest_is_told(decaying: cu.Experiment, table: pd.DataFrame) -> None:
    for experiment, options, words in (
        (decaying.replace({"training.weight_decay": 0.0}), {}, "without weight_decay"),
        (decaying, {"runs": 2}, "by theory, one net a seed"),
        (decaying, {"branch": cu.Branching(at=1.0)}, "one whole network"),
        (cu.load("batch-perceptron"), {}, "online SGD of a committee"),
    ):
        with pytest.raises(cu.InputError, match=words):
            cu.sweep(experiment, rest=True, **QUICK, **options)
    with pytest.raises(cu.InputError, match="rest"):
        cu.sweep(decaying, rest="yes", **QUICK)  # type: ignore[arg-type]
    with pytest.raises(cu.InputError, match=r"no column 'leading'"):
        cu.odds(table.drop(columns="leading"))
