"""A study: an experiment, the parameters varied over it, and how it is run at finite D. The section [study] of a file.

[study]
dimension = 200
runs = 100
starts = 100

[study.over]
"student.width" = [4, 32]
"protocol.order" = ["curriculum", "random", "hard-only"]
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from curriculode.theory.description import Description
from curriculode.theory.errors import InputError
from curriculode.theory.experiment import Experiment, experiment_text, parse_toml


class Study(Description):
    """An experiment with everything that a comparison of theory and simulation needs.

    dimension : D;  runs : simulated runs of each cell;  starts : number of initial conditions they are spread over
    seed : of starts and runs;  times : number of recorded times;  points : size of the nets of the averages
    over : dotted parameter -> list of values; the cells are all combinations
    """

    experiment: Experiment
    dimension: Annotated[int, Field(ge=1)] = 1000
    runs: Annotated[int, Field(ge=2)] = 32
    starts: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=2)] = 21
    points: Annotated[int, Field(ge=2)] = 1024
    over: dict[str, list[Any]] = Field(default_factory=dict)

    @classmethod
    def load(cls, name: str | Path) -> "Study":
        """The study of the built-in experiment called `name`, or of the TOML file at that path."""
        tables = parse_toml(experiment_text(name), f"experiment {name}")
        settings = tables.pop("study", {})
        if not isinstance(settings, dict):
            raise InputError("study must be a section [study] with dimension, runs, starts, seed, times, points, over")
        return cls(experiment=Experiment.from_dict(tables), **settings)

    def cells(self) -> list[tuple[dict[str, Any], Experiment]]:
        """Every combination of the varied parameters with its experiment."""
        return cells(self.experiment, self.over)


def cells(experiment: Experiment, over: Mapping[str, Sequence[Any]] | None) -> list[tuple[dict[str, Any], Experiment]]:
    """Every combination of the values of `over` with the experiment it gives."""
    over = dict(over or {})
    for name, values in over.items():
        if isinstance(values, str) or not hasattr(values, "__iter__"):
            raise InputError(f"over {name!r} = {values!r} is not allowed; give a list of values")
        if len(list(values)) == 0:
            raise InputError(f"over {name!r} has no values; give at least one")
    combinations = [dict(zip(over, values, strict=True)) for values in product(*over.values())]
    return [(labels, experiment.replace(labels)) for labels in combinations]
