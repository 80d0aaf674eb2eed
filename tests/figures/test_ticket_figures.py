"""What the figures of tickets say: a number of each."""

import numpy as np
import pandas as pd
import pytest

import curriculode as cu
from curriculode.figures.gallery.ticket_prize import of_condition

from .small import table


def _ticket_ends(name: str, by: str = "theory", column: str = "end", **where: float) -> "pd.Series":
    """Accuracy at the end of each treatment, its mean over networks or another column."""
    part = table(name)
    for label, value in {"by": by, **where}.items():
        part = part[part[label] == value]
    return part.set_index("treatment")[column]


@pytest.mark.slow
def test_a_ticket_beats_fresh_weights_and_random_masks() -> None:
    for by in ("theory", "simulation"):
        end = _ticket_ends("ticket-sparsity", by, keep=0.3)
        assert end["random"] + 0.05 < end["ticket"] <= end["fine-tune"] + 0.01 < end["dense"] + 0.01
        assert end["reinit"] < end["ticket"]
    data = table("ticket-sparsity")
    signal = data[data["by"] == "theory"].pivot_table(index="keep", columns="treatment", values="signal")
    assert (signal["ticket"] > 1.3 * signal.index).all()
    np.testing.assert_allclose(signal["random"], signal.index, rtol=0.1)


@pytest.mark.slow
def test_mask_and_signs_or_overlaps_are_the_ticket() -> None:
    end = _ticket_ends("ticket-parts")
    assert abs(end["signs"] - end["ticket"]) < 0.02
    assert abs(end["overlaps"] - end["ticket"]) < 0.01
    assert end["random"] < 0.55 < end["ticket"] - 0.1
    assert end["untrained"] < 0.6


@pytest.mark.slow
def test_large_rates_forget_the_large_weights() -> None:
    data = table("ticket-indicators")
    last = data[(data["by"] == "theory")].groupby("rate").tail(1).set_index("rate")
    assert last["correlation"][2.0] < last["correlation"][0.5]
    assert last["changes"][2.0] > last["changes"][0.5]
    both = data[data["rate"] == 2.0].pivot_table(index="t", columns="by", values="changes").dropna()
    assert (both["theory"] - both["simulation"]).abs().max() < 0.05


@pytest.mark.slow
def test_several_rounds_make_better_tickets_and_rewinding_hardly_matters() -> None:
    data = table("ticket-rewinding")
    end = data[(data["by"] == "theory") & (data["part"] == "ends")].pivot_table(
        index=["rounds", "rewind"], columns="treatment", values="end"
    )
    assert end["ticket"][3, 0.0] > end["ticket"][1, 0.0]
    assert abs(end["ticket"][1, 8.0] - end["ticket"][1, 0.0]) < 0.03
    assert (end["fine-tune"] > end["ticket"] - 0.01).all()
    # Learning-rate rewinding does not win by changing signs early: of what it keeps it changes next to none.
    last = data[data["part"] == "signs"].groupby(["by", "treatment"])["changes"].last()
    for by in ("theory", "simulation"):
        assert last[by, "fine-tune"] < 0.02 < 0.1 < last[by, "ticket"]
    assert abs(last["theory", "ticket"] - last["simulation", "ticket"]) < 0.04


@pytest.mark.slow
def test_with_sparse_references_the_mask_is_everything() -> None:
    for by in ("theory", "simulation"):
        end = _ticket_ends("ticket-sparse", by, "end_median", support=0.05)
        assert end["ticket"] > end["dense"] > end["random"]
        assert abs(end["reinit"] - end["ticket"]) < 0.03  # the mask is enough
    full = _ticket_ends("ticket-sparse", "theory", "end_median", support=1.0)
    assert full["reinit"] < full["ticket"] < full["dense"]


@pytest.mark.slow
def test_the_masks_of_orders_keep_more_than_chance() -> None:
    data = table("ticket-orders")
    part = data[(data["by"] == "theory") & (data["treatment"] == "ticket")]
    assert (part["signal"] > part["keep"]).all()


@pytest.mark.slow
def test_wide_networks_hold_several_tickets() -> None:
    data = table("unit-tickets").set_index("width")
    assert data["tickets"][16] > data["tickets"][6]
    assert data["tickets"][16] >= 2
    assert data["winners alone"][16] == 1.0
    assert data["reinitialised"][16] >= 0.75  # fresh units in the winners' place learn too


@pytest.mark.slow
def test_the_prize_needs_training() -> None:
    """A ticket beats its own mask with fresh weights at the rate of the experiment, and not where nothing was learnt."""
    data = table("ticket-prize")
    found = cu.prizes(of_condition(data, "protocol.duration"), ["protocol.duration", "pruning.keep"])
    found = found.set_index(["protocol.duration", "pruning.keep"])
    assert found["wins"][40.0, 0.3] == "ticket"
    assert found["difference"][40.0, 0.3] > 0
    assert abs(found["difference"][10.0, 0.1]) < 0.05
    assert set(data["wins"]) <= {"ticket", "reinit", ""}
