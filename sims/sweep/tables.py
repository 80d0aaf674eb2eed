"""Tables of sweeps, whoever wrote them: checked to be complete, unique and made of numbers before anything is averaged."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.theory.core.checks import plain
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_NO_VALUES = ("seed", "status", "seconds")
_OWN = ("value", "standard_error", "seeds", "failed", "p_value", "number", "spread")  # columns of means
_LARGEST = 1e150  # squares of larger numbers are infinite


def shown(given: Any) -> str:
    """A value in a message, on one line and not long."""
    try:
        text = repr(given)
    except ValueError:  # a whole number of thousands of digits
        text = f"a {type(given).__name__}"
    return clipped(" ".join(text.split()))


def clipped(text: str, most: int = 60) -> str:
    """A text in a message, its beginning where it is long."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def some(values: Iterable[Any]) -> str:
    """The first of many values in a message."""
    texts = [clipped(" ".join(str(value).split()), 40) for value in values]
    count = len(texts)
    while len(", ".join(texts)) > 110:
        texts.pop()
    return ", ".join(texts) + (f", ... ({count} in all)" if len(texts) < count else "")


def in_order(values: Iterable[Any]) -> list[Any]:
    """Values of a parameter sorted, numbers before texts."""
    return sorted(values, key=lambda value: (isinstance(value, str), value))


def checked_name(what: str, given: Any, allowed: list[str]) -> str:
    """`given` as one of the allowed names, or `InputError`."""
    if not isinstance(given, str):
        raise InputError(f"{what} {shown(given)} is not allowed; give a name: {some(allowed)}")
    if given not in allowed:
        raise InputError(unknown(what, clipped(given), allowed, some(allowed)))
    return given


def checked_table(table: Any) -> tuple["pd.DataFrame", list[str], list[str]]:
    """A table of a sweep with plain columns, its parameters, and its columns of values; or `InputError`."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame) or not {"seed", "failed"} <= set(table.columns):
        raise InputError("this is no table of a sweep, which has the columns seed and failed; give what sweep returns, or its CSV")
    if twice := table.columns[table.columns.duplicated()].tolist():
        raise InputError(f"the table has the column {shown(twice[0])} twice; leave one out")
    table = table.reset_index(drop=True)
    names = list(table.columns)
    parameters = names[: names.index("seed")]
    if not len(table):
        raise InputError("the table has no rows, of which nothing can be told; give that of a sweep with finished points")
    if not all(isinstance(name, str) for name in names):
        raise InputError("the table has columns whose names are no texts; give what sweep returns, or its CSV")
    if taken := [name for name in parameters if name in _OWN]:
        raise InputError(f"the table has a parameter called {taken[0]!r}, which is a column of means; rename it")
    if not pd.api.types.is_bool_dtype(table["failed"]) or table[["failed", *parameters, "seed"]].isna().any(axis=None):
        raise InputError("the table has rows that are not complete (it may be truncated, or changed); make it anew from its store")
    table = table.assign(failed=table["failed"].astype(bool), **{name: _labels(table[name]) for name in (*parameters, "seed")})
    again = table.duplicated([*parameters, "seed"])
    if again.any():
        row = table[again].iloc[0]
        place = some(f"{name} = {row[name]}" for name in (*parameters, "seed"))
        raise InputError(
            f"the table has {int(again.sum())} rows twice (such as {place}), which would count as more seeds; give each once"
        )
    return table, parameters, [name for name in names if name not in (*parameters, *_NO_VALUES)]


def _labels(column: "pd.Series") -> "pd.Series":
    """A column of parameters with numpy's own type: numbers that are finite, texts, or true and false."""
    import pandas as pd

    name = str(column.name)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    kind = column.dtype.kind
    if kind in "iufb":
        if not isinstance(column.dtype, np.dtype):
            column = pd.Series(column.to_numpy(dtype={"i": "i8", "u": "u8", "f": "f8", "b": "?"}[kind]), name=name)
        numbers = column.to_numpy(dtype=float)
        if (far := ~(np.abs(numbers) <= _LARGEST)).any():
            raise InputError(f"the table has {name} = {numbers[far][0]}, which can be no place of a sweep; leave such rows out")
        return column
    wrong: list[Any] = []
    if column.dtype == object:
        wrong = [value for value in column if not isinstance(value, (str, bool, int, float, np.bool_, np.integer, np.floating))]
    elif not pd.api.types.is_string_dtype(column):
        wrong = column.tolist()
    if wrong:
        raise InputError(f"the table has {name} = {shown(wrong[0])}, which is neither number nor text; make it anew from its store")
    return column


def checked_values(column: "pd.Series") -> np.ndarray:
    """A column of results as floats, NaN where there is none or it is infinite; or `InputError` for what is no number."""
    import pandas as pd

    if column.dtype.kind in "iufb" and not isinstance(column.dtype, pd.CategoricalDtype):
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
    else:
        numbers = np.empty(len(column))
        for i, value in enumerate(column.tolist() if column.dtype.kind in "OUTmMc" else column):
            missing = value is None or value is pd.NA or value is pd.NaT
            if not missing and not isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
                raise InputError(f"column {shown(column.name)} holds {shown(value)}, which is no number; give a column of numbers")
            try:
                numbers[i] = np.nan if missing else float(value)
            except OverflowError:
                numbers[i] = np.inf
    numbers = np.where(np.isinf(numbers), np.nan, numbers)
    if (np.abs(numbers) > _LARGEST).any():
        raise InputError(f"column {shown(column.name)} holds numbers beyond {_LARGEST:g}, which have no mean; leave these rows out")
    return numbers


def chosen_rows(table: "pd.DataFrame", parameters: list[str], where: Any) -> "pd.DataFrame":
    """The rows of a checked table at the values `where` of parameters, or `InputError`."""
    import json

    if where is None:
        return table
    if not isinstance(where, Mapping):
        raise InputError(f"where = {shown(where)} is not allowed; give values by parameter, such as {{'student.width': 4}}")
    for given, value in where.items():
        name, wanted = checked_name("parameter", given, parameters), plain(value)
        values = table[name].unique()
        if isinstance(wanted, list):
            wanted = json.dumps(wanted)  # as it stands in the table
        if not isinstance(wanted, (str, bool, int, float)):
            raise InputError(f"where has {name} = {shown(value)}, which is not allowed; give one of {some(in_order(values))}")
        table = table[(table[name] == wanted).to_numpy(dtype=bool)]
        if table.empty:
            raise InputError(f"the table has no row with {name} = {shown(wanted)}; its values are {some(in_order(values))}")
    return table


def checked_orders(gap: Any, allowed: set[Any] | None = None) -> tuple[str, str]:
    """Two different orders, of those `allowed` in a table, or `InputError`."""
    orders = plain(gap)
    if not isinstance(orders, list) or len(orders) != 2 or not all(isinstance(o, str) for o in orders) or orders[0] == orders[1]:
        orders = []
    if not orders or (allowed is not None and not set(orders) <= allowed):
        words = ", such as ('curriculum', 'random')" if allowed is None else f" of the table, which has {some(in_order(allowed))}"
        raise InputError(f"gap = {shown(gap)} is not allowed; give two different orders{words}")
    return orders[0], orders[1]
