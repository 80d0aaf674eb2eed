"""`curriculode worth`: what an example of each level is worth when."""

from typing import Annotated, Any

import typer

from . import parse
from .options import Request, takes
from .report import Files, print_files, print_json, print_table, ten_rows

_NUMERICS = ("averages", "points", "scrambling", "rtol", "noise_terms")
OBJECTIVE = Annotated[
    str | None,
    typer.Option("--objective", help="What is to be small: generalization_error (the default) or classification_error."),
]
LEVELS = Annotated[
    str | None,
    typer.Option(
        "--levels", metavar="NAME=W,...", help="Weights of the levels, as easy=0.5,hard=0.5; by default the hardest alone."
    ),
]
AVERAGE = Annotated[bool | None, typer.Option("--average/--end", help="Of the mean over the protocol, or at its end (default).")]


@takes("dimension", "starts", "seed", *_NUMERICS)
def worth(
    request: Request,
    objective: OBJECTIVE = None,
    levels: LEVELS = None,
    average: AVERAGE = None,
    intervals: Annotated[
        int | None, typer.Option("--intervals", help="Of time, that the worth is averaged over; by default 100.")
    ] = None,
    singular: Annotated[
        bool | None, typer.Option("--singular/--no-singular", help="Also the share of the first of two levels on a singular arc.")
    ] = None,
) -> int:
    """What one more example of each level, seen at a time, would change in the final error: the switching function.

    Example: curriculode worth xor-curriculum --objective classification_error --starts 8
    """
    from curriculode.sims.runs.progress import progress_of
    from curriculode.theory.control.worth import worth
    from curriculode.theory.core.errors import InputError

    if request.is_batch:
        raise InputError("an example has no worth at a time where slices are learnt to convergence; give one that learns online")
    request = request.with_options(objective=objective, levels=levels, average=average, intervals=intervals, singular=singular)
    study = request.study
    starts = [study.experiment.initial(study.dimension, study.seed, number) for number in range(study.starts)]
    wanted, files = objective_of(request), Files(request)
    with progress_of("backward passes", request.progress) as told:
        found = worth(
            study.experiment,
            starts,
            objective=wanted,
            average=request.option("average", False, bool),
            intervals=request.option("intervals", 100),
            singular=request.option("singular", False, bool),
            numerics=study.numerics,
            progress=told,
        )
    frame = found.to_frame()
    files.write(frame, found.plot().figure)
    if request.json:
        print_json(
            {
                "command": "worth",
                "experiment": study.experiment.to_dict(),
                "dimension": study.dimension,
                "seed": study.seed,
                "objective": wanted,
                "value": found.value,
                "status": found.status,
                "worth": frame.to_dict("list"),
                "files": files.outputs.written,
            }
        )
    else:
        shown = [f"worth_{name}" for name in found.levels]
        title = "What one more example of a level changes in the objective, times D; mean over starts"
        print_table(
            ten_rows(frame[["t", *shown, "by_learning_rate"]]), title, dict.fromkeys(["t", *shown, "by_learning_rate"], ".4g")
        )
        print(f"objective {found.value.mean():.6g}; {found.status}")
        print_files(files.outputs)
    return 0


def objective_of(request: Request) -> Any:
    """The objective that the options of a request name: an error, with weights of levels where they are given."""
    from curriculode.theory.core.errors import InputError

    name = request.option("objective", "generalization_error", (str, dict))
    levels = request.option("levels", None, str)
    if levels is None:
        return name
    if not isinstance(name, str):
        raise InputError("levels and an objective with weights of its own contradict each other; leave one of them out")
    return {name: parse.changes(levels.split(","))}
