"""The verb `networks.train`: networks on real data, one a seed."""

import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.networks.course import Course, Lesson, Stopped, needs_extra
from curriculode.sims.networks.describe import NetworkExperiment, checked_network_experiment
from curriculode.sims.networks.indicators import in_common
from curriculode.sims.networks.record import NetworkRuns, libraries
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import numbers
from curriculode.theory.core.environment import environment
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import child_seed
from curriculode.theory.results.two_times import SHARES

_TIMES = 11


@checked(experiment=checked_network_experiment, remember=inside, times=inside)
def train(
    experiment: NetworkExperiment,
    *,
    runs: int = 16,
    first: int = 0,
    seed: int | np.random.SeedSequence = 0,
    remember: ArrayLike | None = None,
    numerics: Numerics | None = None,
    times: int | ArrayLike | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> NetworkRuns:
    """Train real networks on real data in the experiment's order, one for each seed.

    Of run i the images, levels, noise, initial weights and one permutation are drawn once from child i of the seed: the order at
    random is that permutation, the others sort it stably by level, so that runs of two orders are pairs.

    Parameters
    ----------
    experiment : NetworkExperiment
        What is learnt, by whom, how, and from which examples.
    runs : int, default 16
        How many networks.
    first : int, default 0
        Number of the first.
    seed : int or SeedSequence, default 0
        Of all.
    remember : array_like of float, optional
        Times whose weights are compared with the later ones: `weight_correlation`, `sign_changes`.
    numerics : Numerics, optional
        How; the keywords `times` and `workers` are shortcuts for single settings of it.
    times : int or array_like of float, optional
        At which the test images are looked at, by default 11; rounded to whole batches.
    workers : int, optional
        Threads, by default one a core.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    NetworkRuns
        Errors of every run, time and level. Ctrl-C leaves those that are finished.

    Raises
    ------
    InputError
        Where data or jax are missing, and for times outside the protocol.

    Examples
    --------
    >>> from curriculode import networks
    >>> experiment = networks.load("digits-curriculum").replace({"protocol.duration": 2.0})
    >>> networks.train(experiment, runs=2, times=3, progress=False).classification_error.shape
    (2, 3, 3)
    """
    needs_extra()
    images = experiment.data.images()
    settings = numerics_with(numerics, times=times, workers=workers)
    duration, n = experiment.protocol.duration, experiment.examples
    t = settings.output_times(duration, _TIMES)
    memories = np.array([]) if remember is None else np.unique(np.atleast_1d(numbers("remember", remember)))
    if memories.size and not (memories[0] >= 0.0 and memories[-1] <= duration):
        raise InputError(f"remember = {memories.tolist()} is not allowed; times lie within the protocol, from 0 to {duration:g}")
    records = np.minimum(np.rint(t * experiment.data.inputs), n).astype(int).tolist()
    # The weights are looked at with the test images, so that the times are those of the errors.
    steps = np.minimum(np.rint(memories * experiment.data.inputs), n).astype(int).tolist()
    done, lock = [0], threading.Lock()

    def told(count: int) -> None:
        with lock:
            done[0] += count

    def work(number: int, stop: threading.Event) -> Course | None:
        lesson = Lesson(experiment, images, child_seed(seed, number))
        try:
            keep = [*records, *steps] if steps else []
            return lesson.run(experiment, lesson.start(experiment), records=records, keep=keep, stop=stop, told=told)
        except Stopped:
            return None

    numbers_of_runs = list(range(first, first + runs))
    found, interrupted = spread(
        f"training {runs} networks", work, numbers_of_runs, min(worker_count(settings.workers), runs),
        lambda: done[0] / (runs * n), progress,
    )  # fmt: skip
    kept = [(number, course) for number, course in zip(numbers_of_runs, found, strict=True) if course is not None]
    if not kept:
        raise KeyboardInterrupt
    courses = [course for _, course in kept]
    arrays: dict[str, Any] = {
        "t": courses[0].steps / experiment.data.inputs,
        "run": np.array([number for number, _ in kept]),
        "classification_error": np.array([course.values[:, 0] for course in courses]),
        "loss": np.array([course.values[:, 1] for course in courses]),
    }
    if steps:
        arrays |= _remembered(courses, memories, steps, records)
    diverged = sum(not course.finite for course in courses)
    status = f"{len(kept)} of {runs} networks trained on {n} examples"
    status += "; interrupted" if interrupted else ""
    status += f"; {diverged} diverged (a smaller learning_rate may help)" if diverged else ""
    return NetworkRuns(
        experiment,  # type: ignore[arg-type]
        settings,
        arrays,
        status,
        success=not interrupted and not diverged,
        seed=seed,
        dimension=experiment.data.inputs,
        statistics={"data": images.fingerprint},
        environment={**environment(), **libraries()},
    )


def _remembered(courses: list[Course], memories: np.ndarray, steps: list[int], records: list[int]) -> dict[str, np.ndarray]:
    """What the weights at each time have in common with those at the remembered ones; NaN before them."""
    times = sorted(set(records))
    shape = (len(courses), len(times), len(steps))
    arrays = {name: np.full(shape, np.nan) for name in ("changed_signs", "distance", "cosine")}
    common = np.full((*shape, len(SHARES)), np.nan)
    for i, course in enumerate(courses):
        for j, now in enumerate(times):
            for k, past in enumerate(steps):
                if past <= now and course.finite:
                    signs, common[i, j, k], distance, cosine = in_common(course.kept[now], course.kept[past])
                    arrays["changed_signs"][i, j, k], arrays["distance"][i, j, k], arrays["cosine"][i, j, k] = (
                        signs,
                        distance,
                        cosine,
                    )
    return {"remembered": memories, "common_weights": common, **arrays}
