"""Generalisation and classification error of states, by the averages of the training that they come from.

Batch learning: P(sign f != y) = arccos(R / sqrt(q_d T)) / pi,  q_d = sum_b Delta_db Q_b  at level d.
"""

import weakref
from collections.abc import Callable

import numpy as np

from curriculode.theory.averages import Engine
from curriculode.theory.batch.averages import fresh_loss
from curriculode.theory.batch.slices import Slices
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.dynamics.setting import Setting

DEFAULT_POINTS = 1024
# The last experiment that was asked about, and its setting: records of one experiment are read one after the other.
_last: tuple[weakref.ref[Experiment], Setting] | None = None


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
    setting = _setting(experiment)
    law = setting.field_law(number)
    result = np.full((2, *v.shape[:-1]), np.nan)
    order: np.ndarray | None = None
    engine: Engine | None = None
    with one_blas_thread():
        for index in np.ndindex(v.shape[:-1]):
            finite = np.isfinite(v[index]).all() and np.isfinite(Q[index]).all()
            if index[-1] == 0 or order is None or engine is None:
                points = numerics.points or DEFAULT_POINTS
                engine = setting.engine(numerics.averages, points, scrambling(index), False)
                order = OrderParameters(Q[index], M[index], v[index]).canonical_order() if finite else None
            if order is not None and finite:
                law.update(Q[index][:, order][:, :, order], M[index][:, order])
                result[(slice(None), *index)] = engine.errors(law, v[index][order])
    return result[0], result[1]


def _setting(experiment: Experiment) -> Setting:
    """The setting of an experiment, made once for calls in a row."""
    global _last
    last = _last  # one look: another thread may put its own in the place
    if last is not None and last[0]() is experiment:
        return last[1]
    setting = Setting.of(experiment)
    _last = weakref.ref(experiment), setting
    return setting


def _slice_errors(slices: Slices, level: int, Q: np.ndarray, M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q = Q[..., 0, 0] @ slices.variance[level]
    along = M[..., 0, 0, 0] / np.sqrt(slices.T)
    across = np.maximum(q - along**2, 0.0)
    classification = np.arctan2(np.sqrt(across), along) / np.pi
    generalization = np.empty_like(q)
    for index in np.ndindex(q.shape):
        generalization[index] = fresh_loss(slices.loss, along[index], across[index]) if np.isfinite(q[index]) else np.nan
    return generalization, classification
