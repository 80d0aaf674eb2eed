"""Units of a user's own: compiled once into a function that kernels call by its address, and checked on a grid.

Kernels know a unit by a whole number. For a built-in unit it picks a branch; for a user's it is the address of a compiled function,
a value of run time: no kernel is compiled anew for it, and none that is cached on disk holds it.
"""

import types as python
from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, is_jitted

from curriculode.theory.core.errors import InputError, shown

Function = Callable[[float], float]
Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
_REAL = types.CPointer(types.float64)
_SIGNATURE = types.void(_REAL, _REAL, _REAL, _REAL, types.int64, types.boolean)
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"reassoc", "contract"}}
_STEP = 1e-3  # of the five-point rule: leaves 1e-13 of a unit whose derivatives are of order one
_alive: list[Any] = []  # an address is good for as long as its function lives: for ever


def _call_by_address(context, address, x, g, dg, d2g):
    """Call the unit at `address` for contiguous arrays x, g, dg of one size; d2g is a fourth, or None for no g''."""
    arrays = [a for a in (x, g, dg, d2g) if isinstance(a, types.Array) and a.layout == "C" and a.dtype == types.float64]
    if len(arrays) < (3 if isinstance(d2g, types.NoneType) else 4):
        raise numba.TypingError("a unit called by its address takes contiguous arrays of floats")

    def generate(context, builder, signature, arguments):
        pointer, size = ir.DoubleType().as_pointer(), ir.IntType(64)
        function = ir.FunctionType(ir.VoidType(), [pointer] * 4 + [size, ir.IntType(8)])
        values = [context.make_array(a)(context, builder, v) for a, v in zip(arrays, arguments[1:], strict=False)]
        places = [value.data for value in values] + [values[0].data] * (4 - len(values))
        code = context.cast(builder, arguments[0], signature.args[0], types.int64)
        called = builder.inttoptr(code, function.as_pointer())
        builder.call(called, [*places, values[0].nitems, ir.IntType(8)(int(len(values) == 4))])
        return context.get_dummy_value()

    return types.void(address, x, g, dg, d2g), generate


call_by_address: Any = intrinsic(_call_by_address)


def _compiled(name: str, what: str, function: Function) -> Any:
    """A function float -> float, compiled, or `InputError`."""
    if not callable(function):
        raise InputError(f"activation {name!r}: {what} = {shown(function)} is not allowed; give a function of one number")
    jitted: Any = function
    if not is_jitted(function):
        # What is no Python function, as math.tanh, is known to the compiler as a name inside one.
        plain = function if isinstance(function, python.FunctionType) else lambda x: function(x)
        jitted = numba.njit(**_OPTIONS)(plain)
    try:
        jitted.compile((types.float64,))
        result = jitted.overloads[(types.float64,)].signature.return_type
    except Exception:
        raise InputError(
            f"activation {name!r}: {what} cannot be compiled; write it as a function of one number, with arithmetic and the "
            "functions of math and numpy alone"
        ) from None
    if not isinstance(result, (types.Float, types.Integer, types.Boolean)):
        raise InputError(f"activation {name!r}: {what} must return a number, not {result}")
    return jitted


def compile_unit(name: str, g: Function, derivative: Function, second_derivative: Function | None) -> int:
    """The address of a function that writes g, g', g'' of an array; g'' by a five-point difference of g' where it is not given."""
    value, slope = _compiled(name, "g", g), _compiled(name, "derivative", derivative)
    if second_derivative is None:

        @numba.njit(**_OPTIONS)
        def curvature(x):
            near = slope(x + _STEP) - slope(x - _STEP)
            far = slope(x + 2.0 * _STEP) - slope(x - 2.0 * _STEP)
            return (8.0 * near - far) / (12.0 * _STEP)

    else:
        curvature = _compiled(name, "second_derivative", second_derivative)

    def unit(x, g, dg, d2g, n, curved):
        xs, values, slopes = numba.carray(x, n), numba.carray(g, n), numba.carray(dg, n)
        # A function of a user's that raises ends the loop: what it leaves must not look like a value.
        values[:] = np.nan
        slopes[:] = np.nan
        if curved:
            numba.carray(d2g, n)[:] = np.nan
        for i in range(n):
            values[i] = value(xs[i])
            slopes[i] = slope(xs[i])
        if curved:
            curvatures = numba.carray(d2g, n)
            for i in range(n):
                curvatures[i] = curvature(xs[i])

    compiled: Any = numba.cfunc(_SIGNATURE, **_OPTIONS)(unit)
    _alive.append(compiled)
    return int(compiled.address)


def is_own_unit(code: int) -> bool:
    """Whether that is the address of a unit of the user's."""
    return any(compiled.address == code for compiled in _alive)


def module_of(*functions: Any) -> str:
    """The module in which the first of the functions that is Python's own is written."""
    for function in functions:
        function = getattr(function, "py_func", function)
        if isinstance(function, python.FunctionType):
            return function.__module__
    return "__main__"


