"""The simulation's trainer: SGD on the weights themselves, those that are masked neither moving nor counting."""

import threading
from collections.abc import Callable

import numpy as np

from curriculode.sims.spaces.draws import plan_counts, segments
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.weight_space import WeightSpace
from curriculode.sims.tickets.supermask import advance_scores
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.setting import SettingStage
from curriculode.theory.tickets.coordinates import Coordinates
from curriculode.theory.tickets.treatments import RENEWAL, Copies, Course, Snapshots, Trainer

_RESPONSE = 0.2  # seconds between looks at the interrupt


class Stopped(Exception):
    """The simulation was told to stop."""


class Schedule:
    """The stages of an experiment in whole steps, cut at the time k of the rewinding.

    early, late : (stages, examples of each level) before and after k;  rewind : k in steps;  records : output times in steps
    """

    def __init__(self, stages: tuple[SettingStage, ...], times: np.ndarray, rewind: float, dimension: int) -> None:
        total = round(stages[-1].end * dimension)
        if total < 1:
            raise InputError(f"duration {stages[-1].end:g} at D = {dimension} is no full example; use a duration of at least 1/D")
        self.rewind = min(int(np.rint(rewind * dimension)), total)
        cut = self.rewind / dimension
        parts = []
        for stage in stages:
            if stage.start < cut < stage.end:
                parts += [(cut, stage), (stage.end, stage)]
            else:
                parts.append((stage.end, stage))
        counts = plan_counts([end * dimension for end, _ in parts], [stage.probability for _, stage in parts], total)
        together = [(stage, count) for (_, stage), count in zip(parts, counts, strict=True)]
        early = sum(1 for end, _ in parts if end <= cut + 1e-12)
        self.early, self.late = together[:early], together[early:]
        self.dimension, self.total = dimension, total
        self.records = np.unique(np.append(np.minimum(np.rint(times * dimension), total), [self.rewind])).astype(np.int64)


