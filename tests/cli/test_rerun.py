"""The file that a command writes beside its results makes them again: for the options of every command that writes one.

The options are those of the commands themselves: one that is added needs a value here, or a reason why it is no setting.
"""

import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

import curriculode as cu
from curriculode.cli.app import app
from curriculode.cli.options import NUMERICS, STUDY

from .conftest import Command

TINY = """
[task]
kind = "xor-mixture"
[student]
width = 2
activation = "gelu"
[training]
learning_rate = 1.0
[protocol]
order = "curriculum"
duration = 1.0
[levels.easy]
share = 0.25
noise = 0.2
[levels.hard]
noise = 0.6
[study]
dimension = 60
runs = 4
starts = 2
seed = 1
[study.over]
"protocol.order" = ["curriculum", "random"]
[numerics]
times = 3
workers = 1
{points}
[refine]
x = "levels.hard.noise=0.2:0.8"
y = "training.learning_rate=0.5:4:log"
value = "generalization_error"
level = 0.505
budget = 32
finest = 2
[worth]
intervals = 4
[optimize]
stages = 3
iterations = 1
tests = 1
[attractors]
until = 2.0
longest = 1.0
quantity = "generalization_error"
{more}
"""
POINTS = "points = 64"
# What says where results go and how far they are, and not what they are.
NO_SETTINGS = {"out", "force", "json", "quiet", "help", "store", "status", "retry", "shard", "dask", "csv"}
# Options as they are given -> the value in the file, at its dotted name where that is not the option's.
VALUES: dict[str, Any] = {
    "dimension": 80,
    "runs": 6,
    "starts": 1,
    "seed": 2,
    "times": 4,
    "spacing": "logarithmic",
    "averages": "quasi-Monte Carlo",
    "accuracy": 0.3,
    "points": 128,
    "scrambling": 3,
    "estimate_error": False,
    "rtol": 1e-3,
    "atol": 1e-3,
    "method": "RK23",
    "noise_terms": False,
    "space": "weight",
    "workers": 2,
}
OWN: dict[str, dict[str, Any]] = {
    "compare": {"quantity": "Q[0,0]", "treatments": ["ticket"]},
    "integrate": {},
    "simulate": {},
    "fluctuations": {"quantity": "Q[0,0]", "weights": "random", "way": "expansion"},
    "tickets": {
        "keep": 0.4,
        "criterion": "movement",
        "scope": "layer",
        "rounds": 2,
        "rewind": 0.5,
        "readout": "final",
        "treatments": ["ticket", "fine-tune"],
        "quantity": "Q[0,0]",
        "theory": True,
    },
    "branch": {"at": 0.5, "examples": "same", "weights": "own", "quantity": "X[0,0]", "match": True, "theory": True},
    "worth": {
        "objective": "classification_error",
        "levels": "easy=0.5,hard=0.5",
        "average": True,
        "intervals": 3,
        "singular": True,
    },
    "optimize": {
        "control": ["learning_rate"],
        "stages": 4,
        "tests": 2,
        "objective": "classification_error",
        "levels": "easy=0.5,hard=0.5",
        "average": True,
        "iterations": 2,
    },
    "attractors": {
        "orders": ["random"],
        "by": "overlap",
        "against": "overlap",
        "until": 1.5,
        "longest": 0.0,
        "level": "easy",
        "quantity": "classification_error",
    },
    "sweep": {
        "zip": True,
        "seeds": 2,
        "runs": 2,
        "theory": False,
        "observables": ["classification_error", "Q[0,1]"],
        "treatments": ["ticket"],
        "control": ["order"],
        "scramblings": 2,
        "rest": True,
    },
    "refine": {
        "x": "levels.hard.noise=0.3:0.7",
        "y": "training.learning_rate=0.5:3",
        "value": "failed",
        "level": 0.53,
        "gap": "curriculum,hard-only",
        "budget": 25,
        "finest": 0,
        "seeds": 2,
        "runs": 2,
        "boundary": True,
    },
}
# Numerics are one description, read and written in one place: all of it is tried on the commands that are quick, and on the others
# the settings that each hands on by itself.
LONG, HANDED_ON = {"attractors", "branch", "fluctuations", "optimize", "refine", "tickets", "worth"}, {"points", "rtol", "space"}
SET, OVER = "student.width=3", "levels.hard.noise=0.4:0.6:2"
# What an option needs beside it: in the file (in place of the fixed nets, in the command's section), on the command line.
PRUNED = (POINTS, "[pruning]\nkeep = 0.5")
IN_FILE = {"accuracy": ("", ""), "theory": (POINTS, "[sweep]\nruns = 2"), "seeds": (POINTS, "")}
BESIDE = {
    ("sweep", "zip"): ["--over", "student.width=1,2", "--over", "training.learning_rate=1.0,0.5"],
    ("sweep", "space"): ["--runs", "2"],
    ("refine", "space"): ["--runs", "2"],
    ("sweep", "starts"): ["--control", "order", "-s", "protocol.duration=0.2"],
    ("sweep", "control"): ["-s", "protocol.duration=0.2"],
    ("refine", "gap"): ["--seeds", "2"],
    ("sweep", "rest"): ["-s", "training.weight_decay=0.1"],
    ("refine", "boundary"): ["-s", "student.readout=fixed", "-s", "student.width=1"],
}
# Options that leave the numbers of the table as they are.
SAME_NUMBERS = {
    ("compare", "quantity"),
    ("tickets", "quantity"),
    ("fluctuations", "quantity"),
    ("branch", "quantity"),
    ("branch", "match"),
    ("integrate", "estimate_error"),
    ("refine", "boundary"),
    ("attractors", "against"),
} | {(command, "workers") for command in OWN}

