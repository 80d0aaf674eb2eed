"""Ridge regression in the tangent space of a start: at any numbers of examples, at the best strength, and with endless ones."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import number_within
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.tangent import TangentRidge
from curriculode.theory.results.states import Trajectory
from curriculode.theory.results.tangent import tangent_arrays
from curriculode.theory.solve.net_error import with_net_error
from curriculode.theory.tangent.frame import Frame, Moved
from curriculode.theory.tangent.ridge import Ridge, Solution, Strengths
from curriculode.theory.tangent.rows import Rows, tangent_errors
from curriculode.theory.tangent.space import TANGENT, TangentSpace

LOWEST, HIGHEST = 1e-4, 1e4  # of the strengths that are searched for the best
_COARSE = 7
_TOLERANCE = 1e-4  # of V in that search: the error of what is read off it is of its square
_ROWS_OF_OPTIMUM = 2**17
_APART = 2**31 + 2**30  # from the scrambling that errors are measured with to that which an optimum is fitted to


@dataclass(frozen=True)
class Solved:
    """The ridge at each number of examples, `alphas` (times,), with strengths `gammas` (times,);  threshold : alpha*."""

    frame: Frame
    alphas: np.ndarray
    gammas: np.ndarray
    solutions: list[Solution]
    threshold: float


def best_regularization(ridge: Ridge, alpha: float, gamma_v: float, hardest: Rows, tolerance: float) -> float:
    """The gamma in [1e-4, 1e4] of least test error at the level whose rows are given: a coarse grid, then Brent's method."""
    from scipy.optimize import minimize_scalar

    last: np.ndarray | None = None

    def error(logarithm: float) -> float:
        nonlocal last
        found = ridge.solve(Strengths(alpha, 10.0**logarithm, gamma_v), tolerance, last)
        last = found.L if ridge.model.first else None
        return tangent_errors(hardest, ridge.model, found.change)[0]

    grid = np.linspace(np.log10(HIGHEST), np.log10(LOWEST), _COARSE)
    values = [error(each) for each in grid]
    i = int(np.argmin(values))
    low, high = grid[min(i + 1, _COARSE - 1)], grid[max(i - 1, 0)]
    found = minimize_scalar(error, bounds=(low, high), method="bounded", options={"xatol": 3e-2})
    return float(10.0 ** (found.x if found.fun <= values[i] else grid[i]))


def strengths_of(experiment: Experiment, start: OrderParameters, numerics: Numerics | None = None) -> np.ndarray:
    """gamma at each number of examples (times,), those that are "optimal" found by theory."""
    training = experiment.training
    assert isinstance(training, TangentRidge)
    count = training.numbers(experiment.protocol.duration).size
    if training.regularization != "optimal":
        return np.full(count, float(training.regularization))
    return solve_ridge(experiment, start, numerics or Numerics(), 1e-8).gammas


def solve_ridge(
    experiment: Experiment,
    start: OrderParameters,
    numerics: Numerics,
    tolerance: float,
    progress: Callable[[float], None] | None = None,
    strengths: np.ndarray | None = None,
) -> Solved:
    """The ridge of an experiment from a start (its units in any order) at each number of examples, warm from the one before.

    strengths : gamma at each number of examples, where they are known; by default the training's
    """
    training = experiment.training
    assert isinstance(training, TangentRidge)
    space = TangentSpace.of(experiment, start)
    points = space.points(numerics)
    rows = space.rows(space.shares, points, numerics.scrambling)
    last_level = np.eye(len(space.laws))[-1]
    ridge = Ridge(space.frame, space.model, rows, space.blocks.fractions)
    alphas = training.numbers(experiment.protocol.duration)
    gammas, solutions, L = [], [], None
    searched = strengths is None and training.regularization == "optimal"
    hardest = space.rows(last_level, points, numerics.scrambling) if searched else rows
    for i, alpha in enumerate(alphas):
        gamma_v = training.readout_regularization
        if strengths is not None:
            gamma = float(strengths[i])
        elif training.regularization == "optimal":
            gamma = best_regularization(ridge, float(alpha), gamma_v, hardest, _TOLERANCE)
        else:
            gamma = float(training.regularization)
        found = ridge.solve(Strengths(float(alpha), gamma, gamma_v), tolerance, L)
        L = found.L if space.model.first else None
        gammas.append(gamma)
        solutions.append(found)
        if progress is not None:
            progress((i + 1) / alphas.size)
    return Solved(space.frame, alphas, np.array(gammas), solutions, space.threshold(rows))


def tangent_state_evolution(
    experiment: Experiment,
    start: OrderParameters,
    tolerance: float,
    numerics: Numerics,
    progress: Callable[[float], None] | None = None,
) -> Trajectory:
    """`state_evolution` of `TangentRidge`: one time for each number of examples."""
    found = _once(experiment, start, tolerance, numerics, progress)
    gammas = np.array(found.statistics["regularization"])
    return with_net_error(found, numerics, lambda other: _once(experiment, start, max(tolerance, 1e-6), other, None, gammas))


