"""The verb `perturb`: order parameters after a perturbation of the weights."""

from typing import Any

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import number_within
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.perturbation import SIGNED, Perturbation
from curriculode.theory.describe.training import OnlineSGD
from curriculode.theory.dynamics.perturbing import distance, perturbed_overlaps
from curriculode.theory.dynamics.setting import Setting


def _state(name: str, value: Any) -> OrderParameters:
    if not isinstance(value, OrderParameters):
        raise InputError(f"{name} = {shown(value)} is not allowed; give OrderParameters, such as trajectory.state()")
    return value


def _size(name: str, value: Any) -> float:
    return number_within(name, value, 0.0, 1e6, "give the size of the noise in initial standard deviations, at least 0")


def _kind(name: str, value: Any) -> Any:
    return Perturbation.of(value)


@checked(state=_state, kind=_kind, size=_size)
def perturb(
    state: OrderParameters,
    kind: str | Perturbation,
    *,
    size: float = 1.0,
    seed: int = 0,
    dimension: int | None = None,
    experiment: Experiment | None = None,
) -> OrderParameters:
    """Perturb the weights of a student, and return its order parameters: exact as D -> infinity.

    Maps of Q and M as in `Perturbation`; with rho the correlations of Q, "signs" for instance gives::

        Q'_kl = (2/pi) asin(rho_kl) sqrt(Q_kk Q_ll),    M' = sqrt(2/pi) M

    (Frankle, Schwab & Morcos 2020, 2002.10365, perturb networks early in training and look at what survives.)

    Parameters
    ----------
    state : OrderParameters
        Before.
    kind : str or Perturbation
        "noise", "reinitialise", "shuffle-unit", "shuffle-layer", "shuffle-inputs", "same-sign-unit", "same-sign-layer" or "signs".
    size : float, default 1.0
        Of the noise, in standard deviations of initial weights, >= 0.
    seed : int, default 0
        Of what is drawn for a dimension.
    dimension : int, optional
        D of the draw that the new part of M has, of order D^(-1/2); by default none, as D -> infinity, where for instance shuffled
        weights have M = 0.
    experiment : Experiment, optional
        Whose blocks, references and weight_scale are meant; by default one block and weight_scale 1. Needed with a dimension.

    Returns
    -------
    OrderParameters
        After; the readout is as it was.

    Raises
    ------
    InputError
        For an unknown kind, batch learning, and where the experiment is needed.

    Examples
    --------
    >>> state = OrderParameters([[1.0, 0.5], [0.5, 1.0]], [[0.2], [0.0]], [1.0, -1.0])
    >>> perturb(state, "noise", size=0.5).Q.tolist()
    [[1.25, 0.5], [0.5, 1.25]]
    >>> perturb(state, "signs").Q.round(4).tolist()  # (2/pi) asin(1/2) = 1/3
    [[1.0, 0.3333], [0.3333, 1.0]]
    """
    after, _ = _perturbed(state, kind, size, seed, dimension, experiment)
    return after


@checked(state=_state, kind=_kind, size=_size)
def effective_size(
    state: OrderParameters, kind: str | Perturbation, *, size: float = 1.0, experiment: Experiment | None = None
) -> float:
    """Return the root mean square change of a weight by a perturbation, in standard deviations of initial weights.

    With which Frankle, Schwab & Morcos 2020 (2002.10365, figure 8) find the accuracy in the end to fall.

    Parameters
    ----------
    state : OrderParameters
        Before.
    kind : str or Perturbation
        As for `perturb`.
    size : float, default 1.0
        Of the noise.
    experiment : Experiment, optional
        As for `perturb`.

    Returns
    -------
    float
        sqrt(mean_k (Q'_kk + Q_kk - 2 c_k Q_kk)) / weight_scale, M' = c M.

    Raises
    ------
    InputError
        For a kind or a size that is not allowed.

    Examples
    --------
    >>> round(effective_size(OrderParameters([[1.0]], [[0.0]], [1.0]), "noise", size=0.5), 6)
    0.5
    """
    return _perturbed(state, kind, size, 0, None, experiment)[1]


def _perturbed(
    state: OrderParameters, kind: Any, size: float, seed: int, dimension: int | None, experiment: Experiment | None
) -> tuple[OrderParameters, float]:
    """The state after, and the root mean square change of a weight in initial standard deviations."""
    perturbation = kind
    if kind == Perturbation.of(kind.kind):  # the kind alone was given
        perturbation = Perturbation(kind=kind.kind, size=size, seed=seed, dimension=dimension)
    Q, M, v = state.blocked()
    if experiment is None:
        if len(Q) > 1:
            raise InputError(f"a state of {len(Q)} blocks needs its experiment, which knows their shares; give experiment=")
        if perturbation.dimension is not None:
            raise InputError("what is drawn for a dimension follows the references of an experiment; give experiment=")
        fractions, T, scale = np.ones(1), np.zeros((1, M.shape[2], M.shape[2])), 1.0
    else:
        if not isinstance(experiment.training, OnlineSGD):
            raise InputError("batch learning forgets its weights, so that there is nothing to perturb; give one that learns online")
        setting = Setting.of(experiment, perturbed=True)
        setting.check(state)
        if perturbation.kind in SIGNED and setting.strata[0].shape[1] > 1:
            raise InputError(f"the map {perturbation.kind!r} needs references on all inputs (support 1), or a simulation")
        fractions, T, scale = setting.blocks.fractions, setting.blocks.T, setting.weight_scale
    after, M_after, multiple = perturbed_overlaps(Q, M, T, fractions, scale, perturbation)
    moved = distance(Q, after, multiple) / scale
    one = state.Q.ndim == 2
    return OrderParameters(after[0] if one else after, M_after[0] if one else M_after, v), moved