# In so short a protocol the fewest steps are good enough, and the first iteration of a search ends in a corner.
SAME_NUMBERS |= {("attractors", "longest")}  # without weight decay there is no rest
# The ends of the classical orders are among any number of stages, and one of these orders is the best here.
SAME_NUMBERS |= {("worth", "rtol"), ("optimize", "rtol"), ("optimize", "iterations"), ("optimize", "stages")}

_without: dict[tuple[str, ...], pd.DataFrame] = {}  # what commands give without the option


def options(command: str) -> dict[str, Any]:
    """The options of a command as typer has them, by the names that users type."""
    given = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    longest = {max(each.opts, key=len): each for each in given if each.param_type_name == "option"}
    return {name.removeprefix("--").replace("-", "_"): each for name, each in longest.items()}


def cases() -> list[Any]:
    """Every command with each of its settings; what takes one of each way of giving a setting is quick."""
    quick = {"set", "over", "dimension", "noise_terms", "method", "quantity", "zip", "observables", "theory", "x"}

    def marks(command: str, name: str) -> list[Any]:
        if name in quick and command != "refine":
            return []
        # Of long commands the test of all options at once covers what can go together.
        return [pytest.mark.slow, *([pytest.mark.thorough] if command in LONG and not alone(command, name) else [])]

    return [
        pytest.param(command, name, id=f"{command}-{name}", marks=marks(command, name))
        for command in OWN
        for name in options(command)
        if name not in NO_SETTINGS and not (command in LONG and name in set(NUMERICS) - HANDED_ON)
    ]


def value_of(command: str, name: str) -> Any:
    """The value that the option gets: not its default, nor that of the file."""
    if name == "starts" and command in ("worth", "optimize", "sweep"):
        return 3
    if (command, name) == ("integrate", "accuracy"):  # the least nets are good enough for the default
        return 1e-4
    return (VALUES | OWN[command])[name]


def as_typed(command: str, name: str) -> list[str]:
    """The option with its value here, as a user types it."""
    if name in ("set", "over"):
        return [f"--{name}", SET if name == "set" else OVER]
    value = value_of(command, name)
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    return [flag, ",".join(value) if isinstance(value, list) else str(value)]


def table(path: Path) -> pd.DataFrame:
    """A table as it is written, each number as its text, without the seconds that it took."""
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    return found.drop(columns=[name for name in found.columns if "seconds" in name])


def test_the_commands_that_write_a_file_are_those_here() -> None:
    everything = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {name for name, each in everything.items() if {"out", "changes"} <= {p.name for p in each.params}} == set(OWN)


@pytest.mark.parametrize("command_name", OWN)
def test_every_option_has_a_value_here(command_name: str) -> None:
    known = {"set", "over", *VALUES, *OWN[command_name], *NO_SETTINGS}
    assert [name for name in options(command_name) if name not in known] == []
    assert [name for name in OWN[command_name] if name not in options(command_name)] == []


def alone(command: str, name: str) -> bool:
    """Whether an option cannot be given with all others: it needs something beside it, another file, or goes without another."""
    others = {("branch", "at"), ("worth", "singular"), ("attractors", "against")}
    return name in {"treatments", "set", "over", *IN_FILE} or (command, name) in others | set(BESIDE)


