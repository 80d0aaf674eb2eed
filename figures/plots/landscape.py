"""Pictures of the landscape: odds and gaps, the growth of a signal, branches of states at rest, spectra."""

from typing import Any

import numpy as np

from curriculode.figures.plots.labels import TIME, parameter_label, quantity_label
from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, new_figure, style
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.landscape.continuation import Continuation
from curriculode.theory.landscape.fixed_point import FixedPoint
from curriculode.theory.landscape.gain import LinearGain
from curriculode.theory.landscape.records import Attractors

_PART_COLOURS = {"gap": "black", "lottery": CYCLE[2], "speed": CYCLE[0]}


def _axis(ax: Any) -> Any:
    return new_figure(1, 1, width=4.4, height=3.0)[1][0, 0] if ax is None else ax


def plot_attractors(found: Attractors, quantity: str | None = None, ax: Any = None, **options: Any) -> Any:
    """Draw the odds of each attractor in every order ("odds"), or the split of the first gap ("gap"); returns the axes.

    Bars have 95 % confidence intervals (Wilson), and bands of gaps two standard errors.
    """
    if quantity not in (None, "odds", "gap"):
        raise InputError(unknown("quantity", str(quantity), ["odds", "gap"]))
    with style():
        axis = _axis(ax)
        if quantity == "gap":
            draw_split(axis, found.gap_split(), **options)
            axis.set_title(f"{found.orders[1]} − {found.orders[0]}", fontsize=9)
        else:
            draw_odds(axis, found.odds(), **options)
    return axis


def draw_odds(axis: Any, odds: Any, **options: Any) -> None:
    """Bars of the odds (a table of `Attractors.odds`) by attractor."""
    orders = list(dict.fromkeys(odds["order"]))
    width = 0.8 / len(orders)
    for i, order in enumerate(orders):
        part = odds[odds["order"] == order]
        x = np.arange(len(part)) + width * (i - 0.5 * (len(orders) - 1))
        share = part["frequency"].to_numpy()
        bars = np.array([share - part["low"], part["high"] - share]).clip(min=0)
        look = {"color": ORDER_COLOURS.get(order, CYCLE[i % len(CYCLE)]), "label": order} | options
        axis.bar(x, share, width=0.95 * width, yerr=bars, error_kw={"linewidth": 0.9, "capsize": 2}, **look)
    first = odds[odds["order"] == orders[0]]
    axis.set_xticks(range(len(first)), [f"{error:.3f}" if error == error else "no rest" for error in first["error"]])
    axis.set_xlabel("error at rest")
    axis.set_ylabel("odds")
    axis.legend()


def draw_split(axis: Any, split: Any, **options: Any) -> None:
    """Gap, lottery and speed (a table of `Attractors.gap_split`) against time, with the state at rest at the right edge."""
    along, rest = split[np.isfinite(split["t"])], split[~np.isfinite(split["t"])]
    later = along["t"].to_numpy()
    for name, colour in _PART_COLOURS.items():
        look = {"color": colour, "label": name} | options
        mean, error = along[name].to_numpy(), 2.0 * along[f"{name}_error"].to_numpy()
        axis.plot(later, mean, **look)
        axis.fill_between(later, mean - error, mean + error, color=look["color"], alpha=0.18, linewidth=0)
        if len(rest) and later[-1] > 0:
            axis.errorbar(
                2.0 * later[-1],
                rest[name],
                yerr=2.0 * rest[f"{name}_error"],
                fmt="o",
                color=look["color"],
                markersize=3.5,
                capsize=2,
            )
    axis.axhline(0.0, color="#888888", linewidth=0.8)
    axis.set_xscale("symlog", linthresh=max(float(later[later > 0].min(initial=1.0)), 1e-3))
    axis.set_xlim(0.0, None)
    axis.set_xlabel(f"{TIME} (points: at rest)")
    axis.set_ylabel("gap of the errors")
    axis.legend()


def plot_branch(found: Continuation, quantity: str | None = None, ax: Any = None, **options: Any) -> Any:
    """Draw an observable, by default the generalisation error, along a branch, dashed where it is unstable; returns the axes."""
    shown = "generalization_error" if quantity is None else quantity
    values = found.observable(shown)
    stable = found.leading <= 1e-5 * max(float(np.abs(found.leading).max()), 1e-12)
    with style():
        axis = _axis(ax)
        look: Any = {"color": CYCLE[0]} | options
        label = look.pop("label", "stable")
        for wanted, line in ((True, "-"), (False, "--")):
            mask = (stable == wanted) | np.roll(stable == wanted, 1) & (np.arange(stable.size) > 0)
            axis.plot(
                found.parameter,
                np.where(mask, values, np.nan),
                line,
                label=label if wanted else None,
                **look,
            )
        for value, at, kind in zip(found.special, found.special_point, found.statistics["kinds"], strict=True):
            # Between two points the branch is drawn straight.
            ends = slice(int(at), int(at) + 2)
            near = float(np.mean(values[ends]))
            axis.plot(value, near, "o" if kind == "fold" else "s", color="black", markersize=4, zorder=4)
        axis.set_xlabel(parameter_label(found.name))
        axis.set_ylabel(quantity_label(shown))
    return axis


def plot_gain(found: LinearGain, quantity: str | None = None, ax: Any = None, **options: Any) -> Any:
    """Draw the gain of the signal against time, or with "rate" or the name of a level its rates of growth; returns the axes."""
    names = found.levels if quantity == "rate" else [quantity] if quantity is not None and quantity != "gain" else []
    rates = {name: found.growth(name) for name in names}
    with style():
        axis = _axis(ax)
        if rates:
            for i, (name, rate) in enumerate(rates.items()):
                axis.plot(found.t, rate, **({"color": CYCLE[i % len(CYCLE)], "label": name} | options))
            axis.set_ylabel("rate of growth by examples of a level")
            axis.legend()
        else:
            axis.plot(found.t, found.gain, **({"color": CYCLE[0], "label": "gain"} | options))
            axis.axhline(found.statistics["threshold"], color="#888888", linewidth=0.8)
            axis.set_yscale("log")
            axis.set_ylabel("largest cosine, to first order")
        axis.set_xlabel(TIME)
    return axis


def plot_spectrum(found: FixedPoint, quantity: str | None = None, ax: Any = None, **options: Any) -> Any:
    """Draw the rates of growth in the complex plane, those that grow in red; returns the axes."""
    if quantity not in (None, "spectrum"):
        raise InputError(unknown("quantity", str(quantity), ["spectrum"]))
    with style():
        axis = _axis(ax)
        colours = np.where(found.growth > found.statistics.get("zero", 0.0), CYCLE[2], CYCLE[0])
        axis.scatter(found.growth, found.frequency, **({"c": list(colours), "s": 22} | options))
        axis.axvline(0.0, color="#888888", linewidth=0.8)
        axis.set_xlabel("rate of growth")
        axis.set_ylabel("angular frequency")
    return axis
