"""An experiment: task, student, training and protocol; read from and written to TOML, changed by dotted names.

[task]
kind = "xor-mixture"
separation = 1.0

[student]
width = 4
activation = "gelu"

[training]             # kind = "online-sgd" (default), or "batch-slices"
learning_rate = 1.5

[protocol]
order = "curriculum"
duration = 50.0

[levels.easy]          # from easy to hard
share = 0.1
noise = 0.2

[levels.hard]
noise = 0.5
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from curriculode.theory.core.description import Description, unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.committee import Committee
from curriculode.theory.describe.order_parameters import OrderParameters, random_start, start_seed
from curriculode.theory.describe.protocol import Level, Protocol
from curriculode.theory.describe.training import TRAININGS, BatchSlices, Training
from curriculode.theory.tasks import TeacherStudent, XorMixture

Task = XorMixture | TeacherStudent
TASKS: dict[str, type[XorMixture] | type[TeacherStudent]] = {"xor-mixture": XorMixture, "teacher-student": TeacherStudent}
SECTIONS = ("task", "student", "training", "protocol", "levels")


class Experiment(Description):
    """What is learnt, by whom, how, and from which examples in which order.

    >>> from curriculode.theory.describe.training import OnlineSGD
    >>> experiment = Experiment(task=XorMixture(), student=Committee(width=4), training=OnlineSGD(learning_rate=1.0),
    ...                         protocol=Protocol.single(duration=10.0, noise=0.4))
    >>> experiment.replace({"student.width": 8}).student.width
    8
    """

    task: Annotated[Task, Field(discriminator="kind")]
    student: Committee
    training: Annotated[Training, Field(discriminator="kind")]
    protocol: Protocol

    @model_validator(mode="after")
    def _check(self) -> "Experiment":
        allowed = self.task.level_settings
        for level in self.protocol.levels:
            for key in level.model_fields_set - {"name", "share", *allowed}:
                raise InputError(
                    f"level {level.name!r} has {key!r}, which a {self.task.kind} does not know; "
                    f"allowed: {', '.join(('share', *allowed))}"
                )
            self.task.example_law(level)  # raises with its own sentence what the task cannot do
        if isinstance(self.training, BatchSlices):
            self.training.check(self.task, self.student, len(self.protocol.stages()))
            return self
        if isinstance(self.task, TeacherStudent) and self.training.loss == "logistic" and not self.task.binary_labels:
            raise InputError(
                'the logistic loss needs labels +1 and -1, but the teacher\'s are real numbers; use task.label = "sign" '
                'or training.loss = "squared"'
            )
        return self

    def initial(self, dimension: int, seed: int = 0, number: int = 0) -> OrderParameters:
        """Random initial order parameters of a student in `dimension` inputs, exactly as distributed there.

        `number` counts the independent starts of one seed: run i of a simulation begins at number i.

        >>> from curriculode import load
        >>> load("xor-curriculum").initial(dimension=1000, seed=1).Q.shape
        (4, 4)
        """
        return random_start(
            self.student,
            self.task.block_fractions(),
            self.task.reference_overlap(),
            dimension=dimension,
            seed=start_seed(seed, number),
        )

    def replace(self, changes: Mapping[str, Any]) -> "Experiment":
        """The same experiment with other values at dotted names, such as `student.width` or `levels.hard.noise`."""
        if not isinstance(changes, Mapping) or not all(isinstance(name, str) for name in changes):
            raise InputError(f"changes {changes!r} are not allowed; give a mapping of dotted names, such as {{'student.width': 8}}")
        tables = self.to_dict()
        for name, value in changes.items():
            *path, last = name.split(".")
            table = tables
            for part in path:
                if part not in table or not isinstance(table[part], dict):
                    raise InputError(
                        unknown(f"parameter {name!r}: section", part, [k for k in table if isinstance(table[k], dict)])
                    )
                table = table[part]
            if not path or not last:
                raise InputError(
                    f"parameter {name!r} is not a dotted name; write for instance 'student.width' or 'levels.hard.noise'"
                )
            table[last] = value.item() if isinstance(value, np.generic) else value
        return type(self).from_dict(tables)

    def get(self, name: str) -> Any:
        """The value at a dotted name."""
        value: Any = self.to_dict()
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                allowed = list(value) if isinstance(value, dict) else []
                raise InputError(unknown(f"parameter {name!r}: name", part, allowed))
            value = value[part]
        return value

    def to_dict(self) -> dict[str, Any]:
        """The tables of the TOML file, defaults included."""
        tables = self.model_dump(exclude_none=True)
        levels = tables["protocol"].pop("levels")
        tables["levels"] = {level.pop("name"): level for level in levels}
        return tables

    def to_toml(self) -> str:
        """The experiment as the text of a TOML file."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any]) -> "Experiment":
        """Build an experiment from the tables of its TOML file."""
        if not isinstance(tables, Mapping):
            raise InputError(f"{tables!r} is no experiment; give the tables of its TOML file")
        for name in tables:
            if name not in SECTIONS:
                raise InputError(unknown("section", name, list(SECTIONS)))
        for name in SECTIONS:
            if name not in tables:
                raise InputError(f"the experiment lacks the section [{name}]; it needs {', '.join(SECTIONS)}")
            if not isinstance(tables[name], dict):
                raise InputError(f"{name} = {tables[name]!r} is not allowed; it must be a section [{name}] of settings")
        if "levels" in tables["protocol"]:
            raise InputError("protocol.levels is not allowed; each level is a section of its own, [levels.NAME]")
        kind = tables["task"].get("kind", "xor-mixture")
        if not isinstance(kind, str) or kind not in TASKS:
            raise InputError(unknown("task.kind", str(kind), list(TASKS)))
        way = tables["training"].get("kind", "online-sgd")
        if not isinstance(way, str) or way not in TRAININGS:
            raise InputError(unknown("training.kind", str(way), list(TRAININGS)))
        levels = []
        for name, settings in tables["levels"].items():
            if not isinstance(settings, dict):
                raise InputError(
                    f"levels.{name} = {settings!r} is not allowed; write a section [levels.{name}] with share, noise, ..."
                )
            try:
                levels.append(Level(**{"name": name, **_keywords(settings, f"levels.{name}")}))
            except InputError as error:
                raise InputError(f"level {name!r}: {error}") from None
        return cls(
            task=TASKS[kind](**_keywords(tables["task"], "task")),
            student=Committee(**_keywords(tables["student"], "student")),
            training=TRAININGS[way](**_keywords(tables["training"], "training")),
            protocol=Protocol(**_keywords(tables["protocol"], "protocol"), levels=tuple(levels)),
        )

    @classmethod
    def from_toml(cls, text: str) -> "Experiment":
        """Build an experiment from the text of a TOML file."""
        return cls.from_dict(parse_toml(text, "the experiment"))


