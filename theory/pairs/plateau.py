"""The D -> infinity law of stability on the plateau of the XOR mixture: how often two copies fall on opposite sides."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import number, numbers
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.plateau import PlateauLearning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.record import Record
from curriculode.theory.results.states import DIVERGED
from curriculode.theory.solve.stages import Solver
from curriculode.theory.solve.way import Way
from curriculode.theory.tasks import XorMixture

if TYPE_CHECKING:
    import pandas as pd


class PlateauLaw(Record):
    """Correlations of copies on the plateau, r(k), as D -> infinity.

    Made by `plateau_law` and `load_record`; its constructor is that of `Record`.

    Attributes
    ----------
    at : ndarray of shape (times of branching,)
        k, in examples per input dimension.
    r : ndarray of shape (times of branching, 2)
        Of sqrt(D) M_.p of two copies, along the direction that has grown most since t = 0, for each pair of clusters p.
    r_units : ndarray of shape (times of branching, 2, K)
        Of each unit's own M_kp.
    opposite : ndarray of shape (times of branching, 2)
        arccos(r)/pi, the chance that the copies fall on opposite sides along that direction.
    growth : ndarray of shape (2,)
        How many times that direction has grown, from t = 0 to the time asked for.
    equations_share : ndarray of shape (2,)
        The share of E m^2 along it that the equations have, without the noise.
    """

    kind: ClassVar[str] = "plateau-law"
    dimensions: ClassVar[dict[str, tuple[str, ...]]] = {
        "at": ("branching",),
        "r": ("branching", "pair"),
        "r_units": ("branching", "pair", "unit"),
        "opposite": ("branching", "pair"),
        "growth": ("pair",),
        "equations_share": ("pair",),
    }
    needed: ClassVar[tuple[str, ...]] = ("at", "r", "r_units", "opposite")

    def to_frame(self) -> "pd.DataFrame":
        """Return the law as a table.

        Returns
        -------
        DataFrame
            One row a time of branching and pair of clusters: at, pair, r, opposite.
        """
        import pandas as pd

        pairs = np.tile(np.arange(2), self.at.size)
        return pd.DataFrame({"at": np.repeat(self.at, 2), "pair": pairs, "r": self.r.ravel(), "opposite": self.opposite.ravel()})


@checked(at=inside, until=number, averages=inside)
def plateau_law(
    experiment: Experiment,
    start: OrderParameters,
    *,
    at: ArrayLike,
    until: float,
    numerics: Numerics | None = None,
    averages: str | None = None,
    points: int | None = None,
    rtol: float | None = None,
) -> PlateauLaw:
    """Compute how correlated two copies of a network are on the plateau that begins at random weights, whatever D is.

    There M = m / sqrt(D) with m of order 1, and the noise of SGD, which the equations of Q and M drop, is as large as m::

        dm_p = Gam^p m_p dt + (N^p)^(1/2) dB,     C11' = Gam C11 + C11 Gam' + N,   C12' = Gam C12 + C12 Gam' from C11(k)

    r = C12/C11 along a direction: copies that part at k fall on opposite sides with probability arccos(r)/pi.

    Parameters
    ----------
    experiment : Experiment
        An `XorMixture` of one block that learns online.
    start : OrderParameters
        Q and v at t = 0; M is not asked, but Gaussian of variance weight_scale^2 T / D.
    at : array_like of float
        Times k of the branching, from 0 to `until`.
    until : float
        When the copies are compared: before the plateau is left, while M^2 is still small beside Q T.
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
    PlateauLaw
        r(k) and arccos(r)/pi.

    Raises
    ------
    InputError
        For other tasks, several blocks, and times out of range.

    Examples
    --------
    >>> from curriculode import load, plateau_law
    >>> experiment = load("xor-curriculum")
    >>> plateau_law(experiment, experiment.initial(dimension=10**6), at=[0.0, 3.0], until=3.0, points=256).r[1].round(6).tolist()
    [1.0, 1.0]
    """
    settings = numerics_with(numerics, averages=averages, points=points, rtol=rtol)
    setting = Setting.of(experiment)
    if not isinstance(experiment.task, XorMixture) or setting.blocks.count > 1:
        raise InputError("the law of the plateau is known for the XOR mixture of one block alone; give such an experiment")
    setting.check(start)
    if not 0.0 < until <= experiment.protocol.duration:
        raise InputError(
            f"until = {shown(until)} is not allowed; it must lie within the protocol, up to {experiment.protocol.duration:g}"
        )
    k = np.unique(np.atleast_1d(numbers("at", at)))
    if k.ndim != 1 or not k.size or k[0] < 0 or k[-1] > until:
        raise InputError(f"at = {shown(at)} is not allowed; give times from 0 to until = {until:g}")
    way, K = Way.of(setting, settings), setting.width
    order = start.canonical_order()
    flat = OrderParameters(start.Q, np.zeros_like(start.M), start.v).permuted(order)
    stretches = []
    for stage in setting.stages:
        if stage.start < until:
            online = OnlineLearning(setting, way.engine, stage.probability, stage.rates, flat.v)
            stretches.append(
                Stretch(stage.start, min(stage.end, until), PlateauLearning(online, stage.probability, stage.rates, way.numerics))
            )
    T = float(setting.blocks.T[0, 0, 0])
    begin = np.stack([np.eye(K), experiment.student.weight_scale**2 * T * np.eye(K)])
    y = np.concatenate([packed(setting, flat), begin.ravel(), begin.ravel()])
    method, rtol_, atol = way.solver(y.size)
    times = np.unique(np.concatenate([[0.0], k, [until]]))
    with one_blas_thread():
        solution = Solver(method, rtol_, atol, DIVERGED * max(1.0, float(np.abs(y).max()))).solve(stretches, y, times)
    status, back = solution.failure or f"reached t = {until:g}", np.argsort(order)
    arrays: dict[str, Any] = {"at": k, "r": np.full((k.size, 2), np.nan), "r_units": np.full((k.size, 2, K), np.nan)}
    arrays |= {"growth": np.full(2, np.nan), "equations_share": np.full(2, np.nan)}
    if solution.failure is None:
        states = np.array([state[-4 * K * K :] for state in solution.states]).reshape(-1, 2, 2, K, K)
        for p in range(2):
            U, C = states[:, p, 0], states[:, p, 1]
            left, sizes, _ = np.linalg.svd(U[-1])
            u, whole = left[:, 0], C[-1]
            arrays["growth"][p] = sizes[0]
            arrays["equations_share"][p] = u @ (U[-1] @ C[0] @ U[-1].T) @ u / (u @ whole @ u)
            for i, index in enumerate(np.searchsorted(times, k)):
                since = np.linalg.solve(U[index].T, U[-1].T).T
                shared = since @ C[index] @ since.T
                arrays["r"][i, p] = u @ shared @ u / (u @ whole @ u)
                arrays["r_units"][i, p] = (np.diagonal(shared) / np.diagonal(whole))[back]
    arrays["opposite"] = np.arccos(np.clip(arrays["r"], -1.0, 1.0)) / np.pi
    return PlateauLaw(experiment, way.numerics, arrays, status, success=solution.failure is None, statistics={"until": until})
