"""Exact averages of polynomials of up to four Gaussian fields, of any degree: Wick's theorem as a recursion.

A factor x_i of a product meets its mean, or is paired with every other factor once (Isserlis 1918, Wick 1950):

    E[x_i prod_j x_j^a_j] = m_i E[prod_j x_j^a_j] + sum_j C_ij a_j E[prod x^a / x_j].

Filling the table of moments E[x_1^a1 x_2^a2 x_3^a3 x_4^a4] in rising exponents costs a few operations an entry, for any
degree, where the expanded sum over pairings grows as a factorial. Nothing is divided: singular covariances are no special case.
"""

import numpy as np

from curriculode.theory.core.compiled import kernel
from curriculode.theory.units.activations import polynomial_coefficients


class Polynomial:
    """Coefficients of g, g' and g'' in powers of x, rows of one array (3, degree + 1), of the polynomial unit `code`."""

    @staticmethod
    def exists(code: int) -> bool:
        """Whether the unit `code` is a polynomial."""
        return polynomial_coefficients(code) is not None

    def __init__(self, code: int) -> None:
        g = polynomial_coefficients(code)
        assert g is not None
        self.rows = np.zeros((3, g.size))
        self.rows[0] = g
        for order in (1, 2):
            derivative = np.polynomial.polynomial.polyder(g, order)
            self.rows[order, : derivative.size] = derivative


@kernel
def moments(top1, top2, top3, top4, m, C, table):
    """Fill table[a, b, c, d] = E[x1^a x2^b x3^c x4^d] for exponents up to the tops, means m (4,), covariance C (4, 4)."""
    for a in range(top1 + 1):
        for b in range(top2 + 1):
            for c in range(top3 + 1):
                for d in range(top4 + 1):
                    if d > 0:
                        value = m[3] * table[a, b, c, d - 1]
                        if d > 1:
                            value += (d - 1) * C[3, 3] * table[a, b, c, d - 2]
                        if c > 0:
                            value += c * C[3, 2] * table[a, b, c - 1, d - 1]
                        if b > 0:
                            value += b * C[3, 1] * table[a, b - 1, c, d - 1]
                        if a > 0:
                            value += a * C[3, 0] * table[a - 1, b, c, d - 1]
                    elif c > 0:
                        value = m[2] * table[a, b, c - 1, 0]
                        if c > 1:
                            value += (c - 1) * C[2, 2] * table[a, b, c - 2, 0]
                        if b > 0:
                            value += b * C[2, 1] * table[a, b - 1, c - 1, 0]
                        if a > 0:
                            value += a * C[2, 0] * table[a - 1, b, c - 1, 0]
                    elif b > 0:
                        value = m[1] * table[a, b - 1, 0, 0]
                        if b > 1:
                            value += (b - 1) * C[1, 1] * table[a, b - 2, 0, 0]
                        if a > 0:
                            value += a * C[1, 0] * table[a - 1, b - 1, 0, 0]
                    elif a > 0:
                        value = m[0] * table[a - 1, 0, 0, 0]
                        if a > 1:
                            value += (a - 1) * C[0, 0] * table[a - 2, 0, 0, 0]
                    else:
                        value = 1.0
                    table[a, b, c, d] = value


@kernel
def product_average(p, q, r, s, table):
    """sum p_a q_b r_c s_d table[a, b, c, d]: the average of four polynomials, once the table of their moments is filled."""
    total = 0.0
    for a in range(p.size):
        for b in range(q.size):
            for c in range(r.size):
                if p[a] * q[b] * r[c] != 0.0:
                    partial = 0.0
                    for d in range(s.size):
                        partial += s[d] * table[a, b, c, d]
                    total += p[a] * q[b] * r[c] * partial
    return total
