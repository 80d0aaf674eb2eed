"""Numbers that the figures of the landscape are there to show."""

import numpy as np
import pytest

from curriculode.figures.gallery.discovery_time import medians
from curriculode.figures.gallery.wide_limit import coefficients
from tests.figures.small import table


def test_odds_and_gaps_of_a_minimal_student() -> None:
    data = table("attractor-odds")
    odds, gap = data[data["part"] == "odds"], data[data["part"] == "gap"]
    np.testing.assert_allclose(odds.groupby(["training.weight_decay", "order"])["frequency"].sum(), 1.0)
    decayed = gap[gap["training.weight_decay"] == 0.05]
    np.testing.assert_allclose(decayed["speed"].iloc[-1], 0.0, atol=2e-3)  # at rest all is the lottery
    free = odds[odds["training.weight_decay"] == 0.0]
    assert free["attractor"].unique().tolist() == [-1]  # no finite state at rest


def test_discovery_goes_from_ln_d_to_d_and_easy_examples_move_it() -> None:
    found = medians(table("discovery-time")).set_index(["order", "D"])
    few, many = 200.0, 2e5
    for order in ("curriculum", "hard-only"):
        assert found.loc[(order, few), "equations"] == pytest.approx(found.loc[(order, few), "linear"], rel=0.25)
        assert np.isinf(found.loc[(order, many), "linear"])
        assert found.loc[(order, many), "equations"] == pytest.approx(found.loc[(order, many), "slow"], rel=0.35)
    assert found.loc[("curriculum", few), "D_c"] > 3 * found.loc[("hard-only", few), "D_c"]
    for D in (few, many):
        assert found.loc[("curriculum", D), "equations"] < 0.8 * found.loc[("hard-only", D), "equations"]


def test_what_lives_and_what_dies() -> None:
    data = table("dead-or-alive")
    checked = data[data["part"] == "checked"]
    assert checked["alive"].tolist() == [True, False]
    folds = data[data["part"] == "gelu"]
    assert folds[folds["noise"] == 0.5]["decay"].iloc[0] == pytest.approx(0.1004, abs=0.003)
    assert folds["decay"].is_monotonic_decreasing
    relu = data[(data["part"] == "relu") & (data["rate"] == 0.0)].pivot(index="noise", columns="loss", values="decay")
    np.testing.assert_allclose(relu["squared"], 2 * relu["logistic"])


def test_the_deviation_is_of_order_one_over_k() -> None:
    found = coefficients(table("wide-limit"))
    teacher = found[found["task"].str.contains("teacher")]["mean"]
    assert (teacher < 0).all()
    assert 0.5 < teacher.iloc[-1] / teacher.iloc[0] < 2.0
    assert found["mean"].abs().max() < 0.2  # K times the deviation
