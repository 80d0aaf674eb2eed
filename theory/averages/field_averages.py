"""What a way of averaging is given, and what it returns."""

from typing import NamedTuple

import numpy as np

from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.linear_algebra import fill
from curriculode.theory.tasks import ExampleLaw


class FieldLaw:
    """The Gaussian law of the fields lambda_k of one level, given Q and M.

    mean : (components, K)   m^c_k = sum_b sum_p a_cpb M^b_kp
    reference_mean : (components, R)   n^c_q = sum_b sum_p a_cpb T^b_pq, fixed
    centred : whether all means are zero at every state
    covariance : (R + K, R + K), of the R = P reference fields where labels depend on them (else R = 0), then of the student's:
        sum_b s_b^2 [[T^b, M^b'], [M^b, Q^b]]
    """

    def __init__(self, law: ExampleLaw, width: int, T: np.ndarray) -> None:
        self.example = law
        self.references = T.shape[1] if law.teacher.exists else 0
        self.mean = np.empty((law.probability.size, width))
        self.reference_mean = np.ascontiguousarray(np.einsum("cpb,bpq->cq", law.gain, T)[:, : self.references])
        self.covariance = np.empty((self.references + width, self.references + width))
        effective = np.tensordot(law.scale**2, T, axes=1)
        self.covariance[: self.references, : self.references] = effective[: self.references, : self.references]
        # Every block's overlaps lie in the range of their sum, so that where that is singular the pseudo-inverse is as good.
        self.precision = np.linalg.pinv(effective, hermitian=True) if law.teacher.exists else np.zeros_like(effective)
        self.centred = not law.gain.any()
        self.numbers = (*law.labels, law.probability, self.mean, self.reference_mean, self.covariance, self.precision)

    def copy(self) -> "FieldLaw":
        """The same law with a mean and a covariance of its own."""
        other = object.__new__(FieldLaw)
        other.__dict__.update(self.__dict__)
        other.mean, other.covariance = self.mean.copy(), self.covariance.copy()
        other.numbers = (*self.numbers[:-4], other.mean, self.reference_mean, other.covariance, self.precision)
        return other

    def update(self, Q: np.ndarray, M: np.ndarray) -> None:
        """Set mean and covariance from Q (blocks, K, K) and M (blocks, K, P)."""
        # Arrays in another order are another type, for which all would be compiled again.
        Q, M = np.ascontiguousarray(Q), np.ascontiguousarray(M)
        field_law(self.example.gain, self.example.scale, Q, M, self.mean, self.covariance, self.references)


class FieldAverages(NamedTuple):
    """Averages over components and fields of one level; F_k = e v_k g'(lambda_k), e = dl/df.

    force   : (components, K)  pi_c E[F_k | c]
    student : (K, K)           E[dF_k / dlambda_i]       (Stein's lemma, towards the student's own fields)
    reference : (K, P)         E[dF_k / dnu_p]           (towards the references' fields; zero without a teacher)
    square  : (K, K)           E[F_k F_l]
    readout : (K,)             E[e g(lambda_k)]
    """

    force: np.ndarray
    student: np.ndarray
    reference: np.ndarray
    square: np.ndarray
    readout: np.ndarray

    @classmethod
    def empty(cls, components: int, width: int, references: int) -> "FieldAverages":
        """Averages of the right shapes, all zero."""
        square = (width, width)
        return cls(
            np.zeros((components, width)), np.zeros(square), np.zeros((width, references)), np.zeros(square), np.zeros(width)
        )


@kernel
def field_law(gain, scale, Q, M, mean, covariance, R):
    """Mean (components, K), and covariance (R + K, R + K) but for the block of the R references among themselves."""
    components, references, blocks = gain.shape
    width = M.shape[1]
    fill(mean, 0.0)
    fill(covariance[R:], 0.0)
    for b in range(blocks):
        for c in range(components):
            for k in range(width):
                for p in range(references):
                    mean[c, k] += gain[c, p, b] * M[b, k, p]
        variance = scale[b] * scale[b]
        for k in range(width):
            for m in range(width):
                covariance[R + k, R + m] += variance * Q[b, k, m]
            for p in range(R):
                covariance[R + k, p] += variance * M[b, k, p]
    for k in range(width):
        for p in range(R):
            covariance[p, R + k] = covariance[R + k, p]
