"""The odds of the attractors at each place of a sweep of states at rest."""

from typing import TYPE_CHECKING

import numpy as np

from curriculode.sims.sweep.settings import AT_REST
from curriculode.sims.sweep.tables import checked_table
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.errors import InputError
from curriculode.theory.landscape.kinds import kinds
from curriculode.theory.landscape.records import NOWHERE
from curriculode.theory.results.observations import wilson_interval

if TYPE_CHECKING:
    import pandas as pd

_ORDER = "protocol.order"


@checked(table=inside)
def odds(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return how often each attractor was the end in each order, at every place of a sweep.

    Ends of one place, in all orders, are of one kind where loss, errors, covered clusters and the readout's square are the same.

    Parameters
    ----------
    table : DataFrame
        Of `sweep(..., rest=True)`, or read from its CSV.

    Returns
    -------
    DataFrame
        One row a place, order and attractor (by its loss; -1: no rest): the varied parameters, `attractor`, `loss`, `leading`,
        `seeds` that ended there, `frequency` with its 95 % confidence interval (Wilson) `low`, `high`.

    Raises
    ------
    InputError
        For a table of what is not at rest.

    Examples
    --------
    >>> from curriculode import load, odds, sweep
    >>> experiment = load("xor-curriculum").replace({"training.weight_decay": 0.1, "protocol.duration": 5.0, "student.width": 2})
    >>> table = sweep(experiment, {"protocol.order": ["curriculum", "random"]}, seeds=2, rest=True, points=64, workers=1)
    >>> float(odds(table).groupby("protocol.order")["frequency"].sum().min())
    1.0
    """
    import pandas as pd

    whole, names, _ = checked_table(table)
    if lacking := [name for name in AT_REST if name not in whole.columns]:
        raise InputError(f"the table has no column {lacking[0]!r}; odds are of the states at rest of sweep(..., rest=True)")
    place = [name for name in names if name != _ORDER]
    seen = [name for name in ("loss", "covered_clusters", "generalization_error", "readout_square") if name in whole.columns]
    rows = []
    for at, part in whole.groupby(place, sort=False) if place else [((), whole)]:
        values = part[seen].to_numpy(dtype=float)
        rests = np.isfinite(values).all(axis=1)
        columns = [0, *range(1, len(seen)), *[0] * (4 - len(seen))]  # a task without clusters counts its loss again
        number = kinds([tuple(row[[j]] for j in columns) if rests[i] else None for i, row in enumerate(values)])
        labels = dict(zip(place, at, strict=True))
        for order, own in part.assign(attractor=number).groupby(_ORDER, sort=False):
            for kind in np.unique(number):
                of_kind = part[number == kind]
                count = int((own["attractor"] == kind).sum())
                low, high = (float(bound) for bound in wilson_interval(np.array(count), len(own)))
                ends = {name: float(of_kind[name].mean()) if kind != NOWHERE else np.nan for name in ("loss", "leading")}
                chance = {"seeds": count, "frequency": count / len(own), "low": low, "high": high}
                rows.append({**labels, _ORDER: order, "attractor": int(kind), **ends, **chance})
    return pd.DataFrame(rows)
