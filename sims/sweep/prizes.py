"""Where a treatment of what was pruned wins: differences between treatments at each place of a sweep, paired by network."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.sweep.average import average, checked_significance
from curriculode.theory.core.arguments import checked, inside

if TYPE_CHECKING:
    import pandas as pd


# The table and what is read off it are checked by `average`.
@checked(**dict.fromkeys(["table", "by", "one", "other", "value", "where", "significance"], inside))
def prizes(
    table: "pd.DataFrame",
    by: Sequence[str] | str,
    one: str = "ticket",
    other: str = "reinit",
    value: str = "classification_error",
    *,
    where: Mapping[str, Any] | None = None,
    significance: float = 0.05,
) -> "pd.DataFrame":
    """Test at each place of a sweep whether one treatment ends below another: where the ticket has won the lottery.

    The difference other - one of an error is positive where `one` has won. Both are of the same networks: d_s is that of seed s,
    and Student's t of mean(d)/(std(d)/sqrt(n)) with n - 1 degrees of freedom tells whether it is chance. Each place is a test by
    itself: of m places without any difference significance * m are expected to be called won or lost.

    Parameters
    ----------
    table : DataFrame
        Of `sweep` with a pruning, or read from its CSV.
    by : sequence of str
        The varied parameters: "training.learning_rate", "protocol.duration", "training.weight_decay", "pruning.keep",
        "pruning.rewind", "student.width", "protocol.order" ...
    one, other : str, default "ticket" and "reinit"
        Treatments; or "dense".
    value : str, default "classification_error"
        The column that is compared, better where it is smaller.
    where : mapping of str to value, optional
        Values of what else varies.
    significance : float, default 0.05
        Of the test, in (0, 1).

    Returns
    -------
    DataFrame
        One row a place: `by`, the mean `difference`, `standard_error`, `p_value`, `seeds`, `failed` and `wins`: the name of the
        treatment that has won, or "" where it may be chance.

    Raises
    ------
    InputError
        For what the table has not, and where it varies in more than `by`.

    Examples
    --------
    >>> from curriculode import Pruning, load, prizes, sweep
    >>> experiment = load("xor-tickets").replace({"protocol.duration": 1.0})
    >>> grid = {"pruning.keep": [0.1, 0.5]}
    >>> table = sweep(experiment, grid, pruning=Pruning(keep=0.1), dimension=100, seeds=2, points=64, workers=1)
    >>> prizes(table, "pruning.keep")["seeds"].tolist()
    [2, 2]
    """
    level = checked_significance(significance)
    found = average(table, by, value, gap=(other, one), where=where).rename(columns={"value": "difference"})
    sure = found["p_value"] <= level
    found["wins"] = np.select([sure & (found["difference"] > 0), sure & (found["difference"] < 0)], [one, other], "")
    return found
