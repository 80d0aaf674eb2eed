"""Stores with damaged bytes and damaged tables: no number changes and no point is lost without a word, whoever reads them."""

import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

import curriculode as cu
from curriculode.sims.sweep import workers
from curriculode.sims.sweep.format import COLUMNS, NUMBERED
from curriculode.sims.sweep.merge import merge
from curriculode.sims.sweep.plan import Plan
from curriculode.sims.sweep.settings import Settings
from curriculode.sims.sweep.status import status_of
from curriculode.sims.sweep.store import Store

from .outcomes import fuzzed, outcome

QUICK: dict[str, Any] = {"points": 64, "dimension": 100, "progress": False, "workers": 1, "seeds": 2}
SETTINGS = Settings(dimension=100, numerics=cu.Numerics(points=64))
# The last diverges, and so there is a failed point.
OVER = {"student.width": [1, 2], "training.learning_rate": [0.05, 0.1, 5.0]}


@cache
def experiment() -> cu.Experiment:
    return cu.Experiment(
        task=cu.XorMixture(separation=1.0),
        student=cu.Committee(width=2, activation="quadratic", readout="fixed"),
        training=cu.OnlineSGD(learning_rate=0.1),
        protocol=cu.Protocol.single(duration=20.0, noise=0.5),
    )


@cache
def whole() -> tuple[bytes, str]:
    """A store, and the table that it gives."""
    with tempfile.TemporaryDirectory() as folder, remembered():
        table = cu.sweep(experiment(), OVER, store=f"{folder}/a.sqlite", **QUICK)
        assert table["failed"].any()
        assert not table["failed"].all()
        return Path(folder, "a.sqlite").read_bytes(), text_of(table)


def text_of(table: pd.DataFrame) -> str:
    return str(table.to_csv(index=False, float_format="%r"))


_compute = workers.compute
_known: dict[str, Any] = {}


@contextmanager
def remembered() -> Iterator[list[str]]:
    """No point is computed twice; the list names those that were asked for."""
    asked: list[str] = []

    def compute(job: Any) -> Any:
        name = f"{job.changes} {job.seed}"
        asked.append(name)
        if name not in _known:
            _known[name] = _compute(job)
        return _known[name]

    with mock.patch.object(workers, "compute", compute):
        yield asked


def looked_at(path: Path, test: str) -> None:
    """Ask a damaged store for its status, merge it, and resume its sweep."""
    expected = whole()[1]
    damaged, out = path.read_bytes(), path.with_name("all.sqlite")
    points = Plan(experiment(), OVER, seeds=2, settings=SETTINGS)

    def status() -> tuple[str, str]:
        with Store(path, create=False) as store:
            store.failures(points.keys, 5)
            assert set(store.meta) == {"made", "curriculode", "environment"}
            found = status_of(points, store)
            return found.sentence, found.again.sentence

    how, found = outcome(f"{test}, status", status)
    if how == "fine":
        sentence, told = found
        assert sentence.startswith("of 12 points 9 are done, 3 failed and 0 missing") or told
    assert path.read_bytes() == damaged
    with remembered() as asked:
        how, merged = outcome(f"{test}, merge", lambda: merge(out, [path]))
        assert path.read_bytes() == damaged
        if how == "fine":
            assert text_of(cu.sweep(experiment(), OVER, store=out, **QUICK)) == expected
            assert not asked or merged.damaged
        else:
            assert "all.sqlite" not in merged
            assert [file.name for file in path.parent.iterdir()] == [path.name]
    with remembered() as asked:
        how, table = outcome(f"{test}, sweep", lambda: cu.sweep(experiment(), OVER, store=path, **QUICK))
        if how == "fine":
            assert text_of(table) == expected
            assert not asked or "to compute again" in table.attrs["status"]
            again = cu.sweep(experiment(), OVER, store=path, **QUICK)
            assert text_of(again) == expected
            assert again.attrs["status"] == "9 of 12 points done, 3 failed"
        else:
            assert path.read_bytes() == damaged


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, int, int]:
    """What is done to a file, where, and how much of it."""
    used = [i for i, byte in enumerate(whole()[0]) if byte]
    place = draw(st.sampled_from(used) | st.integers(0, len(whole()[0]) - 1))
    kind = draw(st.sampled_from(["flipped", "flipped", "zeros", "swapped", "noise"]))
    return kind, place, draw(st.integers(1, 255) if kind == "flipped" else st.sampled_from([2, 16, 100, 4096]))


