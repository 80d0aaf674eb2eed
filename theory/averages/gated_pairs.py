"""Exact averages over one or two fields *with means*, for units built of a smoothed step: erf, sign, ReLU, GELU.

A gate is G(x) = Phi(x / sqrt o), a step where o = 0; a ramp is R(x) = x G(x):

    sign = 2 G - 1, o = 0;    erf(x / sqrt 2) = 2 G - 1, o = 1;    ReLU = R, o = 0;    GELU = R, o = 1.

Two gates of jointly Gaussian fields are a bivariate normal cdf, since a gate is a step behind one more normal of variance o:

    B(m1, m2) = E[G1 G2] = Phi2(m1 / sqrt S1, m2 / sqrt S2; C12 / sqrt(S1 S2)),     S_a = C_aa + o_a,  D = S1 S2 - C12^2.

Everything else follows by differentiation. Derivatives of units are derivatives with respect to means, a factor x1 is
m1 + C11 d1 + C12 d2 (Stein), x G' = -o G'', hence R' = G - o G'' and R'' = G' - o G'''; and with B12 = d1 d2 B

    B1 = phi(h1) Phi((h2 - rho h1) / sqrt(1 - rho^2)) / sqrt S1,
    B12 = exp(-(m1^2 S2 - 2 m1 m2 C12 + m2^2 S1) / 2D) / (2 pi sqrt D),
    B11 = -(m1 B1 + C12 B12) / S1,     B112 = -B12 (m1 S2 - C12 m2) / D.

Only ReLU pairs meet singular covariances (D = 0: a student aligned with its teacher, a unit with itself); there B12 occurs
as D B12 alone, and its limit is taken. The derivation is redone by sympy in `theory.averages.derivation`.
"""

import math

import numpy as np

from curriculode.theory.averages.bivariate_normal import ROUNDING, bivariate_normal_cdf, normal_cdf
from curriculode.theory.core.compiled import inner, kernel
from curriculode.theory.units.activations import ERF, GELU, RELU, SIGN

GATED = (ERF, RELU, GELU, SIGN)


# sqrt(1 - rho^2) below which two fields are one up to a factor: what rounding leaves of D is noise there, and D B12 < 1e-8 S.
_REGULAR = 4e-8
# A variance may be this far below zero by rounding (variances are of order one); further there are no such fields: NaN.
_NO_SCATTER = -1e-9


@kernel
def gated(code):
    """(whether it is a ramp, o, slope, offset): the unit `code` is slope * (gate or ramp) + offset; NaN for any other."""
    if code == ERF:
        return False, 1.0, 2.0, -1.0
    if code == SIGN:
        return False, 0.0, 2.0, -1.0
    if code == GELU:
        return True, 1.0, 1.0, 0.0
    if code == RELU:
        return True, 0.0, 1.0, 0.0
    return True, np.nan, np.nan, np.nan


@kernel
def single(ramp, o, m, C):
    """(E[X], E[X'], E[X'']) of a gate or ramp X of one field of mean m and variance C."""
    S = C + o
    if not C >= _NO_SCATTER:
        return np.nan, np.nan, np.nan
    if S <= 0.0:
        # A field without scatter under a hard step: no density at the step.
        G = 0.5 + 0.5 * np.sign(m)
        return (m * G if ramp else G), (G if ramp else 0.0), 0.0
    root = math.sqrt(S)
    G = normal_cdf(m / root)
    G1 = math.exp(-0.5 * m * m / S) / (math.sqrt(2.0 * np.pi) * root)
    G11 = -m * G1 / S
    if not ramp:
        return G, G1, G11
    return m * G + C * G1, G - o * G11, G1 + o * (G1 + m * G11) / S


@inner
def third_of_ramp(o, m, C):
    """The derivative with m of E[R''] of a ramp of one field of mean m and variance C."""
    S = C + o
    if S <= 0.0:
        return 0.0
    G1 = math.exp(-0.5 * m * m / S) / math.sqrt(2.0 * np.pi * S)
    G11 = -m * G1 / S
    return G11 + o * (2.0 * G11 - m * (G1 + m * G11) / S) / S


