"""Online SGD in the tangent space of the start, on the weights themselves: w0 and v0 see the example, w and v learn from it."""

from typing import ClassVar

import numpy as np

from curriculode.sims.spaces.draws import draw_level
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.weight_space import WeightSpace, meet, move
from curriculode.theory.core.compiled import kernel
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates


class TangentWeights(WeightSpace):
    """One run of the linear model, less its output at the start."""

    centred: ClassVar[bool] = True

    def __init__(self, model: Model, starts: list[OrderParameters], rngs: list[np.random.Generator]) -> None:
        super().__init__(model, starts, rngs)
        self._start = self.weights._replace(W=self.weights.W.copy(), x=np.empty(model.dimension))
        # The units are those of the start throughout: what moves beside the weights is the readout alone.
        self._v = self.units.v.copy()

    def advance(self, remaining: np.ndarray, steps: int, rates: Rates) -> None:
        """Take `steps` steps at these rates, of examples from the numbers of each level still `remaining`, (1, levels)."""
        m = self.model
        _advance(
            self.rng,
            remaining,
            steps,
            m.examples,
            m.student.activation,
            m.steps(rates),
            self._start,
            self.weights.W,
            self.units,
            self._v,
            self._answers,
            self._references,
            self.centred,
        )

    def overlaps(self, lane: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current Q (blocks, K, K), M (blocks, K, P), v (K,)."""
        Q, M, _ = super().overlaps(lane)
        return Q, M, self._v[:, 0].copy()


class UncentredTangentWeights(TangentWeights):
    """One run of the linear model, its output at the start included."""

    centred: ClassVar[bool] = False


@kernel
def _advance(rng, remaining, count, examples, activation, steps, start, W, units, v, answers, references, centred):
    """`count` steps; `start` and `units` are those of the start, W (K, D) and v (K, 1) what has been learnt so far."""
    rate, rate_v, keep, keep_v = steps
    W0, x = start.W, start.x
    root = np.sqrt(W.shape[1])
    for _ in range(count):
        level = draw_level(rng, remaining[0])
        meet(rng, level, examples, activation, root, start, units, answers, references)
        f = 0.0 if centred else answers.f[0]
        for k in range(W.shape[0]):
            moved = 0.0
            for i in range(x.size):
                moved += (W[k, i] - W0[k, i]) * x[i]
            f += (v[k, 0] - units.v[k, 0]) * units.g[k, 0] + units.v[k, 0] * units.dg[k, 0] * moved / root
        e = f - answers.y[0]
        for k in range(W.shape[0]):
            units.push[k, 0] = rate * root * e * units.v[k, 0] * units.dg[k, 0]
            v[k, 0] = keep_v * v[k, 0] - rate_v * e * units.g[k, 0]
        move(W, x, units.push, keep)
