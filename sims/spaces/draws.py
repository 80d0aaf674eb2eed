"""Which example comes next: exact counts of each level in each stage, and the numbers of steps between records."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.protocol import Protocol


@dataclass(frozen=True)
class Segment:
    """A stretch of steps within one stage, after which the state may be recorded."""

    stage: int
    steps: int
    record: bool


def level_counts(shares: tuple[float, ...], total: int) -> np.ndarray:
    """Whole numbers of examples of each level, summing to `total`, nearest to the shares (largest remainders)."""
    exact = np.array(shares) / np.sum(shares) * total
    counts = np.floor(exact + 1e-9).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts


def stage_counts(protocol: Protocol, dimension: int) -> list[np.ndarray]:
    """Number of examples of each level in each stage; every order that uses all levels has the same totals."""
    total = round(protocol.duration * dimension)
    if total < 1:
        raise InputError(f"duration {protocol.duration:g} at D = {dimension} is no full example; use a duration of at least 1/D")
    totals = level_counts(protocol.shares, total)
    result = []
    for stage in protocol.stages():
        if protocol.order in ("hard-only", "easy-only"):
            result.append(np.rint(stage.probability * total).astype(np.int64))
        else:
            result.append(np.where(stage.probability > 0, totals, 0))
    return result


def record_steps(t: np.ndarray, protocol: Protocol, dimension: int) -> np.ndarray:
    """The steps nearest to the times t, without repetitions."""
    return np.unique(np.minimum(np.rint(t * dimension), round(protocol.duration * dimension)).astype(np.int64))


def segments(counts: list[np.ndarray], records: np.ndarray, longest: int) -> Iterator[Segment]:
    """Split the stages at the recorded steps, and so that none is longer than `longest` steps.

    A record at step 0 is the caller's.
    """
    done = 0
    for stage, count in enumerate(counts):
        end = done + int(count.sum())
        stops = [int(n) for n in records if done < n <= end]
        for stop in stops if stops and stops[-1] == end else [*stops, end]:
            while stop - done > longest:
                yield Segment(stage, longest, False)
                done += longest
            if stop > done:
                yield Segment(stage, stop - done, stop in stops)
                done = stop


@kernel
def only_level(remaining):
    """The one level that still has examples `remaining` (levels,), or -1 where there are several."""
    only = -1
    for level in range(remaining.size):
        if remaining[level] > 0:
            if only >= 0:
                return -1
            only = level
    return max(only, 0)


@kernel
def draw_level(rng, remaining):
    """Draw a level without replacement from the numbers still `remaining` (levels,), and count it off.

    Each sequence with these totals is equally likely, and no sequence is stored. Where one level is left nothing is drawn, so that
    the random numbers of a run depend on nothing but the run.
    """
    only = only_level(remaining)
    if only >= 0:
        remaining[only] -= 1
        return only
    ticket = rng.random() * remaining.sum()
    drawn = 0
    for level in range(remaining.size):
        if remaining[level] > 0:
            drawn = level
            if ticket < remaining[level]:
                break
            ticket -= remaining[level]
    remaining[drawn] -= 1
    return drawn


@kernel
def draw_component(rng, cumulative):
    """Draw a component from its cumulative probabilities (components,), and a uniform number that is independent of it."""
    ticket = rng.random()
    below = 0.0
    for c in range(cumulative.size - 1):
        if ticket < cumulative[c]:
            return c, (ticket - below) / (cumulative[c] - below)
        below = cumulative[c]
    return cumulative.size - 1, (ticket - below) / (1.0 - below)
