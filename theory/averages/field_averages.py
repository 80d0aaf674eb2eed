"""What a way of averaging is given, and what it returns."""

from dataclasses import dataclass

import numpy as np

from curriculode.theory.compiled import kernel
from curriculode.theory.tasks import ExampleLaw


class FieldLaw:
    """The Gaussian law of the fields lambda_k of one level, given Q and M.

    mean : (components, K)   m^c_k = sum_b sum_p a_cpb M^b_kp
    covariance : (K, K)      C_kl = sum_b s_b^2 Q^b_kl
    """

    def __init__(self, law: ExampleLaw, width: int) -> None:
        self.example = law
        self.mean = np.empty((law.probability.size, width))
        self.covariance = np.empty((width, width))

    def update(self, Q: np.ndarray, M: np.ndarray) -> None:
        """Set mean and covariance from Q (blocks, K, K) and M (blocks, K, P)."""
        field_law(self.example.gain, self.example.scale, Q, M, self.mean, self.covariance)


@dataclass(frozen=True)
class FieldAverages:
    """Averages over components and fields of one level; F_k = e v_k g'(lambda_k), e = dl/df.

    force   : (components, K)  pi_c E[F_k | c]
    student : (K, K)           E[dF_k / dlambda_i]       (Stein's lemma, towards the student's own fields)
    square  : (K, K)           E[F_k F_l]
    readout : (K,)             E[e g(lambda_k)]
    """

    force: np.ndarray
    student: np.ndarray
    square: np.ndarray
    readout: np.ndarray

    @classmethod
    def empty(cls, components: int, width: int) -> "FieldAverages":
        """Uninitialised averages."""
        return cls(np.empty((components, width)), np.empty((width, width)), np.empty((width, width)), np.empty(width))


@kernel
def field_law(gain, scale, Q, M, mean, covariance):
    """Mean (components, K) and covariance (K, K) of the student's fields."""
    components, references, blocks = gain.shape
    width = M.shape[1]
    mean[:] = 0.0
    covariance[:] = 0.0
    for b in range(blocks):
        for c in range(components):
            for k in range(width):
                for p in range(references):
                    mean[c, k] += gain[c, p, b] * M[b, k, p]
        variance = scale[b] * scale[b]
        for k in range(width):
            for m in range(width):
                covariance[k, m] += variance * Q[b, k, m]
