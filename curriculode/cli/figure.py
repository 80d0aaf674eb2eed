"""`curriculode figure`: named figures of the gallery."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import FORCE, JSON, OUT, QUIET
from .outputs import Outputs
from .report import csv, picture, print_files, print_json, text


def figure(
    name: Annotated[str | None, typer.Argument(help="Name of a figure, or `all`.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the figures and leave.")] = False,
    scale: Annotated[
        float, typer.Option(help="Multiply the numbers of runs: 0.1 for a quick look, 10 for smaller error bars.")
    ] = 1.0,
    out: OUT = Path("curriculode-out"),
    force: FORCE = False,
    json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """A named figure of the gallery: PNG and PDF, its data as CSV, its caption with all settings.

    Example: curriculode figure lottery --scale 0.1
    """
    from curriculode.figures import gallery
    from curriculode.sims.runs.progress import Progress
    from curriculode.theory.core.errors import InputError

    if show or name is None:
        titles = {n: gallery.figure(n).title for n in gallery.names()}
        if json:
            print_json({"figures": titles})
        else:
            width = max(len(n) for n in titles)
            print("\n".join(f"{n:<{width}}  {title}" for n, title in titles.items()))
        return
    if not 0 < scale <= 1e3:
        raise InputError(f"--scale {scale:g} is not allowed; it multiplies the numbers of runs, such as 0.1 or 10")
    chosen = gallery.names() if name == "all" else [name]
    files = []
    for n in chosen:
        found = gallery.figure(n)
        if found.lacks:
            if name != "all":
                raise InputError(f"figure {n}: {found.lacks}")
            print(f"left out: {n}, {found.lacks}", file=sys.stderr)
            continue
        settings = f"{found.settings}\n# scale = {scale:g}"
        outputs = Outputs(out, n, (".csv", ".png", ".pdf", ".txt"), f"figure {n}", settings, force)
        with Progress(f"figure {n}", 1.0, False if quiet else None) as bar:
            table = found.compute(scale, bar.update)
        caption = found.caption
        if scale != 1:
            caption += f" Drawn at scale {scale:g}, which multiplies numbers of runs, starts or grid points, down to a least one."
        words = f"{caption}\n\nAll other settings are those of {found.origin}:\n\n{found.settings}"
        outputs.publish({".csv": csv(table), **picture(found.draw(table)), ".txt": text(words)})
        files += outputs.written
        if not json:
            print(f"{found.title}\n{caption}")
            print_files(outputs)
    if json:
        print_json({"figures": chosen, "scale": scale, "files": files})
