"""`curriculode equations`: what is integrated for an experiment."""

from typing import Annotated

import typer

from .options import Request, takes
from .report import print_json


@takes(outputs=("json",))
def equations(
    request: Request, latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX instead of plain text.")] = False
) -> int:
    """The equations that are integrated for an experiment, in plain text or LaTeX, with the meaning of their symbols.

    Example: curriculode equations perceptron-curriculum --latex
    """
    from curriculode.theory.printing.equations import closed_forms, definitions, equations

    experiment = request.study.experiment
    parts = (equations(experiment), definitions(experiment)), closed_forms(experiment)
    if request.json:
        rows = [[{"text": e.text(), "latex": e.latex(), "words": e.words} for e in part] for part, _ in parts]
        print_json({"equations": rows[0], "definitions": parts[0][1], "averages": rows[1], "ways": parts[1][1]})
        return 0
    for part, lines in parts:
        if not lines:
            continue
        if latex:
            body = " \\\\\n".join("  " + e.latex().replace(" = ", " &= ", 1) for e in part)
            print(f"\\begin{{align}}\n{body}\n\\end{{align}}" if part else "% all averages are taken by nets")
        else:
            print("\n".join(f"  {e.text()}    ({e.words})" for e in part) if part else "  all averages are taken by nets")
        print("\n".join(("% " if latex else "") + line for line in ["", *lines]) + "\n")
    return 0
