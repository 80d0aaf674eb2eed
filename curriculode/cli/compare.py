"""`curriculode compare`: theory against simulation."""

from typing import Annotated

import typer

from . import parse
from .options import Request, takes
from .report import Files, load_meanwhile, print_files, print_json, print_table

FORMATS = {
    "t": ".4g",
    "accuracy_theory": ".4f",
    "accuracy_simulation": ".4f",
    "standard_error": ".4f",
    "worst_in_standard_errors": "+.2f",
    "worst_in_inverse_root_D": "+.3f",
    "share_of_allowed": ".0%",
    "finds_learning_rate": ".1%",
    "finds_readout_learning_rate": ".1%",
    "finds_weight_decay": ".1%",
    "mean_field": "+.4f",
    "theory": "+.4f",
    "theory_error": ".4f",
    "simulation": "+.4f",
}
_NUMERICS = ("times", "spacing", "averages", "points", "rtol", "atol", "method", "noise_terms", "space", "workers")


@takes("dimension", "runs", "starts", "seed", *_NUMERICS, over=True)
def compare(
    request: Request,
    quantity: Annotated[
        str | None,
        typer.Option("--quantity", help="What the picture shows: accuracy (the default), an observable, or e.g. 'Q[0,0]'."),
    ] = None,
    treatments: Annotated[
        str | None,
        typer.Option("--treatments", metavar="NAME,NAME", help="Of a file with [pruning]: by default ticket,reinit,random."),
    ] = None,
) -> int:
    """Theory against simulation: table, verdict and picture.

    Integrates the mean-field equations, adds what finite D adds to them by paths of the diffusion, and runs online SGD at
    finite D from the same initial overlaps, for each combination of the varied parameters; for batch learning, state evolution
    against minimisation at finite D. Exit status 1 if they disagree. The verdict says how large an error of each rate it would
    have noticed. Of a file with a section [pruning] every treatment of what is kept is compared, see `curriculode tickets`; with
    [branch], or --over branch.at=0,5, both copies of a network that parts, see `curriculode branch`.

    Example: curriculode compare --over student.width=4,16 --runs 64
    """
    from curriculode.sims.compare.compare import compare, quantity_names
    from curriculode.theory.core.description import unknown
    from curriculode.theory.core.errors import InputError

    _ = request.is_batch
    request = request.with_options(quantity=quantity, treatments=None if treatments is None else parse.names(treatments))
    shown, study = request.option("quantity", "accuracy", str), request.study
    if shown != "accuracy" and shown not in (allowed := quantity_names(study)):
        raise InputError(unknown("quantity", shown, ["accuracy", *allowed]))
    files = Files(request)
    load_meanwhile()
    comparison = compare(
        study.experiment,
        dimension=study.dimension,
        runs=study.runs,
        seed=study.seed,
        starts=study.starts,
        over=study.over,
        pruning=study.pruning,
        branch=study.branch,
        treatments=request.option("treatments", None, list),
        numerics=study.numerics,
        progress=request.progress,
    )
    files.write(comparison.to_frame(), comparison.plot(quantity=shown)[0].figure, comparison.interrupted)
    summary, gaps = comparison.summary(), comparison.gaps()
    if request.json:
        settings = {name: getattr(study, name) for name in ("dimension", "runs", "starts", "seed")}
        print_json(
            {
                "command": "compare",
                "experiment": study.experiment.to_dict(),
                **settings,
                "numerics": study.numerics.to_dict(),
                "agrees": comparison.agrees,
                "verdict": comparison.verdict(),
                "status": comparison.status,
                "cells": summary.to_dict("records"),
                "gaps": gaps.to_dict("records"),
                "files": files.outputs.written,
            }
        )
    else:
        title = (
            f"Theory against simulation, D = {study.dimension}, {study.runs} runs from {study.starts} start(s); "
            "accuracy on the hardest level; finds: least error of a rate that the verdict would have noticed"
        )
        print_table(summary.drop(columns=[c for c in ("problem",) if not summary[c].any()]), title, FORMATS)
        if len(gaps):
            print_table(gaps, "What the order gains: difference of final accuracies, paired by start and seed", FORMATS)
        print(comparison.verdict())
        if comparison.interrupted:
            print(comparison.status)
        print_files(files.outputs)
    if comparison.interrupted:
        return 130
    return 0 if comparison.agrees else 1
