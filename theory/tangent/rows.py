"""Points to average over in a tangent space: examples in the coordinates of the span of start and references, by a net.

Every average of the tangent space is over these alone, since c, g, f0 and the label are fixed by the start: whitened scrambled
Sobol normals for each component and level, the same for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from curriculode.theory.averages.quasi_monte_carlo import check_points, normal_points
from curriculode.theory.tangent.frame import Change, Frame
from curriculode.theory.tasks.example_law import ExampleLaw, teacher_labels
from curriculode.theory.units.activations import evaluate

_CHUNK = 4096


class Rows(NamedTuple):
    """Examples, one a row, with what the start makes of them.

    weight : (n,) sums to 1 over the levels asked for;  variance : (n, blocks) s_b^2;  xi : of each block (n, r_b)
    c, g : (n, K) v0_k g'(lambda0_k) and g(lambda0_k);  f0, y : (n,) output of the start, and label without noise
    noise : variance of the noise on the label
    """

    weight: np.ndarray
    variance: np.ndarray
    xi: list[np.ndarray]
    c: np.ndarray
    g: np.ndarray
    f0: np.ndarray
    y: np.ndarray
    noise: float

    def chunks(self) -> "list[Rows]":
        """The same rows in pieces that fit into caches."""
        n = self.weight.size
        return [self] if n <= _CHUNK else [self._piece(slice(i, i + _CHUNK)) for i in range(0, n, _CHUNK)]

    def _piece(self, part: slice) -> "Rows":
        xi = [each[part] for each in self.xi]
        return Rows(
            *(self.weight[part], self.variance[part], xi, self.c[part], self.g[part], self.f0[part], self.y[part], self.noise)
        )


@dataclass(frozen=True)
class Model:
    """Which linear model: `first`, `readout`, the layers that move;  `centred`, whether f0 is left out of it."""

    first: bool
    readout: bool
    centred: bool

    def target(self, rows: Rows) -> np.ndarray:
        """What beta . psi is to be, (n,)."""
        return rows.y if self.centred else rows.y - rows.f0

    def features(self, rows: Rows) -> np.ndarray:
        """psi (n, features): c_k xi^b_j, block by block, then g_k."""
        parts = []
        if self.first:
            parts += [(rows.c[:, :, None] * xi[:, None, :]).reshape(len(xi), -1) for xi in rows.xi]
        if self.readout:
            parts.append(rows.g)
        return np.hstack(parts)

    def count(self, frame: Frame) -> int:
        """Number of features."""
        K = frame.width
        return (K * sum(F.shape[1] for F in frame.units) if self.first else 0) + (K if self.readout else 0)

    def coefficients(self, change: Change) -> np.ndarray:
        """beta (features,) of a change."""
        parts = [a.ravel() for a in change.a] if self.first else []
        return np.concatenate([*parts, change.dv] if self.readout else parts)

    def change(self, frame: Frame, beta: np.ndarray, perpendicular: np.ndarray | None = None) -> Change:
        """The change of these coefficients; nothing perpendicular by default."""
        K, at, a = frame.width, 0, []
        for F in frame.units:
            size = K * F.shape[1] if self.first else 0
            a.append(beta[at : at + size].reshape(K, -1) if self.first else np.zeros((K, F.shape[1])))
            at += size
        dv = beta[at:] if self.readout else np.zeros(K)
        return Change(a, dv, np.zeros_like(frame.Q) if perpendicular is None else perpendicular)


def rows_of(
    frame: Frame, laws: Sequence[ExampleLaw], probability: np.ndarray, activation: int, points: int, scrambling: int
) -> Rows:
    """The rows of the levels that have a `probability` (levels,), `points` for each component."""
    ranks = [F.shape[1] for F in frame.units]
    check_points(points, sum(ranks))
    normals = np.split(normal_points(sum(ranks), points, scrambling), np.cumsum(ranks)[:-1])
    parts: list[list] = [[], [], [], []]
    xi: list[list[np.ndarray]] = [[] for _ in ranks]
    for law, share in zip(laws, probability, strict=True):
        for c in range(law.probability.size if share > 0 else 0):
            field, nu = np.zeros((frame.width, points)), np.zeros((law.gain.shape[1], points))
            for b, z in enumerate(normals):
                mean = law.gain[c, :, b] @ frame.references[b]
                here = law.scale[b] * z + mean[:, None]
                xi[b].append(here.T)
                field += frame.units[b] @ here
                nu += frame.references[b] @ here
            y = np.full(points, law.label[c])
            if law.teacher.exists:
                g, dg = np.empty_like(nu), np.empty_like(nu)
                teacher_labels(law.teacher.activation, law.teacher.readout, law.teacher.sign, nu, g, dg, y)
            weight = np.full(points, share * law.probability[c] / points)
            for part, value in zip(parts, (weight, np.tile(law.scale**2, (points, 1)), field.T, y), strict=True):
                part.append(value)
    weight, variance, field, y = (np.concatenate(part) for part in parts)
    field = np.ascontiguousarray(field)
    g, dg = np.empty_like(field), np.empty_like(field)
    evaluate(activation, field.ravel(), g.ravel(), dg.ravel())
    noise = laws[0].teacher.noise ** 2
    joined = [np.ascontiguousarray(np.concatenate(each)) for each in xi]
    return Rows(weight, variance, joined, dg * frame.v, g, g @ frame.v, y, noise)


def spread_of(rows: Rows, perpendicular: np.ndarray) -> np.ndarray:
    """sum_b s_b^2 c' Q_perp^b c, (n,): the variance of the output over what is orthogonal to start and references."""
    total = np.zeros(rows.weight.size)
    for b, Q in enumerate(perpendicular):
        total += rows.variance[:, b] * np.einsum("nk,nk->n", rows.c @ Q, rows.c)
    return total


def tangent_errors(rows: Rows, model: Model, change: Change) -> tuple[float, float]:
    """E (f - y)^2 / 2 and P(sign f != y) of a change, against labels without noise.

    Given the rows, f is normal about [f0] + beta . psi with the variance of `spread_of`: P = E Phi(- sign(y) mean / deviation).
    """
    from scipy.special import ndtr

    squared, wrong, beta = 0.0, 0.0, model.coefficients(change)
    for piece in rows.chunks():
        output = model.features(piece) @ beta
        variance = np.maximum(spread_of(piece, change.perpendicular), 0.0)  # of a singular Q_perp, rounding may be negative
        squared += piece.weight @ ((model.target(piece) - output) ** 2 + variance)
        margin = np.sign(piece.y) * (output if model.centred else output + piece.f0)
        with np.errstate(divide="ignore", invalid="ignore"):
            argument = np.where(margin == 0.0, 0.0, -margin / np.sqrt(variance))
        wrong += piece.weight @ ndtr(argument)
    return 0.5 * float(squared), float(wrong)
