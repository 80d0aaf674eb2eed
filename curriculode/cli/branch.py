"""`curriculode branch`: two copies of a network, the line between them, and how stable it is to the noise of SGD."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import parse
from .compare import FORMATS
from .options import Request, takes
from .report import Files, print_files, print_json, print_table, ten_rows

if TYPE_CHECKING:
    from curriculode.theory.pairs.record import Pair

_NUMERICS = ("times", "spacing", "averages", "points", "scrambling", "rtol", "space", "workers")
_AT = "branch.at"


@takes("dimension", "runs", "starts", "seed", *_NUMERICS)
def branch(
    request: Request,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="K[,K...]",
            help="Time at which the copies part, 0 by default; several, such as 0,2,5, for the instability curve of as many "
            "networks as --runs says.",
        ),
    ] = None,
    examples: Annotated[
        str | None, typer.Option("--examples", help="That the copies meet: independent (default), same or reordered.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="Of both copies until they part: shared (default), or own from the start.")
    ] = None,
    quantity: Annotated[
        str | None,
        typer.Option("--quantity", help="What the picture shows: barrier (default), midpoint, or of one branching 'X[0,0]' ..."),
    ] = None,
    match: Annotated[bool | None, typer.Option("--match/--as-they-are", help="Match the units of the copies first.")] = None,
    theory: Annotated[
        bool | None, typer.Option("--theory/--both", help="Theory alone, or against pairs of runs (of a curve: runs alone).")
    ] = None,
) -> int:
    """Two copies of a network that part at time k: theory against pairs of runs, and the error along the line between them.

    They are described by a file's section [branch], whose settings other commands know as branch.at, branch.examples and
    branch.weights: --over branch.at=0,5 of `curriculode compare` or `sweep`.

    Example: curriculode branch xor-curriculum --at 0,2,5,10,20
    """
    from curriculode.sims.pairs.instability import branching_times
    from curriculode.theory.core.errors import InputError
    from curriculode.theory.describe.branching import Branching

    if request.is_batch:
        raise InputError("batch learning has no copies that part; give an experiment that learns online")
    study = request.study
    # Several times are a grid of them, as any other.
    varied = {name: values for name, values in study.over.items() if name != _AT}
    times = study.over.get(_AT) if at is None else [float(each) for each in branching_times("at", parse.values(at, at))]
    settings = {} if study.branch is None else study.branch.to_dict()
    settings |= {} if examples is None else {"examples": examples}
    settings |= {} if weights is None else {"weights": weights}
    if times is not None and len(times) == 1:
        settings, times = settings | {"at": times[0]}, None
    own = Branching(**settings)
    study = study.set(branch=own, over=varied if times is None else varied | {_AT: times})
    request = replace(request, study=study).with_options(quantity=quantity, match=match, theory=theory)
    return _one(request, own) if times is None else _curve(request, own, times)


def _curve(request: Request, own: Any, at: list[float]) -> int:
    """Instability against the time of branching."""
    from curriculode.figures.plots.pairs import plot_instability
    from curriculode.sims.pairs.instability import instability
    from curriculode.theory.core.errors import InputError

    if own.weights == "own":
        raise InputError("copies with weights of their own part at t = 0; give that time alone, or shared weights")
    study, files = request.study, Files(request)
    shown = request.option("quantity", "barrier", str)
    found = instability(
        study.experiment,
        at=at,
        starts=study.runs,
        dimension=None if request.option("theory", False, bool) else study.dimension,
        examples=own.examples,
        match=request.option("match", False, bool),
        seed=study.seed,
        numerics=study.numerics,
        progress=request.progress,
    )
    table = found.summary()
    files.write(found.to_frame(), plot_instability(found, shown).figure)
    first = found.stable_from
    verdict = f"stable from k = {first:g} on" if first == first else "not stable at any of these times"
    if request.json:
        print_json(
            {
                "command": "branch",
                "experiment": study.experiment.to_dict(),
                "dimension": found.dimension,
                "seed": study.seed,
                "numerics": study.numerics.to_dict(),
                "instability": table.to_dict("records"),
                "stable_from": first,
                "verdict": verdict,
                "files": files.outputs.written,
            }
        )
    else:
        print_table(table, "Barrier between copies that part at k", dict.fromkeys(table.columns[:-1], ".4g"))
        print(verdict)
        print_files(files.outputs)
    return 0 if found.success else 1


def _one(request: Request, own: Any) -> int:
    """Theory against pairs of runs."""
    from curriculode.figures.plots.pairs import plot_pair
    from curriculode.sims.compare.compare import compare
    from curriculode.sims.pairs.branch import branch

    study, files = request.study, Files(request)
    shown, matched = request.option("quantity", "barrier", str), request.option("match", False, bool)
    content: dict[str, Any] = {
        "command": "branch",
        "experiment": study.experiment.to_dict(),
        "branch": own.to_dict(),
        "dimension": study.dimension,
        "seed": study.seed,
        "numerics": study.numerics.to_dict(),
    }
    if request.option("theory", False, bool):
        start, other = (study.experiment.initial(study.dimension, study.seed, number) for number in (0, study.starts))
        pair = branch(
            study.experiment,
            start,
            at=own.at,
            examples=own.examples,
            other=other if own.weights == "own" else None,
            numerics=study.numerics,
            progress=request.progress,
        )
        agrees, verdict, simulation, summary = pair.success, pair.status, None, None
    else:
        size: dict[str, Any] = {"dimension": study.dimension, "runs": study.runs, "starts": study.starts, "seed": study.seed}
        comparison = compare(study.experiment, branch=own, numerics=study.numerics, progress=request.progress, **size)
        if comparison.interrupted:
            return 130
        (cell,) = comparison.cells
        theory_of_start: Any = cell.theory[0]
        pair, simulation, summary = theory_of_start[0], cell.ensemble, comparison.summary()
        agrees, verdict = comparison.agrees, comparison.verdict()

    def seen(each: Any) -> "Pair":
        return each.match() if matched else each

    axis = plot_pair(seen(pair), shown)
    if simulation is not None:
        plot_pair(seen(simulation), shown, ax=axis)
    table = seen(pair).to_frame()
    files.write(table if simulation is None else comparison.to_frame(), axis.figure)
    if request.json:
        files_of = {"theory": table.to_dict("list"), "files": files.outputs.written}
        print_json({**content, "agrees": agrees, "verdict": verdict, **files_of})
    else:
        columns = [each for each in table.columns if each == "t" or "error" in each or each in ("barrier", "midpoint")]
        title = f"Two copies that part at t = {own.at:g}, by theory"
        print_table(ten_rows(table[columns]), title, dict.fromkeys(columns, ".4g"))
        if summary is not None:
            print_table(summary.drop(columns="problem"), f"Theory against pairs of runs, D = {study.dimension}", FORMATS)
        print(verdict)
        print_files(files.outputs)
    return 0 if agrees else 1
