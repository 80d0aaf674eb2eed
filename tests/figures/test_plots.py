"""Theory against simulation: what is drawn are the numbers of the table, in the caller's axes, without touching global settings."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import curriculode as cu
from curriculode.figures.plots.comparison import band_of_runs, quantity_table

ORDERS = ["curriculum", "random"]


@pytest.fixture(scope="module")
def experiment() -> cu.Experiment:
    levels = [cu.Level("easy", share=0.25, noise=0.2), cu.Level("hard", share=0.75, noise=0.6)]
    return cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=3, activation="gelu"),
        training=cu.OnlineSGD(learning_rate=1.5),
        protocol=cu.Protocol(order="curriculum", duration=4.0, levels=levels),
    )


@pytest.fixture(scope="module")
def comparison(experiment: cu.Experiment) -> cu.Comparison:
    return cu.compare(experiment, dimension=80, runs=6, times=5, points=64, over={"protocol.order": ORDERS})


def test_a_picture_shows_itself_in_a_notebook(comparison: cu.Comparison) -> None:
    picture = comparison.plot()[0].figure
    assert picture._repr_png_().startswith(b"\x89PNG")


def test_plot_draws_theory_and_simulation(comparison: cu.Comparison) -> None:
    before = dict(mpl.rcParams)
    axis = Figure().subplots()
    assert comparison.plot(ax=axis) is axis
    assert dict(mpl.rcParams) == before
    table = comparison.to_frame()
    part = table[(table["quantity"] == "classification_error") & (table["protocol.order"] == "random")]
    lines = {line.get_label(): line for line in axis.get_lines()[5:]}  # after those of the curriculum
    line, points, mean_field = lines["random"], axis.containers[-1].lines[0], lines["_mean field"]
    assert np.allclose(line.get_ydata(), 1 - part["theory"])
    assert np.allclose(points.get_ydata(), 1 - part["simulation"])
    assert np.allclose(mean_field.get_ydata(), 1 - part["mean_field"])
    words = [text.get_text() for text in axis.get_legend().get_texts()]
    assert words == ["curriculum", "random", "theory at D = 80", "95 % of runs, theory", "mean field alone", "mean of runs"]
    assert axis.get_ylabel() == "accuracy on the hard level"
    assert [patch.get_width() for patch in axis.patches] == [1.0]  # the easy stage of the curriculum


def test_the_band_holds_single_runs_by_theory(comparison: cu.Comparison) -> None:
    """Of an order parameter about two predicted standard deviations on either side; of an error what can be reached."""
    cell = comparison.cells[0]
    low, high = band_of_runs(cell, "Q[0,0]")
    width = (high - low)[-1] / cell.verdicts["Q[0,0]"].predicted_scatter[-1]
    assert 2.5 < width < 5.0  # 3.92 of a Gaussian law; 48 paths
    table = quantity_table(comparison, "classification_error")
    assert list(table["protocol.order"].unique()) == ORDERS
    assert ((table["low"] >= 0.0) & (table["low"] <= table["theory"] + 1e-9) & (table["high"] <= 1.0)).all()


def test_plot_of_any_quantity_and_its_mistakes(comparison: cu.Comparison, experiment: cu.Experiment) -> None:
    assert comparison.plot(quantity="Q[0,0]")[0].get_ylabel() == "Q[0,0]"
    with pytest.raises(cu.InputError, match="quantity 'joy' is unknown; allowed: accuracy"):
        comparison.plot(quantity="joy")
    two = cu.compare(experiment, dimension=80, runs=4, times=3, points=64, over={"student.width": [2, 3]})
    with pytest.raises(cu.InputError, match="2 panels, which do not fit into one ax"):
        two.plot(ax=Figure().subplots())
    assert [axis.get_title() for axis in two.plot()] == ["K = 2", "K = 3"]


def test_where_every_run_diverged_the_theory_is_drawn(comparison: cu.Comparison) -> None:
    from dataclasses import replace

    cell = comparison.cells[0]
    lost = cell.ensemble.replace(arrays={"v": np.full_like(cell.ensemble.v, np.nan)})
    axis = replace(comparison, cells=[replace(cell, ensemble=lost)]).plot()[0]
    line = next(line for line in axis.get_lines() if line.get_label() == "curriculum")
    assert np.allclose(line.get_ydata(), 1 - cell.theory_of_runs("classification_error").mean(axis=0))
    assert np.isnan(axis.containers[0].lines[0].get_ydata()).all()


def test_comparison_of_slices() -> None:
    experiment = cu.load("batch-perceptron")
    theory = cu.state_evolution(experiment)
    comparison = cu.compare(experiment, dimension=60, runs=4, over={"protocol.order": ORDERS})
    axis = comparison.plot()[0]
    assert axis.get_lines()[0].get_ydata() == pytest.approx(1 - theory.classification_error)
