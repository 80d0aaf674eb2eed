"""Tickets by theory held against tickets by simulation: a verdict on every treatment, by the rules of `compare`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.compare.verdict import FEWEST_RUNS, judge
from curriculode.sims.runs.progress import Told
from curriculode.sims.tickets.tickets import checked_start, tickets
from curriculode.theory.core.arguments import checked
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.tickets.study import DENSE, TicketStudy
from curriculode.theory.tickets.treatments import checked_treatments

if TYPE_CHECKING:
    import pandas as pd

_ROUNDING = 1e-5
_UNTESTED = ("classification_error", "covered_clusters")  # a step function averaged by nets; whole numbers
_TIMES = 11


@dataclass(frozen=True)
class TicketComparison:
    """Theory and simulation of tickets from one start.

    Parameters
    ----------
    theory : TicketStudy
        Several draws of D random nodes.
    simulation : TicketStudy
        Networks in D inputs.
    """

    theory: TicketStudy
    simulation: TicketStudy

    @cached_property
    def _table(self) -> "pd.DataFrame":
        import pandas as pd

        names = (DENSE, *self.theory.treatments)
        read: dict[tuple[str, str], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for name in names:
            line, runs = self.theory.trajectories[name], self.simulation.trajectories[name]
            values = [{**each.observables(), **each.entries(pairs=False)} for each in (line, runs)]
            kept = runs.finite
            # Times that fall on one step are recorded once at finite D.
            same = [int(np.argmin(np.abs(line.t - t))) for t in runs.t]
            for quantity in values[0]:
                of_runs = values[1][quantity][kept]
                read[name, quantity] = np.atleast_2d(values[0][quantity])[:, same], of_runs, runs.t
        tests = sum(runs.shape[1] for (_, quantity), (_, runs, _) in read.items() if quantity not in _UNTESTED)
        parts = []
        for (name, quantity), (draws, runs, t) in read.items():
            start = np.zeros(len(runs), dtype=int)
            found = judge([draws], runs, start, self.simulation.dimension or 1, tests, _ROUNDING)
            parts.append(
                pd.DataFrame(
                    {
                        "treatment": name,
                        "quantity": quantity,
                        "t": t,
                        "theory": found.theory,
                        "simulation": found.simulation,
                        "standard_error": found.standard_error,
                        "scatter": found.scatter,
                        "deviation": found.deviation,
                        "allowed": found.allowed,
                        "tested": quantity not in _UNTESTED,
                        "agrees": np.abs(found.deviation) <= found.allowed,
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def to_frame(self) -> "pd.DataFrame":
        """Return theory and simulation of every treatment.

        Returns
        -------
        DataFrame
            One row a treatment, quantity and time, with the deviation of the mean, its standard error, and what is allowed.
        """
        return self._table.copy()

    @property
    def problem(self) -> str | None:
        """Why there can be no verdict, or None."""
        for what, study in (("theory", self.theory), ("simulation", self.simulation)):
            if not study.success:
                return f"{what}: {study.status}"
        if self.simulation.run.size < FEWEST_RUNS:
            return f"{self.simulation.run.size} runs are too few to tell chance from a disagreement; use at least {FEWEST_RUNS}"
        return None

    @property
    def agrees(self) -> bool:
        """Whether theory and simulation agree in every tested quantity of every treatment at every time."""
        return self.problem is None and bool(self._table.loc[self._table["tested"], "agrees"].all())

    def verdict(self) -> str:
        """Return the verdict in one sentence.

        Returns
        -------
        str
            What agrees, or where the largest disagreement is.
        """
        if self.problem is not None:
            return f"no verdict: {self.problem}"
        D, table = self.simulation.dimension, self._table[self._table["tested"]]
        size = (table["deviation"].abs() / table["allowed"]).fillna(0.0)
        worst = table.iloc[int(size.to_numpy().argmax())]
        where = f"{worst['quantity']} of {worst['treatment']} at t = {worst['t']:g}"
        errors = table["deviation"] / table["standard_error"].where(table["standard_error"] > 1e-12)
        spread = float(np.sqrt((errors**2).mean()))
        if self.agrees:
            largest = f"the largest share of what is allowed, {size.max():.2f}, is {where}"
            return (
                f"theory and simulation of {len(self.theory.treatments)} treatments agree at D = {D} (r.m.s. deviation "
                f"{spread:.2f} standard errors over {len(table)} means; {largest})"
            )
        return (
            f"theory and simulation of tickets disagree at D = {D}: {where} deviates by {worst['deviation']:.3g}, "
            f"and {worst['allowed']:.3g} is allowed"
        )


@checked(start=checked_start, treatments=lambda name, value: checked_treatments(value))
def compare_tickets(
    experiment: Experiment,
    pruning: Pruning,
    *,
    dimension: int = 1000,
    runs: int = 32,
    start: OrderParameters | None = None,
    treatments: Sequence[str] = ("ticket", "reinit", "random"),
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    times: int | None = None,
    points: int | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> TicketComparison:
    """Compare tickets by theory with tickets by simulation, from one start.

    The theory is of D random nodes, drawn as often as there are runs (32 times at most), so that what is drawn anew, in fresh
    weights and random masks, scatters in both alike. The mean of the runs may deviate as `compare` allows: by chance, or by what
    finite D does to a mean, of order 1/D.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    pruning : Pruning
        What is kept.
    dimension : int, default 1000
        D.
    runs : int, default 32
        Networks.
    start : OrderParameters, optional
        Of all, by default a random one of the seed.
    treatments : sequence of str, default ("ticket", "reinit", "random")
        What is done with what is kept.
    seed : int or SeedSequence, default 0
        Of start, nodes, masks and runs.
    numerics : Numerics, optional
        How; the other keywords are shortcuts for single settings of it.
    times : int, optional
        Output times, by default 11.
    points : int, optional
        Of the nets that average, by default 1024.
    workers : int, optional
        Threads.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    TicketComparison
        `verdict()`, `agrees` and `to_frame()`, with both studies.

    Raises
    ------
    InputError
        As for `tickets`.

    Examples
    --------
    >>> from curriculode import Pruning, compare_tickets, load
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> compare_tickets(experiment, Pruning(keep=0.3), dimension=200, runs=8, times=3, points=128).agrees
    True
    """
    settings = numerics_with(numerics, times=times, points=points, workers=workers)
    settings = settings if settings.times is not None else settings.set(times=_TIMES)
    begin = experiment.initial(dimension, seed) if start is None else start
    options: Any = {"start": begin, "treatments": treatments, "seed": seed, "numerics": settings, "progress": progress}
    theory = tickets(experiment, pruning, runs=min(max(runs, FEWEST_RUNS), 32), nodes=dimension, net=False, **options)
    return TicketComparison(theory, tickets(experiment, pruning, dimension=dimension, runs=runs, **options))
