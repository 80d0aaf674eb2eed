"""What a table of a sweep says at each place: means over seeds, and gaps between two orders, paired by seed, with their test."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr

from curriculode.sims.sweep.tables import (
    checked_name,
    checked_orders,
    checked_table,
    checked_values,
    chosen_rows,
    in_order,
    shown,
    some,
)
from curriculode.theory.core.checks import plain
from curriculode.theory.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_PAIRED = ("protocol.order", "treatment")  # parameters of which two values are a gap: those of a pair share their seeds


def average(
    table: "pd.DataFrame",
    by: Sequence[str],
    value: str,
    *,
    gap: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
) -> "pd.DataFrame":
    """One row for each combination of the parameters `by`: the mean of a column over the seeds, or a gap between two orders.

    table : of `sweep`, or read from its CSV
    value : a column, such as "classification_error"; "failed" for the fraction of seeds that failed
    gap : two orders, such as ("curriculum", "random"), or two treatments of what was pruned, such as ("reinit", "ticket"): then
        value is that of the first minus that of the second, each seed by itself, which both share
    where : values of the parameters that vary beside `by`, such as {"student.width": 4}

    Returns the columns `by`, then `value` (mean over the seeds that did not fail), `standard_error`, `seeds` (their number),
    `failed` (number of seeds that failed or have no finite value, in either order), and for a gap `p_value`: two-sided, of
    Student's paired t test against no gap; NaN for fewer than two seeds. Rows that stand there twice are refused, since each would
    count as a seed of its own.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"student.width": [4, 4], "protocol.order": "random", "seed": [0, 1], "error": [0.1, 0.3],
    ...                       "failed": False})
    >>> average(table, ["student.width"], "error")["value"].round(3).tolist()
    [0.2]
    """
    import pandas as pd

    table, parameters, columns = checked_table(table)
    if isinstance(value, str) and value not in columns and f"{value}_simulation" in columns:
        value = f"{value}_simulation"
    value = checked_name("value", value, columns)
    given = [by] if isinstance(by, str) else by
    names = [checked_name("parameter", name, parameters) for name in (given if isinstance(given, (list, tuple)) else [])]
    if not names or len(set(names)) < len(names):
        raise InputError(f"by = {shown(by)} is not allowed; give different parameters of the table: {some(parameters)}")
    chosen = chosen_rows(table, parameters, where)
    paired = ""
    if gap is not None:
        known = {name: set(chosen[name].unique()) for name in _PAIRED if name in parameters}
        gap = checked_orders(gap, set().union(*known.values()))
        paired = next((name for name, values in known.items() if set(gap) <= values), "")
        if not paired:
            raise InputError(f"gap = {shown(gap)} is not allowed; one of them is an order and one a treatment: give two of a kind")
        chosen = chosen[chosen[paired].isin(gap)]
    for name in parameters:
        if name not in names and name != paired and chosen[name].nunique() > 1:
            remedy = " or two of them as a gap" if name in _PAIRED else ""
            values = some(in_order(chosen[name].unique()))
            raise InputError(f"the table also varies in {name} ({values}); choose one with where{remedy}")
    failed = chosen["failed"]
    number = chosen["failed"].astype(float)
    if value != "failed":
        number = pd.Series(checked_values(chosen[value]), index=chosen.index).mask(failed)
        failed = number.isna()
    flat = chosen[[*names, "seed"]].assign(number=number, failed=failed)
    if gap is not None:
        first, second = (flat[chosen[paired] == order] for order in gap)
        both = first.merge(second, on=[*names, "seed"], suffixes=("_1", "_2"))
        if both.empty:
            raise InputError(f"orders {shown(gap[0])} and {shown(gap[1])} share no seed at any place; a gap is paired by seed")
        flat = both[[*names, "seed"]].assign(number=both["number_1"] - both["number_2"], failed=both["failed_1"] | both["failed_2"])
    groups = flat.groupby(names, sort=True)
    result = groups.agg(value=("number", "mean"), spread=("number", "std"), seeds=("number", "count"), failed=("failed", "sum"))
    result["standard_error"] = result.pop("spread") / np.sqrt(result["seeds"])
    result = result.reset_index()[[*names, "value", "standard_error", "seeds", "failed"]]
    if gap is not None:
        result["p_value"] = _p_value(*(result[name].to_numpy(dtype=float) for name in ("value", "standard_error", "seeds")))
    return result


def checked_significance(given: Any) -> float:
    """The level of a test as a number in (0, 1), or `InputError`."""
    number = plain(given)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number < 1:
        raise InputError(f"significance = {shown(given)} is not allowed; it lies between 0 and 1, such as 0.05")
    return float(number)


def _p_value(mean: np.ndarray, error: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Two-sided p-value of Student's t test of `mean` against 0; seeds that all agree to the last bit leave no doubt."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(mean == 0.0, 0.0, np.abs(mean) / error)
    p = 2 * stdtr(np.maximum(count - 1, 1), -t)
    return np.where(count >= 2, p, np.nan)
