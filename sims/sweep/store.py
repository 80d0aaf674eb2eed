"""The store of a sweep: one SQLite file, one transaction a finished point, written by the driver only.

While it is written it is in write-ahead mode, in which a commit appends to a log beside the file: a process killed at any moment
leaves every committed point readable, and a reader (`--status`) is never in the way. When it is closed it is one ordinary file
again. Tables:

    meta          format of the store, version of the package, the experiment as TOML, when and where it was made
    settings      how points were computed, as JSON, by number
    environments  versions and platform of the processes that computed them, as JSON, by number
    points        key (see plan.py), the parameters that differ from the experiment as JSON, seed, settings, environment,
                  failed, status, seconds, and the final values as JSON
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import curriculode
from curriculode.sims.sweep.plan import flat
from curriculode.sims.sweep.point import Job, Result, environment
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment

FORMAT = 1
_APPLICATION = 0x43554F44  # "CUOD": what tells the file from other SQLite files
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE environments (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE points (
    key BLOB PRIMARY KEY, changes TEXT NOT NULL, seed INTEGER NOT NULL, settings INTEGER NOT NULL, environment INTEGER NOT NULL,
    failed INTEGER NOT NULL, status TEXT NOT NULL, seconds REAL NOT NULL, result TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_outcome ON points (failed);
"""


