"""What the figures of tangent spaces say: a number of each."""

import numpy as np
import pytest

from .small import table


def test_least_norm_peaks_at_the_threshold_and_the_best_ridge_does_not() -> None:
    data = table("tangent-double-descent")
    for against, peak in (("examples", 4.0), ("width", 6)):
        theory = data[(data["by"] == "theory") & (data["against"] == against)].pivot(index="x", columns="strength", values="test")
        least, best = theory["least norm"], theory["best ridge"]
        assert least.idxmax() == peak
        assert least[peak] > 10 * best[peak]
        assert (best <= theory["ridge 0.1"] * (1 + 1e-6)).all()
    examples = data[(data["by"] == "theory") & (data["against"] == "examples") & (data["strength"] == "best ridge")]
    assert (np.diff(examples["test"]) < 0).all()


def test_runs_lie_on_the_lines_of_double_descent() -> None:
    data = table("tangent-double-descent")
    data = data[data["strength"] != "least norm"].pivot_table(
        index=["against", "x", "strength"], columns="by", values=["test", "error"]
    )
    data = data.dropna()
    assert len(data) == 6
    # Medians of few runs at D = 50: four of their errors, and the next order of (K (K + P) + K) / (alpha D).
    room = 4.0 * data["error", "simulation"] + 0.15 * data["test", "theory"]
    assert (np.abs(data["test", "simulation"] - data["test", "theory"]) < room).all()


@pytest.mark.slow
def test_the_trained_network_leaves_its_tangent_space_where_that_is_chance() -> None:
    data = table("tangent-lottery").set_index(["part", "x", "way"]).sort_index()
    low = data.loc["low signal-to-noise, noise 0.4", 4]
    assert low["value"]["tangent ridge, best"] < 0.62
    assert low["value"]["trained network"] > low["value"]["tangent ridge, best"]
    assert low["laziness"]["trained network"] > 0.3
    teacher = data.loc["teacher"]["value"]
    assert teacher[32.0, "trained network"] < teacher[32.0, "tangent ridge, best"]
    assert teacher[32.0, "tangent, endless examples"] < teacher[32.0, "tangent ridge, best"] < teacher[2.0, "tangent ridge, best"]


def test_theory_of_both_orders_holds_in_the_tangent_space() -> None:
    data = table("tangent-orders")
    points = data.dropna(subset="simulation")
    apart = np.abs(points["simulation"] - points["theory"])
    assert (apart < 4.0 * points["error"] + 20.0 / 100 * points["theory"]).all()
    ends = data[data["t"] == 16.0].set_index(["kind", "order"])["theory"]
    assert ends["tangent space", "any, stored"] < ends["tangent space", "curriculum"]


def test_deviations_of_a_ridge_fall_and_networks_come_back_into_the_tangent_space() -> None:
    data = table("tangent-theory")
    lazy = data[data["part"] == "lazy"].set_index("x")
    assert lazy["deviation"][8.0] < lazy["deviation"][2.0] / 8
    assert lazy["laziness"][8.0] == pytest.approx(lazy["laziness"][2.0] / 4, rel=0.3)
    erf = data[data["part"] == "erf"]
    assert (np.abs(erf["deviation"]) < 4 * erf["error"] + 8.0 / erf["x"]).all()
