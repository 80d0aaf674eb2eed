"""What tests register is known to nobody after them."""

from collections.abc import Iterator
from contextlib import contextmanager

from curriculode.figures.gallery import FIGURES
from curriculode.theory.core import registry
from curriculode.theory.results.registered import OBSERVABLES
from curriculode.theory.tasks import TASKS
from curriculode.theory.units.activations import ACTIVATIONS


@contextmanager
def kept() -> Iterator[None]:
    """Afterwards the registries, and the modules that other processes import for them, are as they were."""
    registries = (ACTIVATIONS, TASKS, OBSERVABLES, FIGURES)
    before = [dict(each._things) for each in registries]
    outside, loaded = dict(registry._outside), registry._loaded
    try:
        yield
    finally:
        for each, things in zip(registries, before, strict=True):
            each._things.clear()  # type: ignore[attr-defined]
            each._things.update(things)  # type: ignore[attr-defined]
        registry._outside.clear()
        registry._outside.update(outside)
        registry._loaded = loaded
