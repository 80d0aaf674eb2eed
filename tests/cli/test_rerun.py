"""The file that a command writes beside its results makes them again: for every option of every command that writes one.

The options are those of the commands themselves: one that is added needs a value here, or a reason why it is no setting.
"""

import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

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
budget = 25
finest = 1
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
    "compare": {"quantity": "Q[0,0]"},
    "integrate": {},
    "simulate": {},
    "sweep": {
        "zip": True,
        "seeds": 2,
        "runs": 2,
        "theory": False,
        "observables": ["classification_error", "Q[0,1]"],
        "scramblings": 2,
    },
    "refine": {
        "x": "levels.hard.noise=0.3:0.7",
        "y": "training.learning_rate=0.5:3",
        "value": "classification_error",
        "level": 0.51,
        "gap": "curriculum,hard-only",
        "budget": 30,
        "finest": 2,
        "seeds": 2,
        "runs": 2,
    },
}
SET, OVER = "student.width=3", "levels.hard.noise=0.4:0.6:2"
# What an option needs beside it: in the file (in place of the fixed nets, in the command's section), on the command line.
IN_FILE = {"accuracy": ("", ""), "theory": (POINTS, "[sweep]\nruns = 2"), "seeds": (POINTS, "")}
BESIDE = {
    ("sweep", "zip"): ["--over", "student.width=1,2", "--over", "training.learning_rate=1.0,0.5"],
    ("sweep", "space"): ["--runs", "2"],
    ("refine", "space"): ["--runs", "2"],
    ("refine", "gap"): ["--seeds", "2"],
}
# Options that leave the numbers of the table as they are.
SAME_NUMBERS = {("compare", "quantity")} | {(command, "workers") for command in OWN}


def options(command: str) -> dict[str, Any]:
    """The options of a command as typer has them, by the names that users type."""
    given = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    longest = {max(each.opts, key=len): each for each in given if each.param_type_name == "option"}
    return {name.removeprefix("--").replace("-", "_"): each for name, each in longest.items()}


def cases() -> list[Any]:
    """Every command with each of its settings; processes of their own are slow."""
    slow = {("sweep", "workers"), ("refine", "workers")}
    return [
        pytest.param(command, name, id=f"{command}-{name}", marks=[pytest.mark.slow] if (command, name) in slow else [])
        for command in OWN
        for name in options(command)
        if name not in NO_SETTINGS
    ]


def as_typed(command: str, name: str) -> list[str]:
    """The option with its value here, as a user types it."""
    if name in ("set", "over"):
        return [f"--{name}", SET if name == "set" else OVER]
    value = (VALUES | OWN[command])[name]
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


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("command_name", "name"), cases())
def test_rerun_from_the_file_gives_the_same_numbers(command_name: str, name: str, command: Command, tmp_path: Path) -> None:
    points, more = IN_FILE.get(name, (POINTS, ""))
    beside = BESIDE.get((command_name, name), [])
    (tmp_path / "tiny.toml").write_text(TINY.format(points=points, more=more))
    command(command_name, "tiny.toml", *beside, *as_typed(command_name, name), "--out", "first", status=None)
    written = tmp_path / "first" / f"tiny-{command_name}.toml"
    content = tomllib.loads(written.read_text())
    if name == "set":
        assert content["student"]["width"] == 3
    elif name == "over":
        assert content["study"]["over"] == {"levels.hard.noise": [0.4, 0.6]}
    elif name in OWN[command_name]:
        assert content[command_name][name] == OWN[command_name][name]
    else:
        section = "study" if name in STUDY else "numerics"
        assert name in STUDY | NUMERICS
        assert content[section][name] == VALUES[name]
    command(command_name, str(written), "--out", "second", status=None)
    again = tmp_path / "second" / f"tiny-{command_name}"
    assert again.with_suffix(".toml").read_bytes() == written.read_bytes()
    first = table(written.with_suffix(".csv"))
    assert len(first) > 0
    pd.testing.assert_frame_equal(table(again.with_suffix(".csv")), first)
    if command_name in ("compare", "integrate", "simulate"):
        assert again.with_suffix(".csv").read_bytes() == written.with_suffix(".csv").read_bytes()
    # An option that is asked for does something.
    command(command_name, "tiny.toml", *beside, "--out", "without", status=None)
    without = table(tmp_path / "without" / f"tiny-{command_name}.csv")
    assert without.equals(first) == ((command_name, name) in SAME_NUMBERS)
