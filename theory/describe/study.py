"""A study: an experiment, the parameters varied over it, and how it is run. The sections [study] and [numerics] of a file.

[study]
dimension = 200
runs = 96
starts = 32

[study.over]
"student.width" = [4, 32]
"protocol.order" = ["curriculum", "random", "hard-only"]

[numerics]
points = 512
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from curriculode.theory.core.arguments import MOST_RUNS, checked, inside
from curriculode.theory.core.checks import MOST, plain, whole_number
from curriculode.theory.core.description import Description, unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.branching import Branching
from curriculode.theory.describe.experiment import COMMANDS, Experiment, experiment_text, parse_toml
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.variant import Variant, branching_of

_SECTIONS = ("experiment", "numerics", "pruning", "branch", "commands")  # fields that are no settings of [study]
_MOVED = ("times", "points")  # settings of the numerics that files of version 0.1 have in [study]


class Study(Description):
    """An experiment with everything that a comparison of theory and simulation needs.

    Parameters
    ----------
    experiment : Experiment
        What is learnt, by whom, how, and from which examples.
    dimension : int, default 1000
        D.
    runs : int, default 32
        Simulated runs of each cell.
    starts : int, default 1
        Number of initial conditions they are spread over.
    seed : int, default 0
        Of starts and runs.
    over : dict of str to list, optional
        Dotted parameter -> values; the cells are all combinations.
    numerics : Numerics, optional
        How it is computed.
    pruning : Pruning, optional
        Which weights are kept, where tickets are studied: the section [pruning]. Its settings may be varied: "pruning.keep".
    branch : Branching, optional
        When a network becomes two copies, where pairs are studied: the section [branch]. Its settings may be varied: "branch.at".
    commands : dict of str to dict, optional
        Command -> its own settings, the sections [sweep], [refine], ... of a file.

    Raises
    ------
    InputError
        For a combination that is no experiment.
    """

    experiment: Experiment
    dimension: Annotated[int, Field(ge=1, le=MOST)] = 1000
    runs: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 32
    starts: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**128)] = 0
    over: dict[str, Any] = Field(default_factory=dict)
    numerics: Numerics = Numerics()
    pruning: Pruning | None = None
    branch: Branching | None = None
    commands: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("commands")
    @classmethod
    def _without_empty(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """A section without settings says nothing, and is not written."""
        return {name: settings for name, settings in value.items() if settings}

    @model_validator(mode="after")
    def _check(self) -> "Study":
        listed, base = listed_values("over", self.over), Variant(self.experiment, self.pruning, self.branch)
        first = {name: values[0] for name, values in listed.items()}  # settings may need each other
        for name, values in listed.items():
            for value in values:
                base.changed({**first, name: value})
        for command, settings in self.commands.items():
            if command not in COMMANDS:
                raise InputError(unknown("Study: command", command, COMMANDS))
            for name, value in settings.items():
                if not _can_be_written(value):
                    raise InputError(f"{command}.{name} = {shown(value)} is not allowed; it must be what a TOML file can hold")
        for name, values in self.over.items():
            if not _can_be_written(plain(values)):
                raise InputError(f"over {shown(name)} = {shown(values)} is not allowed; give values that a TOML file can hold")
        return self

    @classmethod
    @checked(name=inside)
    def load(cls, name: str | Path) -> "Study":
        """Load the study of the built-in experiment called `name`, or of the TOML file at that path.

        Parameters
        ----------
        name : str or Path
            Of a built-in experiment, or of a TOML file.

        Returns
        -------
        Study
            The study.
        """
        return cls.from_toml(experiment_text(name), f"experiment {name}")

    @classmethod
    @checked
    def from_toml(cls, text: str, source: str = "the study") -> "Study":
        """Build the study of the text of a TOML file; what it leaves out has its default.

        Parameters
        ----------
        text : str
            As `to_toml` writes it.
        source : str, optional
            What the text is called in messages.

        Returns
        -------
        Study
            The study.

        Raises
        ------
        InputError
            For what is not TOML, and for sections and settings that are not allowed.
        """
        tables = parse_toml(text, source)
        settings, numerics = tables.pop("study", {}), tables.pop("numerics", {})
        if not isinstance(settings, dict) or {*_SECTIONS, "self"} & set(settings):
            allowed = [name for name in cls.model_fields if name not in _SECTIONS]
            raise InputError(f"study must be a section [study] with {', '.join(allowed)}")
        if not isinstance(numerics, dict) or "self" in numerics:
            raise InputError(f"numerics must be a section [numerics] with {', '.join(Numerics.model_fields)}")
        settings = {**settings, "pruning": Pruning.taken_from(tables)}
        branch = tables.get("branch")
        if isinstance(branch, dict) and (own := {name: branch[name] for name in Branching.model_fields if name in branch}):
            # The rest of the section is what the command of this name shows.
            tables["branch"] = {name: value for name, value in branch.items() if name not in own}
            settings = {**settings, "branch": Branching(**own)}
        numerics = {**{key: settings.pop(key) for key in _MOVED if key in settings}, **numerics}
        commands = {name: tables.pop(name) for name in COMMANDS if name in tables}
        return cls(experiment=Experiment.from_dict(tables), numerics=Numerics(**numerics), commands=commands, **settings)

    def to_toml(self) -> str:
        """Return the study as the text of a TOML file, from which the same command gives the same numbers.

        Returns
        -------
        str
            The text.
        """
        import tomli_w

        settings = {
            name: getattr(self, name) for name in ("dimension", "runs", "starts", "seed", "over") if getattr(self, name) != {}
        }
        numerics = self.numerics.to_dict()
        sections = {"study": settings, **({"numerics": numerics} if numerics else {})}
        sections |= {} if self.pruning is None else {"pruning": self.pruning.to_dict()}
        sections |= self.commands
        if self.branch is not None:
            sections["branch"] = {**self.branch.to_dict(), **self.commands.get("branch", {})}
        return tomli_w.dumps({**self.experiment.to_dict(), **sections})

    def set(self, **settings: Any) -> "Study":
        """Return the same study with those settings changed that are not None.

        Parameters
        ----------
        **settings : object
            Fields of `Study` or of `Numerics`, told apart by their names. `runs` given alone lowers `starts` to as many.

        Returns
        -------
        Study
            The changed study.

        Raises
        ------
        InputError
            For a name that neither knows.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        for name in given:
            if name not in type(self).model_fields and name not in Numerics.model_fields:
                raise InputError(unknown("setting", name, [*type(self).model_fields, *Numerics.model_fields]))
        inner = {name: given.pop(name) for name in list(given) if name in Numerics.model_fields}
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        if "runs" in given and "starts" not in given and whole_number("runs", given["runs"]) < self.starts:
            fields["starts"] = given["runs"]
        return Study(**{**fields, **given, "numerics": numerics_with(given.get("numerics", self.numerics), **inner)})

    def cells(self) -> list[tuple[dict[str, Any], Experiment]]:
        """Return every combination of the varied parameters with its experiment.

        Returns
        -------
        list of (dict, Experiment)
            Dotted parameter -> value, and the experiment with them.
        """
        base = Variant(self.experiment, self.pruning, self.branch)
        return [(labels, variant.experiment) for labels, variant in cells(base, self.over)]


