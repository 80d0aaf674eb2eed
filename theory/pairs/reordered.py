"""The same examples in another order: an example that copy 1 meets at time a is met by copy 2 at a time a' of the same stage.

Both meet it once, so that w1(a) and w2(a') know nothing of it, and its fields (lambda1(a), lambda2(a')) have the cross covariance
sum_b s_b^2 X^b(a, a'). With any time of the stage, of length L, as likely as any other, what is not along the references obeys

    X_perp(t1, t2) = U1(t1, k) X_perp(k) U2(t2, k)'
                     + sum_stages (eta^2 phi_b / L) int int U1(t1, a) sum_d p_d s_db^2 E_d[F1(a) F2(a')'] U2(t2, a')' da' da,

U the propagator of dw/dt = - A w, and X = M1 T^+ M2' + X_perp. So the examples of every stage are met in another order within that
stage, and stages after one another close as one does. On a grid of times, cell by cell (the trapezoidal rule in both times, the far
corner by a predictor); halving the cells and extrapolating leaves an error of the fourth order, and tells it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from curriculode.theory.averages import Engine
from curriculode.theory.averages.two_signals import TwoSignals
from curriculode.theory.dynamics.coefficients import CoefficientLaw
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.pair import CrossNoise, PairLearning, joint_overlaps
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.solve.stages import Solver

_CELLS = 24  # of the coarser grid, at least; the finer one has twice as many


def reordered_overlaps(
    setting: Setting,
    engine: Engine,
    signals: TwoSignals,
    stretches: Sequence[Stretch],
    y: np.ndarray,
    times: np.ndarray,
    solver: Solver,
) -> tuple[dict[str, np.ndarray], str | None, dict[str, Any]]:
    """The arrays of both copies at `times`, why they end early, and the largest error of X by its two grids."""
    begin, end = stretches[0].start, stretches[-1].end
    coarse = np.unique(np.concatenate([np.linspace(begin, end, _CELLS + 1), times, [each.end for each in stretches]]))
    # Cells that rounding alone has made would be halved to nothing.
    coarse = coarse[np.concatenate([[True], np.diff(coarse) > 1e-9 * (end - begin)])]
    fine = np.sort(np.concatenate([coarse, 0.5 * (coarse[1:] + coarse[:-1])]))
    solution = solver.solve(stretches, y, fine)
    dynamics = stretches[0].dynamics
    assert isinstance(dynamics, PairLearning)
    states = dynamics.observe(np.array(solution.states).reshape(-1, y.size))
    statistics: dict[str, Any] = {"steps": solution.steps, "evaluations": solution.evaluations}
    reached = fine[: len(solution.states)]
    if solution.failure is not None:
        return {"t": times[:0], **{name: value[:0] for name, value in states.items()}}, solution.failure, statistics
    grids = []
    for step in (2, 1):
        part = {name: value[::step] for name, value in states.items()}
        grids.append(_on_grid(setting, engine, signals, stretches, reached[::step], part))
    # Second order on both grids: their difference is three times the error of the finer one.
    cross = grids[1][::2] + (grids[1][::2] - grids[0]) / 3.0
    kept = np.searchsorted(coarse, times - 1e-9 * (end - begin))
    arrays = {name: value[::2][kept] for name, value in states.items() if name != "X"}
    statistics |= {"cells": len(coarse) - 1, "grid_error": float(np.abs(grids[1][::2] - grids[0])[kept].max(initial=0.0) / 3.0)}
    return {"t": times.copy(), **arrays, "X": cross[kept]}, None, statistics


def _on_grid(
    setting: Setting,
    engine: Engine,
    signals: TwoSignals,
    stretches: Sequence[Stretch],
    times: np.ndarray,
    states: dict[str, np.ndarray],
) -> np.ndarray:
    """X(t, t) at the times of a grid, (times, blocks, K, K), from the copies' own states there."""
    Q, M, v, X = (states[name] for name in "QMvX")
    n, (blocks, K, _) = times.size, setting.shape
    inverse = np.linalg.pinv(setting.blocks.T, hermitian=True)
    stage = np.searchsorted([each.end for each in stretches], 0.5 * (times[1:] + times[:-1]))
    parts = [next(s for s in setting.stages if s.end == each.end) for each in stretches]
    R = _propagators(setting, engine, parts, stage, times, Q, M, v)
    fractions = setting.blocks.fractions[:, None, None]
    noises = [CrossNoise(setting, signals, part.probability, part.rates) for part in parts]
    lengths = [each.end - each.start for each in stretches]
    # Copies that are alike have X(t2, t1) = X(t1, t2)'.
    alike = all(np.array_equal(value[:, 0], value[:, 1]) for value in (Q, M, v))
    perp = np.zeros((n, n, blocks, K, K))
    shared: dict[tuple[int, int, int], np.ndarray] = {}

    def along(i: int, j: int) -> np.ndarray:
        return M[i, 0] @ inverse @ np.swapaxes(M[j, 1], -1, -2)

    def noise(s: int, i: int, j: int, X_perp: np.ndarray) -> np.ndarray:
        """phi_b / L eta^2 sum_d p_d s_db^2 E_d[F1(i) F2(j)'], known once for each node of a stage."""
        if (s, i, j) not in shared:
            each = [np.stack([part[i, 0], part[j, 1]]) for part in (Q, M, v)]
            joint = joint_overlaps(each[0], each[1], along(i, j) + X_perp)
            found = noises[s].at(*joint, each[2].ravel())[:, :K, K:]
            shared[s, i, j] = found * fractions / lengths[s]
        return shared[s, i, j]

    perp[0, 0] = X[0] - along(0, 0)
    for i in range(n - 1):
        perp[i + 1, 0] = R[i, 0] @ perp[i, 0]
        perp[0, i + 1] = perp[0, i] @ np.swapaxes(R[i, 1], -1, -2)
    for i in range(n - 1):
        for j in range(i if alike else 0, n - 1):
            U1, U2 = R[i, 0], np.swapaxes(R[j, 1], -1, -2)
            moved = U1 @ perp[i, j + 1] + perp[i + 1, j] @ U2 - U1 @ perp[i, j] @ U2
            if stage[i] == stage[j]:
                s, area = int(stage[i]), (times[i + 1] - times[i]) * (times[j + 1] - times[j]) / 4.0
                near = noise(s, i, j, perp[i, j])
                sides = U1 @ noise(s, i, j + 1, perp[i, j + 1]), noise(s, i + 1, j, perp[i + 1, j]) @ U2
                known = U1 @ near @ U2 + sides[0] + sides[1]
                far = noise(s, i + 1, j + 1, moved + area * (known + sides[0] + sides[1] - U1 @ near @ U2))
                moved = moved + area * (known + far)
            perp[i + 1, j + 1] = moved
            if alike and j > i:
                perp[j + 1, i + 1] = np.swapaxes(moved, -1, -2)
    return np.array([along(i, i) + perp[i, i] for i in range(n)])


def _propagators(
    setting: Setting, engine: Engine, parts: Sequence[Any], stage: np.ndarray, times: np.ndarray, *states: np.ndarray
) -> np.ndarray:
    """exp(- h (A + A') / 2) of each interval and copy with A at both its ends, (times - 1, 2, blocks, K, K)."""
    from scipy.linalg import expm

    Q, M, v = states
    laws = [CoefficientLaw(setting, engine, part.probability, part.rates) for part in parts]

    def A(s: int, i: int, copy: int) -> np.ndarray:
        return laws[s].at(Q[i, copy], M[i, copy], v[i, copy].copy()).A.copy()

    found = []
    for (i, j), s, h in zip(pairwise(range(times.size)), stage, np.diff(times), strict=True):
        found.append([[expm(-0.5 * h * each) for each in A(s, i, copy) + A(s, j, copy)] for copy in range(2)])
    return np.array(found)
