"""What is added from outside goes through everything that is built in: theory, both simulations, comparison, sweep, files."""

from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import curriculode as cu
from curriculode.cli import main
from curriculode.figures import gallery
from curriculode.theory.core.registry import outside_modules
from curriculode.theory.printing.equations import definitions, equations

EXPERIMENTS = ("two_clouds", "shifted_teacher")


@pytest.fixture(params=EXPERIMENTS)
def experiment(request: pytest.FixtureRequest, lab: ModuleType) -> cu.Experiment:
    made: cu.Experiment = getattr(lab, request.param)()
    return made


def test_equations_are_integrated(experiment: cu.Experiment) -> None:
    trajectory = cu.integrate(experiment, experiment.initial(400, seed=1), times=5, points=256)
    assert trajectory.success
    frame = trajectory.to_frame()
    assert frame["generalization_error"].iloc[-1] < 0.99 * frame["generalization_error"].iloc[0]
    squares = frame["Q[0,0]"] + frame["Q[1,1]"] if "Q[0,0]" in frame else trajectory.Q.trace(axis1=-2, axis2=-1).sum(axis=1)
    assert frame["length"].to_numpy() == pytest.approx(np.sqrt(np.asarray(squares) / 2))
    assert set(trajectory.statistics["averages"]["ways"].values()) == {"quasi-Monte Carlo"}
    assert len(equations(experiment)) >= 3
    assert definitions(experiment)


@pytest.mark.parametrize("space", ["overlap", "weight"])
def test_theory_agrees_with_simulation(experiment: cu.Experiment, space: str) -> None:
    comparison = cu.compare(
        experiment, dimension=400, runs=32, starts=4, seed=3, space=space, times=4, points=1024, workers=1, progress=False
    )
    assert comparison.agrees, comparison.verdict()
    frame = comparison.to_frame()
    names = set(frame["quantity"])
    assert {"generalization_error", "length"} <= names
    assert ("classification_error" in names) == (experiment.task.kind == "two-clouds")
    assert len(comparison.plot(quantity="length")[0].figure.axes) > 0


@pytest.mark.parametrize("space", ["overlap", "weight"])
def test_both_spaces_simulate(experiment: cu.Experiment, space: str) -> None:
    one, two = (
        cu.simulate(experiment, dimension=60, runs=4, seed=5, times=3, points=64, space=space, workers=workers, progress=False)
        for workers in (1, 2)
    )
    assert one.finite.all()
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())
    assert (one.to_frame()["length"] > 0).all()


def test_wrong_theory_would_not_agree(lab: ModuleType) -> None:
    """The check of the check: the hard level without its noise terms is another theory."""
    wild = lab.two_clouds().replace({"training.learning_rate": 2.0})
    settings = dict(dimension=400, runs=64, starts=4, progress=False)
    right = cu.Numerics(times=4, points=1024, workers=1)
    assert cu.compare(wild, numerics=right, **settings).agrees
    assert not cu.compare(wild, numerics=right.set(noise_terms=False), **settings).agrees


def test_files_hold_it(experiment: cu.Experiment) -> None:
    again = cu.Experiment.from_toml(experiment.to_toml())
    assert again == experiment
    assert type(again.task) is type(experiment.task)
    assert [type(level) for level in again.protocol.levels] == [type(level) for level in experiment.protocol.levels]
    study = cu.Study(experiment=experiment, dimension=50, runs=3, over={"student.width": [1, 2]})
    assert cu.Study.from_toml(study.to_toml()) == study
    hard = experiment.protocol.levels[-1].name
    setting = "tilt" if experiment.task.kind == "two-clouds" else "shift"
    assert experiment.replace({f"levels.{hard}.{setting}": 0.25}).get(f"levels.{hard}.{setting}") == 0.25
    with pytest.raises(cu.InputError, match=f"(did you mean '{setting}'|'{setting}x')"):
        experiment.replace({f"levels.{hard}.{setting}x": 0.25})


@pytest.mark.slow
def test_processes_of_a_sweep_know_it(experiment: cu.Experiment, lab: ModuleType) -> None:
    assert outside_modules() == (lab.__name__,)
    settings = dict(seeds=2, runs=2, dimension=60, points=64, progress=False)
    here, there = (cu.sweep(experiment, {"student.width": [1, 2]}, workers=workers, **settings) for workers in (1, 2))
    assert not there["failed"].any(), there["status"].tolist()
    assert {"length", "length_simulation"} <= set(there.columns)
    pd.testing.assert_frame_equal(here.drop(columns="seconds"), there.drop(columns="seconds"))


def test_the_figure_is_one_of_the_gallery(lab: ModuleType) -> None:
    figure = gallery.figure("clouds")
    assert "clouds" in gallery.names()
    table = figure.compute(0.3, lambda fraction: None)
    assert table["run"].nunique() == 3
    assert len(figure.draw(table).axes[0].get_lines()) == 3
    assert cu.Experiment.from_toml(figure.settings) == lab.two_clouds()


@pytest.mark.usefixtures("lab")
def test_the_command_line_knows_it(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clouds.toml").write_text(cu.load("xor-curriculum").to_toml().replace("gelu", "swish"))
    monkeypatch.setattr("sys.argv", ["curriculode", "equations", "clouds.toml"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert "d/dt(v[k])" in capsys.readouterr().out
