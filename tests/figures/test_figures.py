"""Pictures: what is drawn are the numbers of the table, in the caller's axes, without touching global settings."""

from functools import cache

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import curriculode as cu
from curriculode.figures import gallery
from curriculode.figures.batch import plot_slices
from curriculode.figures.gallery.finite_size import exponents
from curriculode.figures.gallery.lottery import independent_tickets
from curriculode.figures.trajectory import plot_ensemble, plot_trajectory


@pytest.fixture
def comparison(xor: cu.Experiment) -> cu.Comparison:
    return cu.compare(xor, dimension=80, runs=6, times=5, points=64, over={"protocol.order": ["curriculum", "random"]})


def test_plot_draws_theory_and_simulation(comparison: cu.Comparison) -> None:
    before = dict(mpl.rcParams)
    axis = Figure().subplots()
    assert comparison.plot(ax=axis) is axis
    assert dict(mpl.rcParams) == before
    table = comparison.to_frame()
    part = table[(table["quantity"] == "classification_error") & (table["protocol.order"] == "random")]
    line, points = axis.get_lines()[2:4]
    assert line.get_label() == "random"
    assert np.allclose(line.get_ydata(), 1 - part["theory"])
    assert np.allclose(points.get_ydata(), 1 - part["simulation"])
    assert axis.get_ylabel() == "accuracy on the hard level"


def test_plot_of_any_quantity_and_its_mistakes(comparison: cu.Comparison, xor: cu.Experiment) -> None:
    assert comparison.plot(quantity="Q[0,0]")[0].get_ylabel() == "Q[0,0]"
    with pytest.raises(cu.InputError, match="quantity 'joy' is unknown; allowed: accuracy"):
        comparison.plot(quantity="joy")
    two = cu.compare(xor, dimension=80, runs=4, times=3, points=64, over={"student.width": [2, 3]})
    with pytest.raises(cu.InputError, match="2 panels, which do not fit into one ax"):
        two.plot(ax=Figure().subplots())
    assert [axis.get_title() for axis in two.plot()] == ["K = 2", "K = 3"]


def test_pictures_of_one_side(xor: cu.Experiment) -> None:
    trajectory = cu.integrate(xor, xor.initial(100), times=5, points=64)
    axes = plot_trajectory(trajectory)
    assert np.allclose(axes[0].get_lines()[0].get_ydata(), trajectory.generalization_error)
    assert len(axes[2].get_lines()) == 4
    ensemble = cu.simulate(xor, dimension=50, runs=5, times=4, points=64)
    assert np.allclose(plot_ensemble(ensemble)[0].get_lines()[-1].get_ydata(), ensemble.generalization_error.mean(axis=0))


def test_lottery_has_the_odds_of_the_paper() -> None:
    """2206.04030: 3/32 at K = 4, and .381, .623, .960 for independent tickets at K = 6, 8, 16."""
    assert [independent_tickets(4, c) for c in range(5)] == pytest.approx([0, 1 / 64, 21 / 64, 9 / 16, 3 / 32])
    assert [independent_tickets(K, 4) for K in (6, 8, 16)] == pytest.approx([0.381, 0.623, 0.960], abs=5e-4)
    table = gallery.figure("lottery").compute(0.1, lambda fraction: None)
    minimal = table[(table["part"] == "width") & (table["width"] == 4)].set_index("covered_clusters")
    assert minimal["of_runs"].iloc[0] == 1000
    for covered, paper in ((1, 0.016), (2, 0.328), (3, 0.5625), (4, 0.094)):
        # Sampling error of 1000 runs, and what interactions add to independent tickets at D = 250 (0.01 in 10,000 runs).
        assert abs(minimal["frequency"][covered] - paper) < 4 * np.sqrt(paper * (1 - paper) / 1000) + 0.02
    full = table[table["covered_clusters"] == 4]
    by_width = full[full["part"] == "width"].set_index("width")["frequency"]
    assert by_width[4] < by_width[8] < by_width[32]
    # At high noise the hard examples alone find the clusters too late; easy ones, first or mixed in, keep the odds.
    hard = table[(table["part"] == "order") & (table["noise"] == 0.6) & (table["covered_clusters"] >= 3)]
    chance = hard.groupby("order")["frequency"].sum()
    assert chance["curriculum"] > chance["hard-only"] + 0.1


def test_finite_size_exponents() -> None:
    table = gallery.figure("finite-size").compute(0.05, lambda fraction: None)
    fits = exponents(table).set_index(["quantity", "what"])
    for name in ("trace of Q", "M along its start", "v along its start"):
        row = fits.loc[(name, "scatter")]
        assert abs(row["exponent"] + 0.5) < 4 * row["error"]
    row = fits.loc[("trace of Q", "shift")]
    assert abs(row["exponent"] + 1.0) < 4 * row["error"] + 0.05


