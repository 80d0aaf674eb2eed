"""Online SGD on the weights themselves: the independent witness, for any D. Cost O(K D) and D normals a step."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from curriculode.sims.spaces.arithmetic import part
from curriculode.sims.spaces.draws import common_level, draw_component, draw_level
from curriculode.sims.spaces.learning import Answers, References, Units, learn
from curriculode.sims.spaces.model import Model
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates
from curriculode.theory.tasks.example_law import NO_TEACHER, teacher_labels
from curriculode.theory.units.activations import evaluate


class Weights(NamedTuple):
    """Weights W (K, D), references U (P, D) and the example x (D,), in blocks that begin and end at `edges`."""

    W: np.ndarray
    U: np.ndarray
    x: np.ndarray
    edges: np.ndarray


class WeightSpace:
    """One run: weights (K, D) and references (P, D) in a random frame, with exactly the overlaps of `start`."""

    def __init__(self, model: Model, starts: list[OrderParameters], rngs: list[np.random.Generator]) -> None:
        self.model, (self.rng,) = model, rngs
        Q, M, v = starts[0].blocked()
        edges = np.concatenate([[0], np.cumsum(model.sizes)])
        W, U = place(Q, M, model.setting.blocks.T, edges, self.rng, model.support)
        self.weights = Weights(W, U, np.empty(model.dimension), edges)
        self.units = Units.empty(v.size, 1)
        self.units.v[:, 0] = v
        self.mask = np.empty((0, 0))  # none: every weight moves
        self._answers, self._references = Answers.empty(1), References.empty(U.shape[0], 1)

    @staticmethod
    def steps_a_second(model: Model) -> float:
        """How many, roughly: only to cut long stretches of steps."""
        return 5e8 / (model.setting.width * model.dimension)

    @staticmethod
    def together(width: int, runs: int, workers: int) -> int:
        """Runs advanced side by side: one."""
        return 1

    def advance(self, remaining: np.ndarray, steps: int, rates: Rates) -> None:
        """Take `steps` steps at these rates, of examples from the numbers of each level still `remaining`, (1, levels)."""
        m = self.model
        _advance(
            (self.rng,),
            remaining,
            steps,
            m.examples,
            m.student,
            m.steps(rates),
            self.weights,
            self.units,
            self._answers,
            self._references,
            self.mask,
        )

    @property
    def work(self) -> tuple[Answers, References]:
        """The room in which a step works, beside the units."""
        return self._answers, self._references

    def put(self, W: np.ndarray, v: np.ndarray, mask: np.ndarray | None) -> None:
        """Go on from other weights (K, D) and readout (K,); with a mask (K, D) the masked weights neither move nor count."""
        W = W if mask is None else W * mask
        self.weights = self.weights._replace(W=np.array(W, dtype=float, order="C"))
        if v.size != self.units.v.shape[0]:
            self.units = Units.empty(v.size, 1)
        self.units.v[:, 0] = v
        self.mask = np.empty((0, 0)) if mask is None else np.array(mask, dtype=float, order="C")

    def overlaps(self, lane: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current Q (blocks, K, K), M (blocks, K, P), v (K,)."""
        (W, U, _, edges), D = self.weights, self.model.dimension
        parts = [slice(a, b) for a, b in pairwise(edges)]
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged run is recorded as it is
            Q = np.array([W[:, part] @ W[:, part].T / D for part in parts])
            M = np.array([W[:, part] @ U[:, part].T / D for part in parts])
        return Q, M, self.units.v[:, 0].copy()


