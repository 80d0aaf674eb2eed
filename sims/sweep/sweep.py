"""The driver of a sweep: points that the store lacks are computed, and all of them become one table."""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.sweep.database import checked_path
from curriculode.sims.sweep.plan import Plan, unregistered
from curriculode.sims.sweep.point import Code, Job
from curriculode.sims.sweep.progress import SweepProgress
from curriculode.sims.sweep.settings import settings_with
from curriculode.sims.sweep.status import FAILED, LACKING, MISSING, OTHER, Again, status_of
from curriculode.sims.sweep.store import Store
from curriculode.sims.sweep.workers import Crew, Task, computed
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import truth
from curriculode.theory.core.errors import InputError
from curriculode.theory.core.registry import import_outside, outside_modules
from curriculode.theory.describe.branching import Branching
from curriculode.theory.describe.experiment import Experiment, checked_experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.optimization import Optimization
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.tickets.treatments import USUAL, checked_treatments

if TYPE_CHECKING:
    import pandas as pd


# The plan checks these itself.
@checked(
    **dict.fromkeys(
        ["over", "zip", "seeds", "theory", "runs", "observables", "scramblings", "store", "retry", "shard", "executor"], inside
    ),
    treatments=lambda name, value: checked_treatments(value),
    rest=truth,
)
def sweep(
    experiment: Experiment,
    over: Mapping[str, Sequence[Any]] | None = None,
    *,
    zip: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | Sequence[int] = 1,
    pruning: Pruning | None = None,
    treatments: Sequence[str] | None = None,
    branch: Branching | None = None,
    optimization: Optimization | None = None,
    rest: bool = False,
    theory: bool = True,
    runs: int = 0,
    dimension: int = 1000,
    observables: Sequence[str] | str | None = None,
    scramblings: int = 1,
    numerics: Numerics | None = None,
    space: str | None = None,
    points: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    method: str | None = None,
    averages: str | None = None,
    accuracy: float | None = None,
    noise_terms: bool | None = None,
    store: str | Path | None = None,
    retry: bool = False,
    shard: str | tuple[int, int] | None = None,
    workers: int | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    progress: bool | Callable[[float], None] | None = None,
) -> "pd.DataFrame":
    """Make a table of experiments: theory, simulation or both at every point of a grid, from many seeds.

    A point that diverges, runs out of memory or kills its worker is a row with `failed` set. Ctrl-C ends the sweep with the
    rows that are finished.

    Parameters
    ----------
    experiment : Experiment
        What every point is, but for the varied parameters.
    over : mapping of str to sequence, optional
        Dotted parameter -> values, all combinations; a value may be a list, which stands in the table as JSON.
    zip : mapping of str to sequence, optional
        Dotted parameter -> values that go together, one by one.
    seeds : int or sequence of int, default 1
        Number of seeds (0, 1, ...), or a list of them; seed s starts at `experiment.initial(dimension, s)`, for theory and
        simulation alike, so that orders are compared from shared starts and runs.
    pruning : Pruning, optional
        Which weights are kept; its settings are parameters too: "pruning.keep". By theory a seed is one draw of D random nodes
        (with several `scramblings` as many), by simulation a run is one network with masked weights; see `tickets`.
    treatments : sequence of str, optional
        With a pruning, what is done with what is kept, by default "ticket", "reinit", "random".
    branch : Branching, optional
        When the networks become two copies; its settings are parameters too: "branch.at", whose values alone ask for one. The table
        then has what lies between the copies at the end, such as `barrier`, and of runs there are so many pairs; see `Pair`.
    optimization : Optimization, optional
        What is found at every point, by theory: the best order, learning rate, or both, judged beside the classical orders.
    rest : bool, default False
        Whether each student is held on the hardest level after its protocol until it rests, and the table is of the states at rest,
        with `loss` there, `leading` (the largest rate of growth) and `readout_square`, |v|^2; one that comes to no rest has
        `failed`. `odds` counts the attractors of each order.
    theory : bool, default True
        Whether to integrate the equations; seed s takes scrambling s of the averages (with several `scramblings`, those from
        s * scramblings on), so that the averages' error is part of the scatter between seeds.
    runs : int, default 0
        Simulated runs from each start; 0 for none.
    dimension : int, default 1000
        D, of starts and simulation.
    observables : str or sequence of str, optional
        Names of those in the table, by default all of the task and those registered for it; "accuracy", and order parameters
        such as "Q[0,0]", too.
    scramblings : int, default 1
        Independent nets over which the theory is averaged.
    numerics : Numerics, optional
        How; the keywords from `space` to `noise_terms` are shortcuts for single settings of it. Nets have 1024 points unless an
        `accuracy` is asked for; the only time is the end of the protocol.
    space : str, optional
        See `Numerics`.
    points : int, optional
        See `Numerics`.
    rtol, atol : float, optional
        See `Numerics`.
    method, averages : str, optional
        See `Numerics`.
    accuracy : float, optional
        See `Numerics`.
    noise_terms : bool, optional
        See `Numerics`.
    store : str or Path, optional
        SQLite file of finished points: made if it is missing, continued if it is there. The same call computes what is missing
        only; so does another grid, another experiment, or a table of other observables, since all of them are kept with every
        point. A point that other sources of the package computed is computed again, and the status says so; what you
        registered yourself has sources of your own, whose changes nothing here notices. Without a store nothing is left of an
        interrupted sweep but the table.
    retry : bool, default False
        Compute failed points of the store again.
    shard : str or (int, int), optional
        "i/n", every n-th point from the i-th on, for n machines with a store each; `curriculode merge` joins them.
    workers : int, optional
        Processes, by default those of the numerics, or one a core; 1 computes in this process.
    executor : Executor or callable, optional
        Any concurrent.futures.Executor in their place, such as Dask's client.get_executor(pure=False), or a function that makes
        one, called again if it breaks.
    progress : bool or callable, optional
        True or False, or a function that is told the finished fraction; by default a bar on a terminal, and elsewhere a line a
        minute.

    Returns
    -------
    DataFrame
        One row a point, order and seed: the varied parameters, `protocol.order`, `seed`; final values by theory (`NAME`, with
        several scramblings `NAME_standard_error`) and simulation (`NAME_simulation`, `NAME_simulation_standard_error`,
        `diverged_runs`; for batch learning runs that missed the tolerance); `failed`, `status` (a sentence: where it diverged,
        why it failed) and `seconds`. The same seeds give the same bits, `seconds` aside, wherever they are computed.
        `table.attrs["status"]` says how many points are done. With a pruning there is one row for each treatment, and one for
        "dense", told apart by the column `treatment`, a parameter like the others; `prizes` tests their differences. With an
        optimization likewise for the "optimum" and each protocol beside it; `objective` is what was made small, `gain` what the
        optimum gains on each, with its paired error, and `kind` the place in `curriculode.theory.control.kinds.KINDS` of the best
        kind of order. A ridge in a tangent space has its `train_loss`.

    Raises
    ------
    InputError
        For a point that cannot exist, before the first is computed.

    Examples
    --------
    >>> from curriculode import load, sweep
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> grid = {"student.width": [2, 4], "protocol.order": ["curriculum", "random"]}
    >>> table = sweep(experiment, grid, seeds=3, points=64, workers=1)
    >>> len(table), int(table["failed"].sum())
    (12, 0)
    """
    retry = truth("retry", retry)
    plan = planned(
        experiment,
        over,
        zip=zip,
        seeds=seeds,
        observables=observables,
        shard=shard,
        numerics=numerics,
        theory=theory,
        runs=runs,
        dimension=dimension,
        scramblings=scramblings,
        space=space,
        points=points,
        rtol=rtol,
        atol=atol,
        method=method,
        averages=averages,
        accuracy=accuracy,
        noise_terms=noise_terms,
        pruning=pruning,
        treatments=treatments,
        branch=branch,
        optimization=optimization,
        rest=rest,
    )
    with Crew(plan.settings.numerics.workers if workers is None else workers, executor) as crew, opened(plan, store, crew) as kept:
        return to_frame(plan, kept, fill(plan, kept, crew, retry, progress))


