"""`curriculode diagram`: a phase diagram of a table."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from . import parse
from .options import FORCE, JSON, OUT
from .outputs import Outputs
from .report import csv, picture, print_files, print_json
from .tables import read_table


def diagram(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="Table of a sweep.")],
    x: Annotated[str, typer.Option("--x", help="Parameter across, e.g. student.width.")],
    y: Annotated[str, typer.Option("--y", help="Parameter upwards, e.g. levels.hard.noise.")],
    value: Annotated[str, typer.Option("--value", help="Column of the table, or `failed`.")] = "classification_error",
    gap: Annotated[
        str | None,
        typer.Option(
            "--gap", metavar="ORDER,ORDER", help="Draw the first order's (or treatment's) value minus the second's, paired by seed."
        ),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="NAME=VALUE", help="Choose one value of what else varies; repeats.")
    ] = None,
    levels: Annotated[str | None, typer.Option("--levels", metavar="V1,V2", help="Contours; by default a few.")] = None,
    out: OUT = Path("curriculode-out"),
    force: FORCE = False,
    json: JSON = False,
) -> None:
    """A phase diagram from the table of a sweep: heat map with contours as PNG and PDF, and its numbers as CSV.

    Cells where a gap between orders, or between treatments of what was pruned, is not significant (paired t test over seeds,
    p > 0.05) are hatched.

    Example: curriculode diagram noise.csv --x student.width --y levels.hard.noise --gap curriculum,random
    """
    from curriculode.figures.plots.phase_diagram import phase_diagram
    from curriculode.theory.core.errors import InputError

    content, frame = read_table(table)
    contours = None if levels is None else [parse.value(level) for level in levels.split(",")]
    if contours is not None and not all(isinstance(level, (int, float)) and not isinstance(level, bool) for level in contours):
        raise InputError(f"--levels {levels!r} is not understood; give numbers separated by commas, such as 0.1,0.2")
    orders = None if gap is None else parse.names(gap)
    chosen = parse.changes(where or [], "--where")
    drawn = phase_diagram(frame, x, y, value, gap=orders, where=chosen, levels=sorted(contours) if contours is not None else None)
    stem = f"{table.stem}-diagram"
    settings = f"{hashlib.sha256(content).hexdigest()} {x} {y} {value} {orders} {chosen} {contours}"
    outputs = Outputs(out, stem, (".csv", ".png", ".pdf"), "diagram", settings, force)
    outputs.publish({".csv": csv(drawn.table), **picture(drawn.ax.figure)})
    if json:
        print_json({"command": "diagram", "table": drawn.table.to_dict("list"), "files": outputs.written})
        return
    if gap is not None:
        significant = int(drawn.table["significant"].sum())
        print(f"the gap is significant in {significant} of {len(drawn.table)} cells (paired t test, p <= 0.05)")
    print_files(outputs)
