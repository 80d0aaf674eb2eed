"""The decorator of every compiled kernel, and the cache that never goes stale.

Numba checks a cached function against its own file only, so a change in a helper of another file would go unnoticed.
The cache folder is therefore named by a hash of all sources of the two floors that hold kernels.
"""

import hashlib
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import platformdirs


@cache
def cache_folder() -> str | None:
    """Folder for compiled kernels, keyed by their sources; None where nothing can be written (then each process compiles anew)."""
    package = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256(f"{numba.__version__}".encode())
    for floor in ("theory", "sims"):
        for source in sorted((package / floor).rglob("*.py")):
            digest.update(source.read_bytes())
    root = Path(numba.config.CACHE_DIR or platformdirs.user_cache_path("curriculode"))  # type: ignore[attr-defined]
    folder = root / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return None
    return str(folder)


def kernel(function: Callable) -> Any:
    """Compile `function` on first call: no Python inside, the interpreter lock released, IEEE division, cached on disk."""
    folder = cache_folder()
    # Sums may be reordered and contracted (that is what vectorises them); NaN and infinity keep their meaning.
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract"}, "cache": folder is not None}
    previous = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    # Numba reads this setting when it decorates: set for the moment of decorating, it touches nobody else's functions.
    numba.config.CACHE_DIR = folder or previous  # type: ignore[attr-defined]
    try:
        return numba.njit(**options)(function)
    finally:
        numba.config.CACHE_DIR = previous  # type: ignore[attr-defined]
