"""`curriculode attractors`: the sentence, the files, and bad input."""

import json
from pathlib import Path

import pandas as pd

from .conftest import Command

SMALL = ["xor-curriculum", "-s", "training.weight_decay=0.1", "-s", "student.width=2", "-s", "protocol.duration=5"]


def test_where_students_end(command: Command, tmp_path: Path) -> None:
    told = command(
        "attractors", *SMALL, "--starts", "3", "--points", "64", "--orders", "curriculum,random", "--json", "--out", "out"
    )
    content = json.loads(told.out)
    assert content["by"] == "theory"
    assert "attractor" in content["sentence"]
    assert sum(row["frequency"] for row in content["odds"] if row["order"] == "random") == 1.0
    written = {Path(path).name for path in content["files"]}
    stem = "xor-curriculum-attractors"
    assert {f"{stem}{suffix}" for suffix in (".csv", ".png", ".pdf", ".toml", "-odds.csv", "-kinds.csv", "-gap.csv")} == written
    gap = pd.read_csv(tmp_path / "out" / f"{stem}-gap.csv")
    assert (gap["gap"] - gap["lottery"] - gap["speed"]).abs().max() < 1e-12


def test_bad_input_is_one_sentence(command: Command) -> None:
    told = command("attractors", *SMALL, "--orders", "backwards", status=2)
    assert "order 'backwards' is unknown" in told.err
    assert "online" in command("attractors", "batch-perceptron", status=2).err


def test_odds_in_two_ways(command: Command, tmp_path: Path) -> None:
    few = ["attractors", *SMALL, "--starts", "3", "-D", "60", "--points", "64", "--orders", "random", "--until", "40"]
    told = json.loads(command(*few, "--against", "overlap", "--json", "--out", "out").out)
    assert told["agrees"] is True
    assert "by theory and overlap agree (3 and 3 starts" in told["verdict"]
    table = pd.read_csv(tmp_path / "out" / "xor-curriculum-attractors-against.csv")
    assert table["first"].sum() == table["second"].sum() == 1.0
    assert "how the odds are found already" in command(*few, "--against", "theory", status=2).err
