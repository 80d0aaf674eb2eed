"""Pairs by theory held against pairs of runs: a verdict on X, and on all else, by the rules of `compare`."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.compare.verdict import FEWEST_RUNS, judge
from curriculode.sims.pairs.branch import branch, which_examples
from curriculode.sims.runs.progress import Told, progress_of
from curriculode.theory.core.arguments import CHECKS, MOST_RUNS, checked, whole
from curriculode.theory.core.checks import number
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.pairs.record import Pair

if TYPE_CHECKING:
    import pandas as pd

_ROUNDING = 1e-5
_TIMES = 11
_NETS = 4  # of theory by nets, whose scatter is its error


@dataclass(frozen=True)
class PairComparison:
    """Theory and simulation of two copies, from one start.

    Parameters
    ----------
    theory : list of Pair
        By one net each, or the one of exact averages.
    simulation : Pair
        Pairs of runs.
    """

    theory: list[Pair]
    simulation: Pair

    @cached_property
    def _table(self) -> "pd.DataFrame":
        import pandas as pd

        runs, kept = self.simulation, self.simulation.finite
        t = np.array([line.t for line in self.theory])[0]
        # Times that fall on one step are recorded once at finite D.
        same = [int(np.argmin(np.abs(t - each))) for each in runs.t]
        values = {name: value[kept] for name, value in runs.entries().items()}
        lines = [line.entries() for line in self.theory]
        tests = len(values) * runs.t.size
        start, parts = np.zeros(int(kept.sum()), dtype=int), []
        for name, of_runs in values.items():
            nets = np.array([line[name][same] for line in lines])
            found = judge([nets], of_runs, start, runs.dimension or 1, tests, _ROUNDING)
            columns = {
                each: getattr(found, each)
                for each in ("theory", "simulation", "standard_error", "scatter", "theory_error", "deviation", "allowed")
            }
            parts.append(
                pd.DataFrame({"quantity": name, "t": runs.t, **columns, "agrees": np.abs(found.deviation) <= found.allowed})
            )
        return pd.concat(parts, ignore_index=True)

    def to_frame(self) -> "pd.DataFrame":
        """Return theory and simulation of every order parameter of both copies, X among them.

        Returns
        -------
        DataFrame
            One row a quantity and time, with the deviation of the mean, its standard error, and what is allowed.
        """
        return self._table.copy()

    @property
    def problem(self) -> str | None:
        """Why there can be no verdict, or None."""
        for what, pairs in (("theory", self.theory), ("simulation", [self.simulation])):
            for pair in pairs:
                if not pair.success:
                    return f"{what}: {pair.status}"
        if int(self.simulation.finite.sum()) < FEWEST_RUNS:
            few = f"{int(self.simulation.finite.sum())} pairs are too few to tell chance from a disagreement"
            return f"{few}; use at least {FEWEST_RUNS}"
        return None

    @property
    def agrees(self) -> bool:
        """Whether theory and simulation agree in every order parameter at every time."""
        return self.problem is None and bool(self._table["agrees"].all())

    def spread(self, prefix: str = "") -> float:
        """Return the root mean square deviation in standard errors.

        Parameters
        ----------
        prefix : str, optional
            Of the order parameters that count, such as "X"; by default all do.

        Returns
        -------
        float
            Near 1 where theory is right.
        """
        table = self._table[self._table["quantity"].str.startswith(prefix)]
        errors = table["deviation"] / table["standard_error"].where(table["standard_error"] > 1e-12)
        return float(np.sqrt((errors**2).mean()))

    def verdict(self) -> str:
        """Return the verdict in one sentence.

        Returns
        -------
        str
            What agrees, or where the largest disagreement is.
        """
        if self.problem is not None:
            return f"no verdict: {self.problem}"
        table, D = self._table, self.simulation.dimension
        size = (table["deviation"].abs() / table["allowed"]).fillna(0.0).to_numpy()
        worst = table.iloc[int(size.argmax())]
        where = f"{worst['quantity']} at t = {worst['t']:g}"
        if self.agrees:
            return (
                f"theory and simulation of pairs agree at D = {D} (X by an r.m.s. deviation of {self.spread('X'):.2f} standard "
                f"errors; the largest share of what is allowed, {size.max():.2f}, is {where})"
            )
        return (
            f"theory and simulation of pairs disagree at D = {D}: {where} deviates by {worst['deviation']:.3g}, and "
            f"{worst['allowed']:.3g} is allowed; on a plateau that begins at random weights the equations of endless D are biased "
            "at every D: begin from a state beyond it, or see plateau_law and instability"
        )


@checked(at=number, examples=which_examples, runs=whole(2, MOST_RUNS), other=CHECKS["start"])
def compare_pairs(
    experiment: Experiment,
    *,
    at: float = 0.0,
    examples: str = "independent",
    dimension: int,
    runs: int = 64,
    start: OrderParameters | None = None,
    other: OrderParameters | None = None,
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    space: str | None = None,
    times: int | ArrayLike | None = None,
    points: int | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> PairComparison:
    """Compare two copies of a network by theory with pairs of runs, from one start.

    The mean of the runs may deviate as `compare` allows where finite D is not predicted: by chance, or by what finite D does to a
    mean, of order 1/D. On plateaus that begin at random weights, such as that of the XOR mixture, it does more: there the equations
    of endless D, of one network as of two, are biased at every D.

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` as its training.
    at : float, default 0.0
        The time at which the copies part.
    examples : {"independent", "same", "reordered"}, default "independent"
        Which examples they meet.
    dimension : int
        D.
    runs : int, default 64
        Pairs of runs.
    start : OrderParameters, optional
        Of all, by default a random one of the seed.
    other : OrderParameters, optional
        Of the second copy, as for `branch`.
    seed : int or SeedSequence, default 0
        Of start and runs.
    numerics : Numerics, optional
        How; the other keywords are shortcuts for single settings of it.
    space : str, optional
        See `Numerics`.
    times : int or array_like of float, optional
        Output times, by default 11.
    points : int, optional
        Of the nets that average, by default 1024; theory is by four of them.
    workers : int, optional
        Threads.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    PairComparison
        `verdict()`, `agrees`, `spread()` and `to_frame()`, with both sides.

    Raises
    ------
    InputError
        As for `branch`.

    Examples
    --------
    >>> from curriculode import compare_pairs, load
    >>> experiment = load("perceptron-curriculum").replace({"protocol.duration": 1.0})
    >>> compare_pairs(experiment, at=0.5, dimension=300, runs=16, times=3).agrees
    True
    """
    settings = numerics_with(numerics, space=space, times=times, points=points, workers=workers)
    settings = settings if settings.times is not None else settings.set(times=_TIMES)
    begin = experiment.initial(dimension, seed) if start is None else start
    options: dict[str, Any] = {"at": at, "examples": examples, "other": other}
    theory: list[Pair] = []
    with progress_of("comparing pairs", progress) as report:
        for net in range(_NETS):
            theory.append(
                branch(experiment, begin, numerics=settings.set(scrambling=settings.scrambling + net), progress=False, **options)
            )
            if theory[0].numerics.points is None or theory[0].statistics["averages"]["points"] is None:
                break  # nothing is averaged by nets
            report(0.5 * (net + 1) / _NETS)
        simulation = branch(
            experiment,
            begin,
            dimension=dimension,
            runs=runs,
            seed=seed,
            numerics=settings,
            progress=lambda f: report(0.5 + 0.5 * f),
            **options,
        )
    return PairComparison(theory, simulation)
