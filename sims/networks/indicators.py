"""Indicators of the weights of a network, layer by layer, by the functions of arrays that those of the theory's weights are."""

from typing import TYPE_CHECKING

import numpy as np

from curriculode.sims.runs.remember import largest
from curriculode.theory.results.two_times import SHARES

if TYPE_CHECKING:
    from curriculode.sims.networks.layers import Weights


def matrices(weights: "Weights") -> list[np.ndarray]:
    """The weights (units, inputs) of all layers but the readout."""
    return [layer["w"].reshape(layer["w"].shape[0], -1) for layer in weights[:-1]]


def in_common(now: "Weights", past: "Weights") -> tuple[float, np.ndarray, float, float]:
    """What two states of a network have in common, over all weights but the readout's.

    The share of weights of another sign; R_p, of the share p of each unit's largest weights the part that is among its largest
    again, at the p of `SHARES`; the root mean square change of a weight; the cosine.
    """
    signs, common, square, inner, sizes = 0.0, np.zeros(len(SHARES)), 0.0, np.zeros(3), 0
    for W, V in zip(matrices(now), matrices(past), strict=True):
        signs += (np.signbit(W) != np.signbit(V)).sum()
        # A unit of few inputs keeps one at least.
        for i, share in enumerate(SHARES):
            p = max(share, 1.0 / W.shape[1])
            before, after = largest(V, p), largest(W, p)
            common[i] += W.size * (before & after).sum() / before.sum()
        W, V = W.astype(float), V.astype(float)
        square += ((W - V) ** 2).sum()
        inner += [(W * V).sum(), (W * W).sum(), (V * V).sum()]
        sizes += W.size
    cosine = inner[0] / np.sqrt(inner[1] * inner[2]) if inner[1] * inner[2] > 0 else np.nan
    return signs / sizes, common / sizes, float(np.sqrt(square / sizes)), float(cosine)
