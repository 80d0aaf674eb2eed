"""The command line: one file a command, registered here in the order in which help lists them."""

from typing import Annotated

import typer

from .attractors import attractors
from .branch import branch
from .compare import compare
from .data import app as data
from .diagram import diagram
from .equations import equations
from .experiments import experiments
from .figure import figure
from .fluctuations import fluctuations
from .integrate import integrate
from .merge import merge
from .networks import app as networks
from .optimize import optimize
from .refine import refine
from .simulate import simulate
from .sweep import sweep
from .tickets import tickets
from .worth import worth

app = typer.Typer(
    name="curriculode",
    help="Mean-field equations of ordered (curriculum) learning, checked against online SGD at finite input dimension.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(compare, integrate, simulate, fluctuations, tickets, branch, worth, optimize, attractors),
    *(sweep, merge, refine, diagram, figure, equations, experiments),
):
    app.command()(command)
for group in (networks, data):
    app.add_typer(group)


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
