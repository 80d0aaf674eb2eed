"""Reading a record from the file that `Record.save` wrote: what it is, whether it is whole, and of which class."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.results.record import FORMAT, HEADER, KINDS, Record

_ROOMS = (
    "curriculode.theory.results.states",
    "curriculode.theory.results.observations",
    "curriculode.theory.finite_d.record",
    "curriculode.theory.pairs.record",
    "curriculode.theory.pairs.plateau",
    "curriculode.theory.control.records",
    "curriculode.theory.landscape.fixed_point",
    "curriculode.theory.landscape.gain",
    "curriculode.theory.landscape.continuation",
    "curriculode.theory.landscape.records",
    # Of the floor above, which this one must not import: loaded by name.
    "curriculode.sims.pairs.instability",
    "curriculode.sims.networks.record",
    "curriculode.sims.networks.tickets",
)


@checked
def load_record(path: str | Path) -> Record:
    """Read the record in a file that `Record.save` wrote.

    Parameters
    ----------
    path : str or Path
        Name of the file.

    Returns
    -------
    Trajectory, Ensemble or Observations
        What was saved.

    Raises
    ------
    InputError
        For anything else, a truncated or a damaged file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from curriculode import load, integrate
    >>> experiment = load("committee-plateau").replace({"protocol.duration": 1.0})
    >>> trajectory = integrate(experiment, experiment.initial(dimension=1000))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_record(trajectory.save(pathlib.Path(folder) / "plateau.npz")) == trajectory
    True
    """
    source = Path(path)
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as content:
            if not hasattr(content, "files") or HEADER not in content.files:
                raise InputError(f"{source} is no record of curriculode; give a file that record.save wrote")
            header = json.loads(str(content[HEADER]))
            arrays = {name: content[name] for name in content.files if name != HEADER}
    except OSError as error:
        raise InputError(f"the record {source} cannot be read: {error.strerror or error}") from None
    except InputError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # whatever the readers of archives, arrays and JSON make of damaged bytes
        raise InputError(
            f"{source} is no record of curriculode, or it is damaged ({type(error).__name__}); restore it from a copy"
        ) from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        given = header.get("format") if isinstance(header, dict) else None
        raise InputError(
            f"the record {source} has format {shown(given)}, but this version of curriculode reads format {FORMAT}; use the "
            "version that made it"
        )
    if header.get("arrays") != {name: list(value.shape) for name, value in arrays.items()}:
        raise InputError(f"the record {source} is damaged: it does not hold the arrays it should; restore it from a copy")
    for room in _ROOMS:  # what defines a kind of record makes it known
        import_module(room)
    if header.get("kind") not in KINDS:
        raise InputError(
            f"the record {source} is of the kind {shown(header.get('kind'))}, which this version of curriculode does not know"
        )
    seed = header.get("seed")
    if isinstance(seed, dict):
        seed = np.random.SeedSequence(seed["entropy"], spawn_key=tuple(seed["spawn_key"]))
    try:
        return KINDS[header["kind"]](
            experiment=KINDS[header["kind"]].described_by.from_dict(header["experiment"]),
            numerics=Numerics(**header["numerics"]),
            arrays=arrays,
            **{name: header[name] for name in ("status", "success", "dimension", "environment")},
            seed=seed,
            statistics=_decoded(header["statistics"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the record {source} is damaged: its header lacks {error}; restore it from a copy") from None


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return np.array(value["array"]) if set(value) == {"array"} else {key: _decoded(item) for key, item in value.items()}
    return value
