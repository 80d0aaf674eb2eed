"""Checks of arguments, shared by all public functions: each returns the value as the type that is used, or raises `InputError`."""

import math
from typing import Any

import numpy as np

from curriculode.theory.core.errors import InputError


def plain(value: Any) -> Any:
    """A value as Python's own types: numpy scalars as numbers, arrays, series, tuples as lists, mappings as dicts."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ma.MaskedArray) and value.mask is not np.ma.nomask and np.any(value.mask):
        raise InputError("a masked array has values that are missing; fill them in first, or leave them out")
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "__array__") and not isinstance(value, type) and hasattr(value, "tolist"):  # arrays, pandas Series and Index
        return plain(np.asarray(value).tolist())
    return value


def whole_number(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value` as an int, where it is a whole number within the limits; 1e3 is one.

    >>> whole_number("runs", 1e3)
    1000
    """
    number = plain(value)
    whole = isinstance(number, int) or (isinstance(number, float) and math.isfinite(number) and number == int(number))
    if not whole or isinstance(number, bool) or number < least or (most is not None and number > most):
        upper = f" and at most {most}" if most is not None and whole and number > most else ""
        raise InputError(f"{name} = {value!r} is not allowed; it must be a whole number of at least {least}{upper}")
    return int(number)


def number_within(name: str, value: Any, low: float, high: float, words: str) -> float:
    """`value` as a float, where it is a number in [low, high); `words` says what is allowed."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not low <= number < high:
        raise InputError(f"{name} = {value!r} is not allowed; {words}")
    return float(number)


def truth(name: str, value: Any) -> bool:
    """`value` as a bool, where it is one."""
    if not isinstance(plain(value), bool):
        raise InputError(f"{name} = {value!r} is not allowed; it must be True or False")
    return bool(value)


def checked_seed(seed: Any) -> np.random.SeedSequence:
    """A SeedSequence from a seed, or `InputError`."""
    if isinstance(seed, np.random.SeedSequence):
        return seed
    try:
        return np.random.SeedSequence(whole_number("seed", seed, 0))
    except InputError:
        raise InputError(f"seed = {seed!r} is not allowed; it must be a whole number of at least 0") from None