def _once(
    experiment: Experiment,
    start: OrderParameters,
    tolerance: float,
    numerics: Numerics,
    progress: Callable[[float], None] | None,
    strengths: np.ndarray | None = None,
) -> Trajectory:
    """`tangent_state_evolution` with one net, and `strengths` where they are known."""
    clock = time.perf_counter()
    order = start.canonical_order()
    back, ordered = np.argsort(order), start.permuted(order)
    with one_blas_thread():
        solved = solve_ridge(experiment, ordered, numerics, tolerance, progress, strengths)
    moved = [solved.frame.moved(each.change) for each in solved.solutions]
    space = TangentSpace.of(experiment, ordered)
    residual = max(each.residual for each in solved.solutions)
    success = residual <= tolerance
    status = (
        f"{solved.alphas.size} number(s) of examples solved in {sum(each.steps for each in solved.solutions)} Newton steps, "
        f"residual {residual:.1e}"
        if success
        else f"V did not converge: residual {residual:.1e}; use a larger regularization or tolerance"
    )
    status += "".join(f"; {note}" for note in _notes(experiment, space, solved))
    record = tangent_record(experiment, numerics, solved.frame, moved, back, solved.alphas, status, success)
    train = np.array([each.train for each in solved.solutions])
    return record.replace(
        arrays={"train_loss": train},
        statistics={
            "method": "Newton",
            "tolerance": tolerance,
            "steps": [each.steps for each in solved.solutions],
            "residual": [each.residual for each in solved.solutions],
            "regularization": solved.gammas.tolist(),
            "threshold": solved.threshold,
            "correction": (space.correction() / solved.alphas).tolist(),
            "averages": {"ways": {"tangent space": "quasi-Monte Carlo"}, "points": space.points(numerics)},
            "seconds": time.perf_counter() - clock,
        },
    )


def _notes(experiment: Experiment, space: TangentSpace, solved: Solved) -> Iterator[str]:
    """What is told with a result: strengths that were found, and where it is not to be trusted."""
    training = experiment.training
    assert isinstance(training, TangentRidge)
    if training.regularization == "optimal":
        yield "least test error at regularization = " + ", ".join(f"{gamma:.4g}" for gamma in solved.gammas)
    if space.chance:
        yield f"labels do not change with the sign of the input and {space.activation.name} units are odd: chance for every start"
    if space.diverges() and (solved.gammas == 0.0).any() and (solved.alphas < solved.threshold).any():
        yield (
            f"not to be trusted below alpha* = {solved.threshold:.3g}: with K <= 2 q {space.activation.name} units the least norm "
            "diverges; use a regularization above 0"
        )
    if space.model.first:
        yield f"corrections at finite D are of relative order {space.correction() / solved.alphas[0]:.3g} / D" + (
            f" to {space.correction() / solved.alphas[-1]:.3g} / D" if solved.alphas.size > 1 else ""
        )


def tangent_record(
    experiment: Experiment,
    numerics: Numerics,
    frame: Frame,
    moved: list[Moved],
    back: np.ndarray,
    t: np.ndarray,
    status: str,
    success: bool = True,
) -> Trajectory:
    """A trajectory of these states, whose units come back in their own order."""
    own = [Moved(m.Q[:, back][:, :, back], m.M[:, back], m.v[back], m.C[:, back][:, :, back]) for m in moved]
    start = replace(frame, Q=frame.Q[:, back][:, :, back], M=frame.M[:, back], v=frame.v[back])
    return Trajectory(experiment, numerics, {"t": t.astype(float), **tangent_arrays(start, own)}, status, success=success)


def _as_tangent(experiment: Experiment) -> Experiment:
    """The experiment with training in a tangent space, its own where that is in one."""
    if isinstance(experiment.training, TANGENT):
        return experiment
    protocol: Any = experiment.protocol
    return Experiment(
        task=experiment.task, student=experiment.student, protocol=protocol, training=TangentRidge(regularization=0.0)
    )


