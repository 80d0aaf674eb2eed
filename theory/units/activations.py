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

A user's own come by `register_activation`; see `own_units` for how kernels call them. A code that is none gives NaN.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import numbers
from curriculode.theory.core.compiled import kernel
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.registry import Registry
from curriculode.theory.units.normal import normal_cdf_pdf
from curriculode.theory.units.own_units import call_by_address, check_unit, checked_kinks, compile_unit, is_own_unit, module_of

ERF, RELU, GELU, LINEAR, QUADRATIC, TANH = range(6)
SIGN = 6  # of teachers only: it has no derivative to learn by
HERMITE = 100  # + n: the normalised Hermite polynomial of degree n
HIGHEST_DEGREE = 12  # beyond, the powers of a normal variable that average to O(1) cancel to few digits
OWN = 2**20  # greater codes are addresses of a user's own units: no code lies so low in memory


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
    elif code == TANH:
        for i in range(x.size):
            g[i] = math.tanh(x[i])
            dg[i] = 1.0 - g[i] * g[i]
    elif HERMITE < code <= HERMITE + HIGHEST_DEGREE:
        for i in range(x.size):
            g[i], dg[i], _ = hermite(code - HERMITE, x[i])
    elif code > OWN:
        call_by_address(code, x, g, dg, None)
    else:
        g[:] = np.nan
        dg[:] = np.nan


@kernel
def evaluate_curved(code, x, g, dg, d2g):
    """As `evaluate`, and the regular part of g''(x) into `d2g`; the delta functions at kinks are the caller's to handle."""
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
    elif code > OWN:
        call_by_address(code, x, g, dg, d2g)
    else:
        evaluate(code, x, g, dg)
        if code in (RELU, LINEAR, SIGN):
            d2g[:] = 0.0
        elif code == QUADRATIC:
            d2g[:] = 2.0
        elif code == TANH:
            for i in range(x.size):
                d2g[i] = -2.0 * g[i] * dg[i]
        elif HERMITE < code <= HERMITE + HIGHEST_DEGREE:
            for i in range(x.size):
                d2g[i] = hermite(code - HERMITE, x[i])[2]
        else:
            d2g[:] = np.nan


def is_known_code(code: int) -> bool:
    """Whether kernels may be called with that code: any other beyond `OWN` would be called as an address."""
    return code in range(SIGN + 1) or HERMITE < code <= HERMITE + HIGHEST_DEGREE or is_own_unit(code)


