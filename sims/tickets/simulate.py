"""Tickets by simulation: many networks at finite D, each trained, pruned and treated with its own random numbers."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.spaces.model import Model
from curriculode.sims.tickets.trainer import Schedule, Stopped, WeightTrainer
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.tickets.masks import checked_mask
from curriculode.theory.tickets.study import TicketStudy, study_of
from curriculode.theory.tickets.theory import TIMES, starts_of
from curriculode.theory.tickets.treatments import UNTRAINED, treat


def ticket_simulation(
    experiment: Experiment,
    pruning: Pruning,
    treatments: tuple[str, ...],
    start: OrderParameters | Sequence[OrderParameters] | None,
    dimension: int,
    runs: int,
    seed: int | np.random.SeedSequence,
    mask: Any,
    numerics: Numerics,
    progress: Told = None,
    signs: bool = False,
) -> TicketStudy:
    """The study of `runs` networks in `dimension` inputs."""
    clock, setting = time.perf_counter(), Setting.of(experiment)
    model = Model.of(setting, dimension)
    dimension = model.dimension
    for block in model.support:
        for count, overlap in block:
            if overlap.any() and count < overlap.shape[0]:
                raise InputError(
                    f"dimension D = {dimension} is too small: references of {count} non-zero inputs; use a larger D or support"
                )
    pruning.check(experiment.protocol.duration, dimension)
    if 8.0 * dimension * (5 * setting.width + 8) > 2e10:
        raise InputError(f"masked weights at D = {dimension:g} need more than 20 GB a run; use a smaller dimension, or the theory")
    given = None if mask is None else checked_mask(mask, setting.width, dimension)
    starts = starts_of(experiment, setting, start, runs, dimension, seed)
    numerics = numerics.set(points=numerics.points or DEFAULT_POINTS, space="weight")
    times = numerics.output_times(experiment.protocol.duration, TIMES)
    schedule = Schedule(setting.stages, times, pruning.rewind, dimension)
    scale, workers = experiment.student.weight_scale, worker_count(numerics.workers)
    trainings = 1 + sum(pruning.rounds if name == "fine-tune" else 1 for name in treatments if name not in UNTRAINED)
    total = runs * (trainings + pruning.rounds - 1) * schedule.total
    trainers: dict[int, WeightTrainer] = {}

    def one(i: int, stop: threading.Event) -> Any:
        rng = np.random.default_rng(child_seed(seed, i))
        trainer = trainers[i] = WeightTrainer(model, starts[i], schedule, scale, rng, stop)
        trainer.signs = signs
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                outcome = treat(trainer, pruning, treatments, rng, given)
        except Stopped:
            return None
        return outcome, trainer.coordinates

    results, interrupted = spread(
        f"pruning {runs} networks",
        one,
        range(runs),
        workers,
        lambda: min(1.0, sum(trainer.steps for trainer in list(trainers.values())) / total),
        progress,
    )
    finished = [i for i, result in enumerate(results) if result is not None]
    status = f"{len(finished)} of {runs} networks finished" + (", then the simulation was interrupted" if interrupted else "")
    return study_of(
        experiment,
        pruning,
        treatments,
        [results[i] for i in finished],
        finished,
        numerics,
        [np.arange(setting.width)] * len(finished),
        status=status,
        success=not interrupted,
        seed=seed,
        dimension=dimension,
        statistics={"seconds": time.perf_counter() - clock, "workers": workers},
    )
