"""With more attempts than usual, their outcomes are counted at the end."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.outcomes import SCALE, counts


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if SCALE != 1 and counts:
        terminalreporter.section("attempts")
        for name in sorted(counts):
            terminalreporter.write_line(f"{counts[name]:8d}  {name}")
        terminalreporter.write_line(f"{sum(counts.values()):8d}  in all")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Not for daily work: half a minute on one core."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="module")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever names are drawn for files, they are made in a folder that goes away."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("fuzz"))
    yield
    os.chdir(before)
