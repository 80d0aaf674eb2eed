"""Numbers that the figures of the landscape are there to show."""

import numpy as np
import pandas as pd
import pytest

from curriculode.figures.gallery.discovery_time import medians
from curriculode.figures.gallery.lottery import independent_tickets
from curriculode.figures.gallery.wide_limit import coefficients
from curriculode.figures.gallery.width_lottery import laws, ticket_chances, tickets_gap
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


def test_units_are_no_independent_tickets() -> None:
    """With weight decay wide students die, and no more of them cover all clusters; tickets would cover them all."""
    data = table("width-lottery")
    decayed = data[data["training.weight_decay"] == 0.05].set_index("width")
    expected = tickets_gap(decayed.reset_index()).set_index("width")
    assert decayed.loc[4, "gap"] > 2 * decayed.loc[4, "gap_standard_error"]
    assert expected.loc[24, "all_curriculum"] > 0.6
    assert decayed.loc[24, "covered_4_curriculum"] < 0.4
    assert decayed.loc[24, "covered_0_random"] > decayed.loc[4, "covered_0_random"] - 0.2
    free = data[data["training.weight_decay"] == 0.0].set_index("width")
    assert free.loc[24, "covered_4_random"] > 0.8  # without it they do cover them


def test_laws_of_the_gap_are_found_where_they_hold() -> None:
    """Made by hand: tickets of known chances, a power, and what chi^2 says of the others."""
    chances, error = {"curriculum": 0.2, "random": 0.1}, np.array([0.5, 0.5, 0.4, 0.3, 0.2])
    rows = []
    for K in (4, 8, 16, 32):
        share = {order: np.array([independent_tickets(K, n, q) for n in range(5)]) for order, q in chances.items()}
        gap = (share["random"] - share["curriculum"]) @ error
        counts = {f"covered_{n}_{order}": share[order][n] for n in range(5) for order in chances}
        errors = {f"error_{n}": error[n] for n in range(5)}
        place = {"training.weight_decay": 0.1, "width": K, "gap_standard_error": 1e-3}
        rows.append({**place, "gap": gap, **counts, **errors})
    made = pd.DataFrame(rows)
    assert sum(independent_tickets(5, n, 0.2) for n in range(5)) == pytest.approx(1.0)
    assert ticket_chances(made) == pytest.approx(chances)
    np.testing.assert_allclose(tickets_gap(made)["gap"], made["gap"])
    found = laws(made).set_index(["since", "law"])
    assert found.loc[(4, "tickets"), "chi2"] == pytest.approx(0.0, abs=1e-12)
    assert found.loc[(4, "power"), "p"] < 1e-4
    power = laws(made.assign(gap=0.05 * (made["width"] / 4) ** -1.5)).set_index(["since", "law"])
    assert power.loc[(4, "power"), "slope"] == pytest.approx(1.5, rel=1e-4)
    assert power.loc[(4, "power"), "p"] > 0.99
    assert power.loc[(4, "tickets"), "p"] < 1e-4
