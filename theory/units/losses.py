"""Losses l(f, y) and their error signals e = dl/df.

| name     | l(f, y)                  | e                    | de/df               |
| -------- | ------------------------ | -------------------- | ------------------- |
| squared  | (f - y)^2 / 2            | f - y                | 1                   |
| logistic | ln(1 + exp(-y f)), y=+-1 | -y / (1 + exp(y f))  | 1/(4 cosh^2(yf/2))  |

To add one: a code, a branch in each of the three kernels, an entry in `LOSSES`.
"""

import math

from curriculode.theory.core.compiled import kernel

SQUARED, LOGISTIC = range(2)
LOSSES: dict[str, int] = {"squared": SQUARED, "logistic": LOGISTIC}


@kernel
def loss(code, f, y):
    """Loss l(f, y) of floats f (output) and y (label)."""
    if code == SQUARED:
        return 0.5 * (f - y) * (f - y)
    margin = y * f
    return max(-margin, 0.0) + math.log1p(math.exp(-abs(margin)))


@kernel
def error_signal(code, f, y):
    """Error signal e = dl/df."""
    if code == SQUARED:
        return f - y
    # No branch on the sign is needed: exp overflows to inf, and 1/inf is the right 0.
    return -y / (1.0 + math.exp(y * f))


@kernel
def error_slope(code, f, y):
    """Slope de/df = d2l/df2 of the error signal."""
    if code == SQUARED:
        return 1.0
    sigmoid = 1.0 / (1.0 + math.exp(y * f))
    return sigmoid * (1.0 - sigmoid)
