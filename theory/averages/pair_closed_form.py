"""First-order averages in closed form, for the squared loss: sums over pairs of units, for fields with any means.

With e = sum_a c_a g_a(x_a) - y, c_a = v_k for the student's units and -A_p for the teacher's,

    E[F_k]             = v_k (sum_a c_a E[g_a g'_k] - y E[g'_k])
    E[dF_k/dlambda_i]  = v_k v_i E[g'_k g'_i] + delta_ki v_k (sum_a c_a E[g_a g''_k] - y E[g''_k])
    E[dF_k/dnu_p]      = -v_k A_p E[g'_k g'_p]
    E[e g_k]           = sum_a c_a E[g_a g_k] - y E[g_k],          E[e^2] / 2 is the generalisation error.

Components of means m and -m (two clusters of a label of the XOR mixture) share their pairs of units: a gate obeys
G(-x) = 1 - G(x), a ramp R(-x) = R(x) - x, so that the signal at -x is known from that at x, in `_mirror_image`.

The pairs are those of `gated_pairs` (erf, sign, ReLU, GELU among themselves) or Wick sums (polynomials among themselves); for
polynomials the noise term E[F_k F_l] is a Wick sum as well. Costs for c components, degree n, up to constants:
c K (K + P) for the first order (0.15 to 0.3 us a pair; from six units on 0.03, as `pair_series`), c K^2 (K + P)^2 n^4 for the noise
term of polynomials.
"""

from typing import Any

import numpy as np

from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.averages.gated_pairs import GATED, gated, pair, single, third_of_ramp
from curriculode.theory.averages.pair_series import fill_rows, inverse_scale, pair_of_rows, product_of_rows, room, terms_for
from curriculode.theory.averages.wick import Polynomial, moments, product_average
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.core.linear_algebra import fill

