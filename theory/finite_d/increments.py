"""Weighted sums over examples of one step's increments: what drift and noise of a stretch are made of.

With weights W_ci of examples i of the components c of a level, and d, d2 of `step.py` but for the decay,

    sum_ci W_ci d_ci :   Q^b_kl  - eta sum W (F_k lambda^b_l + F_l lambda^b_k) + eta^2 phi_b s_b^2 sum W F_k F_l
                         M^b_kp  - eta sum W F_k nu^b_p,           v_k  - eta_v sum W e g(lambda_k)

is a few products of matrices: no increment of a single example is ever written down.
"""

from typing import NamedTuple

import numpy as np

from curriculode.theory.core.compiled import part
from curriculode.theory.core.linear_algebra import outer_product
from curriculode.theory.finite_d.step import Law, Room, answer


class Laws(NamedTuple):
    """The examples of all levels: as `Law`; gain (levels, components, P, blocks), scale (levels, blocks), copies (levels, ...)."""

    probability: np.ndarray
    gain: np.ndarray
    scale: np.ndarray
    labels: tuple
    fractions: np.ndarray
    T: np.ndarray
    copies: np.ndarray


class Bench(NamedTuple):
    """What sums are computed in: a room, and for weighted F (K, rows), F F' and F lambda' (K, K), F nu' (K, P)."""

    room: Room
    weighted: np.ndarray
    square: np.ndarray
    cross: np.ndarray
    along: np.ndarray

    @classmethod
    def empty(cls, blocks: int, K: int, P: int, rows: int) -> "Bench":
        """For so many examples at once."""
        shapes = [(K, rows), (K, K), (K, K), (K, P)]
        return cls(Room.empty(blocks, K, P, 0, rows), *(np.empty(shape) for shape in shapes))


@part
def law_of(laws, level):
    """The law of one level."""
    return Law(laws.probability, laws.gain[level], laws.scale[level], laws.labels, laws.fractions, laws.T, laws.copies[level])


@part
def add_increments(z, c, factor, weights, law, activation, loss, rates, noise_terms, state, bench, total):
    """Add the sum of factor times weights (rows,) times the increments of examples z (coordinates, rows) of component c to `total`.

    The factors of the room's overlaps are those of `state`, and `centre` has seen z; fields and signals are left there.
    """
    room, weighted, square, cross, along = bench.room, bench.weighted, bench.square, bench.cross, bench.along
    blocks, K, P = state.M.shape
    answer(z, c, law, activation, loss, state.v, room)
    u, F, eg, eta = room.u, room.F, room.eg, rates.eta
    for k in range(K):
        read = 0.0
        for i in range(weights.size):
            weighted[k, i] = factor * weights[i] * F[k, i]
            read += factor * weights[i] * eg[k, i]
        total.v[k] -= rates.eta_v * read
    if noise_terms:
        outer_product(weighted, F, square)
    for b in range(blocks):
        outer_product(weighted, u[b, P:], cross)
        outer_product(weighted, u[b, :P], along)
        strength = eta * eta * law.fractions[b] * law.scale[b] * law.scale[b] if noise_terms else 0.0
        for k in range(K):
            for m in range(K):
                total.Q[b, k, m] -= eta * (cross[k, m] + cross[m, k])
                if noise_terms:
                    total.Q[b, k, m] += strength * square[k, m]
            for p in range(P):
                total.M[b, k, p] -= eta * along[k, p]


@part
def add_push(share, z, c, law, room, push):
    """Add `share` times the mean of F xi' over the examples z of component c to `push` (blocks, K, coordinates)."""
    F, L = room.F, room.L
    blocks, K, n = push.shape
    P = n - K
    for b in range(blocks):
        for j in range(n):
            mean = 0.0
            for p in range(P):
                mean += law.gain[c, p, b] * L[b, p, j]
            for k in range(K):
                total = 0.0
                for i in range(F.shape[1]):
                    total += F[k, i] * (mean + law.scale[b] * z[b * n + j, i])
                push[b, k, j] += share * total / F.shape[1]


@part
def add_second(share, rates, bench, second):
    """Add `share` times the mean of d2 of Q over the examples that `add_increments` left in the room, but for its decay."""
    room, weighted, square, cross = bench.room, bench.weighted, bench.square, bench.cross
    u, F, size = room.u, room.F, room.size
    P = u.shape[1] - F.shape[0]
    share = share * rates.eta * rates.eta / F.shape[1]
    for b in range(size.shape[0]):
        for k in range(F.shape[0]):
            for i in range(F.shape[1]):
                weighted[k, i] = size[b, i] * F[k, i]
        outer_product(weighted, F, square)
        for k in range(F.shape[0]):
            for m in range(F.shape[0]):
                second[b, k, m] += share * square[k, m]
        if rates.kappa > 0.0:
            outer_product(F, u[b, P:], cross)
            for k in range(F.shape[0]):
                for m in range(F.shape[0]):
                    second[b, k, m] += share * rates.kappa * (cross[k, m] + cross[m, k])
