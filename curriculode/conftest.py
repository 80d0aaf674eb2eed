"""What an example of a docstring registers is known to nobody after it. Not part of the package that is installed."""

import importlib.util
from collections.abc import Iterator

import pytest

from tests import registrations

# Without the extra "networks" the examples of its room are left out; its tests say so.
collect_ignore_glob = [] if importlib.util.find_spec("jax") and importlib.util.find_spec("sklearn") else ["sims/networks/*"]


@pytest.fixture(autouse=True)
def _registrations() -> Iterator[None]:
    with registrations.kept():
        yield
