"""Online SGD on the weights themselves: the independent witness, for any D. Cost O(K D) and D normals a step."""

import numpy as np

from curriculode.sims.spaces.draws import draw_component, draw_level, only_level
from curriculode.sims.spaces.model import Model
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.tasks.example_law import NO_TEACHER, teacher_labels
from curriculode.theory.units.activations import evaluate
from curriculode.theory.units.losses import error_signal


class WeightSpace:
    """One run: weights (K, D) and references (P, D) in a random frame, with exactly the overlaps of `start`."""

    steps_a_second = 5e8  # divided by K D: used only to cut long stretches of steps

    def __init__(self, model: Model, starts: list[OrderParameters], rngs: list[np.random.Generator]) -> None:
        self.model, (self.rng,) = model, rngs
        Q, M, v = starts[0].blocked()
        self.v = np.array(v)
        self.edges = np.concatenate([[0], np.cumsum(model.sizes)])
        self.W, self.U = place(Q, M, model.system.T, self.edges, self.rng)
        K = self.v.size
        self._x, self._fields, self._labels = np.empty(model.dimension), np.empty((4, K)), np.zeros((4, self.U.shape[0], 1))

    @staticmethod
    def together(width: int, runs: int, workers: int) -> int:
        """Runs advanced side by side: one."""
        return 1

    def advance(self, remaining: np.ndarray, steps: int) -> None:
        """Take `steps` steps with examples drawn from the numbers of each level still `remaining`, (1, levels)."""
        m = self.model
        _advance(
            self.rng, steps, remaining[0], m.cumulative, m.label,
            m.teacher.activation, m.teacher.readout, m.teacher.sign, m.teacher.noise, m.gain, m.scale, m.activation, m.loss,
            m.rate, m.rate_v, m.keep, m.keep_v, self.edges, self.W, self.U, self.v, self._x, self._fields, self._labels,
        )  # fmt: skip

    def overlaps(self, lane: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current Q (blocks, K, K), M (blocks, K, P), v (K,)."""
        D = self.model.dimension
        parts = [slice(a, b) for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged run is recorded as it is
            Q = np.array([self.W[:, part] @ self.W[:, part].T / D for part in parts])
            M = np.array([self.W[:, part] @ self.U[:, part].T / D for part in parts])
        return Q, M, self.v.copy()


def place(
    Q: np.ndarray, M: np.ndarray, T: np.ndarray, edges: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Weights w (K, D) and references u (P, D) with prescribed overlaps in each block, in a uniformly random frame.

    With G = [[T, M'], [M, Q]] = L L' in each block, the rows of [u; w] / sqrt(D) are L times K + P orthonormal rows.
    """
    D, K, P = int(edges[-1]), Q.shape[1], T.shape[1]
    W, U = np.empty((K, D)), np.empty((P, D))
    for b in range(Q.shape[0]):
        size = edges[b + 1] - edges[b]
        frame, triangle = np.linalg.qr(rng.standard_normal((size, K + P)))
        # LAPACK's signs depend on the matrix; with a positive diagonal the frame is uniform (Mezzadri 2007).
        frame = (frame * np.sign(np.diagonal(triangle))).T
        rows = np.sqrt(D) * semidefinite_factor(np.block([[T[b], M[b].T], [M[b], Q[b]]])) @ frame
        U[:, edges[b] : edges[b + 1]], W[:, edges[b] : edges[b + 1]] = rows[:P], rows[P:]
    return W, U


@kernel
def _advance(
    rng, steps, remaining, cumulative, label, teacher, teacher_readout, teacher_sign, label_noise,
    gain, scale, activation, loss, rate, rate_v, keep, keep_v,
    edges, W, U, v, x, fields, labels,
):  # fmt: skip
    """Steps of online SGD.

    gain (levels, components, P, blocks), scale (levels, blocks), rate = eta / D, keep = 1 - eta kappa / D
    """
    K, D = W.shape
    field, g, dg, push = fields[0], fields[1], fields[2], fields[3]
    root = np.sqrt(D)
    only = only_level(remaining)
    if only >= 0:
        remaining[only] -= steps
    for _step in range(steps):
        level = only if only >= 0 else draw_level(rng, remaining)
        c, _ = draw_component(rng, cumulative)
        for b in range(edges.size - 1):
            for i in range(edges[b], edges[b + 1]):
                x[i] = scale[level, b] * rng.standard_normal()
            for p in range(U.shape[0]):
                a = gain[level, c, p, b] / root
                if a != 0.0:
                    for i in range(edges[b], edges[b + 1]):
                        x[i] += a * U[p, i]
        for k in range(K):
            total = 0.0
            for i in range(D):
                total += W[k, i] * x[i]
            field[k] = total / root
        evaluate(activation, field, g, dg)
        f = 0.0
        for k in range(K):
            f += v[k] * g[k]
        y = label[c]
        if teacher != NO_TEACHER:
            for p in range(U.shape[0]):
                total = 0.0
                for i in range(D):
                    total += U[p, i] * x[i]
                labels[0, p, 0] = total / root
            teacher_labels(teacher, teacher_readout, teacher_sign, labels[0], labels[1], labels[2], labels[3, 0])
            y = labels[3, 0, 0]
            if label_noise > 0.0:
                y += label_noise * rng.standard_normal()
        e = error_signal(loss, f, y)
        for k in range(K):
            push[k] = rate * root * e * v[k] * dg[k]
            v[k] = keep_v * v[k] - rate_v * e * g[k]
        for k in range(K):
            step = push[k]
            for i in range(D):
                W[k, i] = keep * W[k, i] - step * x[i]
