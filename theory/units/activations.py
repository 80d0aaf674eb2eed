"""Activations g of the committee, with g' and g''.

| name      | g(x)          | g'(x)             | g''(x)           |
| --------- | ------------- | ----------------- | ---------------- |
| erf       | erf(x/sqrt 2) | 2 phi(x)          | -2 x phi(x)      |
| relu      | max(x, 0)     | step(x)           | delta(x)         |
| gelu      | x Phi(x)      | Phi(x) + x phi(x) | (2 - x^2) phi(x) |
| linear    | x             | 1                 | 0                |
| quadratic | x^2           | 2 x               | 2                |
| tanh      | tanh x        | 1 - tanh^2 x      | -2 g g'          |
| hermite-n | He_n(x)/sqrt n! | sqrt n hermite-(n-1) | sqrt n(n-1) hermite-(n-2) |

phi and Phi are the standard normal density and distribution; the Hermite units, n = 1 to 12, are orthonormal under it (their
degree is the information exponent of the unit). The kernels work on contiguous float arrays of any one
shape flattened by the caller, and branch on the activation once per array, so that each loop is vectorised.

To add one: a code, a branch in `evaluate` and in `evaluate_curved`, an entry in `ACTIVATIONS`.
"""

import difflib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError
from curriculode.theory.units.normal import normal_cdf_pdf

ERF, RELU, GELU, LINEAR, QUADRATIC, TANH = range(6)
SIGN = 6  # of teachers only: it has no derivative to learn by
HERMITE = 100  # + n: the normalised Hermite polynomial of degree n
HIGHEST_DEGREE = 12  # beyond, the powers of a normal variable that average to O(1) cancel to few digits


@kernel
def hermite(n, x):
    """He_n(x) / sqrt(n!) and its first two derivatives, from sqrt(j + 1) h_{j+1} = x h_j - sqrt(j) h_{j-1}."""
    last, value, before = 0.0, 1.0, 0.0
    for j in range(n):
        before, last, value = last, value, (x * value - math.sqrt(j) * last) / math.sqrt(j + 1.0)
    return value, math.sqrt(n) * last, math.sqrt(n * (n - 1.0)) * before


@kernel
def evaluate(code, x, g, dg):
    """Write g(x) and g'(x) into `g` and `dg`; all three float64 arrays of shape (n,)."""
    if code == ERF:
        for i in range(x.size):
            cdf, pdf = normal_cdf_pdf(x[i])
            g[i] = 2.0 * cdf - 1.0
            dg[i] = 2.0 * pdf
    elif code == GELU:
        for i in range(x.size):
            cdf, pdf = normal_cdf_pdf(x[i])
            g[i] = x[i] * cdf
            dg[i] = cdf + x[i] * pdf
    elif code == RELU:
        for i in range(x.size):
            g[i] = max(x[i], 0.0)
            dg[i] = 1.0 if x[i] > 0.0 else 0.0
    elif code == LINEAR:
        for i in range(x.size):
            g[i] = x[i]
            dg[i] = 1.0
    elif code == QUADRATIC:
        for i in range(x.size):
            g[i] = x[i] * x[i]
            dg[i] = 2.0 * x[i]
    elif code == SIGN:
        for i in range(x.size):
            g[i] = 1.0 if x[i] > 0.0 else -1.0
            dg[i] = 0.0
    elif code > HERMITE:
        for i in range(x.size):
            g[i], dg[i], _ = hermite(code - HERMITE, x[i])
    else:
        for i in range(x.size):
            g[i] = math.tanh(x[i])
            dg[i] = 1.0 - g[i] * g[i]


@kernel
def evaluate_curved(code, x, g, dg, d2g):
    """As `evaluate`, and the regular part of g''(x) into `d2g`; ReLU's delta function is the caller's to handle."""
    if code == ERF:
        for i in range(x.size):
            cdf, pdf = normal_cdf_pdf(x[i])
            g[i] = 2.0 * cdf - 1.0
            dg[i] = 2.0 * pdf
            d2g[i] = -2.0 * x[i] * pdf
    elif code == GELU:
        for i in range(x.size):
            cdf, pdf = normal_cdf_pdf(x[i])
            g[i] = x[i] * cdf
            dg[i] = cdf + x[i] * pdf
            d2g[i] = (2.0 - x[i] * x[i]) * pdf
    else:
        evaluate(code, x, g, dg)
        if code == QUADRATIC:
            d2g[:] = 2.0
        elif code > HERMITE:
            for i in range(x.size):
                d2g[i] = hermite(code - HERMITE, x[i])[2]
        elif code == TANH:
            for i in range(x.size):
                d2g[i] = -2.0 * g[i] * dg[i]
        else:
            d2g[:] = 0.0


@dataclass(frozen=True)
class Activation:
    """An activation by name, its code in the kernels, and what the averages need to know of it."""

    name: str
    code: int
    formula: str
    kinked: bool = False  # g' jumps by one at 0: g'' is a delta function there

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Value g(x), elementwise."""
        return self._evaluate(x)[0]

    def derivative(self, x: ArrayLike) -> np.ndarray:
        """Derivative g'(x), elementwise."""
        return self._evaluate(x)[1]

    def _evaluate(self, x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        x = np.asarray(x, dtype=float)
        g, dg = np.empty(x.size), np.empty(x.size)
        evaluate(self.code, np.ascontiguousarray(x).ravel(), g, dg)
        return g.reshape(x.shape), dg.reshape(x.shape)


ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation("erf", ERF, "erf(x/sqrt 2)"),
        Activation("relu", RELU, "max(x, 0)", kinked=True),
        Activation("gelu", GELU, "x Phi(x)"),
        Activation("linear", LINEAR, "x"),
        Activation("quadratic", QUADRATIC, "x^2"),
        Activation("tanh", TANH, "tanh x"),
        *(Activation(f"hermite-{n}", HERMITE + n, f"He_{n}(x)/sqrt({n}!)") for n in range(1, HIGHEST_DEGREE + 1)),
    )
}
_LISTED = f"erf, relu, gelu, linear, quadratic, tanh, hermite-1 ... hermite-{HIGHEST_DEGREE}"


def polynomial_coefficients(code: int) -> np.ndarray | None:
    """Coefficients of the powers of x, from x^0 up, of a polynomial activation; None for the others.

    >>> polynomial_coefficients(ACTIVATIONS["hermite-2"].code) * 2**0.5
    array([-1.,  0.,  1.])
    """
    if code == LINEAR:
        return np.array([0.0, 1.0])
    if code == QUADRATIC:
        return np.array([0.0, 0.0, 1.0])
    if code > HERMITE:
        n = code - HERMITE
        return np.polynomial.hermite_e.herme2poly([0.0] * n + [1.0]) / math.sqrt(math.factorial(n))
    return None


def activation(name: str) -> Activation:
    """Return the activation called `name`; `InputError` where there is none.

    >>> float(activation("relu")(-2.0))
    0.0
    """
    if name not in ACTIVATIONS:
        near = difflib.get_close_matches(str(name), ACTIVATIONS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(f"activation {name!r} is unknown{hint}; allowed: {_LISTED}")
    return ACTIVATIONS[name]
