"""Learn slices to convergence at finite input dimension: many runs, on all cores, each fixed by its seed alone."""

import threading
import time
from collections.abc import Sequence

import numpy as np

from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.runs.starts import one_or_several, starts_of
from curriculode.sims.runs.tangent_ridge import minimize_tangent
from curriculode.sims.spaces.draws import stage_counts
from curriculode.sims.spaces.minimizers import MINIMIZERS
from curriculode.theory.batch.optimal import best_strengths
from curriculode.theory.batch.slices import Slices
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import number_within
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.describe.tangent import TangentRidge
from curriculode.theory.results.states import Ensemble
from curriculode.theory.tasks.blocks import Blocks

_LARGEST = 4e9  # bytes of the examples of a slice


@checked(start=one_or_several)
def minimize(
    experiment: Experiment,
    *,
    dimension: int,
    runs: int = 32,
    first: int = 0,
    seed: int | np.random.SeedSequence = 0,
    start: OrderParameters | Sequence[OrderParameters] | None = None,
    tolerance: float = 1e-5,
    numerics: Numerics | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> Ensemble:
    """Minimise the objective on `runs` independent samples of stored examples in `dimension` inputs.

    The minimum after slice s is::

        w_s = argmin sum_{mu in s} l(w . x_mu / sqrt(D), y_mu) + (gamma_s / 2) |w|^2 + (gamma_{s,s-1} / 2) |w - w_{s-1}|^2

    (2106.08068), by the minimisers of `curriculode.sims.spaces.minimizers`; in a tangent space the ridge regression on its
    K D + K features (`curriculode.sims.spaces.tangent_ridge`), solved exactly. Ctrl-C ends it early with the finished runs, and
    `status` says so; with none finished, KeyboardInterrupt is raised.

    Parameters
    ----------
    experiment : Experiment
        With `BatchSlices` or `TangentRidge` as its training; strengths that are "optimal" are those of the state evolution.
    dimension : int
        D, at least two inputs in every block.
    runs : int, default 32
        How many.
    first : int, default 0
        Number of the first run: runs first ... first + runs - 1 are those of one endless ensemble.
    seed : int or SeedSequence, default 0
        The examples of level k in run i come from SeedSequence(seed, spawn_key=(i, k)): the same bits whatever the number of
        workers, and the same examples in every order, so that orders can be compared run by run.
    start : OrderParameters or sequence of OrderParameters, optional
        Of a tangent space: one start for all runs, or one for each; by default a random one for each, as in `simulate`.
    tolerance : float, default 1e-5
        Of slices: root mean square distance of the weights from the minimiser, in (0, 1e-2]; certified for each run (`distance`).
    numerics : Numerics, optional
        Only the workers are of use here.
    workers : int, optional
        Threads; a shortcut for that setting of the numerics.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    Ensemble
        The overlaps of each run at the end of each slice, or at each number of examples.

    Raises
    ------
    InputError
        For an experiment that learns online, starts that do not fit a tangent space, a minimum that is not unique, and examples
        that need more than 4 GB.

    Notes
    -----
    The teacher points along the first input: Gaussian inputs know no direction, so this is exact in law.

    Examples
    --------
    >>> from curriculode import load, minimize
    >>> minimize(load("batch-perceptron"), dimension=100, runs=4).Q.shape
    (4, 2, 2, 1, 1)
    """
    settings = numerics_with(numerics, workers=workers)
    if isinstance(experiment.training, TangentRidge):
        members = range(first, first + runs)
        starts = starts_of(experiment, dimension, members, seed, start)
        return minimize_tangent(experiment, dimension, members, seed, starts, settings, progress)
    if start is not None:
        raise InputError(f'start is for tangent spaces; training.kind = "{experiment.training.kind}" has none: leave it out')
    slices = Slices.of(experiment)
    workers = worker_count(settings.workers)
    tolerance = number_within("tolerance", tolerance, 1e-300, 1.0000001e-2, "it lies above 0 and up to 1e-2, such as 1e-5")
    sizes = Blocks.of(experiment.task).sizes(dimension, 1)
    dimension = int(sizes.sum())
    counts = stage_counts(experiment.protocol, dimension)
    if 8.0 * dimension * max(int(count.sum()) for count in counts) > _LARGEST:
        raise InputError(
            f"a slice at D = {dimension} needs more than {_LARGEST / 1e9:g} GB for its examples; use a smaller dimension"
        )
    chosen = best_strengths(experiment)
    slices.check_unique(chosen.regularization, chosen.coupling)
    minimizer = MINIMIZERS[experiment.training.loss]
    blocks = np.repeat(np.arange(sizes.size), sizes)
    done = np.zeros(runs)

    def one(member: int, stop: threading.Event) -> list[tuple[np.ndarray, float, float]] | None:
        """Q (blocks,), R and the distance after each slice of one run, or None if it was stopped."""
        rngs = [np.random.default_rng(child_seed(seed, first + member, k)) for k in range(len(experiment.protocol.levels))]
        w = np.zeros(dimension)
        states = []
        for s, count in enumerate(counts):
            if stop.is_set():
                return None
            parts = [
                rngs[k].standard_normal((number, dimension)) * np.sqrt(slices.variance[k] / dimension)[blocks]
                for k, number in enumerate(count)
                if number > 0
            ]
            gamma, tie = float(chosen.regularization[s]), float(chosen.coupling[s])
            if parts:
                x = np.concatenate(parts)
                y = np.where(x[:, 0] > 0.0, 1.0, -1.0)
                w, distance = minimizer(x, y, gamma, tie, w, tolerance)
            else:  # a slice of less than one example is rounded to none
                w, distance = tie / (gamma + tie) * w, 0.0
            Q = np.bincount(blocks, w * w) / dimension
            states.append((Q, w[0] * np.sqrt(slices.T / dimension), distance))
            done[member] = (s + 1) / len(counts)
        return states

    clock = time.perf_counter()
    results, interrupted = spread(f"minimising {runs} runs", one, range(runs), workers, lambda: float(done.mean()), progress)
    finished = [i for i, result in enumerate(results) if result is not None]
    shape = (len(finished), len(counts), sizes.size, 1, 1)
    Q, M, distances = np.zeros(shape), np.zeros(shape), np.zeros(shape[:2])
    for n, i in enumerate(finished):
        for s, (Q_s, R, distance) in enumerate(results[i]):
            Q[n, s, :, 0, 0], M[n, s, 0, 0, 0], distances[n, s] = Q_s, R, distance
    if sizes.size == 1:
        Q, M = Q[:, :, 0], M[:, :, 0]
    missed = int((~(distances <= tolerance)).any(axis=1).sum())
    status = f"{len(finished)} of {runs} runs finished" + (", then the minimisation was interrupted" if interrupted else "")
    status += f", each weight within {np.nanmax(distances):.1e} (root mean square) of the minimum"
    if missed:
        status += f"; {missed} of them missed the tolerance {tolerance:g} (use a larger one, or a larger regularization)"
    if chosen.note:
        status += f"; {chosen.note}"
    arrays = {
        "t": np.cumsum([count.sum() for count in counts]) / dimension,
        "run": first + np.array(finished, dtype=np.int64),
        "Q": Q,
        "M": M,
        "v": np.ones((len(finished), len(counts), 1)),
        "distance": distances,
    }
    statistics = {
        "tolerance": tolerance,
        "seconds": time.perf_counter() - clock,
        "workers": workers,
        "regularization": chosen.regularization.tolist(),
        "coupling": chosen.coupling[1:].tolist(),
    }
    return Ensemble(
        experiment, settings, arrays, status, success=not interrupted, seed=seed, dimension=dimension, statistics=statistics
    )
