"""How far a sweep is: which of its points a store holds, and why others that it holds must be computed again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curriculode.sims.sweep.plan import Plan
from curriculode.sims.sweep.store import Damage, Store

MISSING, DONE, FAILED, LACKING, OTHER = range(5)


@dataclass(frozen=True)
class Again:
    """Points that were computed and must be computed again, and why.

    other_sources : version and day -> points that other sources of the package computed, whose numbers may differ
    lacking : name -> points for which it was not kept, such as an observable that was registered later
    damaged : points whose checksum fails, or that of what their numbers are
    texts : descriptions of how points were computed, on which no number depends, that are damaged and were left out
    """

    other_sources: Mapping[str, int] = field(default_factory=dict)
    lacking: Mapping[str, int] = field(default_factory=dict)
    damaged: int = 0
    texts: int = 0

    def __add__(self, other: "Again") -> "Again":
        def added(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
            return {name: a.get(name, 0) + b.get(name, 0) for name in {**a, **b}}

        return Again(
            added(self.other_sources, other.other_sources),
            added(self.lacking, other.lacking),
            self.damaged + other.damaged,
            self.texts + other.texts,
        )

    @property
    def sentence(self) -> str:
        """Why points are computed again, or nothing."""
        parts = [
            f"{n} computed by other sources ({who}), whose numbers may differ and are not used"
            for who, n in self.other_sources.items()
        ]
        parts += [f"{n} computed without {name!r}, which was not kept then" for name, n in self.lacking.items()]
        if self.damaged:
            parts.append(f"{self.damaged} damaged in the store (a checksum fails)")
        sentences = ["to compute again: " + ", ".join(parts)] if parts else []
        if self.texts:
            sentences.append(f"{self.texts} damaged in the store of the texts that say how points were computed")
        return "; ".join(sentences)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return {
            "other_sources": dict(self.other_sources),
            "lacking": dict(self.lacking),
            "damaged": self.damaged,
            "texts": self.texts,
        }


@dataclass(frozen=True)
class Status:
    """Numbers of points of a plan: `done` + `failed` + `missing`; `again` says which of the missing were computed before.

    codes : of each point of the plan, one of the constants of this file
    """

    points: int
    done: int
    failed: int
    missing: int
    again: Again
    codes: np.ndarray = field(repr=False)

    @property
    def sentence(self) -> str:
        """The status in words."""
        words = f"of {self.points} points {self.done} are done, {self.failed} failed and {self.missing} missing"
        return f"{words}; {self.again.sentence}" if self.again.sentence else words


def status_of(plan: Plan, store: Store, mended: Damage | None = None) -> Status:
    """How far a sweep is, read off the indices of its store; what was damaged and `mended` before is told too."""
    damage = store.told() if mended is None else mended
    layouts, made_by, own = store.layouts(), store.made_by(), store.own
    wanted, order = plan.sorted_keys
    codes = np.zeros(len(plan), dtype=np.int8)
    lacking: dict[str, int] = {}
    others: dict[str, int] = {}
    # The last of the other sources first: a point that several computed counts once.
    groups = sorted(store.groups(), key=lambda group: made_by.get(group.sources, {}).get("made", ""), reverse=True)
    for group in sorted(groups, key=lambda group: group.sources != own):
        if group.sources == own and not group.failed and group.layout not in layouts:
            continue  # nobody can read them
        found = _met(store.keys(group), wanted) & (codes == MISSING)
        if group.sources != own:
            codes[found] = OTHER
            maker = made_by.get(group.sources, {})
            who = f"curriculode {maker.get('curriculode', '?')}, {maker.get('made', '?')}"
            if found.any():
                others[who] = others.get(who, 0) + int(found.sum())
        elif group.failed:
            codes[found] = FAILED
        else:
            lacks = layouts[group.layout].lacks(plan.observables)
            codes[found] = LACKING if lacks else DONE
            for name in lacks if found.any() else []:
                lacking[name] = lacking.get(name, 0) + int(found.sum())
    done, failed = int((codes == DONE).sum()), int((codes == FAILED).sum())
    again = Again(others, lacking, len(damage.points), len(damage.texts))
    ordered = np.empty_like(codes)
    ordered[order] = codes
    return Status(len(plan), done, failed, len(plan) - done - failed, again, ordered)


def _met(stored: bytes, wanted: np.ndarray) -> np.ndarray:
    """Which of the wanted keys (points, 2) are among the stored ones, both sorted."""
    words = np.frombuffer(stored, dtype=">u8").reshape(-1, 2).astype(np.uint64)
    if not len(words):
        return np.zeros(len(wanted), dtype=bool)
    # Half of a key tells points apart, but for a chance of 10^-7 in a million; then a point is computed twice.
    place = np.minimum(np.searchsorted(words[:, 0], wanted[:, 0]), len(words) - 1)
    found: np.ndarray = (words[place] == wanted).all(axis=1)
    return found
