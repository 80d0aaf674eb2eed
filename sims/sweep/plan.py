"""Which points a sweep consists of, and the key of each: a hash of everything that determines its numbers.

A key is the exclusive or of one 128-bit hash for each parameter of the experiment, for the settings and for the seed
(Zobrist's hashing of chess positions). It depends neither on the grid in which a point was met nor on what is read off it, so a
changed grid finds what it shares; and the keys of a million points come from one array operation.
"""

import hashlib
import json
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from curriculode.sims.sweep.optima import check_optimum
from curriculode.sims.sweep.rest import check_rest
from curriculode.sims.sweep.settings import Settings
from curriculode.sims.sweep.tables import clipped, shown, some
from curriculode.sims.sweep.values import extra_names
from curriculode.theory.averages.quasi_monte_carlo import check_points
from curriculode.theory.core.checks import plain, whole_number
from curriculode.theory.core.description import Description, unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.branching import Branching
from curriculode.theory.describe.experiment import Experiment, checked_experiment
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study, listed_values
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.describe.variant import Variant, branching_of
from curriculode.theory.pairs.names import pair_entry_names, pair_observable_names, pair_scalar_names
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.results.registered import observable_names, scalar_names
from curriculode.theory.tangent.space import TANGENT
from curriculode.theory.tasks.blocks import Blocks

_MOST = 10**8  # points of a grid, whose keys take gigabytes


