"""What a table of a sweep says at each place: means over seeds, and gaps between two orders, paired by seed, with their test."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr

from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_ORDER = "protocol.order"
_NO_VALUES = ("seed", "status", "seconds")


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
    gap : two orders, such as ("curriculum", "random"): then value is that of the first minus that of the second, each seed by
        itself, which both orders share
    where : values of the parameters that vary beside `by`, such as {"student.width": 4}

    Returns the columns `by`, then `value` (mean over the seeds that did not fail), `standard_error`, `seeds` (their number),
    `failed` (number of seeds that failed, in either order), and for a gap `p_value`: two-sided, of Student's paired t test against
    no gap; NaN for fewer than two seeds.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"student.width": [4, 4], "protocol.order": "random", "seed": [0, 1], "error": [0.1, 0.3],
    ...                       "failed": False})
    >>> average(table, ["student.width"], "error")["value"].round(3).tolist()
    [0.2]
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame) or not {"seed", "failed"} <= set(table.columns):
        raise InputError("this is no table of a sweep, which has the columns seed and failed; give what sweep returns, or its CSV")
    parameters = list(table.columns[: list(table.columns).index("seed")])
    whole = table["failed"].dtype == bool and not table[[*parameters, "seed"]].isna().any(axis=None)
    if len(table) and not whole:
        raise InputError("the table has rows that are not complete (it may be truncated, or changed); make it anew from its store")
    columns = [name for name in table.columns if name not in (*parameters, *_NO_VALUES)]
    if value not in columns and f"{value}_simulation" in columns:
        value = f"{value}_simulation"
    if value not in columns:
        raise InputError(unknown("value", str(value), columns))
    for name in [*by, *(where or {})]:
        if name not in parameters:
            raise InputError(unknown("parameter", str(name), parameters))
    chosen = table
    for name, wanted in (where or {}).items():
        chosen = chosen[chosen[name] == wanted]
        if chosen.empty:
            values = ", ".join(str(v) for v in sorted(table[name].unique()))
            raise InputError(f"the table has no row with {name} = {wanted!r}; its values are {values}")
    if gap is not None:
        orders = sorted(chosen[_ORDER].unique()) if _ORDER in parameters else []
        if isinstance(gap, str) or len(gap) != 2 or gap[0] == gap[1] or not set(gap) <= set(orders):
            raise InputError(f"gap = {gap!r} is not allowed; give two different orders of the table, which has {', '.join(orders)}")
        chosen = chosen[chosen[_ORDER].isin(gap)]
    for name in parameters:
        if name not in by and not (gap is not None and name == _ORDER) and chosen[name].nunique() > 1:
            values = ", ".join(str(v) for v in sorted(chosen[name].unique()))
            remedy = " or two of them as a gap" if name == _ORDER else ""
            raise InputError(f"the table also varies in {name} ({values}); choose one with where{remedy}")
    number = chosen[value].astype(float) if value == "failed" else chosen[value].where(~chosen["failed"]).astype(float)
    flat = chosen[[*by, "seed"]].assign(number=number, failed=chosen["failed"])
    if gap is not None:
        first, second = (flat[chosen[_ORDER] == order] for order in gap)
        both = first.merge(second, on=[*by, "seed"], suffixes=("_1", "_2"))
        flat = both[[*by, "seed"]].assign(number=both["number_1"] - both["number_2"], failed=both["failed_1"] | both["failed_2"])
    groups = flat.groupby(list(by), sort=True)
    result = groups.agg(value=("number", "mean"), spread=("number", "std"), seeds=("number", "count"), failed=("failed", "sum"))
    result["standard_error"] = result.pop("spread") / np.sqrt(result["seeds"])
    result = result.reset_index()[[*by, "value", "standard_error", "seeds", "failed"]]
    if gap is not None:
        result["p_value"] = _p_value(*(result[name].to_numpy(dtype=float) for name in ("value", "standard_error", "seeds")))
    return result


def _p_value(mean: np.ndarray, error: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Two-sided p-value of Student's t test of `mean` against 0; seeds that all agree to the last bit leave no doubt."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(mean == 0.0, 0.0, np.abs(mean) / error)
    p = 2 * stdtr(np.maximum(count - 1, 1), -t)
    return np.where(count >= 2, p, np.nan)
