"""The driver of a sweep: points that the store lacks are computed, and all of them become one table."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import curriculode
from curriculode.sims.sweep.plan import Plan, Settings
from curriculode.sims.sweep.point import Job
from curriculode.sims.sweep.progress import SweepProgress
from curriculode.sims.sweep.store import Store
from curriculode.sims.sweep.workers import Crew, Task, computed
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment

if TYPE_CHECKING:
    import pandas as pd


def sweep(
    experiment: Experiment,
    over: Mapping[str, Sequence[Any]] | None = None,
    *,
    zip: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | Sequence[int] = 1,
    theory: bool = True,
    runs: int = 0,
    dimension: int = 1000,
    observables: Sequence[str] | str | None = None,
    space: str = "overlap",
    points: int = 1024,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    scramblings: int = 1,
    store: str | Path | None = None,
    retry: bool = False,
    shard: str | tuple[int, int] | None = None,
    workers: int | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    progress: bool | Callable[[float], None] | None = None,
) -> "pd.DataFrame":
    """A table of experiments: theory, simulation or both at every point of a grid, from many seeds.

    over : dotted parameter -> values, all combinations; zip : dotted parameter -> values that go together, one by one
    seeds : number of seeds (0, 1, ...), or a list of them; seed s starts at `experiment.initial(dimension, s)`, for theory
        and simulation alike, so that orders are compared from shared starts and runs
    theory : whether to integrate the equations; seed s takes scrambling s of the averages (with several `scramblings`,
        those from s * scramblings on), so that the averages' error is part of the scatter between seeds
    runs : simulated runs from each start; 0 for none
    dimension : D, of starts and simulation;  space, points, rtol, atol : as for `simulate` and `integrate`
    observables : names of those in the table, by default all of the task; order parameters such as "Q[0,0]" too
    store : SQLite file of finished points: made if it is missing, continued if it is there. The same call computes what
        is missing only; so does another grid over the same experiment. Without it nothing is left of an interrupted sweep but
        the table
    retry : compute failed points of the store again
    shard : "i/n", every n-th point from the i-th on, for n machines with a store each; `curriculode merge` joins them
    workers : processes, by default one a core; 1 computes in this process
    executor : any concurrent.futures.Executor in their place, such as Dask's client.get_executor(pure=False), or a function
        that makes one, called again if it breaks
    progress : True or False, or a function that is told the finished fraction; by default a bar on a terminal, and elsewhere a
        line a minute

    Returns one row a point, order and seed: the varied parameters, `protocol.order`, `seed`; final values by theory (`NAME`,
    with several scramblings `NAME_standard_error`) and simulation (`NAME_simulation`, `NAME_simulation_standard_error`,
    `diverged_runs`; for batch learning runs that missed the tolerance); `failed`, `status` (a sentence: where it diverged, why it
    failed) and `seconds`. The same seeds give the same bits, `seconds` aside, wherever they are computed. `table.attrs["status"]`
    says how many points are done.

    Raises `InputError` for a point that cannot exist, before the first is computed. A point that diverges, runs out of memory or
    kills its worker is a row with `failed` set. Ctrl-C ends the sweep with the rows that are finished.

    >>> from curriculode import load, sweep
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> grid = {"student.width": [2, 4], "protocol.order": ["curriculum", "random"]}
    >>> table = sweep(experiment, grid, seeds=3, points=64, workers=1)
    >>> len(table), int(table["failed"].sum())
    (12, 0)
    """
    plan = planned(
        experiment, over, zip, seeds, observables, shard, theory=theory, runs=runs, dimension=dimension, space=space, points=points,
        rtol=rtol, atol=atol, scramblings=scramblings,
    )  # fmt: skip
    with Crew(workers, executor) as crew, opened(plan, store) as kept:
        interrupted = fill(plan, kept, crew, retry, progress)
        return to_frame(plan, kept, chosen(experiment, observables), interrupted)


def planned(
    experiment: Experiment, over: Mapping[str, Sequence[Any]] | None, zip: Mapping[str, Sequence[Any]] | None,
    seeds: int | Sequence[int], observables: Sequence[str] | str | None, shard: str | tuple[int, int] | None, **settings: Any,
) -> Plan:  # fmt: skip
    """The points of a sweep with these arguments."""
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"experiment = {experiment!r} is not allowed; give a curriculode.Experiment, such as load('xor-curriculum')"
        )
    entries = tuple(name for name in chosen(experiment, observables) if name not in experiment.task.observable_names)
    options = Settings(**settings, entries=tuple(sorted(entries)))
    if not options.theory and options.runs == 0:
        raise InputError(
            "a sweep with theory = False and runs = 0 has nothing to compute; leave theory on, or give a number of runs"
        )
    return Plan(experiment, over, zip, seeds, options, shard)


def opened(plan: Plan, path: str | Path | None) -> Store:
    """The store of a sweep; no file is made for a sweep that cannot be."""
    if path is None or not Path(path).exists():
        plan.check(plan.indices)
    return Store(path, plan.experiment)


def chosen(experiment: Experiment, observables: Sequence[str] | str | None) -> list[str]:
    """The names of observables a user asked for, by default all of the task."""
    if observables is None:
        return list(experiment.task.observable_names)
    names = list(dict.fromkeys([observables] if isinstance(observables, str) else observables))
    if not names:
        raise InputError("observables is empty; name at least one, such as 'classification_error' or 'Q[0,0]'")
    return names


def fill(plan: Plan, store: Store, crew: Crew, retry: bool = False, progress: bool | Callable[[float], None] | None = None) -> bool:
    """Compute the points of `plan` that `store` lacks (with `retry`, those that failed too); whether Ctrl-C ended it."""
    known = store.outcomes()
    missing = [(index, key) for index, key in plan if key not in known or (retry and known[key])]
    plan.check([index for index, _ in missing])
    text = plan.experiment.to_toml()
    tasks = (
        Task(key, Job(curriculode.__version__, text, plan.changes(index), plan.seed(index), plan.settings))
        for index, key in missing
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
        return True
    return False


def to_frame(plan: Plan, store: Store, observables: Sequence[str], interrupted: bool = False) -> "pd.DataFrame":
    """The points of `plan` that `store` holds, as the table that `sweep` returns."""
    import pandas as pd

    columns = result_columns(plan.settings, observables)
    names = plan.names if "protocol.order" in plan.names else [*plan.names, "protocol.order"]
    base = {"protocol.order": plan.experiment.protocol.order}
    found = dict(store.results(plan.keys))
    rows = []
    for index, key in plan:
        if (result := found.get(key)) is not None:
            labels = base | plan.changes(index)
            numbers = [result.values.get(name, float("nan")) for name in columns]
            rows.append(
                (*(labels[name] for name in names), plan.seed(index), *numbers, result.failed, result.status, result.seconds)
            )
    table = pd.DataFrame(rows, columns=pd.Index([*names, "seed", *columns, "failed", "status", "seconds"]))
    failed = int(table["failed"].sum()) if rows else 0
    table.attrs["status"] = f"{len(rows) - failed} of {len(plan)} points done, {failed} failed" + (
        ", then the sweep was interrupted" if interrupted else ""
    )
    table.attrs["interrupted"] = interrupted
    return table


def result_columns(settings: Settings, observables: Sequence[str]) -> list[str]:
    """The columns of results, in order."""
    columns = []
    for name in observables:
        if settings.theory:
            columns += [name, f"{name}_standard_error"] if settings.scramblings > 1 else [name]
        if settings.runs:
            columns += [f"{name}_simulation", f"{name}_simulation_standard_error"]
    return columns + (["diverged_runs"] if settings.runs else [])
