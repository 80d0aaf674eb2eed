"""The record of a result: named arrays with named dimensions, and everything that is needed to make them again.

A record is a file of its own, `record.save("x.npz")` and `load_record("x.npz")`: a zip archive of one .npy file an array, as
numpy writes it, and a text in JSON as the array "record": format, kind, experiment, numerics, seed, dimension, status, success,
statistics, environment, and the shapes of the arrays. Nothing in it is code. Its checksums tell a damaged file, and it is moved
into its place when complete.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import check_unmasked, dimension_of_inputs, plain, seed_of_all, text
from curriculode.theory.core.description import unknown
from curriculode.theory.core.environment import environment
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment, checked_experiment
from curriculode.theory.describe.numerics import Numerics, checked_numerics

if TYPE_CHECKING:
    import xarray

FORMAT = 1
HEADER = "record"
KINDS: dict[str, type["Record"]] = {}


@dataclass(frozen=True, eq=False, repr=False)
class Record:
    """A result.

    Parameters
    ----------
    experiment : Experiment
        What was computed.
    numerics : Numerics
        How.
    arrays : mapping of str to ndarray
        Name -> array, read-only; each is an attribute as well, `record.t`.
    status : str
        One sentence on how it ended.
    success : bool, default True
        Whether it is what was asked for.
    seed : int or SeedSequence, optional
        Of starts and runs, where there is one.
    dimension : int, optional
        D, where it is finite.
    statistics : mapping of str to value, optional
        Numbers about the computation.
    environment : mapping of str to str, optional
        Versions and platform, by default those of this process.

    Attributes
    ----------
    kind : str
        Name of the class in files.
    described_by : type
        What its experiment is.
    dimensions : mapping of str to tuple of str
        The dimensions of each array; "block" is left out where there is one block.
    other : tuple of str
        The dimensions of an array that is not listed.
    needed : tuple of str
        Arrays without which it is none of its kind.
    """

    experiment: Experiment
    numerics: Numerics
    arrays: Mapping[str, np.ndarray]
    status: str
    success: bool = True
    seed: Any = None
    dimension: int | None = None
    statistics: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=environment)

    kind: ClassVar[str] = "record"
    described_by: ClassVar[type[Any]] = Experiment  # what its experiment is
    # The dimensions of each array; those of a name that is not listed are `other`. "block" is left out where there is one block.
    dimensions: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    other: ClassVar[tuple[str, ...]] = ("time",)
    needed: ClassVar[tuple[str, ...]] = ()  # arrays without which it is none

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        KINDS[cls.kind] = cls

    def __post_init__(self) -> None:
        self._check()
        arrays = {}
        for name, value in self.arrays.items():
            check_unmasked(value)
            # A view of what belongs to somebody else is copied: a record stays what it is.
            array = np.asarray(value) if getattr(value, "base", None) is None else np.array(value)
            array.flags.writeable = False
            arrays[name] = array
        object.__setattr__(self, "arrays", MappingProxyType(arrays))
        self._check_shapes()

    def _check(self) -> None:
        """Raise `InputError` for fields that are of another kind than they should be."""
        if self.described_by is Experiment:
            checked_experiment(self.experiment)
        elif not isinstance(self.experiment, self.described_by):
            wanted = self.described_by.__name__
            raise InputError(f"experiment = {shown(self.experiment)} is not allowed; give a curriculode.{wanted}")
        checked_numerics("numerics", self.numerics)
        for name, fit, words in (
            ("arrays", isinstance(self.arrays, Mapping) and all(isinstance(key, str) for key in self.arrays), "name -> array"),
            ("status", isinstance(self.status, str), "one sentence"),
            ("success", isinstance(self.success, (bool, np.bool_)), "True or False"),
            ("statistics", isinstance(self.statistics, Mapping), "a mapping of names to values"),
            ("environment", isinstance(self.environment, Mapping), "a mapping of names to versions"),
        ):
            if not fit:
                raise InputError(f"{type(self).__name__}: {name} = {shown(getattr(self, name))} is not allowed; give {words}")
        if self.seed is not None:
            seed_of_all("seed", self.seed)
        if self.dimension is not None:
            dimension_of_inputs("dimension", self.dimension)

    def _check_shapes(self) -> None:
        """Raise `InputError` unless the arrays that such a record needs are there and have the same runs, times and units."""
        for name in self.needed:
            if name not in self.arrays:
                raise InputError(f"{type(self).__name__} needs the array {name!r}; given: {', '.join(self.arrays) or 'none'}")
        sizes: dict[str, int] = {}
        for name in self.dimensions:
            if name not in self.arrays:
                continue
            value, names = self.arrays[name], self.dims(name)
            if value.ndim != len(names) or value.dtype.kind not in "iuf":
                raise InputError(f"the array {name!r} of shape {value.shape} is not allowed; it must hold numbers over {names}")
            for each, size in zip(names, value.shape, strict=True):
                if sizes.setdefault(each, size) != size:
                    raise InputError(f"the array {name!r} has {size} along {each}, and another one {sizes[each]}; give the same")

    def __getattr__(self, name: str) -> np.ndarray:
        arrays = self.__dict__.get("arrays", {})
        if name not in arrays:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; its arrays are {', '.join(arrays)}")
        found: np.ndarray = arrays[name]
        return found

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Record):
            return NotImplemented
        return (
            self.experiment == other.experiment
            and self.numerics == other.numerics
            and set(self.arrays) == set(other.arrays)
            and all(
                np.array_equal(value, other.arrays[name], equal_nan=value.dtype.kind == "f") for name, value in self.arrays.items()
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "arrays": dict(self.arrays)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for array in state["arrays"].values():  # what travelled to another process, or was copied, comes back writable
            array.flags.writeable = False
        self.__dict__["arrays"] = MappingProxyType(state["arrays"])

    def replace(self, **changes: Any) -> Self:
        """Return the same record with other fields.

        Parameters
        ----------
        **changes : object
            Fields by name; `arrays` are added to those that are there.

        Returns
        -------
        Record
            One of the same class.
        """
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        if isinstance(changes.get("arrays"), Mapping):
            changes["arrays"] = {**self.arrays, **changes["arrays"]}
        return type(self)(**{**held, **changes})

    @checked
    def dims(self, name: str) -> tuple[str, ...]:
        """Return the names of the dimensions of an array.

        Parameters
        ----------
        name : str
            Of the array.

        Returns
        -------
        tuple of str
            One for each axis.

        Examples
        --------
        >>> from curriculode import load, integrate
        >>> experiment = load("committee-plateau").replace({"protocol.duration": 1.0})
        >>> integrate(experiment, experiment.initial(dimension=1000)).dims("M")
        ('time', 'unit', 'reference')
        """
        if name not in self.arrays:
            raise InputError(unknown("array", name, list(self.arrays)))
        names = self._dimensions(name)
        return names if len(names) == self.arrays[name].ndim else tuple(each for each in names if each != "block")

    def _dimensions(self, name: str) -> tuple[str, ...]:
        """The dimensions of an array, "block" among them where it may have one."""
        return self.dimensions.get(name, self.other)

    def to_xarray(self) -> "xarray.Dataset":
        """Return the arrays with named dimensions and the settings as attributes; needs xarray.

        Returns
        -------
        xarray.Dataset
            Times and runs are its coordinates.

        Raises
        ------
        InputError
            Where xarray is not installed.
        """
        try:
            import xarray
        except ImportError:
            raise InputError("to_xarray needs xarray, which is not installed; pip install xarray") from None
        coordinates = {"time": "t", "run": "run"}
        variables = {name: (self.dims(name), np.array(value)) for name, value in self.arrays.items() if name not in ("t", "run")}
        used = {each for dims, _ in variables.values() for each in dims}
        indices = {
            each: (each, np.array(self.arrays[name])) for each, name in coordinates.items() if name in self.arrays and each in used
        }
        header = {key: value if isinstance(value, (str, int)) else json.dumps(value) for key, value in self._header().items()}
        return xarray.Dataset(variables, indices, header)

    def _header(self) -> dict[str, Any]:
        seed = self.seed
        if isinstance(seed, np.random.SeedSequence):
            seed = {"entropy": plain(seed.entropy), "spawn_key": [int(part) for part in seed.spawn_key]}
        return {
            "format": FORMAT,
            "kind": self.kind,
            "experiment": self.experiment.to_dict(),
            "numerics": self.numerics.to_dict(),
            "seed": plain(seed),
            "dimension": self.dimension,
            "status": self.status,
            "success": bool(self.success),
            "statistics": _coded(self.statistics),
            "environment": dict(self.environment),
            "arrays": {name: list(value.shape) for name, value in self.arrays.items()},
        }

    @checked
    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the record to a file.

        Parameters
        ----------
        path : str or Path
            Name of the file, .npz by custom.
        overwrite : bool, default False
            Whether it may exist.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            If it exists and `overwrite` is not set, or cannot be written.
        """
        target = Path(path)
        try:
            exists = target.exists()
        except OSError as error:  # a name that is too long for any file
            raise InputError(f"the record {target} cannot be written: {error.strerror or error}") from None
        if exists and not overwrite:
            raise InputError(f"{target} exists; give another name, or overwrite=True")
        header = json.dumps(self._header())
        if target.name in ("", ".."):
            raise InputError(f"path = {target} is no name of a file; give one, such as 'run.npz'")
        beside = target.with_name(f".{os.getpid()}-{target.name}")
        try:
            with beside.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **{HEADER: np.array(header), **self.arrays})
            os.replace(beside, target)
        except OSError as error:
            raise InputError(f"the record {target} cannot be written: {error.strerror or error}") from None
        finally:
            beside.unlink(missing_ok=True)
        return target

    @checked(quantity=text)
    def plot(self, quantity: str | None = None, ax: Any = None, **options: Any) -> Any:
        """Draw a quantity against time.

        Parameters
        ----------
        quantity : str, optional
            An observable, "accuracy" or an order parameter such as "Q[0,0]"; by default an overview is drawn.
        ax : Axes, optional
            Where to draw, by default on axes of its own; those of an overview are several.
        **options : object
            `color`, `label` and others of matplotlib's lines; `runs`, the number of runs drawn as thin lines.

        Returns
        -------
        Axes
            What was drawn on; an array of them for an overview.

        Raises
        ------
        InputError
            For a quantity that the record has not.
        """
        from importlib import import_module  # pictures live a floor above, which this one must not import: loaded by name

        return import_module("curriculode.figures.plots.record").plot_record(self, quantity, ax=ax, **options)

    def _facts(self) -> dict[str, str]:
        """What is said of the record in a few words."""
        student = self.experiment.student
        facts = {
            "task": f"{self.experiment.task.kind}, K = {student.width} {student.activation} units",
            "training": f"{self.experiment.training.kind}, {self.experiment.protocol.order} order",
        }
        if self.dimension is not None:
            facts["dimension"] = f"D = {self.dimension:g}"
        for name in ("run", "t"):
            if name in self.arrays and self.arrays[name].size:
                value = self.arrays[name]
                facts[{"run": "runs", "t": "times"}[name]] = f"{value.size} from {value[0]:g} to {value[-1]:g}"
        facts["arrays"] = ", ".join(f"{name} {value.shape}" for name, value in self.arrays.items())
        return {**facts, "status": self.status}

    def __repr__(self) -> str:
        facts = self._facts()
        arrays = facts.pop("arrays")
        return f"{type(self).__name__}({'; '.join(facts.values())}; {arrays})"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(words)}</td></tr>" for name, words in self._facts().items())
        return f"<b>{type(self).__name__}</b><table>{rows}</table>"


def _coded(value: Any) -> Any:
    """Statistics as JSON; arrays stay arrays."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, Mapping):
        return {str(key): _coded(item) for key, item in value.items()}
    return plain(value)
