"""What several figures need: the same runs (starts, examples' seeds) in several orders, and paired differences between them."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from curriculode.sims.runs.observe import Observations, observe
from curriculode.theory.describe.experiment import Experiment


def observe_orders(
    experiment: Experiment,
    orders: Sequence[str],
    observables: Sequence[str],
    dimension: int,
    runs: int,
    times: ArrayLike,
    points: int,
    report: Callable[[float], None],
) -> dict[str, Observations]:
    """The observables of the same `runs` runs in each order; a Ctrl-C ends the figure, since half a figure is none."""
    result = {}
    for i, order in enumerate(orders):
        result[order] = observe(
            experiment.replace({"protocol.order": order}), observables, dimension=dimension, runs=runs, times=times, points=points,
            progress=lambda fraction, i=i: report((i + fraction) / len(orders)),  # type: ignore[misc]
        )  # fmt: skip
        if result[order].interrupted:
            raise KeyboardInterrupt
    return result


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over runs (the leading axis) of first - second, and its standard error."""
    difference = first - second
    return difference.mean(axis=0), difference.std(axis=0, ddof=1) / np.sqrt(difference.shape[0])


def summary(seen: Observations, name: str) -> pd.DataFrame:
    """Times, mean and standard error of an observable."""
    return pd.DataFrame({"t": seen.t, "mean": seen.mean(name), "standard_error": seen.standard_error(name)})
