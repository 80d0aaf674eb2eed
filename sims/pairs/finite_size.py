"""What finite D adds to the theory of two copies: paths of their joint diffusion with opposite noise, beside the equations."""

import threading
from dataclasses import replace
from typing import Literal

import numpy as np

from curriculode.sims.pairs.simulate import pair_arrays, parted
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.finite_size import SEEDS, FiniteSize, Paths, as_carried_out
from curriculode.sims.runs.progress import Told
from curriculode.sims.spaces.draws import segments, stage_counts
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.pair_overlap import Joint
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.record import Pair


def pair_finite_size(
    experiment: Experiment,
    start: OrderParameters,
    other: OrderParameters | None,
    parting: int,
    examples: Literal["independent", "same"],
    dimension: int,
    pairs: int,
    seed: int | np.random.SeedSequence,
    records: np.ndarray,
    numerics: Numerics,
    report: Told,
) -> dict[str, np.ndarray]:
    """For each order parameter of both copies what finite D adds to the equations, (pairs, 2, times); without what diverged.

    parting, records : in steps;  pairs : of paths, all from one start;  KeyboardInterrupt where that ends them
    """
    setting = as_carried_out(Setting.of(experiment), experiment, dimension)
    two = replace(setting, width=2 * setting.width)
    one_model, model = Model.of(setting, dimension), Model.of(two, dimension)
    counts = stage_counts(experiment.protocol, dimension)
    total, done = sum(int(count.sum()) for count in counts), np.zeros(pairs, dtype=np.int64)

    def paths_of(pair: int, stop: threading.Event) -> list[list[Joint]] | None:
        """The joint overlaps of the three paths at the recorded steps."""
        rng = np.random.default_rng(child_seed(seed, SEEDS + pair))
        three, step, kept = Paths(one_model, start, rng, numerics.noise_terms), 0, []
        remaining = [np.tile(count, (2, 1)) for count in counts]
        joint: Paths | None = None
        for segment in (None, *segments(counts, np.union1d(records, [parting]), max(1, dimension))):
            if stop.is_set():
                return None
            if segment is not None:
                left, rates = remaining[segment.stage], setting.stages[segment.stage].rates
                if joint is None:
                    three.advance(rates, counts[segment.stage], left[0], segment.steps)
                    left[1] = left[0]
                else:
                    joint.advance(rates, counts[segment.stage], left if examples == "independent" else left[0], segment.steps)
                step += segment.steps
                done[pair] += segment.steps
            if step == parting and joint is None:
                seconds = [None] * 3 if other is None else [other.blocked()] * 3
                begin = [parted(setting, first, second) for first, second in zip(three.overlaps(), seconds, strict=True)]
                if not all(np.isfinite(part).all() for state in begin for part in state):
                    return None
                states = [OrderParameters(Q, M, v) for Q, M, v in begin]
                vectors = np.array([packed(two, state) for state in states])
                joint = Paths(model, states[0], rng, numerics.noise_terms, examples, vectors)
            if joint is not None and step in recorded:
                kept.append(joint.overlaps())
        return kept

    recorded = set(records.tolist())
    found, interrupted = spread(
        "finite D of pairs by the diffusion",
        paths_of,
        range(pairs),
        worker_count(numerics.workers),
        lambda: float(done.sum()) / (pairs * total),
        report,
    )
    if interrupted:
        raise KeyboardInterrupt
    whole = [[[three[path] for three in kept] for path in range(3)] for kept in found if kept is not None]
    if not whole:
        return {}
    arrays = pair_arrays([path for three in whole for path in three], setting.width)
    count = len(arrays["v"])
    told = {"at": parting / dimension, "examples": examples}
    paths = Pair(experiment, numerics, {"t": records / dimension, "run": np.arange(count), **arrays}, "paths", statistics=told)
    sound = paths.finite.reshape(-1, 3).all(axis=1)
    return {name: FiniteSize.deviations(value)[sound] for name, value in paths.entries().items()}
