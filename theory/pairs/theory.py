"""Pairs by theory: the equations of both copies and of X, from the time at which they part."""

import time
from collections.abc import Callable

import numpy as np

from curriculode.theory.averages import FieldLaw
from curriculode.theory.averages.quasi_monte_carlo import check_points, least_points
from curriculode.theory.averages.two_signals import TwoSignals
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.groups import Groups
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.pair import PairLearning, joint_law
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.record import Pair
from curriculode.theory.pairs.reordered import reordered_overlaps
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.results.states import DIVERGED
from curriculode.theory.solve.groups import train_groups
from curriculode.theory.solve.stages import Solver
from curriculode.theory.solve.way import Way

TIMES = 51


def pair_times(numerics: Numerics, at: float, duration: float) -> np.ndarray:
    """The output times of a pair: a number of them from the branching to the end, or of those that are given the later ones."""
    if numerics.times is None or isinstance(numerics.times, int):
        return at + numerics.output_times(duration - at, TIMES)
    t = numerics.output_times(duration, TIMES)
    return np.union1d(t[t >= at], [at])


def perpendicular(Q: np.ndarray, M: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Q - M T^+ M' in every block: what of the overlaps is not along the references."""
    return Q - M @ np.linalg.pinv(T, hermitian=True) @ np.swapaxes(M, -1, -2)


def pair_theory(
    experiment: Experiment,
    start: OrderParameters,
    at: float,
    examples: str,
    other: OrderParameters | None,
    numerics: Numerics,
    progress: Callable[[float], None] | None = None,
    setting: Setting | None = None,
) -> Pair:
    """The pair that parts at the time `at`, or whose second copy starts at t = 0 from `other`.

    setting : that of the experiment, for those who have it from before
    """
    clock, setting = time.perf_counter(), Setting.of(experiment) if setting is None else setting
    for state in (start, *([] if other is None else [other])):
        setting.check(state)
    way, duration = Way.of(setting, numerics, progress), experiment.protocol.duration
    points = way.numerics.points or DEFAULT_POINTS
    signals = None
    if examples != "independent" and way.engine.noise_terms:
        joint: list[FieldLaw] = [joint_law(setting, level) for level in range(len(setting.laws))]
        fields = joint[-1].references + 2 * setting.width
        check_points(max(points, least_points(fields)), fields)
        signals = TwoSignals(
            numerics.averages, setting.activation, setting.loss, joint, setting.width,
            max(points, least_points(fields)), numerics.scrambling,
        )  # fmt: skip
    orders = [state.canonical_order() for state in (start, start if other is None else other)]
    states = [state.permuted(order) for state, order in zip((start, other or start), orders, strict=True)]
    groups, v, failure = Groups.whole(setting, states[0]), states[0].v, None
    if at > 0:
        found = train_groups(way, groups, v, 0.0, at, np.zeros(0))
        groups, v, failure = found.groups, found.v_end, found.failure
    if other is None:
        Q, M, v, X = np.array([groups.Q] * 2), np.array([groups.M] * 2), np.array([v] * 2), groups.Q
    else:
        Q, M, v = (np.array([state.blocked()[j] for state in states]) for j in range(3))
        X = M[0] @ np.linalg.pinv(setting.blocks.T, hermitian=True) @ np.swapaxes(M[1], -1, -2)
    times = pair_times(numerics, at, duration)
    inner = signals if examples == "same" else None
    stages = [stage for stage in setting.stages if stage.end > at]
    stretches = [
        Stretch(max(stage.start, at), stage.end, PairLearning(setting, way.engine, stage.probability, stage.rates, list(v), inner))
        for stage in stages
    ]
    dynamics = stretches[0].dynamics
    assert isinstance(dynamics, PairLearning)
    y = dynamics.packed(Q, M, v, X)
    method, rtol, atol = way.solver(dynamics.size)
    solver = Solver(method, rtol, atol, DIVERGED * max(1.0, float(np.abs(y).max())), progress)
    statistics = {"method": method, "rtol": rtol, "atol": atol}
    arrays = {"t": times[:0], **dynamics.observe(np.zeros((0, dynamics.size)))}
    if failure is None:
        with one_blas_thread():
            if examples == "reordered" and signals is not None:
                arrays, failure, told = reordered_overlaps(setting, way.engine, signals, stretches, y, times, solver)
                statistics |= told
            else:
                solution = solver.solve(stretches, y, times)
                found_at = np.array(solution.states).reshape(-1, y.size)
                arrays = {"t": times[: len(found_at)].copy(), **dynamics.observe(found_at)}
                failure = solution.failure
                statistics |= {"steps": solution.steps, "evaluations": solution.evaluations}
    own_order(arrays, *orders)
    if setting.blocks.count == 1:
        arrays |= {name: arrays[name][..., 0, :, :] for name in "QMX"}
    ways = {**way.engine.ways, **({"cross noise": signals.way} if signals is not None else {})}
    return Pair(
        experiment,
        way.numerics,
        arrays,
        failure or f"two copies from t = {at:g} reached t = {duration:g}",
        success=failure is None,
        statistics={
            "at": at,
            "examples": examples,
            "starts": 1 if other is None else 2,
            **statistics,
            "seconds": time.perf_counter() - clock,
            "averages": {"ways": ways, "points": None if way.engine.exact else points},
        },
    )


def own_order(arrays: dict[str, np.ndarray], first: np.ndarray, second: np.ndarray) -> None:
    """Give the units of both copies the numbers that they had before they were put in these orders."""
    backs = np.argsort(first), np.argsort(second)
    for name in ("Q", "M", "v"):
        value = arrays[name] = arrays[name].copy()
        for copy, back in enumerate(backs):
            part = value[:, copy][..., back, :] if name != "v" else value[:, copy][..., back]
            value[:, copy] = part[..., back] if name == "Q" else part
    arrays["X"] = arrays["X"][..., backs[0], :][..., backs[1]]
