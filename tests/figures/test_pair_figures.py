"""What the figures of pairs of networks say, and of what their plateaus last: a number of each."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.figures.gallery.plateau_length import exponent

from .small import table


@pytest.mark.slow
def test_networks_grow_stable_and_wide_ones_are_at_once() -> None:
    data = table("instability").set_index(["width", "order", "at"])
    for order in ("curriculum", "random"):
        early, late = data.loc[(4, order, 0.0)], data.loc[(4, order, 20.0)]
        assert early["barrier"] - late["barrier"] > 3 * early["standard_error"] > 0
        assert late["barrier"] < 0.03
        assert data.loc[(8, order, 0.0), "barrier"] < early["barrier"]
    line = table("branch-line")
    middle = line[np.isclose(line["alpha"], 0.5)].groupby("at")["over_ends"].mean()
    assert middle[0.0] > 0.01 > middle[20.0]


@pytest.mark.slow
def test_networks_of_two_starts_meet_after_matching() -> None:
    data = table("matching").groupby(["width", "units"]).first()
    for width in (4, 16):
        apart, matched = data.loc[(width, "as they are")], data.loc[(width, "matched")]
        assert apart["barrier"] > 0.05
        assert apart["barrier"] - matched["barrier"] > 3 * apart["standard_error"]
        assert matched["midpoint"] < 0.02


@pytest.mark.slow
def test_tickets_err_less_than_random_masks_wherever_they_part() -> None:
    data = table("ticket-stability")
    error = data[data["by"] == "simulation"].groupby(["treatment", "at"])["error"].mean()
    for at in (0.0, 10.0):
        assert error["dense", at] < error["ticket", at] < error["random", at] - 0.05


@pytest.mark.slow
def test_tickets_are_stable_whether_they_win_or_not() -> None:
    """By theory all of them; of networks with real masks more than of dense ones, those that lose among them."""
    data = table("ticket-stability")
    tickets = data[data["treatment"] == "ticket"]
    assert tickets[tickets["by"] == "theory"]["barrier"].max() < 0.02
    runs = data[data["by"] == "simulation"]
    barrier = runs[runs["at"] == 0.0].groupby("treatment")["barrier"].mean()
    assert barrier["dense"] > 2 * barrier["ticket"]  # of the same networks
    counted = cu.winning_and_stable(runs).set_index("treatment")
    of_tickets = counted[counted["at"].isna()].loc["ticket"]
    assert of_tickets["stable"] > of_tickets["networks"] / 3  # stable, and not among the winners
    assert of_tickets["both"] > of_tickets["wins"]


@pytest.mark.slow
def test_larger_perturbations_cost_more() -> None:
    data = table("perturbations").set_index("kind")
    assert data["r"].iloc[0] < 0
    assert data["effective_size"]["none"] == 0.0
    assert data["effective_size"]["noise"] == pytest.approx(2.0)
    assert data["accuracy"]["signs"] > data["accuracy"]["reinitialise"]


@pytest.mark.slow
def test_the_plateau_grows_like_d_and_like_its_logarithm_with_readouts_held() -> None:
    data = table("plateau-length")
    assert exponent(data, "equations", 1e4) == pytest.approx(1.0, abs=0.1)
    assert exponent(data, "simulation") < 0.7
    medians = data.set_index(["by", "dimension"])["discovery"]
    assert medians["simulation", 1000] < medians["equations", 1000]
    assert 0.5 < medians["diffusion", 1000] / medians["simulation", 1000] < 2.0  # of 12 and 16 runs
    # exp(rate t) from D^(-1/2): as much longer for each decade.
    by_decade = np.diff(medians["held"]) / np.diff(np.log10([1e3, 1e4, 1e6]))
    assert by_decade[0] == pytest.approx(by_decade[1], rel=0.1)
    assert by_decade[0] > 1.0
