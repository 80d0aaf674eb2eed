"""Checks of arguments, shared by all public functions: each returns the value as the type that is used, or raises `InputError`."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from curriculode.theory.core.errors import InputError, shown

MOST = 10**15  # of whatever is counted, and of D: beyond, 1/D is lost to rounding
_MOST_SEED = 2**128  # as many as numpy draws itself
_PLAIN = (int, float, str, bool, type(None))


def plain(value: Any) -> Any:
    """A value as Python's own types: numpy scalars as numbers, arrays, series, tuples as lists, mappings as dicts."""
    if type(value) in _PLAIN:
        return value
    try:
        return _plain(value)
    except RecursionError:
        raise InputError("a list or table is nested too deeply; give one of a few levels") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ma.MaskedArray):
        check_unmasked(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if hasattr(value, "__array__") and not isinstance(value, type) and hasattr(value, "tolist"):  # arrays, pandas Series and Index
        return _plain(np.asarray(value).tolist())
    return value


def check_unmasked(value: Any) -> None:
    """Raise `InputError` for an array with values that are masked: under the mask anything may stand."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        raise InputError("a masked array has values that are missing; fill them in first, or leave them out")


def numbers(name: str, value: Any, finite: bool = True) -> np.ndarray:
    """`value` as an array of floats, where it is one of numbers: neither text, truth values nor anything masked or complex."""
    try:
        check_unmasked(value)
        array = np.asarray(value)
        if not isinstance(value, np.ndarray) and array.size and _has_truth(value):
            raise TypeError
        if array.dtype.kind == "O":  # whole numbers beyond 64 bits, or anything at all
            array = np.array([_number(item) for item in array.ravel()], dtype=float).reshape(array.shape)
        if array.dtype.kind not in "iuf" and array.size:
            raise TypeError
        array = np.array(array, dtype=float)
    except InputError:
        raise
    except Exception:  # whatever numpy, or an object's own way to become an array, makes of it
        raise InputError(f"{name} = {shown(value)} is not allowed; it must be an array of numbers") from None
    if finite and not np.isfinite(array).all():
        raise InputError(f"{name} has entries that are not finite numbers; give finite ones")
    return array


def _has_truth(value: Any) -> bool:
    """Whether True or False stands among numbers, which numpy takes for 1 and 0."""
    if isinstance(value, (list, tuple)):
        return any(_has_truth(item) for item in value)
    return isinstance(value, (bool, np.bool_))


def _number(item: Any) -> float:
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise TypeError
    return float(item)


def whole_number(name: str, value: Any, least: int = 1, most: int | None = MOST) -> int:
    """`value` as an int, where it is a whole number within the limits; 1e3 is one.

    >>> whole_number("runs", 1e3)
    1000
    """
    number = plain(value)
    whole = isinstance(number, int) or (isinstance(number, float) and math.isfinite(number) and number == int(number))
    if not whole or isinstance(number, bool) or number < least or (most is not None and number > most):
        upper = f" and at most {most}" if most is not None and whole and number > most else ""
        raise InputError(f"{name} = {shown(value)} is not allowed; it must be a whole number of at least {least}{upper}")
    return int(number)


def dimension_of_inputs(name: str, value: Any) -> int:
    """`value` as the number D of inputs, from 1 to 10^15."""
    number = plain(value)
    if isinstance(number, (int, float)) and not isinstance(number, bool) and number > MOST:
        size = f"{number:g}" if isinstance(number, float) or number < 10**30 else shown(number)
        raise InputError(f"{name} = {size} is not allowed; D is at most 10^15, beyond which 1/D is lost to rounding")
    return whole_number(name, number)


def number_within(name: str, value: Any, low: float, high: float, words: str) -> float:
    """`value` as a float, where it is a number in [low, high); `words` says what is allowed."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not low <= number < high or abs(number) >= 2**1023:
        raise InputError(f"{name} = {shown(value)} is not allowed; {words}")
    return float(number)


def number(name: str, value: Any) -> float:
    """`value` as a float, where it is a finite number."""
    return number_within(name, value, -1e300, 1e300, "give a finite number")


def truth(name: str, value: Any) -> bool:
    """`value` as a bool, where it is one."""
    if not isinstance(plain(value), bool):
        raise InputError(f"{name} = {shown(value)} is not allowed; it must be True or False")
    return bool(value)


def text(name: str, value: Any) -> str:
    """`value` where it is a text."""
    if not isinstance(value, str):
        raise InputError(f"{name} = {shown(value)} is not allowed; it must be a text")
    return value


def file_name(name: str, value: Any) -> Path:
    """`value` as a path, where it can be one."""
    try:
        path = Path(value)
        if isinstance(value, type) or b"\0" in os.fsencode(path):
            raise ValueError
    except (TypeError, ValueError):  # no text, or one that no file system can write
        raise InputError(f"{name} = {shown(value)} is not allowed; give the name of a file, such as 'run.npz'") from None
    return path


def function(name: str, value: Any) -> Callable[..., Any]:
    """`value` where it can be called."""
    if not callable(value):
        raise InputError(f"{name} = {shown(value)} is not allowed; give a function")
    return value


def told(name: str, value: Any) -> Any:
    """`value` where progress can be told to it: True, False, None or a function."""
    if value is not None and not isinstance(value, bool) and not callable(value):
        raise InputError(f"{name} = {shown(value)} is not allowed; give True, False, or a function that is told how much is done")
    return value


def seed_of_all(name: str, value: Any) -> int | np.random.SeedSequence:
    """`value` where it is a seed: a whole number from 0 to 2^128 - 1, or a SeedSequence."""
    if isinstance(value, np.random.SeedSequence):
        return value
    try:
        return whole_number(name, value, 0, _MOST_SEED - 1)
    except InputError:
        raise InputError(
            f"{name} = {shown(value)} is not allowed; it must be a whole number of at least 0 (and below 2^128)"
        ) from None


def checked_seed(seed: Any) -> np.random.SeedSequence:
    """A SeedSequence from a seed, or `InputError`."""
    found = seed_of_all("seed", seed)
    return found if isinstance(found, np.random.SeedSequence) else np.random.SeedSequence(found)