def edited(steps: list[tuple[str, int, int]]) -> bytes:
    content = bytearray(whole()[0])
    for kind, place, size in steps:
        if kind == "flipped":
            content[place] ^= size
        elif kind == "swapped":  # pages
            a, b = place // 4096 * 4096, (place * size) % (len(content) // 4096) * 4096
            content[a : a + 4096], content[b : b + 4096] = content[b : b + 4096], content[a : a + 4096]
        else:
            size = min(size, len(content) - place)
            content[place : place + size] = bytes(size) if kind == "zeros" else random.Random(place).randbytes(size)
    return bytes(content)


@fuzzed(100)
@given(st.lists(edits(), min_size=1, max_size=2))
def test_damaged_bytes(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.sqlite")
        path.write_bytes(edited(steps))
        looked_at(path, "bytes of a store")


@fuzzed(60)
@given(st.integers(1, 2**16), st.booleans())
def test_truncated_stores(length: int, pages: bool) -> None:
    content = whole()[0]
    length = length % (len(content) // 4096) * 4096 if pages else length % len(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.sqlite")
        path.write_bytes(content[: max(length, 1)])
        looked_at(path, "truncated store")


VALUES = ["", "{}", "[]", "null", "NaN", '{"sources": 1}', '"', "Infinity", b"\xff\xfe", b"", -1, 0, 1, 2**62, 1e308, "x" * 5000]
CELLS = [
    *(f"{table}.{column}" for table in NUMBERED for column in ("id", "text")),
    *("meta.name", "meta.value"),
    *(f"points.{column}" for column in COLUMNS.split(", ")),
]


@fuzzed(80)
@given(st.sampled_from(CELLS), st.sampled_from(VALUES), st.integers(0, 11), st.booleans())
def test_damaged_tables(cell: str, value: Any, row: int, gone: bool) -> None:
    """A cell that is something else, or a row of the texts that is not there."""
    table, column = cell.split(".")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.sqlite")
        path.write_bytes(whole()[0])
        connection = sqlite3.connect(path, isolation_level=None)
        count = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        names = "name" if table == "meta" else "rowid"
        (name,) = connection.execute(f"SELECT {names} FROM {table} LIMIT 1 OFFSET {row % count}").fetchone()
        try:
            if gone and table != "points":
                connection.execute(f"DELETE FROM {table} WHERE {names} = ?", (name,))
            else:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE {names} = ?", (value, name))
        except sqlite3.IntegrityError:  # SQLite has its own types of numbers of rows
            return
        finally:
            connection.close()
        looked_at(path, "tables of a store")


@fuzzed(20)
@given(edits(), st.booleans())
def test_a_result_of_a_merge_is_as_it_was_where_a_store_is_damaged(step: tuple[str, int, int], first: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out, good, bad = (Path(folder, f"{name}.sqlite") for name in ("out", "good", "bad"))
        with remembered():
            cu.sweep(experiment(), {"student.width": [2]}, store=out, **QUICK)
        good.write_bytes(whole()[0])
        bad.write_bytes(edited([step]))
        before = out.read_bytes()
        how, found = outcome("merge into a result", lambda: merge(out, [bad, good] if first else [good, bad]))
        if how == "refused":
            assert "bad.sqlite" in found
            assert out.read_bytes() == before
        else:
            assert (found.done, found.failed) == (9, 3)
