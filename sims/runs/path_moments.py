"""Mean and covariance of runs at finite D by paths of the diffusion: the way of `fluctuations` that keeps the nonlinearity."""

from collections.abc import Callable

import numpy as np

from curriculode.sims.runs.finite_size import ALONE, SEEDS, as_carried_out, finite_size
from curriculode.sims.spaces.draws import record_steps
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed, random_start
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.packing import pack
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.finite_d.record import Fluctuations
from curriculode.theory.solve.integrate import integrate_setting

_TIMES = 101


def fluctuations_of_paths(
    experiment: Experiment,
    setting: Setting,
    start: OrderParameters,
    dimension: int,
    count: int,
    weights: str,
    numerics: Numerics,
    progress: Callable[[float], None] | None,
) -> Fluctuations:
    """Mean and covariance of `count` paths of the diffusion in pairs of opposite noise, from one start or from random weights."""
    carried, protocol = as_carried_out(setting, experiment, dimension), experiment.protocol
    records = record_steps(numerics.output_times(protocol.duration, _TIMES), protocol, dimension)
    t, pairs, seed = records / dimension, -(-count // 2), numerics.scrambling
    starts, fixed = [start], weights == "fixed"
    if not fixed:
        drawn = [
            random_start(experiment.student, setting.blocks, dimension=dimension, seed=child_seed(seed, SEEDS, j))
            for j in range(pairs)
        ]
        starts = [OrderParameters(each.Q, each.M, start.v) for each in drawn]
    told = None if progress is None else lambda fraction: progress(fraction * protocol.duration)
    found = finite_size(experiment, carried, dimension, starts, pairs, seed, records, numerics, False if told is None else told)
    parts = [np.stack([part[path::3] for path in (0, 1)], axis=1) for part in found.paths.blocked]  # (pairs, 2, times, ...)
    if fixed:  # what the stretches err by is that of the equations alone on them
        exact = numerics.set(times=np.minimum(t, protocol.duration), estimate_error=False)
        equations = integrate_setting(experiment, carried, start, exact)
        n = equations.t.size
        for part, alone, line in zip(parts, found.paths.blocked, equations.blocked, strict=True):
            part[:, :, :n] += line - alone[ALONE::3][:, None, :n]
        t, parts = t[:n], [part[:, :, :n] for part in parts]
    finite = found.finite
    Q, M, v = (part[finite].reshape(2 * int(finite.sum()), *part.shape[2:]) for part in parts)
    vectors = np.empty((*v.shape[:2], packed(setting, start).size))
    for row, *state in zip(vectors.reshape(-1, vectors.shape[-1]), *(a.reshape(-1, *a.shape[2:]) for a in (Q, M, v)), strict=True):
        pack(*state, row)
    mean = vectors.mean(axis=0)
    covariance = dimension * np.einsum("pti,ptj->tij", vectors - mean, vectors - mean) / max(len(vectors), 1)
    one = setting.shape[0] == 1
    lost = f"; {int((~finite).sum())} of {pairs} pairs diverged" if not finite.all() else ""
    return Fluctuations(
        experiment,
        numerics,
        {
            "t": t,
            "Q": Q.mean(axis=0)[:, 0].copy() if one else Q.mean(axis=0),
            "M": M.mean(axis=0)[:, 0].copy() if one else M.mean(axis=0),
            "v": v.mean(axis=0),
            "covariance": covariance,
            "shift": np.zeros_like(mean),
            "path_Q": Q,
            "path_M": M,
            "path_v": v,
        },
        f"reached t = {t[-1]:g} by {len(v)} paths of the diffusion{lost}",
        success=bool(finite.all()),
        dimension=dimension,
        statistics={"way": "diffusion", "paths": len(v), "weights": weights},
    )
