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

Up to 32 runs are advanced side by side, and every loop runs over them innermost: the arithmetic is then done by vector
instructions, whatever K is. The runs share nothing else; which ones go together changes no bit of any of them.
"""

import numpy as np

from curriculode.sims.spaces.draws import draw_component, draw_level, only_level
from curriculode.sims.spaces.model import Model
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.tasks.example_law import NO_TEACHER, teacher_labels
from curriculode.theory.units.activations import evaluate
from curriculode.theory.units.losses import error_signal

_LANES = (8, 16, 32)


class OverlapSpace:
    """Up to 32 runs, each from exactly the overlaps of its start."""

    steps_a_second = 5e8  # divided by K (K + P): used only to cut long stretches of steps

    def __init__(self, model: Model, starts: list[OrderParameters], rngs: list[np.random.Generator]) -> None:
        self.model, self.runs = model, len(starts)
        # Idle lanes draw nothing and hold zeros; they only make the loops as long as the processor's vectors.
        lanes = next(size for size in _LANES if self.runs <= size)
        self.rngs = tuple(rngs + [rngs[0]] * (_LANES[-1] - self.runs))
        blocks, K, P = starts[0].blocked()[1].shape
        self.v = np.zeros((K, lanes))
        # How many new directions between two rotations: measured to balance draws against rotations for K = 4 to 32.
        self.A = np.zeros((blocks, P + K + 3 * K // 4 + 3, K, lanes))
        self.U = np.array([semidefinite_factor(T) for T in model.system.T])
        for lane, start in enumerate(starts):
            Q, M, self.v[:, lane] = start.blocked()
            for b in range(blocks):
                joint = semidefinite_factor(np.block([[model.system.T[b], M[b].T], [M[b], Q[b]]]))
                self.A[b, : P + K, :, lane] = joint[P:].T
        self.directions = np.full(blocks, P + K)
        # Coordinates of the means on the reference directions: sum_p a_cpb U_pj, (levels, components, blocks, P).
        self.mean = np.ascontiguousarray(np.einsum("lcpb,bpj->lcbj", model.gain, self.U))
        rows = self.A.shape[1]
        self._xi, self._fields = np.zeros((blocks, rows, lanes)), np.zeros((4, K, lanes))
        self._signal, self._work = np.zeros((6, lanes)), np.zeros((rows + K + 1, lanes))
        self._labels = np.zeros((3, P, lanes))
        self._drawn = np.zeros((2, lanes), dtype=np.int64)
        # Marsaglia and Tsang's constants for the norm of the rest of a block, by the number of directions known.
        degrees = np.maximum(model.sizes[:, None] - np.arange(rows), 2)
        self._gamma = np.stack([0.5 * degrees - 1.0 / 3.0, 1.0 / np.sqrt(9.0 * (0.5 * degrees - 1.0 / 3.0))], axis=-1)

    @staticmethod
    def together(width: int, runs: int, workers: int) -> int:
        """How many of `runs` runs to advance side by side: many, but all workers have some, and they stay in fast memory."""
        fitting = [size for size in _LANES if runs >= size * workers and (size < _LANES[-1] or width <= 32)]
        return fitting[-1] if fitting else _LANES[0]

    def advance(self, remaining: np.ndarray, steps: int) -> None:
        """Take `steps` steps with examples drawn from the numbers of each level still `remaining`, (runs, levels)."""
        m = self.model
        _advance(
            self.rngs, self.runs, steps, remaining, m.cumulative, m.label,
            m.teacher.activation, m.teacher.readout, m.teacher.sign, m.teacher.noise, self.U, self.mean,
            m.scale, m.activation, m.loss,
            m.rate, m.rate_v, m.keep, m.keep_v, m.sizes, self._gamma, self.directions, self.A, self.v,
            self._xi, self._fields, self._signal, self._labels, self._drawn, self._work,
        )  # fmt: skip

    def overlaps(self, lane: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current Q (blocks, K, K), M (blocks, K, P), v (K,) of one of the runs."""
        A = [self.A[b, :r, :, lane] for b, r in enumerate(self.directions)]
        P = self.U.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged run is recorded as it is
            M = np.array([a[:P].T @ u.T for a, u in zip(A, self.U, strict=True)])
            return np.array([a.T @ a for a in A]), M, self.v[:, lane].copy()