class WeightTrainer(Trainer):
    """Trains one network of weights (K, D) from the overlaps of `start`."""

    def __init__(
        self,
        model: Model,
        start: OrderParameters,
        schedule: Schedule,
        weight_scale: float,
        rng: np.random.Generator,
        stop: threading.Event,
    ) -> None:
        self.weight_scale, self._schedule, self._stop, self._model = weight_scale, schedule, stop, model
        self._space = WeightSpace(model, [start], [rng])
        self._longest = max(1, int(_RESPONSE * WeightSpace.steps_a_second(model)))
        D = model.dimension
        block = np.repeat(np.arange(model.sizes.size), model.sizes)
        self.coordinates = Coordinates(np.full(D, 1.0 / D), block, self._space.weights.U)
        self.steps = 0
        self._alive = np.ones(start.width, bool)

    def _run(self, stages: list[tuple[SettingStage, np.ndarray]], begin: int, end: int, mask: np.ndarray | None = None) -> Course:
        """The course of a training through these stages from one step to another, recorded on the way and at both ends.

        mask : (K, n), where the signs of what it keeps are to be told
        """
        space, D = self._space, self._schedule.dimension
        records = self._schedule.records
        inside = records[(records > begin) & (records <= end)] - begin
        states, at = [self._overlaps()], [begin]
        first, signs = np.sign(space.weights.W), [] if mask is None else [self._changed(mask, np.sign(space.weights.W))]
        remaining = [np.array(count, dtype=np.int64)[None] for _, count in stages]
        done = 0
        for segment in segments([count for _, count in stages], inside, self._longest):
            if self._stop.is_set():
                raise Stopped
            space.advance(remaining[segment.stage], segment.steps, stages[segment.stage][0].rates)
            done += segment.steps
            self.steps += segment.steps
            if segment.record:
                states.append(self._overlaps())
                at.append(begin + done)
                if mask is not None:
                    signs.append(self._changed(mask, first))
        Q, M, v = (np.array([state[j] for state in states]) for j in range(3))
        failure = None
        if not np.isfinite(Q).all():
            failure = "a run diverged (a smaller learning_rate or a larger weight_decay may help)"
        return Course(np.array(at) / D, Q, M, v, failure, np.array(signs) if signs else None)

    def _changed(self, mask: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Of the weights that each unit keeps the share (K,) whose sign is not that of `first`, (alive units, n)."""
        kept = mask[self._alive]
        found = np.full(self._alive.size, np.nan)
        found[self._alive] = (kept & (np.sign(self._space.weights.W) != first)).sum(axis=1) / kept.sum(axis=1)
        return found

    def dense(self) -> Snapshots:
        """The dense training from its start."""
        plan, space = self._schedule, self._space
        w0, v0 = space.weights.W.copy(), space.units.v[:, 0].copy()
        early = self._run(plan.early, 0, plan.rewind)
        wk, vk = space.weights.W.copy(), space.units.v[:, 0].copy()
        late = self._run(plan.late, plan.rewind, plan.total)
        wT, vT = space.weights.W.copy(), space.units.v[:, 0].copy()
        # The state at k ends the early part, and begins the late one.
        t, Q, M, v = (np.concatenate([a[:-1], b]) for a, b in _both(early, late))
        course = Course(t, Q, M, v, early.failure or late.failure)
        return Snapshots((w0, wk, wT), (v0, vk, vT), course)

    def train(self, W: np.ndarray, mask: np.ndarray, v: np.ndarray, go_on: bool) -> tuple[Course, np.ndarray, np.ndarray]:
        """Train masked weights from time k to the end."""
        plan = self._schedule
        alive: np.ndarray = np.any(mask, axis=1)
        self._put(W, v, None if mask.all() else mask, alive)
        course = self._run(plan.late, plan.rewind, plan.total, mask if self.signs else None)
        after, v_after = np.zeros_like(W), np.zeros_like(v)
        after[alive], v_after[alive] = self._space.weights.W, self._space.units.v[:, 0]
        return course, after, v_after

    def copies(self, W: np.ndarray, mask: np.ndarray, v: np.ndarray) -> Copies | None:
        """One after the other, by one generator: each copy has examples of its own."""
        ends = [self.train(W, mask, v, True) for _ in range(2)]
        Q, M, readouts = (np.array([getattr(course, part)[-1] for course, _, _ in ends]) for part in "QMv")
        (_, first, _), (_, second, _) = ends
        block, share = self.coordinates.block, self.coordinates.share
        X = np.array([(first[:, block == b] * share[block == b]) @ second[:, block == b].T for b in range(Q.shape[1])])
        return Copies(Q, M, readouts, X)

    def learn_mask(self, W: np.ndarray, v: np.ndarray, choose: Callable[[np.ndarray], np.ndarray]) -> tuple[Course, np.ndarray]:
        """Train the scores of weights that do not move, by SGD straight through the mask."""
        plan, space, model = self._schedule, self._space, self._model
        D, interval = plan.dimension, max(1, round(RENEWAL * plan.dimension))
        scores, frozen = np.abs(W), np.array(W, order="C")
        mask = choose(scores)
        self._put(mask * W, v, None, np.ones(v.size, bool))
        states, at = [self._overlaps()], [plan.rewind]
        done = plan.rewind
        for stage, count in plan.late:
            remaining, end = np.array(count, dtype=np.int64)[None], done + int(count.sum())
            while done < end:
                if self._stop.is_set():
                    raise Stopped
                later = plan.records[plan.records > done]
                stop = min(end, int(later[0]) if later.size else end, done + interval)
                rate = stage.rates.eta / D
                advance_scores(
                    *(space.rng, remaining, stop - done, model.examples, model.student, rate, space.weights, space.units),
                    *(*space.work, frozen, scores),
                )
                self.steps += stop - done
                done = stop
                mask = choose(scores)
                self._put(mask * W, v, None, np.ones(v.size, bool))
                if done in plan.records:
                    states.append(self._overlaps())
                    at.append(done)
        Q, M, readout = (np.array([state[j] for state in states]) for j in range(3))
        return Course(np.array(at) / D, Q, M, readout), mask

    def look(self, W: np.ndarray, v: np.ndarray) -> Course:
        """The overlaps of weights that are not trained."""
        self._put(W, v, None, np.array(np.any(W != 0, axis=1)))
        return self._run([], self._schedule.rewind, self._schedule.rewind)

    def _put(self, W: np.ndarray, v: np.ndarray, mask: np.ndarray | None, alive: np.ndarray) -> None:
        """Take these weights up; units that are not alive have dropped out, whatever g(0) is."""
        self._alive = alive
        self._space.put(W[alive], v[alive], None if mask is None else mask[alive])

    def _overlaps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Q (blocks, K, K), M (blocks, K, P), v (K,) with zeros for units that have dropped out."""
        Q, M, v = self._space.overlaps(0)
        if self._alive.all():
            return Q, M, v
        K, here = self._alive.size, np.flatnonzero(self._alive)
        whole = np.zeros((Q.shape[0], K, K)), np.zeros((Q.shape[0], K, M.shape[2])), np.zeros(K)
        whole[0][:, here[:, None], here], whole[1][:, here], whole[2][here] = Q, M, v
        return whole


def _both(early: Course, late: Course) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(getattr(early, name), getattr(late, name)) for name in ("t", "Q", "M", "v")]
