"""The store of a sweep: one SQLite file, one transaction a finished point, written by the driver only.

While it is written it is in write-ahead mode, in which a commit appends to a log beside the file: a process killed at any moment
leaves every committed point readable, and a reader (`--status`) is never in the way. When it is closed it is one ordinary file
again. It holds points of any experiments; format.py says what its tables are. Several drivers may write one store: each commit is
whole, and a point that two of them computed stands there once.

A point is known by its key and its sources. Points of other sources are kept, and not used. What a user registered (tasks,
activations, observables) has its source outside the package, which no number here knows: who changes it begins another store.

What is damaged is told by checksums. Points that are not what was written, or whose layout is not, are missing and told; indices
that do not fit the points are made again; a file whose structure is damaged is refused.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curriculode._version import __version__
from curriculode.sims.sweep import format, sources
from curriculode.sims.sweep.database import PATIENCE, Database, checked_path, look, named
from curriculode.sims.sweep.format import FORMAT, ROW, checksum, number
from curriculode.sims.sweep.point import Job, Result, environment
from curriculode.sims.sweep.values import Layout
from curriculode.theory.core.errors import InputError

_CHECKED = 64 * 2**20  # bytes up to which a file is checked on opening, which takes a second a gigabyte, and for a status
_NOTHING = number("")  # the layout of points without numbers


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


@dataclass(frozen=True)
class Damage:
    """What of a store is not what was written.

    points : rows of them that checksums tell, or whose layout is damaged;  texts : rows of the numbered tables, by name
    indices : whether an index does not fit the points
    """

    points: tuple[int, ...] = ()
    texts: tuple[tuple[str, int], ...] = ()
    indices: bool = False


class Store:
    """The finished points of sweeps, in the file at `path`, or in memory for None. A context manager.

    create : whether a file that is missing is made;  called : its name in messages, where that is another
    raises `InputError` for a file that is no store, is damaged, or of another format
    """

    def __init__(self, path: str | Path | None, *, create: bool = True, called: Path | None = None) -> None:
        self.path = None if path is None else checked_path(path)
        if self.path is not None:
            look(self.path, self.path if called is None else called, create)
        self.meta: dict[str, str] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._damage: Damage | None = None
        self.file = Database(self.path, called)
        try:
            with self.file.readable():
                self._open(create)
        except BaseException:
            self.file.connection.close()
            raise
        self.file.patience = PATIENCE

    def _open(self, create: bool) -> None:
        run = self.file.run
        self.file.connection.create_function("sound", -1, format.sound, deterministic=True)
        if self._empty():
            if not create:
                raise InputError(f"the store {named(self.file.called)} is empty; give the file of an earlier sweep")
            self._make()
        with self.file.snapshot():
            (application,), (version,) = run("PRAGMA application_id").fetchone(), run("PRAGMA user_version").fetchone()
            found = set(run(format.SCHEMA_ROWS).fetchall())
        if application != format.APPLICATION:
            raise InputError(
                f"{named(self.file.called)} is an SQLite file, but no store of curriculode; it was left as it is: give another name"
            )
        if version != FORMAT:
            made = " (made by curriculode 0.1)" if version == 1 else ""
            raise InputError(
                f"the store {named(self.file.called)} has format {version}{made}, but this version of curriculode writes format "
                f"{FORMAT}; use the version that made it, or begin another store"
            )
        if not format.schema_rows() <= found:
            raise self.file.complaint("its tables are not those of a store")
        self._small = self.path is not None and self.path.stat().st_size <= _CHECKED
        if self._small:
            self._check("quick_check")
        self.meta = format.meta_read(run("SELECT CAST(name AS BLOB), CAST(value AS BLOB) FROM meta").fetchall())

    def _check(self, what: str) -> bool:
        """Raise `InputError` for a file whose structure is damaged; whether something of its rows or indices is."""
        faults, mendable = self.file.faults(what)
        if faults:
            raise self.file.complaint(faults[0])
        return mendable

    def _empty(self) -> bool:
        with self.file.snapshot():
            (application,) = self.file.run("PRAGMA application_id").fetchone()
            return application == 0 and not self.file.run("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def _make(self) -> None:
        self.file.writing()
        with self.file.transaction():
            # Another process may have made it since.
            if self.file.run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return
            self.file.run(f"PRAGMA application_id = {format.APPLICATION}")
            self.file.run(f"PRAGMA user_version = {FORMAT}")
            for statement in format.SCHEMA.split(";"):
                self.file.run(statement)
            made = datetime.now(UTC).isoformat(timespec="seconds")
            meta = {"curriculode": __version__, "environment": environment(), "made": made}
            self.file.connection.executemany("INSERT INTO meta VALUES (?, ?)", format.meta_rows(meta))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """A transaction: all of what is written, or nothing."""
        with self.file.readable():
            self.file.writing()
            with self.file.transaction():
                yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything that is read is of one moment, whoever writes meanwhile."""
        with self.file.readable(), self.file.snapshot():
            yield

    def check_writable(self) -> None:
        """Raise `InputError` where a point could not be kept; before it is computed."""
        with self.changing():
            self.file.run("UPDATE meta SET value = value WHERE name = 'made'")

    @property
    def own(self) -> int:
        """The number of this process's sources."""
        return number(sources.fingerprint())

    def keep(self, key: bytes, job: Job, result: Result) -> None:
        """Keep a finished point, in a transaction of its own; it replaces one of the same key and sources."""
        added: dict[tuple[str, str], int] = {}
        with self.changing():
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
            self.file.run(format.INSERT, (*row, *texts, result.numbers, checksum(*row, *texts, result.numbers)))
        self._numbers |= added

    def _add(self, table: str, content: str, added: dict[tuple[str, str], int]) -> int:
        """The number of a text in a table; from its content, so that stores can be joined. What is new is told in `added`."""
        known = self._numbers.get((table, content))
        if known is not None:
            return known
        text = content
        if table == "sources":
            text = format.sources_text(content, __version__, datetime.now(UTC).date().isoformat())
        name = added[table, content] = number(content)
        self.file.run(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (name, text))
        return name

    @property
    def _points(self) -> str:
        """The points that are what was written, as far as they were read, for a query."""
        damage = Damage() if self._damage is None else self._damage
        # An index that does not fit is not asked.
        table = "points NOT INDEXED" if damage.indices else "points"
        return f"{table} WHERE rowid NOT IN ({', '.join(map(str, damage.points))})" if damage.points else f"{table} WHERE 1"

    def groups(self) -> list[Group]:
        """Sources, outcomes and layouts of all points, from an index alone."""
        query = f"SELECT sources, failed, layout, count(*) FROM {self._points} GROUP BY sources, failed, layout"
        with self.file.readable():
            return [Group(own, bool(failed), layout, n) for own, failed, layout, n in self.file.run(query)]

    def keys(self, group: Group) -> bytes:
        """The keys of the points of a group, sorted, end to end; 16 bytes each."""
        # The order of the index: nothing is sorted.
        query = f"SELECT key FROM {self._points} AND sources = ? AND failed = ? AND layout = ? ORDER BY key"
        with self.file.readable():
            found = [key for (key,) in self.file.run(query, (group.sources, group.failed, group.layout))]
        # Other lengths stand in damaged files that are too large to be checked for a status.
        return b"".join(key for key in found if isinstance(key, bytes) and len(key) == 16)

    def layouts(self) -> dict[int, Layout]:
        """The layouts of points by number, those that are what was written."""
        found = {}
        for name, text in self.texts("layouts"):
            with suppress(ValueError, KeyError, TypeError):  # the text of another table, whole as it is
                found[name] = Layout.from_text(text.decode())
        return found

    def texts(self, table: str) -> list[tuple[int, bytes]]:
        """Number and text of each row of a numbered table that is what was written."""
        with self.file.readable():
            rows = self.file.run(f"SELECT id, CAST(text AS BLOB) FROM {table}").fetchall()
        return [(name, text) for name, text in rows if format.text_is_sound(table, name, text)]

    def made_by(self) -> dict[int, dict[str, str]]:
        """What computed points, by the number of the sources: `curriculode`, its version, and `made`, the day of the first."""
        found = {name: format.sources_read(name, text) for name, text in self.texts("sources")}
        return {name: maker for name, maker in found.items() if maker is not None}

    def results(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, int, Result]]:
        """The points of those keys that these sources computed and that are what was written; with the number of their layout."""
        layouts = {name: layout.text for name, layout in self.layouts().items()}
        own, read = self.own, self._damage == Damage()  # whether all were read and found sound by this very store
        query = f"SELECT {ROW}, checksum FROM {self._points} AND key = ? AND sources = ?"
        with self.file.readable():
            for key in keys:
                row = self.file.run(query, (key, own)).fetchone()
                if row is not None and (read or format.sound(*row)) and (row[6] in layouts or row[6] == _NOTHING):
                    status, trace, numbers = row[10], row[11], row[12]
                    yield (
                        key,
                        row[6],
                        Result(bool(row[7]), status.decode(), row[8], layouts.get(row[6], ""), numbers, "", trace.decode()),
                    )

    def failures(self, keys: Iterable[bytes], most: int) -> list[Failure]:
        """The first failed points among those keys, with Python's tracebacks."""
        wanted, found = set(keys), []
        query = f"SELECT {ROW}, checksum FROM {self._points} AND sources = ? AND failed = 1"
        with self.file.readable():
            for row in self.file.run(query, (self.own,)):
                if row[0] in wanted and format.sound(*row):
                    found.append(Failure(json.loads(row[9]), row[3], row[10].decode(), row[11].decode()))
                    if len(found) == most:
                        break
        return found

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The points as they stand there with their checksums, those of a damaged row too."""
        with self.file.readable():
            yield from self.file.run(f"SELECT {ROW}, checksum FROM points NOT INDEXED")

    def damage(self) -> Damage:
        """What is damaged; everything is read, once."""
        if self._damage is None:
            with self.reading():
                indices = self._check("integrity_check")
                readable = ", ".join(str(name) for name in (_NOTHING, *self.layouts()))
                query = f"SELECT rowid FROM points NOT INDEXED WHERE NOT sound({ROW}, checksum) OR layout NOT IN ({readable})"
                points = tuple(row for (row,) in self.file.run(query))
                texts = []
                for table in format.NUMBERED:
                    whole = {_NOTHING, *self.layouts()} if table == "layouts" else {name for name, _ in self.texts(table)}
                    texts += [(table, name) for (name,) in self.file.run(f"SELECT id FROM {table}") if name not in whole]
            self._damage = Damage(points, tuple(texts), indices)
        return self._damage

    def damaged(self) -> int:
        """Number of points that are not what was written; all are read, once."""
        return len(self.damage().points)

    def told(self) -> Damage:
        """What is known to be damaged; a small file is read for that."""
        return self.damage() if self._damage is not None or self._small else Damage()

    def mend(self) -> Damage:
        """Take out what is damaged, so that points are missing, and make indices again that do not fit; what it was."""
        found = self.damage()
        if found != Damage():
            with self.changing():
                self.take_out(found)
        return found

    def take_out(self, found: Damage) -> int:
        """The same within a transaction; the number of points that were taken out."""
        run, left = self.file.run, 0
        self._damage = Damage()
        for table, name in found.texts:
            run(f"DELETE FROM {table} WHERE id = ?", (name,))
        if not found.points and not found.indices:
            return 0
        for index in format.INDICES:  # a damaged row stands in them as it was
            run(f"DROP INDEX {index}")
        readable = ", ".join(str(name) for name in (_NOTHING, *self.layouts()))
        for row in found.points:  # another process may have put a sound one in its place
            gone = run(f"DELETE FROM points WHERE rowid = ? AND (NOT sound({ROW}, checksum) OR layout NOT IN ({readable}))", (row,))
            left += gone.rowcount
        # Who did not find a point in a damaged index wrote it again.
        run("DELETE FROM points WHERE rowid NOT IN (SELECT max(rowid) FROM points GROUP BY key, sources)")
        for statement in format.SCHEMA.split(";"):
            if " INDEX " in statement:
                run(statement)
        return left

    def counts(self) -> tuple[int, int]:
        """Numbers of points done and failed in the whole store, of all sources."""
        found = self.groups()
        return sum(group.count for group in found if not group.failed), sum(group.count for group in found if group.failed)

    def settle(self) -> None:
        """See to it that one ordinary file holds everything, or raise `InputError`."""
        with self.file.readable():
            self.file.settle()

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
