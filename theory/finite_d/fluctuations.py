"""The verb `fluctuations`: mean and covariance of runs at finite D, along a whole protocol."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.averages.quasi_monte_carlo import check_points, least_points
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import function, text, whole_number
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment, checked_experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.packing import state_names, unpack_all
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.finite_d.moments import MomentDynamics
from curriculode.theory.finite_d.step import Step
from curriculode.theory.results.registered import observable_names
from curriculode.theory.results.states import DIVERGED, StateRecord, Trajectory
from curriculode.theory.solve.stages import Solver

if TYPE_CHECKING:
    import pandas as pd

_TIMES = 101
_POINTS = 2048
_DRAWN = 512  # states that means of observables are taken over
WEIGHTS = ("fixed", "random")


class Fluctuations(Trajectory):
    """What runs at finite D do: their mean, and how they scatter.

    Made by `fluctuations`; a `Trajectory` of the mean with two arrays more.

    Attributes
    ----------
    Q, M, v : ndarray
        Without a dimension ybar, the equations' own trajectory; else the mean at D.
    covariance : ndarray of shape (times, n, n)
        C, so that runs at D scatter with the covariance C / D.
    shift : ndarray of shape (times, n)
        m, so that the mean of runs at D is ybar + m / D; zero with a dimension, whose mean has it in it.
    """

    kind: ClassVar[str] = "fluctuations"
    dimensions: ClassVar[Any] = {"covariance": ("time", "entry", "other_entry"), "shift": ("time", "entry")}
    covariance: np.ndarray
    shift: np.ndarray

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The entries of `covariance` and `shift`: "Q[0,0]", "Q[0,1]", ..., "M[0,0]", ..., "v[0]"."""
        _, M, v = self.blocked
        trained = self.experiment.student.readout == "trained"
        return state_names(M.shape[1], range(v.shape[-1]), M.shape[-1], trained)

    @checked(quantity=text)
    def band(self, quantity: str = "accuracy", dimension: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of a quantity over runs at D.

        Order parameters have theirs in closed form; of anything else they are those over 512 states drawn from the Gaussian law
        of the order parameters, each with the same net, so that no error has to be differentiated.

        Parameters
        ----------
        quantity : str, default "accuracy"
            An observable, "accuracy" or an order parameter such as "Q[0,0]".
        dimension : int, optional
            D, by default that of the closure.

        Returns
        -------
        mean : ndarray of shape (times,)
            Over runs.
        standard_deviation : ndarray of shape (times,)
            Of a single run.

        Raises
        ------
        InputError
            For a quantity that is not known, or without a dimension.
        """
        D = self._at(dimension)
        if quantity in self.names:
            i = self.names.index(quantity)
            return self.observable(quantity) + self.shift[:, i] / D, np.sqrt(np.maximum(self.covariance[:, i, i], 0.0) / D)
        values = self._drawn(D).observable(quantity)
        return values.mean(axis=0), values.std(axis=0, ddof=1)

    @checked
    def to_frame(self, order_parameters: bool = True, dimension: int | None = None) -> "pd.DataFrame":
        """Return means and standard deviations of runs at D as a table.

        Parameters
        ----------
        order_parameters : bool, default True
            Whether every order parameter has its columns.
        dimension : int, optional
            D, by default that of the closure.

        Returns
        -------
        DataFrame
            One row a time: t, and for each observable and order parameter its mean and `NAME_scatter`, its standard deviation.

        Raises
        ------
        InputError
            Without a dimension.
        """
        import pandas as pd

        columns: dict[str, Any] = {"t": self.t}
        names = [*observable_names(self.experiment.task), *(self.names if order_parameters else ())]
        drawn = self._drawn(self._at(dimension))
        for name in names:
            if name in self.names:
                columns[name], columns[f"{name}_scatter"] = self.band(name, dimension)
            else:
                values = drawn.observable(name)
                columns[name], columns[f"{name}_scatter"] = values.mean(axis=0), values.std(axis=0, ddof=1)
        return pd.DataFrame(columns)

    def _at(self, dimension: int | None) -> int:
        if dimension is None:
            if self.dimension is None:
                raise InputError("a band needs the dimension of the runs; give dimension=, such as dimension=200")
            return self.dimension
        D = whole_number("dimension", dimension)
        if self.dimension not in (None, D):
            raise InputError(f"dimension = {D} is not that of the closure, {self.dimension}; leave it out, or compute another")
        return D

    def _drawn(self, D: int) -> "_Drawn":
        """States from N(ybar + m / D, C / D), the same standard normals at all times; outside of what is physical on its edge."""
        Q, M, v = (np.array(part) for part in self.blocked)
        times, blocks, K = Q.shape[:3]
        n = len(self.names)
        normals = np.random.default_rng([n, _DRAWN]).standard_normal((_DRAWN // 2, n))
        normals = np.concatenate([normals, -normals])  # no error of first order in the means
        T = self.experiment.task.reference_overlap()
        shape = (_DRAWN, times)
        drawn = np.empty((*shape, *Q.shape[1:])), np.empty((*shape, *M.shape[1:])), np.empty((*shape, K))
        upper = np.triu_indices(K)
        for i in range(times):
            w, V = np.linalg.eigh(self.covariance[i])
            change = (normals * np.sqrt(np.maximum(w, 0.0) / D)) @ V.T + self.shift[i] / D
            at, size = 0, upper[0].size
            for b in range(blocks):
                drawn[0][:, i, b] = Q[i, b]
                drawn[0][:, i, b, upper[0], upper[1]] += change[:, at : at + size]
                drawn[0][:, i, b, upper[1], upper[0]] = drawn[0][:, i, b, upper[0], upper[1]]
                at += size
            drawn[1][:, i] = M[i] + change[:, at : at + M[i].size].reshape(_DRAWN, *M.shape[1:])
            at += M[i].size
            drawn[2][:, i] = v[i] + (change[:, at:] if at < n else 0.0)
            for b in range(blocks):
                drawn[0][:, i, b] = _physical(drawn[0][:, i, b], drawn[1][:, i, b], T[b])
        arrays = {"t": self.t.copy(), "run": np.arange(_DRAWN), "Q": drawn[0], "M": drawn[1], "v": drawn[2]}
        if blocks == 1:
            arrays |= {"Q": drawn[0][:, :, 0].copy(), "M": drawn[1][:, :, 0].copy()}
        return _Drawn(self.experiment, self.numerics, arrays, "drawn from their Gaussian law", dimension=D)


class _Drawn(StateRecord):
    """States from the law of runs: all averaged by the net of the theory."""

    kind: ClassVar[str] = "drawn states"
    lead: ClassVar[tuple[str, ...]] = ("run", "time")
    dimensions: ClassVar[Any] = {"run": ("run",)}

    def _scrambling(self, index: tuple[int, ...]) -> int:
        return self.numerics.scrambling


def _physical(Q: np.ndarray, M: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Q (states, K, K) with what is left of it beside the references, Q - M T^+ M', made positive semi-definite."""
    along = M @ np.linalg.pinv(T, hermitian=True) @ np.swapaxes(M, -1, -2)
    w, V = np.linalg.eigh(Q - along)
    if (w >= 0).all():
        return Q
    projected: np.ndarray = along + (V * np.maximum(w, 0.0)[..., None, :]) @ np.swapaxes(V, -1, -2)
    return projected


@checked(progress=function, weights=inside)
def fluctuations(
    experiment: Experiment,
    start: OrderParameters,
    *,
    dimension: int | None = None,
    weights: str = "fixed",
    numerics: Numerics | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    method: str | None = None,
    averages: str | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Fluctuations:
    """Integrate mean and covariance of the order parameters of runs at finite D.

    With y = ybar + xi / sqrt(D) + m / D, f the rate of the equations, J its Jacobian, B the covariance of one step and e the mean
    of its second order, C = Cov xi obeys dC/dt = J C + C J' + B, and dm/dt = J m + 1/2 sum_ij (d2f/dy_i dy_j) C_ij + e - 1/2 J f.
    In mixed stages, whose levels are drawn with exact totals, more is lost and gained: `theory/finite_d/moments.py`.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    start : OrderParameters
        Of all runs.
    dimension : int, optional
        D of the closure, which keeps the nonlinearity of the equations over the scatter of the runs; by default the expansion
        in 1/D, which serves every D that is large enough.
    weights : str, default "fixed"
        "random" begins at Gaussian weights, of which the `start` tells no more than the readout.
    numerics : Numerics, optional
        How; the other keywords are shortcuts for single settings of it.
    times : int or array_like of float, optional
        Output times, by default 101.
    spacing : str, optional
        See `Numerics`.
    method : str, optional
        Of scipy.integrate, by default RK45.
    averages : str, optional
        See `Numerics`.
    points : int, optional
        Of the nets, by default 2048; the relative error of B is about 30 / points.
    scrambling : int, optional
        See `Numerics`.
    rtol : float, optional
        By default 1e-5.
    atol : float, optional
        By default a hundredth of rtol.
    progress : callable, optional
        Called with the time reached.

    Returns
    -------
    Fluctuations
        Mean, covariance and shift; `success` and `status` as of `integrate`.

    Raises
    ------
    InputError
        For batch learning, equations without noise terms, or arguments out of range.

    Examples
    --------
    >>> from curriculode import load, fluctuations
    >>> experiment = load("perceptron-curriculum").replace({"protocol.duration": 1.0})
    >>> found = fluctuations(experiment, experiment.initial(dimension=1000), times=3)
    >>> mean, scatter = found.band("M[0,0,0]", dimension=1000)
    >>> bool(scatter[0] == 0 and scatter[-1] > 0)
    True
    """
    settings = numerics_with(
        numerics,
        times=times,
        spacing=spacing,
        method=method,
        averages=averages,
        points=points,
        scrambling=scrambling,
        rtol=rtol,
        atol=atol,
    )
    setting = Setting.of(checked_experiment(experiment))
    setting.check(start)
    if weights not in WEIGHTS:
        raise InputError(unknown("weights", weights, list(WEIGHTS)))
    if not settings.noise_terms:
        raise InputError("fluctuations need the noise terms of the equations; leave noise_terms as it is")
    if dimension is not None:
        dimension = int(setting.blocks.sizes(dimension, setting.width).sum())
    t_out = settings.output_times(experiment.protocol.duration, _TIMES)
    (blocks, K, P), rtol = setting.shape, settings.rtol or 1e-5
    points = settings.points or max(_POINTS, least_points(blocks * (K + P) + 1))
    check_points(points, blocks * (K + P) + 1)
    settings = settings.set(points=points)
    begin, C = (packed(setting, start), None) if weights == "fixed" else _random_start(experiment, setting, start)
    n = begin.size
    mean, covariance, shift = begin, np.zeros((n, n)) if C is None else C, np.zeros(n)
    engine = setting.engine(settings.averages, points, settings.scrambling)
    step = Step(setting, start.v, points, settings.scrambling)
    # Points under a kink make the rate a staircase, which no step resolves: as for `integrate`.
    stairs = setting.activation.kinked and not engine.exact
    method = settings.method if settings.method != "auto" else "RK23" if stairs else "RK45"
    rtol = max(rtol, 1.0 / points) if stairs else rtol
    kept = [(mean, covariance, shift)] if t_out.size and t_out[0] == 0.0 else []
    failure, evaluations, steps = None, 0, 0
    for stage in setting.stages:
        if stage.end <= stage.start or failure is not None:
            continue
        alone = [
            OnlineLearning(setting, engine, np.eye(len(setting.laws))[level], stage.rates, start.v)
            for level in range(len(setting.laws))
        ]
        dynamics = MomentDynamics(alone, step, stage.probability, stage.rates, stage.end - stage.start, dimension, stairs)
        y = dynamics.packed(mean, covariance, shift)
        inside = t_out[(t_out > stage.start) & (t_out <= stage.end)]
        solver = Solver(method, rtol, settings.atol or 0.01 * rtol, DIVERGED * max(1.0, float(np.abs(y).max())), progress)
        with one_blas_thread():
            solution = solver.solve([Stretch(stage.start, stage.end, dynamics)], y, np.unique(np.append(inside, stage.end)))
        states = [dynamics.unpacked(state)[:3] for state in solution.states]
        kept += states[: inside.size]
        failure, evaluations, steps = solution.failure, evaluations + solution.evaluations, steps + solution.steps
        if failure is None:
            mean, covariance, shift = states[-1]
    Q, M, v = np.empty((len(kept), blocks, K, K)), np.empty((len(kept), blocks, K, P)), np.tile(start.v, (len(kept), 1))
    unpack_all(np.array([each[0] for each in kept]).reshape(len(kept), n), Q, M, v)
    return Fluctuations(
        experiment,
        settings,
        {
            "t": t_out[: len(kept)].copy(),
            "Q": Q[:, 0].copy() if blocks == 1 else Q,
            "M": M[:, 0].copy() if blocks == 1 else M,
            "v": v,
            "covariance": np.array([each[1] for each in kept]).reshape(len(kept), n, n),
            "shift": np.array([each[2] for each in kept]).reshape(len(kept), n),
        },
        failure or f"reached t = {experiment.protocol.duration:g} in {steps} steps of {method}",
        success=failure is None,
        dimension=dimension,
        statistics={"method": method, "rtol": rtol, "steps": steps, "evaluations": evaluations, "weights": weights},
    )


def _random_start(experiment: Experiment, setting: Setting, start: OrderParameters) -> tuple[np.ndarray, np.ndarray]:
    """Mean and C of Gaussian weights: Q^b = sigma_w^2 phi_b 1, M = 0;  C[M_kp, M_kq] = sigma_w^2 T_pq, C[Q_kl, Q_kl] =
    (1 + delta_kl) sigma_w^4 phi_b, each within its block.
    """
    variance, (blocks, K, P) = experiment.student.weight_scale**2, setting.shape
    fractions, T = setting.blocks.fractions, setting.blocks.T
    Q, M = variance * fractions[:, None, None] * np.eye(K), np.zeros((blocks, K, P))
    mean = packed(setting, OrderParameters(Q if blocks > 1 else Q[0], M if blocks > 1 else M[0], start.v))
    C, at = np.zeros((mean.size, mean.size)), 0
    for b in range(blocks):
        for k in range(K):
            for m in range(k, K):
                C[at, at] = (2.0 if k == m else 1.0) * variance**2 * fractions[b]
                at += 1
    for b in range(blocks):
        for _ in range(K):
            C[at : at + P, at : at + P] = variance * T[b]
            at += P
    return mean, C
