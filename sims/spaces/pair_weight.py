"""Pairs of runs at finite D on the weights themselves: the independent witness, and the way to reorder examples."""

import copy
from itertools import pairwise

import numpy as np

from curriculode.sims.spaces.draws import draw_level
from curriculode.sims.spaces.learning import learn
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.pair_overlap import Joint
from curriculode.sims.spaces.weight_space import WeightSpace, meet, move, output, place, project
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates
from curriculode.theory.units.activations import evaluate

_MOST_STORED = 4e9  # bytes of the examples of a stage, which copies meet in another order


class PairWeight:
    """One pair, from exactly the joint overlaps of its start.

    examples : "independent", "same" or "reordered"
    """

    def __init__(self, model: Model, start: Joint, rng: np.random.Generator, examples: str) -> None:
        Q, M, v = start
        K, edges = v.size // 2, np.concatenate([[0], np.cumsum(model.sizes)])
        W, U = place(Q, M, model.setting.blocks.T, edges, rng, model.support)
        self.model, self.examples, self._rng = model, examples, rng
        # What the generators draw does not depend on the weights: copies with equal ones meet the same examples.
        second = copy.deepcopy(rng) if examples == "same" else np.random.default_rng(rng.integers(2**63, size=4))
        self.copies = []
        for i, own in enumerate((rng, second)):
            part = slice(i * K, (i + 1) * K)
            begin = OrderParameters(np.eye(K)[None].repeat(len(Q), 0), np.zeros((len(Q), K, U.shape[0])), v[part])
            space = WeightSpace(model, [begin], [np.random.default_rng(0)])
            space.rng = own
            space.weights = space.weights._replace(W=W[part].copy(), U=U)
            self.copies.append(space)
        self._stage: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._met = 0

    @staticmethod
    def steps_a_second(model: Model) -> float:
        """How many, roughly: only to cut long stretches of steps."""
        return 0.5 * WeightSpace.steps_a_second(model)

    def advance(self, remaining: np.ndarray, steps: int, rates: Rates) -> None:
        """Take `steps` steps at these rates, of examples from the numbers of each level still `remaining`, (1, 2, levels)."""
        if self.examples != "reordered":
            for space, left in zip(self.copies, np.moveaxis(remaining, 1, 0), strict=True):
                own = np.ascontiguousarray(left)
                space.advance(own, steps, rates)
                left[:] = own
            return
        if self._stage is None:
            self._stage, self._met = self._drawn(remaining[0, 0]), 0
        x, y, order = self._stage
        model, first, last = self.model, self._met, self._met + steps
        for space, places in zip(self.copies, (np.arange(first, last), order[first:last]), strict=True):
            meet_again(x, y, places, model.student, model.steps(rates), space.weights.W, space.units, space.work[0])
        self._met = last
        if last == len(x):
            self._stage = None

    def _drawn(self, remaining: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All examples of the rest of a stage, (n, D) and (n,), and the order in which copy 2 meets them."""
        n, D, first = int(remaining.sum()), self.model.dimension, self.copies[0]
        if 8.0 * n * D > _MOST_STORED:
            raise InputError(
                f"the {n} examples of a stage at D = {D} need {8e-9 * n * D:.0f} GB to be met in another order; use a smaller "
                "dimension, or a shorter stage"
            )
        x, y = np.empty((n, D)), np.empty(n)
        draw_examples(self._rng, remaining.copy(), self.model.examples, self.model.student[0], first.weights, first.units,
                      *first.work, x, y)  # fmt: skip
        return x, y, self._rng.permutation(n)

    def overlaps(self, lane: int) -> Joint:
        """Current Q (blocks, 2K, 2K), M (blocks, 2K, P), v (2K,) of both copies."""
        (W, U, _, edges), D = self.copies[0].weights, self.model.dimension
        both = np.concatenate([W, self.copies[1].weights.W])
        parts = [slice(a, b) for a, b in pairwise(edges)]
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged run is recorded as it is
            Q = np.array([both[:, part] @ both[:, part].T / D for part in parts])
            M = np.array([both[:, part] @ U[:, part].T / D for part in parts])
        return Q, M, np.concatenate([space.units.v[:, 0] for space in self.copies])


@kernel
def draw_examples(rng, remaining, examples, activation, weights, units, answers, references, x, y):
    """Draw as many examples x (n, D) with labels y (n,) as there is room for."""
    root = np.sqrt(x.shape[1])
    for i in range(y.size):
        meet(rng, draw_level(rng, remaining), examples, activation, root, weights, units, answers, references)
        x[i] = weights.x
        y[i] = answers.y[0]


@kernel
def meet_again(x, labels, places, student, steps, W, units, answers):
    """Steps of one copy on the examples at these places of x (n, D)."""
    v, field, g, dg, push = units
    f, y, e = answers
    rate, rate_v, keep, keep_v = steps
    activation, loss = student
    root, flat_g = np.sqrt(W.shape[1]), g.ravel()
    for place_of in places:
        y[0] = labels[place_of]
        project(W, x[place_of], root, field)
        evaluate(activation, field.ravel(), flat_g, dg.ravel())
        f[0] = output(v.ravel(), flat_g)
        learn(loss, rate * root, rate_v, keep_v, v, g, dg, push, f, y, e, 1)
        move(W, x[place_of], push, keep)
