"""Integrate online SGD in the tangent space of a start, stage by stage, under error control."""

import time
from collections.abc import Callable

import numpy as np

from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.states import DIVERGED, Trajectory
from curriculode.theory.solve.net_error import with_net_error
from curriculode.theory.solve.stages import Solver
from curriculode.theory.solve.tangent_ridge import tangent_record
from curriculode.theory.tangent.frame import Change, Moved
from curriculode.theory.tangent.learning import TangentLearning
from curriculode.theory.tangent.space import TangentSpace

_TIMES = 101


def integrate_tangent(
    experiment: Experiment,
    start: OrderParameters,
    numerics: Numerics,
    progress: Callable[[float], None] | None = None,
    setting: Setting | None = None,
) -> Trajectory:
    """`integrate` of `TangentSGD`; `setting` : of the experiment with other rates, where they are asked for."""
    trajectory = _once(experiment, start, numerics, progress, setting)
    return with_net_error(trajectory, numerics, lambda other: _once(experiment, start, other, None, setting))


def _once(
    experiment: Experiment,
    start: OrderParameters,
    numerics: Numerics,
    progress: Callable[[float], None] | None,
    setting: Setting | None,
) -> Trajectory:
    clock = time.perf_counter()
    setting = Setting.stepped(experiment) if setting is None else setting
    order = start.canonical_order()
    space = TangentSpace.of(experiment, start.permuted(order))
    points = space.points(numerics)
    t_out = numerics.output_times(experiment.protocol.duration, _TIMES)
    rtol = numerics.rtol or 1e-6
    atol = numerics.atol or 0.01 * rtol
    method = "DOP853" if numerics.method == "auto" else numerics.method
    stretches: list[Stretch] = []
    known: dict[bytes, object] = {}
    with one_blas_thread():
        for stage in setting.stages:
            key = stage.probability.tobytes()
            if key not in known:
                known[key] = space.rows(stage.probability, points, numerics.scrambling)
            dynamics = TangentLearning(space, known[key], stage.rates, numerics.noise_terms)  # type: ignore[arg-type]
            stretches.append(Stretch(stage.start, stage.end, dynamics))
        learning = stretches[0].dynamics
        assert isinstance(learning, TangentLearning)
        frame = space.frame
        y = learning.pack(Change([np.zeros_like(F) for F in frame.units], np.zeros(frame.width), np.zeros_like(frame.Q)))
        solution = Solver(method, rtol, atol, DIVERGED, progress).solve(stretches, y, t_out)
    found = learning.observe(np.array(solution.states))
    moved = [Moved(*parts) for parts in zip(found["Q"], found["M"], found["v"], found["C"], strict=True)]
    status = solution.failure or f"reached t = {experiment.protocol.duration:g} in {solution.steps} steps of {method}"
    if space.chance:
        status += f"; {space.activation.name} units are odd, and labels are not: chance for every start"
    numerics, back = numerics.set(points=points), np.argsort(order)
    record = tangent_record(experiment, numerics, frame, moved, back, t_out[: len(moved)], status, solution.failure is None)
    return record.replace(
        statistics={
            "method": method,
            "rtol": rtol,
            "atol": atol,
            "steps": solution.steps,
            "evaluations": solution.evaluations,
            "seconds": time.perf_counter() - clock,
            "averages": {"ways": {"tangent space": "quasi-Monte Carlo"}, "points": points},
        }
    )
