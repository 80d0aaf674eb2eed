"""`curriculode data`: the sets of images that networks learn, and where their files are."""

from pathlib import Path
from typing import Annotated

import typer

from .options import FORCE, JSON, OUT, QUIET
from .outputs import Outputs
from .report import picture, print_files, print_json, text

app = typer.Typer(
    name="data",
    help="The images that `curriculode networks` learns: what there is, where it is, and how to get it.\n\n"
    "Example: curriculode data list",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_DATA = Annotated[Path | None, typer.Option("--data", help="Folder of the files of the images.")]


@app.command("list")
def list_(data: _DATA = None, json: JSON = False) -> None:
    """The sets of images, and where each was found.

    Example: curriculode data list
    """
    from curriculode.sims.networks.catalogue import KNOWN, found

    rows = {}
    for name, each in KNOWN.items():
        paths = found(name, data)
        where = "comes with scikit-learn" if not each.files else "not found" if paths is None else str(paths[0].parent)
        rows[name] = {"train": each.train, "test": each.test, "shape": list(each.shape), "where": where,
                      "files": {source.name: source.packed for source in each.files}}  # fmt: skip
    if json:
        print_json({"data": rows})
        return
    for name, row in rows.items():
        size = " x ".join(str(side) for side in row["shape"])  # type: ignore[attr-defined]
        print(f"{name:<14} {row['train']:>6} + {row['test']:>5} images of {size}: {row['where']}")
        if row["where"] == "not found":
            print(f"{'':<14} `curriculode data fetch {name}` downloads {', '.join(row['files'])}")  # type: ignore[arg-type]


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="fashion-mnist or cifar-10.")],
    to: Annotated[Path | None, typer.Option("--to", help="Folder; by default one in the user's data folder.")] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Address of a folder that has the files, such as a mirror.")
    ] = None,
    json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Download the files of a set of images, verified by their sha256.

    Example: curriculode data fetch fashion-mnist
    """
    from curriculode.sims.networks.fetch import fetch

    files = fetch(name, to, source=source, quiet=quiet)
    if json:
        print_json({"command": "data fetch", "data": name, "files": files})
    else:
        print("\n".join(str(path) for path in files))


@app.command()
def show(
    experiment: Annotated[
        str, typer.Argument(metavar="EXPERIMENT", help="A built-in experiment on real data, or a TOML file.")
    ] = "digits-curriculum",
    data: _DATA = None,
    count: Annotated[int, typer.Option("--count", min=1, max=64, help="Number of images.")] = 8,
    out: OUT = Path("curriculode-out"),
    force: FORCE = False,
    json: JSON = False,
) -> None:
    """A picture of test images as they are seen at each level of an experiment.

    Example: curriculode data show fashion-curriculum
    """
    from curriculode.figures.plots.networks import plot_images
    from curriculode.sims.networks.study import load

    found = load(experiment)
    if data is not None:
        found = found.replace({"data.folder": str(data)})
    settings = f"{found.to_toml()}\n# count = {count}"
    outputs = Outputs(out, f"{Path(experiment).stem}-images", (".png", ".pdf", ".toml"), "data show", settings, force)
    outputs.publish({**picture(plot_images(found, count)), ".toml": text(found.to_toml())})
    sha256 = found.data.images().fingerprint
    if json:
        print_json({"command": "data show", "data": found.data.name, "sha256": sha256, "files": outputs.written})
    else:
        print(f"{found.data.name}: {', '.join(level.name for level in found.protocol.levels)}, sha256 {sha256}")
        print_files(outputs)
