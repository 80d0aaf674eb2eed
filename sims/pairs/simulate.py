"""Pairs by simulation: many pairs of runs at finite D, each with random numbers of its own."""

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np

from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.spaces.draws import record_steps, segments, stage_counts
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.overlap_space import OverlapSpace
from curriculode.sims.spaces.pair_overlap import Joint, PairOverlap
from curriculode.sims.spaces.pair_weight import PairWeight
from curriculode.theory.averages.quasi_monte_carlo import check_points
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.dynamics.pair import joint_overlaps
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.record import Pair
from curriculode.theory.pairs.theory import pair_times
from curriculode.theory.results.errors import DEFAULT_POINTS

_RESPONSE = 0.2  # seconds between looks at the interrupt
_ALONE = 3  # up to as many pairs a worker go one by one in overlap space
_TOGETHER = 32


def pair_simulation(
    experiment: Experiment,
    starts: Sequence[OrderParameters],
    others: Sequence[OrderParameters] | None,
    at: float,
    examples: str,
    dimension: int,
    members: range,
    seed: int | np.random.SeedSequence,
    numerics: Numerics,
    progress: Told = None,
) -> Pair:
    """The pairs with the numbers `members` in `dimension` inputs, each from its start; `others` are those of the second copies."""
    clock, setting = time.perf_counter(), Setting.of(experiment)
    protocol, K = experiment.protocol, setting.width
    numerics = numerics.set(points=numerics.points or DEFAULT_POINTS)
    check_points(numerics.points or DEFAULT_POINTS, K)
    model, space = Model.of(setting, dimension), space_of(numerics.space, examples)
    setting.blocks.sizes(dimension, 2 * K)  # both copies have room
    dimension = model.dimension
    if space == "weight" and 16.0 * dimension * (K + 8) > 2e10:
        raise InputError(
            f"pairs in weight space at D = {dimension:g} need more than 20 GB; use space = 'overlap', whose cost knows no D"
        )
    parting = int(np.rint(at * dimension))
    records = record_steps(pair_times(numerics, at, protocol.duration), protocol, dimension)
    records = np.union1d(records[records >= parting], [parting])
    counts = stage_counts(protocol, dimension)
    if parting >= sum(int(count.sum()) for count in counts):
        raise InputError(f"at = {at:g} is the last example at D = {dimension}; copies part earlier")
    runs, workers = len(members), worker_count(numerics.workers)
    kind = PairOverlap if space == "overlap" else PairWeight
    longest = max(1, int(_RESPONSE * kind.steps_a_second(model)))
    done, recorded = np.zeros(runs, dtype=np.int64), set(records.tolist())

    def advance(group: range, stop: threading.Event) -> list[list[Joint]] | None:
        """The recorded joint overlaps of each pair of a group, or None if it was stopped."""
        rngs = [np.random.default_rng(child_seed(seed, members[i])) for i in group]
        one: OverlapSpace | None = None
        pair: PairOverlap | PairWeight | None = None
        if others is None:
            one = OverlapSpace(model, [starts[i] for i in group], rngs)
        remaining = [np.tile(count, (len(group), 2, 1)) for count in counts]
        states: list[list[Joint]] = [[] for _ in group]
        step = 0
        for segment in (None, *segments(counts, np.union1d(records, [parting]), longest)):
            if stop.is_set():
                return None
            if segment is not None:
                left, rates = remaining[segment.stage], setting.stages[segment.stage].rates
                if pair is not None:
                    pair.advance(left, segment.steps, rates)
                elif one is not None:
                    own = np.ascontiguousarray(left[:, 0])
                    one.advance(own, segment.steps, rates)
                    left[:] = own[:, None]
                step += segment.steps
                done[group] += segment.steps
            if step == parting and pair is None:
                begin = [parted(setting, *_states(one, starts, others, i, lane)) for lane, i in enumerate(group)]
                pair = (
                    PairOverlap(model, begin, rngs, examples == "same")
                    if space == "overlap"
                    else PairWeight(model, begin[0], rngs[0], examples)
                )
            if step in recorded and pair is not None and (segment is None or segment.record):
                for lane, found in enumerate(states):
                    found.append(pair.overlaps(lane))
        return states

    total = int(sum(count.sum() for count in counts))
    size = _TOGETHER if space == "overlap" and runs > _ALONE * workers else 1
    size = max(1, min(size, -(-runs // workers)))
    groups = [range(i, min(i + size, runs)) for i in range(0, runs, size)]
    results, interrupted = spread(
        f"simulating {runs} pairs", advance, groups, workers, lambda: float(done.sum()) / (runs * total), progress
    )
    finished = [(i, states) for group, found in zip(groups, results, strict=True) if found
                for i, states in zip(group, found, strict=True)]  # fmt: skip
    arrays = pair_arrays([states for _, states in finished], K)
    status = f"{len(finished)} of {runs} pairs finished" + (", then the simulation was interrupted" if interrupted else "")
    pair = Pair(
        experiment,
        numerics.set(space=space),
        {"t": records / dimension, "run": np.array([members[i] for i, _ in finished], dtype=np.int64), **arrays},
        status,
        success=not interrupted,
        seed=seed,
        dimension=dimension,
        statistics={
            "at": at,
            "examples": examples,
            "starts": 1 if others is None else 2,
            "space": space,
            "seconds": time.perf_counter() - clock,
            "workers": workers,
            "steps": total,
        },
    )
    if diverged := int((~pair.finite).sum()):
        status += f"; {diverged} of them diverged (a smaller learning_rate or a larger weight_decay may help)"
    return pair.replace(status=status)


def space_of(space: str, examples: str) -> str:
    """The space of a pair: examples that are met in another order have to be kept, which weight space alone does."""
    if space == "diffusion":
        raise InputError('space = "diffusion" knows no second copy; use space = "overlap" or "weight"')
    return "weight" if examples == "reordered" else space


def _states(
    one: OverlapSpace | None, starts: Sequence[OrderParameters], others: Sequence[OrderParameters] | None, i: int, lane: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The states of both copies of pair i as they part: one where they have come together so far."""
    if one is not None:
        yield one.overlaps(lane)
    else:
        assert others is not None
        yield starts[i].blocked()
        yield others[i].blocked()


def parted(
    setting: Setting,
    first: tuple[np.ndarray, np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Joint:
    """The joint overlaps of two copies: of one state, or of two that share nothing but the references."""
    two = first if second is None else second
    X = first[0] if second is None else first[1] @ np.linalg.pinv(setting.blocks.T, hermitian=True) @ np.swapaxes(two[1], -1, -2)
    Q, M = joint_overlaps(np.array([first[0], two[0]]), np.array([first[1], two[1]]), X)
    return Q, M, np.concatenate([first[2], two[2]])


def pair_arrays(states: list[list[Joint]], K: int) -> dict[str, np.ndarray]:
    """Q, M, v and X of all pairs, without the block axis where there is one block."""
    Q, M, v = (np.array([[state[j] for state in run] for run in states]) for j in range(3))
    Q, X = np.stack([Q[..., :K, :K], Q[..., K:, K:]], axis=2), Q[..., :K, K:].copy()
    M, v = np.stack([M[..., :K, :], M[..., K:, :]], axis=2), v.reshape(*v.shape[:2], 2, K)
    if X.shape[2] == 1:
        return {"Q": Q[:, :, :, 0], "M": M[:, :, :, 0], "v": v, "X": X[:, :, 0]}
    return {"Q": Q, "M": M, "v": v, "X": X}
