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
instructions, whatever K is. A single run has the same kernels, compiled for one lane. The runs share nothing else; which ones
go together changes no bit of any of them.
"""

from typing import NamedTuple

import numpy as np

from curriculode.sims.spaces.arithmetic import fma, in_state, part, states_of
from curriculode.sims.spaces.draws import common_level, draw_component, draw_level
from curriculode.sims.spaces.learning import Answers, References, Units, learn, respond
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.perturb_overlaps import perturb_overlaps
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.perturbation import Perturbation
from curriculode.theory.describe.training import Rates
from curriculode.theory.tasks.example_law import NO_TEACHER, teacher_labels
from curriculode.theory.units.activations import evaluate

_LANES = (8, 16, 32)
_ALONE = 3  # up to as many runs are cheaper one by one than with idle lanes


class Basis(NamedTuple):
    """What the coordinates are taken in, and how blocks are filled.

    U : (blocks, P, P) coordinates of the references;  mean : (levels, components, blocks, P) of the means
    sizes : (blocks,) inputs D_b
    gamma : (blocks, rows, 2) Marsaglia and Tsang's constants for the norm of the rest of a block, by the number of directions known
    """

    U: np.ndarray
    mean: np.ndarray
    sizes: np.ndarray
    gamma: np.ndarray


class Coordinates(NamedTuple):
    """A (blocks, rows, K, lanes) of the weights and xi (blocks, rows, lanes) of the example, in so many `directions` (blocks,)."""

    A: np.ndarray
    xi: np.ndarray
    directions: np.ndarray
    work: np.ndarray


class Drawn(NamedTuple):
    """What was drawn for each run: level and component, and for a block its scale, a uniform number and a norm; each (lanes,)."""

    level: np.ndarray
    component: np.ndarray
    scale: np.ndarray
    ticket: np.ndarray
    norm: np.ndarray

    @classmethod
    def empty(cls, lanes: int) -> "Drawn":
        """Nothing drawn yet."""
        whole = [np.zeros(lanes, dtype=np.int64) for _ in range(2)]
        return cls(*whole, *(np.zeros(lanes) for _ in range(3)))


class Scratch(NamedTuple):
    """What a step works in."""

    drawn: Drawn
    answers: Answers
    references: References


class OverlapSpace:
    """Up to 32 runs, each from exactly the overlaps of its start."""

    def __init__(self, model: Model, starts: list[OrderParameters], rngs: list[np.random.Generator]) -> None:
        self.model, self.runs = model, len(starts)
        # Idle lanes draw nothing and hold zeros; they only make the loops as long as the processor's vectors.
        lanes = 1 if self.runs == 1 else next(size for size in _LANES if self.runs <= size)
        # A single run has no array of states, for which the kernels are compiled without loops over runs.
        self.rngs, self._states = rngs, states_of(rngs) if lanes > 1 else None
        T = model.setting.blocks.T
        blocks, K, P = model.setting.shape
        # How many new directions between two rotations: measured to balance draws against rotations for K = 4 to 32.
        rows = P + K + 3 * K // 4 + 3
        A, self.units = np.zeros((blocks, rows, K, lanes)), Units.empty(K, lanes)
        for lane, start in enumerate(starts):
            Q, M, self.units.v[:, lane] = start.blocked()
            A[..., lane] = self._placed(Q, M, rows)
        self.coordinates = Coordinates(
            A=A, xi=np.zeros((blocks, rows, lanes)), directions=np.full(blocks, P + K), work=np.zeros((rows + K + 1, lanes))
        )
        U = np.array([semidefinite_factor(one) for one in T])
        degrees = 0.5 * np.maximum(model.sizes[:, None] - np.arange(rows), 2)
        self.basis = Basis(
            U=U,
            mean=np.ascontiguousarray(np.einsum("lcpb,bpj->lcbj", model.examples.gain, U)),  # sum_p a_cpb U_pj
            sizes=model.sizes,
            gamma=np.stack([degrees - 1.0 / 3.0, 1.0 / np.sqrt(9.0 * (degrees - 1.0 / 3.0))], axis=-1),
        )
        self._scratch = Scratch(Drawn.empty(lanes), Answers.empty(lanes), References.empty(P, lanes))

    @staticmethod
    def steps_a_second(model: Model) -> float:
        """How many, roughly: only to cut long stretches of steps."""
        K, P = model.setting.width, model.setting.blocks.references
        return 5e8 / (K * (K + P) + 50)

    @staticmethod
    def together(width: int, runs: int, workers: int) -> int:
        """How many of `runs` runs to advance side by side: many, but all workers have as much, and they stay in fast memory."""
        fitting = [size for size in _LANES if runs >= size * workers and (size < _LANES[-1] or width <= 32)]
        if fitting:
            return min(reversed(fitting), key=lambda size: size * -(-runs // (size * workers)))  # what the busiest worker has
        return 1 if runs <= _ALONE * workers else _LANES[0]

    def advance(self, remaining: np.ndarray, steps: int, rates: Rates) -> None:
        """Take `steps` steps at these rates, of examples from the numbers of each level still `remaining`, (runs, levels)."""
        m = self.model
        state = (self.basis, self.coordinates, self.units, self._scratch)
        _advance(self.rngs[0], self._states, remaining, steps, m.examples, m.student, m.steps(rates), *state)

    def _placed(self, Q: np.ndarray, M: np.ndarray, rows: int) -> np.ndarray:
        """Coordinates (blocks, rows, K) of weights with these overlaps, in P + K directions."""
        blocks, K, P = self.model.setting.shape
        A, T = np.zeros((blocks, rows, K)), self.model.setting.blocks.T
        for b in range(blocks):
            A[b, : P + K] = semidefinite_factor(np.block([[T[b], M[b].T], [M[b], Q[b]]]))[P:].T
        return A

    def perturb(self, perturbation: Perturbation) -> None:
        """Change the weights of every run by a perturbation, with random numbers of the run."""
        A, directions = self.coordinates.A, self.coordinates.directions
        _, K, P = self.model.setting.shape
        for lane, rng in enumerate(self.rngs):
            Q, M, _ = self.overlaps(lane)
            if np.isfinite(Q).all() and np.isfinite(M).all():  # a diverged run stays as it is
                A[..., lane] = self._placed(*perturb_overlaps(self.model, Q, M, perturbation, rng), A.shape[1])
            else:
                A[..., lane] = np.nan
        directions[:] = P + K

    def overlaps(self, lane: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Current Q (blocks, K, K), M (blocks, K, P), v (K,) of one of the runs."""
        A = [self.coordinates.A[b, :r, :, lane].copy() for b, r in enumerate(self.coordinates.directions)]
        P = self.basis.U.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged run is recorded as it is
            # Two copies: the product of an array with itself takes another way through BLAS, with other bits, if it lies right.
            M = np.array([a[:P].T @ u.T for a, u in zip(A, self.basis.U, strict=True)])
            return np.array([a.T @ a.copy() for a in A]), M, self.units.v[:, lane].copy()


