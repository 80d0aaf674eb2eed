"""The error that nets leave in the results of tangent spaces, from nets of a quarter of the points."""

from collections.abc import Callable

import numpy as np

from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.results.states import Trajectory

_PILOTS = 4
_FEWEST = 1024  # points, of which a quarter says something


def with_net_error(trajectory: Trajectory, numerics: Numerics, again: Callable[[Numerics], Trajectory]) -> Trajectory:
    """The trajectory with standard errors of its errors by the net, where they are asked for; `again` : made with other numerics.

    Nets converge no slower than Monte Carlo, so that those of a quarter scatter at least twice as much; what is fitted to a net is
    off by its number of features over that of the points, so that those of a quarter are off by four times as much.
    """
    points = trajectory.statistics["averages"]["points"]
    if not numerics.estimate_error or not trajectory.success or points < _FEWEST:
        return trajectory
    nets = [2**31 + _PILOTS * numerics.scrambling + r for r in range(_PILOTS)]
    quarter = numerics.set(points=points // 4)
    pilots = [again(quarter.set(scrambling=net)) for net in nets]
    averages = dict(trajectory.statistics["averages"])
    for name, quantity in (("standard_error", "generalization_error"), ("classification_standard_error", "classification_error")):
        values = np.array([getattr(pilot, quantity) for pilot in pilots])
        bias = np.abs(values.mean(axis=0) - getattr(trajectory, quantity)) / 3.0
        averages[name] = np.maximum(0.5 * values.std(axis=0, ddof=1), bias)
    averages["t"] = trajectory.t
    largest = np.abs(trajectory.generalization_error).max(initial=0.0)
    averages["accuracy"] = float(averages["standard_error"].max(initial=0.0) / largest) if largest > 0 else 0.0
    return trajectory.replace(statistics={**trajectory.statistics, "averages": averages})
