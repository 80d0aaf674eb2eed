"""Strata of coordinates within a block: sparse references are non-zero on a share of them."""

from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.core.errors import InputError

if TYPE_CHECKING:
    from curriculode.theory.tasks.task import Task


def on_support(support: float, fractions: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (blocks, strata) and overlaps (blocks, strata, P, P) of references that are zero but on a share of each block.

    fractions : phi_b (blocks,);  T : (blocks, P, P)
    """
    if support == 1.0:
        return fractions[:, None], T[:, None]
    shares = fractions[:, None] * np.array([support, 1.0 - support])
    return shares, np.stack([T, np.zeros_like(T)], axis=1)


def checked_strata(task: "Task") -> tuple[np.ndarray, np.ndarray]:
    """The strata of a task, or `InputError` where they do not add up to its blocks."""
    shares, overlaps = (np.asarray(part, dtype=float) for part in task.strata())
    fractions, T = np.asarray(task.block_fractions()), np.asarray(task.reference_overlap())
    fit = shares.ndim == 2 and shares.shape[0] == fractions.size and overlaps.shape == (*shares.shape, *T.shape[1:])
    if (
        not fit
        or not (shares > 0).all()
        or not np.allclose(shares.sum(axis=1), fractions)
        or not np.allclose(overlaps.sum(axis=1), T)
    ):
        raise InputError(
            f"task {type(task).__name__}: strata() must give shares (blocks, strata) above 0 that sum to the block fractions, and "
            "overlaps (blocks, strata, P, P) that sum to the references' own"
        )
    return shares, overlaps
