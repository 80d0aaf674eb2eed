"""The decorator of every compiled kernel, and the cache that never goes stale.

Numba checks a cached function against its own file only, so a change in a helper of another file would go unnoticed.
The cache folder is therefore named by a hash of all sources of the two floors that hold kernels. Folders of other sources are
deleted once nothing has used them for a week, but for the four that were used last.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import platformdirs

_KEPT, _SECONDS = 4, 7 * 24 * 3600.0


@cache
def cache_folder() -> str | None:
    """Folder for compiled kernels, keyed by their sources; None where nothing can be written (then each process compiles anew)."""
    package = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256(f"{numba.__version__}".encode())
    for floor in ("theory", "sims"):
        for source in sorted((package / floor).rglob("*.py")):
            digest.update(source.relative_to(package).as_posix().encode() + b"\0" + source.read_bytes())
    root = Path(numba.config.CACHE_DIR or platformdirs.user_cache_path("curriculode"))  # type: ignore[attr-defined]
    folder = root / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        os.utime(folder)
    except OSError:
        return None
    prune(root, folder)
    return str(folder)


def prune(root: Path, used: Path) -> None:
    """Delete the folders of kernels in `root` that are older than a week, but for `used` and the four that were used last.

    Another process may do the same at the same time, or begin to use what is deleted here: it then compiles anew.
    """

    def last_used(folder: Path) -> float:
        try:
            return folder.stat().st_mtime
        except OSError:  # gone since it was listed
            return 0.0

    try:
        folders = sorted((folder for folder in root.glob("kernels-*") if folder.is_dir()), key=last_used, reverse=True)
    except OSError:
        return
    for folder in folders[_KEPT:]:
        if folder != used and time.time() - last_used(folder) > _SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def was_compiled(compiled: Any) -> bool:
    """Whether a kernel is in the cache for some arguments; also said where there is no cache that could hold it."""
    folder = compiled.stats.cache_path
    return folder is None or any(Path(folder).glob(f"*.{compiled.py_func.__qualname__}-*.nbi"))


def part(function: Callable) -> Any:
    """Compile `function` into the kernels that call it: a call with named tuples of arrays would count references to each."""
    return kernel(function, "always")


def inner(function: Callable) -> Any:
    """A kernel that only kernels call: nothing that reads arguments from Python is compiled, and Python must not call it."""
    return kernel(function, from_python=False)


def kernel(function: Callable, inline: str = "never", from_python: bool = True) -> Any:
    """Compile `function` on first call: no Python inside, the interpreter lock released, IEEE division, cached on disk."""
    folder = cache_folder()
    # Sums may be reordered and contracted (that is what vectorises them); NaN and infinity keep their meaning.
    options: Any = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"reassoc", "contract"},
        "cache": folder is not None,
        "inline": inline,
        "no_cfunc_wrapper": True,
        "no_cpython_wrapper": not from_python,
    }
    previous = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    # Numba reads this setting when it decorates: set for the moment of decorating, it touches nobody else's functions.
    numba.config.CACHE_DIR = folder or previous  # type: ignore[attr-defined]
    try:
        return numba.njit(**options)(function)
    finally:
        numba.config.CACHE_DIR = previous  # type: ignore[attr-defined]