def test_perceptron_is_sped_up_modestly_and_gains_nothing_in_the_end() -> None:
    """2106.08068, online: a curriculum helps on the way (less the harder its easy examples are), and not in the end."""
    table = gallery.figure("perceptron-orders").compute(0.2, lambda fraction: None)
    middle = table[(table["part"] == "difficulty") & (table["levels.hard.irrelevant_variance"] == 2.0)]
    assert (middle["gain"] > 5 * middle["standard_error"]).all()
    assert (np.diff(middle.sort_values("levels.easy.irrelevant_variance")["gain"]) < 0).all()
    assert middle["gain"].max() < 0.03
    curves = table[table["part"] == "curves"].sort_values("t").groupby("protocol.order")["theory"].last()
    assert abs(curves["curriculum"] - curves["random"]) < 0.005


@cache
def quick_look(name: str) -> pd.DataFrame:
    """The table of a figure at the smallest scale, computed once."""
    return gallery.figure(name).compute(0.02, lambda fraction: None)


def test_coupled_slices_gain_and_uncoupled_ones_do_not() -> None:
    """2106.08068, batch: uncoupled, the curriculum is far behind pooling; coupled, it is ahead; points lie on the lines."""
    table = quick_look("batch-coupling")
    best = table[table["part"].isin(["uncoupled", "coupled"])].set_index(["part", "order"])["theory"]
    assert best["uncoupled", "curriculum"] > best["uncoupled", "random"] + 0.05
    assert best["coupled", "curriculum"] < best["uncoupled", "random"] - 0.02
    # No coupling: the hard slice alone. A perceptron of alpha = 1, logistic loss: the same number from the state evolution.
    alone = cu.load("batch-perceptron").replace({"protocol.order": "hard-only", "protocol.duration": 1.0})
    lone = cu.state_evolution(alone.replace({"training.regularization": "optimal"})).classification_error[-1]
    assert best["uncoupled", "curriculum"] == pytest.approx(lone, abs=1e-6)
    points = table[table["part"] == "point"]
    assert (abs(points["simulation"] - points["theory"]) < 0.03).all()
    assert abs((points["simulation"] - points["theory"]).mean()) < 0.015  # two runs, the same for all


def test_gain_is_largest_where_easy_is_easiest_and_hard_hardest() -> None:
    table = quick_look("batch-gain")
    difficulty = table[table["part"] == "difficulty"].set_index(["easy", "hard"])["gain"]
    assert difficulty.idxmax() == (0.0, 8.0)
    assert difficulty[0.0, 8.0] == pytest.approx(0.094, abs=1e-3)
    assert difficulty[0.8, 8.0] < 0  # examples that are nearly as hard are better pooled


def test_batches_learn_more_than_online_and_gain_more() -> None:
    table = quick_look("batch-online").pivot_table(index="alpha", columns=["way", "order"], values="theory")
    assert (table["batch"] < table["online"]).all().all()
    gain = table.xs("random", axis=1, level="order") - table.xs("curriculum", axis=1, level="order")
    assert (gain["batch"] > 2 * gain["online"]).all()


def test_pictures_of_slices() -> None:
    experiment = cu.load("batch-perceptron")
    theory = cu.state_evolution(experiment)
    heights = [bar.get_height() for bar in plot_slices(theory)[0].patches]
    assert heights == pytest.approx(np.concatenate(list(theory.level_errors().values())))
    runs = cu.minimize(experiment, dimension=60, runs=3)
    heights = [bar.get_height() for bar in plot_slices(runs)[1].patches]
    assert sum(heights) == pytest.approx(runs.Q.sum(axis=(1, 2, 3, 4)).mean())
    comparison = cu.compare(experiment, dimension=60, runs=4, over={"protocol.order": ["curriculum", "random"]})
    axis = comparison.plot()[0]
    assert axis.get_lines()[0].get_ydata() == pytest.approx(1 - theory.classification_error)


def test_exponents_of_known_powers() -> None:
    D = np.array([100, 1000, 10_000, 100_000])
    exact = {"scatter": D**-0.5, "scatter_error": 0.01 * D**-0.5, "shift": -2.0 / D, "shift_error": 0.01 / D}
    fits = exponents(pd.DataFrame({"dimension": D, "quantity": "x", **exact}))
    assert fits["exponent"].to_numpy() == pytest.approx([-0.5, -1.0])


def test_every_figure_draws_what_it_computes() -> None:
    for name in gallery.names():
        figure = gallery.figure(name)
        assert figure.title
        assert len(figure.caption) > 100
        drawn = figure.draw(quick_look(name))
        assert all(axis.get_title() for axis in drawn.axes if axis.get_label() != "<colorbar>")
    with pytest.raises(cu.InputError, match=r"figure 'nope' is unknown; allowed: batch-coupling, .*perceptron-orders, xor-orders"):
        gallery.figure("nope")
