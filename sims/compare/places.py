"""Where the cells of a comparison are computed: in this process, and in others beside it.

The steps of a narrow student's equations are mostly Python's, of which a process does one at a time: on two cores two threads
took 36 s of processor time for what one did in 30, and ended hardly sooner.

The first time that this version of the package is used on a machine its kernels are compiled. Numba compiles one function at a time
in a process, so that another one begins with those of the diffusion, the longest, which cells here then wait for.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import replace
from queue import SimpleQueue
from threading import Event
from typing import Any, Self

import numpy as np

from curriculode.sims.compare.cell import Cell
from curriculode.sims.compare.jobs import Job, OnlineJob
from curriculode.sims.runs.processes import Processes, begin
from curriculode.sims.runs.simulate import simulate
from curriculode.sims.spaces import stretch
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.compiled import was_compiled
from curriculode.theory.core.registry import outside_modules
from curriculode.theory.describe.experiment import Experiment

_WORTH = 5e6  # steps of units below which all is computed before another process has begun
_POLL = 0.05  # seconds between looks at whether Ctrl-C was pressed

_done: Any = None  # in another process: how much of each job is done, where this one sees it


class Places:
    """This process, and as many others as are worth it; a context manager.

    jobs : what is computed;  workers : cores that may be used
    at_once : how many jobs are computed at a time;  order : their numbers as they are begun
    """

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        # What is registered outside the package might be another thing in a process that imports it anew.
        worth = sum(job.work for job in jobs) >= _WORTH and not outside_modules()
        others = min(workers, len(jobs)) - 1 if worth else 0
        online = next((job for job in jobs if type(job) is OnlineJob), None)
        compiles = online is not None and workers > 1 and not was_compiled(stretch.advance)
        self._processes, self._done = Processes(), np.zeros(len(jobs))
        self._others: ProcessPoolExecutor | None = None
        self._compiled: Future[None] | None = None
        if others or compiles:
            try:
                shared = self._processes.RawArray("d", len(jobs))
                pool = ProcessPoolExecutor(max(others, 1), self._processes, _begin, (shared,))
                if compiles and online is not None:
                    few = online.experiment.replace({"protocol.duration": 10.0 / online.dimension}).to_toml()
                    self._compiled = pool.submit(compile_diffusion, few, online.dimension)
                self._others, self._done = pool, np.frombuffer(shared)
            except Exception:  # no room for what is shared, a system without processes, or a daemon: this one can do it alone
                others = 0
        self.at_once = 1 + others if others else min(2, workers)  # what one thread leaves of the cores, another uses
        # The longest first, so that all end together; one at a time as they were given, for who ends it before.
        self.order = sorted(range(len(jobs)), key=lambda number: -jobs[number].work if self.at_once > 1 else number)
        if others:
            each = -(-workers // self.at_once)
            jobs = [replace(job, numerics=job.numerics.set(workers=each)) for job in jobs]
        self._jobs = jobs
        self._free: SimpleQueue[ProcessPoolExecutor | None] = SimpleQueue()
        for place in range(self.at_once):
            self._free.put(self._others if others and place else None)

    def fraction(self) -> float:
        """How much is done, of all jobs."""
        return float(self._done.mean())

    def judged(self, number: int, stop: Event) -> list[Cell] | None:
        """The cells of a job with their verdicts, or None if Ctrl-C ended it."""
        place = self._free.get()
        try:
            if place is not None:
                try:
                    return self._beside(place, number, stop)
                except Exception:  # it died, or lacks what only this process knows; what is wrong with a job itself comes again
                    place = None
            return self._here(number, stop)
        finally:
            self._free.put(place)

    def _here(self, number: int, stop: Event) -> list[Cell] | None:
        def report(fraction: float) -> None:
            self._done[number] = fraction
            if stop.is_set():
                raise KeyboardInterrupt

        try:
            return _judged(replace(self._jobs[number], ready=self.ready), report)
        except KeyboardInterrupt:
            return None

    def _beside(self, place: ProcessPoolExecutor, number: int, stop: Event) -> list[Cell] | None:
        future: Future[list[Cell]] = place.submit(_judged_beside, self._jobs[number], number)
        while not stop.is_set():
            if wait([future], timeout=_POLL).done:
                return future.result()
        return None

    def ready(self, told: Callable[[], None]) -> None:
        """Wait until the other process has compiled what paths of the diffusion need; meanwhile `told` is called, which may raise.

        Should that have failed, as where it lacks a task that was registered here, they are compiled when called.
        """
        while self._compiled is not None and not wait([self._compiled], timeout=_POLL).done:
            told()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._others is not None:
            self._processes.kill()
            self._others.shutdown(cancel_futures=True)


def _judged(job: Job, report: Callable[[float], None]) -> list[Cell]:
    found = job.run(report)
    for cell in found:
        cell.agrees  # noqa: B018 - judged here, beside the computing of others
    return found


def _begin(done: Any) -> None:
    global _done
    begin()
    _done = done


def _judged_beside(job: Job, number: int) -> list[Cell]:
    """In another process."""

    def report(fraction: float) -> None:
        _done[number] = fraction

    with one_blas_thread():
        return _judged(job, report)


def compile_diffusion(text: str, dimension: int) -> None:
    """Take a few steps of the diffusion of an experiment, in TOML, so that its kernels are in the cache."""
    simulate(Experiment.from_toml(text), dimension=dimension, runs=1, times=2, space="diffusion", workers=1, progress=False)
