"""The tasks by the `kind` they have in files."""

from typing import Any

from curriculode.theory.core.registry import Registry

TASKS: Registry[Any] = Registry("task.kind")  # of subclasses of `Task`
