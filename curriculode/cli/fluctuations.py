"""`curriculode fluctuations`: what runs at finite D do in the mean, and how they scatter, by theory."""

from typing import TYPE_CHECKING, Annotated

import typer

from .options import Request, takes
from .report import Files, print_files, print_json, print_table, ten_rows

if TYPE_CHECKING:
    from curriculode.theory.describe.order_parameters import OrderParameters

_NUMERICS = ("times", "spacing", "averages", "points", "scrambling", "rtol", "atol", "method")


@takes("dimension", "seed", *_NUMERICS, outputs=("out", "force", "json", "quiet"))
def fluctuations(
    request: Request,
    quantity: Annotated[
        str | None,
        typer.Option("--quantity", help="What the picture shows: accuracy (the default), an observable, or e.g. 'Q[0,0]'."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="Of the start: fixed (the default), or random, for runs from random weights.")
    ] = None,
    way: Annotated[
        str | None,
        typer.Option(
            "--way",
            help="expansion (to first order in 1/D), closure, diffusion (by paths), or auto (the default): the closure where it "
            "holds to the end, else the diffusion.",
        ),
    ] = None,
) -> int:
    """Mean and scatter of runs at finite D, by theory, from one random start.

    On a plateau that begins at a random start the mean of runs differs from the mean-field trajectory at every D; this is what
    they do.

    Example: curriculode fluctuations perceptron-curriculum -D 200 --quantity 'M[0,0,0]'
    """
    from curriculode.sims.runs.progress import Progress
    from curriculode.theory.core.description import unknown
    from curriculode.theory.core.errors import InputError
    from curriculode.theory.finite_d.fluctuations import fluctuations
    from curriculode.theory.results.registered import scalar_names

    request = request.with_options(quantity=quantity, weights=weights, way=way)
    study, shown = request.study, request.option("quantity", "accuracy", str)
    if request.is_batch:
        raise InputError("batch learning has no fluctuations along a trajectory; give an experiment that learns online")
    experiment, D = study.experiment, study.dimension
    start = experiment.initial(D, study.seed)
    names = [*scalar_names(experiment.task), *_entries(start, experiment.student.readout == "trained")]
    if shown not in names:
        raise InputError(unknown("quantity", shown, names))
    files = Files(request)
    with Progress("integrating moments", experiment.protocol.duration, request.progress) as bar:
        found = fluctuations(
            experiment,
            start,
            dimension=D,
            way=request.option("way", "auto", str),
            weights=request.option("weights", "fixed", str),
            numerics=study.numerics,
            progress=bar.update,
        )
    files.write(found.to_frame(dimension=D), found.plot(shown, dimension=D).figure)
    frame = found.to_frame(order_parameters=False, dimension=D)
    if request.json:
        print_json(
            {
                "command": "fluctuations",
                "experiment": experiment.to_dict(),
                "dimension": D,
                "seed": study.seed,
                "numerics": study.numerics.to_dict(),
                "success": found.success,
                "status": found.status,
                "statistics": dict(found.statistics),
                "trajectory": frame.to_dict("list"),
                "files": files.outputs.written,
            }
        )
    else:
        title = f"Runs at D = {D} by theory: means, and standard deviations of a run; errors on the hardest level"
        print_table(ten_rows(frame), title, dict.fromkeys(frame.columns, ".4g"))
        print(found.status)
        print_files(files.outputs)
    return 0 if found.success else 1


def _entries(start: "OrderParameters", trained: bool) -> list[str]:
    from curriculode.theory.dynamics.packing import state_names

    _, M, v = start.blocked()
    return list(state_names(M.shape[0], range(v.size), M.shape[-1], trained))
