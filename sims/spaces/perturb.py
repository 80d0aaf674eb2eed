"""Perturbations as what they are: changes of the weights W (K, D) themselves, block by block."""

from itertools import pairwise

import numpy as np

from curriculode.theory.describe.perturbation import Perturbation


def perturb_weights(
    W: np.ndarray, edges: np.ndarray, scale: float, perturbation: Perturbation, rng: np.random.Generator
) -> np.ndarray:
    """The weights (K, D) after a perturbation, in blocks that begin and end at `edges`; `scale` is that of initial weights."""
    result = W.copy()
    for a, b in pairwise(edges):
        result[:, a:b] = _perturbed(W[:, a:b], scale, perturbation, rng)
    return result


def _perturbed(W: np.ndarray, scale: float, perturbation: Perturbation, rng: np.random.Generator) -> np.ndarray:
    kind = perturbation.kind
    if kind == "noise":
        return W + perturbation.size * scale * rng.standard_normal(W.shape)
    if kind == "reinitialise":
        return scale * rng.standard_normal(W.shape)
    if kind == "shuffle-unit":
        return rng.permuted(W, axis=1)
    if kind == "shuffle-layer":
        return rng.permuted(W)
    if kind == "shuffle-inputs":
        return W[:, rng.permutation(W.shape[1])]
    if kind == "signs":
        return np.sign(W) * np.sqrt((W**2).mean(axis=1, keepdims=True))
    if kind == "same-sign-layer":
        return _within_signs(W.reshape(1, -1), rng).reshape(W.shape)
    return _within_signs(W, rng)


def _within_signs(W: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The weights of each row shuffled among those of the same sign."""
    result = W.copy()
    for row in result:
        for positive in (True, False):
            here = np.flatnonzero((row >= 0) == positive)
            row[here] = row[rng.permutation(here)]
    return result
