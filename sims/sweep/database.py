"""A SQLite file that several processes may use: what is locked is waited for, and every complaint becomes a sentence."""

import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from curriculode.theory.core.errors import InputError

OPENING = 15.0  # seconds to wait for a file that is locked, before anything was computed
PATIENCE = 60.0  # and when something was
_TELL = 3.0  # seconds after which it is said
_SWITCH = 5.0  # seconds to wait for the write-ahead mode, without which it goes too
_PAUSE = 0.05
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_DISK = (
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_TOOBIG),
)
# What SQLite's checks say of single rows, which have checksums, and of indices, which can be made again.
_ROWS = re.compile(
    r"\S+ value in |row \S+ missing from index |wrong # of entries in index |non-unique entry in index |row .* differ"
)
_Found = TypeVar("_Found")


def named(path: Path | None) -> str:
    """A path in a message, its end where it is long."""
    text = str(path).replace("\n", "?")
    return text if len(text) <= 120 else f"...{text[-117:]}"


def checked_path(given: Any) -> Path:
    """The file of a store, or `InputError`."""
    if not isinstance(given, (str, os.PathLike)) or isinstance(text := os.fspath(given), bytes) or not text or "\0" in text:
        raise InputError(f"store = {repr(given)[:60]} is not allowed; give the name of a file, such as 'sweep.sqlite'")
    return Path(text)


def look(path: Path, called: Path, create: bool) -> None:
    """Raise `InputError` where something can be said of a file before SQLite touches it."""
    try:
        if path.is_dir():
            raise InputError(f"the store {named(called)} is a folder; give the name of a file, such as sweep.sqlite")
        if not path.exists():
            if not create:
                raise InputError(f"the store {named(called)} does not exist; give the file of an earlier sweep")
            if not path.parent.is_dir():
                raise InputError(f"the store {named(called)} cannot be made: its folder does not exist; make it first")
            return
        if not path.is_file():
            raise InputError(f"the store {named(called)} is no ordinary file; give the name of a file, such as sweep.sqlite")
        with path.open("rb") as file:
            head = file.read(100)
        # In this order: a process that writes lengthens the file before it takes its log or journal away.
        beside = any(Path(f"{path}{ending}").exists() for ending in ("-wal", "-journal"))
        length = path.stat().st_size
    except OSError as error:
        raise InputError(
            f"the store {named(called)} cannot be read: {error.strerror or error}; give a file that you may read"
        ) from None
    # A file of no bytes is what a driver killed in its very first moment leaves behind.
    if head and (len(head) < 100 or not head.startswith(b"SQLite format 3\0")):
        raise InputError(
            f"{named(called)} is no store of curriculode (not an SQLite file); it was left as it is: give another name"
        )
    page = int.from_bytes(head[16:18], "big") or 1
    size = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    if head and not beside and length < size:
        raise InputError(f"the store {named(called)} is truncated: {length} of {size} bytes; restore it from a copy")


class Database:
    """A connection to the file at `path`, or to memory for None; `called` is its name in messages."""

    def __init__(self, path: Path | None, called: Path | None = None) -> None:
        self.path, self.called = path, path if called is None else called
        self.patience = OPENING
        self._told = self._writes = False
        with self.readable():
            # Autocommit: transactions begin and end where they are written down. Waiting is done here, to say so.
            self.connection = sqlite3.connect(
                ":memory:" if path is None else str(path), timeout=0.0, isolation_level=None, cached_statements=64
            )

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Turn SQLite's complaints into a sentence."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.complaint(error) from None
        except UnicodeDecodeError:  # a message that repeats a damaged name
            raise self.complaint("its texts are not UTF-8") from None

    def complaint(self, error: sqlite3.Error | str) -> InputError:
        """The sentence for an error of SQLite's, or for what its checks found."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _BUSY:
            remedy = f"another process kept it locked for {self.patience:g} seconds; wait for it, and run this again"
        elif code in _DISK:
            remedy = "check that you may write to it and its folder, and that the disk is not full"
        elif code == sqlite3.SQLITE_NOMEM:
            remedy = "there is not enough memory"
        else:
            remedy = "it is damaged; restore it from a copy, or begin another"
        what = " ".join(re.sub(r"[^ -~]", " ", str(error)).split())[:80]
        return InputError(f"the store {named(self.called)} cannot be used ({what}): {remedy}")

    def run(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        """Run a statement; while the file is locked, wait."""
        return self._waiting(lambda: self.connection.execute(statement, values), self.patience)

    def _waiting(self, call: Callable[[], _Found], patience: float) -> _Found:
        begin = time.monotonic()
        while True:
            try:
                return call()
            except sqlite3.OperationalError as error:
                waited = time.monotonic() - begin
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _BUSY or waited >= patience:
                    raise
                if waited >= _TELL and not self._told:
                    self._told = True
                    print(
                        f"curriculode: another process has locked the store {named(self.called)}; waiting up to {patience:g} s",
                        file=sys.stderr,
                        flush=True,
                    )
                time.sleep(_PAUSE)

    def writing(self) -> None:
        """Before the first write: write-ahead mode, in which a commit costs no more than an append to the log."""
        if self._writes or self.path is None:
            return
        self._writes = True
        # Where the file system cannot do it (some network drives), or somebody reads on and on, SQLite stays in its ordinary mode,
        # as safe and slower.
        try:
            mode = self._waiting(lambda: self.connection.execute("PRAGMA journal_mode = WAL").fetchone()[0], _SWITCH)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _BUSY:
                raise
            mode = "?"
        if mode == "wal":
            self.run("PRAGMA synchronous = NORMAL")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is written, or nothing."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            if self.connection.in_transaction:  # SQLite itself gives up where a disk is full
                self.connection.execute("ROLLBACK")
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that is read is of one moment; in a transaction it is already."""
        if self.connection.in_transaction:
            yield
            return
        self.run("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                self.connection.execute("COMMIT")

    def faults(self, check: str) -> tuple[list[str], bool]:
        """What a check of SQLite's finds: faults of the file, and whether rows or indices have any, which can be mended."""
        found = [str(row[0]) for row in self.run(f"PRAGMA {check}(1000)")]
        lines = [line for text in found for line in text.splitlines() if line != "ok" and not line.startswith("***")]
        return [line for line in lines if not _ROWS.match(line)], bool(lines)

    def settle(self) -> None:
        """Leave the write-ahead mode: what was written is in one ordinary file."""
        if self._writes and self.connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
            raise sqlite3.OperationalError("its log could not be put away")

    def close(self) -> None:
        """Close the file; if nobody else has it open, nothing but one ordinary file is left."""
        with suppress(sqlite3.Error):  # somebody reads it: the log is put away by whoever closes last
            self.settle()
        self.connection.close()
