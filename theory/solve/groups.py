"""Integrate the training of groups of coordinates over a part of a protocol, with passengers and transports."""

from dataclasses import dataclass, field

import numpy as np

from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.dynamics.groups import GroupLearning, Groups
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.results.states import DIVERGED
from curriculode.theory.solve.stages import Solver
from curriculode.theory.solve.way import Way


@dataclass(frozen=True)
class GroupSolution:
    """What a training of groups came to.

    times : (times,) the output times that were reached;  Q, M, v, riders : at them, summed over the groups of each block
    groups, v_end : at the end (of the last state where it failed)
    transports : R (G, K, K), S (G, K, P), Xi (G, K, K), from the start;  transports_at : the same at each output time
    failure : why it ended early, or None
    """

    times: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    riders: np.ndarray
    groups: Groups
    v_end: np.ndarray
    transports: dict[str, np.ndarray] = field(default_factory=dict)
    transports_at: list[dict[str, np.ndarray]] = field(default_factory=list)
    failure: str | None = None
    method: str = ""
    steps: int = 0
    evaluations: int = 0


def train_groups(
    way: Way,
    groups: Groups,
    v: np.ndarray,
    start: float,
    end: float,
    times: np.ndarray,
    transports: bool = False,
    looser: float = 1.0,
) -> GroupSolution:
    """Train `groups` with the readout v (K,) through the protocol from time `start` to `end`, told at `times` within.

    transports : whether R, S and Xi from the start are integrated as well;  looser : times the tolerances
    """
    setting = way.setting
    parts = [stage for stage in setting.stages if min(stage.end, end) > max(stage.start, start)]
    parts = parts or [setting.stages[-1]]
    stretches = [
        Stretch(
            max(stage.start, start),
            min(stage.end, end),
            GroupLearning(setting, way.engine, stage.probability, stage.rates, groups, v, transports),
        )
        for stage in parts
    ]
    first = stretches[0].dynamics
    assert isinstance(first, GroupLearning)
    y = first.packed(groups, v)
    method, rtol, atol = way.solver(first.size)
    inside = times[(times >= start) & (times <= end)]
    if end <= start:  # nothing to do: the start is the end
        states, failure, steps, evaluations, reached = [y], None, 0, 0, np.array([start])
    else:
        asked = np.unique(np.concatenate([[start], inside, [end]]))
        solver = Solver(method, looser * rtol, looser * atol, DIVERGED * max(1.0, float(np.abs(y).max(initial=0.0))), way.progress)
        with one_blas_thread():
            solution = solver.solve(stretches, y, asked)
        states, failure, steps, evaluations = solution.states, solution.failure, solution.steps, solution.evaluations
        reached = asked[: len(states)]
    kept = np.isin(reached, inside)
    told = [state for state, wanted in zip(states, kept, strict=True) if wanted]
    sums = first.sums(np.array(told).reshape(-1, first.size))
    after, v_end, found = first.unpacked(states[-1] if states else y, groups)
    each = [first.unpacked(state, groups)[2] for state in told] if transports else []
    return GroupSolution(reached[kept], **sums, groups=after, v_end=v_end, transports=found, transports_at=each, failure=failure,
                         method=method, steps=steps, evaluations=evaluations)  # fmt: skip
