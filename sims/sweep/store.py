"""The store of a sweep: one SQLite file, one transaction a finished point, written by the driver only.

While it is written it is in write-ahead mode, in which a commit appends to a log beside the file: a process killed at any moment
leaves every committed point readable, and a reader (`--status`) is never in the way. When it is closed it is one ordinary file
again. It holds points of any experiments. Tables:

    meta          version of the package that made it, when and where
    experiments   base experiments as TOML, by number: for reading, keys do not depend on them
    settings      how points were computed, as JSON, by number
    sources       what computed them (see sources.py): number, version of the package, day of the first point, as JSON
    environments  versions and platform of the processes that computed them, as JSON, by number
    layouts       what the numbers of a point are (see values.py), as JSON, by number
    points        key (see plan.py), sources, experiment, the parameters that differ from it as JSON, seed, settings, environment,
                  layout, failed, status, traceback, seconds, the final values as float64, and a checksum of all that

A point is known by its key and its sources. Points of other sources are kept, and not used. What a user registered (tasks,
activations, observables) has its source outside the package, which no number here knows: who changes it begins another store.
"""

import hashlib
import json
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curriculode._version import __version__
from curriculode.sims.sweep import sources
from curriculode.sims.sweep.point import Job, Result, environment
from curriculode.sims.sweep.values import Layout
from curriculode.theory.core.errors import InputError

