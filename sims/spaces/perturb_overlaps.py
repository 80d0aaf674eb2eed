"""Perturbations of the weights in overlap space: what they do to Q and M, exact in law at finite D.

Given its overlaps a network lies in a uniformly random frame. Noise and fresh weights are Gaussian and know no frame: along the
P + K known directions of a block they add normals, and in the n = D_b - P - K others, with which nothing overlaps, the factor of a
Wishart matrix of n degrees of freedom (Bartlett's). So they cost nothing that grows with D, as often as they come. What looks at
single weights, a shuffle or a map of signs, is done to weights that are drawn in such a frame, once: weights that were shaped so
are in no random frame any more, until they are drawn afresh.
"""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.perturb import perturb_weights
from curriculode.sims.spaces.weight_space import place
from curriculode.theory.core.errors import InputError
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.perturbation import Perturbation

ISOTROPIC = ("noise", "reinitialise")  # that know no single weight
_MOST = 2e10  # bytes of weights that are drawn at once


def check_overlap_events(events: Iterable[Perturbation], width: int, dimension: int) -> None:
    """Raise `InputError` for perturbations, in their order, that overlaps alone cannot follow."""
    shaped = ""
    for event in events:
        if event.kind == "reinitialise":
            shaped = ""
        elif event.kind not in ISOTROPIC:
            if shaped:
                raise InputError(
                    f"overlap space cannot follow {event.kind!r} after {shaped!r}: it does not know the single weights that this "
                    "left, only their overlaps; use space = 'weight'"
                )
            if 32.0 * dimension * (width + 8) > _MOST:
                raise InputError(
                    f"the perturbation {event.kind!r} moves single weights, which at D = {dimension:g} need more than 20 GB; take "
                    "a smaller D, noise or fresh weights"
                )
            shaped = event.kind


def perturb_overlaps(
    model: Model, Q: np.ndarray, M: np.ndarray, perturbation: Perturbation, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Q (blocks, K, K) and M (blocks, K, P) of a run after a perturbation, with random numbers of the run."""
    T, scale, D = model.setting.blocks.T, model.setting.weight_scale, model.dimension
    if perturbation.kind not in ISOTROPIC:
        edges = np.concatenate([[0], np.cumsum(model.sizes)])
        W, U = place(Q, M, T, edges, rng, model.support)
        W = perturb_weights(W, edges, scale, perturbation, rng)
        blocks = [slice(a, b) for a, b in pairwise(edges)]
        return np.array([W[:, b] @ W[:, b].T / D for b in blocks]), np.array([W[:, b] @ U[:, b].T / D for b in blocks])
    K, P = M.shape[1:]
    size = scale / np.sqrt(D) * (perturbation.size if perturbation.kind == "noise" else 1.0)
    after_Q, after_M = np.empty_like(Q), np.empty_like(M)
    for b, inputs in enumerate(model.sizes):
        known = semidefinite_factor(np.block([[T[b], M[b].T], [M[b], Q[b]]]))
        fresh = size * np.concatenate([rng.standard_normal((K, P + K)), _new_directions(rng, K, int(inputs) - P - K)], axis=1)
        if perturbation.kind == "noise":
            fresh[:, : P + K] += known[P:]
        after_Q[b], after_M[b] = fresh @ fresh.T, fresh[:, : P + K] @ known[:P].T
    return after_Q, after_M


def _new_directions(rng: np.random.Generator, K: int, degrees: int) -> np.ndarray:
    """Coordinates (K, min(K, degrees)) of K Gaussian vectors of so many numbers, in a frame of their own."""
    if degrees <= K:
        return rng.standard_normal((K, degrees))
    lower = np.tril(rng.standard_normal((K, K)), -1)
    lower[np.diag_indices(K)] = np.sqrt(rng.chisquare(degrees - np.arange(K)))
    return lower
