"""What is timed, against what: prints every table of benchmarks/README.md.

Use: python benchmarks/run.py [averages] [theory] [committees] [batch] [steps] [workers] [sweeps] [command]
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

import curriculode as cu
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.overlap_space import OverlapSpace
from curriculode.sims.spaces.weight_space import WeightSpace
from curriculode.theory.averages.gated_pairs import pair
from curriculode.theory.batch.optimal import optimise
from curriculode.theory.batch.slices import Slices
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.compiled import kernel
from curriculode.theory.dynamics.online import RightHandSide, System
from curriculode.theory.dynamics.packing import pack
from curriculode.theory.units.activations import evaluate


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of several timings, in seconds: what the machine can do when nobody else uses it."""
    work()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def experiment(K: int, **changes: object) -> cu.Experiment:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return cu.load("xor-curriculum").replace({"student.width": K, **named})


@kernel
def many_pairs(ramp1, o1, ramp2, o2, n):
    total = 0.0
    for i in range(n):
        total += pair(ramp1, o1, ramp2, o2, 0.3 + 1e-9 * i, -0.4, 1.2, 0.9, 0.8)[0]
    return total


def evaluation(case: cu.Experiment, way: str) -> float:
    """Microseconds of one right-hand side of a single level."""
    system = System.of(case)
    start = case.initial(dimension=1000, seed=1)
    rhs = RightHandSide(system, system.engine(way, 1024, 0), case.protocol.stages()[-1].probability, start.v)
    y = np.empty(rhs.size)
    Q, M, v = start.blocked()
    pack(Q, M, v, y)
    repeats = max(1, 3000 // case.student.width**2)
    with one_blas_thread():
        return 1e6 * best(lambda: [rhs(0.0, y) for _ in range(repeats)]) / repeats


def averages() -> None:
    print("\nOne pair of fields with means, all six averages, one core\n\n| units | us |\n| --- | --- |")
    for names, kinds in (
        ("erf and erf", (False, 1.0, False, 1.0)),
        ("ReLU and ReLU", (True, 0.0, True, 0.0)),
        ("GELU and GELU", (True, 1.0, True, 1.0)),
        ("GELU and erf", (True, 1.0, False, 1.0)),
    ):
        print(f"| {names} | {1e6 * best(lambda: many_pairs(*kinds, 10**5)) / 10**5:.2f} |")  # noqa: B023
    print("\nMicroseconds of a right-hand side, one level, 2^10 points, one core; in brackets all averages by the net\n")
    rows = {
        "XOR, GELU": experiment(4, protocol__order="hard-only"),
        "XOR, ReLU": experiment(4, protocol__order="hard-only", student__activation="relu"),
        "XOR, quadratic": experiment(4, protocol__order="hard-only", student__activation="quadratic"),
        "committee, erf, M = 2": cu.load("committee-plateau"),
    }
    widths = (1, 4, 8, 16, 32, 64, 128, 256)
    print("| K | " + " | ".join(str(K) for K in widths) + " |\n" + "| --- " * (1 + len(widths)) + "|")
    for name, base in rows.items():
        cases = [base.replace({"student.width": K}) for K in widths]
        cells = [f"{evaluation(case, 'auto'):.0f} ({evaluation(case, 'quasi-Monte Carlo'):.0f})" for case in cases]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def theory() -> None:
    print(
        "\nMean-field equations to t = 50, rtol 1e-6, 2^10 points, random order (two levels mixed), one core, after compilation\n"
    )
    print("| K | activation | seconds | evaluations | ms an evaluation |\n| --- | --- | --- | --- | --- |")
    for K, activation in ((4, "gelu"), (4, "erf"), (4, "relu"), (16, "gelu"), (64, "gelu"), (128, "gelu"), (256, "gelu")):
        case = experiment(K, student__activation=activation, protocol__order="random")
        start = case.initial(dimension=1000, seed=1)
        results = []
        work = lambda: results.append(cu.integrate(case, start, points=1024, estimate_error=False))  # noqa: B023, E731
        duration = best(work, 1 if K > 64 else 3)
        count = results[-1].statistics["evaluations"]
        print(f"| {K} | {activation} | {duration:.3f} | {count} | {1e3 * duration / count:.2f} |")


def committees() -> None:
    """Saad and Solla's committees by closed forms, rtol 1e-6, from one random start of 1000 inputs."""
    print("\nTeacher-student committees, erf, closed forms, rtol 1e-6, fixed equal readouts, one core, after compilation\n")
    print("| case | seconds | evaluations | solver | error |\n| --- | --- | --- | --- | --- |")
    common = {"activation": "erf", "readout": "fixed", "readout_start": "equal", "weight_scale": 0.5}
    small = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=4),
        student=cu.Committee(width=4, **common),
        training=cu.OnlineSGD(learning_rate=0.5),
        protocol=cu.Protocol.single(duration=100.0),
    )
    long = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=4, teacher_readout="1/M", label_noise=1e-3**0.5),
        student=cu.Committee(width=8, readout_scale="1/K", **common),
        training=cu.OnlineSGD(learning_rate=8.0),
        protocol=cu.Protocol.single(duration=1e4),
    )
    for name, case in (
        ("K = M = 4, rate 0.5, to t = 100", small),
        ("K = 8, M = 4, scaled 1/K and 1/M, rate 8, noise, to t = 10^4", long),
    ):
        start = case.initial(dimension=1000, seed=0)
        results = []
        duration = best(lambda: results.append(cu.integrate(case, start)), 30)  # noqa: B023
        exact = cu.integrate(case, start, rtol=1e-12, atol=1e-14)
        error = np.abs(results[-1].generalization_error - exact.generalization_error).max()
        statistics = results[-1].statistics
        print(f"| {name} | {duration:.4f} | {statistics['evaluations']} | {statistics['method']} | {error:.0e} |")
    wide = experiment(256, protocol__order="random")
    start = wide.initial(dimension=1000, seed=1)
    begin = time.perf_counter()
    trajectory = cu.integrate(wide, start, accuracy=1e-3)
    print(
        f"\nK = 256, GELU, XOR, t = 50, accuracy 1e-3 asked for, two cores: {time.perf_counter() - begin:.0f} s, reached "
        f"{trajectory.statistics['averages']['accuracy']:.0e} with {trajectory.statistics['averages']['points']} points"
    )


