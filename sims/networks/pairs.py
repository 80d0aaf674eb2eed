"""The verb `networks.instability`: two copies of a real network, the line between them, and how their units are matched."""

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.networks.course import Lesson, Stopped, needs_extra
from curriculode.sims.networks.describe import NetworkExperiment, checked_network_experiment
from curriculode.sims.networks.record import MIXTURE, NetworkInstability, at_level, libraries
from curriculode.sims.pairs.instability import along_line, branching_times
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.theory.core.arguments import checked, whole
from curriculode.theory.core.checks import truth
from curriculode.theory.core.environment import environment
from curriculode.theory.describe.branching import checked_at
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import child_seed
from curriculode.theory.pairs.matching import assigned

if TYPE_CHECKING:
    from curriculode.sims.networks.layers import Weights

_SWEEPS = 30  # over the layers, of which a few are needed
_ODD = ("erf", "tanh", "linear")
_COPIES = (1001, 1002)  # streams of their rows


@checked(experiment=checked_network_experiment, at=branching_times, match=truth, alphas=whole(3, 10**4))
def instability(
    experiment: NetworkExperiment,
    *,
    at: ArrayLike,
    runs: int = 12,
    level: str | None = None,
    match: bool = False,
    alphas: int = 11,
    first: int = 0,
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> NetworkInstability:
    """Measure how stable real networks are to the noise of SGD: branch them at times k, and compare the copies at the end.

    As `instability` of the theory (Frankle, Dziugaite, Roy & Carbin 2020, 1912.05671): the same network is branched at every k, its
    copies see images, noise and a permutation of their own, and the barrier is the highest classification error on the straight
    line between them over the mean of its ends, on the test images.

    Parameters
    ----------
    experiment : NetworkExperiment
        What is learnt, by whom, how, and from which examples.
    at : array_like of float
        Times k of the branching, from 0 to below the duration.
    runs : int, default 12
        Networks.
    level : str, optional
        Of the error, by default the mixture.
    match : bool, default False
        Whether the units of copy 2 are first put in the order of those of copy 1, layer by layer (`matched`).
    alphas : int, default 11
        Points of the line.
    first : int, default 0
        Number of the first.
    seed : int or SeedSequence, default 0
        Of all.
    numerics : Numerics, optional
        How; only its `workers` count.
    workers : int, optional
        Threads, by default one a core.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    NetworkInstability
        The barrier of each pair at each k, `summary()`, `stable_from`.

    Raises
    ------
    InputError
        For times outside the protocol, and a level that there is not.

    Examples
    --------
    >>> from curriculode import networks
    >>> experiment = networks.load("digits-curriculum").replace({"protocol.duration": 4.0})
    >>> networks.instability(experiment, at=[0.0, 2.0], runs=2, progress=False).barrier.shape
    (2, 2)
    """
    needs_extra()
    duration, times = experiment.protocol.duration, np.asarray(at)
    for k in times:
        checked_at(float(k), duration)
    at_level(experiment, np.zeros(len(experiment.protocol.levels)), level)
    images = experiment.data.images()
    settings = numerics_with(numerics, workers=workers)
    steps = [min(round(float(k) * experiment.data.inputs), experiment.examples - 1) for k in times]
    total = runs * (max(steps) + sum(2 * (experiment.examples - step) for step in steps))
    done, lock = [0], threading.Lock()

    def told(count: int) -> None:
        with lock:
            done[0] += count

    def work(number: int, stop: threading.Event) -> np.ndarray | None:
        lesson = Lesson(experiment, images, child_seed(seed, number))
        try:
            trunk = lesson.run(experiment, lesson.start(experiment), end=max(steps), keep=steps, stop=stop, told=told)
            lines = []
            for step in steps:
                ends = [
                    lesson.run(experiment, trunk.kept[step], begin=step, stream=stream, stop=stop, told=told).weights
                    for stream in _COPIES
                ]
                two = matched(experiment, *ends) if match else ends[1]
                lines.append(at_level(experiment, errors_on_line(lesson, experiment, ends[0], two, alphas), level))
            return np.array(lines)
        except Stopped:
            return None

    numbers = list(range(first, first + runs))
    found, interrupted = spread(
        f"branching {runs} networks at {times.size} times", work, numbers, min(worker_count(settings.workers), runs),
        lambda: done[0] / total, progress,
    )  # fmt: skip
    kept = [(number, lines) for number, lines in zip(numbers, found, strict=True) if lines is not None]
    if not kept:
        raise KeyboardInterrupt
    lines = np.array([each for _, each in kept])  # (runs, times of branching, alphas)
    parts = [along_line(lines[:, i]) for i in range(times.size)]
    arrays = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    failed = int(np.isnan(arrays["barrier"]).sum())
    status = f"{len(kept)} of {runs} networks branched at {times.size} times" + ("; interrupted" if interrupted else "")
    status += f"; {failed} pairs diverged (a smaller learning_rate may help)" if failed else ""
    return NetworkInstability(
        experiment,  # type: ignore[arg-type]
        settings,
        {"at": times, "run": np.array([number for number, _ in kept]), **arrays},
        status,
        success=not interrupted and not failed,
        seed=seed,
        dimension=experiment.data.inputs,
        statistics={"data": images.fingerprint, "examples": "independent", "matched": match, "level": level or MIXTURE},
        environment={**environment(), **libraries()},
    )


def errors_on_line(lesson: Lesson, experiment: NetworkExperiment, one: "Weights", two: "Weights", alphas: int) -> np.ndarray:
    """Classification errors (alphas, levels) on the straight line from copy 1 to copy 2, all weights and biases."""
    from curriculode.sims.networks import engine

    loss, result = experiment.training.loss, []
    for alpha in np.linspace(1.0, 0.0, alphas, dtype=np.float32):
        between = [{name: alpha * a[name] + (1 - alpha) * b[name] for name in a} for a, b in zip(one, two, strict=True)]
        found = engine.measure(experiment.network, loss, between, lesson.tests, lesson.images.test_labels)
        result.append(np.where(np.isfinite(found[1]), found[0], np.nan))
    return np.array(result)


def matched(experiment: NetworkExperiment, one: "Weights", two: "Weights") -> "Weights":
    """Copy 2 with the units of every hidden layer in the order, and where g is odd with the signs, that fit those of copy 1 best.

    Layer after layer the assignment of the largest sum of overlaps of what goes into a unit and what goes out of it, with the other
    layers as they are, until none changes (Ainsworth, Hayase & Srinivasa 2023, 2209.04836). The function stays what it is.
    """
    flips, result = experiment.network.activation in _ODD, [dict(layer) for layer in two]
    for _ in range(_SWEEPS):
        changed = False
        for number in range(len(one) - 1):
            a, b = (_around(weights, number) for weights in (one, result))
            order, sign = assigned((a @ b.T)[None], flips)
            if np.array_equal(order, np.arange(order.size)) and (sign > 0).all():
                continue
            changed = True
            _rearrange(result, number, order, sign.astype(np.float32))
        if not changed:
            break
    return result


def _around(weights: "Weights", number: int) -> np.ndarray:
    """What goes into and out of each unit of a layer, (units, ...)."""
    layer = weights[number]
    units = layer["w"].shape[0]
    after = np.moveaxis(_by_unit(weights[number + 1]["w"], units), -1, 0)
    return np.concatenate([layer["w"].reshape(units, -1), layer["b"][:, None], after.reshape(units, -1)], axis=1).astype(float)


def _by_unit(w: np.ndarray, units: int) -> np.ndarray:
    """Weights (..., units) by the units of the layer before; after a convolution the places come first."""
    return w.reshape(w.shape[0], -1, units)


def _rearrange(weights: "Weights", number: int, order: np.ndarray, sign: np.ndarray) -> None:
    layer, after = weights[number], weights[number + 1]
    layer["w"] = layer["w"][order] * sign.reshape(-1, *[1] * (layer["w"].ndim - 1))
    layer["b"] = layer["b"][order] * sign
    after["w"] = (_by_unit(after["w"], order.size)[..., order] * sign).reshape(after["w"].shape)
