"""Generalisation and classification error of states, by the averages of the training that they come from.

Batch learning: P(sign f != y) = arccos(R / sqrt(q_d T)) / pi,  q_d = sum_b Delta_db Q_b  at level d.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from curriculode.theory.batch.averages import fresh_loss
from curriculode.theory.batch.slices import Slices
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.dynamics.setting import Setting

DEFAULT_POINTS = 1024
_WORTH_THREADS = 4000  # states times units, from which on threads are worth their start


def errors(
    experiment: Experiment,
    level: str | None,
    Q: np.ndarray,
    M: np.ndarray,
    v: np.ndarray,
    numerics: Numerics,
    scrambling: Callable[[tuple[int, ...]], int],
) -> tuple[np.ndarray, np.ndarray]:
    """E[l(f, y)] and P(sign f != y) at a level, by default the hardest, of states with any leading axes.

    Q : (..., blocks, K, K), M : (..., blocks, K, P), v : (..., K);  scrambling : index of a state -> the net that averages it,
    the same along the last of the leading axes
    """
    number = [each.name for each in experiment.protocol.levels].index(experiment.protocol.level(level).name)
    if isinstance(experiment.training, BatchSlices):
        return _slice_errors(Slices.of(experiment), number, Q, M)
    setting = Setting.of(experiment, perturbed=True)
    lead: list[tuple[int, ...]] = list(np.ndindex(v.shape[:-2]))
    result = np.full((2, *v.shape[:-1]), np.nan)

    def line(index: Any) -> None:
        """The errors along the last of the leading axes."""
        net = scrambling((*index, 0))
        result[(slice(None), *index)] = _errors_along(setting, number, Q[index], M[index], v[index], numerics, net)

    with one_blas_thread():
        if len(lead) > 1 and v.shape[-1] * v[..., 0].size > _WORTH_THREADS:
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                list(pool.map(line, lead))
        else:
            for index in lead:
                line(index)
    return result[0], result[1]


def _errors_along(
    setting: Setting, level: int, Q: np.ndarray, M: np.ndarray, v: np.ndarray, numerics: Numerics, net: int
) -> np.ndarray:
    """Both errors (2, times) of states Q (times, blocks, K, K), M (times, blocks, K, P), v (times, K) by one net."""
    result = np.full((2, v.shape[0]), np.nan)
    finite = np.isfinite(v).all(axis=1) & np.isfinite(Q).all(axis=(1, 2, 3))
    if not finite.any():
        return result
    law = setting.field_law(level)
    engine = setting.engine(numerics.averages, numerics.points or DEFAULT_POINTS, net, False)
    first = int(np.flatnonzero(finite)[0])
    order = OrderParameters(Q[first], M[first], v[first]).canonical_order()
    for i in np.flatnonzero(finite):
        law.update(np.ascontiguousarray(Q[i][:, order][:, :, order]), np.ascontiguousarray(M[i][:, order]))
        result[:, i] = engine.errors(law, v[i][order])
    return result


def _slice_errors(slices: Slices, level: int, Q: np.ndarray, M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q = Q[..., 0, 0] @ slices.variance[level]
    along = M[..., 0, 0, 0] / np.sqrt(slices.T)
    across = np.maximum(q - along**2, 0.0)
    classification = np.arctan2(np.sqrt(across), along) / np.pi
    generalization = np.empty_like(q)
    for index in np.ndindex(q.shape):
        generalization[index] = fresh_loss(slices.loss, along[index], across[index]) if np.isfinite(q[index]) else np.nan
    return generalization, classification
