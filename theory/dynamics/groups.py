"""Training of coordinates in groups: those of one block that the same units keep, and what rides along with them.

Let Pi = diag(m) be the pattern of units that keep a coordinate, phi_g the share of the coordinates in group g, and T^g, M^g, Q^g
the overlaps over them. Fields see the sums over the groups of a block, and with the coefficients of one weight (`coefficients.py`)

    dM^g/dt = Pi [ - A_b M^g - G_b T^g ]
    dQ^g/dt = Pi [ - (A_b Q^g + G_b M^g') - (A_b Q^g + G_b M^g')' + phi_g N_b ] Pi

Passengers are further columns of M^g: with a fixed vector x whose overlaps are Y = u . x / D, C = w . x / D obeys
dC/dt = Pi (- A C - G Y). So are the transports of a coordinate from the start s, w(t) = R w(s) + S u + xi, xi ~ N(0, Xi):

    dR/dt = - Pi A R,   dS/dt = - Pi (A S + G),   dXi/dt = Pi (- A Xi - Xi A' + N) Pi;    R(s) = Pi, S(s) = Xi(s) = 0

Only the entries of kept units are stored, so that a group of n units costs O(n^2 (n + P)), however wide the student is.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from curriculode.theory.averages import Engine
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.coefficients import CoefficientLaw
from curriculode.theory.dynamics.interface import Dynamics
from curriculode.theory.dynamics.online import unphysical_overlaps
from curriculode.theory.dynamics.setting import Setting


@dataclass(frozen=True)
class Groups:
    """Coordinates in groups, G of them.

    block : (G,) of int;  pattern : (G, K) of bool, the units that keep the coordinates;  share : (G,) of all coordinates
    T : (G, P, P), M : (G, K, P), Q : (G, K, K) overlaps over the group, zero where a unit is masked
    riders : (G, K, c) overlaps with passengers;  drive : (G, P, c) those of the references with them
    """

    block: np.ndarray
    pattern: np.ndarray
    share: np.ndarray
    T: np.ndarray
    M: np.ndarray
    Q: np.ndarray
    riders: np.ndarray
    drive: np.ndarray

    def __post_init__(self) -> None:
        G, K = self.pattern.shape
        P, c = self.T.shape[-1], self.riders.shape[-1]
        shapes = {"block": (G,), "share": (G,), "T": (G, P, P), "M": (G, K, P), "Q": (G, K, K), "riders": (G, K, c)}
        for name, shape in {**shapes, "drive": (G, P, c)}.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"groups with {name} of shape {getattr(self, name).shape} are not allowed; it must be {shape}")

    @classmethod
    def whole(cls, setting: Setting, start: OrderParameters) -> "Groups":
        """All coordinates of each block in one group, nothing masked."""
        Q, M, _ = start.blocked()
        blocks, K, P = setting.shape
        empty = np.zeros((blocks, K, 0)), np.zeros((blocks, P, 0))
        fractions, T = setting.blocks.fractions, setting.blocks.T
        return cls(np.arange(blocks), np.ones((blocks, K), bool), fractions.copy(), T.copy(), M.copy(), Q.copy(), *empty)

    def summed(self, blocks: int) -> tuple[np.ndarray, np.ndarray]:
        """Q (blocks, K, K) and M (blocks, K, P) of all coordinates."""
        Q, M = np.zeros((blocks, *self.Q.shape[1:])), np.zeros((blocks, *self.M.shape[1:]))
        np.add.at(Q, self.block, self.Q)
        np.add.at(M, self.block, self.M)
        return Q, M

    def with_riders(self, riders: np.ndarray, drive: np.ndarray) -> "Groups":
        """The same with further passengers, riders (G, K, c) and drive (G, P, c)."""
        parts = {name: getattr(self, name) for name in ("block", "pattern", "share", "T", "M", "Q")}
        return Groups(
            **parts,
            riders=np.concatenate([self.riders, riders], axis=2),
            drive=np.concatenate([self.drive, drive], axis=2),
        )


class Layout(NamedTuple):
    """Where the groups lie in the state, as kernels take it.

    block, offset : (G,) and (G + 1,);  units, first : kept units of all groups, and (G + 1,) where each group's begin
    share : (G,);  drive : (G, P, P + c) of the columns M and the passengers;  transports : whether R, S, Xi follow
    """

    block: np.ndarray
    offset: np.ndarray
    units: np.ndarray
    first: np.ndarray
    share: np.ndarray
    drive: np.ndarray
    transports: bool


class Room(NamedTuple):
    """Room for a group: three matrices (K, K)."""

    Q: np.ndarray
    A: np.ndarray
    B: np.ndarray


class GroupLearning(Dynamics):
    """Training of `groups` in a stage.

    The state holds of each group the upper triangle of Q, the columns [M, passengers, R, S] of its kept units, the upper triangle
    of Xi (R, S and Xi only with `transports`); and v at the end, where it is trained. Units in no group have dropped out: v = 0.
    """

    def __init__(
        self,
        setting: Setting,
        averages: Engine,
        probability: np.ndarray,
        rates: Rates,
        groups: Groups,
        v: np.ndarray,
        transports: bool,
    ) -> None:
        self.setting, self.law = setting, CoefficientLaw(setting, averages, probability, rates)
        blocks, K, P = setting.shape
        self.layout = layout(groups, transports)
        self.alive = groups.pattern.any(axis=0)
        self.trained, self._v = setting.readout_trained, np.where(self.alive, v, 0.0)
        size = int(self.layout.offset[-1])
        self.size = size + (K if self.trained else 0)
        self._Q, self._M = np.empty((blocks, K, K)), np.empty((blocks, K, P))
        self._room = Room(*(np.empty((K, K)) for _ in Room._fields))
        group = np.repeat(np.arange(groups.block.size), np.diff(self.layout.offset))
        self.names = (*(f"an overlap of group {g}" for g in group), *(f"v[{k}]" for k in range(self.size - size)))

    def packed(self, groups: Groups, v: np.ndarray) -> np.ndarray:
        """The state of `groups` (of the same patterns) and v, at which the transports begin."""
        y = np.zeros(self.size)
        columns = np.concatenate([groups.M, groups.riders], axis=2)
        pack_groups(np.ascontiguousarray(groups.Q), np.ascontiguousarray(columns), self.layout, groups.T.shape[-1], y)
        if self.trained:
            y[-v.size :] = np.where(self.alive, v, 0.0)
        return y

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of the state y (n,) at time t."""
        self.evaluations += 1
        if not y.flags.c_contiguous:
            y = np.ascontiguousarray(y)
        dy, v = np.empty(self.size), self._readout(y)
        sum_groups(y, self.layout, self._Q, self._M)
        found = self.law.at(self._Q, self._M, v)
        group_rates(y, self.layout, found.A, found.G, found.N, self._room, dy)
        if self.trained:
            dy[-v.size :] = np.where(self.alive, found.dv, 0.0)
        return dy

    def _readout(self, y: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(y[-self._v.size :]) if self.trained else self._v

    def sums(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Q (times, blocks, K, K), M (times, blocks, K, P), v (times, K), riders (times, blocks, K, c) summed over groups."""
        n, (blocks, K, P) = len(states), self.setting.shape
        c = self.layout.drive.shape[-1] - P
        Q, M, v = np.empty((n, blocks, K, K)), np.empty((n, blocks, K, P)), np.empty((n, K))
        riders = np.empty((n, blocks, K, c))
        for i, y in enumerate(states):
            y = np.ascontiguousarray(y)
            sum_groups(y, self.layout, Q[i], M[i])
            sum_riders(y, self.layout, P, riders[i])
            v[i] = self._readout(y)
        return {"Q": Q, "M": M, "v": v, "riders": riders}

    def observe(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """The order parameters of states (times, n), summed over groups."""
        return {name: value for name, value in self.sums(states).items() if name != "riders"}

    def unphysical(self, states: np.ndarray, tolerance: float) -> tuple[int, str] | None:
        """The first state whose overlaps [[T, M'], [M, Q]] are no covariance in some block."""
        found = self.sums(states)
        return unphysical_overlaps(found["Q"], found["M"], self.setting.blocks.T, tolerance)

    def unpacked(self, y: np.ndarray, groups: Groups) -> tuple[Groups, np.ndarray, dict[str, np.ndarray]]:
        """The groups and v of a state, and the transports R (G, K, K), S (G, K, P), Xi (G, K, K) where they are integrated."""
        G, K = groups.pattern.shape
        P, c = groups.T.shape[-1], groups.riders.shape[-1]
        Q, columns = np.zeros((G, K, K)), np.zeros((G, K, P + c))
        R, S, Xi = np.zeros((G, K, K)), np.zeros((G, K, P)), np.zeros((G, K, K))
        unpack_groups(np.ascontiguousarray(y), self.layout, Q, columns, R, S, Xi)
        parts = {name: getattr(groups, name) for name in ("block", "pattern", "share", "T", "drive")}
        after = Groups(**parts, Q=Q, M=columns[:, :, :P].copy(), riders=columns[:, :, P:].copy())
        found = {"R": R, "S": S, "Xi": Xi} if self.layout.transports else {}
        return after, self._readout(y).copy(), found


def layout(groups: Groups, transports: bool) -> Layout:
    """Where groups lie in the state."""
    count = groups.pattern.sum(axis=1)
    P, c = groups.T.shape[-1], groups.riders.shape[-1]
    triangle = count * (count + 1) // 2
    sizes = triangle + count * (P + c) + ((count * (count + P) + triangle) if transports else 0)
    return Layout(
        block=groups.block.astype(np.int64),
        offset=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        units=np.nonzero(groups.pattern)[1].astype(np.int64),
        first=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        share=np.ascontiguousarray(groups.share),
        drive=np.ascontiguousarray(np.concatenate([groups.T, groups.drive], axis=2)),
        transports=transports,
    )


@kernel
def pack_groups(Q, columns, layout, P, y):
    """Write Q (G, K, K) and the columns (G, K, P + c) of the kept units into y, with R = 1 and S = Xi = 0."""
    c = columns.shape[2]
    for g in range(layout.block.size):
        units = layout.units[layout.first[g] : layout.first[g + 1]]
        n, at = units.size, layout.offset[g]
        for i in range(n):
            for j in range(i, n):
                y[at] = Q[g, units[i], units[j]]
                at += 1
        wide = c + (n + P if layout.transports else 0)
        for i in range(n):
            for j in range(c):
                y[at + i * wide + j] = columns[g, units[i], j]
            if layout.transports:
                y[at + i * wide + c + i] = 1.0


@kernel
def unpack_groups(y, layout, Q, columns, R, S, Xi):
    """The inverse of `pack_groups`, with the transports where they are there; all arrays are zero before."""
    c, P = columns.shape[2], S.shape[2]
    for g in range(layout.block.size):
        units = layout.units[layout.first[g] : layout.first[g + 1]]
        n, at = units.size, layout.offset[g]
        for i in range(n):
            for j in range(i, n):
                Q[g, units[i], units[j]] = y[at]
                Q[g, units[j], units[i]] = y[at]
                at += 1
        wide = c + (n + P if layout.transports else 0)
        for i in range(n):
            for j in range(c):
                columns[g, units[i], j] = y[at + i * wide + j]
            if layout.transports:
                for j in range(n):
                    R[g, units[i], units[j]] = y[at + i * wide + c + j]
                for p in range(P):
                    S[g, units[i], p] = y[at + i * wide + c + n + p]
        at += n * wide
        if layout.transports:
            for i in range(n):
                for j in range(i, n):
                    Xi[g, units[i], units[j]] = y[at]
                    Xi[g, units[j], units[i]] = y[at]
                    at += 1


@kernel
def sum_groups(y, layout, Q, M):
    """Q (blocks, K, K) and M (blocks, K, P) of the state y, summed over the groups of each block."""
    Q[:] = 0.0
    M[:] = 0.0
    P = M.shape[2]
    c = layout.drive.shape[2]
    for g in range(layout.block.size):
        b = layout.block[g]
        units = layout.units[layout.first[g] : layout.first[g + 1]]
        n, at = units.size, layout.offset[g]
        for i in range(n):
            for j in range(i, n):
                Q[b, units[i], units[j]] += y[at]
                if j > i:
                    Q[b, units[j], units[i]] += y[at]
                at += 1
        wide = c + (n + P if layout.transports else 0)
        for i in range(n):
            for p in range(P):
                M[b, units[i], p] += y[at + i * wide + p]


@kernel
def sum_riders(y, layout, P, riders):
    """The passengers' overlaps (blocks, K, c) of the state y, summed over the groups of each block."""
    riders[:] = 0.0
    c = layout.drive.shape[2]
    for g in range(layout.block.size):
        units = layout.units[layout.first[g] : layout.first[g + 1]]
        n = units.size
        at = layout.offset[g] + n * (n + 1) // 2
        wide = c + (n + P if layout.transports else 0)
        for i in range(n):
            for j in range(P, c):
                riders[layout.block[g], units[i], j - P] += y[at + i * wide + j]


@kernel
def group_rates(y, layout, A, G, N, room, dy):
    """The derivative of all groups, for coefficients A (blocks, K, K), G (blocks, K, P), N (blocks, K, K)."""
    P, c = G.shape[2], layout.drive.shape[2]
    Q, own, B = room
    for g in range(layout.block.size):
        b = layout.block[g]
        units = layout.units[layout.first[g] : layout.first[g + 1]]
        n, at = units.size, layout.offset[g]
        triangle = n * (n + 1) // 2
        wide = c + (n + P if layout.transports else 0)
        columns = at + triangle
        where = at
        for i in range(n):
            for j in range(n):
                own[i, j] = A[b, units[i], units[j]]
            for j in range(i, n):
                Q[i, j] = y[where]
                Q[j, i] = y[where]
                where += 1
        # A Q + G M'
        for i in range(n):
            for j in range(n):
                total = 0.0
                for k in range(n):
                    total += own[i, k] * Q[k, j]
                for p in range(P):
                    total += G[b, units[i], p] * y[columns + j * wide + p]
                B[i, j] = total
        where = at
        for i in range(n):
            for j in range(i, n):
                dy[where] = layout.share[g] * N[b, units[i], units[j]] - B[i, j] - B[j, i]
                where += 1
        # - A X - G Y, with Y the drive of M and the passengers, 0 of R, 1 of S
        for i in range(n):
            for j in range(wide):
                total = 0.0
                for k in range(n):
                    total += own[i, k] * y[columns + k * wide + j]
                if j < c:
                    for p in range(P):
                        total += G[b, units[i], p] * layout.drive[g, p, j]
                elif j >= c + n:
                    total += G[b, units[i], j - c - n]
                dy[columns + i * wide + j] = -total
        if layout.transports:
            begin = columns + n * wide
            where = begin
            for i in range(n):
                for j in range(i, n):
                    Q[i, j] = y[where]
                    Q[j, i] = y[where]
                    where += 1
            where = begin
            for i in range(n):
                for j in range(i, n):
                    total = N[b, units[i], units[j]]
                    for k in range(n):
                        total -= own[i, k] * Q[k, j] + own[j, k] * Q[k, i]
                    dy[where] = total
                    where += 1