def planned(
    experiment: Experiment,
    over: Mapping[str, Sequence[Any]] | None = None,
    *,
    zip: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | Sequence[int] = 1,
    observables: Sequence[str] | str | None = None,
    shard: str | tuple[int, int] | None = None,
    numerics: Numerics | None = None,
    pruning: Pruning | None = None,
    treatments: Sequence[str] | None = None,
    branch: Branching | None = None,
    **settings: Any,
) -> Plan:
    """The points of a sweep with these arguments; `settings` are dimension, theory, runs, scramblings and the shortcuts."""
    checked_experiment(experiment)
    if pruning is not None and settings.get("optimization") is not None:
        raise InputError("a sweep has either a pruning or an optimization; leave one of them out")
    if pruning is not None:
        settings["treatments"] = checked_treatments(list(USUAL if treatments is None else treatments))
    elif treatments is not None:
        raise InputError("treatments are of what a pruning keeps; give pruning = Pruning(keep=0.2) too, or leave them out")
    return Plan(
        experiment,
        over,
        zip=zip,
        seeds=seeds,
        settings=settings_with(numerics, settings),
        observables=observables,
        shard=shard,
        pruning=pruning,
        branch=branch,
    )


def opened(plan: Plan, path: str | Path | None, crew: Crew | None = None) -> Store:
    """The store of a sweep; no file is made for a sweep that cannot be, on the workers of `crew` for instance."""
    if crew is not None:
        _check_travel(plan, crew)
    if path is None or not os.path.exists(checked_path(path)):
        plan.check(plan.indices)
    return Store(path)


