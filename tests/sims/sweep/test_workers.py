"""Workers that die: the sweep goes on, and the point that kills them gets a row with its reason."""

import os
import signal
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import curriculode as cu
from curriculode.sims.runs.processes import Process
from curriculode.sims.sweep import workers
from curriculode.sims.sweep.store import Store

from .conftest import GRID, QUICK
from .test_sweep import same


class Fragile(Executor):
    """Breaks on the points with seed 3 and width 1 like a pool of processes, and with it all that wait; in threads, which start at
    once."""

    def __init__(self) -> None:
        self._max_workers = 2
        self._broken = False
        self._thread = ThreadPoolExecutor(1)

    def submit(self, function, /, *arguments, **named):
        if self._broken:
            raise BrokenExecutor
        future: Future = Future()
        self._thread.submit(self._run, future, function, *arguments)
        return future

    def _run(self, future: Future, function, job) -> None:
        self._broken |= job.seed == 3 and job.changes["student.width"] == 1
        if self._broken:
            future.set_exception(BrokenExecutor())
        else:
            future.set_result(function(job))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._thread.shutdown(wait, cancel_futures=cancel_futures)


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Executor]:
    """A function that makes executors whose processes die, as if killed, on the same points."""
    module = """
        import os, signal

        def compute(function, job):
            if job.seed == 3 and job.changes["student.width"] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(job)
    """
    (tmp_path / "deadly.py").write_text(textwrap.dedent(module))
    monkeypatch.syspath_prepend(tmp_path)
    import deadly  # type: ignore[import-not-found]

    class Deadly(ProcessPoolExecutor):
        def submit(self, function, /, *arguments, **named):
            return super().submit(deadly.compute, function, *arguments, **named)

    return lambda: Deadly(2, mp_context=get_context("spawn"))


def blamed(small: cu.Experiment, executor: Callable[[], Executor], store: Path) -> None:
    """The point that breaks its executor every time gets a failed row, and no other."""
    over = {"student.width": [1, 2]}
    table = cu.sweep(small, over, seeds=6, executor=executor, store=store, **QUICK)
    culprit = (table["seed"] == 3) & (table["student.width"] == 1)
    assert (table["failed"] == culprit).all()
    assert table["status"][culprit].item().startswith("its worker died, 3 times (killed, perhaps out of memory")
    whole = cu.sweep(small, over, seeds=6, workers=1, **QUICK)
    same(table[~culprit], whole[~culprit])
    same(cu.sweep(small, over, seeds=6, workers=1, retry=True, store=store, **QUICK), whole)


def test_a_point_that_breaks_its_executor_is_a_failed_row(small: cu.Experiment, tmp_path: Path) -> None:
    blamed(small, Fragile, tmp_path / "a.sqlite")


@pytest.mark.slow
def test_a_point_that_kills_its_process_is_a_failed_row(small: cu.Experiment, processes, tmp_path: Path) -> None:
    blamed(small, processes, tmp_path / "a.sqlite")


@pytest.mark.slow
def test_one_death_from_outside_costs_nothing(small: cu.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is killed once, in the middle: every point is computed, none is blamed."""
    started: list[Process] = []
    start = Process.start

    def told(self: Process) -> None:
        start(self)
        started.append(self)

    monkeypatch.setattr(Process, "start", told)
    keep, kept = Store.keep, []

    def count(self, *arguments: object) -> None:
        keep(self, *arguments)
        kept.append(1)
        if len(kept) == 10:
            os.kill(started[0].pid or 0, signal.SIGKILL)

    monkeypatch.setattr(Store, "keep", count)
    table = cu.sweep(small, over=GRID, seeds=4, runs=2, workers=2, **QUICK)
    assert len(started) == 4
    same(table, cu.sweep(small, over=GRID, seeds=4, runs=2, workers=1, **QUICK))


def test_a_broken_executor_that_cannot_be_replaced_ends_with_a_sentence(small: cu.Experiment, tmp_path: Path) -> None:
    with Fragile() as executor, pytest.raises(cu.InputError, match="with a function that makes an executor"):
        cu.sweep(small, {"student.width": [2, 1]}, seeds=6, executor=executor, store=tmp_path / "a.sqlite", **QUICK)
    table = cu.sweep(small, {"student.width": [2, 1]}, seeds=6, workers=1, store=tmp_path / "a.sqlite", **QUICK)
    assert not table["failed"].any()


def test_workers_that_never_start_end_with_a_sentence(small: cu.Experiment) -> None:
    class Stillborn(Executor):
        def submit(self, function, /, *arguments, **named):
            raise BrokenExecutor

    with pytest.raises(cu.InputError, match="workers died 11 times in a row before any point was finished"):
        cu.sweep(small, executor=Stillborn, **QUICK)


def test_ctrl_c_in_a_simulation_leaves_no_half_point(small: cu.Experiment, tmp_path: Path) -> None:
    """In this process Ctrl-C ends a simulation with the runs that are finished: fewer than were asked for."""
    long = small.replace({"protocol.duration": 3000.0})
    timer = threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    cu.sweep(small, runs=2, workers=1, **QUICK)  # compiled
    timer.start()
    table = cu.sweep(long, theory=False, runs=2000, workers=1, store=tmp_path / "a.sqlite", **QUICK)
    timer.cancel()
    assert len(table) == 0
    assert table.attrs["interrupted"]


def test_ctrl_c_keeps_what_is_finished(xor: cu.Experiment) -> None:
    """SIGINT in the middle of a long sweep: the rows that are finished, at once, and no worker left."""
    long = xor.replace({"protocol.duration": 1.0, "student.width": 1})

    class Interrupted(Executor):
        count = 0

        def submit(self, function, /, *arguments, **named):
            self.count += 1
            if self.count == 4:
                threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            if self.count >= 4:
                return Future()
            return workers._Here().submit(function, *arguments, **named)

    table = cu.sweep(long, seeds=9, executor=Interrupted(), **QUICK)
    assert len(table) == 3
    told = "3 of 9 points done, 0 failed, then the sweep was interrupted"
    assert table.attrs == {"status": told, "interrupted": True, "done": 3, "failed": 0, "missing": 6}