class Plan:
    """The points of a sweep: every combination of `over`, of the pairs of `zip`, and of the seeds, in this order.

    experiment : the experiment that is varied;  axes : for each axis, the changes of each of its steps
    pruning, branch : of its networks, which may be varied too, or None
    observables : names of what the table shows, by default all observables of the task
    shard : (i, n), every n-th point from the i-th on, i = 1 ... n
    """

    def __init__(
        self,
        experiment: Experiment,
        over: Mapping[str, Sequence[Any]] | None = None,
        *,
        zip: Mapping[str, Sequence[Any]] | None = None,
        seeds: int | Sequence[int] = 1,
        settings: Settings | None = None,
        observables: Sequence[str] | str | None = None,
        shard: str | tuple[int, int] | None = None,
        pruning: Pruning | None = None,
        branch: Branching | None = None,
    ) -> None:
        self.experiment, self.pruning = checked_experiment(experiment), pruning
        self.settings = Settings() if settings is None else settings
        self.axes: list[list[dict[str, Any]]] = [
            [{name: _tables(value)} for value in values] for name, values in listed_values("over", over).items()
        ]
        if zip:
            self.axes.append(_paired(zip, over or {}))
        self.branch = branching_of(branch, {name: None for axis in self.axes for name in axis[0]})
        self.seeds = checked_seeds(seeds)
        size = math.prod(len(axis) for axis in self.axes) * len(self.seeds)
        if size > _MOST:
            raise InputError(f"the grid has {size} points, more than {_MOST:.0e}; give fewer values, or fewer seeds")
        self.shard = _shard(shard)
        self.observables = _chosen(experiment, observables, self.settings, self.branch is not None)
        self._checked: set[int] = set()

    @property
    def text(self) -> str:
        """What is varied, as TOML."""
        if self.pruning is None and self.branch is None:
            return self.experiment.to_toml()
        return Study(experiment=self.experiment, pruning=self.pruning, branch=self.branch).to_toml()

    @property
    def base(self) -> Variant:
        """What is varied."""
        return Variant(self.experiment, self.pruning, self.branch)

    @property
    def names(self) -> list[str]:
        """The varied parameters."""
        return [name for axis in self.axes for name in axis[0]]

    @cached_property
    def indices(self) -> range:
        """Numbers of the points of this shard."""
        first, count = self.shard
        return range(first - 1, math.prod(len(axis) for axis in self.axes) * len(self.seeds), count)

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
    def sorted_keys(self) -> tuple[np.ndarray, np.ndarray]:
        """The keys as pairs of numbers (points, 2), sorted, and the place of each in this shard, (points,)."""
        words = self._hashes.view(">u8").astype(np.uint64)
        order = np.argsort(words[:, 0])
        return words[order], order

    @cached_property
    def _hashes(self) -> np.ndarray:
        """The keys as numbers, (points, 2)."""
        base = flat(self.experiment) | self.base.settings()
        # The order of the levels, from easy to hard, is part of the experiment too.
        total = _hash("settings", self.settings.text) ^ _hash("levels", [level.name for level in self.experiment.protocol.levels])
        for name, value in base.items():
            total = total ^ _hash(name, value)
        # A class of a user's own that is not registered computes other numbers than what is registered under its kind.
        if own := unregistered(self.experiment):
            total = total ^ _hash("classes", own)
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
            if number not in self._checked:
                self._check(*self.base.changed(self.combinations[number]), number)
                self._checked.add(number)

    def _check(self, experiment: Experiment, pruning: Pruning | None, branch: Branching | None, number: int) -> None:
        blocks, K = Blocks.of(experiment.task), experiment.student.width
        blocks.sizes(self.settings.dimension, K)
        numerics = self.settings.numerics
        if pruning is not None:
            pruning.check(experiment.protocol.duration, self.settings.dimension)
        if branch is not None:
            from curriculode.sims.pairs.branch import check_branching

            check_branching(experiment, branch, pruning, self.settings.dimension, numerics)
        if isinstance(experiment.training, BatchSlices) and pruning is None:
            from curriculode.theory.batch.slices import Slices

            Slices.of(experiment)
        elif isinstance(experiment.training, TANGENT):
            if numerics.points is not None:
                check_points(numerics.points, blocks.count * (K + blocks.references))
        else:
            from curriculode.theory.dynamics.setting import Setting

            setting = Setting.of(experiment, perturbed=True)
            points = numerics.points or DEFAULT_POINTS
            if numerics.points is not None:
                check_points(points, setting.fields)
            if numerics.averages == "closed form":
                setting.engine(numerics.averages, points, 0, numerics.noise_terms)
        if self.settings.rest:
            check_rest(experiment)
            if branch is not None or pruning is not None:
                raise InputError("a state at rest is of one whole network; leave out `rest`, or the branching and the pruning")
        if self.settings.optimization is not None:
            check_optimum(experiment, self.settings.optimization)
            if branch is not None:
                raise InputError("an optimum is of one network; leave out `branch`, and branch what is found")
        named = scalar_names if branch is None else pair_scalar_names
        scalars = [*extra_names(experiment, self.settings), *named(experiment.task)]
        base = [*extra_names(self.experiment, self.settings), *named(self.experiment.task)]
        if asked := [name for name in self.observables if name not in scalars and name not in base]:
            from curriculode.theory.results.states import entry_names

            every = entry_names if branch is None else pair_entry_names
            known = [*scalars, *every(blocks.count, K, blocks.references)]
            for name in asked:
                if name not in known:
                    place = ", ".join(f"{k} = {v}" for k, v in self.combinations[number].items()) or "the experiment"
                    raise InputError(unknown(f"for {clipped(place)}: observable", clipped(name), known, some(known)))

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


def parts(experiment: Experiment) -> list[Any]:
    """The experiment and all it is made of."""
    own = [experiment, experiment.task, experiment.student, experiment.training, experiment.protocol]
    return [*own, *experiment.protocol.levels]


def unregistered(experiment: Experiment) -> list[str]:
    """Classes in an experiment that its text does not lead to: a user's own that are not registered."""
    try:
        text = [type(part) for part in parts(Experiment.from_dict(experiment.to_dict()))]
    except InputError:  # a kind that is not known
        text = [type(part) if type(part).__module__.startswith("curriculode.") else type(None) for part in parts(experiment)]
    found = [type(part) for part in parts(experiment)]
    return [f"{own.__module__}.{own.__qualname__}" for own, other in zip(found, text, strict=True) if own is not other]


