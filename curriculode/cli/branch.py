"""`curriculode branch`: two copies of a network, the line between them, and how stable it is to the noise of SGD."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import parse
from .options import Request, takes
from .report import Files, print_files, print_json, print_table, ten_rows

if TYPE_CHECKING:
    from curriculode.theory.pairs.record import Pair

_NUMERICS = ("times", "spacing", "averages", "points", "scrambling", "rtol", "space", "workers")


@takes("dimension", "runs", "seed", *_NUMERICS)
def branch(
    request: Request,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="K[,K...]",
            help="Time at which the copies part, 0 by default; several, such as 0,2,5, for the instability curve of as many starts "
            "as --runs says.",
        ),
    ] = None,
    examples: Annotated[
        str | None, typer.Option("--examples", help="That the copies meet: independent (default), same or reordered.")
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

    Example: curriculode branch xor-curriculum --at 0,2,5,10,20
    """
    from curriculode.theory.core.errors import InputError

    if request.is_batch:
        raise InputError("batch learning has no copies that part; give an experiment that learns online")
    request = request.with_options(at=at, examples=examples, quantity=quantity, match=match, theory=theory)
    branchings = _times(request.option("at", "0"))
    return _curve(request, branchings) if len(branchings) > 1 else _one(request, branchings[0])


def _times(given: Any) -> list[float]:
    """The times of branching, as they are typed or as a file lists them."""
    from curriculode.sims.pairs.instability import branching_times

    values = parse.values(given, given) if isinstance(given, str) else given
    return [float(each) for each in branching_times("at", values)]


def _curve(request: Request, at: list[float]) -> int:
    """Instability against the time of branching."""
    from curriculode.figures.plots.pairs import plot_instability
    from curriculode.sims.pairs.instability import instability

    study, files = request.study, Files(request)
    shown = request.option("quantity", "barrier", str)
    found = instability(
        study.experiment,
        at=at,
        starts=study.runs,
        dimension=None if request.option("theory", False, bool) else study.dimension,
        examples=request.option("examples", "independent", str),
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


def _one(request: Request, at: float) -> int:
    """Theory against pairs of runs."""
    from curriculode.figures.plots.pairs import plot_pair
    from curriculode.sims.pairs.branch import branch
    from curriculode.sims.pairs.verdict import compare_pairs

    study, files = request.study, Files(request)
    shown, matched = request.option("quantity", "barrier", str), request.option("match", False, bool)
    start = study.experiment.initial(study.dimension, study.seed)
    options: dict[str, Any] = {"at": at, "examples": request.option("examples", "independent", str), "numerics": study.numerics}
    comparison = None
    if request.option("theory", False, bool):
        pair = branch(study.experiment, start, progress=request.progress, **options)
    else:
        more: dict[str, Any] = {"dimension": study.dimension, "runs": study.runs, "seed": study.seed}
        comparison = compare_pairs(study.experiment, start=start, progress=request.progress, **more, **options)
        pair = comparison.theory[0]

    def seen(each: "Pair") -> "Pair":
        return each.match() if matched else each

    axis = plot_pair(seen(pair), shown)
    if comparison is not None:
        plot_pair(seen(comparison.simulation), shown, ax=axis)
    own = seen(pair).to_frame()
    files.write(own if comparison is None else comparison.to_frame(), axis.figure)
    agrees = pair.success if comparison is None else comparison.agrees
    verdict = pair.status if comparison is None else comparison.verdict()
    if request.json:
        print_json(
            {
                "command": "branch",
                "experiment": study.experiment.to_dict(),
                "at": at,
                "examples": options["examples"],
                "dimension": study.dimension,
                "seed": study.seed,
                "numerics": study.numerics.to_dict(),
                "agrees": agrees,
                "verdict": verdict,
                "theory": own.to_dict("list"),
                "files": files.outputs.written,
            }
        )
    else:
        columns = [each for each in own.columns if each == "t" or "error" in each or each in ("barrier", "midpoint")]
        print_table(ten_rows(own[columns]), f"Two copies that part at t = {at:g}, by theory", dict.fromkeys(columns, ".4g"))
        print(verdict)
        print_files(files.outputs)
    return 0 if agrees else 1
