"""Averages over two fields of units built of a smoothed step as a series in their covariance: many pairs of few units, at once.

With p_n = d^n E[X] / dm^n of a unit of one field of mean m (a derivative of the unit is one with respect to its mean), Price's
theorem sums to Mehler's formula

    E[X1 X2] = sum_n C12^n / n! p1_n p2_n,        E[X1' X2] = sum_n C12^n / n! p1_(n+1) p2_n,   and so on.

With S = C + o and rho = C12 / sqrt(S1 S2) as in `gated_pairs`, and Phi^(n) of a gate by the recurrence of Hermite functions,

    u_n = p_n S^(n/2) / sqrt(n!),    gates: u_n = g_n = Phi^(n)(m / sqrt S) / sqrt(n!),
    ramps (p_n = G_(n-1) - o G_(n+1)):    u_n = sqrt(S / n) g_(n-1) - o sqrt((n + 1) / S) g_(n+1),

and every average is a product of two rows of numbers, weighted by rho^n: what is transcendental is computed once a unit. Terms
are as many as leave 1e-16. A pair costs 20 to 50 ns in place of 100 to 300.
"""

import math

import numpy as np

from curriculode.theory.averages.bivariate_normal import normal_cdf
from curriculode.theory.averages.gated_pairs import single
from curriculode.theory.core.compiled import inner, part

LARGEST = 0.6  # |rho| up to which the series is shorter work than the integral
_LAST = -36.8  # log of the last power of rho that counts
_BEYOND = 4  # terms more, since the others grow before they fall
_BINS = 100  # of |rho|, from 0 to 1
_TERMS = np.array([math.ceil(_LAST / math.log((bin + 1.0) / _BINS)) + _BEYOND for bin in range(round(LARGEST * _BINS) + 1)])
MOST_TERMS = int(_TERMS[-1])
_FLAT = 1e-12  # variance under which a hard step has no series
_ROOT = np.sqrt(np.arange(MOST_TERMS + 8.0))
_FALL = 1.0 / np.sqrt(np.arange(1.0, MOST_TERMS + 8.0))  # 1 / sqrt(n + 1)
_BACK = np.array([0.0, *((n - 1.0) / math.sqrt(n * (n + 1.0)) for n in range(1, MOST_TERMS + 7))])


def room(units: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows of so many units are kept, (units, 3, terms), and powers of a correlation, (terms,)."""
    return np.zeros((units, 3, MOST_TERMS + 3)), np.zeros(MOST_TERMS + 16)


@inner
def terms_for(rho):
    """How many terms leave nothing; 0 where there is no series."""
    size = abs(rho)
    return _TERMS[int(size * _BINS)] if size <= LARGEST else 0


@inner
def inverse_scale(o, C):
    """1 / sqrt S of a unit of a field of variance C; NaN where it is not smooth in its mean."""
    return 1.0 / math.sqrt(C + o) if C >= 0.0 and C + o > _FLAT else np.nan


@inner
def fill_rows(ramp, o, m, C, terms, rows, unit):
    """Fill `rows` (units, 3, ...) of a unit: u_n, and the same of its first and second derivative."""
    S = C + o
    s = math.sqrt(S)
    h = m / s
    before, last = normal_cdf(h), math.exp(-0.5 * h * h) / math.sqrt(2.0 * np.pi)
    rows[unit, 1, 0], rows[unit, 1, 1] = before, last
    for n in range(1, terms + 2):
        before, last = last, -h * _FALL[n] * last - _BACK[n] * before
        rows[unit, 1, n + 1] = last
    if ramp:
        rows[unit, 0, 0] = single(ramp, o, m, C)[0]
        for n in range(1, terms + 2):
            rows[unit, 0, n] = s * _FALL[n - 1] * rows[unit, 1, n - 1] - o / s * _ROOT[n + 1] * rows[unit, 1, n + 1]
    else:
        for n in range(terms + 2):
            rows[unit, 0, n] = rows[unit, 1, n]
    for n in range(terms + 1):
        rows[unit, 1, n] = _ROOT[n + 1] / s * rows[unit, 0, n + 1]
    for n in range(terms):
        rows[unit, 2, n] = _ROOT[n + 1] / s * rows[unit, 1, n + 1]


@part
def fill_powers(rho, terms, powers):
    """Powers rho^n, n < terms."""
    square = rho * rho
    fourth = square * square
    powers[0], powers[1], powers[2], powers[3] = 1.0, rho, square, square * rho
    powers[4], powers[5], powers[6], powers[7] = fourth, fourth * rho, fourth * square, fourth * square * rho
    eighth = fourth * fourth
    for n in range(8):
        powers[8 + n] = powers[n] * eighth
    sixteenth = eighth * eighth
    for n in range(16, terms):
        powers[n] = powers[n - 16] * sixteenth


@part
def pair_of_rows(rows, one, two, rho, terms, powers):
    """The six averages of `gated_pairs.pair`, of two units."""
    fill_powers(rho, terms, powers)
    X, X1, X2, X12, X11, X22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(terms):
        a, a1 = powers[n] * rows[one, 0, n], powers[n] * rows[one, 1, n]
        b, b1 = rows[two, 0, n], rows[two, 1, n]
        X += a * b
        X1 += a1 * b
        X2 += a * b1
        X12 += a1 * b1
        X11 += powers[n] * rows[one, 2, n] * b
        X22 += a * rows[two, 2, n]
    return X, X1, X2, X12, X11, X22


@part
def product_of_rows(rows, one, two, rho, terms, powers):
    """E[X1 X2] alone."""
    fill_powers(rho, terms, powers)
    X = 0.0
    for n in range(terms):
        X += powers[n] * rows[one, 0, n] * rows[two, 0, n]
    return X
