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

erf(x / sqrt 2) is the sign of x after adding a unit normal to it, so a sign teacher is the same with o_a = 0. The cost is
O(K^2 (K + P)^2). I3 is linear in the covariances with x_u, which gives Stein's averages at once.
"""

import numpy as np

from curriculode.theory.activations import ERF, SIGN
from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.averages.quasi_monte_carlo import QuasiMonteCarlo
from curriculode.theory.compiled import kernel


class ErfClosedForm:
    """The averages of erf students of erf or sign teachers, exactly; the classification error by a closed form or by `net`."""

    name = "closed form"

    def __init__(self, net: QuasiMonteCarlo) -> None:
        self.net, self.points = net, net.points

    def averages(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill `out` with the averages of a level whose fields obey `law`, for the readout v (K,)."""
        teacher = law.example.teacher
        _averages(
            law.covariance, teacher.readout, _offset(law), teacher.noise, v, out.student, out.reference, out.square, out.readout
        )

    def errors(self, law: FieldLaw, v: np.ndarray) -> tuple[float, float]:
        """Generalisation error (1/2) E (f - y)^2, and P(sign f != sign y), arccos(R / sqrt(S T)) / pi for one unit each."""
        teacher = law.example.teacher
        generalization = _generalization(law.covariance, teacher.readout, _offset(law), v)
        C = law.covariance
        if C.shape[0] > 2:
            return generalization, self.net.errors(law, v)[1]
        sign = np.sign(v[0] * teacher.readout[0])
        if sign == 0 or C[1, 1] == 0:
            return generalization, 0.5
        return generalization, float(np.arccos(np.clip(sign * C[0, 1] / np.sqrt(C[0, 0] * C[1, 1]), -1.0, 1.0)) / np.pi)


def _offset(law: FieldLaw) -> float:
    """o_a of the teacher units."""
    return 0.0 if law.example.teacher.activation == SIGN else 1.0


def applies(activation: int, loss: str, law: FieldLaw) -> bool:
    """Whether the closed forms cover a student's activation, a loss, and the labels of a level."""
    teacher = law.example.teacher
    return activation == ERF and loss == "squared" and teacher.activation in (ERF, SIGN) and not teacher.sign


@kernel
def _asin(numerator, square):
    """asin(numerator / sqrt(square)), where rounding may carry the quotient of two equal numbers just past 1."""
    x = numerator / np.sqrt(square)
    if abs(x) > 1.0 and abs(x) < 1.0 + 1e-9:
        return np.copysign(0.5 * np.pi, x)
    return np.arcsin(x)


@kernel
def _averages(C, A, offset, noise, v, student, reference, square, readout):
    """Averages from the joint covariance C (P + K, P + K), teacher units first; see the head of the file."""
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
            read += c * (2.0 / np.pi) * _asin(cross, one * size)
            if a < P:
                reference[k, a] = alpha
            else:
                student[k, a - P] += alpha
        student[k, k] -= beta
        readout[k] = read
    for k in range(K):
        for m in range(k, K):
            ck, cm, ckm = 1.0 + C[P + k, P + k], 1.0 + C[P + m, P + m], C[P + k, P + m]
            L4 = ck * cm - ckm * ckm
            total = 0.0
            for a in range(n):
                ka, ma = C[P + k, a], C[P + m, a]
                weight = -A[a] if a < P else v[a - P]
                La = L4 * ((offset if a < P else 1.0) + C[a, a]) - ma * ma * ck - ka * ka * cm + 2.0 * ckm * ka * ma
                partial = 0.0
                for b in range(a + 1):
                    kb, mb = C[P + k, b], C[P + m, b]
                    Lb = L4 * ((offset if b < P else 1.0) + C[b, b]) - mb * mb * ck - kb * kb * cm + 2.0 * ckm * kb * mb
                    L0 = L4 * C[a, b] - ma * mb * ck - ka * kb * cm + ckm * (ka * mb + kb * ma)
                    partial += (1.0 if a == b else 2.0) * (-A[b] if b < P else v[b - P]) * _asin(L0, La * Lb)
                total += weight * partial
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
            total += ca * cb * (2.0 / np.pi) * _asin(C[a, b], size)
    return 0.5 * total
