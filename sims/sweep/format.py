"""What stands in the file of a store: its tables, and the checksums that tell what is no longer what was written.

    meta          version of the package that made it, when and where, and a number of these
    experiments   base experiments as TOML, by number: for reading, keys do not depend on them
    settings      how points were computed, as JSON, by number
    sources       what computed them (see sources.py): number, version of the package, day of the first point, as JSON
    environments  versions and platform of the processes that computed them, as JSON, by number
    layouts       what the numbers of a point are (see values.py), as JSON, by number
    points        key (see plan.py), sources, experiment, the parameters that differ from it as JSON, seed, settings, environment,
                  layout, failed, status, traceback, seconds, the final values as float64, and a checksum of all that

The number of a text is a hash of it, so that stores can be joined and a damaged text is told by its number.
"""

import hashlib
import json
import sqlite3
import struct
import zlib
from functools import cache
from typing import Any

FORMAT = 2
APPLICATION = 0x43554F44  # "CUOD": what tells the file from other SQLite files
NUMBERED = ("experiments", "settings", "sources", "environments", "layouts")
SCHEMA = """
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
INDICES = ("by_key", "by_outcome")
COLUMNS = (
    "key, sources, experiment, seed, settings, environment, layout, failed, seconds, changes, status, traceback, numbers, checksum"
)
# Texts as bytes: a damaged one need not be UTF-8, and is told by its checksum.
ROW = "key, sources, experiment, seed, settings, environment, layout, failed, seconds, " + ", ".join(
    f"CAST({name} AS BLOB)" for name in ("changes", "status", "traceback", "numbers")
)
INSERT = (
    f"INSERT OR REPLACE INTO points ({COLUMNS}) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?)"
)
_PACKED = struct.Struct("<16sqqqqqq?d4q")
_META = ("curriculode", "environment", "made")
_SOURCES = ("sources", "curriculode", "made")


def checksum(key: Any, *row: Any) -> int:
    """Checksum of a row of points; its texts are bytes."""
    *plain, changes, status, trace, numbers = row
    head = _PACKED.pack(key, *plain, len(changes), len(status), len(trace), len(numbers))
    return zlib.crc32(b"".join((head, changes, status, trace, numbers)))


def sound(*row: Any) -> bool:
    """Whether a row, with its checksum, is what was written."""
    try:
        return len(row[0]) == 16 and row[7] in (0, 1) and checksum(*row[:-1]) == row[-1]
    except (struct.error, TypeError):
        return False


def number(text: str | bytes) -> int:
    """The number of a text, 56 bits."""
    content = text.encode() if isinstance(text, str) else text
    return int.from_bytes(hashlib.blake2b(content, digest_size=7).digest(), "big")


def sources_text(fingerprint: str, version: str, day: str) -> str:
    """What stands in the table of sources."""
    return json.dumps(_signed(dict(zip(_SOURCES, (fingerprint, version, day), strict=True))))


def sources_read(name: int, text: Any) -> dict[str, str] | None:
    """Version and day of a row of that table; None where it is not what was written."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError):
        return None
    if not _whole(found, _SOURCES) or number(found["sources"]) != name:
        return None
    return {key: found[key] for key in _SOURCES}


def text_is_sound(table: str, name: Any, text: Any) -> bool:
    """Whether a row of a numbered table is what was written."""
    if not isinstance(name, int) or not isinstance(text, bytes):
        return False
    return sources_read(name, text) is not None if table == "sources" else number(text) == name


def meta_rows(meta: dict[str, str]) -> list[tuple[str, str]]:
    """What stands in the table meta."""
    return list(_signed(meta).items())


def meta_read(rows: list[tuple[Any, Any]]) -> dict[str, str]:
    """The same as a dict, "?" for everything where it is not what was written."""
    try:
        found = {name.decode(): value.decode() for name, value in rows}
    except (UnicodeDecodeError, AttributeError):
        found = {}
    return {name: found[name] for name in _META} if _whole(found, _META) else dict.fromkeys(_META, "?")


def _signed(table: dict[str, str]) -> dict[str, str]:
    return {**table, "check": f"{number(repr(sorted(table.items()))):x}"}


def _whole(found: Any, names: tuple[str, ...]) -> bool:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return False
    # The first stores of this format have no check.
    return set(found) == set(names) or (set(found) == {*names, "check"} and _signed({name: found[name] for name in names}) == found)


@cache
def schema_rows() -> frozenset[tuple[bytes, ...]]:
    """What SQLite's own table says of a whole store."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(SCHEMA)
        return frozenset(connection.execute(SCHEMA_ROWS).fetchall())
    finally:
        connection.close()


SCHEMA_ROWS = "SELECT " + ", ".join(f"CAST({name} AS BLOB)" for name in ("type", "name", "tbl_name", "sql")) + " FROM sqlite_master"
