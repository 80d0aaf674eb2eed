"""Ridge regression in the tangent space on n = alpha D examples, in the limit of large D.

    L = sum_mu (y - f_lin)^2 / 2 + (gamma / 2) |dw|^2 + (gamma_v D / 2) |dv|^2

V_b (K, K), what an example takes away along each direction across the span, solves

    V_b^-1 = gamma 1 + alpha E[s_b^2 c c' rho],     rho = 1 / (1 + sum_b phi_b s_b^2 c' V_b c)

and is the minimum of

    Phi(V) = sum_b phi_b (gamma tr V_b - ln det V_b) + alpha E ln(1 + sum_b phi_b s_b^2 c' V_b c).

Along V(t) = L exp(t S) L' every term of it is convex, so that Newton's steps in the symmetric S with a search along them lead there
from anywhere. With z_b = L_b' c, its second derivative is, on S,

    sum_b phi_b tr(A_b S_b^2) - alpha E[rho^2 (sum_b phi_b s_b^2 z_b' S_b z_b)^2],
    A_b = gamma L_b' L_b + alpha E[s_b^2 rho z_b z_b'],

where A_b = 1 at the minimum: the same matrix gives Q_perp = phi_b L_b Y_b L_b',

    phi_b Y_b - alpha E[h_b sum phi s^2 z' Y z] = alpha E[h_b ((r - beta . psi)^2 + noise)],    h_b = phi_b s_b^2 rho^2 z_b z_b',

and in an orthonormal basis of the span (alpha E[rho psi psi'] + N) beta = alpha E[rho psi r], N = diag(gamma, gamma_v).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, lstsq

from curriculode.theory.tangent.frame import Change, Frame
from curriculode.theory.tangent.rows import Model, Rows, spread_of

_CHUNK = 4096
_MOST_STEPS = 200
_ROUGH, _NARROW, _EVERY = 1e-2, 16, 4
_LONGEST = 8.0  # largest entry of S: V changes by no more than its exponential in one step
_LEAST = 1e-9  # gamma of the least norm, in units of alpha E[s^2 |c|^2] / K


@dataclass(frozen=True)
class Strengths:
    """alpha, examples an input;  gamma of the first layer, 0 for the least norm;  gamma_v of the readout."""

    alpha: float
    gamma: float
    gamma_v: float


@dataclass(frozen=True)
class Solution:
    """change : of the weights;  train : loss on the examples learnt;
    L : factors of V, to go on from;  residual, steps : of Newton
    """

    change: Change
    train: float
    L: np.ndarray
    residual: float
    steps: int


class Packing:
    """Symmetric (K, K) matrices as vectors in an orthonormal basis: E_ii, and (E_ij + E_ji) / sqrt 2."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.i, self.j = np.triu_indices(width)
        self.scale = np.where(self.i == self.j, 1.0, np.sqrt(2.0))

    def squares(self, z: np.ndarray) -> np.ndarray:
        """z z' of each row of z (n, K), packed, (n, m)."""
        return z[:, self.i] * z[:, self.j] * self.scale

    def pack(self, S: np.ndarray) -> np.ndarray:
        """A symmetric matrix as a vector."""
        return S[self.i, self.j] * self.scale

    def unpack(self, s: np.ndarray) -> np.ndarray:
        """The symmetric matrix of a vector."""
        S = np.zeros((self.width, self.width))
        S[self.i, self.j] = S[self.j, self.i] = s / self.scale
        return S

    def anticommutator(self, A: np.ndarray) -> np.ndarray:
        """The matrix of S -> (A S + S A) / 2, (m, m), for a symmetric A."""
        i, j = self.i, self.j
        weight = np.where(i == j, 0.5, np.sqrt(0.5))
        same = [np.equal.outer(p, q) * A[np.ix_(r, s)] for p, q, r, s in ((j, i, i, j), (j, j, i, i), (i, i, j, j), (i, j, j, i))]
        return np.outer(weight, weight) * sum(same)


