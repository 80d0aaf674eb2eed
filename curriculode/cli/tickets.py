"""`curriculode tickets`: train, prune, and train what is kept; theory against masked SGD."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from . import parse
from .compare import FORMATS
from .options import Request, takes
from .report import Files, print_files, print_json, print_table

_NUMERICS = ("times", "spacing", "averages", "points", "scrambling", "rtol", "atol", "method", "workers")


@takes("dimension", "runs", "starts", "seed", *_NUMERICS)
def tickets(
    request: Request,
    keep: Annotated[float | None, typer.Option("--keep", help="Share of the weights that is left, by default 0.2.")] = None,
    criterion: Annotated[
        str | None,
        typer.Option("--criterion", help="large-final (default), magnitude-increase, large-init, movement, small-final or random."),
    ] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="unit (default) or layer.")] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="Rounds of pruning; 1 (default) is one-shot.")] = None,
    rewind: Annotated[float | None, typer.Option("--rewind", help="Time k of the weights that tickets begin with.")] = None,
    readout: Annotated[str | None, typer.Option("--readout", help="Of tickets: rewound (default) or final.")] = None,
    treatments: Annotated[
        str | None,
        typer.Option(
            "--treatments",
            metavar="NAME,NAME",
            help="ticket, reinit, random, fine-tune, untrained, untrained-signs, signs, magnitudes, overlaps, supermask.",
        ),
    ] = None,
    quantity: Annotated[
        str | None,
        typer.Option("--quantity", help="What the picture shows: generalization_error (default), accuracy, 'M[0,0]' ..."),
    ] = None,
    theory: Annotated[bool | None, typer.Option("--theory/--both", help="Theory alone, or against a simulation (default).")] = None,
) -> int:
    """Lottery tickets: train a network, prune it, train what is kept. Theory against SGD with real masks, with a verdict.

    Example: curriculode tickets xor-curriculum --keep 0.1 --treatments ticket,reinit,fine-tune --rewind 5
    """
    from curriculode.sims.compare.compare import compare
    from curriculode.sims.tickets.tickets import tickets
    from curriculode.theory.core.description import unknown
    from curriculode.theory.core.errors import InputError
    from curriculode.theory.describe.pruning import Pruning
    from curriculode.theory.results.registered import scalar_names

    if request.is_batch:
        raise InputError("batch learning is not pruned; give an experiment that learns online")
    settings = {"criterion": criterion, "scope": scope, "rounds": rounds, "rewind": rewind, "readout": readout, "keep": keep}
    before = request.study.pruning.to_dict() if request.study.pruning is not None else {"keep": 0.2}
    pruning = Pruning(**{**before, **{name: value for name, value in settings.items() if value is not None}})
    request = replace(request, study=request.study.set(pruning=pruning))
    request = request.with_options(
        treatments=None if treatments is None else parse.names(treatments), quantity=quantity, theory=theory
    )
    study, shown = request.study, request.option("quantity", "generalization_error", str)
    names = request.option("treatments", ["ticket", "reinit", "random"], list)
    if shown not in scalar_names(study.experiment.task) and not shown.startswith(("Q[", "M[", "v[")):
        raise InputError(unknown("quantity", shown, scalar_names(study.experiment.task)))
    files, alone = Files(request), request.option("theory", False, bool)
    options: dict[str, Any] = {"treatments": names, "seed": study.seed, "numerics": study.numerics, "progress": request.progress}
    content = {
        "command": "tickets",
        "experiment": study.experiment.to_dict(),
        "pruning": pruning.to_dict(),
        "dimension": study.dimension,
        "seed": study.seed,
        "numerics": study.numerics.to_dict(),
    }
    kept = f"{100 * pruning.keep:g} % of the weights kept ({pruning.criterion})"
    if alone:
        found = tickets(study.experiment, pruning, start=study.experiment.initial(study.dimension, study.seed), **options)
        agrees, verdict, summary, table = found.success, found.status, found.summary(), found.to_frame()
        figure = found.plot(shown).figure
        columns = [each for each in summary.columns if each in ("treatment", "kept") or each.startswith("generalization_error")]
        title, formats = f"By theory: {kept}, errors on the hardest level", dict.fromkeys(columns[1:], ".4g")
    else:
        size: dict[str, Any] = {"dimension": study.dimension, "runs": study.runs, "starts": study.starts}
        compared = compare(study.experiment, pruning=pruning, **size, **options)
        agrees, verdict, summary, table = compared.agrees, compared.verdict(), compared.summary(), compared.to_frame()
        figure = compared.plot(quantity=shown)[0].figure
        columns = [each for each in summary.columns if each != "problem"]
        title, formats = f"Theory against simulation at D = {study.dimension}: {kept}", FORMATS
    files.write(table, figure)
    if request.json:
        print_json(
            {
                **content,
                "agrees": agrees,
                "verdict": verdict,
                "by": "theory" if alone else "theory and simulation",
                "treatments": summary.to_dict("records"),
                "files": files.outputs.written,
            }
        )
    else:
        print_table(summary[columns], title, formats)
        print(verdict)
        print_files(files.outputs)
    return 0 if agrees else 1
