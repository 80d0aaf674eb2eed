"""`curriculode merge`: join stores."""

from pathlib import Path
from typing import Annotated

import typer

from .options import JSON
from .report import print_json


def merge(
    out: Annotated[Path, typer.Argument(metavar="RESULT.sqlite", help="Store that takes all points; made if it is missing.")],
    stores: Annotated[list[Path], typer.Argument(metavar="STORE.sqlite...", help="Stores of shards; left as they are.")],
    json: JSON = False,
) -> None:
    """Join the stores of a sweep's shards; then the same `sweep` with --store RESULT.sqlite writes the table.

    Example: curriculode merge all.sqlite part-*.sqlite
    """
    from curriculode.sims.sweep.merge import merge

    merged = merge(out, stores)
    if json:
        print_json({"command": "merge", "store": out, **vars(merged)})
        return
    print(f"{out} holds {merged.done} finished and {merged.failed} failed points; {merged.new} of the finished ones are new")
    if merged.otherwise:
        print(f"{merged.otherwise} points were done in several stores with different numbers; the first of them was kept")
    if merged.damaged:
        print(f"{merged.damaged} points are damaged and were left out; the sweep computes them again")
    if merged.texts:
        print(f"{merged.texts} texts that say how points were computed are damaged and were left out")
