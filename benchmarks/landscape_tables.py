"""How often Newton's iteration finds the ends of a setting, in how many steps, and what it costs beside the integration."""

import time
from typing import Any

import numpy as np
from timing import best, head, once, row

import curriculode as cu
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.ends import held_on
from curriculode.theory.landscape.fixed_point import stage_held
from curriculode.theory.landscape.rest import Holding

STARTS = 40
WIDTHS = {2: 8, 4: 8, 8: 6, 16: 3, 32: 1}  # width -> starts


def rest() -> None:
    head(
        f"States at rest of the XOR mixture, K = 4 GELU, eta 1.5, weight decay .05, D = 200, {STARTS} starts an order, 2^8 points",
        "order",
        "found",
        "first attempt",
        "steps",
        "largest rate left",
        "s an end",
    )
    base = cu.load("xor-curriculum").replace({"training.learning_rate": 1.5, "training.weight_decay": 0.05})
    for order in ("curriculum", "random", "hard-only"):
        _, found, seconds = _rests(base, order, STARTS)
        good = [each for each in found if each.failure is None]
        row(
            order,
            f"{len(good)} of {STARTS}",
            sum(each.time == 0.0 for each in good),
            f"{np.mean([each.root.iterations for each in good]):.1f}",
            f"{max(each.root.residual for each in good):.0e}",
            f"{seconds / STARTS:.2f}",
        )
    _by_width()


def _rests(base: cu.Experiment, order: str, starts: int) -> tuple[Holding, list[Any], float]:
    """The students held on the hard level, the state at rest of each start, and the seconds that finding them takes."""
    experiment = held_on(base, order, 500.0, "hard")
    setting = Setting.of(experiment)
    holding = Holding(setting, stage_held(experiment, setting, "hard")[0], Numerics(points=256))
    found, seconds = [], 0.0
    for number in range(starts):
        start = base.initial(200, 0, number)
        end = cu.integrate(experiment, start, points=256, times=2, estimate_error=False, method="LSODA", rtol=1e-5).state()
        begin = time.perf_counter()
        found.append(holding.rest(end, 0.0, 5000.0, ends=True))
        seconds += time.perf_counter() - begin
    return holding, found, seconds


def _by_width() -> None:
    """What a state at rest costs as the student grows, and all that `attractors` does with a start."""
    head(
        "The same by K, random order, one core after compilation: ends found; parameters n; ms of a Jacobian by n costates; "
        "steps of Newton; seconds from the end of the protocol to rest; seconds of `attractors` for a start in two orders",
        *("K", "found", "n", "ms a Jacobian", "steps", "s an end", "s of attractors a start"),
    )
    talk = {"training.learning_rate": 1.5, "training.weight_decay": 0.05}
    for K, starts in WIDTHS.items():
        base = cu.load("xor-curriculum").replace({**talk, "student.width": K})
        holding, rests, seconds = _rests(base, "random", starts)
        equations = holding.equations(rests[0].state.v)
        y = rests[0].root.y
        jacobian = best(lambda: equations.jacobian(y), 2)  # noqa: B023
        orders = ["curriculum", "random"]
        whole = once(lambda: cu.attractors(base, starts, orders=orders, dimension=200, points=256, progress=False))  # noqa: B023
        good = [each for each in rests if each.failure is None]
        steps = f"{np.mean([each.root.iterations for each in good]):.1f}" if good else "-"
        found = f"{len(good)} of {starts}"
        row(K, found, y.size, f"{1e3 * jacobian:.1f}", steps, f"{seconds / starts:.2f}", f"{whole / starts:.2f}")
