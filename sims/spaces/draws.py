"""Which example comes next: exact counts of each level in each stage, and the numbers of steps between records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.protocol import Protocol

_MOST_EXACT = 10**9  # examples from which numpy draws without replacement


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
    stages = protocol.stages()
    if protocol.order == "stages" or protocol.perturbation is not None:  # which may cut a stage
        return plan_counts([stage.end * dimension for stage in stages], [stage.probability for stage in stages], total)
    if protocol.order in ("hard-only", "easy-only"):
        return [np.rint(stage.probability * total).astype(np.int64) for stage in stages]
    totals = level_counts(protocol.shares, total)
    return [np.where(stage.probability > 0, totals, 0) for stage in stages]


def plan_counts(ends: Sequence[float], probabilities: Sequence[np.ndarray], total: int) -> list[np.ndarray]:
    """Number of examples of each level in each stage of a plan, of whole steps `total`; a stage may have none.

    ends : of the stages, in steps, the last within half a step of `total`;  probabilities : (levels,) each

    Stages end at the nearest whole step. Until then a level has been given its exact number c of examples rounded down or up,
    whatever the stages before and after: less than one off, never a negative number in a stage, no rounding that accumulates.
    Rounded up are first those levels that the end of the earliest later stage makes due, then those with the largest remainders.

    Why that always works: example q of a level may be given from the stage where c first exceeds q - 1, and is due at the stage
    where c first reaches q. Examples with both within some stages number at most their exact length, hence its floor, and rounded
    ends are never closer than that; so the earliest due first misses none (Jackson's rule). Largest remainders alone fail from
    four levels on: after 1/2, 1/2, 1/2, 1/2 of two examples, 0, 0, 1/2, 1/2 of one more.
    """
    lengths = np.diff(np.concatenate([[0.0], ends]))
    exact = np.cumsum([length * p / p.sum() for length, p in zip(lengths, probabilities, strict=True)], axis=0)
    # What is whole, or half a step, but for the rounding of floating-point numbers, is taken to be so.
    slack = 1e-9 + 1e-15 * total
    exact = np.where(np.abs(exact - np.rint(exact)) < slack, np.rint(exact), exact)
    floor = np.floor(exact).astype(np.int64)
    # A half goes the same way at all ends: the way it goes in `total`.
    towards = slack * (exact.shape[1] + 1) * (1.0 if total >= ends[-1] else -1.0)
    whole = [*(int(end) for end in np.floor(np.array(ends[:-1]) + 0.5 + towards)), total]
    given, result = np.zeros(exact.shape[1], dtype=np.int64), []
    for stage, end in enumerate(whole):
        counts = np.maximum(floor[stage], given)
        may = np.flatnonzero(exact[stage] > counts)
        later = floor[stage:, may] > counts[may]
        due = np.where(later.any(axis=0), later.argmax(axis=0), len(whole))
        up = may[np.lexsort((counts[may] - exact[stage, may], due))]
        counts[up[: end - counts.sum()]] += 1
        result.append(counts - given)
        given = counts
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


def drawn_levels(rng: np.random.Generator, remaining: np.ndarray, taken: int) -> np.ndarray:
    """Of `taken` examples without replacement, how many are of each level."""
    if np.count_nonzero(remaining) == 1:
        return np.where(remaining > 0, taken, 0)
    total = int(remaining.sum())
    if total < _MOST_EXACT:
        return rng.multivariate_hypergeometric(remaining, taken)
    # So many that the law is Gaussian: one level after the other, given those before.
    drawn = np.zeros_like(remaining)
    for level, count in enumerate(remaining):
        rest = total - count
        spread = np.sqrt(max(taken * (count / total) * (rest / total) * ((total - taken) / max(total - 1, 1)), 0.0))
        number = round(taken * (count / total) + spread * rng.standard_normal()) if rest else taken
        drawn[level] = min(max(number, taken - rest, 0), count, taken)
        total, taken = rest, taken - drawn[level]
    return drawn


@inner
def only_level(remaining):
    """The one level that still has examples `remaining` (levels,), or -1 where there are several."""
    only = -1
    for level in range(remaining.size):
        if remaining[level] > 0:
            if only >= 0:
                return -1
            only = level
    return max(only, 0)


@inner
def common_level(remaining, steps):
    """The one level that all runs have examples of `remaining` (runs, levels), counted off `steps` times, or -1.

    Then no levels need be drawn, in a stage of one level as where the same last one is left.
    """
    only = only_level(remaining[0])
    for run in range(1, remaining.shape[0]):
        if only_level(remaining[run]) != only:
            only = -1
    if only >= 0:
        for run in range(remaining.shape[0]):
            remaining[run, only] -= steps
    return only


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
    left = 0
    for level in range(remaining.size):
        left += remaining[level]
    ticket = rng.random() * left
    drawn = 0
    for level in range(remaining.size):
        if remaining[level] > 0:
            drawn = level
            if ticket < remaining[level]:
                break
            ticket -= remaining[level]
    remaining[drawn] -= 1
    return drawn


@inner
def draw_component(rng, cumulative):
    """Draw a component from its cumulative probabilities (components,), and a uniform number that is independent of it."""
    ticket = rng.random()
    below = 0.0
    for c in range(cumulative.size - 1):
        if ticket < cumulative[c]:
            return c, (ticket - below) / (cumulative[c] - below)
        below = cumulative[c]
    return cumulative.size - 1, (ticket - below) / (1.0 - below)