def check_content(content: dict[str, Any], command: str, name: str) -> None:
    """The file holds the option, at its place."""
    if name == "set":
        assert content["student"]["width"] == 3
    elif name == "over":
        assert content["study"]["over"] == {"levels.hard.noise": [0.4, 0.6]}
    elif command == "tickets" and name in cu.Pruning.model_fields:
        assert content["pruning"][name] == value_of(command, name)
    elif command == "branch" and name in cu.Branching.model_fields:
        assert content["branch"][name] == value_of(command, name)
    elif name in OWN[command]:
        assert content[command][name] == value_of(command, name)
    else:
        section = "study" if name in STUDY else "numerics"
        assert name in STUDY | NUMERICS
        assert content[section][name] == value_of(command, name)


def check_rerun(command_name: str, command: Command, written: Path) -> None:
    """The file that was written makes the table again, and itself."""
    second = written.parents[1] / "second"
    command(command_name, str(written), "--out", str(second), status=None)
    again = second / written.name
    assert again.read_bytes() == written.read_bytes()
    first = table(written.with_suffix(".csv"))
    assert len(first) > 0
    pd.testing.assert_frame_equal(table(again.with_suffix(".csv")), first)
    if command_name in ("compare", "integrate", "simulate"):
        assert again.with_suffix(".csv").read_bytes() == written.with_suffix(".csv").read_bytes()


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("command_name", "name"), cases())
def test_an_option_is_in_the_file_and_does_something(command_name: str, name: str, command: Command, tmp_path: Path) -> None:
    """And the file that it makes gives the same numbers, here where it is alone, else in the next test, with all others."""
    points, more = PRUNED if name == "treatments" else IN_FILE.get(name, (POINTS, ""))
    beside = BESIDE.get((command_name, name), [])
    (tmp_path / "tiny.toml").write_text(TINY.format(points=points, more=more))
    command(command_name, "tiny.toml", *beside, *as_typed(command_name, name), "--out", "first", status=None)
    written = tmp_path / "first" / f"tiny-{command_name}.toml"
    check_content(tomllib.loads(written.read_text()), command_name, name)
    first = table(written.with_suffix(".csv"))
    assert len(first) > 0
    if alone(command_name, name):
        check_rerun(command_name, command, written)
    asked = (command_name, points, more, *beside)
    if asked not in _without:
        command(command_name, "tiny.toml", *beside, "--out", "without", status=None)
        _without[asked] = table(tmp_path / "without" / f"tiny-{command_name}.csv")
    assert _without[asked].equals(first) == ((command_name, name) in SAME_NUMBERS)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("command_name", OWN)
def test_rerun_from_the_file_gives_the_same_numbers(command_name: str, command: Command, tmp_path: Path) -> None:
    """Of all options at once; what one loses on its way changes the numbers, as the test before this one has seen."""
    names = [each.values[1] for each in cases() if each.values[0] == command_name and not alone(*each.values)]
    (tmp_path / "tiny.toml").write_text(TINY.format(points=POINTS, more=""))
    typed = [word for name in names for word in as_typed(command_name, name)]
    command(command_name, "tiny.toml", *typed, "--out", "first", status=None)
    written = tmp_path / "first" / f"tiny-{command_name}.toml"
    for name in names:
        check_content(tomllib.loads(written.read_text()), command_name, name)
    check_rerun(command_name, command, written)


@pytest.mark.usefixtures("no_pictures")
def test_rerun_beside_what_made_the_file(command: Command, tmp_path: Path) -> None:
    """The same settings in the same folder: its own files are renewed, whichever way the settings were given."""
    (tmp_path / "tiny.toml").write_text(TINY.format(points=POINTS, more=""))
    command("sweep", "tiny.toml", "--seeds", "2")
    before = table(tmp_path / "curriculode-out" / "tiny-sweep.csv")
    command("sweep", "curriculode-out/tiny-sweep.toml")
    assert table(tmp_path / "curriculode-out" / "tiny-sweep.csv").equals(before)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("name", "extra"), [("compare", []), ("integrate", []), ("simulate", ["--seed", "3"])])
def test_batch_learning_is_rerun_too(name: str, extra: list[str], command: Command, tmp_path: Path) -> None:
    quick = [] if name == "integrate" else ["--dimension", "80", "--runs", "4", "--workers", "1"]
    command(name, "batch-perceptron", *quick, *extra, "-s", "training.regularization=0.3", status=None)
    written = tmp_path / "curriculode-out" / f"batch-perceptron-{name}.toml"
    command(name, str(written), "--out", "again", status=None)
    again = tmp_path / "again" / f"batch-perceptron-{name}.csv"
    assert again.read_bytes() == written.with_suffix(".csv").read_bytes()


