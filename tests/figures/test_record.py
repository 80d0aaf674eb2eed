"""`record.plot`: what is drawn are the numbers of the record, on the caller's axes; overviews, stage marks and mistakes."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import curriculode as cu
from curriculode.figures.plots.stages import mark_stages
from curriculode.sims.compare.verdict import standard_error
from curriculode.theory.results.registered import OBSERVABLES


@pytest.fixture(scope="module")
def experiment() -> cu.Experiment:
    levels = [cu.Level("plain", share=0.25, noise=0.2), cu.Level("noisy", noise=0.6)]
    return cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=3, activation="relu"),
        training=cu.OnlineSGD(learning_rate=1.0),
        protocol=cu.Protocol(order="curriculum", duration=4.0, levels=levels),
    )


@pytest.fixture(scope="module")
def trajectory(experiment: cu.Experiment) -> cu.Trajectory:
    return cu.integrate(experiment, experiment.initial(100), times=5, points=64)


@pytest.fixture(scope="module")
def ensemble(experiment: cu.Experiment) -> cu.Ensemble:
    starts = [experiment.initial(50, 0, i // 2) for i in range(6)]  # three starts of two runs
    return cu.simulate(experiment, dimension=50, runs=6, start=starts, times=5, points=64)


def test_a_trajectory_is_a_line(trajectory: cu.Trajectory) -> None:
    before = dict(mpl.rcParams)
    axis = Figure().subplots()
    assert trajectory.plot("accuracy", ax=axis, color="black", label="mine") is axis
    assert dict(mpl.rcParams) == before
    line = axis.get_lines()[0]
    assert np.allclose(line.get_ydata(), 1 - trajectory.classification_error)
    assert (line.get_color(), line.get_label()) == ("black", "mine")
    assert axis.get_ylabel() == "accuracy on the noisy level"
    assert axis.get_xlabel() == "examples per input dimension, t = n / D"
    assert trajectory.plot("M[2,1]").get_lines()[0].get_ydata() == pytest.approx(trajectory.M[:, 2, 1])


def test_runs_are_their_mean_with_a_band_over_their_starts(ensemble: cu.Ensemble) -> None:
    axis = ensemble.plot("Q[0,0]", runs=2)
    *thin, mean = axis.get_lines()
    assert len(thin) == 2
    assert np.allclose(thin[1].get_ydata(), ensemble.Q[3, :, 0, 0])
    assert np.allclose(mean.get_ydata(), ensemble.Q[:, :, 0, 0].mean(axis=0))
    assert mean.get_label() == "curriculum: mean of 6 runs at D = 50"
    edge = axis.collections[0].get_paths()[0].vertices[:, 1].max()
    error = standard_error(ensemble.Q[:, :, 0, 0], np.array([0, 0, 1, 1, 2, 2]))[0]
    assert edge == pytest.approx((ensemble.Q[:, :, 0, 0].mean(axis=0) + 2 * error).max())
    assert len(ensemble.plot("Q[0,0]", runs=0).get_lines()) == 1


def test_theory_and_runs_share_axes_and_marks(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> None:
    axis = trajectory.plot("generalization_error")
    ensemble.plot("generalization_error", ax=axis)
    assert [patch.get_x() for patch in axis.patches] == [0.0]  # the first stage, shaded once
    assert [text.get_text() for text in axis.texts] == ["plain"]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["curriculum: theory", "curriculum: mean of 6 runs at D = 50"]


def test_observations(experiment: cu.Experiment) -> None:
    seen = cu.observe(experiment, ["classification_error", "v[0]"], dimension=50, runs=5, times=3, points=64)
    mean = seen.plot("accuracy", runs=0).get_lines()[0]
    assert np.allclose(mean.get_ydata(), 1 - seen.mean("classification_error"))
    axes = seen.plot()
    assert [axis.get_title() for axis in axes] == ["classification error, noisy level", "v[0]"]
    assert np.allclose(axes[1].get_lines()[0].get_ydata(), seen.mean("v[0]"))
    with pytest.raises(cu.InputError, match=r"observable 'v\[1\]' is unknown \(did you mean 'v\[0\]'\?\)"):
        seen.plot("v[1]")


def test_runs_that_diverged_are_left_out_and_told(ensemble: cu.Ensemble) -> None:
    broken = ensemble.v.copy()
    broken[1] = np.nan
    some = ensemble.replace(arrays={"v": broken})
    mean = some.plot("v[0]", runs=0).get_lines()[0]
    assert np.allclose(mean.get_ydata(), np.delete(ensemble.v[:, :, 0], 1, axis=0).mean(axis=0))
    assert mean.get_label() == "curriculum: mean of 5 runs at D = 50 (1 diverged)"
    none = ensemble.replace(arrays={"v": np.full_like(broken, np.nan)})
    assert none.plot("accuracy").get_legend().get_texts()[0].get_text() == "curriculum: mean of 0 runs at D = 50 (6 diverged)"
    assert none.plot()[1].get_title() == "0 runs at D = 50"


def test_a_registered_observable_has_its_label(trajectory: cu.Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OBSERVABLES, "_things", dict(OBSERVABLES._things))
    cu.register_observable("largest_readout", lambda state: np.abs(state.v).max(), label="largest |v|")
    axis = trajectory.plot("largest_readout")
    assert axis.get_ylabel() == "largest |v|"
    assert np.allclose(axis.get_lines()[0].get_ydata(), np.abs(trajectory.v).max(axis=1))


def test_overviews(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> None:
    axes = trajectory.plot()
    assert np.allclose(axes[0].get_lines()[0].get_ydata(), trajectory.generalization_error)
    assert len(axes[2].get_lines()) == 3
    given = Figure().subplots(1, 2)
    assert ensemble.plot(ax=given)[0] is given[0]
    assert np.allclose(given[0].get_lines()[-1].get_ydata(), ensemble.generalization_error.mean(axis=0))
    with pytest.raises(cu.InputError, match="this picture needs 3 axes, and 1 were given"):
        trajectory.plot(ax=Figure().subplots())


def test_batch_learning_is_drawn_at_the_ends_of_slices() -> None:
    experiment = cu.load("batch-perceptron")
    theory, runs = cu.state_evolution(experiment), cu.minimize(experiment, dimension=60, runs=3)
    axis = theory.plot("accuracy")
    assert axis.get_lines()[1].get_marker() == "_"
    assert axis.get_lines()[1].get_ydata() == pytest.approx(1 - theory.classification_error)
    runs.plot("accuracy", ax=axis)
    assert axis.get_lines()[2].get_ydata() == pytest.approx(1 - runs.classification_error.mean(axis=0))
    assert not axis.patches  # the points are the stages
    heights = [bar.get_height() for bar in theory.plot()[0].patches]
    assert heights == pytest.approx(np.concatenate(list(theory.level_errors().values())))
    heights = [bar.get_height() for bar in runs.plot()[1].patches]
    assert sum(heights) == pytest.approx(runs.Q.sum(axis=(1, 2, 3, 4)).mean())


def test_stages_of_a_plan_are_lines_where_something_changes(experiment: cu.Experiment) -> None:
    def stage(share: float, name: str, rate: float | None = None) -> dict[str, object]:
        return {"share": share, "probability": {name: 1.0}, **({} if rate is None else {"learning_rate": rate})}

    plan = [stage(0.25, "plain"), stage(0.25, "plain"), stage(0.25, "noisy"), stage(0.25, "noisy", 0.5)]
    planned = experiment.replace({"protocol.order": "stages", "protocol.plan": plan})
    axis = Figure().subplots()
    mark_stages(axis, [planned, planned])
    assert [line.get_xdata()[0] for line in axis.get_lines()] == [2.0, 3.0]
    assert not axis.patches
    trajectory = cu.integrate(planned, planned.initial(100), times=3, points=64)
    assert trajectory.plot("accuracy").get_lines()[0].get_color() == "#56B4E9"


def test_first_stage_of_sequences(experiment: cu.Experiment) -> None:
    def marked(*orders: str) -> list[tuple[float, str]]:
        axis = Figure().subplots()
        mark_stages(axis, [experiment.replace({"protocol.order": order}) for order in orders])
        return [(patch.get_width(), text.get_text()) for patch, text in zip(axis.patches, axis.texts, strict=True)]

    assert marked("random", "anti-curriculum", "curriculum") == [(1.0, "plain")]
    assert marked("anti-curriculum") == [(3.0, "noisy")]
    assert marked("random", "hard-only", "easy-only") == []


def test_mistakes(trajectory: cu.Trajectory) -> None:
    with pytest.raises(cu.InputError, match=r"observable 'acuracy' is unknown \(did you mean 'accuracy'\?\)"):
        trajectory.plot("acuracy")
    with pytest.raises(cu.InputError, match=r"option 'colour' is unknown \(did you mean 'color'\?\)"):
        trajectory.plot("accuracy", colour="red")
    with pytest.raises(cu.InputError, match="color: an overview takes no options; name a quantity"):
        trajectory.plot(color="red")
    with pytest.raises(cu.InputError, match="runs = -1 is not allowed"):
        trajectory.plot("accuracy", runs=-1)
