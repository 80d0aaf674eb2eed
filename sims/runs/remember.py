"""Weights of a run at earlier times, kept to be compared with the later ones, one by one."""

from itertools import pairwise
from typing import Any

import numpy as np

from curriculode.sims.spaces.weight_space import WeightSpace
from curriculode.theory.results.two_times import SHARES


class Memory:
    """What one run in weight space remembers.

    steps : (memories,) at which the weights are kept
    """

    def __init__(self, space: WeightSpace, steps: np.ndarray) -> None:
        self._space, self._steps = space, steps
        self._kept: list[np.ndarray] = []
        self._largest: list[list[np.ndarray]] = []
        self._states: list[tuple[np.ndarray, np.ndarray]] = []
        self._rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def visit(self, step: int) -> None:
        """Keep the weights if `step` is one to remember."""
        if step in self._steps[len(self._kept) :]:
            W = self._space.weights.W.copy()
            self._kept.append(W)
            self._largest.append([largest(W, share) for share in SHARES])
            self._states.append(self._space.overlaps(0)[:2])

    def record(self) -> None:
        """Compare the weights with those that are kept: overlaps, signs, and which are the largest."""
        W, edges = self._space.weights.W, self._space.weights.edges
        K, D = W.shape
        count, blocks = self._steps.size, edges.size - 1
        C = np.full((count, blocks, K, K), np.nan)
        signs, common = np.full(count, np.nan), np.full((count, len(SHARES)), np.nan)
        now = [largest(W, share) for share in SHARES]
        for i, past in enumerate(self._kept):
            C[i] = [W[:, a:b] @ past[:, a:b].T / D for a, b in pairwise(edges)]
            signs[i] = (np.signbit(W) != np.signbit(past)).mean()
            common[i] = [(a & b).sum() / max(a.sum(), 1) for a, b in zip(now, self._largest[i], strict=True)]
        self._rows.append((C, signs, common))

    def arrays(self) -> dict[str, np.ndarray]:
        """Overlaps (times, memories, blocks, K, K), shares, and the states at the remembered times."""
        C, signs, common = (np.array([row[j] for row in self._rows]) for j in range(3))
        Q, M = (np.array([state[j] for state in self._states]) for j in range(2))
        return {"passengers": C, "changed_signs": signs, "common_weights": common, "remembered_Q": Q, "remembered_M": M}


def largest(W: np.ndarray, share: float) -> np.ndarray:
    """Which of the weights (K, D) of each unit are among the share of its largest in size, (K, D) of bool."""
    count = round(share * W.shape[1])
    found = np.zeros(W.shape, bool)
    np.put_along_axis(found, np.argpartition(-np.abs(W), count - 1, axis=1)[:, :count], True, axis=1)
    return found


def remembered_arrays(memories: list[Memory], times: np.ndarray) -> dict[str, Any]:
    """The arrays of all runs, runs first, without the block axis where there is one block."""
    each = [memory.arrays() for memory in memories]
    arrays: dict[str, Any] = {"remembered": times}
    for name in each[0] if each else ():
        value = np.array([one[name] for one in each])
        blocked = name in ("passengers", "remembered_Q", "remembered_M") and value.shape[-3] == 1
        arrays[name] = value[..., 0, :, :] if blocked else value
    return arrays