def checked_kinks(name: str, kinks: Mapping[float, float] | None) -> tuple[tuple[float, float], ...]:
    """(place, jump) of each kink in order, or `InputError`."""
    if kinks is None:
        return ()
    try:
        pairs = tuple(sorted((float(place), float(jump)) for place, jump in kinks.items()))
    except (AttributeError, TypeError, ValueError, OverflowError):
        pairs = ((np.nan, np.nan),)
    if not np.isfinite(np.array(pairs)).all() or any(jump == 0 for _, jump in pairs):
        raise InputError(
            f"activation {name!r}: kinks = {shown(kinks)} is not allowed; give the jump of the derivative at each place where it "
            "jumps, such as {0.0: 0.9}"
        )
    return pairs


def check_unit(name: str, evaluate: Evaluate, kinks: tuple[tuple[float, float], ...], odd: bool, given: bool) -> None:
    """Raise `InputError` unless g, g' and, where it is `given`, g'' of [-6, 6] are finite and belong together, kinks included."""
    grid = np.linspace(-6.0, 6.0, 401)
    places = np.array([place for place, _ in kinks])
    rows = dict(zip(("g", "derivative", "second_derivative"), evaluate(grid), strict=True))
    for what, values in rows.items():
        if not np.isfinite(values).all():
            i = int(np.argmin(np.isfinite(values)))
            raise InputError(f"activation {name!r}: {what}({_at(grid[i])}) = {values[i]}; it must be finite")
    _check_jumps(name, evaluate, grid, places)
    step = 1e-6
    for place, jump in kinks:
        left, right = (row[0] for row in (np.array(evaluate(np.array([place + s * step])))[1] for s in (-1.0, 1.0)))
        if abs(right - left - jump) > 1e-4 * max(1.0, abs(jump)):
            raise InputError(
                f"activation {name!r}: derivative jumps by {right - left:.6g} at {_at(place)}, not {jump:.6g}; mend kinks"
            )
    x = grid if places.size == 0 else grid[np.abs(grid[:, None] - places).min(axis=1) > 1e-3]
    step = 1e-5
    here, above, below = (np.array(evaluate(x + s * step)) for s in (0.0, 1.0, -1.0))
    slopes = (above - below) / (2.0 * step)
    _check_slope(name, "derivative", "g", x, here[1], slopes[0], np.abs(here[0]))
    if given:
        _check_slope(name, "second_derivative", "derivative", x, here[2], slopes[1], np.abs(here[1]))
    mirror = rows["g"] + rows["g"][::-1]
    if odd and np.abs(mirror).max() > 1e-9 * max(1.0, np.abs(rows["g"]).max()):
        i = int(np.argmax(np.abs(mirror)))
        raise InputError(f"activation {name!r} is not odd: g({_at(grid[i])}) + g({_at(-grid[i])}) = {mirror[i]:.6g}; leave odd out")


def _at(x: float) -> str:
    return f"{round(float(x), 9) + 0.0:.6g}"


def _check_slope(name: str, what: str, of: str, x: np.ndarray, given: np.ndarray, slope: np.ndarray, scale: np.ndarray) -> None:
    off = np.abs(given - slope) / np.maximum(1.0, np.maximum(scale, np.abs(given)))
    i = int(np.argmax(off))
    if off[i] > 1e-5:
        remedy = "give the derivative of g" if of == "g" else "give its derivative"
        raise InputError(
            f"activation {name!r}: {what}({_at(x[i])}) = {given[i]:.6g}, but {of} rises there by {slope[i]:.6g} a unit; {remedy}"
        )


def _check_jumps(name: str, evaluate: Evaluate, grid: np.ndarray, places: np.ndarray) -> None:
    """Follow the steeper half of each panel down to rounding: what still rises there is a jump, known or not."""
    for order, what in enumerate(("g", "derivative")):
        left, right = grid[:-1].copy(), grid[1:].copy()
        for _ in range(40):
            middle = 0.5 * (left + right)
            a, m, b = (evaluate(x)[order] for x in (left, middle, right))
            first = np.abs(m - a) > np.abs(b - m)
            left, right = np.where(first, left, middle), np.where(first, middle, right)
        jump = evaluate(right)[order] - evaluate(left)[order]
        found = np.abs(jump) > 1e-6 * np.maximum(1.0, np.abs(evaluate(right)[order]))
        if places.size and what == "derivative":
            found &= np.abs(right[:, None] - places).min(axis=1) > 1e-6
        if found.any():
            i = int(np.argmax(found))
            place, size = _at(right[i]), f"{jump[i]:.6g}"
            remedy = "an activation must be continuous" if what == "g" else f"name it, as kinks={{{place}: {size}}}"
            raise InputError(f"activation {name!r}: {what} jumps by {size} at {place}; {remedy}")
