"""The state evolution of an experiment: its slices one after the other, or a ridge in its tangent space.

Strengths are given, or those that are optimal.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from curriculode.theory.batch.optimal import best_strengths
from curriculode.theory.batch.slice_equations import quadrature_error, solve
from curriculode.theory.batch.slices import Slices
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import function, number_within
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.tangent import TangentRidge
from curriculode.theory.results.states import Trajectory
from curriculode.theory.solve.tangent_ridge import tangent_state_evolution


@checked(progress=function)
def state_evolution(
    experiment: Experiment,
    start: OrderParameters | None = None,
    *,
    tolerance: float = 1e-10,
    most: int = 2000,
    numerics: Numerics | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trajectory:
    """Solve for the overlaps that learning from stored examples leads to, in the limit D -> infinity.

    Slices learnt to convergence (2106.08068): the equations of `curriculode.theory.batch.slice_equations`. Ridge regression in the
    tangent space of a start: those of `curriculode.theory.tangent.ridge`. A fixed point that is not reached is no error:
    `success` is False and `status` says which slice and what to do.

    Parameters
    ----------
    experiment : Experiment
        With `BatchSlices` as its training, where the slices are the stages of its protocol, or `TangentRidge`. Strengths that are
        "optimal" are chosen first.
    start : OrderParameters, optional
        w0 and v0 of a tangent space, such as `experiment.initial(dimension=1000)`; slices have none.
    tolerance : float, default 1e-10
        Of the fixed points: largest change of V, R, Q, relative for the positive ones, in one undamped pass through the
        equations, in (0, 1e-3].
    most : int, default 2000
        Passes allowed for a slice, >= 1.
    numerics : Numerics, optional
        Of a tangent space: `points` and `scrambling` of the net that averages.
    progress : callable, optional
        Of a tangent space: called with the finished fraction after each number of examples.

    Returns
    -------
    Trajectory
        One time a slice, or a number of examples; of these with `train_loss`, `threshold`, `laziness()`.
        `statistics` holds the residuals, and for each slice the passes and the change of the equations when the averages are
        taken with fewer nodes (`quadrature`).

    Raises
    ------
    InputError
        For an experiment that learns online, where the minimum of a slice is not unique, and for a tangent space without a start.

    Examples
    --------
    >>> from curriculode import load, state_evolution
    >>> trajectory = state_evolution(load("batch-perceptron"))
    >>> trajectory.success, trajectory.Q.shape
    (True, (2, 2, 1, 1))
    """
    tolerance = number_within("tolerance", tolerance, 1e-300, 1.0000001e-3, "it lies above 0 and up to 1e-3, such as 1e-10")
    if isinstance(experiment.training, TangentRidge):
        if start is None:
            raise InputError(
                "a tangent space is that of a start; give one, as in state_evolution(experiment, "
                "experiment.initial(dimension=1000))"
            )
        return tangent_state_evolution(experiment, start, tolerance, numerics or Numerics(), progress)
    if start is not None:
        raise InputError(f'start is for tangent spaces; training.kind = "{experiment.training.kind}" has none: leave it out')
    clock = time.perf_counter()
    slices = Slices.of(experiment)
    chosen = best_strengths(experiment)
    slices.check_unique(chosen.regularization, chosen.coupling)
    overlaps, points = solve(slices, chosen.regularization, chosen.coupling, tolerance, most)
    done = sum(point.converged for point in points)
    shape = (done, slices.fractions.size, 1, 1)
    Q, M = np.zeros(shape), np.zeros(shape)
    for s in range(done):
        Q[s, :, 0, 0], M[s, 0, 0, 0] = overlaps[s].Q(slices.T), overlaps[s].R
    if slices.fractions.size == 1:
        Q, M = Q[:, 0], M[:, 0]
    worst = max(point.residual for point in points)
    success = done == len(slices.load)
    passes = sum(point.evaluations for point in points)
    status = (
        f"all {done} slices converged in {passes} passes, residual {worst:.1e}"
        if success
        else f"slice {done + 1} of {len(slices.load)} did not converge: residual {points[-1].residual:.1e} after "
        f"{points[-1].evaluations} passes; use a larger regularization, or allow more passes (most)"
    )
    if chosen.note:
        status += f"; {chosen.note}"
    statistics: dict[str, Any] = {
        "method": "Anderson acceleration",
        "tolerance": tolerance,
        "passes": [point.evaluations for point in points],
        "residual": [point.residual for point in points],
        "quadrature": quadrature_error(slices, chosen.regularization, chosen.coupling, overlaps[:done], points[:done]),
        "regularization": chosen.regularization.tolist(),
        "coupling": chosen.coupling[1:].tolist(),
        "seconds": time.perf_counter() - clock,
    }
    arrays = {"t": slices.end[:done].copy(), "Q": Q, "M": M, "v": np.ones((done, 1))}
    return Trajectory(experiment, Numerics(), arrays, status, success=success, statistics=statistics)
