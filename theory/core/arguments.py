"""One validation of the arguments of all public functions, by their names: what is called `runs` is a number of runs everywhere.

    @checked
    def simulate(experiment, *, dimension, runs=32): ...

calls the check of each argument that is given, from the table `CHECKS` or from what the decorator is told, and the function gets
what the check returns: `runs = 1e3` as the int 1000. An argument without a check is an error of the package, found on import, so
that a new verb is validated whatever its author thought of; names that a module brings along (`experiment`, `numerics`) are added
to the table by it.
"""

from collections.abc import Callable
from functools import partial, wraps
from inspect import Parameter, signature
from typing import Any, TypeVar, overload

from curriculode.theory.core import checks
from curriculode.theory.core.errors import InputError, shown

Check = Callable[[str, Any], Any]  # of the argument's name and value: the value that is used, or `InputError`
Function = TypeVar("Function", bound=Callable[..., Any])


def inside(name: str, value: Any) -> Any:
    """No check here: the function itself tells what is allowed."""
    return value


def instance(kind: type | tuple[type, ...], words: str) -> Check:
    """Check that a value is an instance of a class; `words` says what to give."""

    def check(name: str, value: Any) -> Any:
        if not isinstance(value, kind):
            raise InputError(f"{name} = {shown(value)} is not allowed; {words}")
        return value

    return check


def whole(least: int = 1, most: int = checks.MOST) -> Check:
    """Check that a value is a whole number within limits."""
    return lambda name, value: checks.whole_number(name, value, least, most)


MOST_RUNS = 10**8
CHECKS: dict[str, Check] = {
    "dimension": checks.dimension_of_inputs,
    "runs": whole(1, MOST_RUNS),
    "starts": whole(1, MOST_RUNS),
    "first": whole(0),
    "number": whole(0),
    "run": whole(0),
    "time": whole(-checks.MOST),
    "most": whole(),
    "slices": whole(),
    "width": whole(),
    "default": whole(2),
    "seed": checks.seed_of_all,
    "t": checks.number,
    "tolerance": checks.number,
    "duration": checks.number,
    "learning_rate": checks.number,
    "progress": checks.told,
    "name": checks.text,
    "level": checks.text,
    "text": checks.text,
    "source": checks.text,
    "label": checks.text,
    "formula": checks.text,
    "kind": checks.text,
    "path": checks.file_name,
    "overwrite": checks.truth,
    "pairs": checks.truth,
    "order_parameters": checks.truth,
    "readout_trained": checks.truth,
    "tested": checks.truth,
    "odd": checks.truth,
    "ax": inside,  # matplotlib's own
}


@overload
def checked(function: Function, /) -> Function: ...
@overload
def checked(**own: Check) -> Callable[[Function], Function]: ...
def checked(function: Any = None, /, **own: Check) -> Any:
    """Decorator: the function with its arguments checked by their names; `own` are checks for this function alone.

    None is allowed where it is the default; **options are the function's own affair.
    """
    if function is None:
        return partial(checked, **own)
    names, table = [], {}
    for name, parameter in signature(function).parameters.items():
        if name in ("self", "cls") or parameter.kind is Parameter.VAR_KEYWORD:
            names.append(name)
            continue
        if name not in own and name not in CHECKS:
            raise TypeError(f"argument {name} of {function.__qualname__} has no check; tell `checked`, or add it to CHECKS")
        check = own.get(name) or CHECKS[name]
        table[name] = _or_none(check) if parameter.default is None else check
        names.append(name)

    @wraps(function)
    def verified(*args: Any, **kwargs: Any) -> Any:
        if args:
            given = [table[name](name, value) if name in table else value for name, value in zip(names, args, strict=False)]
            args = (*given, *args[len(given) :])  # too many are told by Python itself
        for name, value in kwargs.items():
            if name in table:
                kwargs[name] = table[name](name, value)
        return function(*args, **kwargs)

    verified.is_checked = True  # type: ignore[attr-defined]
    return verified


def _or_none(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)
