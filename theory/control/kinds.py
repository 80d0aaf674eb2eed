"""Kinds of orders: the simplest one that is as good as the best that was found."""

from collections.abc import Mapping, Sequence

import numpy as np

from curriculode.theory.describe.optimization import OPTIMUM, PURE

# A sweep holds the place of a kind in this list.
KINDS = (
    "any order",
    "easy to hard",
    "hard to easy",
    "random",
    "easy, hard, easy",
    "hard, easy, hard",
    "other pure stages",
    "mixed stages",
)
_CLASSICAL = {"curriculum": "easy to hard", "anti-curriculum": "hard to easy", "random": "random"}
_AS_GOOD = 0.05  # of what separates the best protocol from the worst of the classical orders
_NOTHING = 1e-3  # of the objective: orders that are no further apart do not matter


def kind_of(values: Mapping[str, float], levels: Sequence[int] | np.ndarray, count: int) -> str:
    """The kind of the best order, from the objective of each protocol, and the levels of the stages of the nearest pure one.

    count : of levels, numbered from the easiest to the hardest
    """
    best = min(values[name] for name in (OPTIMUM, *_CLASSICAL))
    spread = max(values[name] for name in _CLASSICAL) - best
    if not spread > _NOTHING * abs(best):
        return KINDS[0]
    for name, kind in _CLASSICAL.items():
        if values[name] - best <= _AS_GOOD * spread:
            return kind
    if PURE not in values or values[PURE] - best > _AS_GOOD * spread:
        return KINDS[-1]
    pattern = tuple(int(level) for level in levels)
    if count == 2:
        named = {(0, 1): "easy to hard", (1, 0): "hard to easy", (0, 1, 0): "easy, hard, easy", (1, 0, 1): "hard, easy, hard"}
        return named.get(pattern, "other pure stages")
    return "other pure stages"
