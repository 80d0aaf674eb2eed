"""The store: what is in it, what is refused, and that it survives a driver that is killed at any moment."""

import json
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.sweep import sources
from curriculode.sims.sweep.format import ROW as _ROW
from curriculode.sims.sweep.merge import merge
from curriculode.sims.sweep.plan import Plan
from curriculode.sims.sweep.settings import Settings
from curriculode.sims.sweep.status import status_of
from curriculode.sims.sweep.store import Store, checksum
from curriculode.sims.sweep.values import Layout

from .conftest import GRID, QUICK
from .test_sweep import same

SETTINGS = Settings(dimension=100, numerics=cu.Numerics(points=64))


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
    assert meta["curriculode"] == cu.__version__
    row = database.execute(
        "SELECT changes, seed, x.text, s.text, e.text, l.text, o.text, numbers FROM points AS p "
        "JOIN experiments AS x ON x.id = experiment JOIN settings AS s ON s.id = settings JOIN layouts AS l ON l.id = layout "
        "JOIN environments AS e ON e.id = environment JOIN sources AS o ON o.id = p.sources ORDER BY changes"
    ).fetchall()[1]
    database.close()
    changes, seed, experiment, settings, environment, layout, source, numbers = row
    assert (json.loads(changes), seed) == ({"student.width": 2}, 0)
    assert cu.Experiment.from_toml(experiment) == small
    assert json.loads(settings)["points"] == 64
    assert json.loads(environment)["numpy"] == np.__version__
    assert json.loads(source)["sources"] == sources.fingerprint()
    names = ["generalization_error", "classification_error", "covered_clusters", "accuracy"]
    assert Layout.from_text(layout).names[:5] == [*names, "Q[0,0]"]
    assert np.frombuffer(numbers).size == len(names) + 3 + 4 + 2


