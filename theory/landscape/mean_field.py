"""The verb `mean_field`: the wide limit of a student whose readout is of order 1/K."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.core.arguments import checked, whole
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import function
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.wide import KNOWN, NODES, WideLearning
from curriculode.theory.results.states import DIVERGED, Trajectory
from curriculode.theory.solve.stages import Solver

PARTICLES = 64
_TIMES = 101
_MOST_REFERENCES = 2
_RATIO = 1e-9  # of the readout's rate, relative


@checked(start=lambda name, value: _start(name, value), particles=whole(1, 10**5), nodes=whole(2, 200), progress=function)
def mean_field(
    experiment: Experiment,
    start: OrderParameters | None = None,
    *,
    particles: int = PARTICLES,
    dimension: int = 1000,
    seed: int | np.random.SeedSequence = 0,
    nodes: int = NODES,
    numerics: Numerics | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    method: str | None = None,
    points: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trajectory:
    """Integrate the wide limit, K -> infinity, of a student with a readout of order 1/K.

    With v = a/K, learning_rate = K h and readout_learning_rate = h/K the units become particles that see each other through
    their output alone. The noise term, of order h^2 within a unit and between units, vanishes in the limit only as h does:
    it is left out.
    The limit is exact for endlessly many particles; with N of them their own number is left as the error of a sum.

    Parameters
    ----------
    experiment : Experiment
        Online learning with `readout_scale = "1/K"`, `readout_learning_rate = learning_rate / K^2` (or a fixed readout), no weight
        decay, units gelu, erf or relu, and references in one block only: at most two of them.
    start : OrderParameters, optional
        As many units as particles, of which Q_kk, M and K v = a count; by default random ones.
    particles : int, default 64
        N, where no start is given.
    dimension : int, default 1000
        D of the random start: at D -> infinity a mixture's signal would stay zero.
    seed : int or SeedSequence, default 0
        Of the random start.
    nodes : int, default 28
        Of the quadrature over the reference fields, an axis.
    numerics : Numerics, optional
        How; the keywords from `times` to `points` are shortcuts for single settings of it.
    times : int or array_like of float, optional
        By default 101.
    spacing, rtol, atol, method : optional
        See `Numerics`; rtol is 1e-6 by default.
    points : int, optional
        Of the nets of the errors, by default 1024.
    progress : callable, optional
        Called with the time reached after each step.

    Returns
    -------
    Trajectory
        Of a student of as many units as particles, with Q = M T^-1 M' + diag(q), whose experiment has the rates of that width.

    Raises
    ------
    InputError
        For anything whose wide limit is another one, or not known.

    Examples
    --------
    >>> from curriculode import load, mean_field
    >>> wide = {"student.readout_scale": "1/K", "training.learning_rate": 8.0, "training.readout_learning_rate": 0.5}
    >>> experiment = load("xor-curriculum").replace({**wide, "protocol.duration": 2.0})
    >>> mean_field(experiment, particles=8, times=3).v.shape
    (3, 8)
    """
    settings = numerics_with(
        numerics, times=times, spacing=spacing, rtol=rtol, atol=atol, method=method, points=points, noise_terms=False
    )
    setting = Setting.of(experiment)
    _check(experiment, setting)
    N = particles if start is None else start.width
    K = experiment.student.width
    ratio = N / K
    changes: dict[str, Any] = {"student.width": N, "training.learning_rate": setting.rates.eta * ratio}
    if setting.readout_trained:
        changes["training.readout_learning_rate"] = setting.rates.eta_v / ratio
    if experiment.protocol.plan:
        changes["protocol.plan"] = [
            stage.model_copy(update={"learning_rate": None if stage.learning_rate is None else stage.learning_rate * ratio})
            for stage in experiment.protocol.plan
        ]
    wide = experiment.replace(changes) if N != K else experiment
    begin = wide.initial(dimension, seed) if start is None else start
    begin.check(N, setting.blocks.T)
    Q, M, v = begin.blocked()
    inverse = np.linalg.pinv(setting.blocks.T, hermitian=True)
    q = np.einsum("bkk->bk", Q) - np.einsum("bkp,bpq,bkq->bk", M, inverse, M)
    y = np.concatenate([N * v, M.sum(axis=0).ravel(), np.maximum(q, 0.0).ravel()])
    t = settings.output_times(experiment.protocol.duration, _TIMES)
    rtol = settings.rtol or 1e-6
    stretches = [
        Stretch(stage.start, stage.end, WideLearning(setting, N, stage.probability, stage.rates, nodes)) for stage in setting.stages
    ]
    way = ("RK45" if rtol > 1e-5 else "DOP853") if settings.method == "auto" else settings.method
    clock = time.perf_counter()
    with one_blas_thread():
        solver = Solver(way, rtol, settings.atol or 0.01 * rtol, DIVERGED * max(1.0, float(np.abs(y).max())), progress)
        solution = solver.solve(stretches, y, t)
    dynamics: Any = stretches[0].dynamics
    a, M, q = dynamics.parts(np.array(solution.states))
    return Trajectory(
        wide,
        settings,
        {"t": t[: len(a)].copy(), **_overlaps(setting, a / N, M, q)},
        solution.failure
        or f"the wide limit by {N} particles, t = {experiment.protocol.duration:g} in {solution.steps} steps of {way}",
        success=solution.failure is None,
        dimension=None,
        statistics={
            "method": way,
            "rtol": rtol,
            "steps": solution.steps,
            "evaluations": solution.evaluations,
            "seconds": time.perf_counter() - clock,
            "averages": {"ways": {"first order": f"Gauss-Hermite, {nodes} nodes an axis"}, "points": nodes},
        },
    )


def _start(name: str, value: Any) -> Any:
    if not isinstance(value, OrderParameters):
        raise InputError(f"{name} is not allowed; give OrderParameters of as many units as there are particles")
    return value


def _overlaps(setting: Setting, v: np.ndarray, M: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
    """Q, M, v of particles, times first; a reference lies in one block."""
    T = setting.blocks.T
    blocks, N = q.shape[1:]
    Q = np.zeros((len(v), blocks, N, N))
    split = np.zeros((len(v), blocks, N, T.shape[1]))
    for b in range(blocks):
        if T[b].any():
            split[:, b] = M
            Q[:, b] = M @ np.linalg.pinv(T[b], hermitian=True) @ M.swapaxes(1, 2)
        Q[:, b, range(N), range(N)] += q[:, b]
    if blocks == 1:
        return {"Q": Q[:, 0].copy(), "M": split[:, 0].copy(), "v": v.copy()}
    return {"Q": Q, "M": split, "v": v.copy()}


def _check(experiment: Experiment, setting: Setting) -> None:
    """Raise `InputError` where the wide limit is not this one."""
    student, rates = experiment.student, setting.rates
    if student.readout_scale != "1/K":
        raise InputError(
            f"student.readout_scale = {student.readout_scale!r} has no such limit: between units whose readout is larger than 1/K "
            'correlations stay; set student.readout_scale = "1/K"'
        )
    if rates.kappa > 0.0:
        raise InputError(
            f"training.weight_decay = {rates.kappa:g} grows as K in the wide limit, which therefore has none; set it to 0"
        )
    K = student.width
    if setting.readout_trained and abs(rates.eta_v - rates.eta / K**2) > _RATIO * rates.eta:
        raise InputError(
            f"training.readout_learning_rate = {rates.eta_v:g} has no wide limit beside learning_rate = {rates.eta:g}; set it to "
            f"learning_rate / K^2 = {rates.eta / K**2:g}, or fix the readout"
        )
    if setting.activation.code not in KNOWN:
        raise InputError(f"the wide limit of {student.activation} units is not known; allowed: {', '.join(sorted(KNOWN.values()))}")
    T = setting.blocks.T
    if sum(bool(each.any()) for each in T) > 1:
        raise InputError("references in several blocks have no wide limit here; use a task whose references lie in one")
    if T.shape[1] > _MOST_REFERENCES:
        raise InputError(f"the wide limit is known for at most {_MOST_REFERENCES} references, and the task has {T.shape[1]}")
    if setting.laws[-1].teacher.exists and setting.laws[-1].teacher.sign:
        raise InputError("labels that are a sign jump, and have no quadrature here; give a teacher whose label is its value")
