"""A trajectory with passengers: the overlaps of the weights with what they were at earlier times."""

import time
from itertools import pairwise
from typing import Any

import numpy as np

from curriculode.theory.core.checks import numbers
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.groups import Groups
from curriculode.theory.results.states import Trajectory
from curriculode.theory.solve.groups import train_groups
from curriculode.theory.solve.way import Way


def remembered_times(remember: Any, duration: float) -> np.ndarray | None:
    """The times to remember, increasing and within the protocol, or `InputError`; None where there are none."""
    if remember is None:
        return None
    times = np.atleast_1d(numbers("remember", remember))
    if times.ndim != 1 or not times.size or (times < 0).any() or (times > duration * (1 + 1e-12)).any():
        raise InputError(f"remember = {shown(remember)} is not allowed; give times from 0 to {duration:g}, the protocol's duration")
    return np.unique(np.minimum(times, duration))


def remembering(experiment: Experiment, way: Way, start: OrderParameters, t_out: np.ndarray, remember: np.ndarray) -> Trajectory:
    """The trajectory from `start` with the weights of the times `remember` (memories,) as passengers from then on.

    A passenger x = w_k(s) overlaps with the references by M_kp(s) and with the weights by Q_lk(s) when it boards.
    """
    clock, setting = time.perf_counter(), way.setting
    order = start.canonical_order()
    back, ordered = np.argsort(order), start.permuted(order)
    groups, v = Groups.whole(setting, ordered), ordered.v
    (blocks, K, P), end = setting.shape, experiment.protocol.duration
    count = remember.size
    parts: list[dict[str, np.ndarray]] = []
    boarded: list[tuple[np.ndarray, np.ndarray]] = []
    stops = np.concatenate([[0.0] if remember[0] > 0 else [], remember, [end]])
    steps, evaluations, failure, method = 0, 0, None, ""
    for i, (begin, finish) in enumerate(pairwise(stops)):
        if len(boarded) < count and begin == remember[len(boarded)]:
            boarded.append((groups.Q.copy(), groups.M.copy()))
            groups = groups.with_riders(groups.Q, np.swapaxes(groups.M, 1, 2))
        last = i == len(stops) - 2
        # A time at a stop belongs to the part that begins there, where the passenger is aboard.
        inside = t_out[(t_out >= begin) & ((t_out <= finish) if last else (t_out < finish))]
        found = train_groups(way, groups, v, float(begin), float(finish), inside)
        riders = np.full((found.times.size, blocks, K, count * K), np.nan)
        riders[..., : found.riders.shape[-1]] = found.riders
        parts.append({"t": found.times, "Q": found.Q, "M": found.M, "v": found.v, "riders": riders})
        groups, v = found.groups, found.v_end
        steps, evaluations, failure = steps + found.steps, evaluations + found.evaluations, found.failure
        method = found.method
        if failure is not None:
            break
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    t, C = arrays.pop("t"), arrays.pop("riders")
    C = np.moveaxis(C.reshape(t.size, blocks, K, count, K), 3, 1)  # (times, memories, blocks, K, K)
    _reflect(C, t, remember)
    past = [np.full((count, blocks, K, width), np.nan) for width in (K, P)]
    for memory, states in enumerate(boarded):
        for kept, state in zip(past, states, strict=True):
            kept[memory] = state
    arrays |= {"remembered_Q": past[0], "remembered_M": past[1], "passengers": C}
    for name, axes in (("Q", 2), ("M", 1), ("remembered_Q", 2), ("remembered_M", 1), ("passengers", 2)):
        value = arrays[name][..., back, :]
        value = value[..., back] if axes == 2 else value
        arrays[name] = value[..., 0, :, :] if blocks == 1 else value
    return Trajectory(
        experiment,
        way.numerics,
        {"t": t, **arrays, "v": arrays["v"][:, back], "remembered": remember.copy()},
        failure or f"reached t = {end:g} in {steps} steps of {method}",
        success=failure is None,
        statistics={
            "method": method,
            "rtol": way.rtol,
            "atol": way.atol,
            "steps": steps,
            "evaluations": evaluations,
            "seconds": time.perf_counter() - clock,
            "averages": {"ways": way.engine.ways, "points": None if way.engine.exact else way.numerics.points},
        },
    )


def _reflect(C: np.ndarray, t: np.ndarray, remember: np.ndarray) -> None:
    """C(t, s) = C(s, t)' of times t < s that are remembered themselves."""
    place = {float(time): i for i, time in enumerate(t)}
    for memory, s in enumerate(remember):
        if float(s) not in place:
            continue
        for other, earlier in enumerate(remember[:memory]):
            if float(earlier) in place:
                C[place[float(earlier)], memory] = np.swapaxes(C[place[float(s)], other], -1, -2)