FORMAT = 2
_APPLICATION = 0x43554F44  # "CUOD": what tells the file from other SQLite files
_CHECKED = 64 * 2**20  # bytes up to which the structure of a file is checked on opening, which takes a second a gigabyte
_NUMBERED = ("experiments", "settings", "sources", "environments", "layouts")
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE experiments (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE settings (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE sources (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE environments (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE layouts (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE points (
    key BLOB NOT NULL, sources INTEGER NOT NULL, experiment INTEGER NOT NULL, seed INTEGER NOT NULL, settings INTEGER NOT NULL,
    environment INTEGER NOT NULL, layout INTEGER NOT NULL, failed INTEGER NOT NULL, seconds REAL NOT NULL, changes TEXT NOT NULL,
    status TEXT NOT NULL, traceback TEXT NOT NULL, numbers BLOB NOT NULL, checksum INTEGER NOT NULL
);
CREATE UNIQUE INDEX by_key ON points (key, sources);
CREATE INDEX by_outcome ON points (sources, failed, layout, key);
"""
_COLUMNS = (
    "key, sources, experiment, seed, settings, environment, layout, failed, seconds, changes, status, traceback, numbers, checksum"
)
# Texts as bytes: a damaged one need not be UTF-8, and is told by its checksum.
_ROW = "key, sources, experiment, seed, settings, environment, layout, failed, seconds, " + ", ".join(
    f"CAST({name} AS BLOB)" for name in ("changes", "status", "traceback", "numbers")
)
_PACKED = struct.Struct("<16sqqqqqq?d4q")


def checksum(key: Any, *row: Any) -> int:
    """Checksum of a row of points; its texts are bytes."""
    *plain, changes, status, trace, numbers = row
    head = _PACKED.pack(key, *plain, len(changes), len(status), len(trace), len(numbers))
    return zlib.crc32(b"".join((head, changes, status, trace, numbers)))


def _sound(*row: Any) -> bool:
    """Whether a row is what was written."""
    try:
        return checksum(*row[:-1]) == row[-1]
    except (struct.error, TypeError):
        return False


@dataclass(frozen=True)
class Group:
    """Points of the same sources, outcome and layout: the numbers of these, and how many points there are."""

    sources: int
    failed: bool
    layout: int
    count: int


@dataclass(frozen=True)
class Failure:
    """A failed point: its parameters that differ from the base experiment, seed, reason, and Python's traceback or nothing."""

    parameters: dict[str, Any]
    seed: int
    status: str
    traceback: str


class Store:
    """The finished points of sweeps, in the file at `path`, or in memory for None. A context manager.

    create : whether a file that is missing is made;  raises `InputError` for a file that is no store, is damaged, or of another
    format
    """

    def __init__(self, path: str | Path | None, *, create: bool = True) -> None:
        self.path = None if path is None else Path(path)
        self.meta: dict[str, str] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._damaged: list[int] | None = None
        if self.path is not None:
            self._look(create)
        name = ":memory:" if self.path is None else str(self.path)
        self._writes = False
        with self._readable():
            # Autocommit: transactions begin and end where they are written down.
            self._connection = sqlite3.connect(name, timeout=60.0, isolation_level=None)
        try:
            with self._readable():
                self._open(create)
        except BaseException:
            self._connection.close()
            raise

    def _look(self, create: bool) -> None:
        """What can be said of the file before SQLite touches it."""
        path = self.path
        assert path is not None
        if path.is_dir():
            raise InputError(f"the store {path} is a folder; give the name of a file, such as sweep.sqlite")
        if not path.exists():
            if not create:
                raise InputError(f"the store {path} does not exist; give the file of an earlier sweep")
            if not path.parent.is_dir():
                raise InputError(f"the store {path} cannot be made: its folder does not exist; make it first")
            return
        try:
            with path.open("rb") as file:
                head = file.read(100)
        except OSError as error:
            raise InputError(f"the store {path} cannot be read: {error.strerror or error}") from None
        # A file of no bytes is what a driver killed in its very first moment leaves behind.
        if head and (len(head) < 100 or not head.startswith(b"SQLite format 3\0")):
            raise InputError(f"{path} is no store of curriculode (not an SQLite file); it was left as it is: give another name")
        page = int.from_bytes(head[16:18], "big") or 1
        pages = int.from_bytes(head[28:32], "big")
        size = 65536 if page == 1 else page
        if head and not Path(f"{path}-wal").exists() and path.stat().st_size < size * pages:
            raise InputError(
                f"the store {path} is truncated: {path.stat().st_size} of {size * pages} bytes; restore it from a copy"
            )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn SQLite's complaints into a sentence."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            what = str(error)
            remedy = (
                "another process is writing it; wait for it"
                if "locked" in what
                else "check that you may write to it and its folder, and that the disk is not full"
                if isinstance(error, sqlite3.OperationalError)
                else "it is damaged; restore it from a copy, or begin another"
            )
            raise InputError(f"the store {self.path} cannot be used ({what}): {remedy}") from None

    def _open(self, create: bool) -> None:
        run = self._connection.execute
        self._connection.create_function("sound", -1, _sound, deterministic=True)
        (application,), (version,) = run("PRAGMA application_id").fetchone(), run("PRAGMA user_version").fetchone()
        empty = not run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application == 0 and empty:
            if not create:
                raise InputError(f"the store {self.path} is empty; give the file of an earlier sweep")
            self._make()
            return
        if application != _APPLICATION:
            raise InputError(f"{self.path} is an SQLite file, but no store of curriculode; it was left as it is: give another name")
        if version != FORMAT:
            made = " (made by curriculode 0.1)" if version == 1 else ""
            raise InputError(
                f"the store {self.path} has format {version}{made}, but this version of curriculode writes format {FORMAT}; "
                "use the version that made it, or begin another store"
            )
        if self.path is not None and self.path.stat().st_size <= _CHECKED:
            found = run("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found.replace("\n", " "))
        self.meta = dict(run("SELECT name, value FROM meta").fetchall())

    def _make(self) -> None:
        made = datetime.now(UTC).isoformat(timespec="seconds")
        self.meta = {"curriculode": __version__, "environment": environment(), "made": made}
        self._writing()
        with self._transaction() as run:
            run(f"PRAGMA application_id = {_APPLICATION}")
            run(f"PRAGMA user_version = {FORMAT}")
            for statement in _SCHEMA.split(";"):
                run(statement)
            self._connection.executemany("INSERT INTO meta VALUES (?, ?)", self.meta.items())

    def _writing(self) -> None:
        """Before the first write: write-ahead mode, in which a commit costs no more than an append to the log."""
        if not self._writes:
            self._writes = True
            if self.path is not None:
                # Where the file system cannot do it (some network drives) SQLite stays in its ordinary mode, as safe and slower.
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection.execute
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @property
    def own(self) -> int:
        """The number of this process's sources."""
        return _number(sources.fingerprint())

    def keep(self, key: bytes, job: Job, result: Result) -> None:
        """Keep a finished point, in a transaction of its own; it replaces one of the same key and sources."""
        with self._readable():
            self._writing()
            added: dict[tuple[str, str], int] = {}
            with self._transaction():
                row = (
                    key,
                    self._add("sources", job.code.sources, added),
                    self._add("experiments", job.text, added),
                    job.seed,
                    self._add("settings", job.settings.text, added),
                    self._add("environments", result.environment, added),
                    self._add("layouts", result.layout, added),
                    result.failed,
                    result.seconds,
                )
                texts = [text.encode(errors="replace") for text in (json.dumps(job.changes), result.status, result.traceback)]
                self._connection.execute(
                    f"INSERT OR REPLACE INTO points ({_COLUMNS}) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?)",
                    (*row, *texts, result.numbers, checksum(*row, *texts, result.numbers)),
                )
            self._numbers |= added

    def _add(self, table: str, content: str, added: dict[tuple[str, str], int]) -> int:
        """The number of a text in a table; from its content, so that stores can be joined. What is new is told in `added`."""
        known = self._numbers.get((table, content))
        if known is not None:
            return known
        text = content
        if table == "sources":
            today = datetime.now(UTC).date().isoformat()
            text = json.dumps({"sources": content, "curriculode": __version__, "made": today})
        number = added[table, content] = _number(content)
        self._connection.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (number, text))
        return number

    def groups(self) -> list[Group]:
        """Sources, outcomes and layouts of all points, from an index alone."""
        query = "SELECT sources, failed, layout, count(*) FROM points GROUP BY sources, failed, layout"
        with self._readable():
            return [Group(own, bool(failed), layout, n) for own, failed, layout, n in self._connection.execute(query)]

    def keys(self, group: Group) -> bytes:
        """The keys of the points of a group, sorted, end to end; 16 bytes each."""
        # The order of the index: nothing is sorted.
        query = "SELECT key FROM points WHERE sources = ? AND failed = ? AND layout = ? ORDER BY key"
        with self._readable():
            return b"".join(key for (key,) in self._connection.execute(query, (group.sources, group.failed, group.layout)))

    def layouts(self) -> dict[int, Layout]:
        """The layouts of points by number, those that are what was written."""
        with self._readable():
            rows = self._connection.execute("SELECT id, CAST(text AS BLOB) FROM layouts").fetchall()
        return {number: Layout.from_text(text.decode()) for number, text in rows if text and _number(text) == number}

    def made_by(self) -> dict[int, dict[str, str]]:
        """What computed points, by the number of the sources: `curriculode`, its version, and `made`, the day of the first."""
        with self._readable():
            rows = self._connection.execute("SELECT id, text FROM sources").fetchall()
        return {number: json.loads(text) for number, text in rows}

    def results(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, int, Result]]:
        """The points of those keys that these sources computed and that are what was written; with the number of their layout."""
        texts = {number: layout.text for number, layout in self.layouts().items()}
        own, read = self.own, self._damaged == []  # whether all were read and found sound by this very store
        query = f"SELECT {_ROW}, checksum FROM points WHERE key = ? AND sources = ?"
        with self._readable():
            for key in keys:
                row = self._connection.execute(query, (key, own)).fetchone()
                if row is not None and (read or _sound(*row)):
                    status, trace, numbers = row[10], row[11], row[12]
                    yield (
                        key,
                        row[6],
                        Result(bool(row[7]), status.decode(), row[8], texts.get(row[6], ""), numbers, "", trace.decode()),
                    )

    def failures(self, keys: Iterable[bytes], most: int) -> list[Failure]:
        """The first failed points among those keys, with Python's tracebacks."""
        wanted, found = set(keys), []
        query = f"SELECT {_ROW}, checksum FROM points WHERE sources = ? AND failed = 1"
        with self._readable():
            for row in self._connection.execute(query, (self.own,)):
                if row[0] in wanted and _sound(*row):
                    found.append(Failure(json.loads(row[9]), row[3], row[10].decode(), row[11].decode()))
                    if len(found) == most:
                        break
        return found

    def damaged(self) -> int:
        """Number of points whose checksum says that they are not what was written; all are read, once."""
        if self._damaged is None:
            query = f"SELECT rowid FROM points WHERE NOT sound({_ROW}, checksum)"
            with self._readable():
                self._damaged = [number for (number,) in self._connection.execute(query)]
        return len(self._damaged)

    def mend(self) -> int:
        """Take out the points that are damaged, so that they are missing; their number."""
        if (count := self.damaged()) and self._damaged:
            with self._readable():
                self._writing()
                with self._transaction() as run:
                    run("REINDEX points")  # a damaged key stands in the indices as it was
                    for number in self._damaged:
                        run("DELETE FROM points WHERE rowid = ?", (number,))
            self._damaged = []
        return count

    def take(self, other: "Store") -> tuple[int, int]:
        """Take the points of another store that are what was written: numbers of new points, and of those it has otherwise.

        What is done here stays as it is; what is missing or failed here comes from there.
        """
        with self._readable():
            self._writing()
            self._connection.execute("ATTACH ? AS other", (str(other.path),))
            try:
                with self._transaction() as run:
                    otherwise = run(
                        "SELECT count(*) FROM other.points AS o JOIN points AS p USING (key, sources, layout) "
                        "WHERE NOT o.failed AND NOT p.failed AND o.numbers != p.numbers"
                    ).fetchone()[0]
                    for table in _NUMBERED:
                        run(f"INSERT OR IGNORE INTO {table} SELECT * FROM other.{table}")
                    before = run("SELECT count(*) FROM points WHERE failed = 0").fetchone()[0]
                    taken = f"SELECT {_COLUMNS} FROM other.points AS o WHERE sound({_ROW}, checksum)"
                    run(f"INSERT OR IGNORE INTO points ({_COLUMNS}) {taken} AND o.failed = 1")
                    run(
                        f"INSERT OR REPLACE INTO points ({_COLUMNS}) {taken} AND o.failed = 0 AND NOT EXISTS "
                        "(SELECT 1 FROM points AS p WHERE p.key = o.key AND p.sources = o.sources AND p.failed = 0)"
                    )
                    after = run("SELECT count(*) FROM points WHERE failed = 0").fetchone()[0]
            finally:
                self._connection.execute("DETACH other")
        return after - before, otherwise

    def counts(self) -> tuple[int, int]:
        """Numbers of points done and failed in the whole store, of all sources."""
        found = self.groups()
        return sum(group.count for group in found if not group.failed), sum(group.count for group in found if group.failed)

    def close(self) -> None:
        """Close the file; if nobody else has it open, nothing but one ordinary file is left."""
        if self._writes and self.path is not None:
            try:
                self._connection.execute("PRAGMA busy_timeout = 0")
                self._connection.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.DatabaseError:
                pass  # somebody reads it: the log is put away by whoever closes last
        self._connection.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _number(text: str | bytes) -> int:
    """The number of a text, 56 bits."""
    content = text.encode() if isinstance(text, str) else text
    return int.from_bytes(hashlib.blake2b(content, digest_size=7).digest(), "big")