class Store:
    """The finished points of sweeps over one experiment, in the file at `path`, or in memory for None. A context manager.

    create : whether a file that is missing is made;  raises `InputError` for a file that is no store, is damaged, or
    belongs to another experiment or version
    """

    def __init__(self, path: str | Path | None, experiment: Experiment | None = None, *, create: bool = True) -> None:
        self.path = None if path is None else Path(path)
        self._ids: dict[tuple[str, str], int] = {}
        if self.path is not None:
            self._look(create)
        name = ":memory:" if self.path is None else str(self.path)
        self._writes = False
        with self._readable():
            # Autocommit: transactions begin and end where they are written down.
            self._connection = sqlite3.connect(name, timeout=60.0, isolation_level=None)
        try:
            with self._readable():
                self._open(experiment)
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

    def _open(self, experiment: Experiment | None) -> None:
        run = self._connection.execute
        (application,), (version,) = run("PRAGMA application_id").fetchone(), run("PRAGMA user_version").fetchone()
        empty = not run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application == 0 and empty:
            if experiment is None:
                raise InputError(f"the store {self.path} is empty; give the file of an earlier sweep")
            self._make(experiment)
            return
        if application != _APPLICATION:
            raise InputError(f"{self.path} is an SQLite file, but no store of curriculode; it was left as it is: give another name")
        if version != FORMAT:
            raise InputError(
                f"the store {self.path} has format {version}, but this version of curriculode writes format {FORMAT}; "
                "use the version that made it, or begin another store"
            )
        self.meta: dict[str, str] = dict(run("SELECT name, value FROM meta").fetchall())
        self.experiment = Experiment.from_toml(self.meta["experiment"])
        made = self.meta["curriculode"]
        if made != curriculode.__version__:
            raise InputError(
                f"the store {self.path} was made by curriculode {made}, but this is {curriculode.__version__}, whose numbers may "
                "differ; use that version, or begin another store"
            )
        if experiment is not None and (difference := _difference(self.experiment, experiment)):
            raise InputError(
                f"the store {self.path} belongs to another experiment ({difference}); give another store, or the experiment it "
                "was made for"
            )

    def _make(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.meta = {
            "curriculode": curriculode.__version__, "experiment": experiment.to_toml(), "environment": environment(),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
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

    def keep(self, key: bytes, job: Job, result: Result) -> None:
        """Keep a finished point, in a transaction of its own; it replaces a failed one."""
        with self._readable():
            self._writing()
            with self._transaction() as run:
                settings = self._number("settings", job.settings.text())
                place = self._number("environments", result.environment)
                run(
                    "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        key, json.dumps(job.changes), job.seed, settings, place, int(result.failed), result.status, result.seconds,
                        json.dumps(result.values),
                    ),
                )  # fmt: skip

    def _number(self, table: str, text: str) -> int:
        """The number of a text in a table; from its content, so that stores can be joined."""
        if (table, text) not in self._ids:
            number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")
            self._connection.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (number, text))
            self._ids[table, text] = number
        return self._ids[table, text]

    def outcomes(self) -> dict[bytes, int]:
        """Key -> 1 if the point failed, 0 if it is done; from the index alone, so that a million take a second."""
        with self._readable():
            return dict(self._connection.execute("SELECT key, failed FROM points"))

    def keys(self, failed: bool) -> bytes:
        """The keys of all points that are done, or that failed, sorted, end to end; 16 bytes each."""
        query = "SELECT key FROM points WHERE failed = ? ORDER BY key"  # the order of the index: nothing is sorted
        with self._readable():
            return b"".join(key for (key,) in self._connection.execute(query, (int(failed),)))

    def results(self, keys: Iterable[bytes]) -> Iterator[tuple[bytes, Result]]:
        """The points of those keys that are in the store."""
        with self._readable():
            for key in keys:
                row = self._connection.execute(
                    "SELECT failed, status, seconds, result FROM points WHERE key = ?", (key,)
                ).fetchone()
                if row is not None:
                    yield key, Result(bool(row[0]), row[1], row[2], json.loads(row[3]), "")

    def failures(self, keys: Iterable[bytes], most: int) -> list[tuple[dict[str, Any], int, str]]:
        """Parameters, seed and reason of the first failed points among those keys."""
        wanted, found = set(keys), []
        with self._readable():
            for key, changes, seed, status in self._connection.execute(
                "SELECT key, changes, seed, status FROM points WHERE failed = 1"
            ):
                if key in wanted:
                    found.append((json.loads(changes), seed, status))
                    if len(found) == most:
                        break
        return found

    def take(self, other: "Store") -> tuple[int, int]:
        """Take the points of another store of the same experiment: numbers of new points, and of those it has otherwise.

        What is done here stays as it is; what is missing or failed here comes from there.
        """
        columns = "key, changes, seed, settings, environment, failed, status, seconds, result"
        with self._readable():
            self._writing()
            self._connection.execute("ATTACH ? AS other", (str(other.path),))
            try:
                with self._transaction() as run:
                    otherwise = run(
                        "SELECT count(*) FROM other.points AS o JOIN points AS p USING (key) "
                        "WHERE NOT o.failed AND NOT p.failed AND o.result != p.result"
                    ).fetchone()[0]
                    run("INSERT OR IGNORE INTO settings SELECT * FROM other.settings")
                    run("INSERT OR IGNORE INTO environments SELECT * FROM other.environments")
                    before = run("SELECT count(*) FROM points WHERE NOT failed").fetchone()[0]
                    run(f"INSERT OR IGNORE INTO points SELECT {columns} FROM other.points WHERE failed")
                    run(
                        f"INSERT OR REPLACE INTO points SELECT {columns} FROM other.points AS o WHERE NOT o.failed "
                        "AND NOT EXISTS (SELECT 1 FROM points AS p WHERE p.key = o.key AND NOT p.failed)"
                    )
                    after = run("SELECT count(*) FROM points WHERE NOT failed").fetchone()[0]
            finally:
                self._connection.execute("DETACH other")
        return after - before, otherwise

    def counts(self) -> tuple[int, int]:
        """Numbers of points done and failed in the whole store."""
        with self._readable():
            found = dict(self._connection.execute("SELECT failed, count(*) FROM points GROUP BY failed"))
        return found.get(0, 0), found.get(1, 0)

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


def _difference(there: Experiment, here: Experiment) -> str:
    """The first parameter in which two experiments differ, in words; nothing if they are the same."""
    a, b = flat(there), flat(here)
    for name in {**a, **b}:
        if a.get(name) != b.get(name):
            return f"{name} is {a.get(name, 'not set')!r} there and {b.get(name, 'not set')!r} here"
    return "its levels are in another order" if there != here and list(a) != list(b) else ""
