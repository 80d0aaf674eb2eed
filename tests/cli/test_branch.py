"""`curriculode branch`."""

import json
from pathlib import Path

import pandas as pd
import pytest

from .conftest import Command

QUICK = ["-D", "150", "--runs", "8", "-s", "protocol.duration=1.0", "-s", "student.width=2", "--times", "3", "--points", "64"]


@pytest.mark.usefixtures("no_pictures")
def test_two_copies_by_theory_and_simulation(command: Command, tmp_path: Path) -> None:
    said = command("branch", *QUICK, "--at", "0.5", "--quantity", "X[0,0]")
    assert "theory and simulation agree at D = 150" in said.out
    table = pd.read_csv(tmp_path / "curriculode-out" / "xor-curriculum-branch.csv")
    assert {"X[0,1]", "Q[0,0]", "copy-2 M[1,0]"} <= set(table["quantity"])
    again = command("branch", str(tmp_path / "curriculode-out" / "xor-curriculum-branch.toml"), "--out", "again")
    assert again.status == 0
    assert pd.read_csv(tmp_path / "again" / "xor-curriculum-branch.csv").equals(table)


@pytest.mark.usefixtures("no_pictures")
def test_the_instability_curve_is_given_as_json(command: Command) -> None:
    content = json.loads(command("branch", *QUICK, "--at", "0,0.5", "--json").out)
    assert [row["at"] for row in content["instability"]] == [0.0, 0.5]
    assert content["dimension"] == 150
    alone = json.loads(command("branch", *QUICK, "--theory", "--match", "--json", "--out", "other").out)
    assert alone["agrees"] is True
    assert len(alone["theory"]["barrier"]) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "7"], "at = 7.0 is not allowed; copies part within the protocol, from 0 to below its duration 1"),
        (["--at", "a"], "at = ['a'] is not allowed; it must be an array of numbers"),
        (["--examples", "sames"], "Branching: examples 'sames' is unknown (did you mean 'same'?)"),
        (["--space", "diffusion"], 'space = "diffusion" knows no second copy'),
        (["--at", "0,0.5", "--quantity", "X[0,0]"], "quantity = 'X[0,0]' is not allowed; give barrier or midpoint"),
    ],
)
def test_mistakes_are_one_sentence(command: Command, arguments: list[str], words: str) -> None:
    assert words in command("branch", *QUICK, *arguments, status=2).err


def test_batch_learning_has_no_copies(command: Command) -> None:
    assert "batch learning has no copies that part" in command("branch", "batch-perceptron", status=2).err
