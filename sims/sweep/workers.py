"""Where points are computed: processes of this machine, or any `concurrent.futures.Executor`; and what becomes of the points
of a worker that died.

When a process dies, nobody knows on which point: all that were in flight are computed again. A point that was in flight in two
such deaths is computed alone, and if its worker dies once more, it is the culprit and gets a failed row. So one process killed
from outside costs nothing, and a point that kills its worker every time costs three workers.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from curriculode.sims.runs.crew import worker_count
from curriculode.sims.runs.processes import Processes, begin
from curriculode.sims.sweep.point import Job, Result, compute
from curriculode.theory.core.errors import InputError

_SUSPECT = 2  # deaths a point may be near to before it is computed alone
_BARREN = 10  # more breaks in a row than a culprit can cause
_FAR = 1000  # points in flight on somebody else's executor, whose size is unknown


@dataclass
class Task:
    """A point on its way: its key, what a worker is told, and how many workers died while it was in flight."""

    key: bytes
    job: Job
    deaths: int = 0


class Crew:
    """Workers, and how many points are given to them at a time. A context manager.

    workers : processes, by default one a core; 1 computes in this process
    executor : used in place of them, and left open; or a function that makes one, called again when it breaks
    """

    def __init__(self, workers: int | None = None, executor: Executor | Callable[[], Executor] | None = None) -> None:
        if executor is not None and not isinstance(executor, Executor) and not callable(executor):
            raise InputError(
                f"executor = {executor!r} is not allowed; give a concurrent.futures.Executor, or a function that makes one"
            )
        self.workers = worker_count(workers)
        self._given, self._executor = executor, executor if isinstance(executor, Executor) else None
        self._context: Processes | None = None

    @property
    def here(self) -> bool:
        """Whether points are computed in this process."""
        return self._given is None and self.workers == 1

    @property
    def window(self) -> int:
        """How many points are in flight: enough that nobody waits, and few that are lost with a worker."""
        if self._given is None:
            return 1 if self.here else 2 * self.workers
        return 2 * getattr(self._executor, "_max_workers", _FAR // 2)

    def submit(self, job: Job) -> Future:
        """Give a point to a worker."""
        if self._executor is None:
            if callable(self._given):
                self._executor = self._given()
            elif self.here:
                self._executor = _Here()
            else:
                self._context = Processes()
                self._executor = ProcessPoolExecutor(self.workers, mp_context=self._context, initializer=begin)
        return self._executor.submit(compute, job)

    def replace(self) -> None:
        """Put another executor in the place of one that broke."""
        if isinstance(self._given, Executor):
            raise InputError(
                "the executor given to the sweep broke, because a worker died; what is finished is in the store. Run it again, "
                "with a function that makes an executor in place of an executor, which can then be replaced"
            )
        self.close()

    def close(self, kill: bool = False) -> None:
        """Let go of the workers; with `kill`, without waiting for the points they are at."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if isinstance(self._given, Executor):
            self._executor = executor
            return
        if kill and self._context is not None:
            self._context.kill()
        executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(kill=kind is not None)


def computed(crew: Crew, tasks: Iterable[Task], patience: float = 1.0) -> Iterator[tuple[Task, Result] | None]:
    """Each task with its result, as they finish; None every `patience` seconds in which nothing did.

    When the consumer leaves, what is not yet begun is cancelled.
    """
    waiting, again, alone = iter(tasks), deque[Task](), deque[Task]()
    flying: dict[Future, Task] = {}
    landed: SimpleQueue[Future] = SimpleQueue()
    barren = 0  # breaks in a row that left no result
    try:
        while True:
            broken = False
            # A suspect flies alone: it waits until the others are back, and they until it is.
            while len(flying) < (1 if alone else crew.window) and not any(task.deaths >= _SUSPECT for task in flying.values()):
                task = alone.popleft() if alone else again.popleft() if again else next(waiting, None)
                if task is None:
                    break
                try:
                    future = crew.submit(task.job)
                except BrokenExecutor:
                    (alone if task.deaths >= _SUSPECT else again).appendleft(task)
                    broken = True
                    break
                flying[future] = task
                future.add_done_callback(landed.put)
            if not flying and not broken:
                return
            if not broken:
                try:
                    future = landed.get(timeout=patience)
                except Empty:
                    yield None
                    continue
                result = _result(future)
                if result is not None:
                    barren = 0
                    yield flying.pop(future), result
                    continue
            # The executor is broken: every future ends, most of them for that reason.
            barren += 1
            if barren > _BARREN:
                raise InputError(
                    f"workers died {barren} times in a row before any point was finished; workers = 1 computes without them"
                )
            suspects = []
            for future, task in list(flying.items()):
                _wait(future)
                result = _result(future)
                if result is None:
                    task.deaths += 1
                    suspects.append(task)
                else:
                    yield task, result
                del flying[future]
            landed = SimpleQueue()
            for task in suspects:
                if task.deaths > _SUSPECT:
                    reason = f"its worker died, {task.deaths} times (killed, perhaps out of memory: fewer workers or runs may help)"
                    barren = 0
                    yield task, Result(True, reason, 0.0)
                else:
                    (alone if task.deaths == _SUSPECT else again).append(task)
            crew.replace()
    finally:
        for future in flying:
            future.cancel()


def _result(future: Future) -> Result | None:
    """What a finished future brings; None if its executor broke under it."""
    try:
        return future.result()
    except BrokenExecutor:
        return None
    except CancelledError:
        raise InputError("the workers were taken away from the sweep; what is finished is in the store: run it again") from None
    except InputError:  # a worker that does not fit the sweep would fail every point
        raise
    except Exception as error:  # what an executor says of a worker it gave up, such as Dask's KilledWorker
        return Result(True, f"its worker died: {type(error).__name__}: {error}", 0.0)


def _wait(future: Future) -> None:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    done.wait()


class _Here(Executor):
    """Computes in this process, at once."""

    def submit(self, function: Callable, /, *arguments: Any, **named: Any) -> Future:
        future: Future = Future()
        future.set_result(function(*arguments, **named))
        return future
