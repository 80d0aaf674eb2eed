"""Whole hidden units kept, deleted, drawn anew or planted: exact in order parameters, and in law at finite D."""

from typing import Any

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import checked_seed, numbers
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.results.observables import cosines, specialization
from curriculode.theory.tasks.blocks import Blocks


def _units(name: str, value: Any) -> list[int]:
    found = numbers(name, value) if np.size(value) else np.zeros(0)
    if found.ndim != 1 or (found != np.rint(found)).any() or len(set(found.tolist())) < found.size or (found < 0).any():
        raise InputError(f"{name} = {shown(value)} is not allowed; give a list of different numbers of units, such as [0, 2]")
    return [int(each) for each in found]


def _within(units: list[int], state: OrderParameters) -> list[int]:
    if units and max(units) >= state.width:
        raise InputError(f"unit {max(units)} does not exist; the student has {state.width}, numbered from 0")
    return units


_CHECKS: Any = {"state": lambda name, value: _state(name, value), "donor": lambda name, value: _state(name, value), "units": _units}


def _state(name: str, value: Any) -> OrderParameters:
    if not isinstance(value, OrderParameters):
        raise InputError(f"{name} = {shown(value)} is not allowed; give OrderParameters, such as trajectory.state()")
    return value


@checked(**_CHECKS)
def keep_units(state: OrderParameters, units: list[int]) -> OrderParameters:
    """Return the student of these units alone, in this order.

    Parameters
    ----------
    state : OrderParameters
        Of all units.
    units : list of int
        Those that stay, at least one.

    Returns
    -------
    OrderParameters
        Rows and columns of Q, rows of M and v; exact, for what is deleted has no part in the others.

    Raises
    ------
    InputError
        For units that there are not.

    Examples
    --------
    >>> keep_units(OrderParameters([[1.0, 0.2], [0.2, 1.0]], [[0.1], [0.3]], [1.0, -1.0]), [1]).v
    array([-1.])
    """
    _within(units, state)
    return OrderParameters(state.Q[..., units, :][..., :, units], state.M[..., units, :], state.v[units])


@checked(**_CHECKS)
def delete_units(state: OrderParameters, units: list[int]) -> OrderParameters:
    """Return the student without these units.

    Parameters
    ----------
    state : OrderParameters
        Of all units.
    units : list of int
        Those that go; one at least must stay.

    Returns
    -------
    OrderParameters
        Of the others.

    Raises
    ------
    InputError
        For units that there are not, or where none is left.

    Examples
    --------
    >>> delete_units(OrderParameters([[1.0, 0.2], [0.2, 1.0]], [[0.1], [0.3]], [1.0, -1.0]), [1]).v
    array([1.])
    """
    _within(units, state)
    rest = [k for k in range(state.width) if k not in units]
    if not rest:
        raise InputError("all units would be deleted; keep at least one")
    return keep_units(state, rest)


@checked(**_CHECKS)
def reinitialise_units(
    experiment: Experiment, state: OrderParameters, units: list[int], *, dimension: int, seed: int | np.random.SeedSequence = 0
) -> OrderParameters:
    """Return the student with fresh weights and readout at these units, in law exactly as in `dimension` inputs.

    In the frame of the references and the other units, r vectors, fresh weights have r Gaussian coordinates of variance
    weight_scale^2 / D, and the squared length weight_scale^2 chi^2_{D_b - r} / D beyond.

    Parameters
    ----------
    experiment : Experiment
        Whose student's scales and references it is.
    state : OrderParameters
        Of all units.
    units : list of int
        Those that are drawn anew.
    dimension : int
        D.
    seed : int or SeedSequence, default 0
        Of the fresh weights.

    Returns
    -------
    OrderParameters
        Of as many units, the others as they were.

    Raises
    ------
    InputError
        For units that there are not, and a dimension that is too small.

    Examples
    --------
    >>> from curriculode import load
    >>> experiment = load("xor-curriculum")
    >>> start = experiment.initial(dimension=1000)
    >>> fresh = reinitialise_units(experiment, start, [0], dimension=1000)
    >>> bool(fresh.Q[1, 2] == start.Q[1, 2]), bool(fresh.Q[0, 0] == start.Q[0, 0])
    (True, False)
    """
    _within(units, state)
    rng = np.random.default_rng(checked_seed(seed))
    rest = [k for k in range(state.width) if k not in units]
    student, blocks = experiment.student, Blocks.of(experiment.task)
    sizes, scale = blocks.sizes(dimension, state.width), student.weight_scale
    Q, M, v = (part.copy() for part in state.blocked())
    P = M.shape[-1]
    for b, size in enumerate(sizes):
        old = np.block([[blocks.T[b], M[b][rest].T], [M[b][rest], Q[b][np.ix_(rest, rest)]]])
        L, r = semidefinite_factor(old), P + len(rest)
        along = scale * rng.standard_normal((len(units), r)) / np.sqrt(dimension)
        beyond = np.tril(rng.standard_normal((len(units), len(units))), -1)
        beyond[np.diag_indices(len(units))] = np.sqrt(rng.chisquare(size - r - np.arange(len(units))))
        beyond *= scale / np.sqrt(dimension)
        cross = along @ L.T
        M[b][units] = cross[:, :P]
        Q[b][np.ix_(units, rest)], Q[b][np.ix_(rest, units)] = cross[:, P:], cross[:, P:].T
        Q[b][np.ix_(units, units)] = along @ along.T + beyond @ beyond.T
    fresh = rng.standard_normal(len(units)) if student.readout_start == "gaussian" else np.ones(len(units))
    v[units] = student.v_scale * fresh
    return _like(state, Q, M, v)


