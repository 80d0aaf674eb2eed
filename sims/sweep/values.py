"""Which final values are kept of a point, and where each stands among its numbers.

All observables and all order parameters are kept, as one row of floats whose columns follow from a few words, the layout: so a
table of other columns costs no computing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache

import numpy as np

from curriculode.sims.sweep.settings import Settings
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.tangent import TangentRidge
from curriculode.theory.pairs.names import pair_entry_names, pair_scalar_names
from curriculode.theory.pairs.record import Pair
from curriculode.theory.results.registered import OBSERVABLES, Observable, scalar_names
from curriculode.theory.results.states import StateRecord, entry_names
from curriculode.theory.tasks import TASKS
from curriculode.theory.tasks.blocks import Blocks

TRAIN_LOSS = "train_loss"
_MOST_KEPT = 4096  # order parameters; of wider students those asked for, since a point would take megabytes


@dataclass(frozen=True)
class Layout:
    """What the numbers of a point are.

    task : its kind;  observables : names of scalar ones;  shape : (blocks, K, P)
    entries : order parameters, or None for all of that shape
    parts : endings of the columns there are of each name: "" and "_standard_error" of the theory, "_simulation" and
        "_simulation_standard_error"; with the latter, the number of diverged runs stands at the end
    treatments : of a pruning, the dense training first, or protocols beside an optimum: there are all of these columns of each
    copies : whether there are two copies of each network, see `Pair`
    extra : names of numbers that are no observables, the last of each
    """

    task: str
    observables: tuple[str, ...]
    shape: tuple[int, int, int]
    entries: tuple[str, ...] | None
    parts: tuple[str, ...]
    treatments: tuple[str, ...] = ()
    copies: bool = False
    extra: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        parts: tuple[str, ...],
        asked: Iterable[str],
        treatments: tuple[str, ...] = (),
        copies: bool = False,
        extra: tuple[str, ...] = (),
    ) -> "Layout":
        """The layout of a point of this experiment, where those names are `asked` for."""
        blocks = Blocks.of(experiment.task)
        K, P = experiment.student.width, blocks.references
        count = blocks.count * (K * (K + 1) // 2 + K * P) + K
        count = 2 * count + blocks.count * K * K if copies else count
        entries = None
        if count > _MOST_KEPT:
            known = set(_entry_names(blocks.count, K, P, copies))
            entries = tuple(sorted(known & set(asked)))
        names = tuple(pair_scalar_names(experiment.task) if copies else scalar_names(experiment.task))
        return cls(experiment.task.kind, names, (blocks.count, K, P), entries, parts, treatments, copies, extra)

    @classmethod
    def from_text(cls, text: str) -> "Layout":
        """The layout of a text that `text` gave."""
        return _layout(text)

    @cached_property
    def text(self) -> str:
        """The layout in a line."""
        content = asdict(self)
        for name in ("treatments", "copies", "extra"):
            if not content[name]:
                del content[name]  # as it was before there were any: the text is the layout's name
        return json.dumps(content, sort_keys=True)

    @property
    def names(self) -> list[str]:
        """Names of everything that is kept, in order."""
        return [*self.observables, *(_entry_names(*self.shape, self.copies) if self.entries is None else self.entries), *self.extra]

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        names, treatments = self.names, self.treatments or ("",)
        columns = [(treatment, name + part) for part in self.parts for treatment in treatments for name in names]
        places = {column: i for i, column in enumerate(columns)}
        if "_simulation" in self.parts:  # of one network with all that is made of it
            places |= {(treatment, "diverged_runs"): len(columns) for treatment in treatments}
        return places

    @cached_property
    def size(self) -> int:
        """How many numbers there are."""
        return max(self._places.values(), default=-1) + 1

    def places(self, columns: Sequence[str], treatment: str = "") -> list[int]:
        """Where each column of a treatment stands; one beyond the last number for what is not kept."""
        return [self._places.get((treatment, name), self.size) for name in columns]

    def lacks(self, wanted: Sequence[str]) -> list[str]:
        """Those of the wanted names that a point of this layout could have, and that are not kept."""
        known = set(self.names)
        return [name for name in wanted if name not in known and self._could_have(name)]

    def _could_have(self, name: str) -> bool:
        if name.endswith("]"):
            return self.entries is not None and name in _entry_names(*self.shape, self.copies)
        if name in OBSERVABLES:
            return _is_for(OBSERVABLES[name], self.task)
        return self.task in TASKS and name in TASKS[self.task].observable_names

    def final(self, record: StateRecord | Pair) -> np.ndarray:
        """All values at the last time but those of an optimum, names first: (names,) or, of an ensemble, (names, runs)."""
        if isinstance(record, Pair):
            last = record.last()
            entries = last.entries()
            values = [last.observable(name) if name in self.observables else entries[name] for name in self.names]
            return np.ascontiguousarray(np.array(values)[..., -1])
        time = len(record.lead) - 1
        scalars = [np.take(record.observable(name), -1, axis=time) for name in self.observables]
        Q, M, v = (np.take(part, -1, axis=time) for part in record.blocked)
        upper = np.triu_indices(Q.shape[-1])
        state = np.concatenate([part.reshape(*v.shape[:-1], -1) for part in (Q[..., upper[0], upper[1]], M, v)], axis=-1)
        if self.entries is not None:
            order = {name: i for i, name in enumerate(entry_names(*self.shape))}
            state = state[..., [order[name] for name in self.entries]]
        more = [np.take(record.observable(name), -1, axis=time)[None] for name in self.extra if name == TRAIN_LOSS]
        return np.ascontiguousarray(np.concatenate([np.array(scalars), np.moveaxis(state, -1, 0), *more]))


def extra_names(experiment: Experiment, settings: Settings) -> tuple[str, ...]:
    """What is kept of a point beside observables and order parameters: of an optimum its objective ..., of a ridge its loss."""
    return (*settings.extra, *((TRAIN_LOSS,) if isinstance(experiment.training, TangentRidge) else ()))


@lru_cache(maxsize=256)
def _layout(text: str) -> Layout:
    given = json.loads(text)
    entries = given["entries"]
    return Layout(
        task=given["task"],
        observables=tuple(given["observables"]),
        shape=tuple(given["shape"]),
        entries=None if entries is None else tuple(entries),
        parts=tuple(given["parts"]),
        treatments=tuple(given.get("treatments", ())),
        copies=bool(given.get("copies", False)),
        extra=tuple(given.get("extra", ())),
    )


def _entry_names(blocks: int, width: int, references: int, copies: bool) -> list[str]:
    return pair_entry_names(blocks, width, references) if copies else entry_names(blocks, width, references)


def _is_for(observable: Observable, kind: str) -> bool:
    return observable.tasks is None or kind in observable.tasks
