"""Losses l(f, y) and their error signals e = dl/df.

| name     | l(f, y)                  | e                    | de/df               |
| -------- | ------------------------ | -------------------- | ------------------- |
| squared  | (f - y)^2 / 2            | f - y                | 1                   |
| logistic | ln(1 + exp(-y f)), y=+-1 | -y / (1 + exp(y f))  | 1/(4 cosh^2(yf/2))  |

To add one: a code, a branch in each of the three kernels, an entry in `LOSSES`. A code that is none gives NaN.
"""

import math

import numpy as np

from curriculode.theory.core.compiled import kernel

SQUARED, LOGISTIC = range(2)
LOSSES: dict[str, int] = {"squared": SQUARED, "logistic": LOGISTIC}


@kernel
def loss(code, f, y):
    """Loss l(f, y) of floats f (output) and y (label)."""
    if code == SQUARED:
        return 0.5 * (f - y) * (f - y)
    # One branch and a choice: loops over the squared loss are vectorised with one branch, and not with two.
    margin = y * f
    logistic = max(-margin, 0.0) + math.log1p(math.exp(-abs(margin)))
    return logistic if code == LOGISTIC else np.nan


@kernel
def error_signal(code, f, y):
    """Error signal e = dl/df."""
    if code == SQUARED:
        return f - y
    # No branch on the sign is needed: exp overflows to inf, and 1/inf is the right 0.
    logistic = -y / (1.0 + math.exp(y * f))
    return logistic if code == LOGISTIC else np.nan


@kernel
def error_slope(code, f, y):
    """Slope de/df = d2l/df2 of the error signal."""
    if code == SQUARED:
        return 1.0
    sigmoid = 1.0 / (1.0 + math.exp(y * f))
    logistic = sigmoid * (1.0 - sigmoid)
    return logistic if code == LOGISTIC else np.nan
