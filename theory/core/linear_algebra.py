"""Small linear algebra of covariances that may be singular."""

import numpy as np

from curriculode.theory.core.compiled import inner, kernel


def gram_spectrum(Q: np.ndarray, M: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and largest eigenvalue (...) of the overlaps [[T, M'], [M, Q]] of one block; physical if the lowest is >= 0.

    Q : (..., K, K), M : (..., K, P), T : (P, P)
    """
    eigenvalues = np.linalg.eigvalsh(_gram(Q, M, T))
    return eigenvalues[..., 0], eigenvalues[..., -1]


def surely_physical(Q: np.ndarray, M: np.ndarray, T: np.ndarray, allowed: float) -> bool:
    """Whether no lowest eigenvalue is below -`allowed` times the largest, by one Cholesky factorisation: False is no proof.

    Shapes as in `gram_spectrum`; several times cheaper than the spectrum.
    """
    gram = _gram(Q, M, T)
    diagonal = np.einsum("...ii->...i", gram)
    diagonal += allowed * diagonal.max(axis=-1, keepdims=True)  # no diagonal entry exceeds the largest eigenvalue
    try:
        np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return False
    return True


def _gram(Q: np.ndarray, M: np.ndarray, T: np.ndarray) -> np.ndarray:
    P = T.shape[0]
    gram = np.empty((*Q.shape[:-2], P + Q.shape[-1], P + Q.shape[-1]))
    gram[..., :P, :P], gram[..., P:, P:] = T, Q
    gram[..., P:, :P], gram[..., :P, P:] = M, np.swapaxes(M, -1, -2)
    return gram


def semidefinite_factor(C: np.ndarray) -> np.ndarray:
    """Lower triangular L with L L' = C for a covariance that may be singular, shape (n, n)."""
    L = np.empty_like(C, dtype=float)
    factor_semidefinite(np.ascontiguousarray(C, dtype=float), L)
    return L


@kernel
def factor_semidefinite(C, L):
    """Cholesky factor of a positive semi-definite C (n, n) into L; a vanishing pivot gives a zero column, not an error."""
    n = C.shape[0]
    for j in range(n):
        for i in range(j):
            L[i, j] = 0.0
        pivot = C[j, j]
        for k in range(j):
            pivot -= L[j, k] * L[j, k]
        if pivot > 1e-14 * C[j, j]:
            root = np.sqrt(pivot)
            L[j, j] = root
            for i in range(j + 1, n):
                total = C[i, j]
                for k in range(j):
                    total -= L[i, k] * L[j, k]
                L[i, j] = total / root
        else:
            for i in range(j, n):
                L[i, j] = 0.0


# What kernels share of numpy's arrays, compiled once for arrays (n, m) in order: written into each kernel it is compiled with each.
@inner
def fill(a, value):
    """a[:] = value of a (n, m)."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] = value


@inner
def matrix_product(a, b, product):
    """a b of a (n, m) and b (m, l) into `product`."""
    np.dot(a, b, product)


@inner
def outer_product(a, b, product):
    """a b' of a (n, m) and b (l, m) into `product`."""
    np.dot(a, b.T, product)
