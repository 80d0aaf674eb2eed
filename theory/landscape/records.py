"""The record of attractors: where students end, how often in each order, and what becomes of the gap between orders."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import text
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.results.observations import wilson_interval
from curriculode.theory.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

    from curriculode.theory.landscape.against import OddsTest

NOWHERE = -1
_MOST = 2.0 / 3.0  # of a gap, that gives it its name
_SIGNIFICANT = 2.0  # standard errors


def _attractors(name: str, value: Any) -> Any:
    if not isinstance(value, Attractors):
        raise InputError(
            f"{name} = {shown(value)} is not allowed; give what `attractors` returns, such as that of space = 'diffusion'"
        )
    return value


class Attractors(Record):
    """The ends of students from many starts in several orders.

    Made by `attractors`. Ends are of one kind where they are the same up to permutations of units and the task's symmetries.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Examples per input dimension: the protocol, and then on with one level.
    values : ndarray of shape (orders, starts, times)
        The error (`quantity`) along the way.
    final : ndarray of shape (orders, starts)
        The same at rest; where there is none, at the last time.
    end : ndarray of int of shape (orders, starts)
        Number of the attractor; -1 where the student comes to no rest.
    Q : ndarray of shape (attractors, [blocks,] K, K)
        Overlaps of units of one example of each attractor.
    M : ndarray of shape (attractors, [blocks,] K, P)
        Overlaps with references.
    v : ndarray of shape (attractors, K)
        Readout.
    error : ndarray of shape (attractors,)
        The error at rest, mean over all ends of the kind.
    loss : ndarray of shape (attractors,)
        E[l(f, y)] on the level held.
    leading : ndarray of shape (attractors,)
        The largest rate of growth of a small change; below zero for what attracts.
    covered_clusters : ndarray of shape (attractors,)
        Of an XOR mixture.
    statistics : mapping of str to value
        `orders`, `quantity`, `level` (held on), `protocol` (its end), `statuses` (a sentence for each attractor), `by`
        ("theory" or a space), `interrupted`.
    """

    kind: ClassVar[str] = "attractors"
    dimensions: ClassVar[Any] = {
        "t": ("time",),
        "values": ("order", "start", "time"),
        "final": ("order", "start"),
        "end": ("order", "start"),
        "Q": ("attractor", "block", "unit", "other_unit"),
        "M": ("attractor", "block", "unit", "reference"),
        "v": ("attractor", "unit"),
        "error": ("attractor",),
        "loss": ("attractor",),
        "leading": ("attractor",),
        "covered_clusters": ("attractor",),
    }
    needed: ClassVar[tuple[str, ...]] = ("t", "values", "final", "end", "Q", "M", "v", "error", "loss", "leading")
    t: np.ndarray
    values: np.ndarray
    final: np.ndarray
    end: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray
    error: np.ndarray
    loss: np.ndarray
    leading: np.ndarray

    @property
    def orders(self) -> list[str]:
        """Names of the orders."""
        return list(self.statistics["orders"])

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it: the starts that were finished count."""
        return bool(self.statistics.get("interrupted", False))

    def _order(self, name: str) -> int:
        if name not in self.orders:
            raise InputError(unknown("order", name, self.orders))
        return self.orders.index(name)

    def odds(self) -> "pd.DataFrame":
        """Return how often each attractor was the end, with 95 % confidence intervals (Wilson).

        Returns
        -------
        DataFrame
            One row an order and attractor (-1: no rest): `starts` that ended there, `frequency`, `low`, `high`.
        """
        import pandas as pd

        rows = []
        numbers = [*range(self.error.size), *([NOWHERE] if (self.end == NOWHERE).any() else [])]
        for i, order in enumerate(self.orders):
            n = self.end.shape[1]
            for number in numbers:
                count = int((self.end[i] == number).sum())
                low, high = (float(bound) for bound in wilson_interval(np.array(count), n))
                error = float(self.error[number]) if number >= 0 else float("nan")
                rows.append(
                    {
                        "order": order,
                        "attractor": number,
                        "error": error,
                        "starts": count,
                        "frequency": count / n,
                        "low": low,
                        "high": high,
                    }
                )
        return pd.DataFrame(rows)

    @checked(first=text, second=text)
    def gap_split(self, first: str | None = None, second: str | None = None) -> "pd.DataFrame":
        """Return the gap between two orders over time, split into lottery and speed.

        From each start the difference is the error in the second order less that in the first. The part of the mean that pairs make
        which end in different attractors is the lottery; the rest, of pairs that end in the same, is speed, and fades.

        Parameters
        ----------
        first : str, optional
            The order that should be better, by default the first of the orders.
        second : str, optional
            The other one, by default the second.

        Returns
        -------
        DataFrame
            One row a time, infinite for the state at rest: `t`, `gap`, `lottery`, `speed`, each with its standard error over starts
            as `_error`.
        """
        import pandas as pd

        if len(self.orders) < 2:
            raise InputError("a gap is between two orders; give attractors(..., orders=['curriculum', 'random'])")
        a = self._order(self.orders[0] if first is None else first)
        b = self._order(self.orders[1] if second is None else second)
        difference = np.concatenate([self.values[b] - self.values[a], (self.final[b] - self.final[a])[:, None]], axis=1)
        other = (self.end[a] != self.end[b])[:, None]
        parts = {"gap": difference, "lottery": np.where(other, difference, 0.0), "speed": np.where(other, 0.0, difference)}
        columns: dict[str, Any] = {"t": np.append(self.t, np.inf)}
        root = np.sqrt(max(1, difference.shape[0]))
        for name, part in parts.items():
            columns[name] = part.mean(axis=0)
            columns[f"{name}_error"] = part.std(axis=0, ddof=1) / root if part.shape[0] > 1 else np.full(part.shape[1], np.nan)
        return pd.DataFrame(columns)

    @checked(other=_attractors)
    def against(self, other: "Attractors") -> "OddsTest":
        """Test the odds against those that were found in another way, such as by runs at finite D.

        Parameters
        ----------
        other : Attractors
            Of the same experiment, held on the same level; what finite D does to the odds is part of the difference.

        Returns
        -------
        OddsTest
            `.table`, `.agrees`, `.verdict()`: Pearson's test of homogeneity in each order, whose law is drawn, at a false-alarm
            rate of 0.001 for all orders.

        Raises
        ------
        InputError
            For attractors of another experiment, and where no order is common.
        """
        from curriculode.theory.landscape.against import against

        return against(self, other)

    def course(self) -> "pd.DataFrame":
        """Return the error in each order over time.

        Returns
        -------
        DataFrame
            One row an order and time, infinite for the state at rest: `order`, `t`, the mean error over starts (by its name) and
            its `standard_error`.
        """
        import pandas as pd

        parts = []
        for i, order in enumerate(self.orders):
            values = np.concatenate([self.values[i], self.final[i][:, None]], axis=1)
            count = len(values)
            error = values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(values.shape[1], np.nan)
            columns = {"order": order, "t": np.append(self.t, np.inf), str(self.statistics["quantity"]): values.mean(axis=0)}
            parts.append(pd.DataFrame({**columns, "standard_error": error}))
        return pd.concat(parts, ignore_index=True)

    def sentence(self) -> str:
        """Return in words whether the gap of the first order over the second is a lottery or speed, with its numbers.

        Returns
        -------
        str
            One or two sentences.
        """
        student = self.experiment.student
        what = f"K = {student.width}, {self.end.shape[1]} starts: {_many(self.error.size, 'attractor')}"
        best = f" (errors {', '.join(f'{error:.3f}' for error in self.error)})" if self.error.size else ""
        told = [what + best]
        if self.error.size:
            odds = [f"{order} {(self.end[i] == 0).mean():.3f}" for i, order in enumerate(self.orders)]
            told.append("odds of the best: " + ", ".join(odds))
        nowhere = (self.end == NOWHERE).mean(axis=1)
        if nowhere.any():
            told.append("no rest: " + ", ".join(f"{order} {share:.3f}" for order, share in zip(self.orders, nowhere, strict=True)))
        if len(self.orders) > 1:
            told.append(self._of_the_gap())
        return "; ".join(told)

    def _of_the_gap(self) -> str:
        split = self.gap_split()
        at = int(np.argmin(np.abs(self.t - self.statistics["protocol"])))
        here, last, rest = split.iloc[at], split.iloc[-2], split.iloc[-1]
        first, second = self.orders[:2]
        words = f"gap of {first} over {second} {here['gap']:.4f} +- {here['gap_error']:.4f} at t = {here['t']:g}, of it "
        words += f"{here['lottery']:.4f} lottery and {here['speed']:.4f} speed"
        if (self.end[:2] == NOWHERE).all():
            words += f", {last['gap']:.4f} +- {last['gap_error']:.4f} at t = {last['t']:g}: "
            if abs(last["gap"]) <= max(_SIGNIFICANT * last["gap_error"], (1.0 - _MOST) * abs(here["gap"])):
                return words + "no finite attractor, and the gap closes: speed"
            return words + "no finite attractor, and the gap is still there"
        words += f", {rest['gap']:.4f} +- {rest['gap_error']:.4f} at rest: "
        if not abs(rest["gap"]) > _SIGNIFICANT * rest["gap_error"]:
            if abs(here["gap"]) > _SIGNIFICANT * here["gap_error"] and abs(here["lottery"]) < _MOST * abs(here["gap"]):
                return words + "speed, the odds are the same within error"
            return words + "the odds are the same within error"
        return words + ("a lottery" if abs(rest["lottery"]) >= _MOST * abs(rest["gap"]) else "not a lottery alone")

    def to_frame(self) -> "pd.DataFrame":
        """Return the attractors as a table.

        Returns
        -------
        DataFrame
            One row an attractor: its error, loss, covered clusters of an XOR mixture, leading rate, share of the starts in each
            order, and a sentence.
        """
        import pandas as pd

        columns: dict[str, Any] = {"attractor": np.arange(self.error.size), "error": self.error, "loss": self.loss}
        if "covered_clusters" in self.arrays:
            columns["covered_clusters"] = self.arrays["covered_clusters"]
        columns["leading"] = self.leading
        for i, order in enumerate(self.orders):
            columns[order] = [(self.end[i] == number).mean() for number in range(self.error.size)]
        columns["status"] = list(self.statistics["statuses"])
        return pd.DataFrame(columns)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
