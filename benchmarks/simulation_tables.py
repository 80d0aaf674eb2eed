"""Steps of online SGD in both spaces, runs side by side, ensembles beside each other."""

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
from timing import best, experiment, head, row

import curriculode as cu
from curriculode.sims.pairs.simulate import parted
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.overlap_space import OverlapSpace
from curriculode.sims.spaces.pair_overlap import PairOverlap
from curriculode.sims.spaces.weight_space import WeightSpace
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.compiled import kernel
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.units.activations import GELU, evaluate


def step_time(kind: type, K: int, D: int, lanes: int | None = None) -> float:
    """Microseconds for one step of one run, one core; with as many runs side by side as an ensemble of 32 has, or `lanes`."""
    case = experiment(K, protocol__order="hard-only")
    lanes = kind.together(K, 32, 1) if lanes is None else lanes
    setting, start = Setting.of(case), case.initial(dimension=D, seed=1)
    space = kind(Model.of(setting, D), [start] * lanes, [np.random.default_rng(i) for i in range(lanes)])
    work = K * D + 6 * D if kind is WeightSpace else lanes * (2 * K * K + 30 * K + 60)
    steps, rates = max(20, int(4e7 / work)), setting.stages[-1].rates
    with one_blas_thread():
        return 1e6 * best(lambda: space.advance(np.tile([0, steps], (lanes, 1)), steps, rates)) / steps / lanes


@kernel
def draw(rng, x):
    for i in range(x.size):
        x[i] = rng.standard_normal()


def limit(K: int, D: int | None) -> float:
    """Microseconds for the random draws of a step and its activations alone; D is None in overlap space."""
    rng, x, fields = np.random.default_rng(0), np.empty(10**6), np.random.default_rng(1).standard_normal((3, K * 1000))
    draws = D if D else K + 2 + (3 * K // 4 + 3) / 2 + 2
    normals = draws * best(lambda: draw(rng, x)) / x.size
    return 1e6 * (normals + best(lambda: evaluate(GELU, fields[0], fields[1], fields[2])) / 1000)


def pairs(widths: tuple[int, ...] = (1, 4, 8, 16, 32)) -> None:
    """Pairs of runs: a step of both copies, and theory of a pair beside that of one."""
    head(
        "Microseconds a step of both copies of a pair in overlap space, XOR mixture, GELU, 32 pairs side by side, one core; two "
        "runs: twice the time of one. Seconds of theory to t = 50 from k = 0, 2^10 points",
        *("K", "examples of their own, D = 1000", "D = 10^8", "the same examples", "two runs", "theory of a pair", "of one"),
    )
    for K in widths:
        case = experiment(K, protocol__order="hard-only")
        setting = Setting.of(case)
        cells = []
        for D, same in ((1000, False), (10**8, False), (1000, True)):
            start = case.initial(dimension=D, seed=1)
            joint = parted(setting, start.blocked())
            space = PairOverlap(Model.of(setting, D), [joint] * 32, [np.random.default_rng(i) for i in range(32)], same)
            count, rates = max(20, int(4e7 / (64 * (4 * K * K + 30 * K + 60)))), setting.stages[-1].rates
            left = np.tile([0, count], (32, 2, 1))
            with one_blas_thread():
                cells.append(1e6 * best(lambda: space.advance(left.copy(), count, rates)) / count / 32)  # noqa: B023
        start = case.initial(dimension=1000, seed=1)
        two = 2 * step_time(OverlapSpace, K, 1000, 32)
        theory = [
            best(lambda: cu.branch(case, start, times=2), 2),  # noqa: B023
            best(lambda: cu.integrate(case, start, times=2, points=1024, estimate_error=False), 2),  # noqa: B023
        ]
        row(K, *(f"{each:.3f}" for each in (*cells, two, *theory)))


def steps(widths: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)) -> None:
    dimensions, wide = (10**2, 10**3, 10**4, 10**6, 10**9), (100, 1000, 10**4)
    titles = [f"D = {D:.0e}" for D in dimensions] + ["limit", *(f"weight space, D = {D} (limit)" for D in wide)]
    head(
        "Microseconds a step of a run, XOR mixture, GELU, squared loss, P = 2, one core; limit: draws and activations alone",
        "K",
        "overlap space, " + titles[0],
        *titles[1:],
    )
    for K in widths:
        cells = [f"{step_time(OverlapSpace, K, D):.3f}" if K + 2 <= D else "-" for D in dimensions] + [f"{limit(K, None):.3f}"]
        cells += [f"{step_time(WeightSpace, K, D):.2f} ({limit(K, D):.2f})" if K + 2 <= D else "-" for D in wide]
        row(K, *cells)
    rng, x = np.random.default_rng(0), np.empty(10**6)
    print(f"\nOne normal: {1e3 * best(lambda: draw(rng, x)):.2f} ns in the kernels, ", end="")
    print(f"{1e3 * best(lambda: rng.standard_normal(out=x)):.2f} ns by numpy's Generator")


