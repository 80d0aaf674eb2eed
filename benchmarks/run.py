"""What is timed, against what: prints every table of benchmarks/README.md.

Use: python benchmarks/run.py [theory] [committees] [batch] [steps] [workers] [command]
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np

import curriculode as cu
from curriculode.sims.model import Model
from curriculode.sims.overlap_space import OverlapSpace
from curriculode.sims.weight_space import WeightSpace
from curriculode.theory.activations import evaluate
from curriculode.theory.batch.optimal import optimise
from curriculode.theory.batch.slices import Slices
from curriculode.theory.compiled import kernel


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


def theory() -> None:
    print(
        "\nMean-field equations to t = 50, rtol 1e-6, 2^10 points, random order (two levels mixed), one core, after compilation\n"
    )
    print("| K | activation | seconds | evaluations | ms an evaluation |\n| --- | --- | --- | --- | --- |")
    for K, activation in ((4, "gelu"), (4, "erf"), (4, "relu"), (16, "gelu"), (64, "gelu"), (128, "gelu"), (256, "gelu")):
        case = experiment(K, student__activation=activation, protocol__order="random")
        start = case.initial(dimension=1000, seed=1)
        results = []
        duration = best(lambda: results.append(cu.integrate(case, start, estimate_error=False)), 1 if K > 64 else 3)  # noqa: B023
        count = results[-1].statistics["evaluations"]
        print(f"| {K} | {activation} | {duration:.3f} | {count} | {1e3 * duration / count:.2f} |")


def committees() -> None:
    """Saad and Solla's committees by closed forms, rtol 1e-6, from one random start of 1000 inputs."""
    print("\nTeacher-student committees, erf, closed forms, rtol 1e-6, fixed equal readouts, one core, after compilation\n")
    print("| case | seconds | evaluations | solver |\n| --- | --- | --- | --- |")
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
        duration = best(lambda: results.append(cu.integrate(case, start, estimate_error=False)))  # noqa: B023
        statistics = results[-1].statistics
        print(f"| {name} | {duration:.4f} | {statistics['evaluations']} | {statistics['method']} |")


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
    tables = {"theory": theory, "committees": committees, "batch": batch, "steps": steps, "workers": workers, "command": command}
    for name in sys.argv[1:] or tables:
        tables[name]()
