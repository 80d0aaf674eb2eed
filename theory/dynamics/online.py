"""The right-hand side of the order parameters' equations, for every task, loss, activation and number of blocks.

With F_k = e v_k g'(lambda_k) and E over the levels of the stage, the components and the fields:

    dM^b_kp/dt = - eta E[F_k nu^b_p] - eta kappa M^b_kp
    dQ^b_kl/dt = - eta (E[F_k lambda^b_l] + E[F_l lambda^b_k]) + eta^2 phi_b E[s_b^2 F_k F_l] - 2 eta kappa Q^b_kl
    dv_k/dt    = - eta_v E[e g(lambda_k)] - eta_v kappa v_k

Stein's lemma gives each E[F_k u] of a block field u in component c from averages that know no blocks:

    E[F_k u] = E[F_k] E[u] + sum_i Cov(u, lambda_i) E[dF_k/dlambda_i] + sum_p Cov(u, nu_p) E[dF_k/dnu_p],

with Cov(lambda^b_l, lambda_i) = s_b^2 Q^b_li and so on; the last sum is there where the label depends on the reference fields.

(Saad & Solla 1995, PRE 52, 4225; with means: Refinetti et al. 2021, arXiv 2102.11742.)
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from curriculode.theory.averages import Engine, FieldAverages
from curriculode.theory.averages.erf_closed_form import ErfClosedForm, erf_first_order, erf_noise_term, label_offset
from curriculode.theory.averages.field_averages import field_law
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.core.linear_algebra import gram_spectrum, surely_physical
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.perturbation import Perturbation
from curriculode.theory.describe.training import Rates
from curriculode.theory.dynamics.interface import Dynamics, Stretch
from curriculode.theory.dynamics.packing import pack, state_names, state_size, unpack, unpack_all
from curriculode.theory.dynamics.perturbing import perturbed_overlaps
from curriculode.theory.dynamics.setting import Setting

# An integrator may leave the physical states by what its errors add up to, and rounding by more where they are singular.
_ROUNDING, _ACCUMULATED = 1e-6, 10.0


class State(NamedTuple):
    """Q (blocks, K, K), M (blocks, K, P), v (K,): a state, or its derivative."""

    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray


class LevelLaw(NamedTuple):
    """What the equations need of a level beside its averages: its probability, gain (components, P, blocks), scale (blocks,)."""

    probability: float
    gain: np.ndarray
    scale: np.ndarray


class Inputs(NamedTuple):
    """phi_b (blocks,) and T (blocks, P, P)."""

    fractions: np.ndarray
    T: np.ndarray


class Scratch(NamedTuple):
    """Room for sums: Q (K, K), M (K, P)."""

    Q: np.ndarray
    M: np.ndarray


class OnlineLearning(Dynamics):
    """The equations of online learning in a stage whose levels have the given `probability` (levels,), at its `rates`.

    units : numbers of the units in the names of the state;  v : the readout, which the state holds where it is trained
    Averages without noise terms drop the eta^2 term: the limit of small learning rates, gradient flow on the population loss.
    """

    def __init__(
        self, setting: Setting, averages: Engine, probability: np.ndarray, rates: Rates, v: np.ndarray, units: Any = None
    ) -> None:
        self.setting, self.engine, self.rates = setting, averages, rates
        blocks, K, P = setting.shape
        self.names = state_names(blocks, range(K) if units is None else [int(k) for k in units], P, setting.readout_trained)
        met = [level for level, p in enumerate(probability) if p > 0]
        self._laws = [setting.field_law(level) for level in met]
        self._levels = [LevelLaw(float(probability[level]), setting.laws[level].gain, setting.laws[level].scale) for level in met]
        self._inputs = Inputs(setting.blocks.fractions, setting.blocks.T)
        self._state = State(np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.array(v, dtype=float))
        self._derivative = State(np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.empty(K))
        self._scratch = Scratch(np.empty((K, K)), np.empty((K, P)))
        self._averages = [FieldAverages.empty(law.example.probability.size, K, P) for law in self._laws]
        self.size = state_size(blocks, K, P, setting.readout_trained)
        self._whole = self.erf_arguments() if isinstance(averages.first, ErfClosedForm) and averages.exact else None

    def erf_arguments(self) -> tuple[Any, ...]:
        """What `erf_right_hand_side` is called with: one array of numbers, since reading arguments costs most."""
        law, levels = self._laws[0], self._levels
        teacher, (blocks, K, P) = law.example.teacher, self.setting.shape
        parts: list[Any] = [
            *([level.probability for level in levels], [level.scale for level in levels], law.example.gain, *self._inputs),
            *(teacher.readout, [label_offset(law.example), teacher.noise], self.rates, self._state.v),
        ]
        numbers = np.concatenate([np.ravel(part) for part in parts])
        self.numbers_given = numbers.size  # the last of them, probabilities of the levels first
        room = np.zeros(_erf_room(blocks, K, P, law.example.gain.shape[0]))
        return np.concatenate([room, numbers]), len(levels), blocks, K, P, law.example.gain.shape[0], self.engine.noise_terms

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of the state y (n,) at time t."""
        self.evaluations += 1
        dy = np.empty(self.size)
        if not y.flags.c_contiguous:
            y = np.ascontiguousarray(y)  # implicit methods hand over strided columns
        if self._whole is not None:
            erf_right_hand_side(y, *self._whole, dy)
            return dy
        begin(y, self._state, self._derivative)
        for level, law, averages in zip(self._levels, self._laws, self._averages, strict=True):
            law.update(self._state.Q, self._state.M)
            self.engine.averages(law, self._state.v, averages)
            add_level(
                level, self.rates, self.engine.noise_terms, self._inputs, self._state, averages, self._derivative, self._scratch
            )
        finish(self.rates, self._state, self._derivative, dy)
        return dy

    def unpacked(self, states: np.ndarray) -> State:
        """Q (times, blocks, K, K), M (times, blocks, K, P), v (times, K) of states (times, n)."""
        blocks, K, P = self.setting.shape
        n = len(states)
        result = State(np.empty((n, blocks, K, K)), np.empty((n, blocks, K, P)), np.tile(self._state.v, (n, 1)))
        if n:
            unpack_all(np.ascontiguousarray(states), *result)
        return result

    def observe(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """The order parameters of states (times, n): "Q", "M", "v", times first, always with the block axis."""
        return self.unpacked(states)._asdict()

    def perturbed(self, y: np.ndarray, perturbation: Perturbation) -> np.ndarray:
        """The state after a perturbation of the weights."""
        Q, M, v = (part[0] for part in self.unpacked(y[None]))
        blocks = self.setting.blocks
        Q, M, _ = perturbed_overlaps(Q, M, blocks.T, blocks.fractions, self.setting.weight_scale, perturbation)
        after = np.empty(self.size)
        pack(Q, M, v, after)
        return after

    def unphysical(self, states: np.ndarray, tolerance: float) -> tuple[int, str] | None:
        """The first state whose overlaps [[T, M'], [M, Q]] are no covariance in some block."""
        Q, M, _ = self.unpacked(states)
        return unphysical_overlaps(Q, M, self.setting.blocks.T, tolerance)


def unphysical_overlaps(Q: np.ndarray, M: np.ndarray, T: np.ndarray, tolerance: float) -> tuple[int, str] | None:
    """The first of the times whose overlaps [[T, M'], [M, Q]] are no covariance in some block, and why; None where all are.

    Q : (times, blocks, K, K), M : (times, blocks, K, P), T : (blocks, P, P);  tolerance : of the integrator
    """
    allowed = max(_ROUNDING, _ACCUMULATED * tolerance)
    worst: tuple[int, str] | None = None
    for b in range(Q.shape[1]):
        # A diverged state has no spectrum; it is told as such.
        if surely_physical(Q[:, b], M[:, b], T[b], allowed):
            continue
        finite = np.flatnonzero(np.isfinite(Q[:, b]).all(axis=(1, 2)) & np.isfinite(M[:, b]).all(axis=(1, 2)))
        lowest, scale = gram_spectrum(Q[finite, b], M[finite, b], T[b])
        bad = np.flatnonzero(lowest < -allowed * scale)
        if bad.size and (worst is None or finite[bad[0]] < worst[0]):
            worst = int(finite[bad[0]]), f"the overlaps of block {b} have the negative eigenvalue {lowest[bad[0]]:.3g}"
    return worst


def packed(setting: Setting, start: OrderParameters) -> np.ndarray:
    """The state vector of a start."""
    y = np.empty(state_size(*setting.shape, setting.readout_trained))
    pack(*(np.array(part, order="C") for part in start.blocked()), y)  # one layout: one compilation
    return y


def online_stretches(setting: Setting, averages: Engine, start: OrderParameters, units: Any = None) -> list[Stretch]:
    """The stages of a setting as the integrator takes them."""
    stretches = []
    for stage in setting.stages:
        dynamics = OnlineLearning(setting, averages, stage.probability, stage.rates, start.v, units)
        event = None if stage.perturbation is None else partial(dynamics.perturbed, perturbation=stage.perturbation)
        stretches.append(Stretch(stage.start, stage.end, dynamics, event))
    return stretches


@kernel
def begin(y, state, derivative):
    """Read the state vector y into `state`, and start the derivative from zero."""
    unpack(y, state.Q, state.M, state.v)
    derivative.Q[:] = 0.0
    derivative.M[:] = 0.0
    derivative.v[:] = 0.0


@kernel
def finish(rates, state, derivative, dy):
    """Add the weight decay, -2 eta kappa Q, -eta kappa M, -eta_v kappa v, and write the derivative into dy."""
    rate, rate_v = rates.eta * rates.kappa, rates.eta_v * rates.kappa
    Q, M, v = state.Q, state.M, state.v
    for b in range(Q.shape[0]):
        for k in range(Q.shape[1]):
            for m in range(Q.shape[2]):
                derivative.Q[b, k, m] -= 2.0 * rate * Q[b, k, m]
            for p in range(M.shape[2]):
                derivative.M[b, k, p] -= rate * M[b, k, p]
    for k in range(v.size):
        derivative.v[k] -= rate_v * v[k]
    pack(derivative.Q, derivative.M, derivative.v, dy)


def _erf_room(blocks: int, K: int, P: int, components: int) -> int:
    """How many numbers `erf_right_hand_side` works in."""
    state, n = blocks * K * (K + P) + K, P + K
    return 2 * state + components * K + n * n + (components * K + 2 * K * K + K * P + K) + 6 * n + K * (K + P)


@inner
def _next(numbers, at, size):
    """The next `size` numbers, and where they end."""
    return numbers[at : at + size], at + size


@kernel
def erf_right_hand_side(y, numbers, levels, blocks, K, P, components, noise_terms, dy):
    """All of the right-hand side of an erf student of an erf or sign teacher.

    numbers : room for what is computed, of `_erf_room`, then probability (levels,), scale (levels, blocks), gain (components, P,
    blocks), fractions (blocks,), T (blocks, P, P), A (P,), offset and label noise, the rates, v (K,)
    """
    n = P + K
    dQ, at = _next(numbers, 0, blocks * K * K)
    dM, at = _next(numbers, at, blocks * K * P)
    dv, at = _next(numbers, at, K)
    Q, at = _next(numbers, at, blocks * K * K)
    M, at = _next(numbers, at, blocks * K * P)
    mean, at = _next(numbers, at, components * K)
    C, at = _next(numbers, at, n * n)
    force, at = _next(numbers, at, components * K)
    student, at = _next(numbers, at, K * K)
    reference, at = _next(numbers, at, K * P)
    square, at = _next(numbers, at, K * K)
    readout, at = _next(numbers, at, K)
    work, at = _next(numbers, at, 6 * n)
    work_Q, at = _next(numbers, at, K * K)
    work_M, at = _next(numbers, at, K * P)
    at += K
    probability, at = _next(numbers, at, levels)
    scales, at = _next(numbers, at, levels * blocks)
    gains, at = _next(numbers, at, components * P * blocks)
    fractions, at = _next(numbers, at, blocks)
    references, at = _next(numbers, at, blocks * P * P)
    A, at = _next(numbers, at, P)
    offset, label_noise = numbers[at], numbers[at + 1]
    rates = Rates(numbers[at + 2], numbers[at + 3], numbers[at + 4])
    v = numbers[at + 5 :]
    state = State(Q.reshape(blocks, K, K), M.reshape(blocks, K, P), v)
    derivative = State(dQ.reshape(blocks, K, K), dM.reshape(blocks, K, P), dv)
    averages = FieldAverages(
        force.reshape(components, K), student.reshape(K, K), reference.reshape(K, P), square.reshape(K, K), readout
    )
    inputs, scratch = Inputs(fractions, references.reshape(blocks, P, P)), Scratch(work_Q.reshape(K, K), work_M.reshape(K, P))
    T, gain, scale, covariance = inputs.T, gains.reshape(components, P, blocks), scales.reshape(levels, blocks), C.reshape(n, n)
    begin(y, state, derivative)
    for level in range(levels):
        covariance[:P, :P] = 0.0
        for b in range(blocks):
            covariance[:P, :P] += scale[level, b] * scale[level, b] * T[b]
        field_law(gain, scale[level], state.Q, state.M, mean.reshape(components, K), covariance, P)
        erf_first_order(covariance, A, offset, v, averages.student, averages.reference, readout)
        if noise_terms:
            erf_noise_term(covariance, A, offset, label_noise, v, work.reshape(6, n), averages.square)
        add_level(
            LevelLaw(probability[level], gain, scale[level]), rates, noise_terms, inputs, state, averages, derivative, scratch
        )
    finish(rates, state, derivative, dy)


@kernel
def add_level(level, rates, noise_terms, inputs, state, averages, derivative, scratch):
    """Add what one level contributes to the derivative."""
    gain, scale, probability = level.gain, level.scale, level.probability
    force, student, reference, square = averages.force, averages.student, averages.reference, averages.square
    Q, M, T = state.Q, state.M, inputs.T
    dQ, dM, dv = derivative.Q, derivative.M, derivative.v
    work_Q, work_M, eta = scratch.Q, scratch.M, rates.eta
    components, references, blocks = gain.shape
    K = M.shape[1]
    for b in range(blocks):
        variance = scale[b] * scale[b]
        # sum_i E[dF_k/dlambda_i] Q_il  and  ... M_ip
        np.dot(student, Q[b], work_Q)
        np.dot(student, M[b], work_M)
        # ... and those of the references, sum_p E[dF_k/dnu_p] M_lp  and  ... T_pq
        for k in range(K):
            for m in range(K):
                for p in range(references):
                    work_Q[k, m] += reference[k, p] * M[b, m, p]
                work_Q[k, m] *= variance
            for q in range(references):
                for p in range(references):
                    work_M[k, q] += reference[k, p] * T[b, p, q]
                work_M[k, q] *= variance
        for c in range(components):
            for k in range(K):
                for p in range(references):
                    if gain[c, p, b] != 0.0:
                        for m in range(K):
                            work_Q[k, m] += force[c, k] * gain[c, p, b] * M[b, m, p]
                        for q in range(references):
                            work_M[k, q] += force[c, k] * gain[c, p, b] * T[b, p, q]
        noise = probability * eta * eta * inputs.fractions[b] * variance if noise_terms else 0.0
        for k in range(K):
            for m in range(K):
                dQ[b, k, m] += noise * square[k, m] - probability * eta * (work_Q[k, m] + work_Q[m, k])
            for p in range(references):
                dM[b, k, p] -= probability * eta * work_M[k, p]
    for k in range(K):
        dv[k] -= probability * rates.eta_v * averages.readout[k]
