"""Minimise the objective of one slice at finite D, to a stated accuracy.

    L(w) = sum_mu l(w . x_mu, y_mu) + (gamma / 2) |w|^2 + (tie / 2) |w - w_prev|^2,      x_mu here divided by sqrt(D)

L is strongly convex with constant G = gamma + tie, so the distance of w from the minimiser, a root mean square over the weights,
is certified: at most |grad L| / (G sqrt(D)), and sqrt(2 gap / (G D)) where a dual bound leaves a gap.

* squared: linear equations, by Cholesky's factorisation, in the weights or (fewer examples than weights) in the examples;
* logistic: L-BFGS on the weights;
* hinge: L has kinks, its dual is smooth: max b . a - |Z' a|^2 / (2 G) over 0 <= a_mu <= 1, Z = y x, b = 1 - tie Z w_prev / G, by
  L-BFGS-B; then w = (tie w_prev + Z' a) / G, and the examples on the margin are solved for exactly.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigvalsh, lstsq
from scipy.optimize import minimize
from scipy.special import expit

_OPTIONS = {"maxiter": 20_000, "maxfun": 40_000, "maxcor": 20, "ftol": 0.0}
_POLISHES = 5

Minimizer = Callable[[np.ndarray, np.ndarray, float, float, np.ndarray, float], tuple[np.ndarray, float]]


def squared(
    x: np.ndarray, y: np.ndarray, gamma: float, tie: float, w_prev: np.ndarray, tolerance: float
) -> tuple[np.ndarray, float]:
    """Minimiser (D,) for x (n, D) and y (n,), and its certified distance; `tolerance` is met by far."""
    (n, D), G = x.shape, gamma + tie
    if n < D and G > 0:  # w = (tie w_prev + x' c) / G, with c the residuals
        kernel = x @ x.T
        kernel[np.diag_indices(n)] += G
        c = cho_solve(cho_factor(kernel, overwrite_a=True), G * y - tie * (x @ w_prev))
        w = (tie * w_prev + x.T @ c) / G
        smallest = G
    else:
        hessian = x.T @ x
        hessian[np.diag_indices(D)] += G
        smallest = G if G > 0 else float(eigvalsh(hessian, subset_by_index=[0, 0])[0])
        w = cho_solve(cho_factor(hessian, overwrite_a=True), x.T @ y + tie * w_prev)
    gradient = x.T @ (x @ w - y) + G * w - tie * w_prev
    return w, float(np.linalg.norm(gradient) / (smallest * np.sqrt(D)))


def logistic(
    x: np.ndarray, y: np.ndarray, gamma: float, tie: float, w_prev: np.ndarray, tolerance: float
) -> tuple[np.ndarray, float]:
    """Minimiser (D,) for x (n, D) and y (n,) = +-1, and its certified distance, stopped once that is below `tolerance`."""
    z, G = y[:, None] * x, gamma + tie

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = z @ w
        value = np.logaddexp(0.0, -margin).sum() + 0.5 * G * (w @ w) - tie * (w @ w_prev)
        return value, G * w - tie * w_prev - expit(-margin) @ z

    found = minimize(objective, w_prev, jac=True, method="L-BFGS-B", options={**_OPTIONS, "gtol": 0.5 * tolerance * G})
    return found.x, float(np.linalg.norm(objective(found.x)[1]) / (G * np.sqrt(w_prev.size)))


def hinge(x: np.ndarray, y: np.ndarray, gamma: float, tie: float, w_prev: np.ndarray, tolerance: float) -> tuple[np.ndarray, float]:
    """Minimiser (D,) for x (n, D) and y (n,) = +-1, and its certified distance, from the gap of the dual."""
    (n, D), G = x.shape, gamma + tie
    z = y[:, None] * x
    b = 1.0 - (tie / G) * (z @ w_prev)
    gram = z @ z.T / G if n <= 2 * D else None

    def times(a: np.ndarray) -> np.ndarray:
        return gram @ a if gram is not None else z @ (a @ z) / G

    def objective(a: np.ndarray) -> tuple[float, np.ndarray]:
        product = times(a)
        return 0.5 * (a @ product) - b @ a, product - b

    def distance(a: np.ndarray) -> float:
        # Primal minus dual: each example's l + a (margin - 1), which is never negative, so that nothing cancels.
        margin = 1.0 - b + times(a)
        return float(np.sqrt(2.0 * np.sum(np.maximum(0.0, 1.0 - margin) + a * (margin - 1.0)) / (G * D)))

    # The gap is at most n times the projected gradient.
    accuracy = 0.5 * tolerance**2 * G * D / n
    found = minimize(
        objective,
        np.full(n, 0.5),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * n,
        options={**_OPTIONS, "gtol": max(accuracy, 1e-9)},
    )
    a, reached = found.x, distance(found.x)
    for _ in range(_POLISHES):
        if reached <= tolerance:
            break
        # Examples strictly inside (0, 1) lie on the margin: linear equations for them, the others held.
        inside = (a > 0.0) & (a < 1.0)
        held = np.where(inside, 0.0, a)
        block = gram[np.ix_(inside, inside)] if gram is not None else z[inside] @ z[inside].T / G
        better = held
        better[inside] = lstsq(block, (b - times(held))[inside])[0]
        better = np.clip(better, 0.0, 1.0)
        size = distance(better)
        if size >= reached:
            break
        a, reached = better, size
    return (tie * w_prev + a @ z) / G, reached


MINIMIZERS: dict[str, Minimizer] = {"squared": squared, "logistic": logistic, "hinge": hinge}