@kernel
def _advance(
    rngs, runs, steps, remaining, cumulative, label,
    teacher, teacher_readout, teacher_sign, label_noise, U, mean, scale, activation, loss, rate, rate_v, keep, keep_v,
    sizes, gamma, directions, A, v, xi, fields, signal, labels, drawn, work,
):  # fmt: skip
    """Steps of online SGD in coordinates, the run last in every array.

    A (blocks, rows, K, runs), v (K, runs), mean (levels, components, blocks, P), scale (levels, blocks), rate = eta / D
    """
    blocks, capacity, K, lanes = A.shape
    P = mean.shape[3]
    field, g, dg, push = fields[0], fields[1], fields[2], fields[3]
    y, f, e, s, ticket, norm = signal[0], signal[1], signal[2], signal[3], signal[4], signal[5]
    levels, components = drawn[0], drawn[1]
    # A stage of one level, or the same last level left in all runs, needs no draws of levels.
    only = only_level(remaining[0])
    for run in range(1, runs):
        if only_level(remaining[run]) != only:
            only = -1
    if only >= 0:
        for run in range(runs):
            remaining[run, only] -= steps
    for _ in range(steps):
        for b in range(blocks):
            r = directions[b]
            for run in range(runs):
                rng = rngs[run]
                if b == 0:
                    levels[run] = only if only >= 0 else draw_level(rng, remaining[run])
                    components[run], ticket[run] = draw_component(rng, cumulative)
                    y[run] = label[components[run]]
                else:
                    ticket[run] = rng.random()
                s[run] = scale[levels[run], b]
                for j in range(r + 1 if r < sizes[b] else r):
                    xi[b, j, run] = rng.standard_normal()
            if r < sizes[b]:
                _norm_of_rest(rngs, runs, sizes[b] - r, gamma[b, r, 0], gamma[b, r, 1], xi[b, r], ticket, norm)
            for j in range(r + 1 if r < sizes[b] else r):
                for run in range(lanes):
                    xi[b, j, run] *= s[run]
            for j in range(P):
                for run in range(runs):
                    xi[b, j, run] += mean[levels[run], components[run], b, j]
        field[:] = 0.0
        for b in range(blocks):
            for j in range(directions[b]):
                for k in range(K):
                    for run in range(lanes):
                        field[k, run] += A[b, j, k, run] * xi[b, j, run]
        evaluate(activation, field.ravel(), g.ravel(), dg.ravel())
        f[:] = 0.0
        for k in range(K):
            for run in range(lanes):
                f[run] += v[k, run] * g[k, run]
        if teacher != NO_TEACHER:
            nu = labels[0]
            nu[:] = 0.0
            for b in range(blocks):
                for p in range(P):
                    for j in range(P):
                        for run in range(lanes):
                            nu[p, run] += U[b, p, j] * xi[b, j, run]
            teacher_labels(teacher, teacher_readout, teacher_sign, nu, labels[1], labels[2], y)
            if label_noise > 0.0:
                for run in range(runs):
                    y[run] += label_noise * rngs[run].standard_normal()
        for run in range(lanes):
            e[run] = error_signal(loss, f[run], y[run])
        for k in range(K):
            for run in range(lanes):
                push[k, run] = rate * e[run] * v[k, run] * dg[k, run]
                v[k, run] = keep_v * v[k, run] - rate_v * e[run] * g[k, run]
        for b in range(blocks):
            grows = directions[b] < sizes[b]
            # Rows not yet known are zero, so the new direction is moved like the others.
            for j in range(directions[b] + 1 if grows else directions[b]):
                for k in range(K):
                    for run in range(lanes):
                        A[b, j, k, run] = keep * A[b, j, k, run] - push[k, run] * xi[b, j, run]
            if grows:
                directions[b] += 1
                if directions[b] == capacity:
                    _rotate(A[b], P, work)
                    directions[b] = P + K


@kernel
def _norm_of_rest(rngs, runs, degrees, d, c, x, ticket, norm):
    """Turn one standard normal a run, `x` (lanes,), into the norm of `degrees` of them, exactly in law.

    Marsaglia and Tsang (2000): with d = degrees/2 - 1/3, c = 1/sqrt(9 d) and t = (1 + c x)^3, 2 d t is a chi-squared variate
    if a uniform `ticket` is below exp(x^2/2 + d (1 - t + ln t)), and nearly always the bound 1 - 0.0331 x^4 suffices.
    """
    if degrees == 1:
        for run in range(runs):
            x[run] = abs(x[run])
        return
    for run in range(x.size):
        root = 1.0 + c * x[run]
        square = x[run] * x[run]
        accepted = root > 0.0 and ticket[run] < 1.0 - 0.0331 * square * square
        norm[run] = np.sqrt(2.0 * d * abs(root) * root * root) if accepted else -1.0
    for run in range(runs):
        if norm[run] < 0.0:
            norm[run] = _norm_of_rest_slowly(rngs[run], d, c, x[run], ticket[run])
    x[:] = norm


@kernel
def _norm_of_rest_slowly(rng, d, c, x, u):
    """The same for one run by the exact bound, beginning with the trial (x, u) that the quick one did not accept."""
    while True:
        root = 1.0 + c * x
        if root > 0.0:
            cube = root * root * root
            if np.log(u) < 0.5 * x * x + d * (1.0 - cube + np.log(cube)):
                return np.sqrt(2.0 * d * cube)
        x, u = rng.standard_normal(), rng.random()


@kernel
def _rotate(A, P, work):
    """Rotate the rows P.. of A (rows, K, runs) so that only the first K of them are non-zero.

    One Householder reflection a unit, which leaves the unit no coordinate beyond its own: orthogonal to rounding, whether or
    not units align. The units before it have no coordinates left there, and are not moved.
    """
    rows, K, lanes = A.shape
    w, product, scale = work[:rows], work[rows : rows + K], work[rows + K]
    for k in range(K):
        first = P + k
        scale[:] = 0.0
        for j in range(first + 1, rows):
            for run in range(lanes):
                w[j, run] = A[j, k, run]
                scale[run] += w[j, run] * w[j, run]
                A[j, k, run] = 0.0
        for run in range(lanes):
            head, tail = A[first, k, run], scale[run]
            norm = np.sqrt(head * head + tail)
            # Reflection I - w w' / h with w = column + sign(head) norm e_first: no cancellation. Nothing to do without a tail.
            pivot = head + norm if head >= 0.0 else head - norm
            w[first, run] = pivot
            scale[run] = 2.0 / (pivot * pivot + tail) if tail > 0.0 else 0.0
            if tail > 0.0:
                A[first, k, run] = -norm if head >= 0.0 else norm
        product[:] = 0.0
        for j in range(first, rows):
            for m in range(k + 1, K):
                for run in range(lanes):
                    product[m, run] += A[j, m, run] * w[j, run]
        for m in range(k + 1, K):
            for run in range(lanes):
                product[m, run] *= scale[run]
        for j in range(first, rows):
            for m in range(k + 1, K):
                for run in range(lanes):
                    A[j, m, run] -= product[m, run] * w[j, run]
