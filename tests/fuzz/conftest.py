"""With more attempts than usual, their outcomes are counted at the end."""

from typing import Any

from tests.fuzz.outcomes import SCALE, counts


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if SCALE != 1 and counts:
        terminalreporter.section("attempts")
        for name in sorted(counts):
            terminalreporter.write_line(f"{counts[name]:8d}  {name}")
        terminalreporter.write_line(f"{sum(counts.values()):8d}  in all")
