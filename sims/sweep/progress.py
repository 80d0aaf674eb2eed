"""Progress of a sweep: points done, rate, time left, and the last failure."""

import sys
import time
from collections.abc import Callable

from curriculode.sims.runs.progress import Progress


class SweepProgress(Progress):
    """A bar on a terminal; where the error stream is none, a line a minute, and nothing for a sweep shorter than that.

    already : points found in the store, which count as done and not for the rate
    wanted : True or False, None for what the stream allows, or a function that is told the finished fraction instead
    """

    interval = 60.0  # seconds between lines

    def __init__(self, total: int, already: int, wanted: bool | Callable[[float], None] | None = None) -> None:
        super().__init__(f"sweep: {total} points", float(total), False if callable(wanted) else wanted)
        self._report = wanted if callable(wanted) else None
        self._lines = wanted is None and not self.enabled
        self._first = already
        self._told = time.monotonic()
        self._failure = ""

    def tell(self, done: int, failure: str | None = None) -> None:
        """Tell how many points are finished, and the status of the last one if it failed."""
        self._failure = failure or self._failure
        now = time.monotonic()
        if self._report is not None:
            self._report(done / self.total)
        if self._lines and now - self._told >= self.interval:
            self._told = now
            print(self.line(done, now - self._begin), file=sys.stderr, flush=True)
        if self.enabled:
            self.update(float(done))
            if self._bar is not None:
                self._bar.update(self._task, description=self.line(done, now - self._begin))

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bar

        # The line tells rate and time left; rich's own columns would count the points found in the store.
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self.description, total=self.total)
        self._bar.start()

    def line(self, done: int, seconds: float) -> str:
        """What is known after so many seconds, in a line."""
        total, fresh = int(self.total), done - self._first
        parts = [f"sweep: {done} of {total} points"]
        if fresh > 0 and seconds > 0:
            rate = fresh / seconds
            left = (total - done) / rate
            parts.append(f"{rate:.3g} a second")
            minutes = f"{left / 60:.0f} min" if left < 7200 else f"{left / 3600:.1f} h"
            parts.append(f"{left:.0f} s left" if left < 120 else f"{minutes} left")
        if self._failure:
            parts.append(f"last failure: {self._failure[:80]}")
        return ", ".join(parts)
