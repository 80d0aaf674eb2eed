"""The figures of the gallery on small grids and with few runs, computed once and drawn: enough for what tests assert."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from filelock import FileLock

from curriculode.figures import gallery
from tests.warm import SHARED

_ORDERS = ["curriculum", "random"]
_HARD = "levels.hard.irrelevant_variance"
_WIDE = {"student.width": [2, 16], "protocol.order": _ORDERS}
_GRIDS = {
    "width": {"student.width": [6, 16], "levels.hard.noise": [0.3, 0.6], "protocol.order": _ORDERS},
    "easy": {"levels.easy.share": [0.1, 0.3], "levels.easy.noise": [0.1, 0.3], "protocol.order": _ORDERS},
    "rate": {"training.learning_rate": [1.0, 8.0, 64.0], "levels.hard.noise": [0.1, 1.0]},
}
# Numbers of runs, as shares of those of the figure.
_SCALES = {
    "attractor-odds": 0.1,
    "batch-coupling": 0.125,
    "batch-gain": 0.1,
    "batch-online": 0.125,
    "branch-line": 0.15,
    "committee": 0.25,
    "discovery-time": 0.3,
    "difficulty": 0.1,
    "example-worth": 0.25,
    "optimal-orders": 0.2,
    "order-gains": 0.2,
    "order-kinds": 0.5,
    "finite-d-bands": 0.15,
    "finite-d-odds": 0.25,
    "finite-d-shift": 0.1,
    "finite-size": 0.05,
    "instability": 0.12,
    "lottery": 0.05,
    "matching": 0.3,
    "network-barrier": 0.25,
    "network-gain": 0.1,
    "network-tickets": 0.25,
    "perceptron-orders": 0.2,
    "perturbations": 0.15,
    "phase-diagrams": 0.1,
    "plateau-escape": 0.3,
    "plateau-length": 0.3,
    "signal-to-noise": 0.1,
    "tangent-double-descent": 0.2,
    "tangent-lottery": 0.5,
    "tangent-orders": 0.25,
    "tangent-theory": 0.15,
    "ticket-orders": 0.1,
    "ticket-parts": 0.12,
    "ticket-prize": 0.5,
    "ticket-rewinding": 0.1,
    "ticket-sparse": 0.4,
    "ticket-sparsity": 0.15,
    "ticket-stability": 0.2,
    "unit-tickets": 0.12,
    "verdict-power": 0.25,
    "wide-limit": 0.3,
    "width-gap": 0.1,
    "width-lottery": 1.0,
}
# Constants of the figure's module in place of its own. What is a function is told the module.
_SMALL: dict[str, dict[str, Any]] = {
    "attractor-odds": {
        "_DECAYS": {0.05: (40, 60.0, 3000.0), 0.0: (20, 60.0, 0.0)},
        "_POINTS": 32,
        "_ORDERS": tuple(_ORDERS),
    },
    "dead-or-alive": {"_NOISES": (0.3, 0.5), "_CHECKED": (0.5,), "_POINTS": 64, "_CURVE": np.array([0.1, 0.5, 0.9])},
    "discovery-time": {"_DIMENSIONS": (200.0, 2e5), "_POINTS": 64},
    "wide-limit": {"_WIDTHS": (16, 32), "_NODES": 10, "_POINTS": 128, "_TIMES": 3},
    "batch-coupling": {
        "_LOSSES": ("logistic",),
        "_ORDERS": tuple(_ORDERS),
        "_COUPLINGS": (1e-3, 0.3, 100.0),
        "_MEASURED": (1e-3, 0.3),
    },
    "batch-gain": {"_ALPHAS": (1.0,), "_EASY": (0.0, 0.8), "_HARD": (8.0,)},
    "batch-online": {"_ALPHAS": (0.5, 4.0), "_MEASURED": (0.5,)},
    "branch-line": {"_AT": (0.0, 20.0), "_POINTS": 256},
    "committee": {"_DIMENSION": 1000, "_STARTS": 4},
    "difficulty": {"_NOISES": (0.2, 0.4, 0.6, 0.8)},
    "finite-d-bands": {"_POINTS": 512},
    "finite-d-odds": {"_DIMENSIONS": (1000,), "_MOST_OF_SGD": 1000, "_WIDTHS": {4: 64}},
    "finite-d-shift": {"_DIMENSIONS": (40, 160)},
    "instability": {"_AT": (0.0, 20.0), "_WIDTHS": {4: 480, 8: 240}},
    "matching": {"_WIDTHS": {4: 200, 16: 64}},
    "example-worth": {"_WIDTHS": (4, 8), "_POINTS": 64, "_INTERVALS": 10, "_RTOL": 1e-2},
    "optimal-orders": {"_STAGES": (6,), "_ITERATIONS": 15, "_DIMENSIONS": (100,), "_RUNS": 1000},
    "order-gains": {
        "_WIDTHS": (2, 4),
        "_SHARES": (0.5,),
        "_ITERATIONS": 2,
        "_POINTS": 64,
        "_DURATION": 10.0,
        "sweep": lambda module: partial(module.sweep, workers=1),
    },
    "order-kinds": {
        "_PARTS": lambda module: {"share": module._PARTS["share"] | {"over": {"levels.easy.share": [0.1, 0.5], _HARD: [2.0]}}},
        "_STAGES": 4,
        "sweep": lambda module: partial(module.sweep, workers=1),
    },
    "lottery": {"_WIDTHS": {4: 8_000, 8: 1_500, 16: 500}, "_NOISES": (0.2, 0.6)},
    "network-barrier": {"_AT": (0.0, 50.0), "_WIDTHS": (6, 30), "_RUNS": 56, "_COMMITTEES": {4: 24}, "_COMMITTEES_AT": (0.0,)},
    "network-gain": {"_WIDTHS": (12,), "_DEPTHS": (1, 2), "_TAILS": (0.0,), "_RATES": (0.01, 0.03), "_RUNS": 160},
    "network-tickets": {
        "_STUDY": lambda module: module._STUDY.set(experiment=module._STUDY.experiment.replace({"protocol.duration": 67.359375})),
        "_ROUNDS": (12,),
        "_KEEP": (0.2,),
        "_RATES": (0.006, 0.06),
        "_THEORY_RATES": (0.5, 2.0),
        "_DRAWS": 8,
        "_POINTS": 64,
    },
    "perceptron-orders": {"_EASY": (0.0, 0.4), "_HARD": (1.0, 2.0), "_SHARES": (0.2, 0.5)},
    "perceptron-speedup": {"_GRIDS": lambda module: {part: _ends(grid) for part, grid in module._GRIDS.items()}},
    "perturbations": {"_AT": (10.0,), "_MADE": (("noise", 0.0), ("noise", 2.0), ("signs", 1.0), ("reinitialise", 1.0))},
    "phase-diagrams": {
        "_PARTS": lambda module: {name: replace(part, over=_GRIDS[name], seeds=30) for name, part in module._PARTS.items()},
        "sweep": lambda module: partial(module.sweep, workers=1),
        "_POINTS": 128,
    },
    "plateau-escape": {"_DIMENSIONS": (100, 3000), "_MOST_OF_SGD": 3000},
    "plateau-length": {
        "_EQUATIONS": (1000, 10**4, 10**6),
        "_SIMULATED": (100, 1000),
        "_DIFFUSED": {1000: 24},
        "_POINTS": 128,
    },
    "signal-to-noise": {"_RATIOS": (1.0, 3.0, 16.0), "_WIDTHS": {4: (240, 160)}},
    "tangent-double-descent": {
        "_ALPHAS": (2.0, 4.0, 8.0),
        "_MEASURED": (2.0, 8.0),
        "_WIDTHS": (3, 6, 9),
        "_MEASURED_WIDTHS": (3,),
        "_DIMENSION": 50,
    },
    "tangent-lottery": {"_DIMENSION": 200, "_LOAD": 10.0, "_WIDTHS": (4,), "_RATES": (0.5, 4.0), "_LOADS": (2.0, 32.0)},
    "tangent-orders": {"_DIMENSION": 100, "_ORDERS": tuple(_ORDERS)},
    "tangent-theory": {"_DIMENSIONS": {25: 768, 50: 384}, "_ACTIVATIONS": ("erf",), "_SCALES": (2.0, 8.0)},
    "ticket-indicators": {"_RATES": (0.5, 2.0), "_MEASURED": (2.0,)},
    "ticket-orders": {"_ORDERS": ("curriculum", "hard-only"), "_KEEP": (0.1, 0.4)},
    "ticket-prize": {
        "_KEEP": (0.1, 0.3),
        "_CONDITIONS": {"protocol.duration": (10.0, 40.0), "protocol.order": ("curriculum", "hard-only")},
        "sweep": lambda module: partial(module.sweep, workers=1),
    },
    "ticket-rewinding": {"_TIMES": (0.0, 8.0), "_MEASURED": (0.0,), "_ROUNDS": (1, 3)},
    "ticket-sparse": {"_SUPPORTS": (0.05, 1.0), "_MEASURED": (0.05,), "_RUNS": 6},
    "ticket-sparsity": {"_KEEP": (0.05, 0.3), "_MEASURED": (0.3,)},
    "ticket-stability": {"_AT": (0.0, 10.0), "_DIMENSION": 150},
    "unit-tickets": {"_WIDTHS": (6, 16)},
    "verdict-power": {"_DIMENSIONS": (100, 3000), "_RUNS": (8, 32, 128)},
    "width-lottery": {"_WIDTHS": {4: 96, 8: 16, 24: 16}, "_ENDS": {0.05: 100.0, 0.0: 50.0}, "_SINCE": (4,)},
    "width-gap": {"_WIDTHS": {4: 1200, 16: 400, 32: 100}, "_SHOWN": (4, 16, 32)},
    "xor-orders": {"_STUDY": lambda module: module._STUDY.set(points=128, times=6, over=_WIDE)},
}


def _ends(grid: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """First, middle and last values."""
    return {name: values[[0, len(values) // 2, -1]] for name, values in grid.items()}


def _module(name: str) -> ModuleType:
    return import_module(f"curriculode.figures.gallery.{name.replace('-', '_')}")


def _small(name: str) -> AbstractContextManager[Any]:
    """The figure's module with the constants of its small size."""
    module = _module(name)
    values = {key: value(module) if callable(value) else value for key, value in _SMALL.get(name, {}).items()}
    return patch.multiple(module, **values) if values else nullcontext()


def _compute(name: str) -> pd.DataFrame:
    told: list[float] = []
    with _small(name):
        found = gallery.figure(name).compute(_SCALES.get(name, 0.04), told.append)
    assert 0.0 <= min(told, default=1.0) <= max(told, default=1.0) <= 1.0 + 1e-9  # finished fractions
    return found


@cache
def table(name: str) -> pd.DataFrame:
    """The table of a figure at its small size; of several processes that test, one computes it."""
    if SHARED not in os.environ:
        return _compute(name)
    path = Path(os.environ[SHARED]) / f"{name}.pickle"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            _compute(name).to_pickle(path)
        return pd.read_pickle(path)


@cache
def computed(name: str) -> tuple[pd.DataFrame, Any]:
    """The table of a figure at its small size, and its picture."""
    with _small(name):
        return table(name), gallery.figure(name).draw(table(name))
