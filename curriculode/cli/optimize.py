"""`curriculode optimize`: the best order of the examples, the best rates, or both."""

from typing import Annotated

import typer

from . import parse
from .options import Request, takes
from .report import Files, csv, print_files, print_json, print_table, text
from .worth import AVERAGE, LEVELS, OBJECTIVE, objective_of

_NUMERICS = ("averages", "points", "scrambling", "rtol", "noise_terms")


@takes("dimension", "starts", "seed", *_NUMERICS)
def optimize(
    request: Request,
    control: Annotated[
        str | None,
        typer.Option("--control", metavar="NAME,NAME", help="What is varied: order (the default), learning_rate, or both."),
    ] = None,
    stages: Annotated[
        int | None, typer.Option("--stages", help="Stages of constant probabilities and rate; by default 50.")
    ] = None,
    tests: Annotated[
        int | None, typer.Option("--tests", help="Other starts that the result is judged by; by default 8, 0 for the same ones.")
    ] = None,
    objective: OBJECTIVE = None,
    levels: LEVELS = None,
    average: AVERAGE = None,
    iterations: Annotated[int | None, typer.Option("--iterations", help="Of each search, at most; by default 200.")] = None,
) -> int:
    """The best order of the same examples, the best learning rates, or both, beside the classical orders; the optimum as a file.

    Beside its table the command writes NAME-optimize-best.toml, an experiment like any other, to be simulated, compared or swept.
    Ctrl-C keeps the best so far.

    Example: curriculode optimize perceptron-curriculum --objective classification_error --stages 24 --starts 1
    """
    from curriculode.sims.runs.progress import progress_of
    from curriculode.theory.control.optimize import optimize
    from curriculode.theory.core.checks import whole_number
    from curriculode.theory.core.errors import InputError

    if request.is_batch:
        raise InputError("batch learning has no rate and no order within a slice; give an experiment that learns online")
    request = request.with_options(
        control=None if control is None else parse.names(control),
        stages=stages,
        tests=tests,
        objective=objective,
        levels=levels,
        average=average,
        iterations=iterations,
    )
    study, experiment = request.study, request.study.experiment
    count = whole_number("tests", request.option("tests", 8), 0)
    starts = [experiment.initial(study.dimension, study.seed, number) for number in range(study.starts)]
    others = [experiment.initial(study.dimension, study.seed, study.starts + number) for number in range(count)]
    wanted, files = objective_of(request), Files(request, ("-best.toml", "-stages.csv"))
    with progress_of("searching", request.progress) as told:
        best = optimize(
            experiment,
            request.option("control", ["order"], list),
            starts=starts,
            stages=request.option("stages", 50),
            test_starts=others or None,
            objective=wanted,
            average=request.option("average", False, bool),
            iterations=request.option("iterations", 200),
            numerics=study.numerics,
            progress=told,
        )
    rates = best.statistics["control"] == ["learning_rate"]
    figure = best.plot("learning_rate" if rates else None).figure
    more = {"-best.toml": text(best.experiment.to_toml()), "-stages.csv": csv(best.stages())}
    files.write(best.to_frame(), figure, best.interrupted, more)
    if request.json:
        print_json(
            {
                "command": "optimize",
                "experiment": best.experiment.to_dict(),
                "dimension": study.dimension,
                "seed": study.seed,
                "objective": wanted,
                "value": best.value,
                "status": best.status,
                "interrupted": best.interrupted,
                "protocols": best.to_frame().to_dict("records"),
                "stages": best.stages().to_dict("list"),
                "switching_times": best.switching_times,
                "files": files.outputs.written,
            }
        )
    else:
        frame = best.to_frame()
        where = "starts it was not optimised on" if best.statistics["tested"] else "the starts it was optimised on"
        numbers = ["value", "standard_error", "gain", "gain_error"]
        print_table(frame, f"The objective over {where}; gain: of the optimum, paired by start", dict.fromkeys(numbers, ".5g"))
        print(best.status)
        print_files(files.outputs)
    return 1 if best.interrupted else 0
