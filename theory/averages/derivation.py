"""The closed forms derived with sympy, from Gaussian integrals, Stein's lemma, Price's theorem and Wick's theorem.

Nothing is computed from here: the tests hold the compiled code against these expressions, and `theory.equations` prints them.

Fields x_a have means m_a and covariance C. A gate G_a(x) = Phi(x / sqrt o_a) has the derivative N(x; 0, o_a), which only tilts
the Gaussian measure: that is where every closed form starts.
"""

from collections.abc import Sequence
from functools import cache

import sympy as sp

m1, m2 = sp.symbols("m1 m2", real=True)
o1, o2 = sp.symbols("o1 o2", nonnegative=True)
C11, C22 = sp.symbols("C11 C22", positive=True)
C12 = sp.Symbol("C12", real=True)


def B(i: int = 0, j: int = 0) -> sp.Symbol:
    """The average of the i-th derivative of G1 and the j-th of G2: the derivatives of E[G1 G2] with respect to m1 and m2."""
    return sp.Symbol("B" + ("_" if i + j else "") + "1" * i + "2" * j)


@cache
def tilted_pair() -> sp.Expr:
    """E[G1' G2'], the Gaussian integral over both fields of their law and two more Gaussian factors, done by sympy.

    >>> print(tilted_pair().subs({m1: 0, m2: 0}))
    1/(2*pi*sqrt(C11*C22 + C11*o2 - C12**2 + C22*o1 + o1*o2))
    """
    x = sp.symbols("x1 x2", real=True)
    a = sp.Symbol("a", positive=True)
    b = sp.Symbol("b", real=True)
    gauss = sp.simplify(sp.integrate(sp.exp(-a * x[0] ** 2 / 2 + b * x[0]), (x[0], -sp.oo, sp.oo)))
    raised = sp.expand_log(sp.log(gauss / gauss.subs(b, 0)), force=True)
    det = C11 * C22 - C12**2
    y1, y2 = x[0] - m1, x[1] - m2
    exponent = -(C22 * y1**2 - 2 * C12 * y1 * y2 + C11 * y2**2) / (2 * det) - x[0] ** 2 / (2 * o1) - x[1] ** 2 / (2 * o2)
    result: sp.Expr = 1 / (2 * sp.pi * sp.sqrt(det)) / (2 * sp.pi * sp.sqrt(o1 * o2))
    for variable in x:
        square, linear, rest = (sp.factor(c) for c in sp.Poly(sp.together(exponent), variable).all_coeffs())
        # The integral over one field at a time: exp(-a x^2 / 2 + b x) with what the other field and the means make of a and b.
        integral = gauss.subs(b, 0).subs(a, -2 * square)
        result, exponent = result * integral, sp.together(rest + raised.subs({a: -2 * square, b: linear}))
    # sympy keeps the roots of the two steps apart; their product is the root of the determinant of C + o.
    return 1 / sp.sqrt(sp.factor(sp.simplify(1 / result**2))) * sp.exp(sp.factor(exponent))


@cache
def derivative_rules() -> dict[sp.Symbol, sp.Expr]:
    """The second derivatives, and those of B_12, in terms of B, B_1, B_2, B_12.

    Stein's lemma gives E[x1 G1' G2] = m1 B_1 + C11 B_11 + C12 B_12, and x G' = -o G'' makes the left side -o1 B_11: one equation
    for B_11. The derivatives of B_12 are those of the tilted Gaussian.
    """
    X = sp.Symbol("X")
    return {
        B(2, 0): sp.solve(sp.Eq(m1 * B(1) + C11 * X + C12 * B(1, 1), -o1 * X), X)[0],
        B(0, 2): sp.solve(sp.Eq(m2 * B(0, 1) + C22 * X + C12 * B(1, 1), -o2 * X), X)[0],
        B(2, 1): B(1, 1) * sp.simplify(sp.diff(tilted_pair(), m1) / tilted_pair()),
        B(1, 2): B(1, 1) * sp.simplify(sp.diff(tilted_pair(), m2) / tilted_pair()),
    }


def _orders(expression: sp.Expr) -> dict[sp.Symbol, tuple[int, int]]:
    names = {symbol: symbol.name for symbol in expression.free_symbols if symbol.name.startswith("B")}
    return {symbol: (name.count("1"), name.count("2")) for symbol, name in names.items()}


def d(expression: sp.Expr, field: int) -> sp.Expr:
    """Derivative with respect to the mean of `field` 1 or 2, of a combination of the B."""
    result = sp.diff(expression, m1 if field == 1 else m2)
    for symbol, (i, j) in _orders(expression).items():
        result += sp.diff(expression, symbol) * (B(i + 1, j) if field == 1 else B(i, j + 1))
    return result


def times_field(expression: sp.Expr, field: int) -> sp.Expr:
    """Stein's lemma: E[x_1 f] = (m_1 + C11 d1 + C12 d2) E[f], and likewise for field 2."""
    mean, own = (m1, C11) if field == 1 else (m2, C22)
    return mean * expression + own * d(expression, field) + C12 * d(expression, 3 - field)


def lower(expression: sp.Expr) -> sp.Expr:
    """The same combination in terms of B, B_1, B_2 and B_12 alone."""
    rules = dict(derivative_rules())

    def rule(i: int, j: int) -> sp.Expr:
        if (symbol := B(i, j)) not in rules and (i > 1 or j > 1):
            rules[symbol] = lower(d(rule(i - 1, j), 1) if i > 1 else d(rule(i, j - 1), 2))
        return rules.get(symbol, symbol)

    return expression.xreplace({symbol: rule(*orders) for symbol, orders in _orders(expression).items()})


