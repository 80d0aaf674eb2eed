"""The store: what is in it, what is refused, and that it survives a driver that is killed at any moment."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.sweep.merge import merge
from curriculode.sims.sweep.plan import Plan, Settings
from curriculode.sims.sweep.store import Store

from .conftest import GRID, QUICK
from .test_sweep import same

SETTINGS = Settings(points=64, dimension=100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sweep.sqlite"


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on computing is a mistake."""

    def fail(*_: object) -> None:
        raise AssertionError("a point was computed that the store holds")

    monkeypatch.setattr("curriculode.sims.sweep.workers.compute", fail)


def test_a_finished_sweep_is_read_not_computed(small: cu.Experiment, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cu.sweep(small, over=GRID, seeds=2, runs=2, store=path, workers=1, **QUICK)
    assert [entry.name for entry in path.parent.iterdir()] == ["sweep.sqlite"]
    refuse(monkeypatch)
    begin = time.perf_counter()
    again = cu.sweep(small, over=GRID, seeds=2, runs=2, store=path, workers=1, **QUICK)
    assert time.perf_counter() - begin < 1.0
    same(first, again)
    assert first["seconds"].equals(again["seconds"])
    # Another grid takes what it shares, whatever else it holds.
    part = cu.sweep(small, {"student.width": [2]}, seeds=[1], runs=2, store=path, workers=1, **QUICK)
    cell = first[(first["student.width"] == 2) & (first["levels.hard.noise"] == 0.6) & (first["protocol.order"] == "curriculum")]
    assert part["generalization_error"][0] == cell["generalization_error"].iloc[1]


def test_a_larger_grid_computes_what_it_lacks(small: cu.Experiment, path: Path) -> None:
    cu.sweep(small, {"student.width": [1]}, seeds=2, store=path, workers=1, **QUICK)
    table = cu.sweep(small, {"student.width": [1, 3], "levels.hard.noise": [0.5, 0.6]}, seeds=3, store=path, workers=1, **QUICK)
    same(table, cu.sweep(small, {"student.width": [1, 3], "levels.hard.noise": [0.5, 0.6]}, seeds=3, workers=1, **QUICK))
    with Store(path) as store:
        assert store.counts() == (12, 0)


def test_the_file_says_which_settings_these_were(small: cu.Experiment, path: Path) -> None:
    cu.sweep(small, {"student.width": [1, 2]}, store=path, workers=1, **QUICK)
    database = sqlite3.connect(path)
    meta = dict(database.execute("SELECT name, value FROM meta"))
    assert cu.Experiment.from_toml(meta["experiment"]) == small
    assert meta["curriculode"] == cu.__version__
    changes, seed, settings, environment, result = database.execute(
        "SELECT changes, seed, s.text, e.text, result FROM points JOIN settings AS s ON s.id = settings "
        "JOIN environments AS e ON e.id = environment ORDER BY changes"
    ).fetchall()[1]
    database.close()
    assert (json.loads(changes), seed) == ({"student.width": 2}, 0)
    assert json.loads(settings)["points"] == 64
    assert json.loads(environment)["numpy"] == np.__version__
    assert set(json.loads(result)) == {"generalization_error", "classification_error", "covered_clusters"}


def test_other_experiments_versions_and_files_are_refused(
    small: cu.Experiment, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def message(**options: object) -> str:
        with pytest.raises(cu.InputError) as caught:
            cu.sweep(options.pop("experiment", small), store=options.pop("store", path), workers=1, **QUICK)  # type: ignore[arg-type]
        return str(caught.value)

    cu.sweep(small, store=path, workers=1, **QUICK)
    content = path.read_bytes()
    other = small.replace({"student.width": 3})
    assert "another experiment (student.width is 2 there and 3 here)" in message(experiment=other)
    with monkeypatch.context() as patch:
        patch.setattr(cu, "__version__", "9.9.9")
        assert "made by curriculode 0.1.0, but this is 9.9.9" in message()
    assert path.read_bytes() == content
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    assert "has format 7, but this version of curriculode writes format 1" in message()
    strange = tmp_path / "strange.sqlite"
    database = sqlite3.connect(strange)
    database.execute("CREATE TABLE mine (x)")
    database.close()
    before = strange.read_bytes()
    assert "is an SQLite file, but no store of curriculode" in message(store=strange)
    assert strange.read_bytes() == before
    strange.write_text("my own notes, " * 20)
    assert "no store of curriculode (not an SQLite file); it was left as it is" in message(store=strange)
    assert strange.read_text() == "my own notes, " * 20
    assert "is a folder" in message(store=tmp_path)
    assert "its folder does not exist" in message(store=tmp_path / "nowhere" / "a.sqlite")


def test_damaged_files_are_refused(small: cu.Experiment, path: Path) -> None:
    cu.sweep(small, over=GRID, seeds=20, store=path, workers=1, **QUICK)
    content = path.read_bytes()
    for size in (50, 4096, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(cu.InputError, match=r"truncated|not an SQLite file"):
            cu.sweep(small, over=GRID, seeds=20, store=path, workers=1, **QUICK)
        assert path.read_bytes() == content[:size]
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    with pytest.raises(cu.InputError, match=r"malformed|damaged|no store"):
        cu.sweep(small, over=GRID, seeds=20, store=path, workers=1, **QUICK)
    # What a driver killed in its first moment leaves is no reason to stop.
    path.write_bytes(b"")
    assert len(cu.sweep(small, store=path, workers=1, **QUICK)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_refused(small: cu.Experiment, path: Path) -> None:
    cu.sweep(small, store=path, workers=1, **QUICK)
    path.chmod(0)
    with pytest.raises(cu.InputError, match="cannot be read: Permission denied"):
        cu.sweep(small, store=path, workers=1, **QUICK)


KILLED = """
    import sys
    import curriculode as cu
    from curriculode.sims.sweep.store import Store

    experiment = cu.Experiment.from_toml(open(sys.argv[2]).read())
    keep = Store.keep

    def told(self, *arguments):
        keep(self, *arguments)
        print("kept", flush=True)

    Store.keep = told
    cu.sweep(experiment, over={over!r}, seeds=8, store=sys.argv[1], workers=2, points=64, dimension=100)
    print("finished", flush=True)
"""


def test_kill_9_loses_points_in_flight_only(small: cu.Experiment, path: Path, tmp_path: Path) -> None:
    """Killed several times at any moment, resumed each time; workers go with the driver; bit for bit as uninterrupted.

    There is no `if __name__ == "__main__"` in the script: workers must not run it again.
    """
    (tmp_path / "small.toml").write_text(small.to_toml())
    (tmp_path / "script.py").write_text(textwrap.dedent(KILLED).format(over=GRID))
    told, kills = 0, 0
    while True:
        with subprocess.Popen(
            [sys.executable, tmp_path / "script.py", path, tmp_path / "small.toml"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        ) as process:
            assert process.stdout is not None
            finished = False
            for line in process.stdout:
                told += line == "kept\n"
                finished = line == "finished\n"
                if kills < 4 and told >= 5 + 11 * kills:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
        with Store(path, small, create=False) as store:
            done = store.counts()[0]
        assert done >= told  # what was told to be kept is there
        assert done <= told + kills  # and what the driver was just at
        told = done
        if finished:
            break
    assert kills == 4
    assert done == 64
    same(cu.sweep(small, over=GRID, seeds=8, store=path, **QUICK), cu.sweep(small, over=GRID, seeds=8, workers=1, **QUICK))


def test_workers_do_not_outlive_a_killed_driver(small: cu.Experiment, path: Path, tmp_path: Path) -> None:
    script = """
        import curriculode as cu
        from curriculode.sims.sweep import workers

        start = workers._Process.start

        def told(self):
            start(self)
            print(self.pid, flush=True)

        workers._Process.start = told
        experiment = cu.load("xor-curriculum").replace({"protocol.duration": 1e6})
        cu.sweep(experiment, seeds=4, workers=2, rtol=1e-10)
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    with subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        time.sleep(2.0)
        process.kill()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_merge_joins_shards(small: cu.Experiment, tmp_path: Path) -> None:
    stores = [tmp_path / f"{i}.sqlite" for i in (1, 2, 3)]
    for i, part in enumerate(stores, 1):
        cu.sweep(small, over=GRID, seeds=2, store=part, shard=(i, 3), workers=1, **QUICK)
    contents = [part.read_bytes() for part in stores]
    out = tmp_path / "all.sqlite"
    merged = merge(out, stores)
    assert (merged.done, merged.failed, merged.new, merged.otherwise) == (16, 0, 16, 0)
    assert merge(out, stores).new == 0
    assert [part.read_bytes() for part in stores] == contents
    same(
        cu.sweep(small, over=GRID, seeds=2, store=out, workers=1, **QUICK), cu.sweep(small, over=GRID, seeds=2, workers=1, **QUICK)
    )
    stranger = tmp_path / "stranger.sqlite"
    cu.sweep(small.replace({"student.width": 1}), store=stranger, workers=1, **QUICK)
    with pytest.raises(cu.InputError, match="belongs to another experiment"):
        merge(out, [*stores, stranger])
    with pytest.raises(cu.InputError, match="does not exist"):
        merge(out, [tmp_path / "nothing.sqlite"])
    with pytest.raises(cu.InputError, match="merged into itself"):
        merge(out, [out])


def test_merge_prefers_what_is_done(small: cu.Experiment, tmp_path: Path) -> None:
    first, second = tmp_path / "1.sqlite", tmp_path / "2.sqlite"
    cu.sweep(small, seeds=4, store=first, workers=1, **QUICK)
    shutil.copy(first, second)
    database = sqlite3.connect(first)
    database.execute("UPDATE points SET failed = 1 WHERE seed = 0")
    database.execute("UPDATE points SET result = '{}' WHERE seed = 1")
    database.commit()
    database.close()
    merged = merge(first, [second])
    assert (merged.done, merged.failed, merged.new, merged.otherwise) == (4, 0, 1, 1)


def test_a_million_points_report_within_two_seconds(small: cu.Experiment, path: Path) -> None:
    plan = Plan(small, {"training.learning_rate": list(np.arange(1, 1001) / 1000)}, None, 1000, SETTINGS)
    with Store(path, small):
        pass
    database = sqlite3.connect(path)
    row = ("{}", 0, 0, 0, 0, "theory reached t = 50 in 20 steps of DOP853", 0.05, '{"generalization_error": 0.1}')
    keys = sorted(plan.keys)[:900_000]
    database.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ((key, *row) for key in keys))
    database.commit()
    database.close()
    begin = time.perf_counter()
    fresh = Plan(small, {"training.learning_rate": list(np.arange(1, 1001) / 1000)}, None, 1000, SETTINGS)
    with Store(path, small, create=False) as store:
        assert fresh.state(store.keys(False), store.keys(True)) == (900_000, 0, 100_000)
    assert time.perf_counter() - begin < 4.0  # two on a machine of its own