def _can_be_written(value: Any) -> bool:
    """Whether a TOML file can hold a value, and give it back."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, (list, tuple)):
        return all(_can_be_written(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _can_be_written(key) and _can_be_written(item) for key, item in value.items())
    return isinstance(value, (bool, int, float, date, datetime, time)) and abs(getattr(value, "real", 0)) < 1e300


def cells(base: Variant, over: Mapping[str, Sequence[Any]] | None) -> list[tuple[dict[str, Any], Variant]]:
    """Every combination of the values of `over`, and what it makes of `base`."""
    listed = listed_values("over", over)
    base = base._replace(branch=branching_of(base.branch, listed))
    combinations = [dict(zip(listed, values, strict=True)) for values in product(*listed.values())]
    return [(labels, base.changed(labels)) for labels in combinations]


def listed_values(what: str, given: Mapping[str, Sequence[Any]] | None, distinct: bool = True) -> dict[str, list[Any]]:
    """The lists of values of dotted parameters as plain Python values, or `InputError`; `what` is the argument's name."""
    if not isinstance(given or {}, Mapping):
        raise InputError(f"{what} = {shown(given)} is not allowed; give a mapping of dotted names to lists of values")
    listed: dict[str, list[Any]] = {}
    for name, values in dict(given or {}).items():
        if not isinstance(name, str):
            raise InputError(f"{what} {shown(name)} is not allowed; give dotted names, such as 'student.width', and their values")
        if isinstance(values, (str, Mapping)) or not hasattr(values, "__iter__"):
            raise InputError(
                f"{what} {shown(name)} = {shown(values)} is not allowed; give a list of values (and quote a dotted name in TOML)"
            )
        listed[name] = [plain(value) for value in values]
        if not listed[name]:
            raise InputError(f"{what} {shown(name)} has no values; give at least one")
        if any(isinstance(value, dict) for value in listed[name]):
            raise InputError(
                f"{what} {shown(name)} = {shown(listed[name])} is not allowed; each value must be a number, text, list or truth"
            )
        if distinct and any(value in listed[name][:i] for i, value in enumerate(listed[name])):
            raise InputError(f"{what} {shown(name)} = {shown(listed[name])} has a value twice; give each once")
    return listed