@kernel
def _advance(only_rng, states, remaining, count, examples, student, steps, basis, coordinates, units, scratch):
    """`count` steps of online SGD in coordinates, the run last in every array.

    What the tuples hold is taken out once, and all draws are made here: references to what is handed on are counted, which costs
    more than a draw.
    """
    A, xi, directions, work = coordinates
    v, field, g, dg, push = units
    f, y, e = scratch.answers
    nu, teacher_g, teacher_dg = scratch.references
    level, component, s, ticket, norm = scratch.drawn
    cumulative, labels, _, scale = examples
    label, teacher, readout, sign, noise = labels
    activation, loss = student
    rate, rate_v, keep, keep_v = steps
    flat_field, flat_g, flat_dg = field.ravel(), g.ravel(), dg.ravel()
    U, mean, sizes, gamma = basis
    runs, P = remaining.shape[0], U.shape[1]
    blocks, capacity, K, _ = A.shape
    lanes = 1 if states is None else A.shape[3]
    only = common_level(remaining, count)
    for _ in range(count):
        for b in range(blocks):
            known = directions[b]
            rows = known + 1 if known < sizes[b] else known
            for run in range(runs):
                rng = only_rng if states is None else in_state(only_rng, states[run])
                if b == 0:
                    level[run] = only if only >= 0 else draw_level(rng, remaining[run])
                    component[run], ticket[run] = draw_component(rng, cumulative)
                    y[run] = label[component[run]]
                else:
                    ticket[run] = rng.random()
                s[run] = scale[level[run], b]
                for j in range(rows):
                    xi[b, j, run] = rng.standard_normal()
            if rows > known:
                d, c = gamma[b, known, 0], gamma[b, known, 1]
                norm_of_rest(sizes[b] - known, d, c, xi, b, known, ticket, norm, lanes)
                for run in range(runs):
                    if norm[run] < 0.0:
                        rng = only_rng if states is None else in_state(only_rng, states[run])
                        norm[run] = norm_of_rest_slowly(rng, d, c, xi[b, known, run], ticket[run])
                for run in range(lanes):
                    xi[b, known, run] = norm[run]
            shape_example(xi, b, rows, s, mean, level, component, runs, lanes)
        project(A, xi, directions, field, lanes)
        evaluate(activation, flat_field, flat_g, flat_dg)
        respond(v, g, f, lanes)
        if teacher != NO_TEACHER:
            project_references(U, xi, nu, lanes)
            teacher_labels(teacher, readout, sign, nu, teacher_g, teacher_dg, y)
            if noise > 0.0:
                for run in range(runs):
                    rng = only_rng if states is None else in_state(only_rng, states[run])
                    y[run] += noise * rng.standard_normal()
        learn(loss, rate, rate_v, keep_v, v, g, dg, push, f, y, e, lanes)
        for b in range(blocks):
            grows = directions[b] < sizes[b]
            # Rows not yet known are zero, so the new direction is moved like the others.
            move(A, xi, b, directions[b] + 1 if grows else directions[b], push, keep, lanes)
            if grows:
                directions[b] += 1
                if directions[b] == capacity:
                    rotate(A[b], P, work, lanes)
                    directions[b] = P + K


