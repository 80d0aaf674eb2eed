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

from typing import NamedTuple

import numpy as np

from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw, law_of
from curriculode.theory.averages.gated_pairs import GATED, gated, pair, single
from curriculode.theory.averages.wick import Polynomial, moments, product_average
from curriculode.theory.core.compiled import kernel, part


class Units(NamedTuple):
    """The units of student and teacher: codes of gates or ramps, or (where `wick`) coefficients of g, g', g'' (3, degree + 1)."""

    wick: bool
    student: int
    teacher: int
    student_rows: np.ndarray
    teacher_rows: np.ndarray


class Scratch(NamedTuple):
    """Room to work in: six numbers a student unit (6, K), and means (4,), covariance (4, 4) and moments of up to four fields."""

    sums: np.ndarray
    m: np.ndarray
    C: np.ndarray
    table: np.ndarray


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
        self.wick = Polynomial.exists(student)
        self.way = "Wick sums" if self.wick else "bivariate normal cdf"
        rows = [
            Polynomial(code).rows if self.wick and Polynomial.exists(code) else np.zeros((3, 1))
            for code in (student, teacher.activation)
        ]
        self._units = Units(self.wick, student, teacher.activation, *rows)
        self._top = max(each.shape[1] for each in rows)
        table = np.empty((self._top if self.wick else 1,) * 4)
        self._scratch = Scratch(np.empty((6, 0)), np.zeros(4), np.zeros((4, 4)), table)

    def operations(self, law: FieldLaw, width: int) -> float:
        """Operations of the noise term of polynomials: products of four units, times the entries of a table of moments."""
        units, degree = width + law.references + 1, self._top
        return law.example.probability.size * width**2 / 2 * units**2 / 2 * degree**2 * (degree - 1) ** 2

    def first_order(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill `out` but for the noise term, for a level whose fields obey `law` and the readout v (K,)."""
        if self._scratch.sums.shape[1] != v.size:
            self._scratch = self._scratch._replace(sums=np.empty((6, v.size)))
        _first_order_of(v, *law.numbers, *out, *self._units, *self._scratch)

    def noise_term(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill the noise term of `out`, for polynomials."""
        _noise_term_of(v, *law.numbers, *out, *self._units, *self._scratch)

    def generalization_error(self, law: FieldLaw, v: np.ndarray) -> float:
        """E[(f - y)^2] / 2, against the label without noise."""
        return _generalization_error_of(v, *law.numbers, *self._units, *self._scratch)


# Arrays come one by one and are put into named tuples here: numba takes 3 us longer to read the tuples of a call from Python, which
# for a small committee are a tenth of its averages.
@kernel
def _first_order_of(v, *given):
    first_order(Units(*given[15:20]), law_of(given), v, Scratch(*given[20:]), FieldAverages(*given[10:15]))


@kernel
def _noise_term_of(v, *given):
    wick_noise_term(Units(*given[15:20]), law_of(given), v, Scratch(*given[20:]), FieldAverages(*given[10:15]).square)


@kernel
def _generalization_error_of(v, *given):
    return generalization_error(Units(*given[10:15]), law_of(given), v, Scratch(*given[15:]))


@part
def _pair(wick, code1, code2, rows1, rows2, m1, m2, C11, C12, C22, scratch):
    """The six averages of `gated_pairs.pair`, of two gates or ramps, or of two polynomials."""
    if not wick:
        ramp1, o1, _, _ = gated(code1)
        ramp2, o2, _, _ = gated(code2)
        return pair(ramp1, o1, ramp2, o2, m1, m2, C11, C12, C22)
    m, C, table = scratch.m, scratch.C, scratch.table
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


@part
def _single(wick, code, rows, mean, variance, scratch):
    """E[g], E[g'], E[g''] of one gate or ramp, or polynomial."""
    if not wick:
        ramp, o, _, _ = gated(code)
        return single(ramp, o, mean, variance)
    m, C, table = scratch.m, scratch.C, scratch.table
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


@part
def _lines(units, law, v):
    """(slope of the student, offset of the student, slope of the teacher, what the offsets add to e)."""
    A = law.labels.readout[: law.reference_mean.shape[1]]
    slope, offset = _line(units.wick, units.student)
    if A.size == 0:
        return slope, offset, 0.0, offset * v.sum()
    slope_T, offset_T = _line(units.wick, units.teacher)
    return slope, offset, slope_T, offset * v.sum() - offset_T * A.sum()


@part
def _label(law, c):
    """The part of the label that is no field's: that of the component, where there is no teacher."""
    return law.labels.label[c] if law.reference_mean.shape[1] == 0 else 0.0


@part
def first_order(units, law, v, scratch, out):
    """The averages at the head of this file; offsets of the units are taken into the label, slopes into c_a."""
    wick, code, code_T, rows, rows_T = units
    K, P = v.size, law.reference_mean.shape[1]
    A, mean, reference_mean, C = law.labels.readout, law.mean, law.reference_mean, law.covariance
    slope, offset, slope_T, constant = _lines(units, law, v)
    X, X1, X2 = scratch.sums[0], scratch.sums[1], scratch.sums[2]
    sum_force, sum_curved, sum_read = scratch.sums[3], scratch.sums[4], scratch.sums[5]
    out.student[:] = 0.0
    out.reference[:] = 0.0
    out.readout[:] = 0.0
    for c in range(law.probability.size):
        probability = law.probability[c]
        signal = constant - _label(law, c)  # e is this number and sums over units
        average_signal = signal
        for p in range(P):
            average_signal -= A[p] * slope_T * _single(wick, code_T, rows_T, reference_mean[c, p], C[p, p], scratch)[0]
        for k in range(K):
            X[k], X1[k], X2[k] = _single(wick, code, rows, mean[c, k], C[P + k, P + k], scratch)
            average_signal += v[k] * slope * X[k]
            sum_force[k], sum_curved[k], sum_read[k] = signal * X1[k], signal * X2[k], signal * X[k]
        for k in range(K):
            m, variance = mean[c, k], C[P + k, P + k]
            for p in range(P):
                n, cross = reference_mean[c, p], C[P + k, p]
                XY, X1Y, _, X1Y1, X2Y, _ = _pair(wick, code, code_T, rows, rows_T, m, n, variance, cross, C[p, p], scratch)
                weight = -A[p] * slope_T
                sum_read[k] += weight * XY
                sum_force[k] += weight * X1Y
                sum_curved[k] += weight * X2Y
                out.reference[k, p] += probability * v[k] * slope * weight * X1Y1
            for i in range(k, K):
                n, cross = mean[c, i], C[P + k, P + i]
                XY, X1Y, XY1, X1Y1, X2Y, XY2 = _pair(wick, code, code, rows, rows, m, n, variance, cross, C[P + i, P + i], scratch)
                weight = v[i] * slope
                sum_read[k] += weight * XY
                sum_force[k] += weight * X1Y
                sum_curved[k] += weight * X2Y
                product = probability * v[k] * v[i] * slope * slope * X1Y1
                out.student[k, i] += product
                if i != k:
                    weight = v[k] * slope
                    sum_read[i] += weight * XY
                    sum_force[i] += weight * XY1
                    sum_curved[i] += weight * XY2
                    out.student[i, k] += product
        for k in range(K):
            out.force[c, k] = probability * v[k] * slope * sum_force[k]
            out.student[k, k] += probability * v[k] * slope * sum_curved[k]
            out.readout[k] += probability * (slope * sum_read[k] + offset * average_signal)


@part
def generalization_error(units, law, v, scratch):
    """E[e^2] / 2 = (sum_ab c_a c_b E[X_a X_b] + 2 s sum_a c_a E[X_a] + s^2) / 2, with s all that is no field."""
    wick, code, code_T, rows, rows_T = units
    K, P = v.size, law.reference_mean.shape[1]
    A, mean, reference_mean, C = law.labels.readout, law.mean, law.reference_mean, law.covariance
    slope, _, slope_T, constant = _lines(units, law, v)
    total = 0.0
    for c in range(law.probability.size):
        signal = constant - _label(law, c)
        square = signal * signal
        for a in range(P + K):
            student_a = a >= P
            code_a, rows_a = (code, rows) if student_a else (code_T, rows_T)
            weight_a = slope * v[a - P] if student_a else -slope_T * A[a]
            mean_a = mean[c, a - P] if student_a else reference_mean[c, a]
            square += 2.0 * signal * weight_a * _single(wick, code_a, rows_a, mean_a, C[a, a], scratch)[0]
            for b in range(a + 1):
                student_b = b >= P
                code_b, rows_b = (code, rows) if student_b else (code_T, rows_T)
                weight_b = slope * v[b - P] if student_b else -slope_T * A[b]
                mean_b = mean[c, b - P] if student_b else reference_mean[c, b]
                XY = _pair(wick, code_a, code_b, rows_a, rows_b, mean_a, mean_b, C[a, a], C[a, b], C[b, b], scratch)[0]
                square += (1.0 if a == b else 2.0) * weight_a * weight_b * XY
        total += 0.5 * law.probability[c] * square
    return total


@part
def _place(fields, law, c, scratch):
    """Means (4,) and covariance (4, 4) of four of the joint fields of component c, references first."""
    P = law.reference_mean.shape[1]
    for i in range(4):
        scratch.m[i] = law.mean[c, fields[i] - P] if fields[i] >= P else law.reference_mean[c, fields[i]]
        for j in range(4):
            scratch.C[i, j] = law.covariance[fields[i], fields[j]]


@part
def _product(fields, slope, rows_a, rows_b, law, c, scratch):
    """E[g'_k g'_l p_a p_b] of polynomials of four fields of component c, `slope` the coefficients of g'."""
    _place(fields, law, c, scratch)
    moments(slope.size - 1, slope.size - 1, rows_a.size - 1, rows_b.size - 1, scratch.m, scratch.C, scratch.table)
    return product_average(slope, slope, rows_a, rows_b, scratch.table)


@part
def wick_noise_term(units, law, v, scratch, square):
    """E[F_k F_l] = v_k v_l (sum_ab c_a c_b E[g'_k g'_l g_a g_b] + noise^2 E[g'_k g'_l]); the label is a term of e."""
    K, P = v.size, law.reference_mean.shape[1]
    A, noise, slope = law.labels.readout, law.labels.noise, units.student_rows[1, :-1]
    one = np.ones(1)
    square[:] = 0.0
    for c in range(law.probability.size):
        label = _label(law, c)
        for k in range(K):
            for i in range(k, K):
                total = 0.0
                for a in range(P + K + 1):
                    weight_a = -label if a == P + K else (v[a - P] if a >= P else -A[a])
                    rows_a = one if a == P + K else (units.student_rows[0] if a >= P else units.teacher_rows[0])
                    for b in range(a + 1):
                        weight = weight_a * (-label if b == P + K else (v[b - P] if b >= P else -A[b]))
                        if weight == 0.0:
                            continue
                        rows_b = one if b == P + K else (units.student_rows[0] if b >= P else units.teacher_rows[0])
                        fields = (P + k, P + i, a % (P + K), b % (P + K))
                        total += (1.0 if a == b else 2.0) * weight * _product(fields, slope, rows_a, rows_b, law, c, scratch)
                if noise > 0.0:
                    total += noise * noise * _product((P + k, P + i, 0, 0), slope, one, one, law, c, scratch)
                square[k, i] += law.probability[c] * v[k] * v[i] * total
    for k in range(K):
        for i in range(k):
            square[k, i] = square[i, k]
