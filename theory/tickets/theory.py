"""Tickets by theory: exact as D -> infinity, but for the nodes' own error."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.solve.way import Way
from curriculode.theory.tickets.masks import checked_mask
from curriculode.theory.tickets.study import TicketStudy, study_of
from curriculode.theory.tickets.trainer import NodeTrainer
from curriculode.theory.tickets.treatments import treat

TIMES = 51
BY_LAST = ("large-final", "small-final")  # criteria that look at w(T) alone
NODES = 2**14


def starts_of(
    experiment: Experiment,
    setting: Setting,
    start: OrderParameters | Sequence[OrderParameters] | None,
    runs: int,
    dimension: int,
    seed: int | np.random.SeedSequence,
) -> list[OrderParameters]:
    """The start of each run: the one that is given, one each, or random ones in `dimension` inputs."""
    if start is None:
        return [experiment.initial(dimension, seed, i) for i in range(runs)]
    starts = [start] * runs if isinstance(start, OrderParameters) else list(start)
    if len(starts) != runs:
        raise InputError(f"{len(starts)} starts were given for {runs} runs; give one start for all, or one for each run")
    for state in {id(each): each for each in starts}.values():
        setting.check(state)
    return starts


def ticket_theory(
    experiment: Experiment,
    pruning: Pruning,
    treatments: tuple[str, ...],
    start: OrderParameters | Sequence[OrderParameters] | None,
    runs: int,
    seed: int | np.random.SeedSequence,
    nodes: int,
    mask: Any,
    net: bool,
    numerics: Numerics,
    progress: Callable[[float], None] | None = None,
    setting: Setting | None = None,
    signs: bool = False,
) -> TicketStudy:
    """The study by theory, with `runs` draws of `nodes` coordinates, each with a net of its own for the averages.

    setting : in place of the experiment's own, as it is carried out at finite D
    """
    clock, setting = time.perf_counter(), Setting.of(experiment) if setting is None else setting
    nodes = nodes if mask is None else int(np.asarray(mask).shape[-1]) if np.ndim(mask) else 0
    pruning.check(experiment.protocol.duration, nodes)
    given = None if mask is None else checked_mask(mask, setting.width, nodes)
    least = 4 * sum(setting.shape[1:]) * setting.strata[0].size
    if nodes < least:
        raise InputError(f"nodes = {nodes} are too few for {setting.width} units and their references; use at least {least}")
    starts = starts_of(experiment, setting, start, runs, nodes, seed)
    times = np.union1d(numerics.output_times(experiment.protocol.duration, TIMES), [pruning.rewind])
    found, orders, ways = [], [], []
    for i, state in enumerate(starts):
        way = Way.of(setting, numerics.set(scrambling=numerics.scrambling + i))
        ways.append(way)
        rng = np.random.default_rng(child_seed(seed, 2, i))
        order = state.canonical_order()
        trainer = NodeTrainer(
            way,
            state.permuted(order),
            times,
            pruning.rewind,
            experiment.student.weight_scale,
            nodes,
            2 * (pruning.rounds - 1),
            rng,
            net,
            net and mask is None,
            mask is None and pruning.rounds == 1 and pruning.criterion in BY_LAST,
        )
        trainer.signs = signs
        outcome = treat(trainer, pruning, treatments, rng, None if given is None else given[order])
        found.append((outcome, trainer.coordinates))
        orders.append(order)
        if progress is not None:
            progress((i + 1) / runs)
    return study_of(
        experiment,
        pruning,
        treatments,
        found,
        range(runs),
        ways[0].numerics,
        orders,
        status=f"{runs} draw{'s' if runs > 1 else ''} of {nodes} coordinates by theory",
        seed=seed,
        statistics={"nodes": nodes, "seconds": time.perf_counter() - clock, "averages": {"ways": ways[0].engine.ways}},
    )
