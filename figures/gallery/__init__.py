"""The gallery: every named figure, by one command, with its data and its settings.

A figure is a module with a `FIGURE`: what it shows, how its table is computed, and how it is drawn from that table alone.
"""

from importlib import import_module

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError

_MODULES = {
    "batch-coupling": "batch_coupling",
    "batch-gain": "batch_gain",
    "batch-online": "batch_online",
    "committee": "committee",
    "difficulty": "difficulty",
    "finite-size": "finite_size",
    "lottery": "lottery",
    "perceptron-orders": "perceptron_orders",
    "perceptron-speedup": "perceptron_speedup",
    "phase-diagrams": "phase_diagrams",
    "signal-to-noise": "signal_to_noise",
    "width-gap": "width_gap",
    "xor-orders": "xor_orders",
}


def names() -> list[str]:
    """Names of the figures."""
    return sorted(_MODULES)


def figure(name: str) -> NamedFigure:
    """The figure called `name`."""
    if name not in _MODULES:
        raise InputError(unknown("figure", name, names()))
    return import_module(f"curriculode.figures.gallery.{_MODULES[name]}").FIGURE
