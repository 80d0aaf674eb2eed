"""How often Newton's iteration finds the ends of a setting, in how many steps, and what it costs beside the integration."""

import time

import numpy as np
from timing import head, row

import curriculode as cu
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.ends import held_on
from curriculode.theory.landscape.fixed_point import stage_held
from curriculode.theory.landscape.rest import Holding

STARTS = 40


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
        experiment = held_on(base, order, 500.0, "hard")
        setting = Setting.of(experiment)
        holding = Holding(setting, stage_held(experiment, setting, "hard")[0], Numerics(points=256))
        found, seconds = [], 0.0
        for number in range(STARTS):
            start = base.initial(200, 0, number)
            end = cu.integrate(experiment, start, points=256, times=2, estimate_error=False, method="LSODA", rtol=1e-5).state()
            begin = time.perf_counter()
            found.append(holding.rest(end, 0.0, 5000.0, ends=True))
            seconds += time.perf_counter() - begin
        good = [each for each in found if each.failure is None]
        row(
            order,
            f"{len(good)} of {STARTS}",
            sum(each.time == 0.0 for each in good),
            f"{np.mean([each.root.iterations for each in good]):.1f}",
            f"{max(each.root.residual for each in good):.0e}",
            f"{seconds / STARTS:.2f}",
        )