def place(
    Q: np.ndarray,
    M: np.ndarray,
    T: np.ndarray,
    edges: np.ndarray,
    rng: np.random.Generator,
    supports: list[list[tuple[int, np.ndarray]]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights w (K, D) and references u (P, D) with prescribed overlaps in each block, in a uniformly random frame.

    With G = [[T, M'], [M, Q]] = L L' in each block, the rows of [u; w] / sqrt(D) are L times K + P orthonormal rows.
    supports : of each block its strata, number of coordinates and overlaps (P, P) of the references over them, where there are
    several: the first P rows are then in a frame of each stratum's own
    """
    D, K, P = int(edges[-1]), Q.shape[1], T.shape[1]
    W, U = np.empty((K, D)), np.empty((P, D))
    for b in range(Q.shape[0]):
        size = edges[b + 1] - edges[b]
        here = slice(edges[b], edges[b + 1])
        if supports is None or len(supports[b]) == 1:
            frame = _frame(rng.standard_normal((size, K + P)))
            rows = np.sqrt(D) * semidefinite_factor(np.block([[T[b], M[b].T], [M[b], Q[b]]])) @ frame
            U[:, here], W[:, here] = rows[:P], rows[P:]
            continue
        u, at = np.zeros((P, size)), 0
        for count, overlap in supports[b]:
            if overlap.any():
                u[:, at : at + count] = np.sqrt(D) * semidefinite_factor(overlap) @ _frame(rng.standard_normal((count, P)))
            at += count
        # Beyond their part in the references weights are uniform in what is orthogonal to these.
        basis = np.linalg.qr(u.T)[0] if u.any() else np.zeros((size, 0))
        free = rng.standard_normal((size, K))
        frame = _frame(free - basis @ (basis.T @ free))
        along = M[b] @ np.linalg.pinv(T[b], hermitian=True)
        rest = Q[b] - along @ T[b] @ along.T
        U[:, here], W[:, here] = u, along @ u + np.sqrt(D) * semidefinite_factor(0.5 * (rest + rest.T)) @ frame
    return W, U


def _frame(gaussians: np.ndarray) -> np.ndarray:
    """Orthonormal rows (n, size) from random vectors (size, n), uniformly distributed where those are Gaussian."""
    frame, triangle = np.linalg.qr(gaussians)
    # LAPACK's signs depend on the matrix; with a positive diagonal the frame is uniform (Mezzadri 2007).
    return (frame * np.sign(np.diagonal(triangle))).T


@kernel
def _advance(rngs, remaining, count, examples, student, steps, weights, units, answers, references, mask):
    """`count` steps of online SGD on the weights of one run; where there is a mask (K, D), only of those where it is 1."""
    (W, _, x, _), (v, _, g, dg, push) = weights, units
    f, y, e = answers
    rate, rate_v, keep, keep_v = steps
    activation, loss = student
    root = np.sqrt(W.shape[1])
    rng = rngs[0]
    only = common_level(remaining, count)
    for _ in range(count):
        level = only if only >= 0 else draw_level(rng, remaining[0])
        meet(rng, level, examples, activation, root, weights, units, answers, references)
        learn(loss, rate * root, rate_v, keep_v, v, g, dg, push, f, y, e, 1)
        if mask.size > 0:
            _move_masked(W, x, push, keep, mask)
        else:
            move_along(W, x, push, keep)


@part
def meet(rng, level, examples, activation, root, weights, units, answers, references):
    """Draw an example x of a level with its label y, and what the student makes of it: fields, g, g' and the output f."""
    W, U, x, edges = weights
    v, field, g, dg, _ = units
    f, y, _ = answers
    nu, teacher_g, teacher_dg = references
    cumulative, labels, gain, scale = examples
    label, teacher, readout, sign, noise = labels
    flat_g = g.ravel()
    c, _ = draw_component(rng, cumulative)
    y[0] = label[c]
    _draw(rng, gain, scale, level, c, root, edges, U, x)
    _project(W, x, root, field)
    evaluate(activation, field.ravel(), flat_g, dg.ravel())
    f[0] = _output(v.ravel(), flat_g)
    if teacher != NO_TEACHER:
        _project(U, x, root, nu)
        teacher_labels(teacher, readout, sign, nu, teacher_g, teacher_dg, y)
        if noise > 0.0:
            y[0] += noise * rng.standard_normal()


@part
def _draw(rng, gain, scale, level, c, root, edges, U, x):
    """Draw an example x (D,) of that level and component: gain (levels, components, P, blocks), scale (levels, blocks)."""
    for b in range(edges.size - 1):
        for i in range(edges[b], edges[b + 1]):
            x[i] = scale[level, b] * rng.standard_normal()
        for p in range(U.shape[0]):
            a = gain[level, c, p, b] / root
            if a != 0.0:
                for i in range(edges[b], edges[b + 1]):
                    x[i] += a * U[p, i]


@inner
def _project(W, x, root, field):
    """The fields w . x / sqrt(D) of the rows of W, (rows, 1)."""
    for k in range(W.shape[0]):
        total = 0.0
        for i in range(x.size):
            total += W[k, i] * x[i]
        field[k, 0] = total / root


@inner
def _output(v, g):
    """The output of the student, v . g."""
    total = 0.0
    for k in range(v.size):
        total += v[k] * g[k]
    return total


@inner
def move_along(W, x, push, keep):
    """W <- keep W - push x'."""
    for k in range(W.shape[0]):
        step = push[k, 0]
        for i in range(x.size):
            W[k, i] = keep * W[k, i] - step * x[i]


@inner
def _move_masked(W, x, push, keep, mask):
    """W <- keep W - (push x') mask, of weights that are 0 where the mask is."""
    for k in range(W.shape[0]):
        step = push[k, 0]
        for i in range(x.size):
            W[k, i] = keep * W[k, i] - step * x[i] * mask[k, i]
