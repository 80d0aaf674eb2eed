"""`curriculode experiments`: the built-in experiments."""

from typing import Annotated

import typer

from .options import JSON
from .report import print_json


def experiments(
    name: Annotated[
        str | None, typer.Argument(help="Print this built-in experiment as TOML, to start a file of your own from.")
    ] = None,
    json: JSON = False,
) -> None:
    """List the built-in experiments, or print one of them as TOML.

    Example: curriculode experiments xor-curriculum > mine.toml; curriculode compare mine.toml
    """
    from curriculode.theory.core.description import unknown
    from curriculode.theory.core.errors import InputError
    from curriculode.theory.describe.experiment import builtin_experiments, experiment_text, load

    names = builtin_experiments()
    if name is not None:
        if name not in names:
            raise InputError(unknown("built-in experiment", name, names))
        if json:
            print_json(load(name).to_dict())
        else:
            print(experiment_text(name), end="")
        return
    if json:
        print_json({"experiments": names})
        return
    width = max(len(n) for n in names)
    for n in names:
        print(f"{n:<{width}}  {experiment_text(n).splitlines()[0].lstrip('# ')}")
