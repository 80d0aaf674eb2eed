"""The folder of results: complete files or none, and nothing of the user's is overwritten unasked."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from curriculode.theory.core.errors import InputError

_MANIFEST = ".curriculode.json"


class Outputs:
    """Files of one command and its settings in a folder.

    A file that exists is replaced only if this command made it with the same settings and nobody changed it since, or with
    `force`. Each file is written beside its place and moved there when complete.
    """

    def __init__(self, folder: Path, command: str, settings: str, names: list[str], force: bool) -> None:
        self.folder, self.origin = folder, f"{command}: {hashlib.sha256(settings.encode()).hexdigest()[:16]}"
        self.written: list[Path] = []
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--out {folder} is a file; give the name of a folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {folder} cannot be made: {error.strerror or error}; give a folder you may write to") from None
        if not os.access(folder, os.W_OK):
            raise InputError(f"--out {folder} cannot be written to; give a folder you may write to")
        self._manifest = self._read()
        for name in [*names, _MANIFEST]:
            path = folder / name
            if path.exists() and not path.is_file():
                raise InputError(f"{path} is in the way of a file of that name; remove it, or choose another folder with --out")
            if force or name == _MANIFEST or not path.exists():
                continue
            if self._manifest.get(name) != {"origin": self.origin, "content": _digest(path)}:
                raise InputError(
                    f"{path} exists and was not made by this command with these settings; use --force to overwrite it, "
                    "or another folder with --out"
                )

    def write(self, name: str, writer: Callable[[Path], object]) -> Path:
        """Write the file `name` by calling `writer` with the path of a file beside it."""
        path = self.folder / name
        beside = self.folder / f".{os.getpid()}-{name}"
        try:
            writer(beside)
            digest = _digest(beside)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        self._manifest = {**self._read(), name: {"origin": self.origin, "content": digest}}
        temporary = self.folder / f".{os.getpid()}{_MANIFEST}"
        try:
            temporary.write_text(json.dumps(self._manifest, indent=1), encoding="utf-8")
            os.replace(temporary, self.folder / _MANIFEST)
        finally:
            temporary.unlink(missing_ok=True)
        self.written.append(path)
        return path

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            content = json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
