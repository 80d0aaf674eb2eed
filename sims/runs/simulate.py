"""Run online SGD at finite input dimension: many runs, on all cores, each fixed by its seed alone."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.runs.ensemble import Ensemble
from curriculode.sims.runs.progress import Progress
from curriculode.sims.spaces.draws import Segment, record_steps, segments, stage_counts
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.overlap_space import OverlapSpace
from curriculode.sims.spaces.weight_space import WeightSpace
from curriculode.theory.averages.quasi_monte_carlo import check_points
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters, checked_seed
from curriculode.theory.solve.integrate import output_times

States = list[tuple[np.ndarray, np.ndarray, np.ndarray]]  # Q, M, v at each recorded time
SPACES: dict[str, type[WeightSpace] | type[OverlapSpace]] = {"overlap": OverlapSpace, "weight": WeightSpace}
_RESPONSE = 0.2  # seconds between looks at the interrupt


def simulate(
    experiment: Experiment,
    *,
    dimension: int,
    runs: int = 32,
    first: int = 0,
    seed: int = 0,
    start: OrderParameters | Sequence[OrderParameters] | None = None,
    space: str = "overlap",
    times: int | ArrayLike = 101,
    spacing: str = "linear",
    workers: int | None = None,
    points: int = 1024,
    progress: bool | Callable[[float], None] | None = None,
) -> Ensemble:
    """Simulate `runs` independent runs of online SGD in `dimension` inputs.

    dimension : D, at least K + P inputs in every block
    first : number of the first run: runs first ... first + runs - 1 are those of one endless ensemble
    seed : run i uses the generator of SeedSequence(seed, spawn_key=(i,)): the same bits whatever the number of workers
    start : one start for all runs, or one each; by default run i starts from `experiment.initial(dimension, seed, i)`
    space : "overlap", exact in law at a cost that does not depend on D, or "weight", the weights themselves
    times, spacing : output times as for `integrate`, rounded to whole steps n / D
    workers : threads; by default the number of cores
    progress : True or False, or a function called with the finished fraction; by default a bar appears on a terminal when
        the work takes more than two seconds

    Ctrl-C ends it early with the finished runs, and `status` says so; with none finished, KeyboardInterrupt is raised.

    >>> from curriculode import load, simulate
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> simulate(experiment, dimension=100, runs=4, times=3).v.shape
    (4, 3, 4)
    """
    if not isinstance(space, str) or space not in SPACES:
        raise InputError(f"space {space!r} is unknown; allowed: {', '.join(SPACES)}")
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"experiment = {experiment!r} is not allowed; give a curriculode.Experiment, such as load('xor-curriculum')"
        )
    check_points(points, experiment.student.width)
    whole_number("runs", runs)
    whole_number("first", first, 0)
    workers = worker_count(workers)
    checked_seed(seed)
    model = Model.of(experiment, dimension)
    if space == "weight" and 8.0 * dimension * (model.system.width + 8) > 2e10:
        raise InputError(
            f"weight space at D = {dimension:g} needs more than 20 GB a run; use space = 'overlap', whose cost does not depend on D"
        )
    starts = _starts(experiment, dimension, runs, first, seed, start, model)
    records = record_steps(output_times(experiment.protocol.duration, times, spacing), experiment.protocol, dimension)
    counts = stage_counts(experiment.protocol, dimension)
    K, P = model.system.width, model.system.T.shape[1]
    cost = K * dimension if space == "weight" else K * (K + P) + 50
    longest = max(1, int(_RESPONSE * SPACES[space].steps_a_second / cost))

    done = np.zeros(runs, dtype=np.int64)
    stop = threading.Event()
    kind = SPACES[space]

    def group(members: range) -> list[States] | None:
        rngs = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(first + index,))) for index in members]
        space = kind(model, [starts[index] for index in members], rngs)
        return _run(space, members, counts, segments(counts, records, longest), bool(records[0] == 0), done, stop)

    clock = time.perf_counter()
    total = int(sum(count.sum() for count in counts))
    with one_blas_thread(), Progress(f"simulating {runs} runs", 1.0, False if callable(progress) else progress) as bar:
        report = progress if callable(progress) else bar.update
        size = kind.together(K, runs, workers)
        groups = [range(i, min(i + size, runs)) for i in range(0, runs, size)]
        by_group, interrupted = spread(group, groups, workers, stop, lambda: report(done.sum() / (runs * total)))
    results = [states for members, found in zip(groups, by_group, strict=True) for states in found or [None] * len(members)]
    finished = [i for i, result in enumerate(results) if result is not None]
    if interrupted and not finished:
        raise KeyboardInterrupt
    arrays = [np.array([[state[j] for state in results[i]] for i in finished]) for j in range(3)]
    if model.system.T.shape[0] == 1:
        arrays[0], arrays[1] = arrays[0][:, :, 0], arrays[1][:, :, 0]
    status = f"{len(finished)} of {runs} runs finished" + (", then the simulation was interrupted" if interrupted else "")
    ensemble = Ensemble(
        experiment=experiment, dimension=dimension, t=records / dimension, Q=arrays[0], M=arrays[1], v=arrays[2],
        run=first + np.array(finished, dtype=np.int64), starts=tuple(starts[i] for i in finished),
        status=status, interrupted=interrupted, points=points,
        statistics={"space": space, "seconds": time.perf_counter() - clock, "workers": workers, "steps": total},
    )  # fmt: skip
    if diverged := int((~ensemble.finite).sum()):
        status += f"; {diverged} of them diverged (a smaller learning_rate or a larger weight_decay may help)"
    return replace(ensemble, status=status)


def whole_number(name: str, value: object, least: int = 1) -> None:
    """Raise `InputError` unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} = {value!r} is not allowed; it must be a whole number of at least {least}")


