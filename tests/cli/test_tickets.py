"""`curriculode tickets`."""

import json
from pathlib import Path

import pandas as pd
import pytest

import curriculode as cu

from .conftest import Command

QUICK = ["-D", "150", "--runs", "6", "-s", "protocol.duration=1.0", "--times", "3", "--points", "64"]


@pytest.mark.usefixtures("no_pictures")
def test_tickets_by_theory_and_simulation(command: Command, tmp_path: Path) -> None:
    said = command("tickets", *QUICK, "--keep", "0.3", "--treatments", "ticket,fine-tune", "--rewind", "0.5")
    assert "agree at D = 150" in said.out
    folder = tmp_path / "curriculode-out"
    table = pd.read_csv(folder / "xor-curriculum-tickets.csv")
    assert set(table["treatment"]) == {"dense", "ticket", "fine-tune"}
    study = cu.Study.load(folder / "xor-curriculum-tickets.toml")
    assert study.pruning == cu.Pruning(keep=0.3, rewind=0.5)
    again = command("tickets", str(folder / "xor-curriculum-tickets.toml"), "--out", "again")
    assert again.status == 0
    assert pd.read_csv(tmp_path / "again" / "xor-curriculum-tickets.csv").equals(table)


@pytest.mark.usefixtures("no_pictures")
def test_tickets_as_json(command: Command) -> None:
    content = json.loads(command("tickets", *QUICK, "--theory", "--json").out)
    assert content["by"] == "theory"
    assert [row["treatment"] for row in content["treatments"]] == ["dense", "ticket", "reinit", "random"]
    assert content["pruning"]["keep"] == 0.2


@pytest.mark.usefixtures("no_pictures")
def test_a_file_with_a_pruning_is_compared_and_swept_pruned(command: Command, tmp_path: Path) -> None:
    """[pruning] in a file: the same verdict by `compare`, rows of treatments by `sweep`, and their prizes by `diagram`."""
    study = cu.Study.load("xor-curriculum").set(pruning=cu.Pruning(keep=0.3), over={})
    (tmp_path / "pruned.toml").write_text(study.to_toml())
    said = json.loads(command("compare", "pruned.toml", *QUICK, "--treatments", "ticket", "--json").out)
    assert [row["treatment"] for row in said["cells"]] == ["dense", "ticket"]
    assert said["agrees"]
    grid = ["--over", "pruning.keep=0.1,0.4", "--over", "student.width=3,4"]
    command(
        "sweep",
        "pruned.toml",
        "-D",
        "150",
        "-s",
        "protocol.duration=1.0",
        "--points",
        "64",
        *grid,
        "--seeds",
        "3",
        "--workers",
        "1",
    )
    table = pd.read_csv(tmp_path / "curriculode-out" / "pruned-sweep.csv")
    assert len(table) == 2 * 2 * 3 * 4
    axes = ["--x", "student.width", "--y", "pruning.keep", "--gap", "reinit,ticket"]
    content = json.loads(command("diagram", "curriculode-out/pruned-sweep.csv", *axes, "--json").out)
    assert len(content["table"]["p_value"]) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--keep", "2"], "Pruning: keep = 2.0 is not allowed; it must be at most 1"),
        (["--rewind", "7"], "rewind = 7 is not allowed; it must lie in [0, 1]"),
        (["--treatments", "tricket"], "treatment 'tricket' is unknown (did you mean 'ticket'?)"),
        (["--rounds", "200"], "rounds = 200 is not allowed; a unit has 150 weights"),
    ],
)
def test_mistakes_are_one_sentence(command: Command, arguments: list[str], words: str) -> None:
    assert words in command("tickets", *QUICK, *arguments, status=2).err


def test_batch_learning_is_not_pruned(command: Command) -> None:
    said = command("tickets", "batch-perceptron", status=2)
    assert "batch learning is not pruned" in said.err