WITHOUT = """
[sweep]
runs = 2
seeds = 2
theory = false
zip = true
"""


@pytest.mark.usefixtures("no_pictures")
def test_defaults_of_options_leave_the_file_as_it_is(command: Command, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY.format(points="noise_terms = false\nestimate_error = false\n" + POINTS, more=WITHOUT))
    for name in ("integrate", "sweep"):
        command(name, "tiny.toml")
        content = tomllib.loads((tmp_path / "curriculode-out" / f"tiny-{name}.toml").read_text())
        assert content["numerics"] == {"times": 3, "workers": 1, "noise_terms": False, "estimate_error": False, "points": 64}
        assert content["sweep"] == {"runs": 2, "seeds": 2, "theory": False, "zip": True}
    # An option that is given changes it, to the default too.
    command("integrate", "tiny.toml", "--noise-terms", "--estimate-error", "--out", "other")
    command("sweep", "tiny.toml", "--theory", "--cross", "--seeds", "1", "--runs", "0", "--noise-terms", "--out", "other")
    integrated = tomllib.loads((tmp_path / "other" / "tiny-integrate.toml").read_text())
    assert integrated["numerics"] == {"times": 3, "workers": 1, "points": 64}
    swept = tomllib.loads((tmp_path / "other" / "tiny-sweep.toml").read_text())
    assert swept["sweep"] == {"runs": 0, "seeds": 1, "theory": True, "zip": False}
    # The terms themselves.
    with_terms = table(tmp_path / "other" / "tiny-integrate.csv")
    assert not with_terms.equals(table(tmp_path / "curriculode-out" / "tiny-integrate.csv"))


@pytest.mark.usefixtures("no_pictures")
def test_the_error_of_nets_is_estimated_or_not(command: Command, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY.format(points=POINTS, more=""))
    assert "nets of 64 points" in command("integrate", "tiny.toml").out
    assert "nets of 64 points" not in command("integrate", "tiny.toml", "--no-estimate-error", "--out", "other").out


MISTAKES = [
    ("[sweep]\nzip = 'x'", "sweep", "section [sweep]: zip = 'x' is not allowed; give true or false"),
    ("[sweep]\ntheory = 'no'", "sweep", "theory = 'no' is not allowed; it must be True or False"),
    ("[sweep]\nobservables = 3", "sweep", "section [sweep]: observables = 3 is not allowed; give a list of names"),
    ("[sweep]\nobservables = [3]", "sweep", "observables = [3] is not allowed; give names, such as "),
    ("[sweep]\nruns = true", "sweep", "runs = True is not allowed; it must be a whole number of at least 0"),
    ("[sweep]\nrunz = 3", "sweep", "section [sweep]: setting 'runz' is unknown (did you mean 'runs'?); allowed: zip, seeds, "),
    ("[compare]\nquantity = 3", "compare", "section [compare]: quantity = 3 is not allowed; give a text"),
    ("[integrate]\npoints = 3", "integrate", "section [integrate]: integrate has no settings of its own; leave the section out"),
    ("[simulate]\nruns = 3", "simulate", "section [simulate]: simulate has no settings of its own; leave the section out"),
    ("x = 3", "refine", "section [refine]: x = 3 is not allowed; give a text"),
    ("gap = 3", "refine", "section [refine]: gap = 3 is not allowed; give a text"),
    ("value = 3", "refine", "section [refine]: value = 3 is not allowed; give a text"),
    ("budget = 'a'", "refine", "budget = 'a' is not allowed; it must be a whole number of at least 25"),
    ("level = 'a'", "refine", "level = 'a' is not allowed; it must be a number"),
]


@pytest.mark.parametrize(("text", "name", "message"), MISTAKES, ids=[f"{n} {t}".replace("\n", " ") for t, n, _ in MISTAKES])
def test_mistakes_in_a_section_are_one_sentence(text: str, name: str, message: str, command: Command, tmp_path: Path) -> None:
    content = TINY.format(points=POINTS, more="")
    if name == "refine":  # in its place in the section that is there
        key = text.split(" =")[0]
        lines = [text if line.startswith(f"{key} =") else line for line in content.splitlines()]
        content = "\n".join(lines if text in lines else [f"{line}\n{text}" if line == "[refine]" else line for line in lines])
    else:
        content += text
    (tmp_path / "tiny.toml").write_text(content)
    said = command(name, "tiny.toml", status=2)
    assert said.err.startswith(f"curriculode: {message}")
    assert said.err.count("\n") == 1
    assert said.out == ""
