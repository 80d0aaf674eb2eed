"""Which ends are the same, up to permutations of units and the task's symmetries.

Two states are of one kind where what no such symmetry changes is the same: the loss at every level, the eigenvalues of Q and of
M T^-1 M' of each block, and |v|^2. Where weights are shared between parallel units, along a continuum of states at rest, none
of these change either, so that the continuum is one kind.
"""

from collections.abc import Sequence

import numpy as np

from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.results.errors import errors

TOLERANCE = 0.03  # relative to the largest among all ends: of what nets, and numberings of units, leave


def invariants(experiment: Experiment, state: OrderParameters, numerics: Numerics) -> tuple[np.ndarray, ...]:
    """What no symmetry changes: losses (levels,), eigenvalues of Q and of M T^-1 M' (blocks K,) each, |v|^2 (1,)."""
    Q, M, v = state.blocked()
    one = Q[None], M[None], v[None]
    losses = [errors(experiment, level.name, *one, numerics, lambda _: 0)[0][0] for level in experiment.protocol.levels]
    inverse = np.linalg.pinv(experiment.task.reference_overlap(), hermitian=True)
    along = M @ inverse @ M.transpose(0, 2, 1)
    return np.array(losses), np.linalg.eigvalsh(Q).ravel(), np.linalg.eigvalsh(along).ravel(), np.array([v @ v])


def kinds(ends: Sequence[tuple[np.ndarray, ...] | None]) -> np.ndarray:
    """Number of the kind of each end (ends,), by loss at the last level; -1 where there is none."""
    found = np.full(len(ends), -1)
    known = [i for i, end in enumerate(ends) if end is not None]
    if not known:
        return found
    parts = [np.array([ends[i][j] for i in known]) for j in range(4)]  # type: ignore[index]
    scaled = np.concatenate([part / max(float(np.abs(part).max()), 1e-12) for part in parts], axis=1)
    first: list[int] = []
    number = np.zeros(len(known), dtype=int)
    for n in range(len(known)):
        near = [float(np.abs(scaled[n] - scaled[m]).max()) for m in first]
        if near and min(near) <= TOLERANCE:
            number[n] = int(np.argmin(near))
        else:
            number[n] = len(first)
            first.append(n)
    rank = np.argsort(np.argsort([parts[0][m, -1] for m in first], kind="stable"), kind="stable")
    found[known] = rank[number]
    return found