@part
def shape_example(xi, b, rows, s, mean, level, component, runs, lanes):
    """From standard normals to an example: its scale, and its mean along the references."""
    for j in range(rows):
        for run in range(lanes):
            xi[b, j, run] *= s[run]
    for j in range(mean.shape[3]):
        for run in range(runs):
            xi[b, j, run] += mean[level[run], component[run], b, j]


@part
def project(A, xi, directions, field, lanes):
    """The fields lambda = A xi, (K, lanes)."""
    blocks, _, K, _ = A.shape
    for k in range(K):
        for run in range(lanes):
            field[k, run] = 0.0
    for b in range(blocks):
        for j in range(directions[b]):
            for k in range(K):
                for run in range(lanes):
                    field[k, run] = fma(A[b, j, k, run], xi[b, j, run], field[k, run])


@part
def project_references(U, xi, nu, lanes):
    """The fields of the references, nu = U xi, (P, lanes)."""
    blocks, P, _ = U.shape
    for p in range(P):
        for run in range(lanes):
            nu[p, run] = 0.0
    for b in range(blocks):
        for p in range(P):
            for j in range(P):
                for run in range(lanes):
                    nu[p, run] = fma(U[b, p, j], xi[b, j, run], nu[p, run])


@part
def move(A, xi, b, rows, push, keep, lanes):
    """A <- keep A - push xi', in so many rows of block b."""
    for j in range(rows):
        for k in range(A.shape[2]):
            for run in range(lanes):
                A[b, j, k, run] = fma(keep, A[b, j, k, run], -(push[k, run] * xi[b, j, run]))


@part
def norm_of_rest(degrees, d, c, xi, b, j, ticket, norm, lanes):
    """Turn one standard normal a run, xi[b, j] (lanes,), into the norm of `degrees` of them, exactly in law; -1 where that fails.

    Marsaglia and Tsang (2000): with d = degrees/2 - 1/3, c = 1/sqrt(9 d) and t = (1 + c x)^3, 2 d t is a chi-squared variate
    if a uniform `ticket` is below exp(x^2/2 + d (1 - t + ln t)), and nearly always the bound 1 - 0.0331 x^4 suffices.
    """
    for run in range(lanes):
        x = xi[b, j, run]
        if degrees == 1:
            norm[run] = abs(x)
        else:
            root = fma(c, x, 1.0)
            square = x * x
            accepted = root > 0.0 and ticket[run] < 1.0 - 0.0331 * square * square
            norm[run] = np.sqrt(2.0 * d * abs(root) * root * root) if accepted else -1.0


@kernel
def norm_of_rest_slowly(rng, d, c, x, u):
    """The same for one run by the exact bound, beginning with the trial (x, u) that the quick one did not accept."""
    while True:
        root = 1.0 + c * x
        if root > 0.0:
            cube = root * root * root
            if np.log(u) < 0.5 * x * x + d * (1.0 - cube + np.log(cube)):
                return np.sqrt(2.0 * d * cube)
        x, u = rng.standard_normal(), rng.random()


@kernel
def rotate(A, P, work, lanes):
    """Rotate the rows P.. of A (rows, K, runs) so that only the first K of them are non-zero.

    One Householder reflection a unit, which leaves the unit no coordinate beyond its own: orthogonal to rounding, whether or
    not units align. The units before it have no coordinates left there, and are not moved.
    """
    rows, K, _ = A.shape
    w, product, scale = work[:rows], work[rows : rows + K], work[rows + K]
    for k in range(K):
        first = P + k
        scale[:] = 0.0
        for j in range(first + 1, rows):
            for run in range(lanes):
                w[j, run] = A[j, k, run]
                scale[run] = fma(w[j, run], w[j, run], scale[run])
                A[j, k, run] = 0.0
        for run in range(lanes):
            head, tail = A[first, k, run], scale[run]
            norm = np.sqrt(fma(head, head, tail))
            # Reflection I - w w' / h with w = column + sign(head) norm e_first: no cancellation. Nothing to do without a tail.
            pivot = head + norm if head >= 0.0 else head - norm
            w[first, run] = pivot
            scale[run] = 2.0 / fma(pivot, pivot, tail) if tail > 0.0 else 0.0
            if tail > 0.0:
                A[first, k, run] = -norm if head >= 0.0 else norm
        product[:] = 0.0
        for j in range(first, rows):
            for m in range(k + 1, K):
                for run in range(lanes):
                    product[m, run] = fma(A[j, m, run], w[j, run], product[m, run])
        for m in range(k + 1, K):
            for run in range(lanes):
                product[m, run] *= scale[run]
        for j in range(first, rows):
            for m in range(k + 1, K):
                for run in range(lanes):
                    A[j, m, run] = fma(-product[m, run], w[j, run], A[j, m, run])