def diffusion() -> None:
    """A run to t = 10 by the diffusion, and from which D on it is cheaper than steps of SGD in overlap space."""
    head(
        "Milliseconds of t = 1 of a run, one core, XOR: hard examples alone; SGD in overlap space with 32 runs side by side",
        "experiment",
        *(f"diffusion, D = {D:.0e}" for D in (200, 10**4, 10**6)),
        "SGD, D = 200",
        "cheaper from D",
    )
    cases = {f"XOR, GELU, K = {K}": experiment(K, protocol__order="hard-only", protocol__duration=10.0) for K in (4, 16, 32)}
    cases["committee, erf, K = M = 2"] = cu.load("committee-plateau").replace({"protocol.duration": 10.0})
    for name, case in cases.items():

        def cost(D: int, space: str, case: cu.Experiment = case) -> float:
            options = {"dimension": D, "runs": 32, "times": 2, "space": space, "workers": 1, "progress": False}
            return 1e3 * best(lambda: cu.simulate(case, **options), 3) / 320

        by_diffusion, sgd = [cost(D, "diffusion") for D in (200, 10**4, 10**6)], cost(200, "overlap")
        row(name, *(f"{each:.2f}" for each in by_diffusion), f"{sgd:.3f}", f"{200 * by_diffusion[1] / sgd:.0f}")


def moments() -> None:
    """What theory at finite D costs beside the equations."""
    head(
        "Seconds of fluctuations to t = 10, 2^11 points, both cores",
        "experiment",
        "order parameters",
        "equations",
        "expansion",
        "closure",
        "diffusion",
    )
    cases = {f"XOR, GELU, K = {K}": experiment(K, protocol__duration=10.0) for K in (1, 2, 4, 32)}
    cases["committee, erf, K = M = 2"] = cu.load("committee-plateau").replace({"protocol.duration": 10.0})
    for name, case in cases.items():
        start, cells = case.initial(dimension=200), []
        cells.append(best(lambda: cu.integrate(case, start, points=2048, estimate_error=False, times=5), 2))  # noqa: B023
        for way in ("expansion", "closure", "diffusion"):
            wide = case.student.width > 4 and way != "diffusion"
            cells.append(np.nan if wide else best(lambda: cu.fluctuations(case, start, dimension=200, way=way, times=5), 1))  # noqa: B023
        row(name, case.student.width * (case.student.width + 7) // 2, *("-" if np.isnan(each) else f"{each:.2f}" for each in cells))


def lanes(widths: tuple[int, ...] = (1, 4, 8, 16, 32)) -> None:
    head(
        "Microseconds a step of a run in overlap space, D = 1000, XOR mixture, GELU, one core: one run alone, and 32 side by side",
        "K",
        "one run",
        "of 32",
        "one run / of 32",
    )
    for K in widths:
        alone, beside = step_time(OverlapSpace, K, 1000, 1), step_time(OverlapSpace, K, 1000, 32)
        row(K, f"{alone:.3f}", f"{beside:.3f}", f"{alone / beside:.1f}")


def ensemble_seconds(seed: int, duration: float = 100.0) -> float:
    case = experiment(4, protocol__duration=duration)
    begin = time.perf_counter()
    cu.simulate(case, dimension=1000, runs=32, seed=seed, workers=1, times=2, points=64, progress=False)
    return time.perf_counter() - begin


def workers() -> None:
    head("Two ensembles of 32 runs, 100,000 steps each, K = 4", "", "seconds")
    ensemble_seconds(0)
    row("one after the other", f"{ensemble_seconds(0) + ensemble_seconds(1):.2f}")
    for name, pool in (("two threads of one process", ThreadPoolExecutor), ("two processes", ProcessPoolExecutor)):
        with pool(2) as executor:
            list(executor.map(ensemble_seconds, [0, 1]))
            begin = time.perf_counter()
            list(executor.map(ensemble_seconds, [0, 1]))
            row(name, f"{time.perf_counter() - begin:.2f}")
