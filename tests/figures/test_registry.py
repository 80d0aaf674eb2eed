"""Figures from outside: registered ones are as good as built-in ones, and mistakes get a sentence."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import curriculode as cu
from curriculode.figures import gallery
from curriculode.figures.gallery import NamedFigure, register_figure
from curriculode.theory.core.registry import outside_modules


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery.FIGURES, "_things", dict(gallery.FIGURES._things))


def compute(scale: float, report: object) -> pd.DataFrame:
    experiment = cu.load("committee-plateau").replace({"protocol.duration": 2.0})
    return cu.integrate(experiment, experiment.initial(100), times=round(10 * scale)).to_frame()


def draw(table: pd.DataFrame) -> Figure:
    figure = Figure()
    figure.subplots().plot(table["t"], table["generalization_error"])
    return figure


def own(**changes: object) -> NamedFigure:
    settings = {
        "title": "A plateau",
        "caption": "The error of a committee on its plateau.",
        "experiment": "committee-plateau",
        "compute": compute,
        "draw": draw,
    }
    return NamedFigure(**{**settings, **changes})  # type: ignore[arg-type]


def test_a_figure_from_outside_is_one_of_the_gallery() -> None:
    built_in = gallery.names()
    assert cu.register_figure("own-plateau", own()) is gallery.figure("own-plateau")
    assert gallery.names() == [*built_in, "own-plateau"]
    figure = gallery.figure("own-plateau")
    line = figure.draw(figure.compute(1.0, lambda fraction: None)).axes[0].get_lines()[0]
    assert line.get_xdata().size == 10
    assert figure.settings.startswith("# Saad and Solla")
    # The same module may say it again, as a notebook cell run twice does; no other process has to import it.
    second = register_figure("own-plateau", own(title="Another plateau"))
    assert gallery.figure("own-plateau") is second
    assert __name__ not in outside_modules()


def test_a_figure_has_its_own_experiment(xor: cu.Experiment, tmp_path: Path) -> None:
    assert cu.Experiment.from_toml(own(experiment=xor).settings) == xor
    assert own(experiment=xor).origin == "the figure's own experiment"
    study = cu.Study(experiment=xor, dimension=50)
    assert cu.Study.from_toml(own(experiment=study).settings) == study
    path = tmp_path / "mine.toml"
    path.write_text(xor.to_toml(), encoding="utf-8")
    assert own(experiment=path).settings == xor.to_toml()
    assert own(experiment=path).origin == f"the experiment file {path}"


def test_mistakes() -> None:
    with pytest.raises(cu.InputError, match=r"figure 'nope' is unknown; allowed: attractor-odds, .*committee, "):
        gallery.figure("nope")
    with pytest.raises(cu.InputError, match=r"figure 'comittee' is unknown \(did you mean 'committee'\?\)"):
        gallery.figure("comittee")
    with pytest.raises(
        cu.InputError, match=r"register_figure\('mine', 3\) is not allowed; give a curriculode.figures.gallery.Named"
    ):
        register_figure("mine", 3)  # type: ignore[arg-type]
    with pytest.raises(cu.InputError, match="figure 'committee' exists already; register yours under another name"):
        register_figure("committee", own())
    for name in ("a/b", "", "all", 3):
        with pytest.raises(cu.InputError, match=r"cannot be registered; give a name of letters, digits, - and _"):
            register_figure(name, own())  # type: ignore[arg-type]
    for part, value, message in (
        ("title", "", "NamedFigure: title = '' is not allowed; give a text"),
        ("compute", None, r"NamedFigure: compute = None is not allowed; give a function of \(scale, report\)"),
        ("draw", 3, "NamedFigure: draw = 3 is not allowed; give a function of that table"),
        ("experiment", 3, "NamedFigure: experiment = 3 is not allowed; give the name of a built-in experiment"),
    ):
        with pytest.raises(cu.InputError, match=message):
            own(**{part: value})
