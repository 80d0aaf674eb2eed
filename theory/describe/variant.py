"""What is varied: an experiment, and what is done with its networks; changed by dotted names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from curriculode.theory.core.errors import InputError
from curriculode.theory.describe import branching, pruning
from curriculode.theory.describe.branching import Branching
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.pruning import Pruning

PREFIXES = (pruning.PREFIX, branching.PREFIX)


class Variant(NamedTuple):
    """An experiment, which weights of its networks are kept (None: all), and when they become two copies (None: never)."""

    experiment: Experiment
    pruning: Pruning | None = None
    branch: Branching | None = None

    def changed(self, changes: Mapping[str, Any]) -> "Variant":
        """The same with other values of dotted parameters, "pruning.keep" and "branch.at" among them; or `InputError`."""
        of_pruning, of_branch = (_own(changes, prefix) for prefix in PREFIXES)
        if of_pruning and self.pruning is None:
            raise InputError(
                f"{pruning.PREFIX}{next(iter(of_pruning))} is not allowed without a pruning; give pruning = Pruning(keep=0.2), or "
                "a section [pruning]"
            )
        kept = Pruning(**{**self.pruning.to_dict(), **of_pruning}) if self.pruning is not None and of_pruning else self.pruning
        branch = self.branch
        if of_branch:
            branch = Branching(**{**(branch.to_dict() if branch is not None else {}), **of_branch})
        rest = {name: value for name, value in changes.items() if not name.startswith(PREFIXES)}
        return Variant(self.experiment.replace(rest) if rest else self.experiment, kept, branch)

    def settings(self) -> dict[str, Any]:
        """Every setting of pruning and branching by its dotted name."""
        parts = zip(PREFIXES, (self.pruning, self.branch), strict=True)
        return {f"{prefix}{name}": value for prefix, part in parts if part is not None for name, value in part.to_dict().items()}


def branching_of(branch: Branching | None, names: Mapping[str, Any] | None) -> Branching | None:
    """The branching of a grid: varying one of its settings is asking for one."""
    implied = isinstance(names, Mapping) and any(isinstance(name, str) and name.startswith(branching.PREFIX) for name in names)
    return Branching() if branch is None and implied else branch


def _own(changes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in changes.items() if name.startswith(prefix)}
