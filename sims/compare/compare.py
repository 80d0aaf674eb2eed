"""Theory against simulation from matched initial overlaps: the main job."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.compare.comparison import Cell, Comparison, compares_pairs
from curriculode.sims.runs.minimize import minimize
from curriculode.sims.runs.progress import Progress
from curriculode.sims.runs.simulate import SPACES, simulate, whole_number, worker_count
from curriculode.sims.spaces.draws import record_steps
from curriculode.theory.averages.quasi_monte_carlo import check_points
from curriculode.theory.batch import state_evolution
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import block_sizes
from curriculode.theory.describe.study import Study, cells
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.dynamics.online import System
from curriculode.theory.results.trajectory import StateRecord, Trajectory
from curriculode.theory.solve.integrate import integrate, output_times

_SCRAMBLINGS = 8  # of the averages, from which the theory's own standard error is estimated


def compare(
    experiment: Experiment,
    *,
    dimension: int,
    runs: int = 32,
    seed: int = 0,
    starts: int = 1,
    over: Mapping[str, Sequence[Any]] | None = None,
    space: str = "overlap",
    times: int | ArrayLike = 21,
    spacing: str = "linear",
    points: int = 1024,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    workers: int | None = None,
    progress: bool | Callable[[float], None] | None = None,
) -> Comparison:
    """Compare the mean-field equations with online SGD, or the state evolution with minimisation, in `dimension` inputs.

    runs : simulated runs of each cell, spread evenly over the starts, at least 2
    starts : number of initial conditions; number j is `experiment.initial(dimension, seed, j)`, for theory and runs alike
    over : dotted parameter -> values; the cells of the comparison are all combinations, from shared starts and seeds
    space : of the simulation, "overlap" or "weight"
    points, rtol, atol : accuracy of the theory, as for `integrate`; its own error, from independent scramblings, is part
        of the comparison
    Other arguments as for `simulate`. Batch learning is compared at the end of each slice; it has no starts, spaces, times or
    tolerances to choose, and leaves them unused. Ctrl-C ends it with the cells that are finished.

    >>> from curriculode import load, compare
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 2.0})
    >>> compare(experiment, dimension=500, runs=8, times=3, points=256).agrees
    True
    """
    whole_number("runs", runs, 2)
    whole_number("starts", starts)
    if starts > runs:
        raise InputError(f"starts = {starts} is more than runs = {runs}; each start needs at least one run")
    workers = worker_count(workers)
    if space not in SPACES:
        raise InputError(f"space {space!r} is unknown; allowed: {', '.join(SPACES)}")
    grid = cells(experiment, over)
    for _, cell in grid:  # every mistake comes before the first minute of work
        if isinstance(cell.training, BatchSlices):
            state_evolution(cell)
            block_sizes(dimension, cell.task.block_fractions(), 1, 1)
            continue
        cell.initial(dimension, seed)
        output_times(cell.protocol.duration, times, spacing)
        check_points(points, System.of(cell).fields)
    finished: list[Cell] = []
    interrupted = False
    with Progress(f"comparing {len(grid)} cells", 1.0, False if callable(progress) else progress) as bar:
        tell = progress if callable(progress) else bar.update
        for labels, cell in grid:

            def report(fraction: float) -> None:
                tell((len(finished) + fraction) / len(grid))

            try:
                finished.append(
                    _cell(
                        labels,
                        cell,
                        dimension,
                        runs,
                        seed,
                        starts,
                        space,
                        times,
                        spacing,
                        points,
                        rtol,
                        atol,
                        workers,
                        report,
                    )
                )
            except KeyboardInterrupt:
                if not finished:
                    raise
                interrupted = True
                break
    status = f"{len(finished)} of {len(grid)} cells finished" + (", then the comparison was interrupted" if interrupted else "")
    return Comparison(cells=finished, dimension=dimension, seed=seed, status=status, interrupted=interrupted)


def state_names(experiment: Experiment, pairs: bool = True) -> list[str]:
    """Names of the order parameters of an experiment, as `StateRecord.entries` gives them."""
    state = StateRecord()
    blocks, P = experiment.task.reference_overlap().shape[:2]
    K = experiment.student.width
    state.Q, state.M, state.v = np.zeros((1, blocks, K, K)), np.zeros((1, blocks, K, P)), np.zeros((1, K))
    return list(state.entries(pairs))


def quantity_names(study: Study) -> list[str]:
    """The quantities that a comparison of all cells of `study` has in common."""
    experiments = [experiment for _, experiment in study.cells()]
    pairs = all(compares_pairs(experiment.student.width) for experiment in experiments)
    narrowest = min(experiments, key=lambda experiment: experiment.student.width)
    return [*narrowest.task.observable_names, *state_names(narrowest, pairs)]


def _cell(
    labels: dict[str, Any], experiment: Experiment, dimension: int, runs: int, seed: int, starts: int, space: str,
    times: int | ArrayLike, spacing: str, points: int, rtol: float, atol: float, workers: int, report: Any,
) -> Cell:  # fmt: skip
    if isinstance(experiment.training, BatchSlices):
        return _batch_cell(labels, experiment, dimension, runs, seed, workers, report)
    protocol = experiment.protocol
    t = record_steps(output_times(protocol.duration, times, spacing), protocol, dimension) / dimension
    t = np.minimum(t, protocol.duration)
    initial = [experiment.initial(dimension, seed, j) for j in range(starts)]
    engine = System.of(experiment).engine("auto", points, 0)
    scramblings = 1 if engine.exact and engine.errors_exact else max(1, -(-_SCRAMBLINGS // starts))
    # Exact equations are integrated once a start; the nets of their errors are drawn again below.
    integrations = 1 if engine.exact else scramblings
    jobs = [(j, j * scramblings + r) for j in range(starts) for r in range(integrations)]
    done = 0
    stop = threading.Event()

    def watch(_: float) -> None:
        """After each step of an integration: leave it if the comparison was interrupted."""
        if stop.is_set():
            raise KeyboardInterrupt

    def solve(job: tuple[int, int]) -> Trajectory:
        return integrate(
            experiment,
            initial[job[0]],
            rtol=rtol,
            atol=atol,
            times=t,
            points=points,
            scrambling=job[1],
            estimate_error=False,
            progress=watch,
        )

    trajectories: list[Trajectory] = []
    with one_blas_thread(), ThreadPoolExecutor(workers) as pool:
        try:
            for trajectory in pool.map(solve, jobs):
                trajectories.append(trajectory)
                done += 1
                report(0.5 * done / len(jobs))
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    theory_of_start = [trajectories[j * integrations : (j + 1) * integrations] for j in range(starts)]
    if engine.exact:
        theory_of_start = [
            [replace(only, scrambling=j * scramblings + r) for r in range(scramblings)] for j, (only,) in enumerate(theory_of_start)
        ]
    start_of_run = np.arange(runs) % starts
    ensemble = simulate(
        experiment, dimension=dimension, runs=runs, seed=seed, start=[initial[j] for j in start_of_run], space=space,
        times=t, workers=workers, points=points, progress=lambda fraction: report(0.5 + 0.5 * fraction),
    )  # fmt: skip
    if ensemble.interrupted:
        raise KeyboardInterrupt
    return Cell(labels, experiment, theory_of_start, ensemble, start_of_run)


def _batch_cell(
    labels: dict[str, Any], experiment: Experiment, dimension: int, runs: int, seed: int, workers: int, report: Any
) -> Cell:
    """A cell of batch learning: one theory for all runs, as a minimum does not know where it was approached from."""
    theory = state_evolution(experiment)
    ensemble = minimize(experiment, dimension=dimension, runs=runs, seed=seed, workers=workers, progress=report)
    if ensemble.interrupted:
        raise KeyboardInterrupt
    return Cell(labels, experiment, [[theory]], ensemble, np.zeros(runs, dtype=np.int64))
