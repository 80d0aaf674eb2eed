"""The theory's trainer: nodes of the law of one weight, trained in groups."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.coefficients import CoefficientLaw
from curriculode.theory.dynamics.groups import Groups
from curriculode.theory.solve.groups import GroupSolution, train_groups
from curriculode.theory.solve.way import Way
from curriculode.theory.tickets.coordinates import group, nodes, sign_changes, transported
from curriculode.theory.tickets.one_shot import OneShotNodes, one_shot_nodes
from curriculode.theory.tickets.treatments import RENEWAL, Copies, Course, Snapshots, Trainer


class NodeTrainer(Trainer):
    """Trains `count` nodes from the overlaps of `start`; nodes are a net, or random numbers as the inputs of one network are.

    times : (times,) of the whole protocol;  rewind : k;  trainings : how many may have to go on from where they end
    by_last : whether masks are functions of w(T) alone, for which a net is ordered (`one_shot.py`)
    """

    def __init__(
        self,
        way: Way,
        start: OrderParameters,
        times: np.ndarray,
        rewind: float,
        weight_scale: float,
        count: int,
        trainings: int,
        rng: np.random.Generator,
        net: bool,
        even: bool,
        by_last: bool = False,
    ) -> None:
        self.way, self.start, self.times, self.rewind, self.weight_scale = way, start, times, rewind, weight_scale
        self.end = way.setting.stages[-1].end
        Q, M, _ = start.blocked()
        K = start.width
        self._used, self._rng, self._even, self._count = 0, rng, even, count
        self._by_last = by_last and net
        self._one_shot: OneShotNodes | None = None
        if not self._by_last:
            self.coordinates, self._w0, self._spare = nodes(way.setting, Q, M, count, K * (2 + trainings), rng, net, even)

    def _fresh(self) -> np.ndarray:
        """K rows of normals that nobody has used."""
        K = self.start.width
        self._used += K
        return self._spare[self._used - K : self._used]

    def dense(self) -> Snapshots:
        """The dense training from its start."""
        groups, v0, k = Groups.whole(self.way.setting, self.start), self.start.v, self.rewind
        early = train_groups(self.way, groups, v0, 0.0, k, self.times[self.times < k], transports=True)
        late = train_groups(self.way, early.groups, early.v_end, k, self.end, self.times[self.times >= k], transports=True)
        t, Q, M, v = (np.concatenate([a, b]) for a, b in zip(_states(early), _states(late), strict=True))
        course = Course(t, Q, M, v, early.failure or late.failure)
        return Snapshots(self._weights(early, late), (v0, early.v_end, late.v_end), course)

    def _weights(self, early: GroupSolution, late: GroupSolution) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nodes at 0, k and T."""
        if not self._by_last:
            block = self.coordinates.block
            wk = transported(self.coordinates, self._w0, block, early.transports, self._fresh()) if self.rewind > 0 else self._w0
            return self._w0, wk, transported(self.coordinates, wk, block, late.transports, self._fresh())
        Q, M, _ = self.start.blocked()
        nothing = {"R": np.broadcast_to(np.eye(Q.shape[1]), Q.shape), "S": np.zeros_like(M), "Xi": np.zeros_like(Q)}
        parts = (early.transports if self.rewind > 0 else nothing), late.transports
        self._one_shot = one_shot_nodes(self.way.setting, Q, M, parts, self._count, self._rng, self._even)
        self.coordinates = self._one_shot.coordinates
        return self._one_shot.weights

    def train_kept(self, W: np.ndarray, mask: np.ndarray, v: np.ndarray, final: bool) -> Course:
        """Train what is kept of w(k), or with `final` of w(T), from time k to the end; of one shot by its exact groups."""
        if self._one_shot is None:
            return super().train_kept(W, mask, v, final)
        return self._course(self._trained(self._one_shot.groups(mask, final), v, self.signs), mask * W, mask)

    def signal(self, mask: np.ndarray, pruned: bool) -> np.ndarray:
        """sum_i mu_i m_ki u_pi^2, (K, P); of a mask of one shot without the scatter of the nodes' u."""
        if self._one_shot is None or not pruned:
            return super().signal(mask, pruned)
        groups = self._one_shot.groups(mask, False)
        found: np.ndarray = groups.pattern.T @ np.diagonal(groups.T, axis1=1, axis2=2)
        return found

    def train(self, W: np.ndarray, mask: np.ndarray, v: np.ndarray, go_on: bool) -> tuple[Course, np.ndarray, np.ndarray]:
        """Train masked weights from time k to the end."""
        groups, where = group(self.coordinates, W, mask)
        found = self._trained(groups, v, go_on or self.signs)
        after = transported(self.coordinates, W, where, found.transports, self._fresh()) if go_on else W
        return self._course(found, W, mask), after, found.v_end

    def _course(self, found: GroupSolution, W: np.ndarray, mask: np.ndarray) -> Course:
        signs = None
        if self.signs:
            where = group(self.coordinates, W, mask)[1]
            signs = np.array([sign_changes(self.coordinates, W, mask, where, each) for each in found.transports_at])
        return Course(found.times, found.Q, found.M, found.v, found.failure, signs)

    def _trained(self, groups: Groups, v: np.ndarray, transports: bool) -> GroupSolution:
        times = np.unique(np.concatenate([[self.rewind], self.times[self.times >= self.rewind]]))
        return train_groups(self.way, groups, v, self.rewind, self.end, times, transports=transports)

    def copies(self, W: np.ndarray, mask: np.ndarray, v: np.ndarray) -> Copies | None:
        """Both copies, which are alike as D -> infinity, and X = Q - phi Xi: all of Q but what examples of their own have added."""
        groups, _ = group(self.coordinates, W, mask)
        found = self._trained(groups, v, True)
        if found.failure is not None:
            return None
        X = found.Q[-1].copy()
        np.subtract.at(X, groups.block, groups.share[:, None, None] * found.transports["Xi"])
        Q, M, v = (np.array([part[-1]] * 2) for part in (found.Q, found.M, found.v))
        return Copies(Q, M, v, X)

    def learn_mask(self, W: np.ndarray, v: np.ndarray, choose: Callable[[np.ndarray], np.ndarray]) -> tuple[Course, np.ndarray]:
        """Train the scores of weights that do not move.

        A score obeys ds = w o [- (A m w + G u) dt + N^(1/2) dB], with the coefficients of the masked weights m w and no decay.
        Which weights are masked depends on all scores, so that no finite number of overlaps closes; nodes do. Between two renewals
        nothing but the scores moves: the coefficients are constant, and a step of that length has no error.
        """
        setting, rng = self.way.setting, self._rng
        course: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        times = np.union1d(self.times[self.times >= self.rewind], [self.rewind])
        stops = np.union1d(times, [stage.end for stage in setting.stages if stage.end > self.rewind])
        scores, u = np.abs(W), self.coordinates.u
        mask, told = choose(scores), []

        def state() -> tuple[np.ndarray, np.ndarray]:
            groups, _ = group(self.coordinates, mask * W, mask)
            return groups.summed(setting.shape[0])

        for begin, end in pairwise([self.rewind, *stops[stops > self.rewind]]):
            if begin in times:
                course.append((*state(), v))
                told.append(begin)
            stage = next(each for each in setting.stages if each.end > begin)
            law = CoefficientLaw(setting, self.way.engine, stage.probability, stage.rates)
            count = max(1, round((end - begin) / RENEWAL))
            for _ in range(count):
                dt = (end - begin) / count
                found = law.at(*state(), v)
                decay = stage.rates.eta * stage.rates.kappa * np.eye(v.size)
                for b in range(setting.shape[0]):
                    here = self.coordinates.block == b
                    w = W[:, here]
                    drift = (found.A[b] - decay) @ (mask[:, here] * w) + found.G[b] @ u[:, here]
                    noise = semidefinite_factor(found.N[b] * dt) @ rng.standard_normal(w.shape)
                    scores[:, here] -= w * (drift * dt + noise)
                mask = choose(scores)
        course.append((*state(), v))
        told.append(stops[-1])
        Q, M, readout = (np.array([each[j] for each in course]) for j in range(3))
        return Course(np.array(told), Q, M, readout), mask

    def look(self, W: np.ndarray, v: np.ndarray) -> Course:
        """The overlaps of weights that are not trained."""
        groups, _ = group(self.coordinates, W, W != 0)
        Q, M = groups.summed(self.way.setting.shape[0])
        alive = groups.pattern.any(axis=0)
        return Course(np.array([self.rewind]), Q[None], M[None], np.where(alive, v, 0.0)[None])


def _states(found: GroupSolution) -> tuple[np.ndarray, ...]:
    return found.times, found.Q, found.M, found.v
