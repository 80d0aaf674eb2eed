"""An optimum as a point of a sweep: what is found from the starts of a seed, judged on others beside the classical orders."""

from typing import Any

import numpy as np

from curriculode.sims.sweep.settings import Settings
from curriculode.sims.sweep.values import Layout
from curriculode.theory.control.kinds import KINDS
from curriculode.theory.control.objective import Objective
from curriculode.theory.control.optimize import optimize, rates_within
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.optimization import OPTIMUM, PURE, Optimization
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.solve.integrate import integrate


def check_optimum(experiment: Experiment, optimization: Optimization) -> None:
    """Raise `InputError` for what has no optimum."""
    setting = Setting.of(experiment)
    Objective.of(experiment, optimization.objective, optimization.average)
    rates_within(optimization.bounds, setting.rates.eta)


def optimum_rows(
    experiment: Experiment, optimization: Optimization, layout: Layout, seed: int, settings: Settings
) -> tuple[np.ndarray, str]:
    """The values of every protocol at the end, one below the other, (protocols * names, tests that count), and the status."""
    given = optimization.to_dict()
    count, tests = given.pop("starts"), given.pop("tests")
    starts = [experiment.initial(settings.dimension, seed, number) for number in range(count + tests)]
    numerics = settings.numerics.set(scrambling=settings.numerics.scrambling + seed)
    best = optimize(experiment, starts=starts[:count], test_starts=starts[count:], numerics=numerics, **given)
    if best.interrupted:
        raise KeyboardInterrupt
    if not np.isfinite(best.values).all(axis=0).any():
        return np.full((len(layout.names) * len(layout.treatments), 1), np.nan), "every start that it is judged by diverges"
    judges = [start for start, counts in zip(starts[count:], best.counted, strict=True) if counts]
    exact = numerics.set(times=(experiment.protocol.duration,), estimate_error=False)
    rows = []
    for label in layout.treatments:
        own: Any = {"": best.experiment, PURE: best.bang_bang() if PURE in layout.treatments else None}
        protocol = own[""] if label == OPTIMUM else own.get(label) or experiment.replace({"protocol.order": label})
        finals = np.array([layout.final(integrate(protocol, start, numerics=exact)) for start in judges]).T
        values = best.values[best.protocols.index(label), best.counted]
        extra = {"objective": values, "gain": values - best.values[0, best.counted]}  # paired by start, and so is its error
        if "kind" in layout.extra:
            extra["kind"] = np.full(len(judges), float(KINDS.index(best.best_order)))
        rows += [finals, *(extra[name][None] for name in layout.extra)]
    left = int((~best.counted).sum())
    status = best.status + (f"; {left} of {tests} starts that it is judged by diverge and are left out" if left else "")
    return np.concatenate(rows), status + (f"; best kind of order: {best.best_order}" if "kind" in layout.extra else "")
