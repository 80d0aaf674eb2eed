"""The folder of results: all files of a command or none, and nothing of the user's is overwritten unasked."""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curriculode.theory.core.errors import InputError

_MANIFEST = ".curriculode.json"
_LOCK = ".curriculode.lock"
_LONGEST_WAIT = 30.0  # seconds for another process to put its files in place, which takes it a moment
_STALE = 3600.0  # seconds after which a file beside its place is what a killed process left

Writer = Callable[[Path], object]


class Outputs:
    """The files of one command, which belong to the whole set of settings that made them.

    A file that exists is replaced only if this command made it with the same settings and nobody changed it since, or with
    `force`; else the command is refused before it computes anything. All files are written beside their places and moved there
    together when the last is complete. What has been computed is never thrown away: if somebody else took a name meanwhile, or the
    results are unfinished and older unfinished ones of other settings are there, a number is added to the names.

    stem, suffixes : the names are stem + suffix;  command, settings : what makes the files, as texts
    """

    def __init__(self, folder: Path, stem: str, suffixes: Sequence[str], command: str, settings: str, force: bool) -> None:
        self.folder, self.stem, self.force = folder, stem, force
        self.origin = f"{command}: {hashlib.sha256(settings.encode(errors='replace')).hexdigest()[:16]}"
        self.written: list[Path] = []
        self.note = ""
        try:
            if folder.exists() and not folder.is_dir():
                raise InputError(f"--out {folder} is a file; give the name of a folder")
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {folder} cannot be made: {error.strerror or error}; give a folder you may write to") from None
        if not os.access(folder, os.W_OK):
            raise InputError(f"--out {folder} cannot be written to; give a folder you may write to")
        for name in [*(stem + suffix for suffix in suffixes), _MANIFEST, _LOCK]:
            if (folder / name).exists() and not (folder / name).is_file():
                raise InputError(
                    f"{folder / name} is in the way of a file of that name; remove it, or choose another folder with --out"
                )
        taken = self._taken(stem, suffixes, self._read())
        if taken is not None:
            raise InputError(
                f"{taken} exists and was not made by this command with these settings; use --force to overwrite it, "
                "or another folder with --out"
            )

    def publish(self, writers: Mapping[str, Writer], unfinished: bool = False) -> list[Path]:
        """Write the files by suffix, each by calling its writer with a path, and put them in place together.

        Unfinished results have names of their own, STEM-partial, so that they take no finished ones' place.
        """
        stem, token = self.stem + ("-partial" if unfinished else ""), secrets.token_hex(4)
        beside = {suffix: self.folder / f".curriculode-{token}-{stem}{suffix}" for suffix in writers}
        manifest = self.folder / f".curriculode-{token}-manifest"
        try:
            for suffix, writer in writers.items():
                writer(beside[suffix])
            content = {suffix: _digest(path) for suffix, path in beside.items()}
            with self._held():
                known = self._read()
                stem = self._free(stem, list(writers), known)
                mine = {stem + suffix: {"origin": self.origin, "content": content[suffix]} for suffix in writers}
                manifest.write_text(json.dumps({**known, **mine}, indent=1), encoding="utf-8")
                for suffix, path in beside.items():
                    os.replace(path, self.folder / (stem + suffix))
                os.replace(manifest, self.folder / _MANIFEST)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"the results could not be written to {self.folder} ({reason}); what was there is as it was") from None
        finally:
            for path in (*beside.values(), manifest):
                path.unlink(missing_ok=True)
        placed = [self.folder / (stem + suffix) for suffix in writers]
        self.written += placed
        return placed

    def _taken(self, stem: str, suffixes: Sequence[str], known: dict[str, Any]) -> Path | None:
        """The first of the files that may not be replaced."""
        for suffix in suffixes:
            path = self.folder / (stem + suffix)
            if path.is_dir() or (
                path.exists() and not self.force and known.get(path.name) != {"origin": self.origin, "content": _digest(path)}
            ):
                return path
        return None

    def _free(self, stem: str, suffixes: Sequence[str], known: dict[str, Any]) -> str:
        """The stem, with a number where a file of it may not be replaced."""
        taken, number, free = self._taken(stem, suffixes, known), 1, stem
        while self._taken(free, suffixes, known) is not None:
            number += 1
            free = f"{stem}-{number}"
        if taken is not None:
            self.note = f"{taken} is not of this command with these settings and was left as it is"
        return free

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Nobody else puts files into the folder; what killed processes left beside their places is put away."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / _LOCK, timeout=_LONGEST_WAIT)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(f"another process holds {self.folder / _LOCK}; wait for it, and run the command again") from None
        except NotImplementedError:
            lock = None  # type: ignore[assignment]  # a file system without locks: each file is still put in place at once
        try:
            for path in self.folder.glob(".curriculode-*-*"):
                with_age = time.time() - path.stat().st_mtime if path.exists() else 0.0
                if with_age > _STALE:
                    path.unlink(missing_ok=True)
            yield
        finally:
            if lock is not None:
                lock.release()

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):  # missing or damaged: then no file is known as this command's
            return {}
        return content if isinstance(content, dict) else {}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return ""  # nobody's that we know: it is not overwritten
