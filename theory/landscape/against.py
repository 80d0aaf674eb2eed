"""The odds of attractors found in two ways, tested against each other by their counts.

Attractors of both are matched by what no symmetry changes (`kinds`). Where both have the same odds, the counts of the one are
drawn from those of both together without replacement (multivariate hypergeometric): of an order with n_k of N starts in the first
and n'_k of N' in the second the statistic is Pearson's of homogeneity,

    X = N N' sum_k (n_k/N - n'_k/N')^2 / (n_k + n'_k)

and its law is drawn. Where starts are shared, the ends of the two are alike beyond that, and the test errs towards agreement.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.landscape.kinds import invariants, kinds

if TYPE_CHECKING:
    import pandas as pd

    from curriculode.theory.landscape.records import Attractors

ALARM = 1e-3  # of a false alarm, for all orders together
_DRAWS = 100_000


@dataclass(frozen=True)
class OddsTest:
    """Whether two ways of finding attractors agree on their odds.

    Made by `Attractors.against`.

    Parameters
    ----------
    table : DataFrame
        One row an order and attractor of either (by its loss; -1: no rest): `loss`, the shares `first` and `second` of the starts,
        `finds` (the difference of shares that would have been called a disagreement, were it the only one), and of the whole
        order its `p_value`.
    first, second : str
        How each was found: "theory", or the space of runs.
    starts : tuple of int
        How many of each.
    """

    table: "pd.DataFrame"
    first: str
    second: str
    starts: tuple[int, int]

    @property
    def alarm(self) -> float:
        """The p-value below which an order disagrees."""
        return ALARM / self.table["order"].nunique()

    @property
    def agrees(self) -> bool:
        """Whether no order disagrees."""
        return bool((self.table["p_value"] > self.alarm).all())

    def verdict(self) -> str:
        """Return the verdict in words.

        Returns
        -------
        str
            One sentence.
        """
        lowest = self.table.sort_values("p_value", kind="stable").iloc[0]
        of = self.table[self.table["order"] == lowest["order"]]
        apart = (of["first"] - of["second"]).abs().round(9)
        worst = of.iloc[int(apart.to_numpy().argmax())]
        shares = f"{worst['first']:.3f} by {self.first} and {worst['second']:.3f} by {self.second}"
        where = f"attractor {int(worst['attractor'])} in the order {worst['order']}"
        counts = f"{self.starts[0]} and {self.starts[1]} starts"
        if self.agrees:
            return (
                f"the odds by {self.first} and {self.second} agree ({counts}, p = {lowest['p_value']:.2g}); most apart is {where}, "
                f"{shares}; a difference of {worst['finds']:.2f} there would have been noticed"
            )
        return f"the odds by {self.first} and {self.second} disagree ({counts}, p = {lowest['p_value']:.2g}): {where} is {shares}"


def against(first: "Attractors", second: "Attractors") -> OddsTest:
    """The test of the odds of two records of attractors; `Attractors.against` says more."""
    import pandas as pd
    from scipy.special import ndtri

    if first.experiment != second.experiment or first.statistics["level"] != second.statistics["level"]:
        raise InputError("the attractors are of two experiments, or held on two levels; compare what differs in how it is found")
    orders = [order for order in first.orders if order in second.orders]
    if not orders:
        raise InputError(f"the attractors have no order in common, {', '.join(first.orders)} and {', '.join(second.orders)}")
    records, sizes = (first, second), (first.error.size, second.error.size)
    number = kinds([invariants(r.experiment, _state(r, i), first.numerics) for r in records for i in range(r.error.size)])
    own = [np.append(number[: sizes[0]], -1), np.append(number[sizes[0] :], -1)]  # the last: no rest
    known = [*range(int(number.max(initial=-1)) + 1), -1]
    loss = {int(k): float(np.concatenate([r.loss for r in records])[number == k].mean()) for k in known[:-1]}
    starts = tuple(r.end.shape[1] for r in records)
    far = -float(ndtri(0.5 * ALARM / len(orders)))
    rows = []
    for order in orders:
        ends = [mine[r.end[r.orders.index(order)]] for mine, r in zip(own, records, strict=True)]
        counts = np.array([[int((end == k).sum()) for k in known] for end in ends])
        p_value = _homogeneity(counts)
        for j, k in enumerate(known):
            if k == -1 and not counts[:, j].any():
                continue
            both = counts[:, j].sum() / sum(starts)
            finds = far * float(np.sqrt(both * (1.0 - both) * (1.0 / starts[0] + 1.0 / starts[1])))
            shares = {name: counts[i, j] / starts[i] for i, name in enumerate(("first", "second"))}
            rows.append({"order": order, "attractor": k, "loss": loss.get(k, np.nan), **shares, "finds": finds, "p_value": p_value})
    return OddsTest(pd.DataFrame(rows), str(first.statistics["by"]), str(second.statistics["by"]), (starts[0], starts[1]))


def _state(record: "Attractors", number: int) -> OrderParameters:
    return OrderParameters(record.Q[number], record.M[number], record.v[number])


def _homogeneity(counts: np.ndarray) -> float:
    """The p-value of counts (2, kinds) of the same odds; the law of Pearson's statistic is drawn, always with the same seed."""
    total, n = counts.sum(axis=0), counts.sum(axis=1)
    counts, total = counts[:, total > 0], total[total > 0]
    if total.size < 2:
        return 1.0
    rng = np.random.default_rng(0)
    drawn = rng.multivariate_hypergeometric(total, int(n[0]), size=_DRAWS)

    def statistic(one: np.ndarray) -> np.ndarray:
        return np.asarray(((one / n[0] - (total - one) / n[1]) ** 2 / total).sum(axis=-1))

    seen = statistic(counts[0])
    return float((1 + (statistic(drawn) >= seen * (1.0 - 1e-12)).sum()) / (1 + _DRAWS))
