"""The tasks by the `kind` they have in files, and the levels of what is no task of the theory."""

from typing import Any

from curriculode.theory.core.registry import Registry

TASKS: Registry[Any] = Registry("task.kind")  # of subclasses of `Task`
OTHER_LEVELS: list[Any] = []  # subclasses of `Level`
