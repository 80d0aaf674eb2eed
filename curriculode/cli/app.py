"""The commands and their options."""

from pathlib import Path
from typing import Annotated

import typer

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
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="NAME=V1,V2",
            help="Several values, in place of the experiment's own: student.width=4,32 or levels.hard.noise=0.2:0.6:5; repeats.",
        ),
    ] = None,
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
    times: Times = None,
    spacing: Spacing = "linear",
    points: Points = None,
    rtol: Rtol = 1e-6,
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
            experiment, changes or [], dict(dimension=dimension, seed=seed, times=times, points=points),
            dict(spacing=spacing, rtol=rtol, method=method, noise_terms=noise_terms), out, force, json,
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