@cache
def pair(ramp1: bool, ramp2: bool) -> tuple[sp.Expr, ...]:
    """E[X1 X2], E[X1' X2], E[X1 X2'], E[X1' X2'], E[X1'' X2], E[X1 X2''] of gates X = G or ramps X = x G, in terms of the B.

    >>> print(pair(True, True)[3])
    B - B_11*o1 + B_1122*o1*o2 - B_22*o2
    """

    def average(order1: int, order2: int) -> sp.Expr:
        # A ramp has R = x G, and R^(n) = G^(n-1) - o G^(n+1): for n = 1 since x G' = -o G'', beyond by differentiation.
        result: sp.Expr = sp.Integer(0)
        for a, i in [(sp.Integer(1), order1 - 1), (-o1, order1 + 1)] if ramp1 and order1 else [(sp.Integer(1), order1)]:
            for b, j in [(sp.Integer(1), order2 - 1), (-o2, order2 + 1)] if ramp2 and order2 else [(sp.Integer(1), order2)]:
                term = B(i, j)
                term = times_field(term, 1) if ramp1 and not order1 else term
                term = times_field(term, 2) if ramp2 and not order2 else term
                result += a * b * term
        return sp.expand(result)

    return tuple(average(i, j) for i, j in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2)))


@cache
def saad_solla() -> dict[str, sp.Expr]:
    """I2, J2, I3, I4 of erf units (o = 1) without means, in the covariances C_ab of up to four fields.

    J2 is the tilted pair. I2 follows from Price's theorem, dI2/dC12 = J2. I3 = E[g'(1) x2 g(3)] = C12 E[g''(1) g(3)] + C23 J2 by
    Stein's lemma. In I4 the two factors g' tilt the covariance of fields 3 and 4, which then meet as in I2.
    """
    C = sp.Matrix(4, 4, lambda i, j: sp.Symbol(f"C{min(i, j) + 1}{max(i, j) + 1}", positive=i == j, real=True))

    def J2(i: int, j: int) -> sp.Expr:
        return 2 / sp.pi / sp.sqrt((1 + C[i, i]) * (1 + C[j, j]) - C[i, j] ** 2)

    c = sp.Symbol("c", real=True)
    A = sp.Symbol("A", positive=True)
    slope = 2 / sp.pi / sp.sqrt(A**2 - c**2)  # J2 with A^2 = (1 + C11)(1 + C22)
    price = sp.integrate(slope, c)
    I2 = (price - price.subs(c, 0)).subs({c: C[0, 1], A: sp.sqrt((1 + C[0, 0]) * (1 + C[1, 1]))})
    # E[g''(1) g(3)] solves Stein's E[x1 g'(1) g(3)] = C11 E[g'' g] + C13 J2 = -E[g'' g].
    I3 = C[0, 1] * (-C[0, 2] * J2(0, 2) / (1 + C[0, 0])) + C[1, 2] * J2(0, 2)
    tilt = sp.Matrix([[1 + C[0, 0], C[0, 1]], [C[0, 1], 1 + C[1, 1]]])
    cross, L4 = C[2:, :2], tilt.det()
    # The tilted covariance is C34 - cross tilt^-1 cross'; times the determinant L4 it is a polynomial.
    tilted = (L4 * C[2:, 2:] - cross * tilt.adjugate() * cross.T).applyfunc(sp.expand)
    L0, L1, L2 = tilted[0, 1], sp.expand(L4 + tilted[0, 0]), sp.expand(L4 + tilted[1, 1])
    I4 = 4 / sp.pi**2 * sp.asin(L0 / sp.sqrt(L1 * L2)) / sp.sqrt(L4)
    return {"I2": I2, "J2": J2(0, 1), "I3": sp.factor(I3), "I4": I4}


def moment(exponents: Sequence[int]) -> sp.Expr:
    """E[x1^a1 x2^a2 ...] by Wick's theorem, expanded in means m_i and covariances C_ij.

    >>> moment([3, 1])
    3*C11*C12 + 3*C11*m1*m2 + 3*C12*m1**2 + m1**3*m2
    """
    return _wick(tuple(exponents))


@cache
def _wick(exponents: tuple[int, ...]) -> sp.Expr:
    n = len(exponents)
    first = next((i for i in range(n) if exponents[i]), None)
    if first is None:
        return sp.Integer(1)
    rest = list(exponents)
    rest[first] -= 1
    total = sp.Symbol(f"m{first + 1}", real=True) * _wick(tuple(rest))
    for j in range(n):
        if rest[j]:
            paired = list(rest)
            paired[j] -= 1
            i, k = min(first, j) + 1, max(first, j) + 1
            C = sp.Symbol(f"C{i}{k}", positive=True) if i == k else sp.Symbol(f"C{i}{k}", real=True)
            total += rest[j] * C * _wick(tuple(paired))
    return sp.expand(total)


def polynomial_average(polynomials: Sequence[sp.Expr], x: sp.Symbol) -> sp.Expr:
    """E[p1(x1) p2(x2) ...] of polynomials in `x`, each of its own field."""
    total: sp.Expr = sp.Integer(0)
    terms: list[tuple[sp.Expr, tuple[int, ...]]] = [(sp.Integer(1), ())]
    for polynomial in polynomials:
        powers = sp.Poly(polynomial, x).terms()
        terms = [(c * a, (*e, int(n[0]))) for c, e in terms for n, a in powers]
    for coefficient, exponents in terms:
        total += coefficient * _wick(exponents)
    return sp.expand(total)