def batch() -> None:
    """Two slices of D examples each: the state evolution, the search for optimal strengths, and one minimisation."""
    print("\nBatch learning, `batch-perceptron` (two slices), one core, after compilation; minimisation of one run at D = 2000\n")
    columns = ("loss", "ms a point", "passes", "ms to optimise 1 strength", "3 strengths", "s to minimise")
    print("| " + " | ".join(columns) + " |\n" + "| --- " * len(columns) + "|")
    for loss in ("squared", "logistic", "hinge"):
        case = cu.load("batch-perceptron").replace({"training.loss": loss})
        results = []
        point = best(lambda: results.append(cu.state_evolution(case)), 20)  # noqa: B023
        searches = []
        for regularization in (0.1, "optimal"):
            free = case.replace({"training.coupling": "optimal", "training.regularization": regularization})
            slices = Slices.of(free)
            searches.append(best(lambda: optimise(slices, slices.variance[-1]), 2))  # noqa: B023
        run = best(lambda: cu.minimize(case, dimension=2000, runs=1, workers=1), 2)  # noqa: B023
        row = [
            f"{1e3 * point:.2f}",
            str(sum(results[-1].statistics["passes"])),
            *(f"{1e3 * s:.0f}" for s in searches),
            f"{run:.2f}",
        ]
        print(f"| {loss} | " + " | ".join(row) + " |", flush=True)


def step_time(kind: type, K: int, D: int, activation: str = "gelu") -> float:
    """Microseconds for one step of one run, one core."""
    case = experiment(K, student__activation=activation, protocol__order="hard-only")
    lanes = kind.together(K, 32, 1)
    start = case.initial(dimension=D, seed=1)
    space = kind(Model.of(case, D), [start] * lanes, [np.random.default_rng(i) for i in range(lanes)])
    work = K * D + 6 * D if kind is WeightSpace else lanes * (2 * K * K + 30 * K + 60)
    steps = max(20, int(4e7 / work))
    return 1e6 * best(lambda: space.advance(np.tile([0, steps], (lanes, 1)), steps)) / steps / lanes


@kernel
def draw(rng, x):
    for i in range(x.size):
        x[i] = rng.standard_normal()


