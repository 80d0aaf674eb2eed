"""Closed forms for erf units, squared loss and fields of mean zero (Saad & Solla 1995, PRE 52, 4225).

The fields x_a are those of the teacher and the student together, C their covariance, and the error signal is
e = sum_a c_a g_a(x_a) with c_a = v_k for student units and -A_m for teacher units. With g(x) = erf(x / sqrt 2) and o_a = 1

    E[g(a) g(b)]            = (2/pi) asin(C_ab / sqrt((o_a + C_aa)(o_b + C_bb)))                                  (I2)
    E[g'(k) x_u g(a)]       = (2/pi) (C_ua (1 + C_kk) - C_ka C_ku) / ((1 + C_kk) sqrt(L3))                        (I3)
    E[g'(k) g'(l) g(a) g(b)] = (4/pi^2) asin(L0 / sqrt(L1 L2)) / sqrt(L4)                                         (I4)
    E[g'(k) g'(l)]          = (2/pi) / sqrt(L4)                                                                   (J2)

    L3 = (1 + C_kk)(o_a + C_aa) - C_ka^2,    L4 = (1 + C_kk)(1 + C_ll) - C_kl^2,
    L0 = L4 C_ab - C_la C_lb (1 + C_kk) - C_ka C_kb (1 + C_ll) + C_kl (C_ka C_lb + C_kb C_la),
    L1 = L4 (o_a + C_aa) - C_la^2 (1 + C_kk) - C_ka^2 (1 + C_ll) + 2 C_kl C_ka C_la,    L2 = L1 with a -> b.

erf(x / sqrt 2) is the sign of x after adding a unit normal to it, so a sign teacher is the same with o_a = 0; its unit with itself
is asin 1, whose slope is infinite: no quotient of rounded numbers is left to it. The cost is O(K^2 (K + P)^2). I3 is linear in the
covariances with x_u, which gives Stein's averages at once.
"""

import numpy as np

from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError
from curriculode.theory.tasks import ExampleLaw
from curriculode.theory.units.activations import ERF, SIGN


