"""The gallery: every named figure, by one command, with its data and its settings.

A figure is a module with a `FIGURE`: what it shows, how its table is computed, and how it is drawn from that table alone. One of a
user's own is made known by `register_figure`, in a script or in a package with an entry point of the group "curriculode".
"""

import re
from dataclasses import dataclass
from importlib import import_module

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.theory.core.errors import InputError
from curriculode.theory.core.registry import Registry

__all__ = ["FIGURES", "NamedFigure", "figure", "names", "register_figure"]


@dataclass(frozen=True)
class _Known:
    """A figure that is known by its name: itself, or that of a built-in module, which is imported when it is asked for."""

    module: str
    figure: NamedFigure | None = None


FIGURES: Registry[_Known] = Registry("figure", computes=False)
for _name in (
    "attractor-odds",
    "batch-coupling",
    "batch-gain",
    "batch-online",
    "branch-line",
    "committee",
    "dead-or-alive",
    "difficulty",
    "discovery-time",
    "example-worth",
    "finite-d-bands",
    "finite-d-odds",
    "finite-d-shift",
    "finite-size",
    "instability",
    "lottery",
    "matching",
    "network-barrier",
    "network-fashion",
    "network-framed",
    "network-gain",
    "network-tickets",
    "optimal-orders",
    "order-gains",
    "order-kinds",
    "perceptron-orders",
    "perceptron-speedup",
    "perturbations",
    "phase-diagrams",
    "plateau-escape",
    "plateau-length",
    "signal-to-noise",
    "tangent-double-descent",
    "tangent-lottery",
    "tangent-orders",
    "tangent-theory",
    "ticket-indicators",
    "ticket-orders",
    "ticket-parts",
    "ticket-prize",
    "ticket-rewinding",
    "ticket-sparse",
    "ticket-sparsity",
    "ticket-stability",
    "unit-tickets",
    "verdict-power",
    "wide-limit",
    "width-gap",
    "width-lottery",
    "xor-orders",
):
    FIGURES.add(_name, _Known(f"{__name__}.{_name.replace('-', '_')}"))


def names() -> list[str]:
    """Names of the figures: the built-in ones, then those registered."""
    return list(FIGURES)


def figure(name: str) -> NamedFigure:
    """The figure called `name`."""
    known = FIGURES[name]
    if known.figure is not None:
        return known.figure
    found: NamedFigure = import_module(known.module).FIGURE
    return found


def register_figure(name: str, figure: NamedFigure) -> NamedFigure:
    """Make a figure of your own known by its name, for `curriculode figure NAME` and in its list.

    Parameters
    ----------
    name : str
        Of letters, digits, - and _, since files are named after it.
    figure : NamedFigure
        The figure.

    Returns
    -------
    NamedFigure
        The same figure.

    Raises
    ------
    InputError
        For what is no `NamedFigure`, and for a name that is taken.

    Examples
    --------
    >>> import pandas as pd
    >>> from curriculode.figures.plots.style import new_figure
    >>> own = NamedFigure(title="A line", caption="Nothing but a line.", experiment="finite-size",
    ...                   compute=lambda scale, report: pd.DataFrame({"x": [0.0, 1.0]}), draw=lambda table: new_figure(1, 1)[0])
    >>> register_figure("a-line", own) is own and "a-line" in names()
    True
    """
    if not isinstance(figure, NamedFigure):
        raise InputError(f"register_figure({name!r}, {figure!r}) is not allowed; give a curriculode.figures.gallery.NamedFigure")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w-]*", name) or name == "all":
        raise InputError(f"figure {name!r} cannot be registered; give a name of letters, digits, - and _, such as 'my-figure'")
    module = getattr(figure.compute, "__module__", "") or ""
    FIGURES.add(name, _Known(module, figure), module)
    return figure