def _keywords(table: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The settings of a section; `self` and `levels.NAME.name` would collide with Python's own arguments."""
    for key in ("self", "name"):
        if key in table:
            raise InputError(f"{section}: setting {key!r} is unknown; see `curriculode experiments xor-curriculum` for an example")
    return dict(table)


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The tables of a TOML text, or an `InputError` that names `source` and the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML: {error}") from None


def experiment_text(name: str | Path) -> str:
    """The TOML text of the built-in experiment called `name`, or of the file at that path."""
    folder = resources.files("curriculode.theory") / "experiments"
    names = builtin_experiments()
    if str(name) in names:
        return (folder / f"{name}.toml").read_text(encoding="utf-8")
    if not isinstance(name, (str, Path)):
        raise InputError(f"experiment {name!r} is not allowed; give the name of a built-in experiment or the path of a TOML file")
    path = Path(name)
    try:
        if path.suffix != ".toml" and not path.exists():
            raise InputError(unknown("experiment", str(name), names) + "; or give the path of a TOML file")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"the experiment file {path} is not a text in UTF-8; it must be a TOML file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the experiment file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def builtin_experiments() -> list[str]:
    """Names of the built-in experiments."""
    folder = resources.files("curriculode.theory") / "experiments"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name: str | Path) -> Experiment:
    """The built-in experiment called `name`, or the one in the TOML file at that path.

    A section [study], which says how it is run and compared, is left to `curriculode.Study.load`.

    >>> load("xor-curriculum").student.activation
    'gelu'
    """
    tables = parse_toml(experiment_text(name), f"experiment {name}")
    tables.pop("study", None)
    return Experiment.from_dict(tables)
