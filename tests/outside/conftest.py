"""The module of a user's own, known to the tests of this folder and to no others."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests import registrations


@pytest.fixture(scope="package")
def lab() -> Iterator[ModuleType]:
    """The module, imported: what it registers is forgotten when the tests of this folder are done."""
    with registrations.kept():
        sys.modules.pop("tests.outside.lab", None)
        yield importlib.import_module("tests.outside.lab")
        sys.modules.pop("tests.outside.lab", None)


collect_ignore = ["lab.py"]  # looked through for examples, it would register its things for all tests
