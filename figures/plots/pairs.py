"""Pictures of pairs: the error along the line between two copies, a quantity against time, and instability against time k."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.pairs.instability import Instability
from curriculode.theory.core.errors import InputError
from curriculode.theory.pairs.record import ERRORS, STABLE, Pair

BARRIERS = {"barrier": "barrier between the copies", "midpoint": "middle of the line over its ends"}


def plot_line(pair: Pair, error: str | None = None, times: Sequence[float] | None = None, ax: Any = None) -> Any:
    """Draw an error along the straight line between the copies, a line a time (by default the last); returns the axes.

    Of several pairs of runs their mean, with a band of two standard errors. Raises `InputError` for what is no pair.
    """
    if not isinstance(pair, Pair):
        raise InputError("plot_line draws what `branch` returns; give a Pair")
    name = error or ERRORS[pair.has_classes]
    with style():
        axis = new_figure(1, 1, width=4.4, height=3.0)[1][0, 0] if ax is None else ax
        for i, t in enumerate([pair.t[-1]] if times is None else times):
            line = pair.interpolate(t=float(t))
            values = np.atleast_2d(getattr(line, name)[..., 0, :])
            kept = values[pair.finite] if not pair.by_theory else values
            mean, colour = kept.mean(axis=0), CYCLE[i % len(CYCLE)]
            axis.plot(line.alphas, mean, color=colour, label=f"t = {t:g}")
            if len(kept) > 1:
                error_of_mean = kept.std(axis=0, ddof=1) / np.sqrt(len(kept))
                axis.fill_between(
                    line.alphas, mean - 2 * error_of_mean, mean + 2 * error_of_mean, color=colour, alpha=0.15, linewidth=0
                )
        axis.set_xlabel("place on the line (0: copy 2, 1: copy 1)")
        axis.set_ylabel(quantity_label(name, pair.experiment))
    return axis


def plot_pair(pair: Pair, quantity: str = "barrier", ax: Any = None, **options: Any) -> Any:
    """Draw a quantity of a pair against time; returns the axes.

    Theory is a line, several pairs of runs are points at their mean with bars of two standard errors. Raises `InputError` for what
    is no pair, and for a quantity that it has not.
    """
    if not isinstance(pair, Pair):
        raise InputError("plot_pair draws what `branch` returns; give a Pair")
    values = np.atleast_2d(pair.observable(quantity))
    values = values[pair.finite] if not pair.by_theory else values
    with style():
        axis = new_figure(1, 1, width=4.4, height=3.0)[1][0, 0] if ax is None else ax
        look: dict[str, Any] = {"color": CYCLE[0], **options}
        if pair.by_theory:
            axis.plot(pair.t, values[0], **look)
        else:
            error = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(pair.t.size)
            axis.errorbar(pair.t, values.mean(axis=0), yerr=2 * error, fmt="o", markersize=3, linewidth=1, **look)
        axis.set_xlabel(TIME)
        axis.set_ylabel(BARRIERS.get(quantity) or quantity_label(quantity, pair.experiment))
    return axis


def plot_instability(found: Instability, quantity: str = "barrier", ax: Any = None, **options: Any) -> Any:
    """Draw the barrier, or the midpoint over the mean, against the time of branching; returns the axes.

    The mean over the pairs with a band of two standard errors, and the 2 % below which a network is called stable. Raises
    `InputError` for what is no `Instability`, and for another quantity.
    """
    if not isinstance(found, Instability):
        raise InputError("plot_instability draws what `instability` returns; give an Instability")
    if quantity not in BARRIERS:
        raise InputError(f"quantity = {quantity!r} is not allowed; give barrier or midpoint")
    table = found.summary()
    band = 2 * table["standard_error" if quantity == "barrier" else "midpoint_standard_error"].fillna(0.0)
    with style():
        axis = new_figure(1, 1, width=4.4, height=3.0)[1][0, 0] if ax is None else ax
        look: dict[str, Any] = {"color": CYCLE[0], **options}
        axis.plot(table["at"], table[quantity], marker="o", markersize=3, **look)
        axis.fill_between(table["at"], table[quantity] - band, table[quantity] + band, color=look["color"], alpha=0.15, linewidth=0)
        axis.axhline(STABLE, color="#888888", linewidth=0.8)
        axis.set_xlabel("time k of the branching")
        axis.set_ylabel(BARRIERS[quantity])
    return axis