class ErfClosedForm:
    """The averages of erf students of erf or sign teachers, exactly."""

    way = "I2, I3, I4"

    def __init__(self) -> None:
        self._work = np.empty((6, 0))

    def first_order(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill `out` but for the noise term, for a level whose fields obey `law` and the readout v (K,)."""
        _check_centred(law)
        out.force[:] = 0.0
        erf_first_order(
            law.covariance, law.example.teacher.readout, label_offset(law.example), v, out.student, out.reference, out.readout
        )

    def noise_term(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill the noise term of `out`."""
        _check_centred(law)
        teacher = law.example.teacher
        if self._work.shape[1] != law.covariance.shape[0]:
            self._work = np.empty((6, law.covariance.shape[0]))
        erf_noise_term(law.covariance, teacher.readout, label_offset(law.example), teacher.noise, v, self._work, out.square)

    def generalization_error(self, law: FieldLaw, v: np.ndarray) -> float:
        """(1/2) E (f - y)^2, against the label without noise."""
        _check_centred(law)
        return _generalization(law.covariance, law.example.teacher.readout, label_offset(law.example), v)


def classification_error(law: FieldLaw, v: np.ndarray) -> float:
    """P(sign f != sign y) = arccos(R / sqrt(S T)) / pi for one unit each, of fields without means."""
    _check_centred(law)
    C = law.covariance
    sign = np.sign(v[0] * law.example.teacher.readout[0])
    if sign == 0 or C[1, 1] == 0:
        return 0.5
    return float(np.arccos(np.clip(sign * C[0, 1] / np.sqrt(C[0, 0] * C[1, 1]), -1.0, 1.0)) / np.pi)


def label_offset(example: ExampleLaw) -> float:
    """o_a of the teacher units."""
    return 0.0 if example.teacher.activation == SIGN else 1.0


def applies(activation: int, loss: str, law: FieldLaw) -> bool:
    """Whether the closed forms cover a student's activation, a loss, and the labels and means of a level."""
    teacher = law.example.teacher
    return activation == ERF and loss == "squared" and teacher.activation in (ERF, SIGN) and not teacher.sign and law.centred


def _check_centred(law: FieldLaw) -> None:
    if not law.centred:
        raise InputError(
            "the components of a level have means, for which the closed forms of erf units are not made; give `choose` the laws of "
            "all levels"
        )


@kernel
def _asin(x):
    """asin(x) to rounding, without branches, so that loops over it are vectorised (rational approximation of fdlibm).

    Rounding may carry the quotient of two equal numbers just past 1; anything further is NaN.
    """
    size = abs(x)
    small = size < 0.5
    rest = 0.5 * (1.0 - size)
    rest = 0.0 if (rest < 0.0) & (rest > -1e-9) else rest
    z = x * x if small else rest
    root = size if small else np.sqrt(z)
    above = 2.01212532134862925881e-01 + z * (
        -4.00555345006794114027e-02 + z * (7.91534994289814532176e-04 + z * 3.47933107596021167570e-05)
    )
    above = z * (1.66666666666666657415e-01 + z * (-3.25565818622400915405e-01 + z * above))
    below = -2.40339491173441421878e00 + z * (
        2.02094576023350569471e00 + z * (-6.88283971605453293030e-01 + z * 7.70381505559019352791e-02)
    )
    value = root + root * above / (1.0 + z * below)
    return np.copysign(value if small else 0.5 * np.pi - 2.0 * value, x)


@kernel
def erf_first_order(C, A, offset, v, student, reference, readout):
    """First-order averages from the joint covariance C (P + K, P + K), teacher units first; see the head of the file."""
    P, K = A.size, v.size
    n = P + K
    student[:] = 0.0
    reference[:] = 0.0
    for k in range(K):
        one = 1.0 + C[P + k, P + k]
        beta, read = 0.0, 0.0
        for a in range(n):
            c = -A[a] if a < P else v[a - P]
            size = (offset if a < P else 1.0) + C[a, a]
            cross = C[P + k, a]
            alpha = v[k] * c * (2.0 / np.pi) / np.sqrt(one * size - cross * cross)
            beta += alpha * cross / one
            read += c * (2.0 / np.pi) * _asin(cross / np.sqrt(one * size))
            if a < P:
                reference[k, a] = alpha
            else:
                student[k, a - P] += alpha
        student[k, k] -= beta
        readout[k] = read


@kernel
def erf_noise_term(C, A, offset, noise, v, work, square):
    """E[F_k F_l] from the joint covariance C; see the head of the file. `work` (6, P + K) holds what depends on one field.

    With p_a = C_la (1 + C_kk) - C_kl C_ka and q_a = C_ka (1 + C_ll) - C_kl C_la:
    L0 = L4 C_ab - p_a C_lb - q_a C_kb,  L1 = L4 (o_a + C_aa) - p_a C_la - q_a C_ka.
    """
    P, K = A.size, v.size
    n = P + K
    weight, to_k, to_m, p, q, inverse = work[0], work[1], work[2], work[3], work[4], work[5]
    for k in range(K):
        for m in range(k, K):
            ck, cm, ckm = 1.0 + C[P + k, P + k], 1.0 + C[P + m, P + m], C[P + k, P + m]
            L4 = ck * cm - ckm * ckm
            for a in range(n):
                weight[a] = -A[a] if a < P else v[a - P]
                to_k[a], to_m[a] = C[P + k, a], C[P + m, a]
                p[a] = to_m[a] * ck - ckm * to_k[a]
                q[a] = to_k[a] * cm - ckm * to_m[a]
                L1 = L4 * ((offset if a < P else 1.0) + C[a, a]) - p[a] * to_m[a] - q[a] * to_k[a]
                inverse[a] = 1.0 / np.sqrt(L1)
            total = 0.0
            for a in range(n):
                partial = 0.0
                for b in range(a):
                    L0 = L4 * C[a, b] - p[a] * to_m[b] - q[a] * to_k[b]
                    partial += weight[b] * _asin(L0 * inverse[a] * inverse[b])
                L0 = L4 * C[a, a] - p[a] * to_m[a] - q[a] * to_k[a]
                itself = 0.5 * np.pi if a < P and offset == 0.0 else _asin(L0 * inverse[a] * inverse[a])
                total += weight[a] * (2.0 * partial + weight[a] * itself)
            total = (4.0 / np.pi**2 * total + noise * noise * 2.0 / np.pi) / np.sqrt(L4)
            square[k, m] = v[k] * v[m] * total
            square[m, k] = square[k, m]


@kernel
def _generalization(C, A, offset, v):
    """(1/2) sum_ab c_a c_b I2(a, b)."""
    P, n = A.size, A.size + v.size
    total = 0.0
    for a in range(n):
        for b in range(n):
            ca, cb = (-A[a] if a < P else v[a - P]), (-A[b] if b < P else v[b - P])
            size = ((offset if a < P else 1.0) + C[a, a]) * ((offset if b < P else 1.0) + C[b, b])
            angle = 0.5 * np.pi if a == b and a < P and offset == 0.0 else _asin(C[a, b] / np.sqrt(size))
            total += ca * cb * (2.0 / np.pi) * angle
    return 0.5 * total
