"""The one-dimensional minimisation that each example leaves behind, and its response.

    h*(omega) = argmin_h (h - omega)^2 / (2 V) + l(y, h),    f = (h* - omega) / V,    df = df/d omega

for the label y = +1; that of y = -1 is its mirror image, f(-1, -omega) = -f(+1, omega). With y = 1

| loss     | l(1, h)          | f                                        | df                          |
| -------- | ---------------- | ---------------------------------------- | --------------------------- |
| squared  | (1 - h)^2 / 2    | (1 - omega) / (1 + V)                    | -1 / (1 + V)                |
| logistic | ln(1 + exp(-h))  | sigma(-h*), h* - V sigma(-h*) = omega    | -s / (1 + V s), s = f (1-f) |
| hinge    | max(0, 1 - h)    | (1 - omega) / V, within [0, 1]           | -1 / V there, 0 outside     |

V > 0 is the variance of the field that the example itself takes away. To add a loss: a code, a branch here, its natural scale
in `theory/batch/averages.py`, its minimisation in `sims/minimizers.py`.
"""

import math

from curriculode.theory.core.compiled import kernel

SQUARED, LOGISTIC, HINGE = range(3)
BATCH_LOSSES: dict[str, int] = {"squared": SQUARED, "logistic": LOGISTIC, "hinge": HINGE}
_MOST_STEPS = 100


@kernel
def response(code, omega, V):
    """(f, df) at the field `omega` of an example with label +1; V > 0."""
    if code == SQUARED:
        return (1.0 - omega) / (1.0 + V), -1.0 / (1.0 + V)
    if code == HINGE:
        if omega >= 1.0:
            return 0.0, 0.0
        if omega <= 1.0 - V:
            return 1.0, 0.0
        return (1.0 - omega) / V, -1.0 / V
    f = logistic_response(omega, V)
    s = f * (1.0 - f)
    return f, -s / (1.0 + V * s)


@kernel
def logistic_response(omega, V):
    """f = sigma(-h), h the root of h - V sigma(-h) = omega, by Newton's method, which approaches it from one side.

    The excess h - V sigma(-h) - omega increases, and it is concave above h = 0 and convex below: from the end of the bracket
    [omega, omega + V] that is nearer to 0 (or from 0 within it) no step passes the root.
    """
    h = max(0.0, omega) if omega > -0.5 * V else min(0.0, omega + V)
    for _ in range(_MOST_STEPS):
        f = 1.0 / (1.0 + math.exp(h))
        step = (h - V * f - omega) / (1.0 + V * f * (1.0 - f))
        h -= step
        if abs(step) <= 1e-9 * (1.0 + abs(h)):  # the next would be below rounding, as steps shrink quadratically
            break
    return 1.0 / (1.0 + math.exp(h))


@kernel
def loss_of(code, h):
    """l(1, h), the loss of an output h where the label is +1."""
    if code == SQUARED:
        return 0.5 * (1.0 - h) * (1.0 - h)
    if code == HINGE:
        return max(0.0, 1.0 - h)
    return max(-h, 0.0) + math.log1p(math.exp(-abs(h)))