@checked
def tangent_optimum(experiment: Experiment, start: OrderParameters, *, numerics: Numerics | None = None) -> Trajectory:
    """Find the best linear model of the tangent space at `start`: what endless examples lead to.

    The minimum of E (y - f_lin)^2 over the levels by their shares, E[psi psi'] beta = E[psi r], with psi = (c_k tau_j, g_k) and
    r = y, or y - f0 where the model is not centred. For a teacher of M orthonormal units with readout 1 and M0 = 0,
    (Var y - M m1_T^2 R1 + (E y)^2 (1 - R0)) / 2 with R1 = K / (K + m2/m1^2 - 1), m1 = E g', m2 = E g'^2, and R0 the share of the
    constant that the features explain; no other is known in closed form. (Derived here; the tangent space of a committee.)

    Parameters
    ----------
    experiment : Experiment
        Of any training; one that is not in a tangent space is taken as `TangentRidge(regularization=0)`: centred, both layers.
    start : OrderParameters
        w0 and v0, such as `experiment.initial(dimension=1000)`.
    numerics : Numerics, optional
        `points` and `scrambling` of the net are of use here.

    Returns
    -------
    Trajectory
        One time, t = infinity. Its errors are those of the model that was found on a net of its own; `train_loss`, the population's
        loss, is the mean over that net and another.

    Raises
    ------
    InputError
        For a start that does not fit the experiment or is not physical.

    Examples
    --------
    >>> from curriculode import load, tangent_optimum
    >>> experiment = load("xor-curriculum")
    >>> best = tangent_optimum(experiment, experiment.initial(dimension=1000))
    >>> bool(0.4 < best.classification_error[-1] < 0.51)  # the signal-to-noise ratio is too low for a lazy network
    True
    """
    settings = numerics or Numerics()
    experiment = _as_tangent(experiment)
    order = start.canonical_order()
    space = TangentSpace.of(experiment, start.permuted(order))
    # What is fitted to a net is too good there by its number of features over that of rows, and as much too bad elsewhere: errors
    # are those of another net, and the loss is the mean of both, which is off by the square of that.
    rows_wanted = int(min(512 * space.model.count(space.frame), _ROWS_OF_OPTIMUM))
    points = space.points(settings, max(rows_wanted, 2**14))
    settings = settings.set(points=points)
    rows, others = (space.rows(space.shares, points, net) for net in (settings.scrambling + _APART, settings.scrambling))
    change = Ridge(space.frame, space.model, rows, space.blocks.fractions).optimum()
    own, elsewhere = (tangent_errors(each, space.model, change)[0] + 0.5 * rows.noise for each in (rows, others))
    loss = 0.5 * (own + elsewhere)
    status = (
        f"population optimum of {space.model.count(space.frame)} features, by nets of {points} points: loss between {own:.4g} "
        f"where it is fitted and {elsewhere:.4g} elsewhere"
    )
    if space.chance:
        status += "; chance for every start, as odd units see no label that the sign of the input leaves alone"
    record = tangent_record(
        experiment, settings, space.frame, [space.frame.moved(change)], np.argsort(order), np.array([np.inf]), status
    )
    averages = {"ways": {"tangent space": "quasi-Monte Carlo"}, "points": points}
    return record.replace(arrays={"train_loss": np.array([loss])}, statistics={"averages": averages})


@checked(tolerance=inside)
def effective_complexity(
    experiment: Experiment, start: OrderParameters, *, tolerance: float = 0.01, numerics: Numerics | None = None
) -> float:
    """Find the effective model complexity of ridge regression in a tangent space, in examples per input dimension.

    The most examples alpha that are fitted with a train loss of at most `tolerance`: EMC of Nakkiran et al. 2020 (1912.02292). It
    tends to the threshold alpha* as tolerance and regularisation vanish.

    Parameters
    ----------
    experiment : Experiment
        With `TangentRidge` as its training, at one strength; its own numbers of examples are of no account.
    start : OrderParameters
        w0 and v0.
    tolerance : float, default 0.01
        Train loss E (f - y)^2 / 2, above 0.
    numerics : Numerics, optional
        `points` and `scrambling` of the net are of use here.

    Returns
    -------
    float
        alpha; infinite where all examples there are can be fitted as well.

    Raises
    ------
    InputError
        For other training, and "optimal" strengths.

    Examples
    --------
    >>> import curriculode as cu
    >>> experiment = cu.Experiment(task=cu.TeacherStudent(teacher_width=1, label_noise=0.5), student=cu.Committee(width=2),
    ...     training=cu.TangentRidge(regularization=0.0), protocol=cu.Protocol.single(duration=1.0))
    >>> start = cu.OrderParameters([[0.5, 0.0], [0.0, 0.5]], [[0.0], [0.0]], [1.0, -1.0])
    >>> complexity = cu.effective_complexity(experiment, start, tolerance=1e-3)
    >>> bool(1.9 < complexity < 2.3)  # alpha* = K = 2
    True
    """
    from scipy.optimize import brentq

    training = experiment.training
    if not isinstance(training, TangentRidge) or training.regularization == "optimal":
        raise InputError('effective_complexity needs training.kind = "tangent-ridge" with a number as its regularization')
    tolerance = number_within("tolerance", tolerance, 1e-12, 1e12, "it must lie above 0, such as 0.01")
    settings = numerics or Numerics()
    space = TangentSpace.of(experiment, start.permuted(start.canonical_order()))
    rows = space.rows(space.shares, space.points(settings), settings.scrambling)
    ridge = Ridge(space.frame, space.model, rows, space.blocks.fractions)

    def excess(logarithm: float) -> float:
        strengths = Strengths(float(np.exp(logarithm)), float(training.regularization), training.readout_regularization)
        return ridge.solve(strengths, 1e-8).train - tolerance

    centre = np.log(max(space.threshold(rows), 1e-3))
    low, high = centre - 1.0, centre + 1.0
    while excess(low) > 0.0:
        low -= 1.0
        if low < np.log(1e-6):
            return 0.0
    while excess(high) < 0.0:
        high += 1.0
        if high > np.log(1e6):
            return float("inf")
    return float(np.exp(brentq(excess, low, high, xtol=1e-4)))
