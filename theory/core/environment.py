"""Versions and platform of this process: what is kept beside every result."""

import platform
from functools import cache
from importlib.metadata import version

from curriculode._version import __version__


@cache
def environment() -> dict[str, str]:
    """The package, Python, the libraries that compute, and the platform."""
    versions = {name: version(name) for name in ("numpy", "scipy", "numba")}
    return {"curriculode": __version__, "python": platform.python_version(), **versions, "platform": platform.platform()}
