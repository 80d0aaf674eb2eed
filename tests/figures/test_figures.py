"""Pictures: what is drawn are the numbers of the table, in the caller's axes, without touching global settings."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import curriculode as cu
from curriculode.figures.plots.batch import plot_slices
from curriculode.figures.plots.trajectory import plot_ensemble, plot_trajectory


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
