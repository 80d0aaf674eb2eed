"""Tickets over grids of parameters: every study is kept in a folder, and the same call goes on where the last one ended."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.runs.progress import Told, progress_of
from curriculode.sims.sweep import sources
from curriculode.sims.tickets.tickets import tickets
from curriculode.theory.core.arguments import checked, inside, whole
from curriculode.theory.core.checks import file_name, text
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import listed_values
from curriculode.theory.results import load_record
from curriculode.theory.tickets.study import DENSE, TicketStudy
from curriculode.theory.tickets.treatments import checked_treatments

if TYPE_CHECKING:
    import pandas as pd

_PRUNING = "pruning."
_LABELS = ("seed", "run", "treatment", "kept", "failed", "status")


@dataclass(frozen=True)
class _Cell:
    """One combination of the grid."""

    labels: dict[str, Any]
    experiment: Experiment
    pruning: Pruning


def _cells(experiment: Experiment, pruning: Pruning, over: Mapping[str, Sequence[Any]]) -> list[_Cell]:
    from itertools import product

    listed = listed_values("over", over)
    for name in listed:
        if name.startswith(_PRUNING) and name.removeprefix(_PRUNING) not in Pruning.model_fields:
            raise InputError(unknown("over: pruning setting", name.removeprefix(_PRUNING), list(Pruning.model_fields)))
    cells = []
    for values in product(*listed.values()):
        labels = dict(zip(listed, values, strict=True))
        own = {name.removeprefix(_PRUNING): value for name, value in labels.items() if name.startswith(_PRUNING)}
        rest = {name: value for name, value in labels.items() if not name.startswith(_PRUNING)}
        cells.append(_Cell(labels, experiment.replace(rest), Pruning(**{**pruning.to_dict(), **own})))
    return cells


@checked(
    over=inside, treatments=lambda name, value: checked_treatments(value), nodes=whole(2, 2**22), store=file_name, seeds=whole()
)
def sweep_tickets(
    experiment: Experiment,
    pruning: Pruning,
    over: Mapping[str, Sequence[Any]],
    *,
    treatments: Sequence[str] = ("ticket", "reinit", "random"),
    seeds: int = 1,
    first: int = 0,
    dimension: int | None = None,
    runs: int | None = None,
    nodes: int = 1000,
    numerics: Numerics | None = None,
    store: str | Path | None = None,
    progress: Told = None,
) -> "pd.DataFrame":
    """Study tickets at every combination of parameters, of the experiment and of the pruning, and of seeds.

    By theory seed s is one network of `nodes` random coordinates, from the random start of that seed; all cells share seeds, so
    that differences between treatments and between cells are paired (`ticket_gaps`). With a dimension it is a simulation.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    pruning : Pruning
        What is kept, where the grid does not say otherwise.
    over : mapping of str to sequence
        Dotted parameter -> values: "training.learning_rate", "student.width", "pruning.keep", "pruning.rewind" ...
    treatments : sequence of str, default ("ticket", "reinit", "random")
        What is done with what is kept.
    seeds : int, default 1
        Networks of each cell, by their seeds.
    first : int, default 0
        The first of the seeds.
    dimension : int, optional
        D of a simulation; by default it is theory.
    runs : int, optional
        Networks a seed, by default 1.
    nodes : int, default 1000
        Coordinates of the theory, which stand for D.
    numerics : Numerics, optional
        How.
    store : str or Path, optional
        A folder for the studies. Those that are there already, of the same settings and equations, are not computed again.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    DataFrame
        One row a cell, seed, run and treatment, "dense" among them: the parameters, seed, run, treatment, `kept`, `failed`,
        `status`, and the observables at the end.

    Raises
    ------
    InputError
        For parameters that there are not, and for combinations that are no experiment.

    Examples
    --------
    >>> from curriculode import Pruning, load, sweep_tickets
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> table = sweep_tickets(experiment, Pruning(keep=0.2), {"pruning.keep": [0.1, 0.5]}, nodes=200, seeds=2)
    >>> len(table), sorted(set(table["treatment"]))
    (16, ['dense', 'random', 'reinit', 'ticket'])
    """
    import pandas as pd

    cells, names = _cells(experiment, pruning, over), tuple(treatments)
    settings = (numerics or Numerics()).set()
    settings = settings if settings.times is not None else settings.set(times=2)
    folder = None if store is None else Path(store)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the store {folder} cannot be made: {error.strerror or error}") from None
    rows, total = [], len(cells) * seeds
    with progress_of(f"{total} studies of tickets", progress) as report:
        for i, cell in enumerate(cells):
            for seed in range(first, first + seeds):
                size: dict[str, Any] = {"nodes": nodes, "net": False} if dimension is None else {"dimension": dimension}
                size |= {"runs": runs or 1, "seed": seed, "treatments": names, "numerics": settings}
                path = None if folder is None else folder / f"{_key(cell, size)}.npz"
                labels = {**cell.labels, "seed": seed}
                try:
                    rows += _rows(labels, _study(cell, size, path))
                except (InputError, FloatingPointError, np.linalg.LinAlgError) as error:
                    # A point that cannot be computed is a row with its reason.
                    rows += [{**labels, "run": 0, "treatment": name, "failed": True, "status": str(error)} for name in names]
                report((i * seeds + seed - first + 1) / total)
    return pd.DataFrame(rows)


@cache
def _own_sources() -> str:
    """The number of the sources of this room, which that of all sweeps leaves out."""
    return sources.syntax_number({path.name: path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))})


def _key(cell: _Cell, size: dict[str, Any]) -> str:
    """What determines the numbers of a study."""
    parts = [cell.experiment.to_toml(), str(cell.pruning.to_dict()), sources.fingerprint(), _own_sources()]
    parts += [str({name: value.to_dict() if isinstance(value, Numerics) else value for name, value in size.items()})]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _study(cell: _Cell, size: dict[str, Any], path: Path | None) -> TicketStudy:
    if path is not None and path.exists():
        found = load_record(path)
        if isinstance(found, TicketStudy):
            return found
    study = tickets(cell.experiment, cell.pruning, progress=False, **size)
    if path is not None:
        study.save(path, overwrite=True)
    return study


def _rows(labels: dict[str, Any], study: TicketStudy) -> list[dict[str, Any]]:
    rows = []
    for name in (DENSE, *study.treatments):
        course = study.trajectories[name]
        values = {key: np.atleast_2d(value) for key, value in course.observables().items()}
        for i, run in enumerate(study.run):
            kept = 1.0 if name == DENSE else float(study.arrays[f"{name}.kept"][i].mean())
            last = {key: float(value[i, -1]) if value.shape[1] else np.nan for key, value in values.items()}
            failed = not all(np.isfinite(value) for value in last.values())
            rows.append(
                {**labels, "run": int(run), "treatment": name, "kept": kept, "failed": failed, "status": study.status, **last}
            )
    return rows


@checked(table=inside, one=text, other=text, value=text)
def ticket_gaps(table: "pd.DataFrame", one: str, other: str, value: str = "generalization_error") -> "pd.DataFrame":
    """Return how much more one treatment ends with than another in each cell of a table of `sweep_tickets`, paired over networks.

    Parameters
    ----------
    table : DataFrame
        Of `sweep_tickets`.
    one, other : str
        Treatments, such as "reinit" and "ticket": of errors a positive difference is a prize that the other has won.
    value : str, default "generalization_error"
        The column that is compared.

    Returns
    -------
    DataFrame
        One row a cell: its parameters, `difference`, `standard_error`, `p_value` of a paired t test, and `networks`.

    Raises
    ------
    InputError
        For treatments or columns that the table has not.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [{"x": 1, "seed": s, "run": 0, "treatment": t, "e": e + s} for s in (0, 1) for t, e in (("a", 1.0), ("b", 0.5))]
    >>> ticket_gaps(pd.DataFrame(rows), "a", "b", "e")["difference"].tolist()
    [0.5]
    """
    import pandas as pd
    from scipy.stats import ttest_1samp

    if not isinstance(table, pd.DataFrame) or not {"seed", "run", "treatment", value} <= set(table.columns):
        raise InputError(f"table is not one of sweep_tickets with a column {value!r}; give what sweep_tickets returned")
    for name in (one, other):
        if name not in set(table["treatment"]):
            raise InputError(unknown("treatment", name, sorted(set(table["treatment"]))))
    numbers = [name for name in table.columns if name not in _LABELS and table[name].dtype.kind == "f"]
    known = ("generalization_error", "classification_error", "covered_clusters", "specialization", value)
    parameters = [
        name for name in table.columns if name not in _LABELS and (name not in numbers or "." in name or name not in known)
    ]
    wide = table.pivot_table(index=[*parameters, "seed", "run"], columns="treatment", values=value).dropna(subset=[one, other])
    gaps = (wide[one] - wide[other]).rename("gap").reset_index()
    rows = []
    for key, group in gaps.groupby(parameters) if parameters else [((), gaps)]:
        gap = group["gap"].to_numpy()
        test = float(ttest_1samp(gap, 0.0).pvalue) if gap.size > 1 and np.ptp(gap) > 0 else np.nan
        error = gap.std(ddof=1) / np.sqrt(gap.size) if gap.size > 1 else np.nan
        labels = dict(zip(parameters, key if isinstance(key, tuple) else (key,), strict=True))
        rows.append({**labels, "difference": gap.mean(), "standard_error": error, "p_value": test, "networks": gap.size})
    return pd.DataFrame(rows)
