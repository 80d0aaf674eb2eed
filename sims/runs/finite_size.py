"""What finite D adds to the theory of a start: pairs of runs of the diffusion with opposite noise, each beside the equations.

All go through the same stretches and nets, so that what these err by cancels in the difference of a run and the equations; and in
the mean of a pair all that is linear in the noise cancels, so that its own scatter is of order 1/D. Some pairs of a start share
the equations.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.spaces.diffusion import Pace
from curriculode.sims.spaces.draws import segments, stage_counts
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.perturb_overlaps import perturb_overlaps
from curriculode.sims.spaces.stretch import Diffuser
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.describe.perturbation import Perturbation
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.perturbing import perturbed_overlaps
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.states import StateRecord
from curriculode.theory.tasks.blocks import Blocks

ALONE = 2  # the last of the three paths of a pair
_TOGETHER = 4  # pairs that go together, at most
_POINTS = 64  # of the nets
_LONGEST, _EASE = 0.5, 5.0  # stretches, whose errors cancel
SEEDS = 2**33  # numbers of pairs from here on: their random numbers are no run's


class PathRecord(StateRecord):
    """Three paths for each pair: with the noise, with its opposite, and the equations alone; (3 pairs, times, ...)."""

    kind: ClassVar[str] = "paths"
    lead: ClassVar[tuple[str, ...]] = ("run", "time")

    def _scrambling(self, index: tuple[int, ...]) -> int:
        return 2**29 + index[0] // 3  # one net for the three


def as_carried_out(setting: Setting, experiment: Experiment, dimension: int) -> Setting:
    """The setting with whole numbers of inputs in each block, and of examples in each stage and of each level."""
    sizes = setting.blocks.sizes(dimension, setting.width)
    counts = stage_counts(experiment.protocol, dimension)
    ends = np.cumsum([0, *(count.sum() for count in counts)]) / dimension
    stages = tuple(
        replace(
            stage,
            start=float(start),
            end=float(end),
            probability=count / count.sum() if count.any() else stage.probability,
            # The equations have nothing of what is drawn: that is what finite D adds.
            perturbation=stage.perturbation and stage.perturbation.model_copy(update={"dimension": None}),
        )
        for stage, count, start, end in zip(setting.stages, counts, ends, ends[1:], strict=False)
    )
    fractions, (shares, overlaps) = sizes / sizes.sum(), setting.strata
    strata = shares * (fractions / setting.blocks.fractions)[:, None], overlaps
    return replace(setting, blocks=Blocks(fractions, setting.blocks.T), stages=stages, strata=strata)


class Paths:
    """Some pairs with opposite noise as they go, and the equations alone, all through the same stretches and nets.

    copies : as for `Diffuser`;  states : (2 pairs + 1, n) where they begin, by default all at `start`
    """

    def __init__(
        self,
        model: Model,
        start: OrderParameters,
        rng: np.random.Generator,
        noise_terms: bool,
        copies: Literal["independent", "same"] | None = None,
        states: np.ndarray | None = None,
        pairs: int = 1,
    ) -> None:
        self._diffuser, self._rng = Diffuser(model, start, noise_terms, _POINTS, copies, pairs), rng
        self._networks, self._dimension = 2 if copies == "independent" else 1, model.dimension
        self._pace = Pace(model.dimension, _LONGEST, _EASE)
        self._signs, self._drawn = np.append(np.tile([1.0, -1.0], pairs), 0.0), np.append(np.arange(pairs).repeat(2), 0)
        self._states = np.tile(packed(model.setting, start), (2 * pairs + 1, 1)) if states is None else states
        self._shares = np.empty((2 * pairs + 1, self._networks * len(model.setting.laws)))

    def advance(self, rates: Rates, counts: np.ndarray, remaining: np.ndarray, steps: int) -> None:
        """Take `steps` steps of a stage with `counts` examples of each level, (levels,); `remaining` (pairs, levels) are left."""
        share = np.tile(counts / counts.sum(), self._networks)
        while steps > 0:
            stretch = self._diffuser.draw(self._rng, remaining, self._pace.steps(steps))
            remaining -= stretch.counts.reshape(remaining.shape)
            drawn = stretch.draws.share
            self._shares[:-1:2], self._shares[1::2], self._shares[-1] = drawn, 2.0 * share - drawn, share
            change = self._diffuser.step(self._states, rates, stretch, self._shares, self._signs, self._drawn)
            self._pace.passed(stretch.taken / self._dimension, change)
            steps -= stretch.taken

    def perturb(self, perturbation: Perturbation) -> None:
        """Change the weights on all paths: at random with the noise, and as D -> infinity in the equations."""
        model, shared = self._diffuser.model, perturbation.model_copy(update={"dimension": None})
        setting = model.setting
        for path, (Q, M, v) in enumerate(self.overlaps()):
            if not (np.isfinite(Q).all() and np.isfinite(M).all()):
                continue
            if path == len(self._states) - 1:
                fractions, T = setting.blocks.fractions, setting.blocks.T
                Q, M, _ = perturbed_overlaps(Q, M, T, fractions, setting.weight_scale, shared)
            else:
                Q, M = perturb_overlaps(model, Q, M, perturbation, self._rng)
            self._states[path] = packed(setting, OrderParameters(Q, M, v))

    def overlaps(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Q (blocks, K, K), M (blocks, K, P), v (K,) of each of the paths."""
        return [self._diffuser.overlaps(y) for y in self._states]


