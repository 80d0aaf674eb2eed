"""What finite D adds to the theory of two copies: paths of their joint diffusion with opposite noise, beside the equations."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from curriculode.sims.pairs.simulate import pair_arrays, parted
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.finite_size import SEEDS, FiniteSize, Paths
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

_APART = 2**29


def pair_finite_size(
    experiment: Experiment,
    setting: Setting,
    starts: Sequence[OrderParameters],
    others: Sequence[OrderParameters] | None,
    parting: int,
    examples: Literal["independent", "same"],
    dimension: int,
    pairs: int,
    seed: int | np.random.SeedSequence,
    records: np.ndarray,
    numerics: Numerics,
    report: Told,
) -> FiniteSize:
    """`pairs` pairs of paths of both copies, spread evenly over the starts; KeyboardInterrupt where that ends them.

    setting : as it is carried out;  others : of the second copies, where they have their own;  parting, records : in steps
    """
    two = replace(setting, width=2 * setting.width)
    one_model, model = Model.of(setting, dimension), Model.of(two, dimension)
    counts = stage_counts(experiment.protocol, dimension)
    total, done = sum(int(count.sum()) for count in counts), np.zeros(pairs, dtype=np.int64)
    start_of_pair, recorded = np.arange(pairs) % len(starts), set(records.tolist())

    def paths_of(pair: int, stop: threading.Event) -> list[list[Joint]] | None:
        """The joint overlaps of the three paths at the recorded steps."""
        rng, own = np.random.default_rng(child_seed(seed, SEEDS + pair)), start_of_pair[pair]
        three, step, kept = Paths(one_model, starts[own], rng, numerics.noise_terms), 0, []
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
                seconds = [None] * 3 if others is None else [others[own].blocked()] * 3
                begin = [parted(setting, first, second) for first, second in zip(three.overlaps(), seconds, strict=True)]
                if not all(np.isfinite(part).all() for state in begin for part in state):
                    return [[tuple(np.full_like(part, np.nan) for part in state) for state in begin]] * len(records)  # type: ignore[misc]
                states = [OrderParameters(Q, M, v) for Q, M, v in begin]
                vectors = np.array([packed(two, state) for state in states])
                joint = Paths(model, states[0], rng, numerics.noise_terms, examples, vectors)
            if joint is not None and step in recorded and (segment is None or segment.record):
                kept.append(joint.overlaps())
        return kept

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
    arrays = pair_arrays(
        [[three[path] for three in kept] for kept in found if kept is not None for path in range(3)], setting.width
    )
    told = {"at": parting / dimension, "examples": examples}
    # One net for the three paths of a pair, and none that a run has.
    run = np.repeat(np.arange(pairs), 3) - _APART
    paths = Pair(experiment, numerics, {"t": records / dimension, "run": run, **arrays}, f"{pairs} pairs of paths",
                 dimension=dimension, statistics=told)  # fmt: skip
    return FiniteSize(paths, start_of_pair)
