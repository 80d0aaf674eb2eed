"""Instability over grids of parameters: every curve is kept in a folder, and the same call goes on where the last one ended."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from curriculode.sims.pairs.branch import which_examples
from curriculode.sims.pairs.instability import Instability, branching_times, instability
from curriculode.sims.runs.progress import Told, progress_of
from curriculode.sims.sweep import sources
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import file_name, truth
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.study import cells
from curriculode.theory.results import load_record

if TYPE_CHECKING:
    import pandas as pd


@checked(over=inside, at=branching_times, examples=which_examples, match=truth, store=file_name)
def sweep_instability(
    experiment: Experiment,
    over: Mapping[str, Sequence[Any]],
    *,
    at: ArrayLike,
    starts: int = 12,
    dimension: int | None = None,
    examples: str = "independent",
    match: bool = False,
    seed: int = 0,
    numerics: Numerics | None = None,
    store: str | Path | None = None,
    progress: Told = None,
) -> "pd.DataFrame":
    """Measure stability to the noise of SGD at every combination of parameters, from shared starts and seeds.

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` as its training.
    over : mapping of str to sequence
        Dotted parameter -> values: "student.width", "protocol.order", "training.learning_rate" ...
    at : array_like of float
        Times k of the branching.
    starts : int, default 12
        Pairs of each cell and time.
    dimension : int, optional
        D of a simulation; by default theory.
    examples : {"independent", "same", "reordered"}, default "independent"
        Which examples the copies meet.
    match : bool, default False
        Whether units are matched before.
    seed : int, default 0
        Of starts and runs.
    numerics : Numerics, optional
        How.
    store : str or Path, optional
        A folder for the curves. Those that are there already, of the same settings and equations, are not computed again.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    DataFrame
        One row a cell and time: the parameters, the columns of `Instability.summary`, and `stable_from` of the cell; a cell that
        cannot be computed is a row with its reason, `status`.

    Raises
    ------
    InputError
        As for `instability`.

    Examples
    --------
    >>> from curriculode import load, sweep_instability
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> table = sweep_instability(experiment, {"student.width": [2, 4]}, at=[0.0, 0.5], starts=4, dimension=60)
    >>> len(table), sorted(set(table["student.width"]))
    (4, [2, 4])
    """
    import pandas as pd

    folder = None if store is None else Path(store)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the store {folder} cannot be made: {error.strerror or error}") from None
    options = {"at": at, "starts": starts, "dimension": dimension, "examples": examples, "match": match, "seed": seed}
    grid, parts = cells(experiment, over), []
    with progress_of(f"{len(grid)} curves of instability", progress) as report:
        for i, (labels, cell, _) in enumerate(grid):
            path = None if folder is None else folder / f"{_key(cell, {**options, 'numerics': numerics})}.npz"
            try:
                found = _curve(cell, options, numerics, path, lambda f, i=i: report((i + f) / len(grid)))  # type: ignore[misc]
                table = found.summary().assign(stable_from=found.stable_from, failed=not found.success, status=found.status)
            except (InputError, FloatingPointError) as error:
                table = pd.DataFrame({"at": at, "failed": True, "status": str(error)})
            for position, (name, value) in enumerate(labels.items()):
                table.insert(position, name, [value] * len(table))
            parts.append(table)
            report((i + 1) / len(grid))
    return pd.concat(parts, ignore_index=True)


@cache
def _own_sources() -> str:
    """The number of the sources of this room, which that of all sweeps leaves out."""
    return sources.syntax_number({path.name: path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))})


def _key(cell: Experiment, options: dict[str, Any]) -> str:
    """What determines the numbers of a curve."""
    told = {name: value.to_dict() if isinstance(value, Numerics) else str(value) for name, value in options.items()}
    parts = [cell.to_toml(), str(told), sources.fingerprint(), _own_sources()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _curve(cell: Experiment, options: dict[str, Any], numerics: Numerics | None, path: Path | None, progress: Told) -> Instability:
    if path is not None and path.exists():
        found = load_record(path)
        if isinstance(found, Instability):
            return found
    curve = instability(cell, numerics=numerics, progress=progress, **options)
    if path is not None:
        curve.save(path, overwrite=True)
    return curve