_MANY = 6  # units from which on their pairs are summed as series


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
        self._units = (student, teacher.activation, *rows)
        self._top = max(each.shape[1] for each in rows)
        # Room for means (4,), covariance (4, 4) and moments of up to four fields.
        self._room = (np.zeros(4), np.zeros((4, 4)), np.empty((self._top,) * 4) if self.wick else None)
        self._sums, self._series = np.empty((7, 0)), room(0)  # seven numbers a student unit, and the rows of each

    def operations(self, law: FieldLaw, width: int) -> float:
        """Operations of the noise term of polynomials: products of four units, times the entries of a table of moments."""
        units, degree = width + law.references + 1, self._top
        return law.example.probability.size * width**2 / 2 * units**2 / 2 * degree**2 * (degree - 1) ** 2

    def first_order(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill `out` but for the noise term, for a level whose fields obey `law` and the readout v (K,)."""
        _first_order_of(v, *law.numbers, *self._for(v.size), out.force, out.student, out.reference, out.readout)

    def noise_term(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill the noise term of `out`, for polynomials."""
        _noise_term_of(v, *law.numbers, *self._units, *self._room, out.square)

    def generalization_error(self, law: FieldLaw, v: np.ndarray) -> float:
        """E[(f - y)^2] / 2, against the label without noise."""
        return _generalization_error_of(v, *law.numbers, *self._for(v.size))

    def _for(self, width: int) -> tuple[Any, ...]:
        """What the kernels of the first order need, for so many units."""
        if self._sums.shape[1] != width:
            self._sums, self._series = np.empty((7, width)), room(0 if self.wick else width)
        return *self._units, *self._room, self._sums, *self._series


# Every kernel takes its arrays one by one: numba takes 3 us longer to read named tuples of a call from Python, and seconds to
# compile their copies and references. After the numbers of `FieldLaw` come codes of the units, coefficients of g, g', g'' of
# polynomials (3, degree + 1), and room (m, S, table), with no table where units are gates or ramps: what a test of that hides
# is not compiled.
@kernel
def _first_order_of(
    v,
    label,
    teacher,
    A,
    sign,
    noise,
    probability,
    mean,
    reference_mean,
    C,
    precision,
    code,
    code_T,
    rows,
    rows_T,
    m,
    S,
    table,
    sums,
    series,
    powers,
    force,
    student,
    reference,
    readout,
):
    """The averages at the head of this file; offsets of the units are taken into the label, slopes into c_a."""
    K, P = v.size, reference_mean.shape[1]
    slope, offset, slope_T, constant = _lines(code, code_T, A[:P], v, table)
    X, X1, X2 = sums[0], sums[1], sums[2]
    sum_force, sum_curved, sum_read, scale = sums[3], sums[4], sums[5], sums[6]
    ramp = gated(code)[0]
    fill(student, 0.0)
    fill(reference, 0.0)
    for k in range(K):
        readout[k] = 0.0
    for c in range(probability.size):
        mirror = _mirror_of(c, mean, P, table)
        if 0 <= mirror < c:
            continue  # done with that one
        both = probability[c] + (probability[mirror] if mirror >= 0 else 0.0)
        signal = constant - (label[c] if P == 0 else 0.0)  # e is this number and sums over units
        average = signal
        for p in range(P):
            average -= A[p] * slope_T * _single(code_T, rows_T, reference_mean[c, p], C[p, p], m, S, table)[0]
        for k in range(K):
            X[k], X1[k], X2[k] = _single(code, rows, mean[c, k], C[P + k, P + k], m, S, table)
            average += v[k] * slope * X[k]
            sum_force[k], sum_curved[k], sum_read[k] = signal * X1[k], signal * X2[k], signal * X[k]
        _fill_series(code, mean[c], C, P, scale, series, table)
        for k in range(K):
            one, variance = mean[c, k], C[P + k, P + k]
            for p in range(P):
                two, cross = reference_mean[c, p], C[P + k, p]
                XY, X1Y, _, X1Y1, X2Y, _ = _pair(code, code_T, rows, rows_T, one, two, variance, cross, C[p, p], m, S, table)
                weight = -A[p] * slope_T
                sum_read[k] += weight * XY
                sum_force[k] += weight * X1Y
                sum_curved[k] += weight * X2Y
                reference[k, p] += probability[c] * v[k] * slope * weight * X1Y1
            for i in range(k, K):
                two, cross = mean[c, i], C[P + k, P + i]
                rho = cross * scale[k] * scale[i]
                terms = terms_for(rho)
                if terms:
                    XY, X1Y, XY1, X1Y1, X2Y, XY2 = pair_of_rows(series, k, i, rho, terms, powers)
                else:
                    XY, X1Y, XY1, X1Y1, X2Y, XY2 = _pair(
                        code, code, rows, rows, one, two, variance, cross, C[P + i, P + i], m, S, table
                    )
                weight = v[i] * slope
                sum_read[k] += weight * XY
                sum_force[k] += weight * X1Y
                sum_curved[k] += weight * X2Y
                product = both * X1Y1
                if mirror >= 0 and ramp:  # R'(-x) = 1 - R'(x)
                    product += probability[mirror] * (1.0 - X1[k] - X1[i])
                product *= v[k] * v[i] * slope * slope
                student[k, i] += product
                if i != k:
                    weight = v[k] * slope
                    sum_read[i] += weight * XY
                    sum_force[i] += weight * XY1
                    sum_curved[i] += weight * XY2
                    student[i, k] += product
        _add_component(probability[c], v, slope, offset, average, sum_force, sum_curved, sum_read, force[c], student, readout)
        if mirror >= 0:
            between = label[c] - label[mirror]
            average = _mirror_image(
                code, v, slope, signal, average, between, mean[c], C, X, X1, X2, sum_force, sum_curved, sum_read
            )
            share = probability[mirror]
            _add_component(share, v, slope, offset, average, sum_force, sum_curved, sum_read, force[mirror], student, readout)


@inner
def _fill_series(code, mean, C, P, scale, series, table):
    """Rows of the student's units, as long as their pairs need, and their scales; NaN where each pair is computed by itself."""
    K = mean.size
    if table is None and K >= _MANY:
        ramp, o, _, _ = gated(code)
        terms = 0
        for k in range(K):
            scale[k] = inverse_scale(o, C[P + k, P + k])
            for i in range(k + 1):
                terms = max(terms, terms_for(C[P + k, P + i] * scale[k] * scale[i]))
        for k in range(K):
            if scale[k] > 0.0:
                fill_rows(ramp, o, mean[k], C[P + k, P + k], terms, series, k)
    else:
        for k in range(K):
            scale[k] = np.nan


@inner
def _add_component(share, v, slope, offset, average, sum_force, sum_curved, sum_read, force, student, readout):
    """Add a component of probability `share` to the averages."""
    for k in range(v.size):
        force[k] = share * v[k] * slope * sum_force[k]
        student[k, k] += share * v[k] * slope * sum_curved[k]
        readout[k] += share * (slope * sum_read[k] + offset * average)


@inner
def _mirror_of(c, mean, P, table):
    """The neighbour (0 with 1, 2 with 3 ...) of component c, if its means are those of c with the other sign; else -1."""
    other = c + 1 if c % 2 == 0 else c - 1
    if table is None and P == 0 and other < mean.shape[0]:
        for k in range(mean.shape[1]):
            if mean[other, k] != -mean[c, k]:
                return -1
        return other
    return -1


@inner
def _mirror_image(code, v, slope, signal, average, between, m, C, X, X1, X2, sum_force, sum_curved, sum_read):
    """Turn the sums of the component of means m into those of means -m, whose label is smaller by `between`; return its E[e'].

    With e' the signal at -x, from that at x, and L = sum_i v_i x_i (i over units, of slope 1):

        gates:  e' = h - e,            g_k(-x) = 1 - g_k,     g'_k(-x) = g'_k,       g''_k(-x) = -g''_k
        ramps:  e' = e - L + between,  g_k(-x) = g_k - x_k,   g'_k(-x) = 1 - g'_k,   g''_k(-x) = g''_k

    Averages of products with L or x_k go by Stein's lemma: E[x_i u(x_k)] = m_i E[u] + C_ik E[u'].
    """
    ramp, o, _, _ = gated(code)
    K = v.size
    if not ramp:
        h = 2.0 * signal + between
        for k in range(K):
            h += slope * v[k]
        for k in range(K):
            sum_force[k] = h * X1[k] - sum_force[k]
            sum_curved[k] -= h * X2[k]
            sum_read[k] += h - average - h * X[k]
        return h - average
    shift = between
    for i in range(K):
        shift -= slope * v[i] * m[i]
    for k in range(K):
        # Covariances of x_k: with L, and with e.
        with_L, with_e = 0.0, 0.0
        for i in range(K):
            with_L += slope * v[i] * C[i, k]
            with_e += slope * v[i] * C[i, k] * X1[i]
        sum_force[k] = average - sum_force[k] + shift * (1.0 - X1[k]) + with_L * X2[k]
        sum_curved[k] += shift * X2[k] - with_L * third_of_ramp(o, m[k], C[k, k])
        sum_read[k] += shift * (X[k] - m[k]) - m[k] * average - with_e + with_L * (1.0 - X1[k])
    return average + shift


@kernel
def _generalization_error_of(
    v,
    label,
    teacher,
    A,
    sign,
    noise,
    probability,
    mean,
    reference_mean,
    C,
    precision,
    code,
    code_T,
    rows,
    rows_T,
    m,
    S,
    table,
    sums,
    series,
    powers,
):
    """E[e^2] / 2 = (sum_ab c_a c_b E[X_a X_b] + 2 s sum_a c_a E[X_a] + s^2) / 2, with s all that is no field."""
    K, P = v.size, reference_mean.shape[1]
    slope, _, slope_T, constant = _lines(code, code_T, A[:P], v, table)
    total, scale = 0.0, sums[6]
    for c in range(probability.size):
        mirror = _mirror_of(c, mean, P, table)
        if 0 <= mirror < c:
            continue  # done with that one
        _fill_series(code, mean[c], C, P, scale, series, table)
        signal = constant - (label[c] if P == 0 else 0.0)
        square = signal * signal
        for a in range(P + K):
            student_a = a >= P
            code_a, rows_a = (code, rows) if student_a else (code_T, rows_T)
            weight_a = slope * v[a - P] if student_a else -slope_T * A[a]
            mean_a = mean[c, a - P] if student_a else reference_mean[c, a]
            square += 2.0 * signal * weight_a * _single(code_a, rows_a, mean_a, C[a, a], m, S, table)[0]
            for b in range(a + 1):
                student_b = b >= P
                code_b, rows_b = (code, rows) if student_b else (code_T, rows_T)
                weight_b = slope * v[b - P] if student_b else -slope_T * A[b]
                mean_b = mean[c, b - P] if student_b else reference_mean[c, b]
                rho = C[a, b] * scale[a - P] * scale[b - P] if b >= P else np.nan
                terms = terms_for(rho)
                if terms:
                    XY = product_of_rows(series, a - P, b - P, rho, terms, powers)
                else:
                    XY = _pair(code_a, code_b, rows_a, rows_b, mean_a, mean_b, C[a, a], C[a, b], C[b, b], m, S, table)[0]
                square += (1.0 if a == b else 2.0) * weight_a * weight_b * XY
        total += 0.5 * probability[c] * square
        if mirror >= 0:
            total += (
                0.5 * probability[mirror] * _mirror_square(code, v, slope, signal, label[c] - label[mirror], mean[c], C, square)
            )
    return total


@inner
def _mirror_square(code, v, slope, signal, between, m, C, square):
    """E[e'^2] of the mirror image, from E[e^2] = `square`; see `_mirror_image`."""
    ramp, o, _, _ = gated(code)
    average, shift, h, scatter = signal, between, 2.0 * signal + between, 0.0
    for i in range(v.size):
        X, X1, _ = single(ramp, o, m[i], C[i, i])
        average += slope * v[i] * X
        shift -= slope * v[i] * m[i]
        h += slope * v[i]
        for k in range(v.size):
            scatter += slope * slope * v[i] * v[k] * C[i, k] * (1.0 - 2.0 * X1)
    return square + shift * (2.0 * average + shift) + scatter if ramp else square + h * (h - 2.0 * average)


@inner
def _pair(code1, code2, rows1, rows2, m1, m2, C11, C12, C22, m, S, table):
    """The six averages of `gated_pairs.pair`, of two gates or ramps, or of two polynomials."""
    if table is None:
        ramp1, o1, _, _ = gated(code1)
        ramp2, o2, _, _ = gated(code2)
        return pair(ramp1, o1, ramp2, o2, m1, m2, C11, C12, C22)
    else:
        m[0], m[1], S[0, 0], S[0, 1], S[1, 0], S[1, 1] = m1, m2, C11, C12, C12, C22
        n1, n2 = rows1.shape[1], rows2.shape[1]
        moments(n1 - 1, n2 - 1, 0, 0, m, S, table)
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


@inner
def _single(code, rows, mean, variance, m, S, table):
    """E[g], E[g'], E[g''] of one gate or ramp, or polynomial."""
    if table is None:
        ramp, o, _, _ = gated(code)
        return single(ramp, o, mean, variance)
    else:
        m[0], S[0, 0] = mean, variance
        moments(rows.shape[1] - 1, 0, 0, 0, m, S, table)
        X, X1, X2 = 0.0, 0.0, 0.0
        for a in range(rows.shape[1]):
            X += rows[0, a] * table[a, 0, 0, 0]
            X1 += rows[1, a] * table[a, 0, 0, 0]
            X2 += rows[2, a] * table[a, 0, 0, 0]
        return X, X1, X2


@inner
def _lines(code, code_T, A, v, table):
    """(slope of the student, offset of the student, slope of the teacher, what the offsets add to e).

    A unit is slope * (gate, ramp or polynomial) + offset.
    """
    slope, offset, slope_T, offset_T, constant = 1.0, 0.0, 1.0, 0.0, 0.0
    if table is None:
        _, _, slope, offset = gated(code)
        if A.size > 0:
            _, _, slope_T, offset_T = gated(code_T)
    for k in range(v.size):
        constant += offset * v[k]
    for p in range(A.size):
        constant -= offset_T * A[p]
    return slope, offset, slope_T, constant


@inner
def _product(f1, f2, f3, f4, slope, rows_a, rows_b, mean, reference_mean, covariance, c, m, S, table):
    """E[g'_k g'_l p_a p_b] of polynomials of four of the joint fields of component c, references first; `slope` those of g'."""
    P = reference_mean.shape[1]
    fields = (f1, f2, f3, f4)
    for i in range(4):
        m[i] = mean[c, fields[i] - P] if fields[i] >= P else reference_mean[c, fields[i]]
        for j in range(4):
            S[i, j] = covariance[fields[i], fields[j]]
    moments(slope.size - 1, slope.size - 1, rows_a.size - 1, rows_b.size - 1, m, S, table)
    return product_average(slope, slope, rows_a, rows_b, table)


@kernel
def _noise_term_of(
    v,
    label,
    teacher,
    A,
    sign,
    noise,
    probability,
    mean,
    reference_mean,
    C,
    precision,
    code,
    code_T,
    rows,
    rows_T,
    m,
    S,
    table,
    square,
):
    """E[F_k F_l] = v_k v_l (sum_ab c_a c_b E[g'_k g'_l g_a g_b] + noise^2 E[g'_k g'_l]); the label is a term of e."""
    K, P = v.size, reference_mean.shape[1]
    slope, one = rows[1, :-1], np.ones(1)
    fill(square, 0.0)
    for c in range(probability.size):
        weight_of_label = -label[c] if P == 0 else 0.0
        for k in range(K):
            for i in range(k, K):
                total = 0.0
                for a in range(P + K + 1):
                    weight_a = weight_of_label if a == P + K else (v[a - P] if a >= P else -A[a])
                    rows_a = one if a == P + K else (rows[0] if a >= P else rows_T[0])
                    for b in range(a + 1):
                        weight = weight_a * (weight_of_label if b == P + K else (v[b - P] if b >= P else -A[b]))
                        if weight == 0.0:
                            continue
                        rows_b = one if b == P + K else (rows[0] if b >= P else rows_T[0])
                        x, y = a % (P + K), b % (P + K)
                        average = _product(P + k, P + i, x, y, slope, rows_a, rows_b, mean, reference_mean, C, c, m, S, table)
                        total += (1.0 if a == b else 2.0) * weight * average
                if noise > 0.0:
                    average = _product(P + k, P + i, 0, 0, slope, one, one, mean, reference_mean, C, c, m, S, table)
                    total += noise * noise * average
                square[k, i] += probability[c] * v[k] * v[i] * total
    for k in range(K):
        for i in range(k):
            square[k, i] = square[i, k]
