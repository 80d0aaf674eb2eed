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

from dataclasses import dataclass
from typing import Any

import numpy as np

from curriculode.theory.averages import Engine, FieldAverages, FieldLaw, choose
from curriculode.theory.averages.erf_closed_form import ErfClosedForm, erf_first_order, erf_noise_term, label_offset
from curriculode.theory.averages.field_averages import field_law
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.training import OnlineSGD
from curriculode.theory.dynamics.packing import pack, state_size, unpack
from curriculode.theory.tasks import ExampleLaw
from curriculode.theory.units.activations import Activation


@dataclass(frozen=True)
class System:
    """The constants of the equations of an experiment: blocks, references, rates, and the law of each level."""

    fractions: np.ndarray  # phi_b, (blocks,)
    T: np.ndarray  # (blocks, P, P)
    laws: tuple[ExampleLaw, ...]  # of each level
    width: int
    eta: float
    eta_v: float
    kappa: float
    readout_trained: bool
    activation: Activation
    loss: str

    @classmethod
    def of(cls, experiment: Experiment) -> "System":
        """The system of an experiment; raises `InputError` unless it learns online."""
        training = experiment.training
        if not isinstance(training, OnlineSGD):
            raise InputError(
                f'training.kind = "{training.kind}" has no online dynamics; use state_evolution for its theory and minimize for '
                "its simulation"
            )
        return cls(
            fractions=experiment.task.block_fractions(),
            T=np.ascontiguousarray(experiment.task.reference_overlap()),
            laws=tuple(experiment.task.example_law(level) for level in experiment.protocol.levels),
            width=experiment.student.width,
            eta=training.learning_rate,
            eta_v=training.eta_v,
            kappa=training.weight_decay,
            readout_trained=experiment.student.readout == "trained",
            activation=experiment.student.g,
            loss=training.loss,
        )

    def engine(self, way: str, points: int, scrambling: int, noise_terms: bool = True) -> Engine:
        """The averages of these equations, `way` as for `integrate`."""
        law = FieldLaw(self.laws[-1], self.width, self.T)
        return choose(way, self.activation, self.loss, law, self.width, points, scrambling, noise_terms)

    @property
    def fields(self) -> int:
        """Number of fields that an average runs over: the student's, and the references' where labels depend on them."""
        return self.width + (self.T.shape[1] if self.laws[-1].teacher.exists else 0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(blocks, K, P)."""
        return self.T.shape[0], self.width, self.T.shape[1]


class RightHandSide:
    """dy/dt of the packed state y in a stage whose levels have the given `probability` (levels,).

    Averages without noise terms drop the eta^2 term: the limit of small learning rates, gradient flow on the population loss.
    """

    def __init__(
        self,
        system: System,
        averages: Engine,
        probability: np.ndarray,
        v: np.ndarray,
    ) -> None:
        self.system, self.engine = system, averages
        self.levels = [
            (float(p), FieldLaw(law, system.width, system.T)) for p, law in zip(probability, system.laws, strict=True) if p > 0
        ]
        blocks, K, P = system.shape
        self._Q, self._M, self._v = np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.array(v)
        self._derivatives = np.empty((blocks, K, K)), np.empty((blocks, K, P)), np.empty(K)
        self._rates = system.eta * system.kappa, system.eta_v * system.kappa
        self._work = np.empty((K, K)), np.empty((K, P))
        self._averages = [FieldAverages.empty(law.example.probability.size, K, P) for _, law in self.levels]
        self.size = state_size(blocks, K, P, system.readout_trained)
        self.evaluations = 0
        self._whole = self._erf_arguments() if isinstance(averages.first, ErfClosedForm) and averages.exact else None

    def _erf_arguments(self) -> tuple[Any, ...]:
        """What `erf_right_hand_side` is called with: one call in place of many, which for small committees are most of the cost."""
        system, (_, law), averages = self.system, self.levels[0], self._averages[0]
        teacher = law.example.teacher
        return (
            np.array([p for p, _ in self.levels]), np.array([each.example.scale for _, each in self.levels]), law.example.gain,
            system.T, system.fractions, teacher.readout, label_offset(law.example), teacher.noise, system.eta, system.eta_v,
            *self._rates, self.engine.noise_terms, self._Q, self._M, self._v, *self._derivatives, law.mean, law.covariance,
            averages.force, averages.student, averages.reference, averages.square, averages.readout,
            np.empty((6, law.covariance.shape[0])), *self._work,
        )  # fmt: skip

    def __call__(self, t: float, y: np.ndarray) -> np.ndarray:
        """Derivative of the state y (n,) at time t."""
        system = self.system
        dy = np.empty(self.size)
        self.evaluations += 1
        if self._whole is not None:
            erf_right_hand_side(np.ascontiguousarray(y), *self._whole, dy)
            return dy
        # Implicit methods hand over strided columns.
        begin(np.ascontiguousarray(y), self._Q, self._M, self._v, *self._derivatives)
        for (probability, law), averages in zip(self.levels, self._averages, strict=True):
            law.update(self._Q, self._M)
            self.engine.averages(law, self._v, averages)
            add_level(
                probability, system.eta, system.eta_v, self.engine.noise_terms, law.example.gain, law.example.scale,
                system.fractions, system.T, self._Q, self._M,
                averages.force, averages.student, averages.reference, averages.square, averages.readout,
                *self._derivatives, *self._work,
            )  # fmt: skip
        finish(*self._rates, self._Q, self._M, self._v, *self._derivatives, dy)
        return dy


@kernel
def begin(y, Q, M, v, dQ, dM, dv):
    """Read the state vector y into Q, M, v, and start derivatives from zero."""
    unpack(y, Q, M, v)
    dQ[:] = 0.0
    dM[:] = 0.0
    dv[:] = 0.0


@kernel
def finish(rate, rate_v, Q, M, v, dQ, dM, dv, dy):
    """Add the weight decay and write the derivative of the state vector into dy."""
    add_decay(rate, rate_v, Q, M, v, dQ, dM, dv)
    pack(dQ, dM, dv, dy)


@kernel
def erf_right_hand_side(
    y, probability, scale, gain, T, fractions, A, offset, label_noise, eta, eta_v, rate, rate_v, noise_terms, Q, M, v, dQ, dM, dv,
    mean, C, force, student, reference, square, readout, work, work_Q, work_M, dy,
):  # fmt: skip
    """All of the right-hand side of an erf student of an erf or sign teacher; probability (levels,), scale (levels, blocks)."""
    begin(y, Q, M, v, dQ, dM, dv)
    P = A.size
    for level in range(probability.size):
        C[:P, :P] = 0.0
        for b in range(T.shape[0]):
            C[:P, :P] += scale[level, b] * scale[level, b] * T[b]
        field_law(gain, scale[level], Q, M, mean, C, P)
        erf_first_order(C, A, offset, v, student, reference, readout)
        if noise_terms:
            erf_noise_term(C, A, offset, label_noise, v, work, square)
        add_level(
            probability[level], eta, eta_v, noise_terms, gain, scale[level], fractions, T, Q, M,
            force, student, reference, square, readout, dQ, dM, dv, work_Q, work_M,
        )  # fmt: skip
    finish(rate, rate_v, Q, M, v, dQ, dM, dv, dy)


@kernel
def add_level(
    probability, eta, eta_v, noise_terms, gain, scale, fractions, T, Q, M,
    force, student, reference, square, readout, dQ, dM, dv, work_Q, work_M,
):  # fmt: skip
    """Add what one level, met with `probability`, contributes to dQ (blocks, K, K), dM (blocks, K, P) and dv (K,)."""
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
        noise = probability * eta * eta * fractions[b] * variance if noise_terms else 0.0
        for k in range(K):
            for m in range(K):
                dQ[b, k, m] += noise * square[k, m] - probability * eta * (work_Q[k, m] + work_Q[m, k])
            for p in range(references):
                dM[b, k, p] -= probability * eta * work_M[k, p]
    for k in range(K):
        dv[k] -= probability * eta_v * readout[k]


@kernel
def add_decay(rate, rate_v, Q, M, v, dQ, dM, dv):
    """Add the weight decay: -2 eta kappa Q, -eta kappa M, -eta_v kappa v."""
    for b in range(Q.shape[0]):
        for k in range(Q.shape[1]):
            for m in range(Q.shape[2]):
                dQ[b, k, m] -= 2.0 * rate * Q[b, k, m]
            for p in range(M.shape[2]):
                dM[b, k, p] -= rate * M[b, k, p]
    for k in range(v.size):
        dv[k] -= rate_v * v[k]
