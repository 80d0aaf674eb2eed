"""Stability of sub-networks to the noise of SGD: two copies of a pruned network, from the time to which it is rewound."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.pairs.instability import branching_times, last_of_pair
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.spaces.model import Model
from curriculode.sims.tickets.trainer import Schedule, Stopped, WeightTrainer
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.branching import checked_at
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import child_seed
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.record import Pair
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.tickets.masks import best, scores

if TYPE_CHECKING:
    import pandas as pd

KEPT = ("dense", "ticket", "random", "reinit")


def _treatments(name: str, value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not given:
        raise InputError(f"{name} = {shown(value)} is not allowed; give a list of {', '.join(KEPT)}")
    for each in given:
        if not isinstance(each, str) or each not in KEPT:
            raise InputError(unknown("treatment", each, KEPT))
    return tuple(dict.fromkeys(given))


@checked(at=branching_times, treatments=_treatments)
def ticket_instability(
    experiment: Experiment,
    pruning: Pruning,
    *,
    at: ArrayLike,
    starts: int = 12,
    dimension: int = 200,
    treatments: Sequence[str] = ("dense", "ticket", "random"),
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    points: int | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> "pd.DataFrame":
    """Measure how stable pruned networks are to the noise of SGD: both copies of each have its mask, and examples of their own.

    A network is trained, pruned by what it ends with, and rewound to k; from there two copies are trained to the end. Frankle,
    Dziugaite, Roy & Carbin 2020 (1912.05671) find that tickets win where they are stable.

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` as its training.
    pruning : Pruning
        What is kept, in one round; its `rewind` is taken from `at`.
    at : array_like of float
        Times k to which weights are rewound, and at which the copies part.
    starts : int, default 12
        Networks.
    dimension : int, default 200
        D.
    treatments : sequence of str, default ("dense", "ticket", "random")
        "dense" (nothing pruned), "ticket", "random" (a random mask that leaves each unit as many) or "reinit" (fresh weights).
    seed : int or SeedSequence, default 0
        Of starts and runs.
    numerics : Numerics, optional
        How; the other keywords are shortcuts for single settings of it.
    points : int, optional
        Of the nets that average, by default 1024.
    workers : int, optional
        Threads.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    DataFrame
        One row a treatment, time and network: treatment, at, run, barrier, midpoint, error, difference.

    Raises
    ------
    InputError
        For batch learning, several rounds, and times outside the protocol.

    Examples
    --------
    >>> from curriculode import Pruning, load, ticket_instability
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> len(ticket_instability(experiment, Pruning(keep=0.3), at=[0.0, 0.5], starts=2, dimension=80, points=64))
    12
    """
    import pandas as pd

    numerics = numerics_with(numerics, points=points, workers=workers)
    numerics = numerics.set(points=numerics.points or DEFAULT_POINTS, space="weight")
    if pruning.rounds > 1:
        raise InputError(f"rounds = {pruning.rounds} is not allowed; the stability of tickets is that of one round")
    setting, names = Setting.of(experiment), _treatments("treatments", treatments)
    model, duration, times = Model.of(setting, dimension), experiment.protocol.duration, np.asarray(at)
    for k in times:
        checked_at(float(k), duration)
    pruning.check(duration, model.dimension)
    jobs = [(float(k), i) for k in times for i in range(starts)]
    done: list[int] = []

    def one(job: tuple[float, int], stop: threading.Event) -> dict[str, tuple[np.ndarray, ...]] | None:
        k, i = job
        rng = np.random.default_rng(child_seed(seed, i))
        schedule = Schedule(setting.stages, np.array([duration]), k, model.dimension)
        trainer = WeightTrainer(model, experiment.initial(dimension, seed, i), schedule, setting.weight_scale, rng, stop)
        try:
            found = _copies(trainer, pruning, names, rng)
        except Stopped:
            return None
        done.append(1)
        return found

    what = f"pruning and training {len(jobs)} pairs"
    results, interrupted = spread(what, one, jobs, worker_count(numerics.workers), lambda: len(done) / len(jobs), progress)
    if interrupted:
        raise KeyboardInterrupt
    parts = []
    for name in names:
        for k in times:
            mine = [result[name] for job, result in zip(jobs, results, strict=True) if job[0] == k and result is not None]
            Q, M, v, X = (np.array([state[j] for state in mine])[:, None] for j in range(4))
            one_block = X.shape[2] == 1
            arrays = {"Q": Q[:, :, :, 0] if one_block else Q, "M": M[:, :, :, 0] if one_block else M, "v": v}
            arrays |= {"X": X[:, :, 0] if one_block else X, "t": np.array([duration]), "run": np.arange(len(mine))}
            statistics = {"at": float(k), "examples": "independent", "starts": 1}
            pair = Pair(experiment, numerics, arrays, "pruned", seed=seed, dimension=model.dimension, statistics=statistics)
            labels = {"treatment": name, "at": float(k), "run": np.arange(len(mine))}
            parts.append(pd.DataFrame({**labels, **last_of_pair(pair, None, None)}))
    return pd.concat(parts, ignore_index=True)


def _copies(
    trainer: WeightTrainer, pruning: Pruning, names: tuple[str, ...], rng: np.random.Generator
) -> dict[str, tuple[np.ndarray, ...]]:
    """Of each treatment Q, M, v and X of two copies at the end."""
    before = trainer.dense()
    (w0, wk, wT), (_, vk, vT) = before.weights, before.readouts
    share, whole = trainer.coordinates.share, np.ones(w0.shape, bool)
    mask = best(scores(pruning.criterion, w0, wT, rng), whole, share, pruning.keep, pruning.scope)
    v = vk if pruning.readout == "rewound" else vT
    found: dict[str, tuple[np.ndarray, ...]] = {}
    for name in names:
        kept = whole if name == "dense" else mask
        if name == "random":
            kept = best(rng.random(mask.shape), whole, share, mask @ share, "unit")
        W = kept * (trainer.weight_scale * rng.standard_normal(wk.shape) if name == "reinit" else wk)
        # One after the other, by one generator: each copy has examples of its own.
        ends = [trainer.train(W, kept, v, True) for _ in range(2)]
        Q, M, readouts = (np.array([getattr(course, part)[-1] for course, _, _ in ends]) for part in "QMv")
        block = trainer.coordinates.block
        first, second = ends[0][1], ends[1][1]
        X = np.array([(first[:, block == b] * share[block == b]) @ second[:, block == b].T for b in range(Q.shape[1])])
        found[name] = (Q, M, readouts, X)
    return found
