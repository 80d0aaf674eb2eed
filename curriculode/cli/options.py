"""The options that commands share, each declared once, and the request that they add up to.

A command names what it takes, `@takes("dimension", "rtol", ...)`, and is called with one `Request`: the study of the
experiment, with what the command line changes in it. Whatever is not given has the file's value, and what the file does not say has
its default, so that the file that a command writes beside its results gives the same numbers again.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curriculode.theory.core.errors import InputError

from . import parse

if TYPE_CHECKING:
    from curriculode.theory.describe.study import Study

DEFAULT = "xor-curriculum"


def _option(kind: Any, *names: str, help: str, **more: Any) -> Any:
    return Annotated[kind, typer.Option(*names, help=help, **more)]


EXPERIMENT = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT", help="Name of a built-in experiment (see `curriculode experiments`) or path of a TOML file."
    ),
]
CHANGES = _option(
    list[str] | None,
    *("--set", "-s"),
    metavar="NAME=VALUE",
    help="Change a parameter, e.g. student.width=8 or levels.hard.noise=0.6; repeats.",
)
OVER = _option(
    list[str] | None,
    "--over",
    metavar="NAME=V1,V2",
    help="Several values, in place of the experiment's own: student.width=4,32 or levels.hard.noise=0.2:0.6:5; repeats.",
)
# Settings of the study and of the numerics by their names there; not given, they are those of the file.
STUDY: dict[str, Any] = {
    "dimension": _option(float | None, *("--dimension", "-D"), help="Input dimension D; by default the experiment's own."),
    "runs": _option(int | None, "--runs", help="Simulated runs; by default the experiment's own."),
    "starts": _option(int | None, "--starts", help="Initial conditions the runs are spread over."),
    "seed": _option(int | None, "--seed", help="Seed of starts and runs; by default the experiment's own."),
}
NUMERICS: dict[str, Any] = {
    "times": _option(int | None, "--times", help="Number of output times."),
    "spacing": _option(str | None, "--spacing", help="Of the output times: linear or logarithmic."),
    "averages": _option(str | None, "--averages", help="auto, closed form or quasi-Monte Carlo."),
    "accuracy": _option(
        float | None, "--accuracy", help="Relative standard error that nets may leave in the generalisation error; by default 1e-3."
    ),
    "points": _option(int | None, "--points", help="A fixed size of the quasi-Monte Carlo nets, a power of two."),
    "scrambling": _option(int | None, "--scrambling", help="Which of the nets of that size: 0, 1, ..."),
    "estimate_error": _option(bool | None, help="Whether to estimate the error of nets of a fixed size."),
    "rtol": _option(float | None, "--rtol", help="Relative tolerance of the integrator."),
    "atol": _option(float | None, "--atol", help="Absolute tolerance of the integrator; by default a hundredth of --rtol."),
    "method": _option(str | None, "--method", help="Solver: auto, DOP853, RK45, RK23, LSODA, Radau, BDF."),
    "noise_terms": _option(bool | None, help="Keep the eta^2 terms; without them, the limit of small learning rates."),
    "space": _option(
        str | None, "--space", help="Simulate in overlap space (a step costs the same at any D), weight space, or as the diffusion."
    ),
    "workers": _option(int | None, "--workers", help="Threads (of a sweep, or of many cells: processes); by default all cores."),
}
OUT = Annotated[Path, typer.Option("--out", help="Folder for pictures and tables; made if it is missing.")]
FORCE = Annotated[bool, typer.Option("--force", help="Overwrite files in the folder that another experiment or command made.")]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
_OUTPUTS = {"out": (OUT, Path("curriculode-out")), "force": (FORCE, False), "json": (JSON, False), "quiet": (QUIET, False)}
# What batch learning has no use for.
_ONLINE = {"starts", *NUMERICS} - {"workers"}


@dataclass(frozen=True)
class Request:
    """What a command was asked for.

    name : of the experiment, as it was given;  study : with all that the command line changes
    given : the shared options that were given;  out, force, json, quiet : as on the command line
    """

    name: str
    study: "Study"
    command: str
    given: dict[str, Any] = field(default_factory=dict)
    out: Path = Path("curriculode-out")
    force: bool = False
    json: bool = False
    quiet: bool = False

    @property
    def stem(self) -> str:
        """How the files of the command begin."""
        return f"{Path(self.name).stem.removesuffix(f'-{self.command}')}-{self.command}"

    @property
    def progress(self) -> bool | None:
        """What verbs take as `progress`: a bar where there is a terminal, or none."""
        return False if self.quiet else None

    @property
    def is_batch(self) -> bool:
        """Whether examples are stored: slices, or a ridge; then options that only online learning knows are refused."""
        training = self.study.experiment.training
        if not training.stored:
            return False
        unused = [name for name in self.given if name in _ONLINE]
        if unused:
            names = ", ".join("--" + name.replace("_", "-") for name in unused)
            raise InputError(f"{names} is for online learning; {training.kind} has no use for it: leave it out")
        return True

    def settings(self) -> str:
        """Everything that makes the numbers again, as the text of a TOML file."""
        return f"# curriculode {self.command} THIS_FILE makes these results again\n" + self.study.to_toml()

    def origin(self) -> str:
        """What the results belong to: all settings but the number of workers, on which no number depends."""
        return self.study.set(numerics=self.study.numerics.set(workers=1)).to_toml()

    def with_options(self, **options: Any) -> "Request":
        """The same request with options of its own command: those given, else those of the file's section of that name."""
        from dataclasses import replace

        from curriculode.theory.describe.experiment import COMMANDS

        section = dict(self.study.commands.get(self.command, {}))
        if section and not options:
            raise InputError(f"section [{self.command}]: {self.command} has no settings of its own; leave the section out")
        for name in section:
            if name not in options:
                from curriculode.theory.core.description import unknown

                raise InputError(unknown(f"section [{self.command}]: setting", name, list(options)))
        section |= {name: value for name, value in options.items() if value is not None}
        commands = {**self.study.commands, self.command: section}
        in_order = {name: commands[name] for name in COMMANDS if name in commands}  # as a file that is read has them
        return replace(self, study=self.study.set(commands=in_order))

    def option(self, name: str, default: Any, kind: type | tuple[type, ...] = object) -> Any:
        """An option of the command's own; `kind` is what a file may hold there, where nobody else checks it."""
        value = self.study.commands.get(self.command, {}).get(name, default)
        if value is not default and not isinstance(value, kind):
            give = {bool: "true or false", str: "a text"}.get(kind, "a list of names")  # type: ignore[arg-type]
            raise InputError(f"section [{self.command}]: {name} = {value!r} is not allowed; give {give}")
        return value


