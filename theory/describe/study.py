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

from curriculode.theory.core.description import Description
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment, experiment_text, parse_toml


class Study(Description):
    """An experiment with everything that a comparison of theory and simulation needs.

    dimension : D;  runs : simulated runs of each cell;  starts : number of initial conditions they are spread over
    seed : of starts and runs;  times : number of recorded times;  points : size of the nets of the averages
    over : dotted parameter -> list of values; the cells are all combinations
    """

    experiment: Experiment
    dimension: Annotated[int, Field(ge=1)] = 1000
    runs: Annotated[int, Field(ge=1)] = 32
    starts: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=2)] = 21
    points: Annotated[int, Field(ge=2)] = 1024
    over: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def load(cls, name: str | Path) -> "Study":
        """The study of the built-in experiment called `name`, or of the TOML file at that path."""
        tables = parse_toml(experiment_text(name), f"experiment {name}")
        settings = tables.pop("study", {})
        if not isinstance(settings, dict) or "experiment" in settings or "self" in settings:
            raise InputError("study must be a section [study] with dimension, runs, starts, seed, times, points, over")
        return cls(experiment=Experiment.from_dict(tables), **settings)

    def cells(self) -> list[tuple[dict[str, Any], Experiment]]:
        """Every combination of the varied parameters with its experiment."""
        return cells(self.experiment, self.over)


def cells(experiment: Experiment, over: Mapping[str, Sequence[Any]] | None) -> list[tuple[dict[str, Any], Experiment]]:
    """Every combination of the values of `over` with the experiment it gives."""
    listed = listed_values("over", over)
    combinations = [dict(zip(listed, values, strict=True)) for values in product(*listed.values())]
    return [(labels, experiment.replace(labels)) for labels in combinations]


def listed_values(what: str, given: Mapping[str, Sequence[Any]] | None, distinct: bool = True) -> dict[str, list[Any]]:
    """The lists of values of dotted parameters as plain Python values, or `InputError`; `what` is the argument's name."""
    if not isinstance(given or {}, Mapping):
        raise InputError(f"{what} = {given!r} is not allowed; give a mapping of dotted names to lists of values")
    listed: dict[str, list[Any]] = {}
    for name, values in dict(given or {}).items():
        if isinstance(values, (str, Mapping)) or not hasattr(values, "__iter__"):
            raise InputError(
                f"{what} {name!r} = {values!r} is not allowed; give a list of values (and quote a dotted name in TOML)"
            )
        listed[name] = [value.item() if hasattr(value, "item") else value for value in values]
        if not listed[name]:
            raise InputError(f"{what} {name!r} has no values; give at least one")
        if any(isinstance(value, (dict, list, tuple)) for value in listed[name]):
            raise InputError(
                f"{what} {name!r} = {listed[name]!r} is not allowed; each value must be a number, a text, or true or false"
            )
        if distinct and len({repr(value) for value in listed[name]}) < len(listed[name]):
            raise InputError(f"{what} {name!r} = {listed[name]!r} has a value twice; give each once")
    return listed
