"""Stores that several processes write, that are locked, and whose writers are killed or meet a full disk."""

import json
import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import curriculode as cu
from curriculode.sims.sweep import database
from curriculode.sims.sweep.point import Job, Result
from curriculode.sims.sweep.store import Store
from tests.conftest import SEED
from tests.fuzz.outcomes import SCALE, one_sentence

from .conftest import QUICK
from .test_store import refuse
from .test_sweep import same

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forks")
Points = list[tuple[bytes, Job, Result]]
GRID: dict[str, Any] = {"student.width": [1, 2], "training.learning_rate": [0.5, 1.0]}


@pytest.fixture
def points(small: cu.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Points:
    """Points of a sweep, as they are handed to its store."""
    found: Points = []
    with monkeypatch.context() as patch:
        patch.setattr(Store, "keep", lambda self, *point: found.append(point))
        cu.sweep(small, GRID, seeds=16, workers=1, **QUICK)
    (tmp_path / "points.pickle").write_bytes(pickle.dumps([(key, plain(job), result) for key, job, result in found]))
    return found


def plain(job: Job) -> Job:
    return Job(job.text, job.changes, job.seed, job.settings, job.asked, job.code)


def run(what: str, folder: Path, count: int) -> dict[str, Any]:
    script = Path(__file__).with_name("processes.py")
    # A fork is safe where nothing computes in threads.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", script, what, folder, str(count), str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_loses_nothing(
    points: Points, small: cu.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who resumes has the bits of an undisturbed sweep."""
    count = max(1, round(40 * SCALE))
    found = run("kills", tmp_path, count)
    assert found["full"] + found["unopened"] < count
    whole = cu.sweep(small, GRID, seeds=16, workers=1, **QUICK)
    same(cu.sweep(small, GRID, seeds=16, workers=1, store=tmp_path / "killed.sqlite", **QUICK), whole)
    refuse(monkeypatch)
    same(cu.sweep(small, GRID, seeds=16, workers=1, store=tmp_path / "killed.sqlite", **QUICK), whole)


@pytest.mark.slow
def test_a_merge_killed_at_any_moment_is_whole_or_nothing(points: Points, tmp_path: Path) -> None:
    count = max(2, round(40 * SCALE))
    assert sum(run("merges", tmp_path, count).values()) == count


def test_processes_make_and_fill_one_store(points: Points, tmp_path: Path) -> None:
    run("together", tmp_path, max(1, round(10 * SCALE)))


def test_a_full_disk_is_a_sentence_and_loses_nothing(points: Points, tmp_path: Path) -> None:
    found = run("full", tmp_path, max(20, round(20 * SCALE)))
    assert found["messages"]
    assert found["left"] == []
    for message in found["messages"]:
        assert "check that you may write to it and its folder, and that the disk is not full" in one_sentence(message)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_what_may_not_be_read_or_written_is_a_sentence(points: Points, tmp_path: Path, open_folder: Path) -> None:
    (open_folder / "points.pickle").write_bytes((tmp_path / "points.pickle").read_bytes())
    found = run("forbidden", open_folder, 1)
    assert found["status"] == 0
    count, *messages = found["said"]
    assert count == "3"
    expected = [
        "a.sqlite cannot be used (attempt to write a readonly database): check that you may write to it",
        "b.sqlite cannot be used (unable to open database file): check that you may write to it and its folder",
        "cannot be merged into itself",
        "b.sqlite cannot be used (unable to open database file): check that you may write to it and its folder",
        "cannot be read: Permission denied",
        "cannot be read: Permission denied",
    ]
    assert len(messages) == len(expected)
    for message, words in zip(messages, expected, strict=True):
        assert words in one_sentence(message)
    assert found["left"] == ["a.sqlite"]


@pytest.fixture
def locked(points: Points, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """Somebody holds the store of a point for himself."""
    monkeypatch.setattr(database, "_TELL", 0.1)
    monkeypatch.setattr(database, "_SWITCH", 0.2)
    with Store(tmp_path / "a.sqlite") as store:
        store.keep(*points[0])
    connection = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


WAITING = "curriculode: another process has locked the store "


def test_who_waits_for_a_lock_says_so_once(
    locked: sqlite3.Connection, points: Points, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    free = threading.Timer(1.0, lambda: locked.execute("ROLLBACK"))
    free.start()
    with Store(tmp_path / "a.sqlite") as store:
        free.join()
        locked.execute("BEGIN EXCLUSIVE")
        again = threading.Timer(1.0, lambda: locked.execute("ROLLBACK"))
        again.start()
        store.keep(*points[1])
        again.join()
        assert store.counts() == (2, 0)
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(WAITING)
    assert error.endswith("waiting up to 15 s\n")


def test_a_lock_that_stays_is_a_sentence(
    locked: sqlite3.Connection, points: Points, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(database, "OPENING", 0.5)
    with pytest.raises(cu.InputError, match=r"another process kept it locked for 0\.5 seconds; wait for it, and run this again"):
        Store(tmp_path / "a.sqlite")
    assert capfd.readouterr().err.count(WAITING) == 1
    locked.execute("ROLLBACK")
    with Store(tmp_path / "a.sqlite") as store:
        locked.execute("BEGIN IMMEDIATE")
        store.file.patience = 0.5
        with pytest.raises(cu.InputError, match=r"\(database is locked\): another process kept it locked for 0.5 seconds"):
            store.keep(*points[1])
        locked.execute("ROLLBACK")
        store.keep(*points[1])
        assert store.counts() == (2, 0)


def test_nothing_is_computed_for_a_store_that_cannot_be_written(
    locked: sqlite3.Connection, small: cu.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked.execute("ROLLBACK")
    monkeypatch.setattr("curriculode.sims.sweep.store.PATIENCE", 0.2)
    locked.execute("BEGIN IMMEDIATE")
    refuse(monkeypatch)
    with pytest.raises(cu.InputError, match="another process kept it locked"):
        cu.sweep(small, {"student.width": [5]}, store=tmp_path / "a.sqlite", workers=1, **QUICK)