def takes(*shared: str, changes: bool = True, over: bool = False, outputs: tuple[str, ...] = tuple(_OUTPUTS)) -> Callable:
    """A command `function(request, **own options)` as typer sees it: with the shared options it names in place of the request."""
    given = {name: (STUDY | NUMERICS)[name] for name in shared}

    def decorate(function: Callable) -> Callable:
        own = list(inspect.signature(function).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter("experiment", keyword, default=DEFAULT, annotation=EXPERIMENT)]
        if changes:
            parameters.append(inspect.Parameter("changes", keyword, default=None, annotation=CHANGES))
        if over:
            parameters.append(inspect.Parameter("over", keyword, default=None, annotation=OVER))
        parameters += [each.replace(kind=keyword) for each in own]
        parameters += [inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in given.items()]
        parameters += [
            inspect.Parameter(name, keyword, default=_OUTPUTS[name][1], annotation=_OUTPUTS[name][0]) for name in outputs
        ]

        @wraps(function)
        def command(**values: Any) -> None:
            name = values.pop("experiment")
            settings = {each: values.pop(each) for each in given}
            written = {each: values.pop(each) for each in outputs}
            study = _study(name, values.pop("changes", None) or [], values.pop("over", None), settings)
            told = {each: value for each, value in settings.items() if value is not None}
            request = Request(name, study, function.__name__.rstrip("_"), told, **written)
            raise typer.Exit(function(request, **values))

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def _study(name: str, changes: list[str], over: list[str] | None, settings: dict[str, Any]) -> "Study":
    """The study of an experiment with what the command line changes in it."""
    from curriculode.theory.describe.study import Study
    from curriculode.theory.describe.variant import Variant

    study = Study.load(name)
    if changes or over:
        changed = parse.changes(changes)
        # What is set by hand is not varied any more.
        varied = parse.grid(over) if over else {key: values for key, values in study.over.items() if key not in changed}
        experiment, pruning, branch = Variant(study.experiment, study.pruning, study.branch).changed(changed)
        study = study.set(experiment=experiment, pruning=pruning, branch=branch, over=varied)
    return study.set(**settings)
