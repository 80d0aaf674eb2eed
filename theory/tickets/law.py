"""The law of one weight: how the weights and references of a coordinate are distributed, jointly at any times."""

from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.core.arguments import checked, inside, whole
from curriculode.theory.core.checks import numbers
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.groups import Groups
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.states import Trajectory
from curriculode.theory.solve.groups import train_groups
from curriculode.theory.solve.way import Way


class WeightLaw(Trajectory):
    """The joint law of a coordinate's references u (P,) and weights w(t) (K,) at several times of dense training.

    Made by `weight_law`; a `Trajectory` at those times with three arrays more, the transports between neighbouring times,
    w(t') = R w(t) + S u + xi, xi ~ N(0, Xi).

    Attributes
    ----------
    R : ndarray of shape (times - 1, [blocks,] K, K)
        What is left of the weights.
    S : ndarray of shape (times - 1, [blocks,] K, P)
        What is learnt of the references.
    Xi : ndarray of shape (times - 1, [blocks,] K, K)
        Covariance of what the examples' noise adds.
    """

    kind: ClassVar[str] = "weight-law"
    dimensions: ClassVar[dict[str, tuple[str, ...]]] = {
        "R": ("interval", "block", "unit", "other_unit"),
        "S": ("interval", "block", "unit", "reference"),
        "Xi": ("interval", "block", "unit", "other_unit"),
    }
    R: np.ndarray
    S: np.ndarray
    Xi: np.ndarray

    @checked(s=inside, t=inside, block=whole(0))
    def transport(self, s: float, t: float, block: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the transport from s to a later t, w(t) = R w(s) + S u + N(0, Xi).

        Parameters
        ----------
        s, t : float
            Recorded times, s <= t.
        block : int, default 0
            Of the inputs.

        Returns
        -------
        R : ndarray of shape (K, K)
            What is left of the weights.
        S : ndarray of shape (K, P)
            What is learnt of the references.
        Xi : ndarray of shape (K, K)
            Covariance of what the noise adds.

        Raises
        ------
        InputError
            For times that were not recorded, or in the wrong order.
        """
        begin, end = self._time(s), self._time(t)
        if begin > end:
            raise InputError(f"a transport from s = {s:g} to t = {t:g} is not allowed; weights are carried forward, so give s <= t")
        self._block(block)
        K, P = self.v.shape[-1], self.M.shape[-1]
        R, S, Xi = np.eye(K), np.zeros((K, P)), np.zeros((K, K))
        for i in range(begin, end):
            step, drive, noise = (part[i] if part.ndim == 3 else part[i, block] for part in (self.R, self.S, self.Xi))
            R, S, Xi = step @ R, step @ S + drive, step @ Xi @ step.T + noise
        return R, S, Xi

    @checked(block=whole(0), stratum=whole(0))
    def covariance(self, block: int = 0, stratum: int = 0) -> np.ndarray:
        """Return the covariance of (u, w(t_0), w(t_1), ...) of a coordinate; all of them have mean zero.

        Parameters
        ----------
        block : int, default 0
            Of the inputs.
        stratum : int, default 0
            Of the block: 0 is the support of sparse references, 1 the rest.

        Returns
        -------
        ndarray of shape (P + times K, P + times K)
            Per coordinate: its average over a block times phi_b is the overlap.

        Raises
        ------
        InputError
            For a block or stratum that there is not.
        """
        shares, overlaps = self.experiment.task.strata()
        self._block(block)
        if stratum >= shares.shape[1]:
            raise InputError(f"stratum = {stratum} is not allowed; the task has {shares.shape[1]}, numbered from 0")
        Q, M, v = self.blocked
        K, P, n = v.shape[-1], M.shape[-1], self.t.size
        T = overlaps[block].sum(axis=0)
        along = M[0, block] @ np.linalg.pinv(T, hermitian=True)
        here = overlaps[block, stratum] / shares[block, stratum]
        rest = (Q[0, block] - along @ T @ along.T) / shares[block].sum()
        # Rows of (u, w(t_0), ...) in terms of independent (u, w_perp, xi_1, xi_2, ...).
        C = np.zeros((P + n * K, P + n * K))
        C[:P, :P] = here
        C[P : P + K, :P] = along @ here
        C[P : P + K, P : P + K] = along @ here @ along.T + rest
        for i in range(n - 1):
            R, S, Xi = self.transport(self.t[i], self.t[i + 1], block)
            old, new = P + i * K, P + (i + 1) * K
            C[new : new + K, :new] = R @ _full(C)[old : old + K, :new] + S @ _full(C)[:P, :new]
            whole_ = _full(C)
            C[new : new + K, new : new + K] = R @ whole_[old : old + K, new : new + K] + S @ whole_[:P, new : new + K] + Xi
        return _full(C)

    @checked(count=whole(1, 10**8), block=whole(0), stratum=whole(0))
    def sample(
        self, count: int, block: int = 0, stratum: int = 0, seed: int | np.random.SeedSequence = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw coordinates.

        Parameters
        ----------
        count : int
            How many.
        block, stratum : int, default 0
            Of which.
        seed : int or SeedSequence, default 0
            Of the random numbers.

        Returns
        -------
        u : ndarray of shape (count, P)
            The references.
        w : ndarray of shape (count, times, K)
            The weights at the times `t`.
        """
        P, K = self.M.shape[-1], self.v.shape[-1]
        L = semidefinite_factor(self.covariance(block, stratum))
        z = np.random.default_rng(seed).standard_normal((count, L.shape[0])) @ L.T
        return z[:, :P], z[:, P:].reshape(count, self.t.size, K)

    def _block(self, block: int) -> None:
        blocks = self.blocked[0].shape[-3]
        if block >= blocks:
            raise InputError(f"block = {block} is not allowed; the task has {blocks}, numbered from 0")


def _full(C: np.ndarray) -> np.ndarray:
    """The symmetric matrix of a lower triangle."""
    return np.tril(C) + np.tril(C, -1).T


@checked(times=inside)
def weight_law(
    experiment: Experiment,
    start: OrderParameters,
    *,
    times: ArrayLike,
    numerics: Numerics | None = None,
    averages: str | None = None,
    points: int | None = None,
    rtol: float | None = None,
) -> WeightLaw:
    """Integrate the law of one weight: the transports of a coordinate between several times of dense training.

    Coordinate i of block b obeys as D -> infinity dw_i = -(A_b w_i + G_b u_i) dt + N_b^(1/2) dB_i, so that between two times

        w(t) = R w(s) + S u + xi,  xi ~ N(0, Xi);    dR/dt = - A R,   dS/dt = - A S - G,   dXi/dt = - A Xi - Xi A' + N

    and M(t) = R M(s) + S T, Q(t) = R Q R' + R M S' + S M' R' + S T S' + phi Xi give back the equations of the order parameters.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    start : OrderParameters
        At t = 0, the first of the times.
    times : array_like of float
        At which weights are wanted, in [0, duration]; 0 is added.
    numerics : Numerics, optional
        How; the other keywords are shortcuts for single settings of it.
    averages : str, optional
        See `Numerics`.
    points : int, optional
        Of the nets that average, by default 1024.
    rtol : float, optional
        By default 1e-6.

    Returns
    -------
    WeightLaw
        `transport(s, t)`, `covariance()` and `sample()`.

    Raises
    ------
    InputError
        For batch learning, times outside the protocol, and starts that do not fit.

    Examples
    --------
    >>> from curriculode import load, weight_law
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 2.0})
    >>> law = weight_law(experiment, experiment.initial(dimension=1000), times=[0.0, 2.0], points=128)
    >>> law.covariance().shape, law.sample(5)[1].shape
    ((10, 10), (5, 2, 4))
    """
    settings = numerics_with(numerics, averages=averages, points=points, rtol=rtol)
    setting, duration = Setting.of(experiment), experiment.protocol.duration
    setting.check(start)
    stops = np.union1d(np.atleast_1d(numbers("times", times)).ravel(), [0.0])
    if stops[0] < 0 or stops[-1] > duration * (1 + 1e-12):
        raise InputError(f"times = {shown(times)} are not allowed; they must lie in [0, {duration:g}], the protocol's duration")
    order = start.canonical_order()
    back, way = np.argsort(order), Way.of(setting, settings)
    groups, v = Groups.whole(setting, start.permuted(order)), start.v[order]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("R", "S", "Xi")}
    states = [(groups.Q, groups.M, v)]
    failure = None
    for begin, end in pairwise(stops):
        found = train_groups(way, groups, v, float(begin), float(end), np.zeros(0), transports=True)
        failure = found.failure
        if failure is not None:
            break
        groups, v = found.groups, found.v_end
        states.append((groups.Q, groups.M, v))
        for name, values in parts.items():
            values.append(found.transports[name])
    blocks, K, P = setting.shape
    arrays = {name: np.array([state[j] for state in states]) for j, name in enumerate("QMv")}
    arrays |= {name: np.array(values).reshape(-1, blocks, K, P if name == "S" else K) for name, values in parts.items()}
    arrays["v"] = arrays["v"][:, back]
    for name in ("Q", "M", "R", "S", "Xi"):
        value = arrays[name][..., back, :]
        value = value if name in "MS" else value[..., back]
        arrays[name] = value[:, 0] if blocks == 1 else value
    reached = stops[: len(states)]
    return WeightLaw(
        experiment, way.numerics, {"t": reached, **arrays}, failure or f"reached t = {reached[-1]:g}", success=failure is None
    )
