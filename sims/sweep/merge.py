"""Stores of several machines become one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curriculode.sims.sweep.store import Store
from curriculode.theory.core.errors import InputError


@dataclass(frozen=True)
class Merged:
    """What a merged store holds: points `done` and `failed`, of them `new` since; `otherwise`: points that were done in two
    stores by the same sources with different numbers (of other libraries or processors), of which the first was kept; `damaged`:
    rows of the stores that were left out, since their checksum fails.
    """

    done: int
    failed: int
    new: int
    otherwise: int
    damaged: int


def merge(out: str | Path, stores: Sequence[str | Path]) -> Merged:
    """Join the points of `stores`, which are left as they are, in the store `out`, made if it is missing.

    They may be of any experiments; a point is known by its key and the sources that computed it. Where `out` exists it keeps what
    is done; what it lacks, or what failed in it, comes from the others.
    """
    if not stores:
        raise InputError("no stores to merge; name at least one")
    for path in stores:
        if Path(out).exists() and Path(path).exists() and Path(out).samefile(path):
            raise InputError(f"the store {path} cannot be merged into itself; give another name for the result")
    opened: list[Store] = []
    try:
        for path in stores:
            opened.append(Store(path, create=False))
        damaged = sum(store.damaged() for store in opened)
        with Store(out) as result:
            damaged += result.mend()
            counts = [result.take(store) for store in opened]
            done, failed = result.counts()
    finally:
        for store in opened:
            store.close()
    return Merged(done, failed, sum(new for new, _ in counts), sum(otherwise for _, otherwise in counts), damaged)
