"""The figures of real networks: on small grids, each asked for the number that it is there to show."""

import importlib.util

import numpy as np
import pytest

from curriculode.figures import gallery
from curriculode.figures.gallery import network_fashion
from curriculode.sims.networks.study import NetworkStudy
from tests.figures.small import computed, table

NAMES = ("network-barrier", "network-gain", "network-tickets")
needs_extra = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jax", "sklearn")), reason="the extra networks is not installed"
)


@pytest.mark.parametrize("name", [*NAMES, "network-fashion"])
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
        study = network_fashion.study(name)
        part = data[(data["part"] == words) & (data["tail"] == study.experiment.training.common_tail)]
        cells = part[["network.width", "network.depth"]].drop_duplicates()
        assert len(cells) == len(study.over["network.width"]) * len(study.over["network.depth"])
        assert part["pairs"].max() == study.runs >= 16
        assert study.experiment.examples == 10_000


def test_a_curriculum_gains_on_narrow_networks_that_learn_too_slowly_and_not_at_the_best_rate() -> None:
    data = table("network-fashion")
    best, slow = data[data["part"] == "the best rate"], data[(data["part"] == "a tenth of it") & (data["tail"] == 0.0)]
    assert not best["significant"].any()
    hard = slow[slow["level"] == "hard"].set_index(["network.width", "network.depth"])
    for depth in (1, 2, 3):
        narrow, wide = hard.loc[(12, depth)], hard.loc[(400, depth)]
        assert narrow["gain"] - wide["gain"] > 4 * np.hypot(narrow["standard_error"], wide["standard_error"])
        assert 0.03 < narrow["gain"] < 0.05
    # With depth nothing falls that is told from no change.
    change = hard.loc[(12, 3), "gain"] - hard.loc[(12, 1), "gain"]
    assert abs(change) < 2 * np.hypot(hard.loc[(12, 3), "standard_error"], hard.loc[(12, 1), "standard_error"])
