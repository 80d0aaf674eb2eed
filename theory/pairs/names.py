"""How everything is called that is read off two copies of a network."""

from curriculode.theory.results.registered import observable_names
from curriculode.theory.results.states import entry_names
from curriculode.theory.tasks import Task

ERRORS = ("generalization_error", "classification_error")
BARRIERS = ("barrier", "midpoint", "matched_barrier", "matched_midpoint")
SECOND = "copy-2 "  # of what is read off the second copy


def cross_names(blocks: int, width: int) -> list[str]:
    """Names of the cross overlaps, `X[k,l]`, of several blocks `X[b,k,l]`."""
    prefix = [""] if blocks == 1 else [f"{b}," for b in range(blocks)]
    return [f"X[{before}{k},{m}]" for before in prefix for k in range(width) for m in range(width)]


def pair_entry_names(blocks: int, width: int, references: int, pairs: bool = True) -> list[str]:
    """Names of all order parameters of two copies; with `pairs=False` as `entries(False)` sums them up."""
    first, cross = entry_names(blocks, width, references, pairs), cross_names(blocks, width)
    if not pairs:
        cross = of_one_unit(cross, width)
        cross += [f"{name.rsplit(',', 1)[0]},rest]" for name in cross]
    return [*first, *(f"{SECOND}{name}" for name in first), *cross]


def pair_observable_names(task: Task) -> list[str]:
    """Names of what is read off two copies."""
    own = observable_names(task)
    return [*BARRIERS, *own, *(f"{SECOND}{name}" for name in ERRORS if name in own)]


def pair_scalar_names(task: Task) -> list[str]:
    """Those names, and the accuracy where there is a classification error."""
    names = pair_observable_names(task)
    return [*names, "accuracy"] if "classification_error" in names else names


def of_one_unit(cross: list[str], width: int) -> list[str]:
    """Of the names of cross overlaps those of a unit with itself."""
    return [name for i, name in enumerate(cross) if i % width**2 % (width + 1) == 0]
