"""First-order averages in closed form, for the squared loss: sums over pairs of units, for fields with any means.

With e = sum_a c_a g_a(x_a) - y, c_a = v_k for the student's units and -A_p for the teacher's,

    E[F_k]             = v_k (sum_a c_a E[g_a g'_k] - y E[g'_k])
    E[dF_k/dlambda_i]  = v_k v_i E[g'_k g'_i] + delta_ki v_k (sum_a c_a E[g_a g''_k] - y E[g''_k])
    E[dF_k/dnu_p]      = -v_k A_p E[g'_k g'_p]
    E[e g_k]           = sum_a c_a E[g_a g_k] - y E[g_k],          E[e^2] / 2 is the generalisation error.

The pairs are those of `gated_pairs` (erf, sign, ReLU, GELU among themselves) or Wick sums (polynomials among themselves); for
polynomials the noise term E[F_k F_l] is a Wick sum as well. Costs for c components, degree n, up to constants:
c K (K + P) for the first order (0.15 to 0.3 us a pair), c K^2 (K + P)^2 n^4 for the noise term of polynomials.
"""

import numpy as np

from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.averages.gated_pairs import GATED, gated, pair, single
from curriculode.theory.averages.wick import Polynomial, moments, product_average
from curriculode.theory.core.compiled import kernel


def pairs_exist(student: int, loss: str, law: FieldLaw) -> bool:
    """Whether every pair of units that a student and the labels of a level need has a closed form."""
    teacher = law.example.teacher
    if loss != "squared" or (teacher.exists and teacher.sign):
        return False
    codes = {student, teacher.activation} if teacher.exists else {student}
    return codes <= set(GATED) or all(Polynomial.exists(code) for code in codes)


