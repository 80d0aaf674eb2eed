"""What several figures need: the same runs (starts, examples' seeds) in several orders, and paired differences between them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.runs.observe import observe
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.results.observations import Observations


def observe_orders(
    experiment: Experiment,
    orders: Sequence[str],
    observables: Sequence[str],
    dimension: int,
    runs: int,
    times: ArrayLike,
    numerics: Numerics,
    report: Callable[[float], None],
) -> dict[str, Observations]:
    """The observables of the same `runs` runs in each order; a Ctrl-C ends the figure, since half a figure is none."""
    result = {}
    settings: dict[str, Any] = {"dimension": dimension, "runs": runs, "times": times, "numerics": numerics}
    for i, order in enumerate(orders):

        def advance(fraction: float, i: int = i) -> None:
            report((i + fraction) / len(orders))

        seen = observe(experiment.replace({"protocol.order": order}), observables, progress=advance, **settings)
        if seen.interrupted:
            raise KeyboardInterrupt
        result[order] = seen
    return result


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over runs (the leading axis) of first - second, and its standard error."""
    difference = first - second
    return difference.mean(axis=0), difference.std(axis=0, ddof=1) / np.sqrt(difference.shape[0])
