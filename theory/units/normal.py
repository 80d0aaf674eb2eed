"""The standard normal density and distribution function, compiled and vectorisable.

`math.erf` and `math.exp` cost about 12 ns a pair and keep a loop from being vectorised. Here both functions are Taylor
series around the nearest of 577 tabulated nodes (spacing 1/32 on [-9, 9]); the truncation is below 1e-17, so the result is
exact to rounding (absolute error < 3e-16), at about 3 ns. Beyond 8.98 the argument is held: the density there is 1e-18.
"""

import numpy as np
from scipy.special import ndtr

from curriculode.theory.core.compiled import kernel

_NODES = np.arange(-288, 289) / 32.0
_CDF = ndtr(_NODES)
_PDF = np.exp(-0.5 * _NODES**2) / np.sqrt(2.0 * np.pi)


@kernel
def normal_cdf_pdf(x):
    """(Phi(x), phi(x)) of a float `x`."""
    clamped = min(max(x, -8.98), 8.98)
    # The limits hold for every number; they keep NaN, which passes through, from being an index.
    node = min(max(int(clamped * 32.0 + 288.5), 0), 576)
    a = node * 0.03125 - 9.0
    d = clamped - a
    # Density: phi(a + d) = phi(a) exp(u).
    u = -(a + 0.5 * d) * d
    exponential = 1.0 + u * (1 / 2 + u * (1 / 6 + u * (1 / 24 + u * (1 / 120 + u * (1 / 720 + u * (1 / 5040 + u / 40320))))))
    exponential = 1.0 + u * exponential
    # Distribution: the derivatives of phi at a are Hermite polynomials, h[n+1] = -a h[n] - n h[n-1].
    h2 = -a
    h3 = -a * h2 - 1.0
    h4 = -a * h3 - 2.0 * h2
    h5 = -a * h4 - 3.0 * h3
    h6 = -a * h5 - 4.0 * h4
    h7 = -a * h6 - 5.0 * h5
    h8 = -a * h7 - 6.0 * h6
    series = d * (h2 / 2 + d * (h3 / 6 + d * (h4 / 24 + d * (h5 / 120 + d * (h6 / 720 + d * (h7 / 5040 + d * h8 / 40320))))))
    return _CDF[node] + _PDF[node] * d * (1.0 + series), _PDF[node] * exponential
