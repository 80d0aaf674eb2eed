"""An experiment: task, student, training and protocol; read from and written to TOML, changed by dotted names.

[task]
kind = "xor-mixture"
separation = 1.0

[student]
width = 4
activation = "gelu"

[training]             # kind = "online-sgd" (default), "batch-slices", "tangent-sgd" or "tangent-ridge"
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
from typing import Any

import numpy as np
from pydantic import SerializeAsAny, model_validator

from curriculode.theory.core.arguments import CHECKS, checked, inside
from curriculode.theory.core.checks import plain
from curriculode.theory.core.description import Description, unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.files import read_whole
from curriculode.theory.describe.committee import Committee
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed, random_start
from curriculode.theory.describe.protocol import Protocol
from curriculode.theory.describe.tangent import TangentRidge, TangentSGD
from curriculode.theory.describe.training import TRAININGS, Training
from curriculode.theory.tasks import TASKS, Level, Task
from curriculode.theory.tasks.blocks import Blocks

for _kind in (TangentSGD, TangentRidge):
    TRAININGS.add(_kind.model_fields["kind"].default, _kind)
SECTIONS = ("task", "student", "training", "protocol", "levels")
COMMANDS = (
    "compare",
    "integrate",
    "simulate",
    "sweep",
    "refine",
    "fluctuations",
    "tickets",
    "branch",
    "worth",
    "optimize",
    "attractors",
)  # commands that may have a section of their own
_LARGEST = 4 * 2**20  # bytes of an experiment file
STUDY_SECTIONS = ("study", "numerics", "pruning", *COMMANDS)


def check_sections(tables: Any, sections: tuple[str, ...]) -> None:
    """Refuse what is not a table of these sections, each with settings, the levels in one of their own."""
    if not isinstance(tables, Mapping):
        raise InputError(f"{shown(tables)} is no experiment; give the tables of its TOML file")
    for name in tables:
        if name not in sections:
            raise InputError(unknown("section", name, sections))
    for name in sections:
        if name not in tables:
            raise InputError(f"the experiment lacks the section [{name}]; it needs {', '.join(sections)}")
        if not isinstance(tables[name], Mapping):
            raise InputError(f"{name} = {shown(tables[name])} is not allowed; it must be a section [{name}] of settings")
    if "levels" in tables["protocol"]:
        raise InputError("protocol.levels is not allowed; each level is a section of its own, [levels.NAME]")


class Experiment(Description):
    """What is learnt, by whom, how, and from which examples in which order.

    Parameters
    ----------
    task : Task
        What is learnt, such as `XorMixture` or `TeacherStudent`.
    student : Committee
        By whom.
    training : OnlineSGD, BatchSlices, TangentSGD or TangentRidge
        How.
    protocol : Protocol
        From which examples, in which order. Each level becomes one of the task's own kind.

    Raises
    ------
    InputError
        For parts that do not fit together.

    Examples
    --------
    >>> from curriculode import OnlineSGD, XorMixture
    >>> experiment = Experiment(task=XorMixture(), student=Committee(width=4), training=OnlineSGD(learning_rate=1.0),
    ...                         protocol=Protocol.single(duration=10.0, noise=0.4))
    >>> experiment.replace({"student.width": 8}).student.width
    8
    """

    task: SerializeAsAny[Task]
    student: SerializeAsAny[Committee]
    training: SerializeAsAny[Training]
    protocol: SerializeAsAny[Protocol]

    @model_validator(mode="after")
    def _check(self) -> "Experiment":
        levels = tuple(level.of(self.task) for level in self.protocol.levels)
        if levels != self.protocol.levels or any(a is not b for a, b in zip(levels, self.protocol.levels, strict=True)):
            # The levels become the task's own kind; the protocol is otherwise the one given.
            self.__dict__["protocol"] = self.protocol.model_copy(update={"levels": levels})
        Blocks.of(self.task)
        laws = [self.task.example_law(level) for level in levels]  # each raises with its own sentence what the task cannot do
        for level, law in zip(levels, laws, strict=True):
            if not law.has_labels_of(laws[0]):
                raise InputError(
                    f"levels {levels[0].name!r} and {level.name!r} differ in their components, labels or teacher; a level may "
                    "change gain and scale alone"
                )
        self.training.check(self.task, self.student, self.protocol)
        return self

    @checked
    def initial(self, dimension: int, seed: int | np.random.SeedSequence = 0, number: int = 0) -> OrderParameters:
        """Draw random initial order parameters of a student in `dimension` inputs, exactly as distributed there.

        Parameters
        ----------
        dimension : int
            D, at least K + P inputs in every block.
        seed : int or SeedSequence, default 0
            Of all starts.
        number : int, default 0
            Counts the independent starts of one seed: run i of a simulation begins at number i.

        Returns
        -------
        OrderParameters
            The start.

        Examples
        --------
        >>> from curriculode import load
        >>> load("xor-curriculum").initial(dimension=1000, seed=1).Q.shape
        (4, 4)
        """
        return random_start(self.student, Blocks.of(self.task), dimension=dimension, seed=child_seed(seed, 1, number))

    @checked(changes=inside)
    def replace(self, changes: Mapping[str, Any]) -> "Experiment":
        """Return the same experiment with other values at dotted names.

        Classes of your own stay what they are, registered or not.

        Parameters
        ----------
        changes : mapping of str to value
            Dotted name, such as `student.width` or `levels.hard.noise`, -> value; None leaves a setting out again.

        Returns
        -------
        Experiment
            The changed experiment.

        Raises
        ------
        InputError
            For a name that is not known, or a value that is not allowed.
        """
        if not isinstance(changes, Mapping) or not all(isinstance(name, str) for name in changes):
            raise InputError(
                f"changes {shown(changes)} are not allowed; give a mapping of dotted names, such as {{'student.width': 8}}"
            )
        tables = self.to_dict()
        for name, value in changes.items():
            *path, last = name.split(".")
            table = tables
            if path == ["protocol", "perturbation"]:  # asking for a setting of it is asking for one
                table["protocol"].setdefault("perturbation", {})
            for part in path:
                if part not in table or not isinstance(table[part], dict):
                    raise InputError(
                        unknown(f"parameter {shown(name)}: section", part, [k for k in table if isinstance(table[k], dict)])
                    )
                table = table[part]
            if not path or not last:
                raise InputError(
                    f"parameter {shown(name)} is not a dotted name; write for instance 'student.width' or 'levels.hard.noise'"
                )
            if value is None:
                self.get(name)  # raises for a name that is not known
                table.pop(last, None)
            else:
                table[last] = plain(value)
        return type(self)._built(tables, self)

    @checked(name=inside)
    def get(self, name: str) -> Any:
        """Return the value at a dotted name.

        Parameters
        ----------
        name : str
            Such as `student.width` or `levels.hard.noise`.

        Returns
        -------
        object
            The value; None for a setting that is known and left out.

        Raises
        ------
        InputError
            For a name that is not known.
        """
        if not isinstance(name, str):
            raise InputError(
                f"parameter {shown(name)} is not a dotted name; write for instance 'student.width' or 'levels.hard.noise'"
            )
        value: Any = self._tables(exclude_none=False)
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                allowed = list(value) if isinstance(value, dict) else []
                raise InputError(unknown(f"parameter {shown(name)}: name", part, allowed))
            value = value[part]
        return value

    def _tables(self, exclude_none: bool) -> dict[str, Any]:
        tables = self.model_dump(exclude_none=exclude_none)
        levels = tables["protocol"].pop("levels")
        tables["levels"] = {level.pop("name"): level for level in levels}
        if not tables["protocol"]["plan"]:
            del tables["protocol"]["plan"]
        return plain(tables)

    def to_dict(self) -> dict[str, Any]:
        """Return the tables of the TOML file, defaults included.

        Returns
        -------
        dict
            Section -> its settings.
        """
        return self._tables(exclude_none=True)

    def to_toml(self) -> str:
        """Return the experiment as the text of a TOML file.

        Returns
        -------
        str
            The text, defaults included.
        """
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    @classmethod
    @checked(tables=inside)
    def from_dict(cls, tables: Mapping[str, Any]) -> "Experiment":
        """Build an experiment from the tables of its TOML file.

        Parameters
        ----------
        tables : mapping of str to table
            The sections task, student, training, protocol and levels.

        Returns
        -------
        Experiment
            The experiment.

        Raises
        ------
        InputError
            For a section that is missing or unknown, and for settings that are not allowed.
        """
        return cls._built(tables)

    @classmethod
    def _built(cls, tables: Mapping[str, Any], like: "Experiment | None" = None) -> "Experiment":
        """The experiment of these tables; parts whose kind is that of `like` are of its classes."""
        check_sections(tables, SECTIONS)
        kind = tables["task"].get("kind", "xor-mixture")
        task_type = type(like.task) if like is not None and like.task.kind == kind else TASKS[kind]
        way = tables["training"].get("kind", "online-sgd")
        training_type = type(like.training) if like is not None and like.training.kind == way else TRAININGS[way]
        levels = []
        for name, settings in tables["levels"].items():
            if not isinstance(settings, Mapping) or not isinstance(name, str):
                raise InputError(
                    f"levels.{name} = {shown(settings)} is not allowed; write a section [levels.{name}] with share, noise, ..."
                )
            try:
                own = task_type.level_type if set(settings) <= set(task_type.level_type.model_fields) else Level
                levels.append(own(name, **_keywords(settings, f"levels.{name}")).of(task_type, kind))
            except InputError as error:
                raise InputError(
                    f"level {shown(name)}: {error}" if f"level {shown(name)}" not in str(error) else str(error)
                ) from None
        return cls(
            task=task_type(**_keywords(tables["task"], "task")),
            student=(Committee if like is None else type(like.student))(**_keywords(tables["student"], "student")),
            training=training_type(**_keywords(tables["training"], "training")),
            protocol=(Protocol if like is None else type(like.protocol))(
                **_keywords(tables["protocol"], "protocol"), levels=tuple(levels)
            ),
        )

    @classmethod
    @checked
    def from_toml(cls, text: str) -> "Experiment":
        """Build an experiment from the text of a TOML file.

        Parameters
        ----------
        text : str
            As `to_toml` writes it.

        Returns
        -------
        Experiment
            The experiment.

        Raises
        ------
        InputError
            As `from_dict`, and for what is not TOML.
        """
        return cls.from_dict(parse_toml(text, "the experiment"))


CHECKS["experiment"] = lambda name, value: checked_experiment(value)


def checked_experiment(experiment: Any) -> Experiment:
    """The experiment that is given, or `InputError` for anything else."""
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"experiment = {shown(experiment)} is not allowed; give a curriculode.Experiment, such as load('xor-curriculum')"
        )
    return experiment


def _keywords(table: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The settings of a section; `self` and `levels.NAME.name` would collide with Python's own arguments."""
    for key in table:
        if not isinstance(key, str) or key in ("self", "name"):
            raise InputError(
                f"{section}: setting {shown(key)} is unknown; see `curriculode experiments xor-curriculum` for an example"
            )
    return dict(table)


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The tables of a TOML text, or an `InputError` that names `source` and the line."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{source} is nested too deeply; lists and tables in it may have a few levels") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source} is not valid TOML: {error}") from None
    except ValueError:  # what is thousands of digits long Python does not read
        raise InputError(f"{source} has a number of thousands of digits; no setting needs one") from None


