"""`curriculode attractors`: where students end, with what odds, and whether the gap between orders is a lottery or speed."""

from typing import Annotated, Any

import typer

from . import parse
from .options import Request, takes
from .report import Files, csv, print_files, print_json, print_table

_NUMERICS = ("times", "averages", "points", "scrambling", "rtol", "noise_terms", "workers")


@takes("dimension", "starts", "seed", *_NUMERICS)
def attractors(
    request: Request,
    orders: Annotated[
        str | None,
        typer.Option("--orders", metavar="NAME,NAME", help="By default curriculum,random,hard-only; the gap is of the first two."),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="theory (the default), or runs at D that go on: overlap, weight or diffusion.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="Test the odds against those of another way, one of those of --by.")
    ] = None,
    until: Annotated[
        float | None, typer.Option("--until", help="Time to which the gap is followed; by default ten times the duration.")
    ] = None,
    longest: Annotated[
        float | None, typer.Option("--longest", help="Time after that, for which rest is waited for; by default 5000.")
    ] = None,
    level: Annotated[str | None, typer.Option("--level", help="Held after the protocol; by default the hardest.")] = None,
    quantity: Annotated[
        str | None,
        typer.Option("--quantity", help="Whose gap is split: classification_error (the default), generalization_error ..."),
    ] = None,
) -> int:
    """Where students end, with what odds in each order, and whether the gap between orders is a lottery or speed.

    Every start goes through the protocol in each order and on with the hardest level until it rests. Writes the error over
    time, the odds (-odds.csv), the attractors (-kinds.csv), the gap over time (-gap.csv), and a picture of odds and gap. Ctrl-C
    keeps the starts that were finished. With --against the odds are found in another way too, and both are tested by their counts
    (-against.csv); exit status 1 where they disagree.

    Example: curriculode attractors xor-curriculum -s training.weight_decay=0.05 --starts 100
    """
    from curriculode.figures.plots.landscape import plot_attractors
    from curriculode.figures.plots.style import new_figure, style
    from curriculode.sims.landscape.attractors import attractors
    from curriculode.theory.core.errors import InputError

    if request.is_batch:
        raise InputError("batch learning has one minimum and no course in time; give an experiment that learns online")
    request = request.with_options(
        orders=None if orders is None else parse.names(orders),
        by=by,
        against=against,
        until=until,
        longest=longest,
        level=level,
        quantity=quantity,
    )
    study = request.study
    way, other = request.option("by", "theory", str), request.option("against", None, str)
    if other == way:
        raise InputError(f"--against {other} is how the odds are found already; give another of theory, overlap, weight, diffusion")
    files = Files(request, ("-odds.csv", "-kinds.csv", "-gap.csv", *(["-against.csv"] if other else [])))
    options: dict[str, Any] = {name: request.option(name, None) for name in ("orders", "until", "longest", "level", "quantity")}

    def ends(way: str) -> Any:
        return attractors(
            study.experiment,
            study.starts,
            dimension=study.dimension,
            seed=study.seed,
            space=None if way == "theory" else way,
            numerics=study.numerics,
            progress=request.progress,
            **{name: value for name, value in options.items() if value is not None},
        )

    found = ends(way)
    test = found.against(ends(other)) if other and not found.interrupted else None
    odds, several = found.odds(), len(found.orders) > 1
    gap = found.gap_split() if several else odds[:0]
    with style():
        figure, axes = new_figure(1, 2 if several else 1, width=4.2, height=3.0)
        for axis, what in zip(axes[0], ("odds", "gap"), strict=False):
            plot_attractors(found, what, axis)
    more = {"-odds.csv": csv(odds), "-kinds.csv": csv(found.to_frame()), "-gap.csv": csv(gap)}
    if test is not None:
        more["-against.csv"] = csv(test.table)
    files.write(found.course(), figure, found.interrupted, more)
    if request.json:
        print_json(
            {
                "command": "attractors",
                "experiment": study.experiment.to_dict(),
                "dimension": study.dimension,
                "seed": study.seed,
                "by": found.statistics["by"],
                "sentence": found.sentence(),
                "status": found.status,
                "interrupted": found.interrupted,
                "attractors": found.to_frame().to_dict("records"),
                "odds": odds.to_dict("records"),
                "gap": gap.to_dict("list"),
                **({} if test is None else {"agrees": test.agrees, "verdict": test.verdict()}),
                "files": files.outputs.written,
            }
        )
    else:
        frame = found.to_frame().drop(columns="status")
        whole = dict.fromkeys(("attractor", "covered_clusters"), ".0f")
        title = f"Where students end on the {found.statistics['level']} level, and the share of the starts that do"
        print_table(frame, title, dict.fromkeys(["error", "loss", "leading", *found.orders], ".4g") | whole)
        print(found.sentence())
        if test is not None:
            print(test.verdict())
        print(found.status)
        print_files(files.outputs)
    if found.interrupted:
        return 130
    return 0 if test is None or test.agrees else 1
