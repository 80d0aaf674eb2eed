"""Which points a sweep consists of, and the key of each: a hash of everything that determines its numbers.

A key is the exclusive or of one 128-bit hash for each parameter of the experiment, for the settings and for the seed
(Zobrist's hashing of chess positions). It does not depend on the grid in which a point was met, so a changed grid finds what it
shares; and the keys of a million points come from one array operation.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from curriculode.sims.runs.simulate import whole_number
from curriculode.theory.averages.quasi_monte_carlo import check_points
from curriculode.theory.core.description import Description, unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import block_sizes
from curriculode.theory.describe.study import listed_values
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.tasks import TeacherStudent


class Settings(Description):
    """How every point is computed.

    dimension : D of the starts and of the simulation
    theory : whether the equations are integrated
    runs : simulated runs from each start; 0 for none;  space : of the simulation, "overlap" or "weight"
    points, rtol, atol : accuracy of the theory;  scramblings : independent nets it is averaged over
    entries : order parameters that are kept beside the observables of the task, such as "Q[0,0]"
    """

    dimension: Annotated[int, Field(ge=1)] = 1000
    theory: bool = True
    runs: Annotated[int, Field(ge=0)] = 0
    space: Literal["overlap", "weight"] = "overlap"
    points: Annotated[int, Field(ge=2)] = 1024
    rtol: Annotated[float, Field(ge=1e-14, lt=1)] = 1e-6
    atol: Annotated[float, Field(ge=1e-14, lt=1)] = 1e-8
    scramblings: Annotated[int, Field(ge=1, le=1024)] = 1
    entries: tuple[str, ...] = ()

    def text(self) -> str:
        """All settings in one line, the same for the same numbers."""
        return json.dumps(self.model_dump(), sort_keys=True)


class Plan:
    """The points of a sweep: every combination of `over`, of the pairs of `zip`, and of the seeds, in this order.

    experiment : the experiment that is varied;  axes : for each axis, the changes of each of its steps
    shard : (i, n), every n-th point from the i-th on, i = 1 ... n
    """

    def __init__(
        self, experiment: Experiment, over: Mapping[str, Sequence[Any]] | None, zip: Mapping[str, Sequence[Any]] | None,
        seeds: int | Sequence[int], settings: Settings, shard: str | tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(experiment, Experiment):
            raise InputError(
                f"experiment = {experiment!r} is not allowed; give a curriculode.Experiment, such as load('xor-curriculum')"
            )
        self.experiment, self.settings = experiment, settings
        self.axes: list[list[dict[str, Any]]] = [
            [{name: value} for value in values] for name, values in listed_values("over", over).items()
        ]
        if zip:
            self.axes.append(_paired(zip, over or {}))
        self.seeds = checked_seeds(seeds)
        self.shard = _shard(shard)
        self._checked: set[int] = set()

    @property
    def names(self) -> list[str]:
        """The varied parameters."""
        return [name for axis in self.axes for name in axis[0]]

    @cached_property
    def indices(self) -> range:
        """Numbers of the points of this shard."""
        first, count = self.shard
        return range(first - 1, int(np.prod([len(axis) for axis in self.axes], dtype=np.int64)) * len(self.seeds), count)

    @cached_property
    def combinations(self) -> list[dict[str, Any]]:
        """The changes of each combination of parameters; point i has number i // len(seeds)."""
        return [{name: value for step in steps for name, value in step.items()} for steps in product(*self.axes)]

    def changes(self, index: int) -> dict[str, Any]:
        """The parameters of the point of that number that are varied."""
        return self.combinations[index // len(self.seeds)]

    def seed(self, index: int) -> int:
        """The seed of the point of that number."""
        return self.seeds[index % len(self.seeds)]

    @cached_property
    def keys(self) -> list[bytes]:
        """The key of each point of this shard, 16 bytes."""
        content = self._hashes.tobytes()
        return [content[i : i + 16] for i in range(0, len(content), 16)]

    @cached_property
    def _hashes(self) -> np.ndarray:
        """The keys as numbers, (points, 2)."""
        base = flat(self.experiment)
        # The order of the levels, from easy to hard, is part of the experiment too.
        total = _hash("settings", self.settings.text()) ^ _hash("levels", [level.name for level in self.experiment.protocol.levels])
        for name, value in base.items():
            total = total ^ _hash(name, value)
        total = total[None]
        for axis in self.axes:
            moves = [
                np.bitwise_xor.reduce([_hash(name, value) ^ _hash(name, base.get(name)) for name, value in step.items()])
                for step in axis
            ]
            total = (total[:, None] ^ np.array(moves)[None]).reshape(-1, 2)
        seeds = np.array([_hash("seed", seed) for seed in self.seeds])
        total = (total[:, None] ^ seeds[None]).reshape(-1, 2)
        return np.ascontiguousarray(total[self.indices.start :: self.indices.step])

    def check(self, indices: Sequence[int]) -> None:
        """Raise `InputError` unless each of these points can be computed: every mistake comes before the first of them."""
        for number in dict.fromkeys(index // len(self.seeds) for index in indices):
            if number in self._checked:
                continue
            self._checked.add(number)
            experiment = self.experiment.replace(self.combinations[number])
            T = experiment.task.reference_overlap()
            K = experiment.student.width
            block_sizes(self.settings.dimension, experiment.task.block_fractions(), K, T.shape[1])
            if isinstance(experiment.training, BatchSlices):
                from curriculode.theory.batch.slices import Slices

                Slices.of(experiment)
            else:
                check_points(self.settings.points, K + (T.shape[1] if isinstance(experiment.task, TeacherStudent) else 0))
            if self.settings.entries:
                from curriculode.sims.compare.compare import (
                    state_names,  # and with it all of the equations, which few sweeps need here
                )

                known = state_names(experiment)
                for name in self.settings.entries:
                    if name not in known:
                        place = ", ".join(f"{k} = {v}" for k, v in self.combinations[number].items()) or "the experiment"
                        raise InputError(unknown(f"for {place}: observable", name, [*experiment.task.observable_names, *known]))

    def state(self, done: bytes, failed: bytes) -> tuple[int, int, int]:
        """Numbers of points done, failed and missing, given the keys of all points that are done or failed, sorted, end to end."""

        def heads(keys: Any) -> np.ndarray:
            # Half of a key tells a million points apart but for a chance of 10^-7, and is a number.
            return np.frombuffer(keys, dtype=">u8")[::2].astype(np.uint64)

        own, counts = np.sort(heads(self._hashes.tobytes())), []
        for stored in (heads(done), heads(failed)):
            place = np.minimum(np.searchsorted(stored, own), max(stored.size - 1, 0))
            counts.append(int((stored[place] == own).sum()) if stored.size else 0)
        return counts[0], counts[1], len(self) - sum(counts)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return iter(zip(self.indices, self.keys, strict=True))


def flat(experiment: Experiment) -> dict[str, Any]:
    """Every parameter of an experiment by its dotted name."""

    def leaves(prefix: str, tables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in tables.items():
            if isinstance(value, dict):
                yield from leaves(f"{prefix}{name}.", value)
            else:
                yield prefix + name, value

    return dict(leaves("", experiment.to_dict()))


def _hash(name: str, value: Any) -> np.ndarray:
    """128 bits of NAME = VALUE, (2,) of uint64; a parameter that is not set (None) counts for nothing."""
    if value is None:
        return np.zeros(2, dtype=np.uint64)
    # 4 and 4.0 are the same width.
    plain = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53 else value
    text = f"{name} = {json.dumps(plain)}"
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), dtype=np.uint64)


def _paired(zip_: Mapping[str, Sequence[Any]], over: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The steps of an axis on which several parameters go together."""
    listed = listed_values("zip", zip_, distinct=False)
    lengths = {len(values) for values in listed.values()}
    if len(lengths) > 1:
        given = ", ".join(f"{name} {len(values)}" for name, values in listed.items())
        raise InputError(f"paired parameters have different numbers of values ({given}); give as many of each")
    if both := [name for name in listed if name in over]:
        raise InputError(f"{both[0]!r} is both crossed and paired; give it once")
    steps = [dict(zip(listed, values, strict=True)) for values in zip(*listed.values(), strict=True)]
    if len({repr(step) for step in steps}) < len(steps):
        raise InputError(f"the paired values of {', '.join(listed)} have a pair twice; give each once")
    return steps


def checked_seeds(seeds: int | Sequence[int]) -> list[int]:
    """The seeds as a list, or `InputError`."""
    if isinstance(seeds, (int, np.integer, str)) or not hasattr(seeds, "__iter__"):
        whole_number("seeds", seeds)
        return list(range(int(seeds)))  # type: ignore[arg-type]
    listed = [seed.item() if hasattr(seed, "item") else seed for seed in seeds]
    for seed in listed:
        whole_number("a seed", seed, 0)
        if seed >= 2**63:
            raise InputError(f"a seed of {seed} is not allowed in a sweep; it must be below 2^63")
    if not listed or len(set(listed)) < len(listed):
        raise InputError(f"seeds = {listed!r} is not allowed; give a number of seeds, or a list of different ones")
    return listed


def _shard(shard: str | tuple[int, int] | None) -> tuple[int, int]:
    if shard is None:
        return 1, 1
    try:
        first, count = (int(part) for part in (shard.split("/") if isinstance(shard, str) else shard))
    except (TypeError, ValueError):
        first, count = 0, 0
    if not 1 <= first <= count:
        raise InputError(f"shard {shard!r} is not allowed; write i/n with i from 1 to n, such as 3/8: the third of eight parts")
    return first, count
