"""Sweeps and their store, records and their files, a command as a whole process."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits
from timing import best, experiment, head, once, row

import curriculode as cu
from curriculode.sims.sweep.plan import Plan
from curriculode.sims.sweep.status import status_of
from curriculode.sims.sweep.store import Store, checksum


def bare(seed: int) -> None:
    """One point of the sweep below, and nothing around it."""
    case = experiment(4)
    start = case.initial(dimension=1000, seed=seed)
    cu.integrate(case, start, times=[case.protocol.duration], points=1024, scrambling=seed, estimate_error=False)


def sweeps(count: int = 1000, cheap: int = 2000, stored: int = 1_000_000) -> None:
    head(f"Sweeps on {os.cpu_count()} cores: theory, XOR mixture, K = 4, to t = 50", "", "seconds")
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/sweep.sqlite"
        # One BLAS thread each: two processes with two threads each take twice as long.
        with ProcessPoolExecutor(initializer=threadpool_limits, initargs=(1,)) as executor:
            list(executor.map(bare, range(100), chunksize=5))
            alone = once(lambda: list(executor.map(bare, range(count), chunksize=10)))
        row(f"{count} bare integrations", f"{alone:.2f}")
        again = lambda: cu.sweep(experiment(4), seeds=count, store=store, progress=False)  # noqa: E731
        row("the sweep of these points, with its store and the start of its processes", f"{once(again):.2f}")
        row("the same again, resumed and finished", f"{once(again):.3f}")
        # Points that cost next to nothing show what the sweep itself costs.
        tiny = experiment(1, student__activation="linear", protocol__duration=0.01)
        begin = time.perf_counter()
        table = cu.sweep(tiny, seeds=cheap, points=2, store=f"{folder}/tiny.sqlite", workers=1, progress=False)
        overhead = (time.perf_counter() - begin - table["seconds"].sum()) / cheap
        row("store, driver and table, a point", f"{overhead:.5f}")
        begin = time.perf_counter()
        table = cu.sweep(tiny, seeds=range(cheap, 2 * cheap), points=2, store=f"{folder}/tiny.sqlite", progress=False)
        seconds = (time.perf_counter() - begin) / cheap
        # The median: the first point of each process also loads its kernels.
        middle = table["seconds"].median()
        row(f"a point of {middle:.4f} s (median) on all cores, start of the processes included", f"{seconds:.5f}")
        full_store(f"{folder}/full.sqlite", tiny, stored)


def full_store(path: str, tiny: cu.Experiment, count: int) -> None:
    """What it takes to ask a store of so many points how far its sweep is, and to read all its checksums."""
    grid = {"training.learning_rate": list(np.arange(1, count // 1000 + 1) / 1000)}
    cu.sweep(tiny, store=path, workers=1, progress=False)
    database = sqlite3.connect(path)
    names = [name for _, name, *_ in database.execute("PRAGMA table_info(points)")]
    # Every point is a copy of the one that was computed, under a key of its own.
    _, *plain = database.execute("SELECT * FROM points").fetchone()
    texts = {"changes", "status", "traceback"}
    kept = [value.encode() if name in texts else value for name, value in zip(names[1:-1], plain[:-1], strict=True)]
    rows = ((key, *plain[:-1], checksum(key, *kept)) for key in sorted(Plan(tiny, grid, seeds=1000).keys))
    database.executemany(f"INSERT OR REPLACE INTO points VALUES ({', '.join('?' * len(names))})", rows)
    database.commit()
    database.close()
    words = f"{count} points"

    def status() -> None:
        with Store(path, create=False) as store:
            assert status_of(Plan(tiny, grid, seeds=1000), store).done == count

    row(f"status of a store of {words}", f"{once(status):.2f}")
    with Store(path, create=False) as store:
        row(f"the checksums of {words}, read before a sweep goes on", f"{once(store.damaged):.2f}")
        assert not store.damaged()


def records(runs: int = 1000) -> None:
    """A trajectory and an ensemble, written and read again."""
    head("Records: K = 4, XOR mixture, in a warm file cache", "", "ms to save", "ms to load", "kB in the file", "kB in memory")
    case = experiment(4, protocol__duration=1.0)
    start = case.initial(dimension=1000)
    found = {
        "trajectory, 101 times": cu.integrate(case, start, points=1024, estimate_error=False),
        f"ensemble, {runs} runs, 101 times": cu.simulate(case, dimension=1000, runs=runs, progress=False),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/record.npz"
        for name, record in found.items():
            save = best(lambda: record.save(path, overwrite=True), 3)  # noqa: B023
            load = best(lambda: cu.load_record(path), 3)
            assert cu.load_record(path) == record
            held = sum(array.nbytes for array in record.arrays.values())
            row(name, f"{1e3 * save:.1f}", f"{1e3 * load:.1f}", f"{os.path.getsize(path) / 1e3:.0f}", f"{held / 1e3:.0f}")


def command() -> None:
    """As whole processes: cold with an empty folder for compiled kernels, warm with the one that the cold call filled."""
    head("`curriculode compare`, whole process", "", "seconds")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": f"{folder}/kernels"}
        called = [sys.executable, "-m", "curriculode", "compare", "--quiet", "--json"]
        for name in ("cold, compilation included", "warm"):
            work = lambda: subprocess.run(called, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: E731
            row(name, f"{once(work):.1f}")
