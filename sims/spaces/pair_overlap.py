"""Pairs of runs at finite D in overlap space: two copies of K units side by side, at a cost that does not depend on D.

The coordinates A of both copies lie in one orthonormal basis (`overlap_space.py`), so that their cross overlaps are read off as any
others. Where each copy has examples of its own a step is two: one example that moves copy 1 alone, and one that moves copy 2, each
with a new direction of its own. Where both meet the same examples a step is one, with two error signals.
"""

import numpy as np

from curriculode.sims.spaces.arithmetic import in_state, states_of
from curriculode.sims.spaces.draws import draw_component, draw_level
from curriculode.sims.spaces.learning import Answers, References, Units, learn, respond
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.overlap_space import (
    Basis,
    Coordinates,
    Drawn,
    Scratch,
    move,
    norm_of_rest,
    norm_of_rest_slowly,
    project,
    project_references,
    rotate,
    shape_example,
)
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.training import Rates
from curriculode.theory.tasks.example_law import NO_TEACHER, teacher_labels
from curriculode.theory.units.activations import evaluate

_LANES = (8, 16, 32)
Joint = tuple[np.ndarray, np.ndarray, np.ndarray]  # Q (blocks, 2K, 2K), M (blocks, 2K, P), v (2K,) of both copies


class PairOverlap:
    """Up to 32 pairs, each from exactly the joint overlaps of its start.

    same : whether both copies meet the same examples
    """

    def __init__(self, model: Model, starts: list[Joint], rngs: list[np.random.Generator], same: bool) -> None:
        self.model, self.same, self.rngs, self._states = model, same, rngs, states_of(rngs)
        lanes = next(size for size in _LANES if len(starts) <= size)
        T = model.setting.blocks.T
        blocks, K, P = model.setting.shape
        rows = P + 2 * K + 3 * K // 2 + 4
        A, self.v = np.zeros((2, blocks, rows, K, lanes)), np.zeros((2, K, lanes))
        for lane, (Q, M, v) in enumerate(starts):
            self.v[:, :, lane] = v.reshape(2, K)
            for b in range(blocks):
                joint = semidefinite_factor(np.block([[T[b], M[b].T], [M[b], Q[b]]]))[P:]
                A[:, b, : P + 2 * K, :, lane] = joint.reshape(2, K, -1).swapaxes(1, 2)
        self.coordinates = Coordinates(
            A=A, xi=np.zeros((blocks, rows, lanes)), directions=np.full(blocks, P + 2 * K), work=np.zeros((rows + 2 * K + 1, lanes))
        )
        U = np.array([semidefinite_factor(one) for one in T])
        degrees = 0.5 * np.maximum(model.sizes[:, None] - np.arange(rows), 2)
        self.basis = Basis(
            U=U,
            mean=np.ascontiguousarray(np.einsum("lcpb,bpj->lcbj", model.examples.gain, U)),
            sizes=model.sizes,
            gamma=np.stack([degrees - 1.0 / 3.0, 1.0 / np.sqrt(9.0 * (degrees - 1.0 / 3.0))], axis=-1),
        )
        self._units, self._together = Units.empty(K, lanes), np.zeros((rows, 2 * K, lanes))
        self._scratch = Scratch(Drawn.empty(lanes), Answers.empty(lanes), References.empty(P, lanes))

    @staticmethod
    def steps_a_second(model: Model) -> float:
        """How many, roughly: only to cut long stretches of steps."""
        K, P = model.setting.width, model.setting.blocks.references
        return 1.5e8 / (K * (2 * K + P) + 50)

    def advance(self, remaining: np.ndarray, steps: int, rates: Rates) -> None:
        """Take `steps` steps at these rates, of examples from the numbers of each level still `remaining`, (runs, 2, levels)."""
        m = self.model
        state = (self.basis, self.coordinates, self.v, self._units, self._together, self._scratch)
        advance_pairs(self.rngs[0], self._states, remaining, steps, self.same, m.examples, m.student, m.steps(rates), *state)

    def overlaps(self, lane: int) -> Joint:
        """Current Q (blocks, 2K, 2K), M (blocks, 2K, P), v (2K,) of both copies of a pair."""
        P, A = self.basis.U.shape[1], self.coordinates.A
        K = A.shape[3]
        joint = [A[:, b, :r, :, lane].swapaxes(0, 1).reshape(r, 2 * K) for b, r in enumerate(self.coordinates.directions)]
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged run is recorded as it is
            # Two copies: the product of an array with itself takes another way through BLAS.
            M = np.array([a[:P].T @ u.T for a, u in zip(joint, self.basis.U, strict=True)])
            return np.array([a.T @ a.copy() for a in joint]), M, self.v[:, :, lane].reshape(-1).copy()


@kernel
def advance_pairs(
    only_rng, states, remaining, count, same, examples, student, steps, basis, coordinates, readouts, units, together, scratch
):
    """`count` steps of both copies of every pair, the run last in every array."""
    both, xi, directions, work = coordinates
    _, field, g, dg, push = units
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
    _, blocks, capacity, K, lanes = both.shape
    for _ in range(count):
        for copy in range(2):
            A, v = both[copy], readouts[copy]
            if copy == 0 or not same:
                for b in range(blocks):
                    known = directions[b]
                    rows = known + 1 if known < sizes[b] else known
                    for run in range(runs):
                        rng = in_state(only_rng, states[run])
                        if b == 0:
                            level[run] = draw_level(rng, remaining[run, copy])
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
                                rng = in_state(only_rng, states[run])
                                norm[run] = norm_of_rest_slowly(rng, d, c, xi[b, known, run], ticket[run])
                        for run in range(lanes):
                            xi[b, known, run] = norm[run]
                    shape_example(xi, b, rows, s, mean, level, component, runs, lanes)
                if teacher != NO_TEACHER:
                    project_references(U, xi, nu, lanes)
                    teacher_labels(teacher, readout, sign, nu, teacher_g, teacher_dg, y)
                    if noise > 0.0:
                        for run in range(runs):
                            rng = in_state(only_rng, states[run])
                            y[run] += noise * rng.standard_normal()
            project(A, xi, directions, field, lanes)
            evaluate(activation, flat_field, flat_g, flat_dg)
            respond(v, g, f, lanes)
            learn(loss, rate, rate_v, keep_v, v, g, dg, push, f, y, e, lanes)
            for b in range(blocks):
                grows = directions[b] < sizes[b]
                # Rows not yet known are zero in both copies, so the new direction is moved like the others.
                move(A, xi, b, directions[b] + 1 if grows else directions[b], push, keep, lanes)
                if grows and (copy == 1 or not same):
                    directions[b] += 1
                    if directions[b] == capacity:
                        _rotate_both(both, b, P, together, work, lanes)
                        directions[b] = P + 2 * K


@kernel
def _rotate_both(both, b, P, together, work, lanes):
    """Rotate the rows P.. of block b of both copies together, so that only the first 2K of them are non-zero."""
    K = both.shape[3]
    for copy in range(2):
        together[:, copy * K : (copy + 1) * K] = both[copy, b]
    rotate(together, P, work, lanes)
    for copy in range(2):
        both[copy, b] = together[:, copy * K : (copy + 1) * K]
