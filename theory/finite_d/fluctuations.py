"""The verb `fluctuations`: mean and covariance of runs at finite D, along a whole protocol."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.averages.quasi_monte_carlo import check_points, least_points
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import function
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment, checked_experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.packing import unpack_all
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.finite_d.moments import MomentDynamics
from curriculode.theory.finite_d.record import Fluctuations
from curriculode.theory.finite_d.step import Step
from curriculode.theory.results.states import DIVERGED
from curriculode.theory.solve.stages import Solver

_TIMES = 101
_POINTS = 2048
_WIDEST = 150  # order parameters: J by differences of as many directions, and B, grow with their square
_PATHS, _PATHS_WIDE = 256, 64  # of the diffusion
_QUARTER = 0.25  # of a standard deviation, and of B, by which closure and expansion may differ
WEIGHTS = ("fixed", "random")
WAYS = ("auto", "expansion", "closure", "diffusion")


@checked(progress=function, weights=inside, way=inside)
def fluctuations(
    experiment: Experiment,
    start: OrderParameters,
    *,
    dimension: int | None = None,
    weights: str = "fixed",
    way: str = "auto",
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
        D of the runs; by default the expansion in 1/D, which serves every D that is large enough.
    weights : str, default "fixed"
        "random" begins at Gaussian weights, of which the `start` tells no more than the readout.
    way : {"auto", "expansion", "closure", "diffusion"}, default "auto"
        At a dimension. The closure keeps the nonlinearity of the equations over the scatter of the runs, along each axis of C;
        it is not to be trusted from the time on when B averaged over its points is a quarter off B, or its mean a quarter of a
        standard deviation off the expansion's. The diffusion, by 256 paths with opposite noise two and two (64 of wide students),
        keeps all of it. "auto" is the closure where it is to be trusted to the end, else the diffusion, and the `status` tells;
        wide students, of more than 150 order parameters, are left to the diffusion, since both others cost 2 n + 1 evaluations a
        step.
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
    if way not in WAYS:
        raise InputError(unknown("way", way, list(WAYS)))
    if dimension is None and way in ("closure", "diffusion"):
        raise InputError(f'way = "{way}" needs a dimension; give dimension=, or leave it out for the expansion in 1/D')
    if dimension is not None:
        dimension = int(setting.blocks.sizes(dimension, setting.width).sum())
    t_out = settings.output_times(experiment.protocol.duration, _TIMES)
    (blocks, K, P), rtol = setting.shape, settings.rtol or 1e-5
    points = settings.points or max(_POINTS, least_points(blocks * (K + P) + 1))
    check_points(points, blocks * (K + P) + 1)
    settings = settings.set(points=points, times=t_out)
    run = _Moments(experiment, setting, start, weights, settings, rtol, progress)
    if dimension is None or way == "expansion":
        return run.integrated(None)
    size = packed(setting, start).size
    reason = f"{size} order parameters are too many for the closure"
    if way == "closure" or (way == "auto" and size <= _WIDEST):
        closure, expansion = run.integrated(dimension), run.integrated(None)
        trusted = _trusted_until(closure, expansion, dimension)
        told = f"the closure is to be trusted until t = {trusted:.4g}"
        closure = closure.replace(statistics={**closure.statistics, "trusted_until": trusted})
        if way == "closure" or trusted >= t_out[-1]:
            return closure.replace(status=closure.status if trusted >= t_out[-1] else f"{closure.status}; {told} only")
        reason = f"{told} only"
    # Paths live a floor above, which this one must not import.
    paths = import_module("curriculode.sims.runs.path_moments").fluctuations_of_paths
    count = _PATHS if size <= _WIDEST else _PATHS_WIDE
    found: Fluctuations = paths(experiment, setting, start, dimension, count, weights, settings, progress)
    return found.replace(status=f"{found.status}: {reason}") if way == "auto" else found


def _trusted_until(closure: Fluctuations, expansion: Fluctuations, D: int) -> float:
    """The last time up to which the closure of `fluctuations` is close to the expansion, in mean and in B."""
    n = min(closure.t.size, expansion.t.size)
    shift = (
        np.array([closure.observable(name)[:n] - expansion.observable(name)[:n] for name in closure.names]).T
        - expansion.shift[:n] / D
    )
    scatter = np.sqrt(np.maximum(np.einsum("tii->ti", closure.covariance[:n]), 0.0) / D)
    far = (np.abs(shift) > _QUARTER * scatter + 1e-9).any(axis=1)
    first = int(np.argmax(far)) if far.any() else n
    ends = [closure.t[first - 1] if first else 0.0, closure.statistics["B_until"]]
    return float(min(ends + ([] if n == closure.t.size else [expansion.t[-1]])))


@dataclass(frozen=True)
class _Moments:
    """The moments of one call, by the expansion or at a dimension."""

    experiment: Experiment
    setting: Setting
    start: OrderParameters
    weights: str
    numerics: Numerics
    rtol: float
    progress: Callable[[float], None] | None

    def integrated(self, dimension: int | None) -> Fluctuations:
        """The record of the expansion, or of the closure at a dimension."""
        setting, start, numerics, experiment = self.setting, self.start, self.numerics, self.experiment
        (blocks, K, P), points = setting.shape, numerics.points or _POINTS
        t_out = numerics.output_times(experiment.protocol.duration, _TIMES)
        mean, C = (packed(setting, start), None) if self.weights == "fixed" else _random_start(experiment, setting, start)
        n = mean.size
        covariance, shift = np.zeros((n, n)) if C is None else C, np.zeros(n)
        engine = setting.engine(numerics.averages, points, numerics.scrambling)
        step = Step(setting, start.v, points, numerics.scrambling)
        # Points under a kink make the rate a staircase, which no step resolves: as for `integrate`.
        stairs = setting.activation.kinked and not engine.exact
        method = numerics.method if numerics.method != "auto" else "RK23" if stairs else "RK45"
        rtol = max(self.rtol, 1.0 / points) if stairs else self.rtol
        kept = [(mean, covariance, shift)] if t_out.size and t_out[0] == 0.0 else []
        failure, evaluations, steps, doubtful = None, 0, 0, np.inf
        for stage in setting.stages:
            if stage.end <= stage.start or failure is not None or stage.start >= t_out[-1]:
                continue
            alone = [OnlineLearning(setting, engine, p, stage.rates, start.v) for p in np.eye(len(setting.laws))]
            dynamics = MomentDynamics(alone, step, stage.probability, stage.rates, stage.end - stage.start, dimension, stairs)
            y = dynamics.packed(mean, covariance, shift)
            inside = t_out[(t_out > stage.start) & (t_out <= stage.end)]
            end = min(stage.end, t_out[-1])
            limit = DIVERGED * max(1.0, float(np.abs(y).max()))
            solver = Solver(method, rtol, numerics.atol or 0.01 * rtol, limit, self.progress)
            with one_blas_thread():
                solution = solver.solve([Stretch(stage.start, end, dynamics)], y, np.unique(np.append(inside, end)))
            states = [dynamics.unpacked(state)[:3] for state in solution.states]
            kept += states[: inside.size]
            failure, evaluations, steps = solution.failure, evaluations + solution.evaluations, steps + solution.steps
            doubtful = min(doubtful, dynamics.doubtful)
            if failure is None:
                mean, covariance, shift = states[-1]
        Q, M, v = np.empty((len(kept), blocks, K, K)), np.empty((len(kept), blocks, K, P)), np.tile(start.v, (len(kept), 1))
        unpack_all(np.array([each[0] for each in kept]).reshape(len(kept), n), Q, M, v)
        statistics = {"method": method, "rtol": rtol, "steps": steps, "evaluations": evaluations, "weights": self.weights}
        return Fluctuations(
            experiment,
            numerics,
            {
                "t": t_out[: len(kept)].copy(),
                "Q": Q[:, 0].copy() if blocks == 1 else Q,
                "M": M[:, 0].copy() if blocks == 1 else M,
                "v": v,
                "covariance": np.array([each[1] for each in kept]).reshape(len(kept), n, n),
                "shift": np.array([each[2] for each in kept]).reshape(len(kept), n),
            },
            failure or f"reached t = {t_out[-1]:g} in {steps} steps of {method}",
            success=failure is None,
            dimension=dimension,
            statistics={**statistics, "way": "expansion" if dimension is None else "closure", "B_until": doubtful},
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
