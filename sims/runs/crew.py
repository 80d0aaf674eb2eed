"""Threads, progress and Ctrl-C of ensembles, once for all of them."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from curriculode.sims.runs.progress import Told, progress_of
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import whole_number


def worker_count(workers: int | None) -> int:
    """The number of threads or processes to use; by default the cores this process may run on."""
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return whole_number("workers", workers)


def spread(
    what: str,
    work: Callable[[Any, threading.Event], Any],
    groups: Sequence[Any],
    workers: int,
    fraction: Callable[[], float],
    progress: Told = None,
) -> tuple[list[Any], bool]:
    """Results of `work(group, stop)` for all groups, on `workers` threads, and whether Ctrl-C ended it.

    Then `stop` is set, and the results are those that are finished, None for the others; with none finished, KeyboardInterrupt
    goes on.
    fraction : how much is done, for the bar, which `progress` may switch on or off or take the place of
    """
    stop, interrupted = threading.Event(), False
    futures: list[Future] = []
    with one_blas_thread(), progress_of(what, progress) as report, ThreadPoolExecutor(workers) as pool:
        try:
            futures = [pool.submit(work, group, stop) for group in groups]
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                report(fraction())
        except BaseException as error:
            stop.set()
            for future in futures:
                future.cancel()
            if not isinstance(error, KeyboardInterrupt):
                raise
            interrupted = True
    results = [future.result() if future.done() and not future.cancelled() else None for future in futures]
    if interrupted and all(result is None for result in results):
        raise KeyboardInterrupt
    return results, interrupted
