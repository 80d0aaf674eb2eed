"""`curriculode networks` and `curriculode data`: results, files that make them again, sentences."""

import importlib.util
import json
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import typer

from curriculode.cli.networks import app

from .conftest import Command

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jax", "sklearn")), reason="the extra networks is not installed"
)

TINY = """
[data]
name = "digits"
test = 40
[network]
width = 4
[training]
learning_rate = 0.05
[protocol]
order = "curriculum"
duration = 0.5
[levels.easy]
share = 0.25
pixel_noise = 0.0
[levels.hard]
pixel_noise = 1.0
[study]
runs = 2
"""
NO_SETTINGS = {"out", "force", "json", "quiet", "help", "store", "workers"}
SHARED = {"set": "network.width=3", "runs": "3", "first": "2", "seed": "5", "data": "elsewhere"}
OWN = {
    "compare": {
        "over": "training.learning_rate=0.02,0.1",
        "orders": "random,curriculum,hard-only",
        "rates": "0.01,0.1",
        "scan": "2",
    },
    "train": {"times": "4"},
    "tickets": {
        **{"keep": "0.4", "rounds": "2", "rewind": "0.2", "criterion": "movement", "scope": "layer"},
        "treatments": "ticket,signs",
    },
    "instability": {"at": "0,0.25", "match": ""},
}
BESIDE = {("compare", "scan"): ["--rates", "0.01,0.1"]}
# What leaves the numbers as they are: digits are in no folder, and two copies this close are matched as they are.
SAME = {("instability", "match")} | {(command, "data") for command in OWN}


def options(command: str) -> set[str]:
    """The options of a command as users type them."""
    given = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    longest = [max(each.opts, key=len) for each in given if each.param_type_name == "option"]
    return {name.removeprefix("--") for name in longest}


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)


@pytest.mark.parametrize("name", OWN)
def test_every_option_has_a_value_here(name: str) -> None:
    assert options(name) - NO_SETTINGS == {*SHARED, *OWN[name]}


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("name", OWN)
def test_the_file_beside_the_results_makes_them_again(name: str, command: Command, tmp_path: Path) -> None:
    command("networks", name, "tiny.toml", "--out", "plain", "-q")
    plain = pd.read_csv(tmp_path / "plain" / f"tiny-{name}.csv")
    for option, value in {**SHARED, **OWN[name]}.items():
        given = [f"--{option}", value] if value else [f"--{option}"]
        command("networks", name, "tiny.toml", *given, *BESIDE.get((name, option), []), "--out", option, "-q")
        first = tmp_path / option / f"tiny-{name}.csv"
        command("networks", name, str(first.with_suffix(".toml")), "--out", f"{option}-again", "-q")
        again = tmp_path / f"{option}-again" / f"tiny-{name}.csv"
        assert first.read_bytes() == again.read_bytes(), option
        assert (name, option) in SAME or not pd.read_csv(first).equals(plain), option


@pytest.mark.usefixtures("no_pictures")
def test_json_is_one_object(command: Command, tmp_path: Path) -> None:
    found = json.loads(command("networks", "compare", "tiny.toml", "--json", "-q").out)
    assert found["command"] == "networks compare"
    assert {row["level"] for row in found["table"]} == {"easy", "hard", "mixture"}
    assert sorted(Path(path).suffix for path in found["files"]) == [".csv", ".pdf", ".png", ".toml"]
    assert tomllib.loads((tmp_path / "curriculode-out" / "tiny-compare.toml").read_text())["study"]["runs"] == 2
    again = command("networks", "compare", "tiny.toml", "--runs", "3", status=2)
    assert "--force" in again.err
    listed = json.loads(command("data", "list", "--json").out)["data"]
    assert listed["digits"]["where"] == "comes with scikit-learn"
    assert "digits-curriculum" in json.loads(command("networks", "experiments", "--json").out)["experiments"]
    assert tomllib.loads(command("networks", "experiments", "digits-tickets").out)["pruning"]["rounds"] == 11


def test_pictures_of_images_are_drawn(command: Command, tmp_path: Path) -> None:
    said = json.loads(command("data", "show", "tiny.toml", "--count", "3", "--json").out)
    assert (tmp_path / "curriculode-out" / "tiny-images.png").stat().st_size > 1000
    assert len(said["sha256"]) == 64


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["networks", "compare", "nope"], "experiment 'nope' is unknown"),
        (["networks", "compare", "tiny.toml", "--set", "network.width=0"], "MLP: width = 0 is not allowed"),
        (["networks", "compare", "tiny.toml", "--orders", "best"], "order 'best' is unknown"),
        (["networks", "compare", "tiny.toml", "--rates", "fast"], "rates"),
        (["networks", "tickets", "tiny.toml", "--keep", "2"], "keep = 2.0 is not allowed"),
        (["networks", "instability", "tiny.toml", "--at", "9"], "copies part within the protocol"),
        (["networks", "train", "fashion-curriculum", "--data", "empty"], "is not found in empty"),
        (["data", "fetch", "digits"], "need not be fetched"),
        (["data", "fetch", "imagenet"], "data 'imagenet' is unknown"),
    ],
)
def test_mistakes_are_one_sentence(command: Command, arguments: list[str], words: str) -> None:
    said = command(*arguments, status=2)
    assert words in said.err
    assert said.err.count("\n") == 1


def test_a_figure_that_needs_the_extra_says_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curriculode.figures.gallery.named_figure.find_spec", lambda name: None)
    said = command("figure", "network-gain", status=2)
    assert "it needs the extra networks: pip install 'curriculode[networks]'" in said.err
