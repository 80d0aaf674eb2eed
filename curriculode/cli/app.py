"""The commands and their options."""

from pathlib import Path
from typing import Annotated

import typer

from . import parse

app = typer.Typer(
    name="curriculode",
    help="Mean-field equations of ordered (curriculum) learning, checked against online SGD at finite input dimension.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEFAULT = "xor-curriculum"

ExperimentName = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="Name of a built-in experiment (see `curriculode experiments`) or path of a TOML file.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="NAME=VALUE",
        help="Change a parameter, e.g. student.width=8 or levels.hard.noise=0.6; repeats.",
    ),
]
Over = Annotated[
    list[str] | None,
    typer.Option(
        "--over",
        metavar="NAME=V1,V2",
        help="Several values, in place of the experiment's own: student.width=4,32 or levels.hard.noise=0.2:0.6:5; repeats.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for pictures and tables; made if it is missing.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files in the folder that another experiment or command made.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Dimension = Annotated[int | None, typer.Option("--dimension", "-D", help="Input dimension D; by default the experiment's own.")]
Runs = Annotated[int | None, typer.Option("--runs", help="Simulated runs; by default the experiment's own.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of starts and runs; by default the experiment's own.")]
Times = Annotated[int | None, typer.Option("--times", help="Number of output times.")]
Spacing = Annotated[str, typer.Option("--spacing", help="Of the output times: linear or logarithmic.")]
Points = Annotated[int | None, typer.Option("--points", help="Size of the quasi-Monte Carlo nets of the averages, a power of two.")]
Rtol = Annotated[float, typer.Option("--rtol", help="Relative tolerance of the integrator.")]
Space = Annotated[str, typer.Option("--space", help="Simulate in overlap space (cost independent of D) or weight space.")]
Workers = Annotated[int | None, typer.Option("--workers", help="Threads; by default all cores.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


def _version(show: bool) -> None:
    if show:
        from curriculode import __version__

        typer.echo(f"curriculode {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Mean-field equations of ordered (curriculum) learning, checked against online SGD at finite input dimension.

    Start with `curriculode compare`: theory against simulation on a built-in experiment, with a picture.
    """


@app.command()
def compare(
    experiment: ExperimentName = DEFAULT,
    changes: Changes = None,
    over: Over = None,
    dimension: Dimension = None,
    runs: Runs = None,
    starts: Annotated[int | None, typer.Option("--starts", help="Initial conditions the runs are spread over.")] = None,
    seed: Seed = None,
    times: Times = None,
    spacing: Spacing = "linear",
    points: Points = None,
    rtol: Rtol = 1e-6,
    space: Space = "overlap",
    workers: Workers = None,
    quantity: Annotated[
        str, typer.Option("--quantity", help="What the picture shows: accuracy, an observable, or e.g. 'Q[0,0]'.")
    ] = "accuracy",
    out: Out = Path("curriculode-out"),
    force: Force = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Theory against simulation: table, verdict and picture.

    Integrates the mean-field equations and runs online SGD at finite D from the same initial overlaps, for each
    combination of the varied parameters; for batch learning, state evolution against minimisation at finite D. Exit status 1
    if they disagree.

    Example: curriculode compare --over student.width=4,16 --runs 64
    """
    from .commands import run_compare

    raise typer.Exit(
        run_compare(
            experiment, changes or [], over,
            dict(dimension=dimension, runs=runs, starts=starts, seed=seed, times=times, points=points),
            dict(spacing=spacing, rtol=rtol, space=space, workers=workers), quantity, out, force, json, quiet,
        )
    )  # fmt: skip


@app.command()
def integrate(
    experiment: ExperimentName = DEFAULT,
    changes: Changes = None,
    dimension: Dimension = None,
    seed: Seed = None,
    times: Annotated[int, typer.Option("--times", help="Number of output times.")] = 101,
    spacing: Spacing = "linear",
    averages: Annotated[str, typer.Option("--averages", help="auto, closed form or quasi-Monte Carlo.")] = "auto",
    accuracy: Annotated[
        float,
        typer.Option("--accuracy", help="Relative standard error that nets may leave in the generalisation error."),
    ] = 1e-3,
    points: Annotated[int | None, typer.Option("--points", help="A fixed size of the nets, in place of an accuracy.")] = None,
    rtol: Annotated[
        float | None,
        typer.Option("--rtol", help="Tolerance of the integrator; by default 1e-6, or a tenth of the accuracy."),
    ] = None,
    method: Annotated[str, typer.Option("--method", help="Solver: auto, DOP853, RK45, RK23, LSODA, Radau, BDF.")] = "auto",
    noise_terms: Annotated[
        bool, typer.Option(help="Keep the eta^2 terms; without them, the limit of small learning rates.")
    ] = True,
    out: Out = Path("curriculode-out"),
    force: Force = False,
    json: AsJson = False,
) -> None:
    """Integrate the mean-field equations from one random start of D inputs: one side of `compare`.

    For batch learning: the state evolution, slice by slice, which has no start and no dimension.
    """
    from .commands import run_integrate

    raise typer.Exit(
        run_integrate(
            experiment, changes or [], dict(dimension=dimension, seed=seed, times=times),
            dict(
                spacing=spacing, averages=averages, accuracy=accuracy, points=points, rtol=rtol, method=method,
                noise_terms=noise_terms,
            ),
            out, force, json,
        )
    )  # fmt: skip


@app.command()
def simulate(
    experiment: ExperimentName = DEFAULT,
    changes: Changes = None,
    dimension: Dimension = None,
    runs: Runs = None,
    seed: Seed = None,
    times: Times = None,
    spacing: Spacing = "linear",
    points: Points = None,
    space: Space = "overlap",
    workers: Workers = None,
    out: Out = Path("curriculode-out"),
    force: Force = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Simulate online SGD in D inputs, each run from its own random start: the other side of `compare`.

    For batch learning: minimise the objective of each slice on sampled examples.
    """
    from .commands import run_simulate

    raise typer.Exit(
        run_simulate(
            experiment, changes or [], dict(dimension=dimension, runs=runs, seed=seed, times=times, points=points),
            dict(spacing=spacing, space=space, workers=workers), out, force, json, quiet,
        )
    )  # fmt: skip


@app.command()
def sweep(
    experiment: ExperimentName = DEFAULT,
    changes: Changes = None,
    over: Over = None,
    paired: Annotated[
        bool, typer.Option("--zip", help="Pair the values of --over one by one instead of crossing them (orders stay crossed).")
    ] = False,
    seeds: Annotated[int, typer.Option("--seeds", help="Initial conditions of each point: seeds 0, 1, ...")] = 1,
    runs: Annotated[int, typer.Option("--runs", help="Simulated runs from each initial condition; 0 for theory alone.")] = 0,
    theory: Annotated[bool, typer.Option(help="Integrate the equations; without them, simulation alone.")] = True,
    dimension: Dimension = None,
    observables: Annotated[
        str | None,
        typer.Option("--observables", help="Separated by commas; by default all of the task; e.g. classification_error,'Q[0,0]'."),
    ] = None,
    points: Points = None,
    rtol: Rtol = 1e-6,
    scramblings: Annotated[int, typer.Option("--scramblings", help="Nets the theory is averaged over; from 2 with errors.")] = 1,
    space: Space = "overlap",
    store: Annotated[
        Path | None, typer.Option("--store", help="SQLite file of finished points: the same command resumes, a larger grid adds.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Say what is done, failed and missing in the store, and leave.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Compute failed points of the store again.")] = False,
    shard: Annotated[str | None, typer.Option("--shard", help="i/n: the i-th of n parts, for job arrays; then `merge`.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; by default one a core.")] = None,
    dask: Annotated[str | None, typer.Option("--dask", help="Address of a Dask scheduler whose workers compute.")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="File of the table; by default in --out. Parquet beside it if pyarrow is there.")
    ] = None,
    out: Out = Path("curriculode-out"),
    force: Force = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """A table over a grid of parameters, by theory, simulation or both; resumable.

    One row a point, order and seed, from shared starts. A point that fails is a row with its reason.

    Example: curriculode sweep --over student.width=4,8,16 --over levels.hard.noise=0.1:0.7:13 --seeds 20 --store noise.sqlite
    """
    from .sweeps import run_sweep

    chosen = None if observables is None else parse.names(observables)
    raise typer.Exit(
        run_sweep(
            experiment, changes or [], over, paired, seeds, dict(dimension=dimension, points=points),
            dict(theory=theory, runs=runs, rtol=rtol, scramblings=scramblings, space=space, observables=chosen),
            store, shard, workers, dask, status, retry, csv, out, force, json, quiet,
        )
    )  # fmt: skip


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT.sqlite", help="Store that takes them all; made if it is missing.")],
    stores: Annotated[list[Path], typer.Argument(metavar="IN.sqlite...", help="Stores of shards, left as they are.")],
    json: AsJson = False,
) -> None:
    """Join the stores of the shards of a sweep in one.

    Then the sweep's own command, with --store OUT.sqlite and without --shard, writes the whole table.

    Example: curriculode merge all.sqlite part-1.sqlite part-2.sqlite
    """
    from .sweeps import run_merge

    raise typer.Exit(run_merge(out, stores, json))


@app.command()
def refine(
    x: Annotated[str, typer.Option("--x", metavar="NAME=a:b[:log]", help="Range across, e.g. levels.hard.noise=0.2:0.8.")],
    y: Annotated[str, typer.Option("--y", metavar="NAME=a:b[:log]", help="Range upwards, e.g. training.learning_rate=0.1:10:log.")],
    experiment: ExperimentName = DEFAULT,
    changes: Changes = None,
    value: Annotated[str, typer.Option("--value", help="An observable, or `failed`.")] = "classification_error",
    level: Annotated[float | None, typer.Option("--level", help="Of the value on the boundary.")] = None,
    gap: Annotated[
        str | None, typer.Option("--gap", metavar="ORDER,ORDER", help="The boundary of where the gap of two orders is significant.")
    ] = None,
    budget: Annotated[int, typer.Option("--budget", help="Most places that are computed.")] = 200,
    finest: Annotated[int, typer.Option("--finest", help="How often a cell of the 4 x 4 coarse grid may be halved.")] = 5,
    seeds: Annotated[int, typer.Option("--seeds", help="Initial conditions of each place: seeds 0, 1, ...")] = 1,
    runs: Annotated[int, typer.Option("--runs", help="Simulated runs from each initial condition; 0 for theory alone.")] = 0,
    dimension: Dimension = None,
    points: Points = None,
    store: Annotated[Path | None, typer.Option("--store", help="SQLite file of finished points, as for `sweep`.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; by default one a core.")] = None,
    dask: Annotated[str | None, typer.Option("--dask", help="Address of a Dask scheduler whose workers compute.")] = None,
    out: Out = Path("curriculode-out"),
    force: Force = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """A sweep of two ranges that spends its points where a boundary is, with its phase diagram.

    Example: curriculode refine --x levels.hard.noise=0.2:0.8 --y training.learning_rate=0.5:8:log --level 0.25 --budget 100
    """
    from .sweeps import run_refine

    options = dict(value=value, level=level, budget=budget, finest=finest, seeds=seeds, runs=runs, store=store, workers=workers)
    raise typer.Exit(run_refine(experiment, changes or [], x, y, gap, dimension, points, options, dask, out, force, json, quiet))


@app.command()
def diagram(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="Table of a sweep.")],
    x: Annotated[str, typer.Option("--x", help="Parameter across, e.g. student.width.")],
    y: Annotated[str, typer.Option("--y", help="Parameter upwards, e.g. levels.hard.noise.")],
    value: Annotated[str, typer.Option("--value", help="Column of the table, or `failed`.")] = "classification_error",
    gap: Annotated[
        str | None,
        typer.Option("--gap", metavar="ORDER,ORDER", help="Draw the first order's value minus the second's, paired by seed."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="NAME=VALUE", help="Choose one value of what else varies; repeats.")
    ] = None,
    levels: Annotated[str | None, typer.Option("--levels", metavar="V1,V2", help="Contours; by default a few.")] = None,
    out: Out = Path("curriculode-out"),
    force: Force = False,
    json: AsJson = False,
) -> None:
    """A phase diagram from the table of a sweep: heat map with contours as PNG and PDF, and its numbers as CSV.

    Cells where a gap between orders is not significant (paired t test over seeds, p > 0.05) are hatched.

    Example: curriculode diagram noise.csv --x student.width --y levels.hard.noise --gap curriculum,random
    """
    from .sweeps import run_diagram

    raise typer.Exit(run_diagram(table, x, y, value, gap, where or [], levels, out, force, json))


@app.command()
def figure(
    name: Annotated[str | None, typer.Argument(help="Name of a figure, or `all`.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the figures and leave.")] = False,
    scale: Annotated[
        float, typer.Option(help="Multiply the numbers of runs: 0.1 for a quick look, 10 for smaller error bars.")
    ] = 1.0,
    out: Out = Path("curriculode-out"),
    force: Force = False,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """A named figure of the gallery: PNG and PDF, its data as CSV, its caption with all settings.

    Example: curriculode figure lottery --scale 0.1
    """
    from .commands import run_figure

    raise typer.Exit(run_figure(name, show, scale, out, force, json, quiet))


@app.command()
def equations(
    experiment: ExperimentName = DEFAULT,
    changes: Changes = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX instead of plain text.")] = False,
    json: AsJson = False,
) -> None:
    """The equations that are integrated for an experiment, in plain text or LaTeX, with the meaning of their symbols.

    Example: curriculode equations perceptron-curriculum --latex
    """
    from .commands import run_equations

    raise typer.Exit(run_equations(experiment, changes or [], latex, json))


@app.command()
def experiments(
    name: Annotated[
        str | None, typer.Argument(help="Print this built-in experiment as TOML, to start a file of your own from.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List the built-in experiments, or print one of them as TOML.

    Example: curriculode experiments xor-curriculum > mine.toml; curriculode compare mine.toml
    """
    from .commands import run_experiments

    raise typer.Exit(run_experiments(name, json))