def _hash(name: str, value: Any) -> np.ndarray:
    """128 bits of NAME = VALUE, (2,) of uint64; a parameter that is not set (None) counts for nothing."""
    if value is None:
        return np.zeros(2, dtype=np.uint64)
    text = f"{name} = {json.dumps(_canonical(value), sort_keys=True)}"
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), dtype=np.uint64)


def _canonical(value: Any) -> Any:
    """A value such that equal ones have the same text: 4 and 4.0 are the same width, in lists and tables too."""
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items() if item is not None}
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53 else value


def _tables(value: Any) -> Any:
    """A value as it stands in a file: the stages of a plan as tables."""
    if isinstance(value, Description):
        return plain(value.model_dump(exclude_none=True))
    if isinstance(value, list):
        return [_tables(item) for item in value]
    if value is not None and not isinstance(value, (bool, int, float, str, dict)):
        raise InputError(f"{shown(value)} is no value of a parameter; give numbers, texts, lists, or true or false")
    return value


def _chosen(experiment: Experiment, observables: Sequence[str] | str | None, settings: Settings, copies: bool) -> list[str]:
    """The names of observables a user asked for, by default all of the task; of two copies also what lies between them."""
    if observables is None:
        if copies:
            return pair_observable_names(experiment.task)
        return [*extra_names(experiment, settings), *observable_names(experiment.task)]
    names = plain([observables] if isinstance(observables, str) else observables)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"observables = {shown(observables)} is not allowed; give names, such as 'classification_error' or 'Q[0,0]'"
        )
    if not names:
        raise InputError("observables is empty; name at least one, such as 'classification_error' or 'Q[0,0]'")
    return list(dict.fromkeys(names))


def _paired(zip_: Mapping[str, Sequence[Any]], over: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The steps of an axis on which several parameters go together."""
    listed = listed_values("zip", zip_, distinct=False)
    lengths = {len(values) for values in listed.values()}
    if len(lengths) > 1:
        given = ", ".join(f"{name} {len(values)}" for name, values in listed.items())
        raise InputError(f"paired parameters have different numbers of values ({given}); give as many of each")
    if both := [name for name in listed if name in over]:
        raise InputError(f"{both[0]!r} is both crossed and paired; give it once")
    steps = [dict(zip(listed, map(_tables, values), strict=True)) for values in zip(*listed.values(), strict=True)]
    # Equal values are one, however they are written: 1 and 1.0.
    if len({json.dumps(_canonical(step), sort_keys=True, default=repr) for step in steps}) < len(steps):
        raise InputError(f"the paired values of {', '.join(listed)} have a pair twice; give each once")
    return steps


def checked_seeds(seeds: int | Sequence[int]) -> Sequence[int]:
    """The seeds one by one, or `InputError`."""
    given = plain(list(seeds) if isinstance(seeds, (range, set)) else seeds)
    if isinstance(given, (int, float)):
        return range(whole_number("seeds", given, 1, _MOST))
    listed = [whole_number("a seed", seed, 0, 2**63 - 1) for seed in given] if isinstance(given, list) else []
    if not listed or len(set(listed)) < len(listed):
        raise InputError(f"seeds = {shown(seeds)} is not allowed; give a number of seeds, or a list of different ones")
    return listed


def _shard(shard: str | tuple[int, int] | None) -> tuple[int, int]:
    if shard is None:
        return 1, 1
    try:
        first, count = (int(part) for part in shard.split("/")) if isinstance(shard, str) else map(operator.index, plain(shard))
    except (TypeError, ValueError):
        first, count = 0, 0
    if not 1 <= first <= count < 2**31:
        raise InputError(
            f"shard {shown(shard)} is not allowed; write i/n with i from 1 to n, such as 3/8: the third of eight parts"
        )
    return first, count
