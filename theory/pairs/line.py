"""The straight line between two copies, w = alpha w1 + (1 - alpha) w2 and v likewise: its states and its errors.

    Q_alpha = alpha^2 Q1 + (1 - alpha)^2 Q2 + alpha (1 - alpha) (X + X'),     M_alpha, v_alpha linear in alpha

(Frankle, Dziugaite, Roy & Carbin 2020, 1912.05671: alpha = 1 is copy 1. There the barrier is the highest error along the line over
the mean of its ends; it is never below half the difference of the ends, so that the midpoint over the mean is told beside it.)
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.core.checks import numbers
from curriculode.theory.core.errors import InputError, shown

if TYPE_CHECKING:
    import pandas as pd

ALPHAS = 33  # points of a line by default: both ends and the middle are among them


@dataclass(frozen=True)
class Line:
    """Errors along the straight line between two copies.

    Parameters
    ----------
    t : ndarray of shape (times,)
        When, in examples per input dimension.
    alphas : ndarray of shape (alphas,)
        Where on the line: 1 is copy 1, 0 is copy 2.
    generalization_error : ndarray of shape ([runs,] times, alphas)
        E[l(f, y)].
    classification_error : ndarray of shape ([runs,] times, alphas)
        P(sign f != y).
    level : str
        Of the errors.
    """

    t: np.ndarray
    alphas: np.ndarray
    generalization_error: np.ndarray
    classification_error: np.ndarray
    level: str

    def to_frame(self) -> "pd.DataFrame":
        """Return the errors as a table.

        Returns
        -------
        DataFrame
            One row a run (where there are several), time and alpha.
        """
        import pandas as pd

        shape = self.generalization_error.shape
        names = ["run", "t", "alpha"][3 - len(shape) :]
        axes = [np.arange(shape[0])] * (len(shape) - 2) + [self.t, self.alphas]
        columns = dict(zip(names, (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")), strict=True))
        errors = {name: getattr(self, name).ravel() for name in ("generalization_error", "classification_error")}
        return pd.DataFrame({**columns, **errors})


def checked_alphas(alphas: object, beyond: bool) -> np.ndarray:
    """The places on a line, or `InputError`."""
    found = np.atleast_1d(numbers("alphas", alphas))
    if found.ndim != 1 or not found.size:
        raise InputError(f"alphas = {shown(alphas)} is not allowed; give a list of numbers from 0 to 1")
    if not beyond and ((found < 0).any() or (found > 1).any()):
        raise InputError(
            f"alphas from {found.min():g} to {found.max():g} leave the line between the copies, [0, 1]; give beyond=True for the "
            "straight line through them"
        )
    if np.abs(found).max() > 1e6:
        raise InputError("alphas beyond 1e6 are not allowed; give some near the line between the copies")
    return found


def states_along(
    Q: np.ndarray, M: np.ndarray, v: np.ndarray, X: np.ndarray, alphas: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q (..., alphas, blocks, K, K), M (..., alphas, blocks, K, P), v (..., alphas, K) of the line.

    Q (..., 2, blocks, K, K), M (..., 2, blocks, K, P), v (..., 2, K) of both copies;  X (..., blocks, K, K)
    """
    a, b = alphas[:, None, None, None], 1.0 - alphas[:, None, None, None]
    first, second, cross = Q[..., 0, None, :, :, :], Q[..., 1, None, :, :, :], X[..., None, :, :, :]
    along = a**2 * first + b**2 * second + a * b * (cross + np.swapaxes(cross, -1, -2))
    M_along = a * M[..., 0, None, :, :, :] + b * M[..., 1, None, :, :, :]
    return along, M_along, alphas[:, None] * v[..., 0, None, :] + (1.0 - alphas[:, None]) * v[..., 1, None, :]
