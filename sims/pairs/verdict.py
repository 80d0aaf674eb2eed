"""Pairs by theory held against pairs of runs: a verdict on X, and on all else, by the rules of `compare`.

To the equations what finite D adds is added, by paths of the joint diffusion of both copies (`finite_size.py`); where the copies
meet the same examples in another order it is not known, and there is room for a shift of order 1/D, as for batch learning.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.compare.verdict import FEWEST_RUNS, covariances, judge
from curriculode.sims.pairs.branch import branch, which_examples
from curriculode.sims.pairs.finite_size import pair_finite_size
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
_PATHS = 24  # pairs of paths


_NOT_KNOWN = (
    "; what finite D adds is not known of reordered examples, and on a plateau that begins at random weights it is as large as "
    "what is learnt: begin from a state beyond it"
)
_COLUMNS = (
    *("theory", "mean_field", "simulation", "standard_error", "scatter", "predicted_scatter", "theory_error"),
    *("deviation", "allowed"),
)


@dataclass(frozen=True)
class PairComparison:
    """Theory and simulation of two copies, from one start.

    Parameters
    ----------
    theory : list of Pair
        By one net each, or the one of exact averages.
    simulation : Pair
        Pairs of runs.
    added : dict of str to ndarray of shape (pairs, 2, times), optional
        What finite D adds to each order parameter, on paths with opposite noise.
    """

    theory: list[Pair]
    simulation: Pair
    added: dict[str, np.ndarray] | None = None

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
        start, added = np.zeros(int(kept.sum()), dtype=int), self.added or {}
        of_pair = np.zeros(len(next(iter(added.values()))), dtype=int) if added else None
        nets = {name: np.array([line[name][same] for line in lines]) for name in values}
        found = {
            name: judge([nets[name]], of_runs, start, runs.dimension or 1, tests, _ROUNDING, added.get(name), of_pair)
            for name, of_runs in values.items()
        }
        if of_pair is not None:
            compared = {name: each for name, each in found.items() if each.moved is not None}
            deviations = {name: values[name] - nets[name].mean(axis=0) for name in compared}
            used = covariances(compared, deviations, {name: added[name] for name in compared}, start, of_pair)
            for name, share in used.items():
                found[name] = replace(found[name], used=found[name].used | {"covariance": share})
        parts = []
        for name, each in found.items():
            columns = {column: getattr(each, column) for column in _COLUMNS}
            tests_of = {"share_of_allowed": each.share, "worst_test": each.worst, "agrees": each.share <= 1.0}
            parts.append(pd.DataFrame({"quantity": name, "t": runs.t, **columns, **tests_of}))
        return pd.concat(parts, ignore_index=True)

    def to_frame(self) -> "pd.DataFrame":
        """Return theory and simulation of every order parameter of both copies, X among them.

        Returns
        -------
        DataFrame
            One row a quantity and time; columns as of `Comparison.to_frame`.
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
        size = table["share_of_allowed"].fillna(0.0).to_numpy()
        worst = table.iloc[int(size.argmax())]
        where = f"{worst['quantity']} at t = {worst['t']:g}"
        if self.agrees:
            return (
                f"theory and simulation of pairs agree at D = {D} (X by an r.m.s. deviation of {self.spread('X'):.2f} standard "
                f"errors; the largest share of what is allowed, {size.max():.2f}, is {where})"
            )
        if worst["worst_test"] != "mean":
            return f"theory and simulation of pairs disagree at D = {D}: {where}, by its {worst['worst_test']}"
        told = f"{where} deviates by {worst['deviation']:.3g}, and {worst['allowed']:.3g} is allowed"
        hint = "" if self.added is not None else _NOT_KNOWN
        return f"theory and simulation of pairs disagree at D = {D}: {told}{hint}"


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

    Theory is the equations and what finite D adds to them, by 24 pairs of paths of the joint diffusion of both copies with opposite
    noise; means, scatter, laws and covariances are compared as by `compare`. Of reordered examples finite D is not predicted; their
    means may deviate by what is of order 1/D too.

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
            report(0.4 * (net + 1) / _NETS)
        simulation = branch(
            experiment,
            begin,
            dimension=dimension,
            runs=runs,
            seed=seed,
            numerics=settings,
            progress=lambda f: report(0.4 + 0.3 * f),
            **options,
        )
        added = None
        if examples != "reordered":
            records = np.rint(simulation.t * dimension).astype(np.int64)
            which: Any = examples
            added = pair_finite_size(
                experiment,
                begin,
                other,
                int(records[0]),
                which,
                simulation.dimension or dimension,
                _PATHS,
                seed,
                records,
                settings,
                lambda f: report(0.7 + 0.3 * f),
            )
    return PairComparison(theory, simulation, added or None)
