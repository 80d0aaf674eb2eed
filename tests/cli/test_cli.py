"""The command line as a user meets it: what is said, what is written, and with which exit status."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest
import typer

import curriculode as cu
from curriculode.cli.app import app

from .conftest import Command

QUICK = ["--dimension", "60", "-s", "protocol.duration=1.0", "-s", "student.width=2", "--times", "4", "--points", "64"]


def test_compare_writes_table_picture_and_settings(command: Command, tmp_path: Path) -> None:
    said = command("compare", *QUICK, "--runs", "8")
    assert "theory and simulation agree at D = 60" in said.out
    assert said.err == ""  # no terminal, no progress bar
    folder = tmp_path / "curriculode-out"
    table = pd.read_csv(folder / "xor-curriculum-compare.csv")
    assert set(table["protocol.order"]) == {"curriculum", "random", "hard-only"}
    assert {"theory", "simulation", "standard_error", "deviation_in_inverse_root_D"} <= set(table.columns)
    assert (folder / "xor-curriculum-compare.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "xor-curriculum-compare.pdf").read_bytes().startswith(b"%PDF")
    study = cu.Study.load(folder / "xor-curriculum-compare.toml")
    assert (study.dimension, study.runs) == (60, 8)


@pytest.mark.usefixtures("no_pictures")
def test_json_is_one_object_and_nothing_else(command: Command, tmp_path: Path) -> None:
    result = command("compare", *QUICK, "--runs", "4", "--json")
    content = json.loads(result.out)
    assert content["agrees"] is True
    assert len(content["cells"]) == 3
    assert len(content["gaps"]) == 3
    assert all((tmp_path / name).exists() for name in content["files"])
    assert json.loads(command("experiments", "--json").out)["experiments"] == sorted(
        json.loads(command("experiments", "--json").out)["experiments"]
    )
    integrated = json.loads(command("integrate", *QUICK, "--json").out)
    assert integrated["success"] is True
    assert len(integrated["trajectory"]["t"]) == 4
    simulated = json.loads(command("simulate", *QUICK, "--runs", "3", "--space", "weight", "--json").out)
    assert simulated["runs"] == 3
    assert simulated["statistics"]["space"] == "weight"


@pytest.mark.usefixtures("no_pictures")
def test_integrate_and_simulate_print_tables(command: Command, tmp_path: Path) -> None:
    assert "first order by bivariate normal cdf, noise term by quasi-Monte Carlo" in command("integrate", *QUICK).out
    assert "5 of 5 runs finished" in command("simulate", *QUICK, "--runs", "5").out
    assert len(pd.read_csv(tmp_path / "curriculode-out" / "xor-curriculum-simulate.csv")) == 20


@pytest.mark.usefixtures("no_pictures")
def test_nothing_is_overwritten_unasked(command: Command, tmp_path: Path) -> None:
    arguments = ["integrate", *QUICK, "--out", "out"]
    command(*arguments)
    command(*arguments)  # the same command and experiment may renew its files
    refused = command(*arguments, "-s", "student.activation=erf", status=2)
    assert "was not made by this command with these settings; use --force" in refused.err
    picture = tmp_path / "out" / "xor-curriculum-integrate.csv"
    picture.write_text("my own notes")
    assert "use --force" in command(*arguments, status=2).err
    assert picture.read_text() == "my own notes"
    command(*arguments, "--force")
    assert picture.read_text() != "my own notes"
    (tmp_path / "file").write_text("x")
    assert "is a file; give the name of a folder" in command("integrate", *QUICK, "--out", "file", status=2).err
    assert not [
        p
        for p in (tmp_path / "out").iterdir()
        if p.name.startswith(".") and p.name not in (".curriculode.json", ".curriculode.lock")
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_disagreement_has_exit_status_one(command: Command) -> None:
    wild = ["-s", "student.activation=quadratic", "-s", "student.readout=fixed", "-s", "training.learning_rate=300.0"]
    options = ["--dimension", "60", "--runs", "4", "--times", "4", "--points", "64", "--over", "student.width=2"]
    wild += ["-s", "protocol.duration=2.0"]
    result = command("compare", *options, *wild, status=1)
    assert "cannot be compared to the end" in result.out
    assert "diverged" in command("integrate", *options[:2], *wild, "-s", "student.width=2", "--points", "64", status=1).out


BAD = [
    (["compare", "nope"], "experiment 'nope' is unknown; allowed: "),
    (["compare", "--runs", "abc"], "Invalid value for '--runs'"),
    (["compare", "--bogus"], "No such option: --bogus"),
    (["dance"], "No such command 'dance'"),
    (["compare", "-s", "student.width=0"], "width = 0 is not allowed; it must be at least 1"),
    (["compare", "-s", "levels.hard.noise=-1"], "noise = -1 is not allowed; it must be at least 0"),
    (
        ["compare", "-s", "levels.hard.share=0.5"],
        "the shares of the levels (easy 0.1, hard 0.5) sum to 0.6; they must sum to 1",
    ),
    (["compare", "-s", "width"], "write NAME=VALUE"),
    (["compare", "--over", "student.width=1:2"], "a range is a:b:n"),
    (["compare", "--over", "student.width=4", "--over", "student.width=5"], "given twice"),
    (["compare", "-D", "5"], "D = 5 is too small"),
    (
        ["compare", "--quantity", "happiness"],
        "quantity 'happiness' is unknown; allowed: accuracy, generalization_error",
    ),
    (["compare", "--starts", "9", "--runs", "3"], "starts = 9 is more than runs = 3"),
    (["simulate", "--space", "fourier"], "space 'fourier' is unknown; allowed: overlap, weight"),
    (["integrate", "--points", "1000"], "needs a power of two"),
    (["integrate", "--method", "Euler"], "method 'Euler' is unknown"),
    (["integrate", "--rtol", "0"], "a tolerance lies between 1e-14 and 1"),
    (["experiments", "nope"], "built-in experiment 'nope' is unknown; allowed: "),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_sentence_and_status_two(arguments: list[str], message: str, command: Command) -> None:
    result = command(*arguments, status=2)
    assert message in result.err
    assert result.err.count("\n") == 1
    assert result.out == ""


BAD_FILES = [
    ("", "lacks the section [task]"),
    ("[task", "is not valid TOML"),
    ("{text}[extra]\nx = 1\n", "section 'extra' is unknown"),
    ("{text}\n[levels.third]\nnoize = 1\n", "'noize' is unknown (did you mean 'noise'?)"),
]


@pytest.mark.parametrize(("content", "message"), BAD_FILES)
def test_bad_files(content: str, message: str, command: Command, tmp_path: Path) -> None:
    from curriculode.theory.describe.experiment import experiment_text

    (tmp_path / "mine.toml").write_text(content.replace("{text}", experiment_text("xor-curriculum")))
    result = command("compare", "mine.toml", status=2)
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.usefixtures("no_pictures")
def test_an_experiment_printed_is_an_experiment_to_start_from(command: Command, tmp_path: Path) -> None:
    text = command("experiments", "xor-curriculum").out
    (tmp_path / "mine.toml").write_text(text)
    command("integrate", "mine.toml", *QUICK)
    assert (tmp_path / "curriculode-out" / "mine-integrate.csv").exists()
    assert "xor-curriculum" in command("experiments").out


def test_equations_in_text_and_latex(command: Command) -> None:
    text = command("equations").out
    assert "d/dt(v[k]) = -η*E(e*g[k])" in text
    assert "stage from t = 0 to 5: 1 easy" in text
    assert command("equations", "xor-lottery", "--latex").out.startswith("\\begin{align}")
    assert len(json.loads(command("equations", "perceptron-curriculum", "--json").out)["equations"]) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_batch_learning_by_the_same_commands(command: Command, tmp_path: Path) -> None:
    quick = ["batch-perceptron", "--dimension", "80", "--runs", "6"]
    compared = json.loads(command("compare", *quick, "--json").out)
    assert compared["agrees"] is True
    assert [row["gap"] for row in compared["gaps"]][1] == "curriculum - random"
    assert set(pd.read_csv(tmp_path / "curriculode-out" / "batch-perceptron-compare.csv")["t"]) == {1.0, 2.0}
    theory = command("integrate", "batch-perceptron").out
    assert "all 2 slices converged" in theory
    integrated = json.loads(command("integrate", "batch-perceptron", "--json").out)
    assert integrated["trajectory"]["classification_error"][-1] == pytest.approx(0.16054, abs=1e-5)
    assert "6 of 6 runs finished, each weight within" in command("simulate", *quick).out
    text = command("equations", "batch-perceptron").out
    assert "R = (R_prev*gamma_prev + T*mhat)/(G + Vhat[rel])" in text
    assert "slice 2: α = 1 hard;  gamma = 0.1, gamma_prev = 1" in text
    refused = command("compare", *quick, "-s", "training.regularization=0", "--out", "other", status=2).err
    assert "use a regularization above 0" in refused
    for name, option in (("integrate", "--points=64"), ("simulate", "--space=weight"), ("compare", "--times=5")):
        unused = command(name, "batch-perceptron", option, "--out", "other", status=2).err
        assert f"{option.split('=')[0]} is for online learning" in unused


COMMANDS = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_teaches(name: str, command: Command) -> None:
    said = command(*([name] if name else []), "--help").out
    assert "Usage: curriculode" in said
    assert len(said.splitlines()) > 8
    assert ("Example: " in said) == bool(name)
    if not name:
        assert [each for each in COMMANDS if f"\n  {each} " not in said] == []
        assert command().out == said  # without any arguments
        assert command("--version").out.strip() == f"curriculode {cu.__version__}"


@pytest.mark.slow
def test_interrupted_compare_keeps_finished_cells(tmp_path: Path) -> None:
    """A real SIGINT in the second of two cells: the numbers of the first are written, and the exit status is 130."""
    script = textwrap.dedent(
        """
        import os, signal, sys
        from curriculode.cli import main
        from curriculode.sims.runs.progress import Progress
        fired = []
        def update(self, done):
            if done > 0.505 and not fired:
                fired.append(done)
                os.kill(os.getpid(), signal.SIGINT)
        Progress.update = update
        sys.argv = ["curriculode", "compare", "--dimension", "60", "--runs", "4", "--starts", "1", "--times", "3", "--points", "64",
                    "--over", "student.width=2,30", "-s", "protocol.duration=20.0", "--workers", "1", "--json"]
        main()
        """
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert result.returncode == 130, result.stderr
    content = json.loads(result.stdout)
    assert content["status"] == "1 of 2 cells finished, then the comparison was interrupted"
    assert set(pd.read_csv(tmp_path / "curriculode-out" / "xor-curriculum-compare-partial.csv")["student.width"]) == {2}
