"""Online SGD at finite D without vectors of length D: exact in law, at a cost that does not depend on D.

An isotropic Gaussian, conditioned on its projections onto a subspace, is isotropic on the complement, and of that part
only the norm matters to any overlap. Per block we keep the coordinates A (K x r) of w_k / sqrt(D) in an orthonormal basis
whose first P vectors span the references, whose own constant coordinates are the rows of a factor U of T = U U'. A step

1. draws x in the r known directions, xi_j = mean_j + s N(0, 1), and along the one new direction, s chi_{D_b - r}
   (none when r = D_b: the basis fills the block);
2. takes lambda = A xi, f, e, F as usual;
3. sets A <- (1 - eta kappa / D) A - (eta / D) F xi', the new column included.

When the columns are full, the non-reference ones are rotated back to K by Householder reflections from the right, which
leave A A' and A U' as they are.
"""

import numpy as np

from curriculode.sims.examples import draw_component, draw_level
from curriculode.sims.model import Model
from curriculode.theory.activations import evaluate
from curriculode.theory.compiled import kernel
from curriculode.theory.losses import error_signal
from curriculode.theory.order_parameters import OrderParameters, semidefinite_factor


class OverlapSpace:
    """One run from exactly the overlaps of `start`."""

    steps_a_second = 5e8  # divided by K (K + P): used only to cut long stretches of steps

    def __init__(self, model: Model, start: OrderParameters, rng: np.random.Generator) -> None:
        self.model, self.rng = model, rng
        Q, M, v = start.blocked()
        self.v = np.array(v)
        blocks, K, P = M.shape
        # The same number of new columns before each rotation balances draws against rotations.
        self.A = np.zeros((blocks, K, P + 2 * K + 2))
        self.U = np.zeros((blocks, P, P))
        for b in range(blocks):
            joint = semidefinite_factor(np.block([[model.system.T[b], M[b].T], [M[b], Q[b]]]))
            self.U[b], self.A[b, :, : P + K] = joint[:P, :P], joint[P:]
        self.columns = np.full(blocks, P + K)
        # Coordinates of the means on the reference directions: sum_p a_cpb U_pj, (levels, components, blocks, P).
        self.mean = np.ascontiguousarray(np.einsum("lcpb,bpj->lcbj", model.gain, self.U))
        self._xi, self._fields = np.empty((blocks, self.A.shape[2])), np.empty((4, K))

    def advance(self, remaining: np.ndarray, steps: int) -> None:
        """Take `steps` steps with examples drawn from the numbers of each level still `remaining`."""
        m = self.model
        _advance(
            self.rng, steps, remaining, m.cumulative, m.label, self.mean, m.scale, m.activation, m.loss,
            m.rate, m.rate_v, m.keep, m.keep_v, m.sizes, self.columns, self.A, self.v, self._xi, self._fields,
        )  # fmt: skip

    def overlaps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current Q (blocks, K, K), M (blocks, K, P), v (K,)."""
        A = [self.A[b, :, : self.columns[b]] for b in range(self.columns.size)]
        P = self.U.shape[1]
        return (
            np.array([a @ a.T for a in A]),
            np.array([a[:, :P] @ u.T for a, u in zip(A, self.U, strict=True)]),
            self.v.copy(),
        )


@kernel
def _advance(
    rng, steps, remaining, cumulative, label, mean, scale, activation, loss, rate, rate_v, keep, keep_v,
    sizes, columns, A, v, xi, fields,
):  # fmt: skip
    """Steps of online SGD in coordinates; mean (levels, components, blocks, P), scale (levels, blocks), rate = eta / D."""
    blocks, K, capacity = A.shape
    P = mean.shape[3]
    field, g, dg, push = fields[0], fields[1], fields[2], fields[3]
    for _ in range(steps):
        level = draw_level(rng, remaining)
        c = draw_component(rng, cumulative)
        field[:] = 0.0
        for b in range(blocks):
            s, r = scale[level, b], columns[b]
            for j in range(r):
                xi[b, j] = s * rng.standard_normal()
            for j in range(P):
                xi[b, j] += mean[level, c, b, j]
            for k in range(K):
                total = 0.0
                for j in range(r):
                    total += A[b, k, j] * xi[b, j]
                field[k] += total
            if r < sizes[b]:
                xi[b, r] = s * _chi(rng, sizes[b] - r)
        evaluate(activation, field, g, dg)
        f = 0.0
        for k in range(K):
            f += v[k] * g[k]
        e = error_signal(loss, f, label[c])
        for k in range(K):
            push[k] = rate * e * v[k] * dg[k]
            v[k] = keep_v * v[k] - rate_v * e * g[k]
        for b in range(blocks):
            r = columns[b]
            for k in range(K):
                for j in range(r):
                    A[b, k, j] = keep * A[b, k, j] - push[k] * xi[b, j]
            if r < sizes[b]:
                for k in range(K):
                    A[b, k, r] = -push[k] * xi[b, r]
                columns[b] = r + 1
                if columns[b] == capacity:
                    _rotate(A[b], P)
                    columns[b] = P + K


@kernel
def _chi(rng, degrees):
    """A chi variable: the norm of `degrees` standard normals (Marsaglia and Tsang's gamma, exact)."""
    if degrees == 1:
        return abs(rng.standard_normal())
    d = 0.5 * degrees - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while True:
        x = rng.standard_normal()
        root = 1.0 + c * x
        if root > 0.0:
            cube = root * root * root
            u = rng.random()
            if u < 1.0 - 0.0331 * x * x * x * x or np.log(u) < 0.5 * x * x + d * (1.0 - cube + np.log(cube)):
                return np.sqrt(2.0 * d * cube)


@kernel
def _rotate(A, P):
    """Rotate columns P.. of A (K, columns) so that only the first K of them are non-zero: A H_1 H_2 ... lower triangular.

    A sequence of Householder reflections from the right, one a row: orthogonal to rounding whether or not rows align.
    """
    K, columns = A.shape
    for k in range(K):
        first = P + k
        tail = 0.0
        for j in range(first + 1, columns):
            tail += A[k, j] * A[k, j]
        if tail == 0.0:
            continue
        head = A[k, first]
        norm = np.sqrt(head * head + tail)
        # Reflection I - w w' / h with w = row + sign(head) norm e_first: no cancellation.
        pivot = head + norm if head >= 0.0 else head - norm
        scale = 2.0 / (pivot * pivot + tail)
        for m in range(k + 1, K):
            product = A[m, first] * pivot
            for j in range(first + 1, columns):
                product += A[m, j] * A[k, j]
            product *= scale
            A[m, first] -= product * pivot
            for j in range(first + 1, columns):
                A[m, j] -= product * A[k, j]
        A[k, first] = -norm if head >= 0.0 else norm
        for j in range(first + 1, columns):
            A[k, j] = 0.0
