"""`curriculode sweep`: the grid, its store and its table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import parse
from .options import Request, takes
from .outputs import Outputs
from .report import csv as csv_file
from .report import print_files, print_json, text
from .tables import dask_executor, table_files, table_suffixes

if TYPE_CHECKING:
    from curriculode.sims.sweep.plan import Plan
    from curriculode.sims.sweep.store import Failure, Store
    from curriculode.theory.describe.optimization import Optimization

_SHOWN = 5  # failed points named on the terminal


@takes(
    *("dimension", "starts", "points", "averages", "accuracy", "rtol", "atol", "method", "noise_terms", "space", "workers"),
    over=True,
)
def sweep(
    request: Request,
    paired: Annotated[
        bool | None,
        typer.Option("--zip/--cross", help="Pair the values of --over one by one instead of crossing them (orders stay crossed)."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Initial conditions of each point: seeds 0, 1, ...; by default 1.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option("--runs", help="Simulated runs from each initial condition; by default 0, theory alone.")
    ] = None,
    theory: Annotated[bool | None, typer.Option(help="Integrate the equations; without them, simulation alone.")] = None,
    observables: Annotated[
        str | None,
        typer.Option("--observables", help="Separated by commas; by default all of the task; e.g. classification_error,'Q[0,0]'."),
    ] = None,
    treatments: Annotated[
        str | None,
        typer.Option("--treatments", metavar="NAME,NAME", help="Of a file with [pruning]: by default ticket,reinit,random."),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            "--control",
            metavar="NAME,NAME",
            help="Find the best order, learning_rate, or both at each point, as the file's section [optimize] says, from --starts.",
        ),
    ] = None,
    rest: Annotated[
        bool | None,
        typer.Option("--rest/--no-rest", help="States at rest, held on the hardest level after the protocol, and their odds."),
    ] = None,
    scramblings: Annotated[
        int | None, typer.Option("--scramblings", help="Nets the theory is averaged over, by default 1; from 2 with errors.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="SQLite file of finished points: the same command resumes, a larger grid adds.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Say what is done, failed and missing in the store, and leave.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Compute failed points of the store again.")] = False,
    shard: Annotated[str | None, typer.Option("--shard", help="i/n: the i-th of n parts, for job arrays; then `merge`.")] = None,
    dask: Annotated[str | None, typer.Option("--dask", help="Address of a Dask scheduler whose workers compute.")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="File of the table; by default in --out. Parquet beside it if pyarrow is there.")
    ] = None,
) -> int:
    """A table over a grid of parameters, by theory, simulation or both; resumable.

    One row a point, order and seed, from shared starts. A point that fails is a row with its reason. Of a file with a section
    [pruning], whose settings may be varied too (--over pruning.keep=0.05,0.2), one row a treatment; with --control one row for the
    optimum and each order beside it; with --rest the states in which students end, and their odds (-odds.csv). With [branch], or
    --over branch.at=0,5,10, of two copies of each network: their barrier and cross overlaps. Weights are perturbed by
    -s protocol.perturbation.kind=noise --over protocol.perturbation.at=5,10 --over protocol.perturbation.size=0,0.5,1.

    Example: curriculode sweep --over student.width=4,8,16 --over levels.hard.noise=0.1:0.7:13 --seeds 20 --store noise.sqlite
    """
    from curriculode.sims.sweep.odds import odds
    from curriculode.sims.sweep.store import Store
    from curriculode.sims.sweep.sweep import fill, opened, planned, to_frame
    from curriculode.sims.sweep.workers import Crew
    from curriculode.theory.core.errors import InputError

    chosen = None if observables is None else parse.names(observables)
    request = request.with_options(
        zip=paired,
        seeds=seeds,
        runs=runs,
        theory=theory,
        observables=chosen,
        treatments=None if treatments is None else parse.names(treatments),
        control=None if control is None else parse.names(control),
        rest=rest,
        scramblings=scramblings,
    )
    study, grid = request.study, request.study.over
    zipped = {key: values for key, values in grid.items() if request.option("zip", False, bool) and key != "protocol.order"}
    at_rest = request.option("rest", False)
    plan = planned(
        study.experiment,
        {key: values for key, values in grid.items() if key not in zipped},
        zip=zipped,
        seeds=request.option("seeds", 1),
        observables=request.option("observables", None, (str, list)),
        shard=shard,
        pruning=study.pruning,
        branch=study.branch,
        treatments=request.option("treatments", None, list),
        optimization=_optimization(request),
        rest=at_rest,
        numerics=study.numerics,
        dimension=study.dimension,
        theory=request.option("theory", True),
        runs=request.option("runs", 0),
        scramblings=request.option("scramblings", 1),
    )
    if dask is not None and "workers" in request.given:
        raise InputError("--workers and --dask exclude each other: the scheduler knows its own workers; leave one out")
    if status:
        if store is None:
            raise InputError("--status needs the store it is asked about; add --store FILE.sqlite")
        with Store(store, create=False) as kept:
            _tell_status(plan, kept, request.json)
        return 0
    # Each shard has a table of its own, since they may run side by side.
    part = "" if shard is None else "-" + shard.replace("/", "-of-")
    path = csv if csv is not None else request.out / f"{request.stem}{part}.csv"
    if path.suffix == ".parquet" or (store is not None and path.absolute() == store.absolute()):
        raise InputError(f"--csv {path} is not allowed; give a name of its own that ends in .csv")
    origin = f"{request.origin()}\n# store = {None if store is None else store.absolute()}, shard = {shard}"
    suffixes = [*table_suffixes(path.suffix), ".toml", *(["-odds.csv"] if at_rest else [])]
    outputs = Outputs(path.parent, path.stem, suffixes, "sweep", origin, request.force)
    with Crew(study.numerics.workers, None if dask is None else dask_executor(dask)) as crew, opened(plan, store, crew) as kept:
        filled = fill(plan, kept, crew, retry, request.progress)
        table = to_frame(plan, kept, filled)
        failures = kept.failures(plan.keys, _SHOWN)
    found = odds(table) if at_rest and len(table) else None
    more = {} if found is None else {"-odds.csv": csv_file(found)}
    outputs.publish({**table_files(table, path.suffix), ".toml": text(request.settings()), **more}, filled.interrupted)
    done, failed = table.attrs["done"], table.attrs["failed"]
    if request.json:
        print_json(
            {
                "command": "sweep",
                "experiment": study.experiment.to_dict(),
                "over": grid,
                "seeds": request.option("seeds", 1),
                "points": len(plan),
                "done": done,
                "failed": failed,
                "missing": table.attrs["missing"],
                "status": table.attrs["status"],
                "table": table.to_dict("list"),
                **({} if found is None else {"odds": found.to_dict("list")}),
                "files": outputs.written,
            }
        )
    else:
        _tell_failures(failures, failed)
        print(table.attrs["status"])
        if filled.interrupted and store is None:
            print("without --store the unfinished sweep cannot be resumed")
        print_files(outputs)
    if filled.interrupted:
        return 130
    return 0 if done or not len(plan) else 1


def _optimization(request: Request) -> "Optimization | None":
    """What is found at every point, where a control is given: the settings of `optimize` in the file."""
    from curriculode.theory.core.errors import InputError
    from curriculode.theory.describe.optimization import Optimization

    control = request.option("control", None, list)
    if control is None:
        if "starts" in request.given:
            raise InputError("--starts is of an optimum, which --control asks for; a sweep has --seeds")
        return None
    section = dict(request.study.commands.get("optimize", {}))
    levels, _ = section.pop("levels", None), section.pop("control", None)
    if levels is not None:
        section["objective"] = {section.get("objective", "generalization_error"): parse.changes(str(levels).split(","))}
    return Optimization(control=control, starts=request.study.starts, **section)


def _tell_status(plan: "Plan", store: "Store", as_json: bool) -> None:
    from curriculode.sims.sweep.status import status_of

    found = status_of(plan, store)
    stored = sum(store.counts())
    failures = store.failures(plan.keys, _SHOWN) if found.failed else []
    if as_json:
        numbers = {name: getattr(found, name) for name in ("points", "done", "failed", "missing")}
        listed = [vars(failure) for failure in failures]
        print_json(
            {
                "command": "sweep",
                "store": store.path,
                **numbers,
                "again": found.again.to_dict(),
                "in_store": stored,
                "meta": store.meta,
                "failures": listed,
            }
        )
        return
    _tell_failures(failures, found.failed)
    print(f"{found.sentence}; the store holds {stored} in all")
    print(f"made {store.meta['made']} by curriculode {store.meta['curriculode']}, {store.meta['environment']}")


def _tell_failures(failures: "Sequence[Failure]", count: int) -> None:
    for failure in failures:
        place = ", ".join(f"{name} = {value}" for name, value in {**failure.parameters, "seed": failure.seed}.items())
        print(f"failed: {place}: {failure.status}")
    if count > len(failures):
        print(f"and {count - len(failures)} more failed points, with their reasons in the table")