@dataclass(frozen=True)
class Activation:
    """An activation by name, its code in the kernels, and what the averages need to know of it.

    Parameters
    ----------
    name : str
        Its name in files.
    code : int
        That of the kernels.
    formula : str
        g(x) in words.
    kinks : tuple of (float, float), optional
        Place and jump of g' there of each; g'' has a delta function of that weight.
    odd : bool, default False
        Whether g(-x) = -g(x).
    module : str, optional
        Where a user's own is written.
    """

    name: str
    code: int
    formula: str
    kinks: tuple[tuple[float, float], ...] = ()
    odd: bool = False
    module: str = ""

    @property
    def kinked(self) -> bool:
        """Whether g' jumps somewhere."""
        return bool(self.kinks)

    def __reduce__(self) -> Any:
        # An address means nothing to another process, which has to register the unit itself; its name does.
        if self.code > OWN:
            return activation, (self.name,)
        return Activation, (self.name, self.code, self.formula, self.kinks, self.odd, self.module)

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Value g(x), elementwise."""
        return self._evaluate(x)[0]

    def derivative(self, x: ArrayLike) -> np.ndarray:
        """Return the derivative g'(x), elementwise.

        Parameters
        ----------
        x : array_like of float
            Of any shape.

        Returns
        -------
        ndarray
            Of the shape of x.
        """
        return self._evaluate(x)[1]

    def _evaluate(self, x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        x = numbers("x", x, finite=False)
        g, dg = np.empty(x.size), np.empty(x.size)
        evaluate(self.code, np.ascontiguousarray(x).ravel(), g, dg)
        return g.reshape(x.shape), dg.reshape(x.shape)


_LISTED = f"erf, relu, gelu, linear, quadratic, tanh, hermite-1 ... hermite-{HIGHEST_DEGREE}"
ACTIVATIONS: Registry[Activation] = Registry("activation", _LISTED)
for _built_in in (
    Activation("erf", ERF, "erf(x/sqrt 2)", odd=True),
    Activation("relu", RELU, "max(x, 0)", kinks=((0.0, 1.0),)),
    Activation("gelu", GELU, "x Phi(x)"),
    Activation("linear", LINEAR, "x", odd=True),
    Activation("quadratic", QUADRATIC, "x^2"),
    Activation("tanh", TANH, "tanh x", odd=True),
    *(Activation(f"hermite-{n}", HERMITE + n, f"He_{n}(x)/sqrt({n}!)", odd=n % 2 == 1) for n in range(1, HIGHEST_DEGREE + 1)),
):
    ACTIVATIONS.add(_built_in.name, _built_in)


@checked(g=inside, derivative=inside, second_derivative=inside, kinks=inside, name=inside, odd=inside)
def register_activation(
    name: str,
    g: Callable[[float], float],
    derivative: Callable[[float], float],
    second_derivative: Callable[[float], float] | None = None,
    *,
    kinks: Mapping[float, float] | None = None,
    formula: str = "",
    odd: bool = False,
) -> Activation:
    """Make an activation of your own known by `name`, to students and teachers alike, in files and on the command line.

    Its averages are those of quasi-Monte Carlo nets. The same module may register a name again.

    Parameters
    ----------
    name : str
        As in `Committee(activation=name)`.
    g, derivative : callable
        Functions of one number, in Python or compiled by `numba.njit`.
    second_derivative : callable, optional
        Another; where it is left out, a difference of `derivative` (to about 1e-12).
    kinks : mapping of float to float, optional
        Place -> jump of g' there, where g has kinks, as {0.0: 0.9} of max(x, x / 10); `second_derivative` is needed then, and is
        that between them.
    formula : str, optional
        In words, for tables.
    odd : bool, default False
        Whether g(-x) = -g(x).

    Returns
    -------
    Activation
        The activation, a function of arrays.

    Raises
    ------
    InputError
        Where functions cannot be compiled, are not finite on [-6, 6], or where derivatives are not those of g.

    Examples
    --------
    >>> import math
    >>> softplus = register_activation("my-softplus", lambda x: math.log1p(math.exp(x)), lambda x: 1 / (1 + math.exp(-x)))
    >>> float(softplus(0.0)) == math.log(2)
    True
    """
    if not isinstance(name, str) or len(name) > 100:
        raise InputError(f"activation {shown(name)} cannot be registered; give a name, such as 'my-activation'")
    pairs = checked_kinks(name, kinks)
    if pairs and second_derivative is None:
        raise InputError(f"activation {shown(name)} has kinks; give second_derivative, that of g between them")
    if not isinstance(odd, bool):
        raise InputError(f"activation {name!r}: odd = {shown(odd)} is not allowed; it must be True or False")
    code = compile_unit(name, g, derivative, second_derivative)

    def curved(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        evaluate_curved(code, x, *rows)
        return rows

    check_unit(name, curved, pairs, odd, second_derivative is not None)
    module = module_of(g, derivative)
    return ACTIVATIONS.add(name, Activation(name, code, formula or name, pairs, odd, module), module)


def polynomial_coefficients(code: int) -> np.ndarray | None:
    """Coefficients of the powers of x, from x^0 up, of a polynomial activation; None for the others.

    >>> polynomial_coefficients(ACTIVATIONS["hermite-2"].code) * 2**0.5
    array([-1.,  0.,  1.])
    """
    if code == LINEAR:
        return np.array([0.0, 1.0])
    if code == QUADRATIC:
        return np.array([0.0, 0.0, 1.0])
    if HERMITE < code <= HERMITE + HIGHEST_DEGREE:
        n = code - HERMITE
        return np.polynomial.hermite_e.herme2poly([0.0] * n + [1.0]) / math.sqrt(math.factorial(n))
    return None


def activation(name: str) -> Activation:
    """Return the activation called `name`; `InputError` where there is none.

    >>> float(activation("relu")(-2.0))
    0.0
    """
    return ACTIVATIONS[name]
