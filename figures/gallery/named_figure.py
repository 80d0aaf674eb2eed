"""What every figure of the gallery is."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curriculode.theory.core.description import Description
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
        What it is computed from: the name of a built-in experiment, the path of a TOML file, or the experiment or study itself, of
        the theory or of networks.
    compute : callable
        (scale, report) -> table; `scale` multiplies the numbers of runs, `report` is told the finished fraction.
    draw : callable
        Table -> matplotlib figure.
    needs : str, optional
        The extra of the package without which it cannot be computed.

    Raises
    ------
    InputError
        For a part that is missing or is something else.
    """

    title: str
    caption: str
    experiment: str | Path | Experiment | Study | Description
    compute: Callable[[float, Callable[[float], None]], "pd.DataFrame"]
    draw: Callable[["pd.DataFrame"], Any]
    needs: str = ""

    def __post_init__(self) -> None:
        for name in ("title", "caption"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"NamedFigure: {name} = {text!r} is not allowed; give a text")
        for name, use in (("compute", "of (scale, report) that returns a table"), ("draw", "of that table that returns a figure")):
            if not callable(getattr(self, name)):
                raise InputError(f"NamedFigure: {name} = {getattr(self, name)!r} is not allowed; give a function {use}")
        if not isinstance(self.experiment, (str, Path)) and not _is_described(self.experiment):
            raise InputError(
                f"NamedFigure: experiment = {self.experiment!r} is not allowed; give the name of a built-in experiment, the path "
                "of a TOML file, or a curriculode.Experiment or Study"
            )

    @property
    def lacks(self) -> str:
        """What is said where it cannot be computed here, in a sentence; nothing where it can."""
        if self.needs == "networks" and (find_spec("jax") is None or find_spec("sklearn") is None):
            return f"it needs the extra {self.needs}: pip install 'curriculode[{self.needs}]'"
        return ""

    @property
    def settings(self) -> str:
        """The experiment as the text of a TOML file, to keep beside the picture."""
        if isinstance(self.experiment, (str, Path)):
            return experiment_text(self.experiment)
        return str(self.experiment.to_toml())  # type: ignore[attr-defined]

    @property
    def origin(self) -> str:
        """Where those settings are from, in words."""
        if not isinstance(self.experiment, (str, Path)):
            return "the figure's own experiment"
        return (
            f"the {'built-in experiment' if str(self.experiment) in builtin_experiments() else 'experiment file'} {self.experiment}"
        )


def _is_described(value: Any) -> bool:
    """Whether it is an experiment or a study, of the theory or of networks."""
    return isinstance(value, Description) and hasattr(value, "to_toml")