def worker_count(workers: int | None) -> int:
    """The number of threads to use; by default the cores this process may run on."""
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    whole_number("workers", workers)
    return workers


def _starts(
    experiment: Experiment,
    dimension: int,
    runs: int,
    first: int,
    seed: int,
    start: OrderParameters | Sequence[OrderParameters] | None,
    model: Model,
) -> list[OrderParameters]:
    if start is None:
        return [experiment.initial(dimension, seed, first + i) for i in range(runs)]
    starts = [start] * runs if isinstance(start, OrderParameters) else list(start) if isinstance(start, Sequence) else [start]
    if not all(isinstance(state, OrderParameters) for state in starts):
        raise InputError(f"start = {start!r} is not allowed; give OrderParameters, or a list of them, one for each run")
    if len(starts) != runs:
        raise InputError(f"{len(starts)} starts were given for {runs} runs; give one start for all, or one for each run")
    for state in {id(s): s for s in starts}.values():
        state.check(model.system.width, model.system.T)
    return starts


def _run(
    space: WeightSpace | OverlapSpace,
    members: range,
    counts: list[np.ndarray],
    plan: Iterable[Segment],
    record_start: bool,
    done: np.ndarray,
    stop: threading.Event,
) -> list[States] | None:
    """A group of runs through all segments: the recorded states of each, or None if it was stopped."""
    remaining = [np.tile(count, (len(members), 1)) for count in counts]
    lanes = range(len(members))
    states: list[States] = [[space.overlaps(lane)] if record_start else [] for lane in lanes]
    for segment in plan:
        if stop.is_set():
            return None
        space.advance(remaining[segment.stage], segment.steps)
        done[members] += segment.steps
        if segment.record:
            for lane in lanes:
                states[lane].append(space.overlaps(lane))
    return states


def spread(work: Callable, groups: list[range], workers: int, stop: threading.Event, report: Callable) -> tuple[list, bool]:
    """Results of `work(group)` for all groups, on `workers` threads; on Ctrl-C those that are finished."""
    interrupted = False
    futures: list[Future] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            futures = [pool.submit(work, members) for members in groups]
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                report()
        except BaseException as error:
            stop.set()
            for future in futures:
                future.cancel()
            if not isinstance(error, KeyboardInterrupt):
                raise
            interrupted = True
    return [f.result() if f.done() and not f.cancelled() else None for f in futures], interrupted
