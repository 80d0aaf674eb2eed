"""The verb `worth`: one backward pass along a protocol, and what every example is worth."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from curriculode.theory.control.objective import Objective
from curriculode.theory.control.passes import paths
from curriculode.theory.control.records import Worth
from curriculode.theory.control.schedule import Schedule
from curriculode.theory.control.singular import singular_arc
from curriculode.theory.core.arguments import checked, inside, whole
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import function, truth
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.setting import Setting

RTOL = 1e-5  # of the objective, by the length of the steps


def checked_starts(name: str, given: Any) -> list[OrderParameters]:
    """One start or several, as a list."""
    starts = [given] if isinstance(given, OrderParameters) else given
    if not isinstance(starts, Sequence) or not starts or not all(isinstance(each, OrderParameters) for each in starts):
        raise InputError(
            f"{name} = {shown(given)} is not allowed; give one start, such as experiment.initial(1000), or a list of them"
        )
    return list(starts)


@checked(start=inside, objective=inside, average=truth, singular=truth, intervals=whole(1, 10**5), progress=function)
def worth(
    experiment: Experiment,
    start: OrderParameters | Sequence[OrderParameters],
    *,
    objective: Any = "generalization_error",
    average: bool = False,
    intervals: int = 100,
    singular: bool = False,
    numerics: Numerics | None = None,
    averages: str | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    rtol: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Worth:
    """Compute what one more example of each level would change in the final error, at every time of the protocol.

    With y' = sum_d p_d (eta A_d + eta^2 B_d), B_d the noise term, and the costate lambda, lambda' = - (df/dy)' lambda, which ends
    as the gradient of the objective, an example of level d at time t changes the objective by s_d(t) / D, s_d = lambda . (eta A_d +
    eta^2 B_d): the switching function of optimal control (Mignacco & Mori 2025, arXiv 2507.07907). One backward pass gives it for
    all levels and times. Where two levels are best mixed, the gap of their worths is constant, which fixes the share of the first:
    p* = - lambda . [f_h, [f_h, g]] / lambda . [g, [f_h, g]], g = f_e - f_h, [a, b] = (Db) a - (Da) b.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    start : OrderParameters or sequence of OrderParameters
        The state at t = 0; from several, means and standard errors over them.
    objective : str or dict, default "generalization_error"
        An error on the hardest level, "generalization_error" or "classification_error", or weights >= 0 on levels,
        {"classification_error": {"easy": 0.5, "hard": 0.5}}. Where the classification error has no closed form its step is
        smoothed over .05 of an output.
    average : bool, default False
        Whether the mean over the protocol counts, and not the end.
    intervals : int, default 100
        Number of equal intervals of time, beside the stages' own ends, that the worth is averaged over.
    singular : bool, default False
        Whether to compute the share in which two levels are mixed on a singular arc, too.
    numerics : Numerics, optional
        How; the other keywords are shortcuts for single settings of it.
    averages, points, scrambling : optional
        See `Numerics`; nets have 1024 points by default, whatever the accuracy.
    rtol : float, optional
        Of the objective, by the length of the steps: by default 1e-5.
    progress : callable, optional
        Called with the finished fraction.

    Returns
    -------
    Worth
        `.t`, `.worth` (starts, times, levels), `.mean(level)`, `.to_frame()`, `.plot()`.

    Raises
    ------
    InputError
        For batch learning, an unknown objective, a singular share of other than two levels or with an average over time, and
        starts from which the equations diverge.

    Examples
    --------
    >>> from curriculode import load, worth
    >>> experiment = load("perceptron-curriculum")
    >>> found = worth(experiment, experiment.initial(dimension=1000), objective="classification_error", intervals=10)
    >>> found.levels, found.worth.shape, bool((found.mean("easy") < 0).all())
    (['easy', 'hard'], (1, 10, 2), True)
    """
    settings = numerics_with(numerics, averages=averages, points=points, scrambling=scrambling, rtol=rtol)
    starts = checked_starts("start", start)
    setting = Setting.of(experiment)
    wanted = Objective.of(experiment, objective, average)
    if singular and (len(setting.laws) != 2 or average):
        raise InputError("a singular share is that of the first of two levels, for an objective at the end; leave singular out")
    schedule = Schedule.of(setting).finer(intervals)
    lengths = schedule.lengths
    found, arcs = [], []
    with one_blas_thread():
        along = paths(setting, wanted, starts, settings, [schedule], settings.rtol or RTOL)
        for i, path in enumerate(along):
            one = path.sensitivity(schedule)
            if one is None:
                raise InputError(f"the equations diverge from start {i}; give a smaller learning_rate or more weight_decay")
            found.append(one)
            if singular:
                places = zip(one.states, one.costates, schedule.eta, strict=True)
                arcs.append([singular_arc(path, y, costate, float(eta)) for y, costate, eta in places])
            if progress is not None:
                progress((i + 1) / len(along))
    steps = max(sum(max(1, int(np.ceil(length / path.step - 1e-9))) for length in lengths) for path in along)
    return Worth(
        experiment,
        settings,
        {
            "t": 0.5 * (schedule.edges[1:] + schedule.edges[:-1]),
            "length": lengths,
            "worth": np.array([one.probability / lengths[:, None] for one in found]),
            "learning_rate": np.array([one.eta / lengths for one in found]),
            "weight_decay": np.array([one.kappa / lengths for one in found]),
            "probability": schedule.probability.copy(),
            "value": np.array([one.value for one in found]),
            **({"singular": np.array(arcs)} if singular else {}),
        },
        f"{len(starts)} {'start' if len(starts) == 1 else 'starts'}, {steps} steps of RK4 and back at most",
        statistics={"method": "RK4", "steps": steps, "average": average, "objective": objective, "ways": along[0].engine.ways},
    )
