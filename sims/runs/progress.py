"""Progress of long work: a bar on a terminal once two seconds have passed, and silence everywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

Told = bool | Callable[[float], None] | None  # what a user may give as `progress`: on, off, a function, or by default a bar


@contextmanager
def progress_of(what: str, wanted: Told = None) -> Iterator[Callable[[float], None]]:
    """What is told the finished fraction of the work called `what`: the user's function, or a bar."""
    with Progress(what, 1.0, False if callable(wanted) else wanted) as bar:
        yield wanted if callable(wanted) else bar.update


class Progress:
    """Progress of `total` units of work called `description`; a context manager.

    On a terminal a bar with the remaining time appears when the work has taken two seconds and would take longer; where
    the error stream is not a terminal nothing is written.
    """

    patience = 2.0  # seconds

    def __init__(self, description: str, total: float, enabled: bool | None = None) -> None:
        self.description, self.total = description, total
        self.enabled = sys.stderr.isatty() if enabled is None else enabled
        self._begin = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def update(self, done: float) -> None:
        """Tell how many units are done."""
        if not self.enabled:
            return
        if self._bar is None:
            if time.monotonic() - self._begin < self.patience or done >= self.total:
                return
            self._show()
        self._bar.update(self._task, completed=done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self.description, total=self.total)
        self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