@dataclass(frozen=True)
class FiniteSize:
    """Pairs of the diffusion of one experiment.

    paths : `PathRecord`, or of two copies a `Pair`, (3 pairs, times, ...)
    start_of_pair : (pairs,) number of the start of each;  finite : (pairs,) whether all three paths ended
    """

    paths: Any
    start_of_pair: np.ndarray

    @property
    def finite(self) -> np.ndarray:
        """Which pairs did not diverge, (pairs,)."""
        v = self.paths.v
        sound = [np.isfinite(part).reshape(v.shape[0], -1).all(axis=1) for part in (self.paths.Q, self.paths.M, v)]
        whole: np.ndarray = np.all(sound, axis=0).reshape(-1, 3).all(axis=1)
        return whole

    @staticmethod
    def deviations(values: np.ndarray) -> np.ndarray:
        """Of a quantity on all paths (3 pairs, times): both runs of each pair less the equations, (pairs, 2, times)."""
        three = values.reshape(-1, 3, values.shape[-1])
        with np.errstate(invalid="ignore"):  # what diverged is not counted
            return three[:, :ALONE] - three[:, ALONE:]


def _three_by_three(paths: int) -> list[int]:
    """Of the paths that went together those of each pair: two, and the equations."""
    return [path for first in range(0, paths - 1, 2) for path in (first, first + 1, paths - 1)]


def finite_size(
    experiment: Experiment,
    setting: Setting,
    dimension: int,
    starts: Sequence[OrderParameters],
    pairs: int,
    seed: int | np.random.SeedSequence,
    records: np.ndarray,
    numerics: Numerics,
    report: Told,
) -> FiniteSize:
    """`pairs` pairs, spread evenly over the starts, at the steps `records`; KeyboardInterrupt where that ends them."""
    model = Model.of(setting, dimension)
    counts = stage_counts(experiment.protocol, dimension)
    start_of_pair = np.sort(np.arange(pairs) % len(starts))
    numbers = [np.flatnonzero(start_of_pair == start) for start in range(len(starts))]
    groups = [group for each in numbers for group in np.array_split(each, -(-each.size // _TOGETHER)) if group.size]
    total, done = sum(int(count.sum()) for count in counts), np.zeros(pairs, dtype=np.int64)
    longest = max(1, dimension)

    def paths_of(group: np.ndarray, stop: threading.Event) -> list[Any] | None:
        """Q, M, v of the paths of some pairs at the recorded steps."""
        rng = np.random.default_rng(child_seed(seed, SEEDS + int(group[0])))
        paths, begun = Paths(model, starts[start_of_pair[group[0]]], rng, numerics.noise_terms, pairs=group.size), 0
        kept: list[Any] = []
        remaining = [np.tile(count, (group.size, 1)) for count in counts]

        def begin(until: int) -> None:
            """Perturb the weights as the next stages begin, up to this one."""
            nonlocal begun
            for stage in setting.stages[begun : until + 1]:
                if stage.perturbation is not None:
                    paths.perturb(stage.perturbation)
            begun = until + 1

        begin(0)
        if records[0] == 0:
            kept.append(paths.overlaps())
        for segment in segments(counts, records, longest):
            if stop.is_set():
                return None
            stage = segment.stage
            begin(stage)
            paths.advance(setting.stages[stage].rates, counts[stage], remaining[stage], segment.steps)
            done[group] += segment.steps
            if segment.record:
                kept.append(paths.overlaps())
        return kept

    found, interrupted = spread(
        "finite D by the diffusion",
        paths_of,
        groups,
        worker_count(numerics.workers),
        lambda: float(done.sum()) / (pairs * total),
        report,
    )
    if interrupted:
        raise KeyboardInterrupt
    arrays: dict[str, Any] = {"t": records / dimension}
    for j, name in enumerate("QMv"):
        arrays[name] = np.array([[paths[path][j] for paths in kept] for kept in found for path in _three_by_three(len(kept[0]))])
    if setting.shape[0] == 1:
        arrays |= {name: arrays[name][:, :, 0].copy() for name in "QM"}
    return FiniteSize(PathRecord(experiment, numerics, arrays, f"{pairs} pairs", dimension=dimension), start_of_pair)
