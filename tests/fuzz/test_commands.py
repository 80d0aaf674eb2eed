"""Random command lines: exit status 0, 1 or 2, and for 2 one sentence on standard error and nothing else."""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curriculode.cli import main
from tests.fuzz.outcomes import counts, fuzzed, one_sentence

CHEAP = ["-s", "protocol.duration=0.2"]
ONLINE = ["-D", "60", "--points", "64"]
BASE = {
    "compare": [*CHEAP, *ONLINE, "--runs", "4", "--starts", "1", "--times", "2", "--over", "student.width=2"],
    "integrate": [*CHEAP, *ONLINE, "--times", "2"],
    "simulate": [*CHEAP, "-D", "60", "--runs", "2", "--times", "2"],
    "sweep": [*CHEAP, *ONLINE, "--over", "student.width=2,3", "--workers", "1"],
    "refine": [
        *(*CHEAP, *ONLINE, "--x", "levels.hard.noise=0.3:0.5", "--y", "training.learning_rate=1:2", "--level", "0.4"),
        *("--budget", "25", "--finest", "1", "--workers", "1"),
    ],
    "merge": [],
    "diagram": ["table.csv", "--x", "student.width", "--y", "levels.hard.noise"],
    "figure": ["--list"],
    "equations": [],
    "experiments": [],
}
OPTIONS = {
    "dimension": ["-D", "--dimension"],
    "text": ["-s", "--set", "--over", "--x", "--y", "--value", "--gap", "--where", "--levels", "--quantity", "--observables"],
    "number": [
        *("--seed", "--runs", "--starts", "--seeds", "--times", "--points", "--scrambling", "--scramblings", "--rtol", "--atol"),
        *("--accuracy", "--level", "--budget", "--finest", "--scale"),
    ],
    "name": ["--space", "--averages", "--method", "--spacing", "--shard"],
    "file": ["--store", "--csv", "--out"],
    "flag": ["--json", "--quiet", "--force", "--status", "--retry", "--zip", "--no-theory", "--no-noise-terms", "--list", "--help"],
}
NUMBERS = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "4",
    "64",
    "0.5",
    "1e-3",
    "nan",
    "inf",
    "-inf",
    "1e300",
    "5e-324",
    "9" * 5000,
    "1e400",
    "0x10",
    "²",
]
PARAMETERS = [
    *("student.width", "student.activation", "student.weight_scale", "student.readout_scale", "student.readout"),
    *("training.learning_rate", "training.weight_decay", "training.loss", "training.kind", "protocol.order", "protocol.duration"),
    *("levels.easy.share", "levels.hard.noise", "levels.hard.share", "task.separation", "task.faded_fraction", "task.kind", "task"),
    *("study.runs", "numerics.rtol", "levels", "levels.none.noise", "student.widht", "", ".", "a.b.c.d", "\udc80"),
]
WORDS = [
    *NUMBERS,
    *("", " ", "true", "gelu", "relu", "quadratic", "curriculum", "random", "stages", "overlap", "weight", "auto", "RK23", "Radau"),
    *("classification_error", "accuracy", "Q[0,0]", "M[0,1]", "v[9]", "failed", "logarithmic", "closed form", "1/2", "3/2", "0/0"),
    *(
        "[",
        "[1,2]",
        "[[" * 1500,
        "{",
        "'",
        '"',
        "a" * 400,
        "1:2",
        "1:2:3",
        "1:2:log",
        "0.1:0.2:2",
        "1,2",
        ",",
        "\\",
        "\n",
        "é",
        "\udc80",
    ),
    *("curriculum,random", "random,random", "1/sqrt(K)", "1979-05-27", "None", "-", "--", "=", "hinge", "logistic", "squared"),
]
FILES = [
    *(
        "folder",
        "notes.txt",
        "table.csv",
        "broken.csv",
        "new.sqlite",
        "text.sqlite",
        "empty.sqlite",
        "none/x",
        "",
        ".",
        "x" * 300,
        "a\nb",
    ),
    *("broken.toml", "other.toml", "new.csv", "new.parquet", "/dev/null", "/dev/full", "\udc80"),
]
NAMES = ["xor-curriculum", "committee-plateau", "batch-perceptron", "xor-lottery", "nothing", *FILES]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command that works, with options and arguments of all kinds added, changed and taken away."""
    command = draw(st.sampled_from(list(BASE)))
    arguments = list(BASE[command])
    # Later options win, so that a line stays cheap unless the one that makes it so is itself replaced by another value.
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(list(OPTIONS)))
        option = draw(st.sampled_from(OPTIONS[kind]))
        if kind == "flag":
            arguments.append(option)
            continue
        value = draw(st.sampled_from({"text": WORDS, "number": NUMBERS, "dimension": NUMBERS, "name": WORDS, "file": FILES}[kind]))
        if kind == "text" and draw(st.booleans()):
            value = f"{draw(st.sampled_from(PARAMETERS))}={value}"
        arguments += [option, value]
    if draw(st.integers(0, 3)) == 0:
        arguments.insert(0, draw(st.sampled_from([*NAMES, *WORDS])))
    if arguments and draw(st.integers(0, 9)) == 0:
        del arguments[draw(st.integers(0, len(arguments) - 1))]
    return [command, *arguments]


@pytest.fixture(scope="module", autouse=True)
def folder() -> Iterator[Path]:
    """Where the commands stand: a table, and files that are in the way or broken. Pictures are made, and not written."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        Path("folder").mkdir()
        Path("notes.txt").write_text("notes")
        Path("text.sqlite").write_text("no store" * 100)
        Path("empty.sqlite").write_text("")
        Path("broken.csv").write_text('a,b\n1\n2,3,4\n"')
        Path("broken.toml").write_text("[task\nkind = ")
        Path("other.toml").write_text("[task]\nkind = 3\n")
        rows = [
            f"{width},{noise},random,{seed},0.{width}{seed},False" for width in (2, 4) for noise in (0.1, 0.2) for seed in (1, 2)
        ]
        Path("table.csv").write_text(
            "\n".join(["student.width,levels.hard.noise,protocol.order,seed,classification_error,failed", *rows])
        )
        nothing = mock.patch("matplotlib.figure.Figure.savefig", lambda self, path, **_: Path(path).write_bytes(b"picture"))
        with nothing:
            yield Path(name)
        os.chdir(before)


def said(arguments: list[str]) -> tuple[int, str, str]:
    """Status, standard output and standard error of a command."""
    out, error = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["curriculode", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
        pytest.raises(SystemExit) as left,
    ):
        main()
    code = left.value.code
    return (code if isinstance(code, int) else 0), out.getvalue(), error.getvalue()


@given(line=command_lines())
@fuzzed(180)
def test_command_lines(line: list[str]) -> None:
    notes = Path("notes.txt").read_text(), Path("table.csv").read_text()
    status, out, error = said(line)
    counts[f"{line[0]}: {status}"] += 1
    assert status in (0, 1, 2), (line, status, error)
    if status == 2:
        assert error.startswith("curriculode: "), (line, error)
        one_sentence(error.removeprefix("curriculode: ").removesuffix("\n"))
    if status == 1:
        assert line[0] in ("compare", "integrate", "simulate", "sweep"), (line, out)
    assert "Traceback" not in out + error
    if "--force" not in line:  # what was there is as it was
        assert (Path("notes.txt").read_text(), Path("table.csv").read_text()) == notes