def experiment_text(name: str | Path) -> str:
    """The TOML text of the built-in experiment called `name`, or of the file at that path."""
    folder = resources.files("curriculode.theory") / "experiments"
    names = builtin_experiments()
    if not isinstance(name, (str, Path)):
        raise InputError(
            f"experiment {shown(name)} is not allowed; give the name of a built-in experiment or the path of a TOML file"
        )
    if str(name) in names:
        return (folder / f"{name}.toml").read_text(encoding="utf-8")
    path = Path(name)
    try:
        if path.suffix != ".toml" and not _exists(path):
            raise InputError(unknown("experiment", str(name), names) + "; or give the path of a TOML file")
        return read_whole(path, "the experiment file", _LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"the experiment file {path} is not a text in UTF-8; it must be a TOML file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the experiment file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for any file
        return False


def builtin_experiments() -> list[str]:
    """Names of the built-in experiments."""
    folder = resources.files("curriculode.theory") / "experiments"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


@checked(name=inside)
def load(name: str | Path) -> Experiment:
    """Load the built-in experiment called `name`, or the one in the TOML file at that path.

    Further sections, [study] and [numerics] and those of commands, say how it is run and are left to `curriculode.Study.load`.

    Parameters
    ----------
    name : str or Path
        Of a built-in experiment, or of a TOML file.

    Returns
    -------
    Experiment
        The experiment.

    Raises
    ------
    InputError
        For a name that is not known, and a file that cannot be read or is no experiment.

    Examples
    --------
    >>> load("xor-curriculum").student.activation
    'gelu'
    """
    tables = parse_toml(experiment_text(name), f"experiment {name}")
    return Experiment.from_dict({name: table for name, table in tables.items() if name not in STUDY_SECTIONS})
