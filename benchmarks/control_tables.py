"""What a product of a costate with the derivatives of the equations costs, in right-hand sides."""

import numpy as np
from timing import best, experiment, head, row

from curriculode.theory.dynamics.costates import Costates
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.setting import Setting


def adjoint() -> None:
    head(
        "A right-hand side and its product with a costate, XOR, GELU, hard stage, 2^10 points",
        "K",
        "us",
        "us backward",
        "ratio",
        "2 n",
    )
    for K in (4, 16, 32):
        case = experiment(K, protocol__order="curriculum")
        setting, start = Setting.of(case), case.initial(dimension=1000, seed=1)
        engine, hard = setting.engine("auto", 1024, 0), np.array([0.0, 1.0])
        y = packed(setting, start)
        forward = OnlineLearning(setting, engine, hard, setting.rates, start.v)
        backward = Costates(setting, engine, 0, start.v)
        costate = np.random.default_rng(0).normal(size=y.size)
        once = best(lambda: [forward.rate(0.0, y) for _ in range(20)]) / 20  # noqa: B023
        back = best(lambda: [backward.pull(y, costate, hard, setting.rates) for _ in range(20)]) / 20  # noqa: B023
        row(K, f"{1e6 * once:.0f}", f"{1e6 * back:.0f}", f"{back / once:.1f}", 2 * y.size)
