"""One process a command: that it starts, ends with its exit status, and says nothing that is not its own."""

from pathlib import Path

import pytest

import curriculode as cu

from .process import run

TINY = ["-D", "60", "-s", "protocol.duration=1.0", "-s", "student.width=1", "--points", "64"]


def test_version(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"curriculode {cu.__version__}\n"
    refused = run("integrate", "nope", cwd=tmp_path, status=2)
    assert refused.stderr.startswith("curriculode: experiment 'nope' is unknown; allowed: ")
    assert refused.stderr.count("\n") == 1


def test_integrate(tmp_path: Path) -> None:
    result = run("integrate", *TINY, "--times", "3", cwd=tmp_path)
    assert "reached t = 1 in" in result.stdout
    assert result.stderr == ""
    written = [f"xor-curriculum-integrate.{suffix}" for suffix in ("csv", "pdf", "png", "toml")]
    assert sorted(path.name for path in (tmp_path / "curriculode-out").iterdir()) == [
        ".curriculode.json",
        ".curriculode.lock",
        *written,
    ]


RANGES = ["--x", "levels.hard.noise=0.2:0.8", "--y", "training.learning_rate=0.5:4"]
OTHERS = {
    "compare": [*TINY, "--times", "3", "--runs", "4", "--starts", "2", "--over", "student.width=1"],
    "simulate": [*TINY, "--times", "3", "--runs", "4"],
    "sweep": [*TINY, "--over", "student.width=1,2", "--workers", "2", "--store", "a.sqlite", "--csv", "table.csv"],
    "merge": ["all.sqlite", "a.sqlite"],
    "diagram": ["table.csv", "--x", "student.width", "--y", "levels.hard.noise"],
    "refine": [*TINY, *("--workers", "1", "--level", "0.5", "--budget", "25"), *RANGES],
    "figure": ["--list"],
    "equations": [],
    "experiments": [],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_commands(name: str, tmp_path: Path) -> None:
    if name in ("merge", "diagram"):
        noises = ["--over", "levels.hard.noise=0.4:0.6:2"]
        run("sweep", *TINY, "--workers", "1", "--over", "student.width=1,2", *noises, *OTHERS["sweep"][-4:], cwd=tmp_path)
    result = run(name, *OTHERS[name], cwd=tmp_path)
    assert result.stdout.strip()
    assert result.stderr == ""


@pytest.mark.slow
def test_the_file_of_a_process_is_rerun_in_another(tmp_path: Path) -> None:
    run("simulate", *OTHERS["simulate"], "--seed", "3", "--space", "weight", cwd=tmp_path)
    written = tmp_path / "curriculode-out" / "xor-curriculum-simulate.csv"
    run("simulate", str(written.with_suffix(".toml")), "--out", "again", cwd=tmp_path)
    assert (tmp_path / "again" / written.name).read_bytes() == written.read_bytes()