def test_other_experiments_and_observables_share_a_store(small: cu.Experiment, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked of points that are there, none is computed again; other experiments are new points of the same file."""
    first = cu.sweep(small, seeds=2, runs=2, store=path, workers=1, **QUICK)
    wide = small.replace({"student.width": 3})
    cu.sweep(wide, seeds=2, runs=2, store=path, workers=1, **QUICK)
    with Store(path) as store:
        assert store.counts() == (4, 0)
    refuse(monkeypatch)
    one = cu.sweep(small, seeds=2, runs=2, store=path, workers=1, observables=["Q[0,1]", "accuracy"], **QUICK)
    assert {"Q[0,1]", "accuracy", "Q[0,1]_simulation_standard_error"} <= set(one.columns)
    assert one["accuracy"].tolist() == (1.0 - first["classification_error"]).tolist()
    # The same point, whichever experiment it is told as a change of.
    both = cu.sweep(wide, {"student.width": [2, 3]}, seeds=2, runs=2, store=path, workers=1, **QUICK)
    assert both["generalization_error"][:2].tolist() == first["generalization_error"].tolist()
    assert both.attrs["status"] == "4 of 4 points done, 0 failed"


def test_points_of_other_sources_are_kept_told_and_computed_again(
    small: cu.Experiment, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = cu.sweep(small, seeds=3, store=path, workers=1, **QUICK)
    plan = Plan(small, seeds=4, settings=SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "fingerprint", lambda: "0" * 32)
        with Store(path) as store:
            status = status_of(plan, store)
            assert (status.done, status.failed, status.missing) == (0, 0, 4)
            assert list(status.again.other_sources.values()) == [3]
            day = next(iter(store.made_by().values()))["made"]
            told = f"3 computed by other sources (curriculode {cu.__version__}, {day}), whose numbers may differ and are not used"
            assert status.sentence == f"of 4 points 0 are done, 0 failed and 4 missing; to compute again: {told}"
        again = cu.sweep(small, seeds=3, store=path, workers=1, **QUICK)
        assert again.attrs["status"] == f"3 of 3 points done, 0 failed; to compute again: {told}"
        same(first, again)
        assert cu.sweep(small, seeds=3, store=path, workers=1, **QUICK).attrs["status"] == "3 of 3 points done, 0 failed"
    # Nothing of before is lost, and a copy keeps both.
    merge(tmp_path / "copy.sqlite", [path])
    for file in (path, tmp_path / "copy.sqlite"):
        with Store(file) as store:
            assert store.counts() == (6, 0)
            assert status_of(plan, store).done == 3


def test_an_observable_registered_later_computes_these_points_again(
    small: cu.Experiment, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cu.sweep(small, seeds=2, store=path, workers=1, **QUICK)
    from curriculode.theory.results.registered import OBSERVABLES

    monkeypatch.setattr(OBSERVABLES, "_things", dict(OBSERVABLES._things))
    cu.register_observable("readout_sum", lambda state: state.v.sum())
    # Who does not ask for it has all that is asked for.
    with monkeypatch.context() as patch:
        refuse(patch)
        cu.sweep(small, seeds=2, store=path, workers=1, observables="accuracy", **QUICK)
    table = cu.sweep(small, seeds=2, store=path, workers=1, observables=["readout_sum", "v[0]", "v[1]"], **QUICK)
    assert table["readout_sum"].tolist() == pytest.approx((table["v[0]"] + table["v[1]"]).tolist())
    assert table.attrs["status"].endswith("to compute again: 2 computed without 'readout_sum', which was not kept then")
    refuse(monkeypatch)
    assert cu.sweep(small, seeds=2, store=path, workers=1, **QUICK).attrs["status"] == "2 of 2 points done, 0 failed"


@pytest.mark.parametrize("column", ["numbers", "status", "key", "seconds"])
def test_a_damaged_row_is_told_and_computed_again(small: cu.Experiment, path: Path, column: str) -> None:
    first = cu.sweep(small, seeds=3, store=path, workers=1, **QUICK)
    database = sqlite3.connect(path)
    value = database.execute(f"SELECT {column} FROM points WHERE seed = 1").fetchone()[0]
    database.close()
    found = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else struct.pack(">d", value)
    content = bytearray(path.read_bytes())
    # The row stands before or after the index that repeats its key: in the pages of the table, which come before.
    page = content[: content.index(b"theory reached") // 4096 * 4096 + 4096]
    content[page.rindex(found) + len(found) // 2] ^= 0x41
    path.write_bytes(content)
    with Store(path) as store:
        assert store.damaged() == 1
    again = cu.sweep(small, seeds=3, store=path, workers=1, **QUICK)
    same(first, again)
    assert again.attrs["status"] == "3 of 3 points done, 0 failed; to compute again: 1 damaged in the store (a checksum fails)"
    with Store(path) as store:
        assert store.damaged() == 0
        assert store.counts() == (3, 0)


def test_other_versions_and_files_are_refused(small: cu.Experiment, path: Path, tmp_path: Path) -> None:
    def message(store: Path = path) -> str:
        with pytest.raises(cu.InputError) as caught:
            cu.sweep(small, store=store, workers=1, **QUICK)
        return str(caught.value)

    cu.sweep(small, store=path, workers=1, **QUICK)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    assert "has format 7, but this version of curriculode writes format 2" in message()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 1")
    database.close()
    assert "has format 1 (made by curriculode 0.1), but this version of curriculode writes format 2" in message()
    strange = tmp_path / "strange.sqlite"
    database = sqlite3.connect(strange)
    database.execute("CREATE TABLE mine (x)")
    database.close()
    before = strange.read_bytes()
    assert "is an SQLite file, but no store of curriculode" in message(strange)
    assert strange.read_bytes() == before
    strange.write_text("my own notes, " * 20)
    assert "no store of curriculode (not an SQLite file); it was left as it is" in message(strange)
    assert strange.read_text() == "my own notes, " * 20
    assert "is a folder" in message(tmp_path)
    assert "its folder does not exist" in message(tmp_path / "nowhere" / "a.sqlite")


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


@pytest.mark.slow
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
                if kills < 2 and told >= 5 + 22 * kills:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
        with Store(path, create=False) as store:
            done = store.counts()[0]
        assert done >= told  # what was told to be kept is there
        assert done <= told + kills  # and what the driver was just at
        told = done
        if finished:
            break
    assert kills == 2
    assert done == 64
    same(cu.sweep(small, over=GRID, seeds=8, store=path, **QUICK), cu.sweep(small, over=GRID, seeds=8, workers=1, **QUICK))


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_driver(small: cu.Experiment, path: Path, tmp_path: Path) -> None:
    script = """
        import curriculode as cu
        from curriculode.sims.runs import processes

        start = processes.Process.start

        def told(self):
            start(self)
            print(self.pid, flush=True)

        processes.Process.start = told
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
    cu.sweep(small.replace({"student.width": 7}), store=stranger, workers=1, **QUICK)
    assert merge(out, [*stores, stranger]).new == 1
    with pytest.raises(cu.InputError, match="does not exist"):
        merge(out, [tmp_path / "nothing.sqlite"])
    with pytest.raises(cu.InputError, match="merged into itself"):
        merge(out, [out])


def test_a_merge_that_cannot_be_leaves_nothing_and_blames_the_right_file(small: cu.Experiment, tmp_path: Path) -> None:
    good, bad, out = (tmp_path / f"{name}.sqlite" for name in ("good", "bad", "out"))
    cu.sweep(small, over=GRID, seeds=2, store=good, workers=1, **QUICK)
    content = good.read_bytes()
    bad.write_bytes(content[:4096] + bytes(4096) + content[8192:])
    with pytest.raises(cu.InputError, match=r"bad\.sqlite cannot be used \(.*\): it is damaged; restore it from a copy"):
        merge(out, [good, bad])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.sqlite", "good.sqlite"]
    cu.sweep(small, store=out, workers=1, **QUICK)
    before = out.read_bytes()
    for others in ([good, bad], [bad, good], [good, tmp_path / "missing.sqlite"], [good, out]):
        with pytest.raises(cu.InputError):
            merge(out, others)
        assert out.read_bytes() == before
    out.write_bytes(bad.read_bytes())
    with pytest.raises(cu.InputError, match=r"out\.sqlite cannot be used"):
        merge(out, [good])
    for stores, message in (([], "no stores to merge"), ([3], "store = 3 is not allowed"), (3, "stores = 3 is not allowed")):
        with pytest.raises(cu.InputError, match=message):
            merge(out, stores)  # type: ignore[arg-type]
    out.unlink()
    assert merge(out, good).done == 16


def test_a_damaged_index_loses_no_point(small: cu.Experiment, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands twice in a file is told by the other."""
    first = cu.sweep(small, seeds=3, store=path, workers=1, **QUICK)
    plan = Plan(small, seeds=3, settings=SETTINGS)
    content = path.read_bytes()
    places = [i for i in range(len(content)) if content.startswith(plan.keys[1], i)]
    assert len(places) == 3
    refuse(monkeypatch)
    told = 0
    for place in places:
        path.write_bytes(content[:place] + b"\0" + content[place + 1 :])
        with Store(path) as store:
            row_itself = store.damaged()
            status = status_of(plan, store)
        told += row_itself
        assert (status.done, status.again.damaged) == (3 - row_itself, row_itself)
        if not row_itself:
            same(first, cu.sweep(small, seeds=3, store=path, workers=1, **QUICK))
    assert told == 1


def test_damaged_texts_are_told(small: cu.Experiment, path: Path) -> None:
    first = cu.sweep(small, seeds=3, store=path, workers=1, **QUICK)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"levels", b"lewels"))  # in the experiment
    again = cu.sweep(small, seeds=3, store=path, workers=1, **QUICK)
    same(first, again)
    told = "3 of 3 points done, 0 failed; 1 damaged in the store of the texts that say how points were computed"
    assert again.attrs["status"] == told
    # Points whose layout is damaged cannot be read.
    path.write_bytes(content.replace(b'"observables"', b'"observablez"'))
    again = cu.sweep(small, seeds=3, store=path, workers=1, **QUICK)
    same(first, again)
    assert "to compute again: 3 damaged in the store (a checksum fails); 1 damaged" in again.attrs["status"]
    assert cu.sweep(small, seeds=3, store=path, workers=1, **QUICK).attrs["status"] == "3 of 3 points done, 0 failed"


def test_merge_prefers_what_is_done(small: cu.Experiment, tmp_path: Path) -> None:
    first, second = tmp_path / "1.sqlite", tmp_path / "2.sqlite"
    cu.sweep(small, seeds=4, store=first, workers=1, **QUICK)
    shutil.copy(first, second)
    database = sqlite3.connect(first)
    database.execute("UPDATE points SET failed = 1 WHERE seed = 0")
    database.execute("UPDATE points SET numbers = zeroblob(8) WHERE seed = 1")
    sign(database)
    database.close()
    merged = merge(first, [second])
    assert (merged.done, merged.failed, merged.new, merged.otherwise, merged.damaged) == (4, 0, 1, 1, 0)
    database = sqlite3.connect(second)
    database.execute("UPDATE points SET seconds = 0 WHERE seed = 3")
    database.commit()
    database.close()
    merged = merge(tmp_path / "3.sqlite", [second])
    assert (merged.done, merged.damaged) == (3, 1)


def sign(database: sqlite3.Connection) -> None:
    """Give the rows of a store the checksums that they should have."""
    database.create_function("signed", -1, checksum)
    database.execute(f"UPDATE points SET checksum = signed({_ROW})")
    database.commit()


@pytest.mark.slow
def test_a_million_points_report_within_two_seconds(small: cu.Experiment, path: Path) -> None:
    over = {"training.learning_rate": list(np.arange(1, 1001) / 1000)}
    plan = Plan(small, over, seeds=1000, settings=SETTINGS)
    cu.sweep(small, store=path, workers=1, **QUICK)
    database = sqlite3.connect(path)
    keys = sorted(plan.keys)[:900_000]
    columns = (
        "sources, experiment, seed, settings, environment, layout, failed, seconds, changes, status, traceback, numbers, checksum"
    )
    row = database.execute(f"SELECT {columns} FROM points").fetchone()
    marks = ", ".join("?" * (1 + len(row)))
    database.executemany(f"INSERT INTO points (key, {columns}) VALUES ({marks})", ((key, *row) for key in keys))
    database.commit()
    database.close()
    begin = time.perf_counter()
    fresh = Plan(small, over, seeds=1000, settings=SETTINGS)
    with Store(path, create=False) as store:
        status = status_of(fresh, store)
    assert (status.done, status.failed, status.missing) == (900_000, 0, 100_000)
    assert time.perf_counter() - begin < 4.0  # two on a machine of its own
