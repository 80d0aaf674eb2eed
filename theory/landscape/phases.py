"""Boundaries of phases: where what is dead stays dead, and where weights grow without bound.

Dead: the weight decay that a small ReLU unit of a trained readout cannot outgrow (`critical_decay`).

Divergent: with a fixed readout and units that are linear far out (ReLU, GELU, linear), large weights make e = f, and the
equations are homogeneous: along a ray Q keeps its ratios and grows at one rate, below zero up to a learning rate and above
zero beyond. Overlaps with references only shrink there. For one ReLU unit the rate is

    d ln Q / dt = - eta sigma^2 v^2 + 1/2 eta^2 sigma^4 v^4 - 2 eta kappa,    0 at  eta sigma^2 v^2 = 2 (1 + 2 kappa/(sigma^2 v^2))

A readout trained at the weights' rate keeps them bounded: where labels average out, of S = sum_k v_k^2

    d/dt [ sum_k Q_kk - S + 1/4 eta sigma^2 S^2 ] <= - 2 eta kappa [ sum_k Q_kk - S + 1/2 eta sigma^2 S^2 ]

and S falls, with equality for one ReLU unit without weight decay.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import numbers, text
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.packing import pack
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.fixed_point import stage_held
from curriculode.theory.landscape.rest import Holding
from curriculode.theory.landscape.thresholds import critical_decay

if TYPE_CHECKING:
    import pandas as pd

_LINEAR_FAR_OUT = ("relu", "gelu", "linear")
_LARGE = 1e12  # squares of weights against which labels and the bends of units are nothing
_STEP, _MOST, _STILL = 0.4, 400, 1e-6  # of the ratios, over the largest rate; how many; what is no change of them
_NONE = 1e-6  # over the learning rate: units that cancel stay as they are, however large
_SCANNED = 10  # values of y in which the first change of phase is looked for


@checked(level=text)
def growth_far_out(
    experiment: Experiment,
    start: OrderParameters,
    *,
    level: str | None = None,
    numerics: Numerics | None = None,
    points: int | None = None,
    noise_terms: bool | None = None,
) -> float:
    """Return the rate at which very large weights grow, d ln Q / dt: above zero, learning can diverge.

    The ratios of Q are followed from the start's to the ray that they lead to.

    Parameters
    ----------
    experiment : Experiment
        Units relu, gelu or linear, the squared loss, a fixed readout.
    start : OrderParameters
        Whose v is the readout, and whose Q says from which ratios.
    level : str, optional
        Of the examples, by default the hardest.
    numerics : Numerics, optional
        How; the keywords after it are shortcuts for single settings of it.
    points, noise_terms : optional
        See `Numerics`; nets have 1024 points by default.

    Returns
    -------
    float
        d ln Q / dt along the ray.

    Raises
    ------
    InputError
        For students whose weights cannot diverge, or not along a ray.

    Notes
    -----
    The noise term of units with kinks is averaged by a net, a staircase in the ratios: rates are known to some points' weights, and
    a boundary to as much over the rate's slope, which is small where readouts of both signs cancel.

    Examples
    --------
    One ReLU unit: - eta s^2 v^2 + (eta s^2 v^2)^2 / 2 with s = 1, v = 1 is zero at eta = 2.

    >>> import curriculode as cu
    >>> student = cu.Committee(width=1, activation="relu", readout="fixed", readout_start="equal")
    >>> training, protocol = cu.OnlineSGD(learning_rate=2.0), cu.Protocol.single(duration=1.0, noise=1.0)
    >>> experiment = cu.Experiment(task=cu.XorMixture(), student=student, training=training, protocol=protocol)
    >>> abs(growth_far_out(experiment, cu.OrderParameters([[1.0]], [[0.0, 0.0]], [1.0]))) < 1e-2
    True
    """
    setting = Setting.of(experiment)
    setting.check(start)
    _check_far_out(experiment)
    held, _ = stage_held(experiment, setting, experiment.protocol.level(level).name)
    settings = numerics_with(numerics, points=points, noise_terms=noise_terms)
    equations = Holding(setting, held, settings).equations(start.v)
    ratios = start.blocked()[0]
    place = equations.coordinates
    y, M = np.empty(place.size), np.zeros((place.blocks, place.K, place.P))
    rate = 0.0
    with one_blas_thread(), np.errstate(all="ignore"):
        for _ in range(_MOST):
            ratios = ratios / np.einsum("bkk->", ratios)
            pack(_LARGE * ratios, M, equations.v, y)
            change = place.overlaps(equations.rate(y), equations.v)[0] / _LARGE
            rate, largest = float(np.einsum("bkk->", change)), float(np.abs(change).max())
            turn = change - rate * ratios
            if not np.abs(turn).max() > _STILL * largest:
                break
            ratios = ratios + _STEP / max(largest, 1e-300) * turn * float(np.abs(ratios).max())
            ratios, _ = place.physical(ratios, M, equations.v)  # a step may lead across the edge, where units are one
    return rate


def _check_far_out(experiment: Experiment) -> None:
    """Raise `InputError` for students whose weights do not grow along rays."""
    student, loss = experiment.student, getattr(experiment.training, "loss", "squared")
    if student.readout == "trained":
        raise InputError(
            "a trained readout shrinks as weights grow and keeps them bounded; divergence at large weights is of readout = 'fixed'"
        )
    if student.activation not in _LINEAR_FAR_OUT:
        raise InputError(
            f"activation {student.activation!r} is not linear far out, so that large weights have no rate of growth; use one of "
            f"{', '.join(_LINEAR_FAR_OUT)}"
        )
    if loss != "squared":
        raise InputError(f"the {loss} loss has bounded errors, whose weights do not grow at a rate; use loss = 'squared'")


def _values(name: str, value: Any) -> list[float]:
    given = numbers(name, value)
    if given.ndim != 1 or not given.size:
        raise InputError(f"{name} = {shown(value)} is not allowed; give a list of numbers")
    return [float(each) for each in given]


def _between(name: str, value: Any) -> tuple[float, float]:
    given = numbers(name, value)
    if given.shape != (2,) or not 0.0 < given[0] < given[1]:
        raise InputError(f"{name} = {shown(value)} is not allowed; give the lowest and the highest value, both above 0")
    return float(given[0]), float(given[1])


@checked(x=text, y=text, values=_values, between=_between, start=inside, level=text)
def phase_boundary(
    experiment: Experiment,
    x: str,
    values: Sequence[float],
    y: str,
    between: Sequence[float],
    *,
    start: OrderParameters | None = None,
    level: str | None = None,
    numerics: Numerics | None = None,
    points: int | None = None,
) -> "pd.DataFrame":
    """Return where learning changes into what is dead, or diverges, in a parameter y at several values of another, x.

    From stability, not from runs: for a trained readout of ReLU units the line beyond which a small unit dies away
    (`critical_decay`), for a fixed readout the line beyond which large weights grow (`growth_far_out`). The table is the
    `boundary` of a `phase_diagram`. The boundary of smooth units with a trained readout is a fold, which `continuation` finds.

    Parameters
    ----------
    experiment : Experiment
        What is varied; an XOR mixture where small units are asked about.
    x : str
        Dotted name of a number, such as "levels.hard.noise".
    values : sequence of float
        Its values.
    y : str
        Dotted name of another, such as "training.weight_decay" or "training.learning_rate".
    between : pair of float
        Lowest and highest value of y, above 0; in equal ratios between them, changes of phase are looked for.
    start : OrderParameters, optional
        Of a fixed readout: its v, and the ratios of Q; by default equal readouts of the student's scale and units that do not
        overlap.
    level : str, optional
        Of the examples, by default the hardest.
    numerics : Numerics, optional
        How; `points` is a shortcut for that setting of it.
    points : int, optional
        See `Numerics`; nets have 1024 points by default.

    Returns
    -------
    DataFrame
        One row a place of the boundary: x and y by their names, `phase` (what lies beyond: "dead" or "divergent").

    Raises
    ------
    InputError
        For names and values that the experiment does not allow, and students of whom neither boundary is known.

    Examples
    --------
    >>> import curriculode as cu
    >>> experiment = cu.load("xor-lottery")
    >>> line = phase_boundary(experiment, "levels.only.noise", [0.1, 0.3], "training.weight_decay", (0.01, 1.0))
    >>> line["phase"].tolist(), line["training.weight_decay"].round(3).tolist()
    (['dead', 'dead'], [0.115, 0.095])
    """
    from scipy.optimize import brentq

    settings = numerics_with(numerics, points=points)
    trained = experiment.student.readout == "trained"
    phase = "dead" if trained else "divergent"
    if x == y:
        raise InputError(f"x and y are both {shown(x)}; give two parameters")
    setting = Setting.of(experiment)
    if start is None:
        blocks, K, P = setting.shape
        start = OrderParameters(
            np.tile(np.eye(K), (blocks, 1, 1)), np.zeros((blocks, K, P)), np.full(K, experiment.student.v_scale)
        )
    setting.check(start)

    rows = []
    for value in values:
        along = experiment.replace({x: value})

        def left(log: float, along: Experiment = along) -> float:
            """Above zero where learning goes on."""
            there = along.replace({y: float(np.exp(log))})
            if trained:
                return critical_decay(there, level=level) - float(there.get("training.weight_decay"))
            rate = growth_far_out(there, start, level=level, numerics=settings)
            return -rate if abs(rate) > _NONE * there.get("training.learning_rate") else _NONE

        grid = np.linspace(np.log(between[0]), np.log(between[1]), _SCANNED)
        found = [left(each) for each in grid]
        for i in np.flatnonzero(np.sign(found[:-1]) * np.sign(found[1:]) < 0):
            place = float(brentq(left, grid[i], grid[i + 1], xtol=1e-4))
            rows.append({x: value, y: float(np.exp(place)), "phase": phase})
    import pandas as pd

    return pd.DataFrame(rows, columns=[x, y, "phase"]).astype({x: float, y: float})