@dataclass(frozen=True)
class Filled:
    """What came of filling a store: whether Ctrl-C ended it, and which points had to be computed again."""

    interrupted: bool = False
    again: Again = field(default_factory=Again)


def fill(
    plan: Plan,
    store: Store,
    crew: Crew,
    retry: bool = False,
    progress: bool | Callable[[float], None] | None = None,
) -> Filled:
    """Compute the points of `plan` that `store` lacks (with `retry`, those that failed too)."""
    status = status_of(plan, store, store.mend())
    wanted = (MISSING, LACKING, OTHER, *((FAILED,) if retry else ()))
    missing = np.flatnonzero(np.isin(status.codes, wanted)).tolist()
    indices, keys = plan.indices, plan.keys
    plan.check([indices[i] for i in missing])
    if missing:
        store.check_writable()
        _check_travel(plan, crew)
    text, asked = plan.text, tuple(plan.observables)
    code = Code.here(asked)
    base = plan.experiment if crew.here else None
    tasks = (
        Task(
            keys[i],
            Job(text, plan.changes(indices[i]), plan.seed(indices[i]), plan.settings, asked, code, base, plan.pruning, plan.branch),
        )
        for i in missing
    )
    done = len(plan) - len(missing)
    try:
        with SweepProgress(len(plan), done, progress) as bar:
            for finished in computed(crew, tasks):
                if finished is None:
                    bar.tell(done)
                    continue
                task, result = finished
                store.keep(task.key, task.job, result)
                done += 1
                bar.tell(done, result.status if result.failed else None)
    except KeyboardInterrupt:
        crew.close(kill=True)
        return Filled(True, status.again)
    return Filled(False, status.again)


def _check_travel(plan: Plan, crew: Crew) -> None:
    """Raise `InputError` where points go to other processes that could not know the classes and names of the experiment."""
    if crew.here:
        return
    if own := unregistered(plan.experiment):
        raise InputError(
            f"the experiment is made of a class that other processes do not find, {own[0]}: register it (a task by "
            "curriculode.register_task), or use workers = 1"
        )
    if "__main__" in (modules := outside_modules()):
        import_outside(modules)  # raises


def to_frame(plan: Plan, store: Store, filled: Filled | None = None) -> "pd.DataFrame":
    """The points of `plan` that `store` holds, as the table that `sweep` returns."""
    import pandas as pd

    filled = Filled() if filled is None else filled
    columns = result_columns(plan)
    names = plan.names if "protocol.order" in plan.names else [*plan.names, "protocol.order"]
    base = {"protocol.order": plan.experiment.protocol.order}
    # Rows of a point: one, or one a treatment.
    treatments = plan.settings.labels or ("",)
    places = {number: [layout.places(columns, name) for name in treatments] for number, layout in store.layouts().items()}
    nothing, missing = [float("nan")] * len(columns), np.array([np.nan], dtype="<f8").tobytes()
    found = {key: (layout, result) for key, layout, result in store.results(plan.keys)}
    finals = len(plan.observables) * len(plan.settings.parts)  # of the columns; the number of diverged runs is none
    rows, points, failures = [], 0, 0
    for index, key in plan:
        if key not in found:
            continue
        layout, result = found[key]
        points, failures = points + 1, failures + result.failed
        labels = base | plan.changes(index)
        cells = [json.dumps(value) if isinstance(value, list) else value for value in map(labels.__getitem__, names)]
        numbers = np.frombuffer(result.numbers + missing, dtype="<f8") if result.numbers else None
        for i, name in enumerate(treatments):
            values = nothing if numbers is None else numbers[places[layout][i]].tolist()
            # A treatment may have diverged where others came to their end.
            failed = result.failed or (bool(name) and not any(map(math.isfinite, values[:finals])))
            treatment = [name] if name else []
            rows.append((*cells, *treatment, plan.seed(index), *values, failed, result.status, result.seconds))
    label = ["treatment"] if plan.settings.labels else []
    table = pd.DataFrame(rows, columns=pd.Index([*names, *label, "seed", *columns, "failed", "status", "seconds"]))
    status = f"{points - failures} of {len(plan)} points done, {failures} failed"
    status += ", then the sweep was interrupted" if filled.interrupted else ""
    table.attrs["status"] = f"{status}; {filled.again.sentence}" if filled.again.sentence else status
    table.attrs["interrupted"] = filled.interrupted
    table.attrs |= {"done": points - failures, "failed": failures, "missing": len(plan) - points}
    return table


def result_columns(plan: Plan) -> list[str]:
    """The columns of results, in order."""
    columns = [name + part for name in plan.observables for part in plan.settings.parts]
    return columns + (["diverged_runs"] if plan.settings.runs else [])
