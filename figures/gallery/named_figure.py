"""What every figure of the gallery is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment, builtin_experiments, experiment_text
from curriculode.theory.describe.study import Study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NamedFigure:
    """A figure of the gallery, or of a user's own.

    Parameters
    ----------
    title : str
        What it shows, in one line.
    caption : str
        What is drawn, with all settings; what a paper would print below it.
    experiment : str, Path, Experiment or Study
        What it is computed from: the name of a built-in experiment, the path of a TOML file, or the experiment or study itself.
    compute : callable
        (scale, report) -> table; `scale` multiplies the numbers of runs, `report` is told the finished fraction.
    draw : callable
        Table -> matplotlib figure.

    Raises
    ------
    InputError
        For a part that is missing or is something else.
    """

    title: str
    caption: str
    experiment: str | Path | Experiment | Study
    compute: Callable[[float, Callable[[float], None]], "pd.DataFrame"]
    draw: Callable[["pd.DataFrame"], Any]

    def __post_init__(self) -> None:
        for name in ("title", "caption"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"NamedFigure: {name} = {text!r} is not allowed; give a text")
        for name, use in (("compute", "of (scale, report) that returns a table"), ("draw", "of that table that returns a figure")):
            if not callable(getattr(self, name)):
                raise InputError(f"NamedFigure: {name} = {getattr(self, name)!r} is not allowed; give a function {use}")
        if not isinstance(self.experiment, (str, Path, Experiment, Study)):
            raise InputError(
                f"NamedFigure: experiment = {self.experiment!r} is not allowed; give the name of a built-in experiment, the path "
                "of a TOML file, or a curriculode.Experiment or Study"
            )

    @property
    def settings(self) -> str:
        """The experiment as the text of a TOML file, to keep beside the picture."""
        if isinstance(self.experiment, (Experiment, Study)):
            return self.experiment.to_toml()
        return experiment_text(self.experiment)

    @property
    def origin(self) -> str:
        """Where those settings are from, in words."""
        if isinstance(self.experiment, (Experiment, Study)):
            return "the figure's own experiment"
        return (
            f"the {'built-in experiment' if str(self.experiment) in builtin_experiments() else 'experiment file'} {self.experiment}"
        )
