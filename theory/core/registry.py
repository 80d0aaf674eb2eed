"""What can be named in an experiment and added from outside: activations, tasks, observables, figures.

One registry a kind of thing. What is built in registers itself like what a user adds, by `curriculode.register_activation` and its
siblings; a separate package adds its own through an entry point of the group "curriculode", which names a module, or a function
that is called, and is loaded when a name is met that is not known yet.
"""

import importlib
from collections.abc import Iterator
from typing import Generic, TypeVar

from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown

T = TypeVar("T")
GROUP = "curriculode"
_loaded = False
_outside: dict[str, None] = {}  # modules that registered something, in order


class Registry(Generic[T]):
    """Things of one kind by name.

    what : how a thing is called in sentences;  listed : the allowed names where they are too many to list
    computes : whether processes that compute have to know the things too
    """

    def __init__(self, what: str, listed: str = "", computes: bool = True) -> None:
        self.what, self._listed, self._computes = what, listed, computes
        self._things: dict[str, T] = {}

    def add(self, name: str, thing: T, module: str = "") -> T:
        """Register `thing` under `name`; `module` is where it is defined, where that is outside the package.

        The same module may register a name again (a notebook cell run twice); any other gets an `InputError`.
        """
        if not isinstance(name, str) or not name or name != name.strip():
            raise InputError(f"{self.what} {shown(name)} cannot be registered; give a name, such as 'my-{self.what.split()[-1]}'")
        before = self._things.get(name)
        if before is not None and (not module or getattr(before, "module", getattr(before, "__module__", "")) != module):
            raise InputError(f"{self.what} {shown(name)} exists already; register yours under another name")
        self._things[name] = thing
        if module and self._computes and not module.startswith("curriculode."):
            _outside[module] = None
        return thing

    def __getitem__(self, name: object) -> T:
        if not isinstance(name, str) or name not in self._things:
            load_entry_points()
        if not isinstance(name, str) or name not in self._things:
            raise InputError(unknown(self.what, name, list(self._things), self._listed))
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str) and name not in self._things:
            load_entry_points()
        return isinstance(name, str) and name in self._things

    def __iter__(self) -> Iterator[str]:
        load_entry_points()
        return iter(list(self._things))

    def names(self) -> list[str]:
        """All names that are registered so far."""
        return list(self._things)

    def values(self) -> list[T]:
        """All things that are registered so far."""
        return list(self._things.values())


def load_entry_points() -> None:
    """Load what installed packages add, once."""
    global _loaded
    if _loaded:
        return
    _loaded = True
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            found = entry.load()
            if callable(found):
                found()
        except Exception as error:
            _loaded = False
            raise InputError(
                f"the entry point {entry.name} = {entry.value} of group {GROUP!r} cannot be loaded ({type(error).__name__}: "
                f"{error}); mend or remove the package that has it"
            ) from error


def outside_modules() -> tuple[str, ...]:
    """Modules outside the package that registered something: what another process has to import to know the same names."""
    return tuple(_outside)


def import_outside(modules: tuple[str, ...]) -> None:
    """Import the modules that registered something in the process that asks for work."""
    for name in modules:
        if name == "__main__":
            raise InputError(
                "something is registered in the script or notebook itself, which other processes cannot import; move it to a "
                "module of its own and import that, or use workers = 1"
            )
        importlib.import_module(name)
