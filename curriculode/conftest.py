"""What an example of a docstring registers is known to nobody after it. Not part of the package that is installed."""

from collections.abc import Iterator

import pytest

from tests import registrations


@pytest.fixture(autouse=True)
def _registrations() -> Iterator[None]:
    with registrations.kept():
        yield
