"""Other processes of this machine: started anew, without the user's script, and gone when this one is."""

import multiprocessing
import os
import signal
import sys
import threading
import types
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any


class Process(SpawnProcess):
    """A process that starts anew (fork and threads do not go together) and does not run the user's script again.

    Python's own would import the main module, so that a script without `if __name__ == "__main__"` would start itself.
    """

    def start(self) -> None:
        """Start it, with an empty module in the place of the main one."""
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = main


class Processes(SpawnContext):
    """Makes such processes, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *arguments: Any, **named: Any) -> SpawnProcess:  # type: ignore[override]
        """One that is not started yet."""
        process = Process(*arguments, **named)
        self.started.append(process)
        return process

    def kill(self) -> None:
        """End them all, whatever they are at."""
        for process in self.started:
            process.terminate()


def begin() -> None:
    """In a new process: Ctrl-C is the driver's business, and nobody computes on when the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    driver = multiprocessing.parent_process()

    def watch() -> None:
        if driver is not None:
            driver.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
