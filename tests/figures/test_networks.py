"""The figures of real networks: on small grids, each asked for the number that it is there to show."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from curriculode.figures import gallery
from curriculode.figures.gallery import network_fashion
from curriculode.figures.gallery.stored import stored_study
from curriculode.sims.networks.study import NetworkStudy
from tests.figures.small import computed, table

NAMES = ("network-barrier", "network-gain", "network-tickets")
needs_extra = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jax", "sklearn")), reason="the extra networks is not installed"
)


@pytest.mark.parametrize("name", [*NAMES, "network-fashion", "network-framed"])
def test_they_say_what_they_show(name: str) -> None:
    figure = gallery.figure(name)
    assert figure.title
    assert len(figure.caption) > 100
    assert NetworkStudy.from_toml(figure.settings) == figure.experiment
    assert figure.origin == "the figure's own experiment"


def test_what_cannot_be_computed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = gallery.figure("network-gain")
    monkeypatch.setattr("curriculode.figures.gallery.named_figure.find_spec", lambda name: None)
    assert figure.lacks == "it needs the extra networks: pip install 'curriculode[networks]'"
    assert gallery.figure("network-fashion").lacks == ""


@needs_extra
def test_tickets_are_better_than_what_is_drawn_anew_or_at_random() -> None:
    data = table("network-tickets")
    ends = data[data["part"] == "accuracy"].set_index(["by", "treatment"])
    for by, margin in (("digits", 0.01), ("theory", 0.05)):
        ticket, other = ends.loc[(by, "ticket")], ends.loc[(by, "random")]
        assert ticket["value"] - other["value"] > 4 * np.hypot(ticket["standard_error"], other["standard_error"])
        assert ticket["value"] - other["value"] > margin
    moved = data[data["part"] == "R"].sort_values("x").groupby("by")["value"]
    assert (moved.first() - moved.last() > 0.2).all()  # the larger the rate the fewer of the largest weights were so before
    signs = data[data["part"] == "signs"].sort_values("x").groupby("by")["value"]
    assert (signs.last() - signs.first() > 0.1).all()


@needs_extra
def test_narrow_networks_are_less_stable_as_narrow_committees_are() -> None:
    data = table("network-barrier")
    start = data[(data["by"] == "digits") & (data["at"] == 0.0) & ~data["matched"]].set_index("width")
    narrow, wide = start.loc[6], start.loc[30]
    assert narrow["barrier"] - wide["barrier"] > 4 * np.hypot(narrow["standard_error"], wide["standard_error"])
    late = data[(data["by"] == "digits") & (data["at"] == 50.0) & ~data["matched"]].set_index("width").loc[6]
    assert narrow["barrier"] - late["barrier"] > 4 * np.hypot(narrow["standard_error"], late["standard_error"])
    assert data[data["by"] == "theory"]["barrier"].iloc[0] > 0.02


@needs_extra
def test_gains_are_those_of_the_levels() -> None:
    data = table("network-gain").set_index(["network.depth", "level"])
    for depth in (1, 2):
        parts = [share * data.loc[(depth, level), "gain"] for level, share in (("easy", 0.1), ("medium", 0.1), ("hard", 0.8))]
        assert data.loc[(depth, "mixture"), "gain"] == pytest.approx(sum(parts))
    assert data["pairs"].eq(16).all()
    assert data[["rate_curriculum", "rate_random"]].isin([0.01, 0.03]).all(axis=None)
    # The gain of order is a few points at most, either way, when each order has its own rate.
    assert (data["gain"].abs() < 0.08 + 4 * data["standard_error"]).all()


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_they_draw_what_they_compute(name: str) -> None:
    data, drawn = computed(name)
    assert len(data)
    assert drawn.axes


def test_the_stored_tables_are_those_of_their_studies() -> None:
    data, drawn = computed("network-fashion")
    assert len(drawn.axes) == 8
    for name, words in network_fashion.PARTS.items():
        study = stored_study(name)
        part = data[(data["part"] == words) & (data["training.common_tail"] == study.experiment.training.common_tail)]
        cells = part[["network.width", "network.depth"]].drop_duplicates()
        assert len(cells) == len(study.over["network.width"]) * len(study.over["network.depth"])
        assert part["pairs"].max() == study.runs == 64
        assert study.experiment.examples == 10_000


def test_a_curriculum_gains_most_on_narrow_networks_that_learn_too_slowly() -> None:
    data = table("network-fashion")
    best, slow = (data[data["part"] == words] for words in ("the best rate", "a tenth of it"))
    slow = slow[slow["training.common_tail"] == 0.0]
    best, slow = (part[part["level"] == "hard"].set_index(["network.width", "network.depth"]) for part in (best, slow))

    def change(part: pd.DataFrame, one: tuple[int, int], other: tuple[int, int]) -> float:
        """How much more is gained at the other width and depth, in standard errors."""
        gain, error = part["gain"], part["standard_error"]
        return (gain[other] - gain[one]) / np.hypot(error[other], error[one])

    for depth in (1, 2, 3):
        assert 0.03 < slow.loc[(12, depth), "gain"] < 0.05
        assert change(slow, (400, depth), (12, depth)) > 8
        assert abs(change(best, (400, depth), (12, depth))) < 2
    assert best["gain"].between(0.0, 0.015).all()
    # With depth the gain at a tenth of the rate grows at one width, falls at another, and stays at the third.
    assert change(slow, (50, 1), (50, 3)) > 4
    assert change(slow, (400, 1), (400, 3)) < -3
    assert abs(change(slow, (12, 1), (12, 3))) < 2


def test_what_a_curriculum_of_scales_gains_at_the_end_it_has_seen_last() -> None:
    data, drawn = computed("network-framed")
    study = stored_study("network-framed")
    assert len(drawn.axes) == 4
    assert data["pairs"].eq(study.runs).all()
    assert sorted(data["network.filters"].unique()) == study.over["network.filters"]
    gains = data.set_index(["training.common_tail", "level"])
    plain, controlled = (gains.loc[tail] for tail in (0.0, 0.1))
    assert (plain.loc["easy", "gain"] < -0.25).all()
    assert (plain.loc["hard", "gain"] > 3 * plain.loc["hard", "standard_error"]).all()
    assert (controlled.loc["hard", "gain"] < 2 * controlled.loc["hard", "standard_error"]).all()
    assert (controlled.loc["easy", "gain"] < -4 * controlled.loc["easy", "standard_error"]).all()
    # On the mixture it is the mean of the levels by their shares.
    mixture = sum(share * plain.loc[level, "gain"].to_numpy() for level, share in (("easy", 0.2), ("medium", 0.2), ("hard", 0.6)))
    assert mixture == pytest.approx(plain.loc["mixture", "gain"].to_numpy(), abs=1e-4)
