"""A number of the sources that compute the numbers of a sweep: it tells points that other equations gave.

Each file counts by its syntax tree without docstrings, comments and layout, so that an edit of words changes nothing and an edit
of an equation everything.
"""

import ast
import hashlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from curriculode.theory.core.compiled import cache_folder

_COUNT = ("theory", "sims/spaces", "sims/runs", "sims/tickets", "sims/sweep/point.py")
_WORDS = ("theory/printing",)  # equations as text: no number comes from there
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def fingerprint() -> str:
    """The number of this process's sources, 32 hexadecimal digits."""
    root = Path(__file__).resolve().parents[2]
    files = {name: path.read_bytes() for name, path in files_that_count(root)}
    # Parsing all files takes a third of a second, reading them a hundredth: the number is remembered by their bytes.
    digest = hashlib.sha256(repr((sys.version_info[:2], files)).encode()).hexdigest()[:16]
    folder = cache_folder()
    known = None if folder is None else Path(folder) / f"sources-{digest}"
    if known is not None:
        try:
            remembered = known.read_text(encoding="ascii")
            if len(remembered) == 32:
                return remembered
        except (OSError, UnicodeDecodeError):
            pass
    number = syntax_number(files)
    if known is not None:
        try:
            beside = known.with_name(f"{known.name}-{os.getpid()}")
            beside.write_text(number, encoding="ascii")
            os.replace(beside, known)
        except OSError:
            pass
    return number


def files_that_count(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of each file below `root` that has a part in the numbers."""
    for part in _COUNT:
        for path in sorted((root / part).rglob("*.py")) if (root / part).is_dir() else [root / part]:
            name = path.relative_to(root).as_posix()
            if not name.startswith(_WORDS):
                yield name, path


def syntax_number(files: dict[str, bytes]) -> str:
    """The number of sources by name, whatever their comments, docstrings and layout."""
    digest = hashlib.blake2b(digest_size=16)
    for name, content in sorted(files.items()):
        digest.update(f"{name}\n".encode())
        parts: list[str] = []
        _write(ast.parse(content), parts)
        digest.update("".join(parts).encode())
    return digest.hexdigest()


def _write(node: object, parts: list[str]) -> None:
    """The text of a syntax tree, the same for all versions of Python: `ast.dump` writes fields that only some of them have."""
    if isinstance(node, ast.AST):
        parts.append(f"{type(node).__name__}(")
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                value = value[1:]
            if value is not None and value != []:
                parts.append(f"{name}=")
                _write(value, parts)
        parts.append(")")
    elif isinstance(node, list):
        parts.append("[")
        for item in node:
            _write(item, parts)
        parts.append("]")
    else:
        parts.append(f"{node!r},")
