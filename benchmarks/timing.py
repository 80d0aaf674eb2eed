"""What the tables share: how a time is taken, the experiment that is timed, and how a table is printed."""

import time
from collections.abc import Callable, Iterable

import curriculode as cu


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of several timings, in seconds: what the machine can do when nobody else uses it."""
    work()
    return min(once(work) for _ in range(repeats))


def once(work: Callable[[], object]) -> float:
    """Seconds that `work` takes, the first time."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def experiment(K: int, **changes: object) -> cu.Experiment:
    """The XOR mixture with K units; `student__activation="relu"` changes `student.activation`."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return cu.load("xor-curriculum").replace({"student.width": K, **named})


def head(title: str, *columns: str) -> None:
    """The head of a table."""
    print(f"\n{title}\n\n| " + " | ".join(columns) + " |\n" + "| --- " * len(columns) + "|", flush=True)


def row(*cells: object) -> None:
    """A row of a table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def listed(values: Iterable[object]) -> list[str]:
    """Values as the texts of columns."""
    return [str(value) for value in values]