@kernel
def pair(ramp1, o1, ramp2, o2, m1, m2, C11, C12, C22):
    """(E[X1 X2], E[X1' X2], E[X1 X2'], E[X1' X2'], E[X1'' X2], E[X1 X2'']) of gates or ramps X of two fields.

    E[X''] of a hard gate is never asked for (a sign unit does not learn), and without meaning here.
    """
    S1, S2 = C11 + o1, C22 + o2
    if not (C11 >= _NO_SCATTER and C22 >= _NO_SCATTER):
        return np.nan, np.nan, np.nan, np.nan, np.nan, np.nan
    if S1 <= 0.0 or S2 <= 0.0:
        # A field without scatter is its mean.
        X1, X1d, X1dd = single(ramp1, o1, m1, C11)
        X2, X2d, X2dd = single(ramp2, o2, m2, C22)
        return X1 * X2, X1d * X2, X1 * X2d, X1d * X2d, X1dd * X2, X1 * X2dd
    root1, root2 = math.sqrt(S1), math.sqrt(S2)
    h1, h2 = m1 / root1, m2 / root2
    rho = C12 / (root1 * root2)
    D = S1 * S2 - C12 * C12
    B12, inverse, regular = 0.0, 0.0, _REGULAR
    if D > _REGULAR * _REGULAR * S1 * S2:
        inverse = 1.0 / D
        regular = math.sqrt(D / (S1 * S2))
        B12 = math.exp(-0.5 * (m1 * m1 * S2 - 2.0 * m1 * m2 * C12 + m2 * m2 * S1) * inverse) / (2.0 * np.pi * math.sqrt(D))
    elif D >= -2.0 * ROUNDING * S1 * S2:
        rho = math.copysign(1.0, rho)
    else:
        return np.nan, np.nan, np.nan, np.nan, np.nan, np.nan
    B = bivariate_normal_cdf(h1, h2, rho)
    B1 = math.exp(-0.5 * h1 * h1) / (math.sqrt(2.0 * np.pi) * root1) * normal_cdf((h2 - rho * h1) / regular)
    B2 = math.exp(-0.5 * h2 * h2) / (math.sqrt(2.0 * np.pi) * root2) * normal_cdf((h1 - rho * h2) / regular)
    B11 = -(m1 * B1 + C12 * B12) / S1
    B22 = -(m2 * B2 + C12 * B12) / S2
    if not ramp1 and not ramp2:
        return B, B1, B2, B12, B11, B22
    u1, u2 = (m1 * S2 - C12 * m2) * inverse, (m2 * S1 - C12 * m1) * inverse
    B112, B122 = -B12 * u1, -B12 * u2
    B111 = -(B1 + m1 * B11 + C12 * B112) / S1
    B222 = -(B2 + m2 * B22 + C12 * B122) / S2
    if ramp1 and not ramp2:
        return _ramp_gate(o1, m1, C11, C12, B, B1, B2, B12, B11, B22, B112, B122, B111, B222)
    if ramp2 and not ramp1:
        X, X2, X1, X12, X22, X11 = _ramp_gate(o2, m2, C22, C12, B, B2, B1, B12, B22, B11, B122, B112, B222, B111)
        return X, X1, X2, X12, X11, X22
    if o1 == 0.0 and o2 == 0.0:
        # E[x1 x2 step step]; the delta functions of R'' pin one field at 0.
        X = (m1 * m2 + C12) * B + C11 * m2 * B1 + C22 * m1 * B2 + D * B12
        X1 = m2 * B + C12 * B1 + C22 * B2
        X2 = m1 * B + C11 * B1 + C12 * B2
        return X, X1, X2, B, (m2 - C12 * m1 / S1) * B1 + D / S1 * B12, (m1 - C12 * m2 / S2) * B2 + D / S2 * B12
    # L2 = m2 + C12 d1 + C22 d2 on G1, R1' = G1 - o1 G1'' and R1'' = G1' - o1 G1'''; L1 likewise.
    B1112 = -B112 * u1 - B12 * S2 * inverse
    B1222 = -B122 * u2 - B12 * S1 * inverse
    B1122 = -B122 * u1 + B12 * C12 * inverse
    B1111 = -(2.0 * B11 + m1 * B111 + C12 * B1112) / S1
    B2222 = -(2.0 * B22 + m2 * B222 + C12 * B1222) / S2
    X = (m1 * m2 + C12) * B + (m1 * C12 + C11 * m2) * B1 + (m1 * C22 + C12 * m2) * B2
    X += C11 * C12 * B11 + (C11 * C22 + C12 * C12) * B12 + C12 * C22 * B22
    X1 = m2 * (B - o1 * B11) + C12 * (B1 - o1 * B111) + C22 * (B2 - o1 * B112)
    X2 = m1 * (B - o2 * B22) + C11 * (B1 - o2 * B122) + C12 * (B2 - o2 * B222)
    X12 = B - o1 * B11 - o2 * B22 + o1 * o2 * B1122
    X11 = m2 * (B1 - o1 * B111) + C12 * (B11 - o1 * B1111) + C22 * (B12 - o1 * B1112)
    X22 = m1 * (B2 - o2 * B222) + C11 * (B12 - o2 * B1222) + C12 * (B22 - o2 * B2222)
    return X, X1, X2, X12, X11, X22


@inner
def _ramp_gate(o, m, C, C12, B, B1, B2, B12, B11, B22, B112, B122, B111, B222):
    """Ramp of field 1 (o, m, C), gate of field 2: L1 = m + C d1 + C12 d2 on R1 = x1 G1, R1' = G1 - o G1'', R1'' = G1' - o G1'''."""
    X = m * B + C * B1 + C12 * B2
    X2 = m * B2 + C * B12 + C12 * B22
    X22 = m * B22 + C * B122 + C12 * B222
    if o == 0.0:
        return X, B, X2, B2, B1, X22
    return X, B - o * B11, X2, B2 - o * B112, B1 - o * B111, X22
