"""Observables of a user's own: numbers read off a state, for every record, comparison, sweep and picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.core.registry import Registry
from curriculode.theory.tasks import Task

if TYPE_CHECKING:
    from curriculode.theory.describe.experiment import Experiment
    from curriculode.theory.describe.order_parameters import OrderParameters

_BUILT_IN = ("generalization_error", "classification_error", "covered_clusters", "specialization")


@dataclass(frozen=True)
class Observable:
    """A scalar observable.

    function : of an `OrderParameters`, or of that and the experiment, to a number;  tasks : kinds it is for, None for all
    tested : whether `compare` holds theory against simulation in it (not where it jumps);  label : for axes
    """

    name: str
    function: Callable[..., float]
    tasks: tuple[str, ...] | None
    tested: bool
    label: str
    module: str

    def of(self, state: "OrderParameters", experiment: "Experiment") -> float:
        """The value at a state."""
        return float(self.function(state, experiment) if self._takes_experiment else self.function(state))

    @property
    def _takes_experiment(self) -> bool:
        return len(signature(self.function).parameters) > 1


OBSERVABLES: Registry[Observable] = Registry("observable")


@checked(name=inside, function=inside, tasks=inside)
def register_observable(
    name: str,
    function: Callable[..., float] | None = None,
    *,
    tasks: Sequence[str] | str | None = None,
    tested: bool = True,
    label: str = "",
) -> Any:
    """Make an observable of your own known by its name; without a `function`, a decorator.

    Parameters
    ----------
    name : str
        A new one, of letters, digits and underscores.
    function : callable, optional
        Of a state (`OrderParameters` with Q, M, v), or of a state and its experiment, to a number.
    tasks : str or sequence of str, optional
        Kinds of task it is for, by default all.
    tested : bool, default True
        Whether `compare` tests theory by it (not where it jumps).
    label : str, optional
        For axes, by default the name.

    Returns
    -------
    callable
        The function; without one, the decorator.

    Raises
    ------
    InputError
        For what is no function and for a name that is taken.

    Examples
    --------
    >>> import numpy as np
    >>> _ = register_observable("largest_weight", lambda state: np.sqrt(np.diagonal(state.Q, axis1=-2, axis2=-1)).max(),
    ...                         tasks="xor-mixture", label="largest length of a unit")
    >>> from curriculode import load
    >>> "largest_weight" in observable_names(load("xor-curriculum").task)
    True
    """
    if not isinstance(name, str) or not name.isidentifier() or name in _BUILT_IN:
        raise InputError(f"observable {shown(name)} cannot be registered; give a new name of letters, digits and underscores")
    if function is None:
        return lambda given: register_observable(name, given, tasks=tasks, tested=tested, label=label)
    if not callable(function):
        raise InputError(f"register_observable({shown(name)}, {shown(function)}) is not allowed; give a function of a state")
    if tasks is not None and not (isinstance(tasks, Sequence) and all(isinstance(kind, str) for kind in tasks)):
        raise InputError(
            f"tasks = {shown(tasks)} is not allowed; give the kind of a task, such as 'xor-mixture', or a list of them"
        )
    kinds = None if tasks is None else (tasks,) if isinstance(tasks, str) else tuple(tasks)
    module = getattr(function, "__module__", "") or ""
    return OBSERVABLES.add(
        name, Observable(name, function, kinds, bool(tested), label or name.replace("_", " "), module), module
    ).function


def observable_names(task: Task) -> list[str]:
    """The scalar observables of a task: its own, and those registered for it."""
    own = list(task.observable_names)
    return own + [each.name for each in OBSERVABLES.values() if each.tasks is None or task.kind in each.tasks]


def scalar_names(task: Task) -> list[str]:
    """The scalar observables of a task, and the accuracy where it has a classification error."""
    names = observable_names(task)
    return [*names, "accuracy"] if "classification_error" in names else names


def registered_values(observable: Observable, experiment: "Experiment", Q: np.ndarray, M: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The values of an observable at states with any leading axes; NaN where a state is not finite."""
    from curriculode.theory.describe.order_parameters import OrderParameters

    result = np.full(v.shape[:-1], np.nan)
    for index in np.ndindex(result.shape):
        if np.isfinite(v[index]).all() and np.isfinite(Q[index]).all() and np.isfinite(M[index]).all():
            try:
                result[index] = observable.of(OrderParameters(Q[index], M[index], v[index]), experiment)
            except (TypeError, ValueError, ArithmeticError, IndexError) as error:
                raise InputError(
                    f"observable {observable.name!r} fails at a state ({type(error).__name__}: {error}); it must return a number"
                ) from error
    return result
