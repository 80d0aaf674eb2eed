"""Which units of one copy are those of the other: a permutation of copy 2, and flips where g has a parity.

The assignment with the largest sum of overlaps, sum_k sum_b X^b_{k, order(k)} (scipy's linear_sum_assignment). Where g is odd a
unit (-w, -v) is the same as (w, v), where it is even (-w, v): then the sizes |X| are summed, and a sign says which are flipped.
"""

from itertools import permutations, product

import numpy as np

from curriculode.theory.units.activations import Activation

MOST_ENUMERATED = 4


def parity(activation: Activation) -> int:
    """1 where g(-x) = g(x), -1 where g(-x) = -g(x), else 0."""
    x = np.linspace(0.1, 3.0, 7)
    below, above = activation(-x), activation(x)
    return next((sign for sign in (-1, 1) if np.allclose(below, sign * above, rtol=1e-10, atol=1e-12)), 0)


def assigned(X: np.ndarray, flips: bool) -> tuple[np.ndarray, np.ndarray]:
    """The unit of copy 2 for each of copy 1, (..., K), and the signs (..., K) of those units.

    X : (..., blocks, K, K)
    """
    from scipy.optimize import linear_sum_assignment

    total = X.sum(axis=-3)
    order, sign = np.zeros(total.shape[:-1], dtype=np.int64), np.ones(total.shape[:-1])
    for index in np.ndindex(order.shape[:-1]):
        if np.isfinite(total[index]).all():
            order[index] = linear_sum_assignment(np.abs(total[index]) if flips else total[index], maximize=True)[1]
        else:  # a run that diverged stays as it is
            order[index] = np.arange(order.shape[-1])
        if flips:
            sign[index] = np.where(total[index][np.arange(order.shape[-1]), order[index]] < 0, -1.0, 1.0)
    return order, sign


def every_match(K: int, flips: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """All permutations of K units, with all flips where there may be some."""
    signs = [np.array(sign) for sign in product((1.0, -1.0), repeat=K)] if flips else [np.ones(K)]
    return [(np.array(order), sign) for order in permutations(range(K)) for sign in signs]


def rearranged(
    Q: np.ndarray, M: np.ndarray, v: np.ndarray, X: np.ndarray, order: np.ndarray, sign: np.ndarray, odd: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Both copies with the units of copy 2 in another order and with these signs, of w, and where g is odd of v.

    Q (..., 2, blocks, K, K), M (..., 2, blocks, K, P), v (..., 2, K), X (..., blocks, K, K);  order, sign : (..., K)
    """
    Q, M, v = Q.copy(), M.copy(), v.copy()
    rows, columns, s = order[..., None, :, None], order[..., None, None, :], sign[..., None, :]
    Q[..., 1, :, :, :] = np.take_along_axis(np.take_along_axis(Q[..., 1, :, :, :], rows, -2), columns, -1)
    Q[..., 1, :, :, :] *= s[..., :, None] * s[..., None, :]
    M[..., 1, :, :, :] = np.take_along_axis(M[..., 1, :, :, :], rows, -2) * s[..., :, None]
    v[..., 1, :] = np.take_along_axis(v[..., 1, :], order, -1) * (sign if odd else 1.0)
    return Q, M, v, np.take_along_axis(X, columns, -1) * s[..., None, :]
