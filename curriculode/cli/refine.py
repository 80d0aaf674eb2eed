"""`curriculode refine`: a sweep near a boundary, and its phase diagram."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import parse
from .options import Request, takes
from .outputs import Outputs
from .report import csv, picture, print_files, print_json, text
from .tables import dask_executor, table_files, table_suffixes

if TYPE_CHECKING:
    import pandas as pd

    from curriculode.theory.describe.study import Study

_ACROSS = 9  # values of x at which the boundary is computed
_LEAST = 1e-3  # of the highest y, in place of a lowest one of 0: below it no boundary is looked for


@takes("dimension", "points", "averages", "accuracy", "rtol", "atol", "method", "noise_terms", "space", "workers")
def refine(
    request: Request,
    x: Annotated[
        str | None, typer.Option("--x", metavar="NAME=a:b", help="Range across; NAME=a:b:log for steps that are ratios.")
    ] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="NAME=a:b", help="Range upwards.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="Column whose boundary is looked for, or `failed`.")] = None,
    level: Annotated[float | None, typer.Option("--level", help="The value that it crosses on the boundary.")] = None,
    gap: Annotated[
        str | None,
        typer.Option("--gap", metavar="ORDER,ORDER", help="The boundary of the region where the gap of two orders is significant."),
    ] = None,
    budget: Annotated[int | None, typer.Option("--budget", help="Most places that are computed; by default 200.")] = None,
    finest: Annotated[
        int | None, typer.Option("--finest", help="How often a square of the coarse grid may be halved; by default 5.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Initial conditions of each place: seeds 0, 1, ...; by default 1.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option("--runs", help="Simulated runs from each initial condition; by default 0, theory alone.")
    ] = None,
    boundary: Annotated[
        bool | None,
        typer.Option(
            "--boundary/--no-boundary",
            help="Draw where stability says that learning dies (trained readout) or diverges (fixed): -boundary.csv.",
        ),
    ] = None,
    store: Annotated[Path | None, typer.Option("--store", help="SQLite file of finished points, as for `sweep`.")] = None,
    dask: Annotated[str | None, typer.Option("--dask", help="Address of a Dask scheduler whose workers compute.")] = None,
) -> int:
    """A sweep of two ranges that spends its points where a boundary is, with its phase diagram.

    Example: curriculode refine --x levels.hard.noise=0.2:0.8 --y training.learning_rate=0.5:8:log --level 0.25 --budget 100
    """
    from curriculode.figures.plots.phase_diagram import phase_diagram
    from curriculode.sims.sweep.refine import refine
    from curriculode.theory.core.errors import InputError

    request = request.with_options(
        x=x, y=y, value=value, level=level, gap=gap, budget=budget, finest=finest, seeds=seeds, runs=runs, boundary=boundary
    )
    ranges = [request.option(name, None, str) for name in ("x", "y")]
    if None in ranges:
        raise InputError("refine needs two ranges; give --x NAME=a:b and --y NAME=a:b, such as --x levels.hard.noise=0.2:0.8")
    across, up = parse.extent(ranges[0], "--x"), parse.extent(ranges[1], "--y")
    gap = request.option("gap", None, str)
    orders = None if gap is None else parse.names(gap)
    column, crossed, study = request.option("value", "classification_error", str), request.option("level", None), request.study
    origin = f"{request.origin()}\n# store = {None if store is None else store.absolute()}"
    line = _boundary(study, across, up) if request.option("boundary", False) else None
    more = [] if line is None else ["-boundary.csv"]
    outputs = Outputs(
        request.out, request.stem, [*table_suffixes(), ".png", ".pdf", ".toml", *more], "refine", origin, request.force
    )
    table = refine(
        study.experiment,
        across,
        up,
        column,
        level=crossed,
        gap=orders,
        budget=request.option("budget", 200),
        finest=request.option("finest", 5),
        seeds=request.option("seeds", 1),
        runs=request.option("runs", 0),
        store=store,
        dimension=study.dimension,
        pruning=study.pruning,
        branch=study.branch,
        numerics=study.numerics,
        executor=None if dask is None else dask_executor(dask),
        progress=request.progress,
    )
    diagram = phase_diagram(
        table, across[0], up[0], column, gap=orders, levels=None if crossed is None else [crossed], boundary=line
    )
    files = {**table_files(table), **picture(diagram.ax.figure), ".toml": text(request.settings())}
    if line is not None:
        files["-boundary.csv"] = csv(line)
    outputs.publish(files, table.attrs["interrupted"])
    places = len(diagram.table)
    if request.json:
        print_json(
            {
                "command": "refine",
                "experiment": study.experiment.to_dict(),
                "places": places,
                "status": table.attrs["status"],
                **({} if line is None else {"boundary": line.to_dict("list")}),
                "table": table.to_dict("list"),
                "files": outputs.written,
            }
        )
    else:
        print(f"{places} places; {table.attrs['status']}")
        print_files(outputs)
    return 130 if table.attrs["interrupted"] else 0


def _boundary(study: "Study", across: tuple[Any, ...], up: tuple[Any, ...]) -> "pd.DataFrame":
    """The boundary of stability over the ranges, for the readout of the first start."""
    import numpy as np

    from curriculode.theory.landscape.phases import phase_boundary

    low, high = across[1:3]
    values = np.geomspace(low, high, _ACROSS) if len(across) > 3 else np.linspace(low, high, _ACROSS)
    between = (max(up[1], _LEAST * up[2]), up[2])
    start = study.experiment.initial(study.dimension, study.seed)
    return phase_boundary(study.experiment, across[0], values.tolist(), up[0], between, start=start, numerics=study.numerics)
