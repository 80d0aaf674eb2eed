"""Commands of the command line without a process for each."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from curriculode.cli import main


class Said(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`command(*arguments, status=0)`: what `curriculode ARGUMENTS` says from the folder `tmp_path`, leaving with `status`."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, status: int | None = 0) -> Said:
        monkeypatch.setattr(sys, "argv", ["curriculode", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = Said(left.value.code or 0, *capsys.readouterr())  # type: ignore[arg-type]
        assert status is None or said.status == status, said.out + said.err
        return said

    return call


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are made, and empty files written in their place: writing them takes longer than tiny computations."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, path, **_: Path(path).write_bytes(b"picture"))