def limit(K: int, D: int | None) -> float:
    """Microseconds for the random draws of a step and its activations alone; D is None in overlap space."""
    rng, x, fields = np.random.default_rng(0), np.empty(10**6), np.random.default_rng(1).standard_normal((3, K * 1000))
    draws = D if D else K + 2 + (3 * K // 4 + 3) / 2 + 2
    normals = draws * best(lambda: draw(rng, x)) / x.size
    return 1e6 * (normals + best(lambda: evaluate(2, fields[0], fields[1], fields[2])) / 1000)


def steps() -> None:
    print("\nMicroseconds a step of a run, XOR mixture, GELU, squared loss, P = 2, one core; limit: draws and activations alone\n")
    dimensions, wide = (10**2, 10**3, 10**4, 10**6, 10**9), (100, 1000, 10**4)
    titles = [f"D = {D:.0e}" for D in dimensions] + ["limit", *(f"weight space, D = {D} (limit)" for D in wide)]
    print("| K | overlap space, " + " | ".join(titles) + " |\n" + "| --- " * (len(titles) + 1) + "|")
    for K in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        row = [f"{step_time(OverlapSpace, K, D):.3f}" if K + 2 <= D else "-" for D in dimensions] + [f"{limit(K, None):.3f}"]
        row += [f"{step_time(WeightSpace, K, D):.2f} ({limit(K, D):.2f})" if K + 2 <= D else "-" for D in wide]
        print(f"| {K} | " + " | ".join(row) + " |", flush=True)
    rng, x = np.random.default_rng(0), np.empty(10**6)
    print(f"\nOne normal: {1e3 * best(lambda: draw(rng, x)):.2f} ns in the kernels, ", end="")
    print(f"{1e3 * best(lambda: rng.standard_normal(out=x)):.2f} ns by numpy's Generator")


def ensemble_seconds(seed: int) -> float:
    begin = time.perf_counter()
    cu.simulate(experiment(4, protocol__duration=100.0), dimension=1000, runs=32, seed=seed, workers=1, times=2, points=64)
    return time.perf_counter() - begin


def workers() -> None:
    print("\nTwo ensembles of 32 runs, 100,000 steps each, K = 4\n\n| | seconds |\n| --- | --- |")
    ensemble_seconds(0)
    print(f"| one after the other | {ensemble_seconds(0) + ensemble_seconds(1):.2f} |")
    for name, pool in (("two threads of one process", ThreadPoolExecutor), ("two processes", ProcessPoolExecutor)):
        with pool(2) as executor:
            list(executor.map(ensemble_seconds, [0, 1]))
            begin = time.perf_counter()
            list(executor.map(ensemble_seconds, [0, 1]))
            print(f"| {name} | {time.perf_counter() - begin:.2f} |")


def bare(seed: int) -> None:
    """One point of the sweep below, and nothing around it."""
    case = experiment(4)
    start = case.initial(dimension=1000, seed=seed)
    cu.integrate(case, start, times=[case.protocol.duration], points=1024, scrambling=seed, estimate_error=False)


def sweeps(count: int = 1000) -> None:
    print(f"\nSweeps on {os.cpu_count()} cores: theory, XOR mixture, K = 4, to t = 50\n\n| | seconds |\n| --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/sweep.sqlite"
        # One BLAS thread each: two processes with two threads each take twice as long.
        with ProcessPoolExecutor(initializer=threadpool_limits, initargs=(1,)) as executor:
            list(executor.map(bare, range(100), chunksize=5))
            begin = time.perf_counter()
            list(executor.map(bare, range(count), chunksize=10))
            alone = time.perf_counter() - begin
        print(f"| {count} bare integrations | {alone:.2f} |", flush=True)
        begin = time.perf_counter()
        cu.sweep(experiment(4), seeds=count, store=store)
        print(f"| the sweep of these points, with its store and the start of its processes | {time.perf_counter() - begin:.2f} |")
        begin = time.perf_counter()
        cu.sweep(experiment(4), seeds=count, store=store)
        print(f"| the same again, resumed and finished | {time.perf_counter() - begin:.3f} |", flush=True)
        # Points that cost next to nothing show what the sweep itself costs.
        tiny = experiment(1, student__activation="linear", protocol__duration=0.01)
        begin = time.perf_counter()
        table = cu.sweep(tiny, seeds=2000, points=2, store=f"{folder}/tiny.sqlite", workers=1)
        overhead = (time.perf_counter() - begin - table["seconds"].sum()) / 2000
        print(f"| store, driver and table, a point | {overhead:.5f} |")
        begin = time.perf_counter()
        table = cu.sweep(tiny, seeds=range(2000, 4000), points=2, store=f"{folder}/tiny.sqlite")
        print(f"| a point of {table['seconds'].mean():.4f} s on all cores, start of the processes included "
              f"| {(time.perf_counter() - begin) / 2000:.5f} |")  # fmt: skip
        from curriculode.sims.sweep.plan import Plan, Settings
        from curriculode.sims.sweep.store import Store

        grid = {"training.learning_rate": list(np.arange(1, 1001) / 1000)}
        plan = Plan(tiny, grid, None, 1000, Settings())
        with Store(f"{folder}/million.sqlite", tiny):
            pass
        database = sqlite3.connect(f"{folder}/million.sqlite")
        row = ("{}", 0, 0, 0, 0, "theory reached t = 50 in 20 steps of DOP853", 0.05, '{"generalization_error": 0.1}')
        database.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ((key, *row) for key in sorted(plan.keys)))
        database.commit()
        database.close()
        begin = time.perf_counter()
        with Store(f"{folder}/million.sqlite", tiny, create=False) as kept:
            Plan(tiny, grid, None, 1000, Settings()).state(kept.keys(False), kept.keys(True))
        print(f"| status of a store of 10^6 points | {time.perf_counter() - begin:.2f} |")


def command() -> None:
    print("\n`curriculode compare`, whole process\n\n| | seconds |\n| --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        for name in ("first call, compilation included", "second call"):
            begin = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "curriculode", "compare", "--quiet", "--json"],
                cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            print(f"| {name} | {time.perf_counter() - begin:.1f} |", flush=True)


if __name__ == "__main__":
    tables = {
        "averages": averages,
        "theory": theory,
        "committees": committees,
        "batch": batch,
        "steps": steps,
        "workers": workers,
        "sweeps": sweeps,
        "command": command,
    }
    for name in sys.argv[1:] or tables:
        tables[name]()
