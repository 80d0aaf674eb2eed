"""Plain-numpy twins of the compiled functions, written from their definitions alone."""

import math

import numpy as np
from scipy import special


def density(x: np.ndarray) -> np.ndarray:
    """Standard normal density."""
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


# name -> g, g', regular part of g''
ACTIVATIONS = {
    "erf": (lambda x: special.erf(x / np.sqrt(2)), lambda x: 2 * density(x), lambda x: -2 * x * density(x)),
    "relu": (lambda x: np.where(x > 0, x, 0), lambda x: (x > 0) * 1.0, lambda x: 0 * x),
    "gelu": (
        lambda x: x * special.ndtr(x),
        lambda x: special.ndtr(x) + x * density(x),
        lambda x: (2 - x * x) * density(x),
    ),
    "linear": (lambda x: x, lambda x: 1 + 0 * x, lambda x: 0 * x),
    "quadratic": (lambda x: x**2, lambda x: 2 * x, lambda x: 2 + 0 * x),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2, lambda x: -2 * np.tanh(x) / np.cosh(x) ** 2),
}
for _n in range(1, 13):
    _p = np.polynomial.HermiteE([0] * _n + [1 / math.sqrt(math.factorial(_n))])
    ACTIVATIONS[f"hermite-{_n}"] = (_p, _p.deriv(1), _p.deriv(2) if _n > 1 else lambda x: 0 * x)
LOSSES = {"squared": lambda f, y: 0.5 * (f - y) ** 2, "logistic": lambda f, y: np.logaddexp(0, -y * f)}
SIGNALS = {"squared": lambda f, y: f - y, "logistic": lambda f, y: -y / (1 + np.exp(y * f))}