class PairClosedForm:
    """The exact first-order averages and generalisation error; for polynomials the exact noise term as well."""

    def __init__(self, student: int, law: FieldLaw) -> None:
        teacher = law.example.teacher
        self.codes = np.array([student, teacher.activation])
        self.wick = Polynomial.exists(student)
        self.way = "Wick sums" if self.wick else "bivariate normal cdf"
        polynomials = [Polynomial(code) if self.wick and (i == 0 or teacher.exists) else None for i, code in enumerate(self.codes)]
        self._rows = [np.zeros((3, 1)) if p is None else p.rows for p in polynomials]
        top = max(rows.shape[1] for rows in self._rows)
        self._table = np.empty((top, top, top, top)) if self.wick else np.empty((1, 1, 1, 1))
        self._m, self._C = np.zeros(4), np.zeros((4, 4))
        self._units: np.ndarray = np.empty((6, 0))

    def operations(self, law: FieldLaw, width: int) -> float:
        """Operations of the noise term of polynomials: products of four units, times the entries of a table of moments."""
        units, degree = width + law.references + 1, max(rows.shape[1] for rows in self._rows)
        return law.example.probability.size * width**2 / 2 * units**2 / 2 * degree**2 * (degree - 1) ** 2

    def _work(self, width: int) -> tuple[np.ndarray, ...]:
        if self._units.shape[1] != width:
            self._units = np.empty((6, width))
        return self._units, self._m, self._C, self._table

    def first_order(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill `out` but for the noise term, for a level whose fields obey `law` and the readout v (K,)."""
        example = law.example
        first_order(
            self.wick, self.codes, *self._rows, example.probability, example.label, example.teacher.readout[: law.references],
            law.mean, law.covariance, v, *self._work(v.size), out.force, out.student, out.reference, out.readout,
        )  # fmt: skip

    def noise_term(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill the noise term of `out`, for polynomials."""
        example = law.example
        wick_noise_term(
            *self._rows, example.probability, example.label, example.teacher.readout[: law.references], example.teacher.noise,
            law.mean, law.covariance, v, self._m, self._C, self._table, out.square,
        )  # fmt: skip

    def generalization_error(self, law: FieldLaw, v: np.ndarray) -> float:
        """E[(f - y)^2] / 2, against the label without noise."""
        example = law.example
        return generalization_error(
            self.wick, self.codes, *self._rows, example.probability, example.label, example.teacher.readout[: law.references],
            law.mean, law.covariance, v, *self._work(v.size)[1:],
        )  # fmt: skip


@kernel
def _pair(wick, code1, code2, rows1, rows2, m1, m2, C11, C12, C22, m, C, table):
    """The six averages of `gated_pairs.pair`, of two gates or ramps, or of two polynomials."""
    if not wick:
        ramp1, o1, _, _ = gated(code1)
        ramp2, o2, _, _ = gated(code2)
        return pair(ramp1, o1, ramp2, o2, m1, m2, C11, C12, C22)
    m[0], m[1], C[0, 0], C[0, 1], C[1, 0], C[1, 1] = m1, m2, C11, C12, C12, C22
    n1, n2 = rows1.shape[1], rows2.shape[1]
    moments(n1 - 1, n2 - 1, 0, 0, m, C, table)
    X, X1, X2, X12, X11, X22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for a in range(n1):
        for b in range(n2):
            moment = table[a, b, 0, 0]
            X += rows1[0, a] * rows2[0, b] * moment
            X1 += rows1[1, a] * rows2[0, b] * moment
            X2 += rows1[0, a] * rows2[1, b] * moment
            X12 += rows1[1, a] * rows2[1, b] * moment
            X11 += rows1[2, a] * rows2[0, b] * moment
            X22 += rows1[0, a] * rows2[2, b] * moment
    return X, X1, X2, X12, X11, X22


@kernel
def _single(wick, code, rows, mean, variance, m, C, table):
    """E[g], E[g'], E[g''] of one gate or ramp, or polynomial."""
    if not wick:
        ramp, o, _, _ = gated(code)
        return single(ramp, o, mean, variance)
    m[0], C[0, 0] = mean, variance
    moments(rows.shape[1] - 1, 0, 0, 0, m, C, table)
    X, X1, X2 = 0.0, 0.0, 0.0
    for a in range(rows.shape[1]):
        X += rows[0, a] * table[a, 0, 0, 0]
        X1 += rows[1, a] * table[a, 0, 0, 0]
        X2 += rows[2, a] * table[a, 0, 0, 0]
    return X, X1, X2


@kernel
def _line(wick, code):
    """(slope, offset): a unit is slope * (gate, ramp or polynomial) + offset."""
    if wick:
        return 1.0, 0.0
    _, _, slope, offset = gated(code)
    return slope, offset


@kernel
def first_order(
    wick, codes, student_rows, teacher_rows, probability, label, A, mean, covariance, v, units, m, C, table,
    force, student, reference, readout,
):  # fmt: skip
    """The averages at the head of this file; offsets of the units are taken into the label, slopes into c_a."""
    K, P = v.size, A.size
    slope, offset = _line(wick, codes[0])
    slope_T, offset_T = _line(wick, codes[1])
    constant = offset * v.sum() - offset_T * A.sum()
    X, X1, X2 = units[0], units[1], units[2]
    sum_force, sum_curved, sum_read = units[3], units[4], units[5]
    student[:] = 0.0
    reference[:] = 0.0
    readout[:] = 0.0
    for c in range(probability.size):
        signal = constant - label[c]  # e is this number and sums over units
        average_signal = signal
        for p in range(P):
            average_signal -= A[p] * slope_T * _single(wick, codes[1], teacher_rows, 0.0, covariance[p, p], m, C, table)[0]
        for k in range(K):
            X[k], X1[k], X2[k] = _single(wick, codes[0], student_rows, mean[c, k], covariance[P + k, P + k], m, C, table)
            average_signal += v[k] * slope * X[k]
            sum_force[k], sum_curved[k], sum_read[k] = signal * X1[k], signal * X2[k], signal * X[k]
        for k in range(K):
            for p in range(P):
                XY, X1Y, _, X1Y1, X2Y, _ = _pair(
                    wick, codes[0], codes[1], student_rows, teacher_rows, mean[c, k], 0.0,
                    covariance[P + k, P + k], covariance[P + k, p], covariance[p, p], m, C, table,
                )  # fmt: skip
                weight = -A[p] * slope_T
                sum_read[k] += weight * XY
                sum_force[k] += weight * X1Y
                sum_curved[k] += weight * X2Y
                reference[k, p] += probability[c] * v[k] * slope * weight * X1Y1
            for i in range(k, K):
                XY, X1Y, XY1, X1Y1, X2Y, XY2 = _pair(
                    wick, codes[0], codes[0], student_rows, student_rows, mean[c, k], mean[c, i],
                    covariance[P + k, P + k], covariance[P + k, P + i], covariance[P + i, P + i], m, C, table,
                )  # fmt: skip
                weight = v[i] * slope
                sum_read[k] += weight * XY
                sum_force[k] += weight * X1Y
                sum_curved[k] += weight * X2Y
                product = probability[c] * v[k] * v[i] * slope * slope * X1Y1
                student[k, i] += product
                if i != k:
                    weight = v[k] * slope
                    sum_read[i] += weight * XY
                    sum_force[i] += weight * XY1
                    sum_curved[i] += weight * XY2
                    student[i, k] += product
        for k in range(K):
            force[c, k] = probability[c] * v[k] * slope * sum_force[k]
            student[k, k] += probability[c] * v[k] * slope * sum_curved[k]
            readout[k] += probability[c] * (slope * sum_read[k] + offset * average_signal)


@kernel
def generalization_error(
    wick, codes, student_rows, teacher_rows, probability, label, A, mean, covariance, v, m, C, table
):  # fmt: skip
    """E[e^2] / 2 = (sum_ab c_a c_b E[X_a X_b] + 2 s sum_a c_a E[X_a] + s^2) / 2, with s all that is no field."""
    K, P = v.size, A.size
    slope, offset = _line(wick, codes[0])
    slope_T, offset_T = _line(wick, codes[1])
    constant = offset * v.sum() - offset_T * A.sum()
    total = 0.0
    for c in range(probability.size):
        signal = constant - label[c]
        square = signal * signal
        for a in range(P + K):
            student_a = a >= P
            code_a, rows_a = (codes[0], student_rows) if student_a else (codes[1], teacher_rows)
            weight_a = slope * v[a - P] if student_a else -slope_T * A[a]
            mean_a = mean[c, a - P] if student_a else 0.0
            square += 2.0 * signal * weight_a * _single(wick, code_a, rows_a, mean_a, covariance[a, a], m, C, table)[0]
            for b in range(a + 1):
                student_b = b >= P
                code_b, rows_b = (codes[0], student_rows) if student_b else (codes[1], teacher_rows)
                weight_b = slope * v[b - P] if student_b else -slope_T * A[b]
                mean_b = mean[c, b - P] if student_b else 0.0
                XY = _pair(
                    wick, code_a, code_b, rows_a, rows_b, mean_a, mean_b,
                    covariance[a, a], covariance[a, b], covariance[b, b], m, C, table,
                )[0]  # fmt: skip
                square += (1.0 if a == b else 2.0) * weight_a * weight_b * XY
        total += 0.5 * probability[c] * square
    return total


@kernel
def _place(P, fields, mean, covariance, m, C):
    """Means (4,) and covariance (4, 4) of four of the joint fields, references first."""
    for i in range(4):
        m[i] = mean[fields[i] - P] if fields[i] >= P else 0.0
        for j in range(4):
            C[i, j] = covariance[fields[i], fields[j]]


@kernel
def wick_noise_term(
    student_rows, teacher_rows, probability, label, A, noise, mean, covariance, v, m, C, table, square
):  # fmt: skip
    """E[F_k F_l] = v_k v_l (sum_ab c_a c_b E[g'_k g'_l g_a g_b] + noise^2 E[g'_k g'_l]); the label is a term of e."""
    K, P = v.size, A.size
    one = np.ones(1)
    square[:] = 0.0
    for c in range(probability.size):
        for k in range(K):
            for i in range(k, K):
                total = 0.0
                for a in range(P + K + 1):
                    weight_a = -label[c] if a == P + K else (v[a - P] if a >= P else -A[a])
                    rows_a = one if a == P + K else (student_rows[0] if a >= P else teacher_rows[0])
                    for b in range(a + 1):
                        weight = weight_a * (-label[c] if b == P + K else (v[b - P] if b >= P else -A[b]))
                        if weight == 0.0:
                            continue
                        rows_b = one if b == P + K else (student_rows[0] if b >= P else teacher_rows[0])
                        _place(P, (P + k, P + i, a % (P + K), b % (P + K)), mean[c], covariance, m, C)
                        moments(student_rows.shape[1] - 2, student_rows.shape[1] - 2, rows_a.size - 1, rows_b.size - 1, m, C, table)
                        average = product_average(student_rows[1, :-1], student_rows[1, :-1], rows_a, rows_b, table)
                        total += (1.0 if a == b else 2.0) * weight * average
                if noise > 0.0:
                    _place(P, (P + k, P + i, 0, 0), mean[c], covariance, m, C)
                    moments(student_rows.shape[1] - 2, student_rows.shape[1] - 2, 0, 0, m, C, table)
                    total += noise * noise * product_average(student_rows[1, :-1], student_rows[1, :-1], one, one, table)
                square[k, i] += probability[c] * v[k] * v[i] * total
    for k in range(K):
        for i in range(k):
            square[k, i] = square[i, k]
