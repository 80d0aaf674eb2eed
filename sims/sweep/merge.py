"""Stores of several machines become one: all of their points, or, whatever goes wrong, a result that is as it was."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curriculode.sims.sweep import format
from curriculode.sims.sweep.database import checked_path, look, named
from curriculode.sims.sweep.store import Damage, Store
from curriculode.theory.core.errors import InputError


@dataclass(frozen=True)
class Merged:
    """What a merged store holds: points `done` and `failed`, of them `new` since; `otherwise`: points that were done in two
    stores by the same sources with different numbers (of other libraries or processors), of which the first was kept; `damaged`:
    points of the stores that were left out, since a checksum fails; `texts`: descriptions of how points were computed, likewise.
    """

    done: int
    failed: int
    new: int
    otherwise: int
    damaged: int
    texts: int


def merge(out: str | Path, stores: Sequence[str | Path] | str | Path) -> Merged:
    """Join the points of `stores`, which are left as they are, in the store `out`, made if it is missing.

    They may be of any experiments; a point is known by its key and the sources that computed it. Where `out` exists it keeps what
    is done; what it lacks, or what failed in it, comes from the others. It changes in one transaction; where it is made, it is made
    beside its place and moved there when it is complete.
    """
    result = checked_path(out)
    if isinstance(stores, (str, os.PathLike)):
        stores = [stores]
    if not isinstance(stores, Sequence):
        raise InputError(f"stores = {repr(stores)[:60]} is not allowed; give a list of files")
    if not stores:
        raise InputError("no stores to merge; name at least one")
    paths = [checked_path(path) for path in stores]
    look(result, result, create=True)
    with ExitStack() as stack:
        opened = []
        for path in paths:
            opened.append(stack.enter_context(Store(path, create=False)))
            if result.exists() and result.samefile(path):
                raise InputError(f"the store {named(path)} cannot be merged into itself; give another name for the result")
            stack.enter_context(opened[-1].reading())
            opened[-1].damage()  # a damaged file is told before anything is written
        if result.exists() and result.stat().st_size:
            with Store(result) as store:
                return _join(store, opened)
        return _make(result, opened)


def _make(result: Path, others: Sequence[Store]) -> Merged:
    """A new store, complete or not at all."""
    beside = result.with_name(f".{os.getpid()}-{result.name}")
    try:
        with Store(beside, called=result) as store:
            merged = _join(store, others)
            store.settle()
        _place(beside, result)
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{beside}{ending}").unlink(missing_ok=True)
    return merged


def _place(beside: Path, result: Path) -> None:
    """Move a complete store to its place, unless somebody else made one there meanwhile."""
    try:
        try:
            if not result.exists():
                os.link(beside, result)
                return
        except FileExistsError:
            pass
        except OSError:  # file systems without links
            os.replace(beside, result)
            return
        if result.stat().st_size:
            raise InputError(f"another process made the store {named(result)} meanwhile; merge again to add to it")
        os.replace(beside, result)
    except OSError as error:
        raise InputError(f"the store {named(result)} cannot be made: {error.strerror or error}; choose another place") from None


def _join(result: Store, others: Sequence[Store]) -> Merged:
    """Take the points of all others, in one transaction."""
    found = result.damage()
    with result.changing():
        result.take_out(Damage(texts=found.texts))
        for other in others:
            for table in format.NUMBERED:
                known = other.layouts()
                rows = [row for row in other.texts(table) if table != "layouts" or row[0] in known]
                result.file.connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, CAST(? AS TEXT))", rows)
        left = result.take_out(found)
        taken = [_take(result, other) for other in others]
    done, failed = result.counts()
    texts = len(found.texts) + sum(len(other.damage().texts) for other in others)
    new, otherwise, damaged = (sum(numbers) for numbers in zip(*taken, strict=True))
    return Merged(done, failed, new, otherwise, left + damaged, texts)


def _take(result: Store, other: Store) -> tuple[int, int, int]:
    """Take the points of another store: numbers of new ones, of those that were done otherwise, and of damaged ones.

    What is done stays as it is; what is missing or failed comes from there.
    """
    run = result.file.connection.execute  # in a transaction nobody else has a lock
    layouts, counts = {format.number(""), *result.layouts()}, {"new": 0, "otherwise": 0, "damaged": 0}
    empty = not run("SELECT count(*) FROM points").fetchone()[0]

    def wanted() -> Iterator[tuple[Any, ...]]:
        for row in other.rows():
            if not format.sound(*row) or row[6] not in layouts:
                counts["damaged"] += 1
                continue
            known = None
            if not empty:
                known = run("SELECT failed, layout, numbers FROM points WHERE key = ? AND sources = ?", row[:2]).fetchone()
            if known is None or (known[0] and not row[7]):
                counts["new"] += not row[7]
                yield row
            elif not known[0] and not row[7] and known[1] == row[6] and known[2] != row[12]:
                counts["otherwise"] += 1

    result.file.connection.executemany(format.INSERT, wanted())
    return counts["new"], counts["otherwise"], counts["damaged"]