class Ridge:
    """The equations of one start, layers and levels, solved at any number of examples and strength.

    fractions : (blocks,) phi_b
    """

    def __init__(self, frame: Frame, model: Model, rows: Rows, fractions: np.ndarray) -> None:
        self.frame, self.model, self.rows, self.fractions = frame, model, rows, fractions
        self.packing = Packing(frame.width)
        self.pieces = rows.chunks()
        self.size = float(rows.weight @ ((rows.c**2).sum(axis=1) * (rows.variance @ fractions))) / frame.width

    def solve(self, strengths: Strengths, tolerance: float = 1e-10, first: np.ndarray | None = None) -> Solution:
        """The ridge of these strengths; `first` : factors L (blocks, K, K) of a V nearby."""
        alpha, frame = strengths.alpha, self.frame
        if not self.model.first or self.size == 0.0:
            return self._readout_alone(strengths)
        gamma = max(strengths.gamma, _LEAST * alpha * self.size)
        L, residual, steps = self._newton(alpha, gamma, tolerance, first)
        rho, z = self._response(L)
        beta = self._coefficients(alpha, gamma, strengths.gamma_v, rho)
        rest = (self.model.target(self.rows) - self._output(beta)) ** 2
        m, blocks = self.packing.i.size, len(L)
        matrix = -alpha * self._squares_matrix(z, rho)
        matrix[np.diag_indices(blocks * m)] += np.repeat(self.fractions, m)
        source = alpha * self._squares_sum(z, self.rows.weight * rho**2 * (rest + self.rows.noise))
        Y = np.linalg.solve(matrix, source).reshape(blocks, m)
        perpendicular = np.array(
            [phi * L_b @ self.packing.unpack(y) @ L_b.T for phi, L_b, y in zip(self.fractions, L, Y, strict=True)]
        )
        change = self.model.change(frame, beta, perpendicular)
        square = rest + spread_of(self.rows, perpendicular) + self.rows.noise
        return Solution(change, 0.5 * float(self.rows.weight @ (rho**2 * square)), L, residual, steps)

    def optimum(self) -> Change:
        """The population optimum, what endless examples lead to: E[psi psi'] beta = E[psi r]."""
        return self.model.change(self.frame, self._coefficients(1.0, 0.0, 0.0, np.ones(self.rows.weight.size)))

    def _readout_alone(self, strengths: Strengths) -> Solution:
        """K features for n = alpha D examples: beyond all thresholds, the population's own ridge."""
        beta = self._coefficients(strengths.alpha, strengths.gamma, strengths.gamma_v, np.ones(self.rows.weight.size))
        rest = (self.model.target(self.rows) - self._output(beta)) ** 2
        train = 0.5 * float(self.rows.weight @ rest + self.rows.noise)
        return Solution(self.model.change(self.frame, beta), train, np.zeros_like(self.frame.Q), 0.0, 0)

    def _output(self, beta: np.ndarray) -> np.ndarray:
        return np.concatenate([self.model.features(piece) @ beta for piece in self.pieces])

    def _response(self, L: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """rho (n,) and z_b = L_b' c, (n, K) each."""
        z = [self.rows.c @ L_b for L_b in L]
        taken = sum(
            phi * self.rows.variance[:, b] * (z_b * z_b).sum(axis=1)
            for b, (phi, z_b) in enumerate(zip(self.fractions, z, strict=True))
        )
        return 1.0 / (1.0 + taken), z

    def _features_of_squares(self, z: list[np.ndarray], factor: np.ndarray, part: slice) -> np.ndarray:
        """factor times phi_b s_b^2 z_b z_b', packed and block by block, of some rows, (rows, blocks m)."""
        weights = (factor[part, None] * self.rows.variance[part]) * self.fractions
        return np.hstack([self.packing.squares(z_b[part]) * weights[:, b, None] for b, z_b in enumerate(z)])

    def _parts(self) -> list[tuple[int, int]]:
        n = self.rows.weight.size
        return [(i, min(i + _CHUNK, n)) for i in range(0, n, _CHUNK)]

    def _squares_matrix(self, z: list[np.ndarray], rho: np.ndarray, every: int = 1) -> np.ndarray:
        """E[rho^2 (phi s^2 z z')(phi s^2 z z')'], (blocks m, blocks m), over every so manieth row."""
        size = len(z) * self.packing.i.size
        total, factor = np.zeros((size, size)), np.sqrt(every * self.rows.weight) * rho
        for start, end in self._parts():
            part = slice(start, end, every)
            features = self._features_of_squares(z, factor, part)
            total += features.T @ features
        return total

    def _squares_sum(self, z: list[np.ndarray], factor: np.ndarray) -> np.ndarray:
        """sum of factor phi_b s_b^2 z_b z_b' over the rows, packed, (blocks m,)."""
        return np.concatenate(
            [
                phi * self.packing.pack((z_b * (factor * self.rows.variance[:, b])[:, None]).T @ z_b)
                for b, (phi, z_b) in enumerate(zip(self.fractions, z, strict=True))
            ]
        )

    def _potential(self, L: np.ndarray, alpha: float, gamma: float) -> float:
        rho, _ = self._response(L)
        logarithms = [2.0 * np.linalg.slogdet(L_b)[1] for L_b in L]
        sizes = [gamma * (L_b * L_b).sum() for L_b in L]
        return float(self.fractions @ (np.array(sizes) - logarithms) - alpha * (self.rows.weight @ np.log(rho)))

    def _newton(self, alpha: float, gamma: float, tolerance: float, first: np.ndarray | None) -> tuple[np.ndarray, float, int]:
        """Factors L of V with the largest entry of the gradient at them, and the steps taken."""
        K, blocks, packing = self.frame.width, len(self.fractions), self.packing
        m = packing.i.size
        L = np.tile(np.eye(K) / np.sqrt(gamma + alpha * self.size), (blocks, 1, 1)) if first is None else first.copy()
        value, residual = self._potential(L, alpha, gamma), np.inf
        for step in range(_MOST_STEPS):
            rho, z = self._response(L)
            seen = alpha * self._squares_sum(z, self.rows.weight * rho).reshape(blocks, m)
            A = [gamma * L_b.T @ L_b + packing.unpack(s) / phi for L_b, s, phi in zip(L, seen, self.fractions, strict=True)]
            gradient = np.concatenate([phi * packing.pack(A_b - np.eye(K)) for phi, A_b in zip(self.fractions, A, strict=True)])
            residual = float(np.abs(gradient).max())
            if residual <= tolerance:
                return L, residual, step
            # Far from the minimum a rough matrix is as good, for wide students most of the cost; it stays a descent by the search.
            rough = residual > _ROUGH and K > _NARROW
            hessian = -alpha * self._squares_matrix(z, rho, _EVERY if rough else 1)
            for b in range(blocks):
                here = slice(b * m, (b + 1) * m)
                hessian[here, here] += self.fractions[b] * packing.anticommutator(A[b])
            direction = -_solve_positive(hessian, gradient)
            direction *= min(1.0, _LONGEST / max(np.abs(direction).max(), 1e-300))
            slope, length = float(gradient @ direction), 1.0
            while True:
                trial = np.array(
                    [_moved(L_b, length * packing.unpack(s)) for L_b, s in zip(L, direction.reshape(blocks, m), strict=True)]
                )
                new = self._potential(trial, alpha, gamma)
                # Near the minimum what is won is below rounding.
                if new <= value + 1e-4 * length * slope + 1e-13 * abs(value) or length < 1e-6:
                    break
                length *= 0.5
            L, value = trial, new
        return L, residual, _MOST_STEPS

    def _coefficients(self, alpha: float, gamma: float, gamma_v: float, rho: np.ndarray) -> np.ndarray:
        """beta (features,), whose equations are divided by the mean of rho: below the threshold all of it is of order gamma."""
        count = self.model.count(self.frame)
        readout = self.frame.width if self.model.readout else 0
        matrix, right = np.zeros((count, count)), np.zeros(count)
        scale, at = alpha * float(self.rows.weight @ rho), 0
        for piece in self.pieces:
            weight = np.sqrt(piece.weight * rho[at : at + piece.weight.size] * (alpha / scale))
            features = self.model.features(piece) * weight[:, None]
            matrix += features.T @ features
            right += features.T @ (weight * self.model.target(piece))
            at += piece.weight.size
        matrix[np.diag_indices(count)] += np.repeat([gamma / scale, gamma_v / scale], [count - readout, readout])
        return _solve_positive(matrix, right)


def _moved(L: np.ndarray, S: np.ndarray) -> np.ndarray:
    """L exp(S / 2), a factor of L exp(S) L'."""
    values, vectors = np.linalg.eigh(S)
    return L @ (vectors * np.exp(0.5 * values)) @ vectors.T


def _solve_positive(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The solution of least norm where a positive matrix is singular."""
    try:
        factor = cho_factor(matrix)
        if np.abs(np.diagonal(factor[0])).min() > 1e-7 * np.abs(np.diagonal(factor[0])).max():
            return np.asarray(cho_solve(factor, right))
    except LinAlgError:
        pass
    return np.asarray(lstsq(matrix, right, cond=1e-13)[0])
