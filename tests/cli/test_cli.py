"""The command line as a user meets it: real processes, real files."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest

import curriculode as cu

QUICK = ["--dimension", "60", "-s", "protocol.duration=1.0", "--times", "4", "--points", "64"]


def run(*arguments: str, cwd: Path, status: int = 0, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "curriculode", *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout
    )
    assert result.returncode == status, result.stdout + result.stderr
    return result


def test_compare_writes_table_picture_and_settings(tmp_path: Path) -> None:
    result = run("compare", *QUICK, "--runs", "8", cwd=tmp_path)
    assert "theory and simulation agree at D = 60" in result.stdout
    assert result.stderr == ""  # no terminal, no progress bar
    folder = tmp_path / "curriculode-out"
    table = pd.read_csv(folder / "xor-curriculum-compare.csv")
    assert set(table["protocol.order"]) == {"curriculum", "random", "hard-only"}
    assert {"theory", "simulation", "standard_error", "deviation_in_inverse_root_D"} <= set(table.columns)
    assert (folder / "xor-curriculum-compare.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "xor-curriculum-compare.pdf").read_bytes().startswith(b"%PDF")
    study = cu.Study.load(folder / "xor-curriculum-compare.toml")
    assert (study.dimension, study.runs) == (60, 8)
    # The settings file makes the same numbers again.
    run("compare", str(folder / "xor-curriculum-compare.toml"), "--out", "again", cwd=tmp_path)
    again = pd.read_csv(tmp_path / "again" / "xor-curriculum-compare-compare.csv")
    pd.testing.assert_frame_equal(table, again)


def test_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    result = run("compare", *QUICK, "--runs", "4", "-s", "student.width=2", "--json", cwd=tmp_path)
    content = json.loads(result.stdout)
    assert content["agrees"] is True
    assert len(content["cells"]) == 3
    assert len(content["gaps"]) == 3
    assert all((tmp_path / name).exists() for name in content["files"])
    assert json.loads(run("experiments", "--json", cwd=tmp_path).stdout)["experiments"] == sorted(
        json.loads(run("experiments", "--json", cwd=tmp_path).stdout)["experiments"]
    )
    integrated = json.loads(run("integrate", *QUICK, "--json", cwd=tmp_path).stdout)
    assert integrated["success"] is True
    assert len(integrated["trajectory"]["t"]) == 4
    simulated = json.loads(run("simulate", *QUICK, "--runs", "3", "--space", "weight", "--json", cwd=tmp_path).stdout)
    assert simulated["runs"] == 3
    assert simulated["statistics"]["space"] == "weight"


def test_integrate_and_simulate_print_tables(tmp_path: Path) -> None:
    assert "first order by bivariate normal cdf, noise term by quasi-Monte Carlo" in run("integrate", *QUICK, cwd=tmp_path).stdout
    assert "5 of 5 runs finished" in run("simulate", *QUICK, "--runs", "5", cwd=tmp_path).stdout
    assert len(pd.read_csv(tmp_path / "curriculode-out" / "xor-curriculum-simulate.csv")) == 20


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    arguments = ["integrate", *QUICK, "--out", "out"]
    run(*arguments, cwd=tmp_path)
    run(*arguments, cwd=tmp_path)  # the same command and experiment may renew its files
    refused = run(*arguments, "-s", "student.width=3", cwd=tmp_path, status=2)
    assert "was not made by this command with these settings; use --force" in refused.stderr
    picture = tmp_path / "out" / "xor-curriculum-integrate.csv"
    picture.write_text("my own notes")
    assert "use --force" in run(*arguments, cwd=tmp_path, status=2).stderr
    assert picture.read_text() == "my own notes"
    run(*arguments, "--force", cwd=tmp_path)
    assert picture.read_text() != "my own notes"
    (tmp_path / "file").write_text("x")
    assert "is a file; give the name of a folder" in run("integrate", *QUICK, "--out", "file", cwd=tmp_path, status=2).stderr
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".") and p.name != ".curriculode.json"]


def test_disagreement_has_exit_status_one(tmp_path: Path) -> None:
    wild = ["-s", "student.activation=quadratic", "-s", "student.readout=fixed", "-s", "training.learning_rate=30.0"]
    options = ["--dimension", "60", "--runs", "4", "--times", "4", "--points", "64", "--over", "student.width=4"]
    result = run("compare", *options, *wild,
                 cwd=tmp_path, status=1)  # fmt: skip
    assert "cannot be compared to the end" in result.stdout
    assert "diverged" in run("integrate", "--dimension", "60", *wild, "--points", "64", cwd=tmp_path, status=1).stdout


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
    (["experiments", "nope"], "is not built in; allowed: "),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_sentence_and_status_two(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run(*arguments, cwd=tmp_path, status=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


BAD_FILES = [
    ("", "lacks the section [task]"),
    ("[task", "is not valid TOML"),
    ("{text}[extra]\nx = 1\n", "section 'extra' is unknown"),
    ("{text}\n[levels.third]\nnoize = 1\n", "'noize' is unknown (did you mean 'noise'?)"),
]


@pytest.mark.parametrize(("content", "message"), BAD_FILES)
def test_bad_files(content: str, message: str, tmp_path: Path) -> None:
    from curriculode.theory.describe.experiment import experiment_text

    (tmp_path / "mine.toml").write_text(content.replace("{text}", experiment_text("xor-curriculum")))
    result = run("compare", "mine.toml", cwd=tmp_path, status=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_experiment_printed_is_an_experiment_to_start_from(tmp_path: Path) -> None:
    text = run("experiments", "xor-curriculum", cwd=tmp_path).stdout
    (tmp_path / "mine.toml").write_text(text)
    run("integrate", "mine.toml", *QUICK, cwd=tmp_path)
    assert (tmp_path / "curriculode-out" / "mine-integrate.csv").exists()
    assert "xor-curriculum" in run("experiments", cwd=tmp_path).stdout


def test_equations_in_text_and_latex(tmp_path: Path) -> None:
    text = run("equations", cwd=tmp_path).stdout
    assert "d/dt(v[k]) = -η*E(e*g[k])" in text
    assert "stage from t = 0 to 5: 1 easy" in text
    assert run("equations", "xor-lottery", "--latex", cwd=tmp_path).stdout.startswith("\\begin{align}")
    assert len(json.loads(run("equations", "perceptron-curriculum", "--json", cwd=tmp_path).stdout)["equations"]) == 2


def test_batch_learning_by_the_same_commands(tmp_path: Path) -> None:
    quick = ["batch-perceptron", "--dimension", "80", "--runs", "6"]
    compared = json.loads(run("compare", *quick, "--json", cwd=tmp_path).stdout)
    assert compared["agrees"] is True
    assert [row["gap"] for row in compared["gaps"]][1] == "curriculum - random"
    assert set(pd.read_csv(tmp_path / "curriculode-out" / "batch-perceptron-compare.csv")["t"]) == {1.0, 2.0}
    theory = run("integrate", "batch-perceptron", cwd=tmp_path).stdout
    assert "all 2 slices converged" in theory
    integrated = json.loads(run("integrate", "batch-perceptron", "--json", cwd=tmp_path).stdout)
    assert integrated["trajectory"]["classification_error"][-1] == pytest.approx(0.16054, abs=1e-5)
    assert "6 of 6 runs finished, each weight within" in run("simulate", *quick, cwd=tmp_path).stdout
    text = run("equations", "batch-perceptron", cwd=tmp_path).stdout
    assert "R = (R_prev*gamma_prev + T*mhat)/(G + Vhat[rel])" in text
    assert "slice 2: α = 1 hard;  gamma = 0.1, gamma_prev = 1" in text
    refused = run("compare", *quick, "-s", "training.regularization=0", "--out", "other", cwd=tmp_path, status=2).stderr
    assert "use a regularization above 0" in refused
    for command, option in (("integrate", "--points=64"), ("simulate", "--space=weight"), ("compare", "--times=5")):
        unused = run(command, "batch-perceptron", option, "--out", "other", cwd=tmp_path, status=2).stderr
        assert f"{option.split('=')[0]} is for online learning" in unused


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["compare"],
        ["integrate"],
        ["simulate"],
        ["experiments"],
        ["figure"],
        ["equations"],
        ["sweep"],
        ["merge"],
        ["diagram"],
        ["refine"],
    ],
)
def test_help_teaches(command: list[str], tmp_path: Path) -> None:
    result = run(*command, "--help", cwd=tmp_path)
    assert "Usage: curriculode" in result.stdout
    assert len(result.stdout.splitlines()) > 8
    assert run("--version", cwd=tmp_path).stdout.strip() == f"curriculode {cu.__version__}"


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
                    "--over", "student.width=2,30", "-s", "protocol.duration=20.0", "--json"]
        main()
        """
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert result.returncode == 130, result.stderr
    content = json.loads(result.stdout)
    assert content["status"] == "1 of 2 cells finished, then the comparison was interrupted"
    assert set(pd.read_csv(tmp_path / "curriculode-out" / "xor-curriculum-compare-partial.csv")["student.width"]) == {2}
