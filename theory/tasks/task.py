"""What every task is: the law of its examples at each level, its blocks, and its reference vectors.

Equations and simulators know nothing else of a task, so a class of a user's own, registered, is as good as a built-in one.
"""

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from curriculode.theory.core.description import Description
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.tasks.known import TASKS
from curriculode.theory.tasks.level import Level

if TYPE_CHECKING:
    from curriculode.theory.tasks.example_law import ExampleLaw


class Task(Description):
    """What is to be learnt.

    A subclass has settings (fields), `kind` with a default, and its own `reference_overlap` and `example_law`; where the
    defaults do not fit, `block_fractions`, `strata`, `binary_labels`, `reference_names` and `definitions`.

    Parameters
    ----------
    kind : str
        Its name in files.

    Attributes
    ----------
    level_type : type
        A subclass of `Level` with the settings of one degree of difficulty, each with a default.
    observable_names : tuple of str
        Scalar observables that mean something for it, beside those registered for all.
    """

    kind: str
    level_type: ClassVar[type[Level]] = Level
    observable_names: ClassVar[tuple[str, ...]] = ("generalization_error", "classification_error")

    @property
    def reference_names(self) -> tuple[str, ...]:
        """Names of the P reference vectors, for legends."""
        return tuple(str(p) for p in range(self.reference_overlap().shape[-1]))

    def block_fractions(self) -> np.ndarray:
        """Return the fraction phi_b of the inputs in each block.

        Returns
        -------
        ndarray of shape (blocks,)
            Sums to 1; by default there is one block.
        """
        return np.ones(1)

    def reference_overlap(self) -> np.ndarray:
        """Return the overlaps T^b_pq = u_p . u_q / D of the references within each block b.

        Returns
        -------
        ndarray of shape (blocks, P, P)
            Symmetric and positive semi-definite.
        """
        raise NotImplementedError

    def strata(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the strata of each block: shares of the coordinates, and the overlaps of the references over them.

        Weights tell strata apart only where they are told apart one by one, by masks: sparse references are non-zero in one
        stratum alone. Within a stratum the references are taken to be in general position, u_i Gaussian.

        Returns
        -------
        shares : ndarray of shape (blocks, strata)
            Of all coordinates, above 0, summing to phi_b in each block; by default there is one stratum.
        overlaps : ndarray of shape (blocks, strata, P, P)
            T^s_pq over each stratum, summing to T^b.
        """
        return self.block_fractions()[:, None], np.asarray(self.reference_overlap(), dtype=float)[:, None]

    def own_level(self, level: Any) -> Any:
        """Return a level as one of the task's own kind.

        Parameters
        ----------
        level : Level
            Any whose settings the task knows.

        Returns
        -------
        Level
            One of `level_type`.

        Raises
        ------
        InputError
            For what is no level, and for settings that the task does not know.
        """
        if not isinstance(level, Level):
            raise InputError(f"level = {shown(level)} is not allowed; give a curriculode.Level, such as protocol.levels[0]")
        return level.of(self)

    def example_law(self, level: Any) -> "ExampleLaw":
        """Return the law of the examples of a level; levels may differ in gain and scale.

        Parameters
        ----------
        level : Level
            One of `level_type`.

        Returns
        -------
        ExampleLaw
            The law.
        """
        raise NotImplementedError

    @property
    def binary_labels(self) -> bool:
        """Whether every label is +1 or -1; by default those of a mixture without a teacher."""
        return True

    def definitions(self) -> list[str]:
        """Return what the symbols of the equations are in this task.

        Returns
        -------
        list of str
            A line each.
        """
        return []


AnyTask = TypeVar("AnyTask", bound=Task)


def register_task(task: type[AnyTask]) -> type[AnyTask]:
    """Make a task of your own known by its `kind`, in files and on the command line; usable as a decorator.

    Parameters
    ----------
    task : type
        A subclass of `Task` whose `kind` has a default.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    InputError
        For what is no such class, and for a kind that exists.

    Examples
    --------
    A cloud at u, of label 1; `Task` says what the methods return.

    >>> from typing import Literal
    >>> from curriculode import ExampleLaw
    >>> class OneCloud(Task):
    ...     kind: Literal["one-cloud"] = "one-cloud"
    ...     def reference_overlap(self):
    ...         return np.array([[[1.0]]])
    ...     def example_law(self, level):
    ...         one = np.ones(1)
    ...         return ExampleLaw(probability=one, gain=one.reshape(1, 1, 1), scale=one, label=one)
    >>> register_task(OneCloud)().kind
    'one-cloud'
    """
    if not isinstance(task, type) or not issubclass(task, Task):
        raise InputError(f"register_task({shown(task)}) is not allowed; give a subclass of curriculode.Task")
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