@checked(**_CHECKS)
def plant_units(
    experiment: Experiment,
    state: OrderParameters,
    donor: OrderParameters,
    units: list[int],
    *,
    dimension: int,
    seed: int | np.random.SeedSequence = 0,
) -> OrderParameters:
    """Return the student with copies of units of another network beside its own.

    Networks of independent weights share the references alone: w1 . w2 / D = M1 T^+ M2' + C1^(1/2) O C2^(1/2)', with
    C = Q - M T^+ M' and O the corner of a random rotation of the D_b - P inputs that are left.

    Parameters
    ----------
    experiment : Experiment
        Whose references they are.
    state : OrderParameters
        Of the network that is planted in, K units.
    donor : OrderParameters
        Of another network, with independent weights.
    units : list of int
        Of the donor.
    dimension : int
        D.
    seed : int or SeedSequence, default 0
        Of the rotation.

    Returns
    -------
    OrderParameters
        Of K + len(units) units, the planted ones last.

    Raises
    ------
    InputError
        For units that there are not, and networks of other blocks or references.

    Examples
    --------
    >>> from curriculode import load
    >>> experiment = load("xor-curriculum")
    >>> one, other = (experiment.initial(dimension=1000, number=i) for i in (0, 1))
    >>> plant_units(experiment, one, other, [0, 3], dimension=1000).width
    6
    """
    copies = keep_units(donor, units)
    Q1, M1, v1 = state.blocked()
    Q2, M2, v2 = copies.blocked()
    blocks = Blocks.of(experiment.task)
    state.check(state.width, blocks.T)
    copies.check(copies.width, blocks.T)
    sizes = blocks.sizes(dimension, state.width + copies.width)
    rng = np.random.default_rng(checked_seed(seed))
    K, n = state.width, copies.width
    Q, M = np.zeros((sizes.size, K + n, K + n)), np.concatenate([M1, M2], axis=1)
    for b, size in enumerate(sizes):
        inverse, P = np.linalg.pinv(blocks.T[b], hermitian=True), M1.shape[-1]
        factors = [_root(Q_[b] - M_[b] @ inverse @ M_[b].T) for Q_, M_ in ((Q1, M1), (Q2, M2))]
        corner = rng.standard_normal((K, n))
        rest = np.tril(rng.standard_normal((n, n)), -1)
        rest[np.diag_indices(n)] = np.sqrt(rng.chisquare(size - P - K - np.arange(n)))
        rotation = corner @ np.linalg.inv(np.linalg.cholesky(corner.T @ corner + rest @ rest.T)).T
        cross = M1[b] @ inverse @ M2[b].T + factors[0] @ rotation @ factors[1].T
        Q[b] = np.block([[Q1[b], cross], [cross.T, Q2[b]]])
    return _like(state, Q, M, np.concatenate([v1, v2]))


def winners(experiment: Experiment, state: OrderParameters, threshold: float = 0.5) -> list[int]:
    """Units that have found something: of each cluster or teacher unit the one that follows it best.

    XOR mixture: for each cluster (p, sign), the unit of the right sign of v with the largest cosine, if above `threshold`.
    Teacher-student: the followers of the best assignment, with cosines beyond it.
    """
    Q, M, v = state.blocked()
    c = np.nan_to_num(cosines(Q, M, np.asarray(experiment.task.reference_overlap())))
    found = []
    if experiment.task.kind == "xor-mixture":
        for p, label in ((0, 1.0), (1, -1.0)):
            for sign in (1.0, -1.0):
                fit = np.where(np.sign(v) == label, sign * c[:, p], -np.inf)
                if fit.max() > threshold:
                    found.append(int(fit.argmax()))
    else:
        found = [int(k) for p, k in enumerate(specialization(c)[1]) if k >= 0 and abs(c[k, p]) > threshold]
    return sorted(set(found))


def _root(C: np.ndarray) -> np.ndarray:
    return semidefinite_factor(0.5 * (C + C.T))


def _like(state: OrderParameters, Q: np.ndarray, M: np.ndarray, v: np.ndarray) -> OrderParameters:
    Q = 0.5 * (Q + np.swapaxes(Q, 1, 2))
    return OrderParameters(Q[0], M[0], v) if state.Q.ndim == 2 else OrderParameters(Q, M, v)
