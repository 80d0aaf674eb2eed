"""What every task is: the law of its examples at each level, its blocks, and its reference vectors.

Equations and simulators know nothing else of a task, so a class of a user's own, registered, is as good as a built-in one.
"""

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from curriculode.theory.core.description import Description
from curriculode.theory.core.errors import InputError
from curriculode.theory.core.registry import Registry
from curriculode.theory.tasks.level import Level

if TYPE_CHECKING:
    from curriculode.theory.tasks.example_law import ExampleLaw


class Task(Description):
    """What is to be learnt.

    A subclass has settings (fields), and

    kind : its name in files;  level_type : a subclass of `Level` with the settings of one degree of difficulty, each with a default
    observable_names : scalar observables that mean something for it, beside those registered for all
    reference_names : of the P reference vectors, for legends
    block_fractions() : phi_b, (blocks,), sums to 1;  reference_overlap() : T^b_pq = u_p . u_q / D within block b, (blocks, P, P)
    example_law(level) : the `ExampleLaw` of a level; levels may differ in gain and scale
    """

    kind: str
    level_type: ClassVar[type[Level]] = Level
    observable_names: ClassVar[tuple[str, ...]] = ("generalization_error", "classification_error")

    @property
    def reference_names(self) -> tuple[str, ...]:
        """Names of the references."""
        return tuple(str(p) for p in range(self.reference_overlap().shape[-1]))

    def block_fractions(self) -> np.ndarray:
        """Fraction phi_b of the inputs in each block, (blocks,)."""
        return np.ones(1)

    def reference_overlap(self) -> np.ndarray:
        """T^b, (blocks, P, P)."""
        raise NotImplementedError

    def example_law(self, level: Any) -> "ExampleLaw":
        """Law of the examples of `level`, one of `level_type`."""
        raise NotImplementedError

    @property
    def binary_labels(self) -> bool:
        """Whether every label is +1 or -1; by default those of a mixture without a teacher."""
        return True

    def definitions(self) -> list[str]:
        """What the symbols of the equations are in this task, a line each."""
        return []


TASKS: Registry[type[Task]] = Registry("task.kind")
AnyTask = TypeVar("AnyTask", bound=Task)


def register_task(task: type[AnyTask]) -> type[AnyTask]:
    """Make a task of your own known by its `kind`, in files and on the command line; usable as a decorator.

    task : a subclass of `Task` whose `kind` has a default

    Raises `InputError` for what is no such class, and for a kind that exists.
    """
    if not isinstance(task, type) or not issubclass(task, Task):
        raise InputError(f"register_task({task!r}) is not allowed; give a subclass of curriculode.Task")
    kind = task.model_fields["kind"].default
    if not isinstance(kind, str):
        raise InputError(f'task {task.__name__} has no kind; give it one, such as kind: Literal["my-task"] = "my-task"')
    for name in ("reference_overlap", "example_law"):
        if getattr(task, name) is getattr(Task, name):
            raise InputError(f"task {task.__name__} has no {name}(); write it as curriculode.Task describes it")
    is_level = isinstance(task.level_type, type) and issubclass(task.level_type, Level)
    fields = task.level_type.model_fields if is_level else {}
    required = [name for name, field in fields.items() if field.is_required() and name != "name"]
    if not is_level or required:
        raise InputError(
            f"task {task.__name__}: level_type must be a subclass of curriculode.Level whose settings have defaults"
            + (f", and {', '.join(required)} has none" if required else "")
        )
    TASKS.add(kind, task, "" if task.__module__.startswith("curriculode.") else task.__module__)
    return task
