"""How small an error of the learning rate a comparison of theory with simulation finds, against D and the number of runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.compare.cell import Cell
from curriculode.sims.compare.compare import compare
from curriculode.theory.describe.experiment import Experiment, load

_DIMENSIONS = (100, 300, 1000, 3000, 10_000)
_RUNS = (8, 16, 32, 64, 128)
_STARTS, _TIMES, _POINTS = 4, 11, 256
_SHOWN = 32  # runs of the panel against D
_EXPERIMENTS: dict[str, Experiment] = {
    "perceptron": load("perceptron-curriculum"),
    "committee, K = 2": load("committee-plateau").replace({"protocol.duration": 20.0}),
    "XOR, K = 4": load("xor-curriculum").replace({"protocol.duration": 20.0}),
}


def first_runs(cell: Cell, runs: int) -> Cell:
    """The cell with the first `runs` of its runs alone."""
    arrays = {name: value[:runs] if name != "t" else value for name, value in cell.ensemble.arrays.items()}
    return replace(cell, ensemble=cell.ensemble.replace(arrays=arrays), start_of_run=cell.start_of_run[:runs])


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """One row an experiment, D and number of runs: the smallest relative error that would be found, and the one that fits best."""
    runs = [max(_RUNS[0], round(scale * count)) for count in _RUNS]
    plan = [(name, D) for name in _EXPERIMENTS for D in _DIMENSIONS]
    rows = []
    for i, (name, D) in enumerate(plan):

        def advance(fraction: float, i: int = i) -> None:
            report((i + fraction) / len(plan))

        found = compare(
            _EXPERIMENTS[name],
            dimension=D,
            runs=max(runs),
            starts=_STARTS,
            times=_TIMES,
            points=_POINTS,
            progress=advance,
        )
        if found.interrupted:
            raise KeyboardInterrupt
        for count in dict.fromkeys(runs):
            cell = first_runs(found.cells[0], count)
            error = cell.rate_errors["learning_rate"]
            labels = {"experiment": name, "dimension": D, "runs": count}
            rows.append(
                {
                    **labels,
                    "found": error.allowed,
                    "error": error.error,
                    "standard_error": error.standard_error,
                    "agrees": cell.agrees,
                }
            )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Smallest error that is found against the number of runs, one line a D, and against D."""
    with style():
        figure, (panels,) = new_figure(1, 1 + len(_EXPERIMENTS), width=2.7, height=2.7, sharey=True)
        dimensions = sorted(table["dimension"].unique())
        from matplotlib import colormaps

        shades = colormaps["viridis"](np.linspace(0.0, 0.85, len(dimensions)))
        for axis, name in zip(panels, _EXPERIMENTS, strict=False):
            chosen = table[table["experiment"] == name]
            for shade, D in zip(shades, dimensions, strict=True):
                part = chosen[(chosen["dimension"] == D) & np.isfinite(chosen["found"])]
                axis.plot(part["runs"], 100 * part["found"], "o-", color=shade, markersize=3.2, linewidth=1.1, label=f"{D:,}")
            axis.set_xscale("log", base=2)
            runs = sorted(table["runs"].unique())
            axis.set_xticks(runs, [f"{count:d}" for count in runs])
            axis.set_xlabel("runs")
            axis.set_title(name)
        panels[0].set_yscale("log")
        panels[0].set_ylabel("error of the learning rate that is found, %")
        panels[0].legend(title="D", ncols=2, columnspacing=0.8, handlelength=1.2)
        shown = max((count for count in table["runs"].unique() if count <= _SHOWN), default=table["runs"].min())
        for colour, name in zip(CYCLE, _EXPERIMENTS, strict=False):
            part = table[(table["experiment"] == name) & (table["runs"] == shown) & np.isfinite(table["found"])]
            panels[-1].plot(part["dimension"], 100 * part["found"], "o-", color=colour, markersize=3.2, linewidth=1.1, label=name)
        D = np.array([dimensions[0], dimensions[-1]])
        top = table[(table["runs"] == shown) & np.isfinite(table["found"])]["found"].median()
        panels[-1].plot(D, 100 * top * (D / 1000) ** -0.5, "--", color="#888888", linewidth=0.8, label=r"$\propto D^{-1/2}$")
        panels[-1].set_xscale("log")
        panels[-1].set_xlabel("input dimension D")
        panels[-1].set_title(f"{shown} runs")
        panels[-1].legend()
    return figure


_SETTINGS = [f"{name}: {settings_in_words(experiment)}" for name, experiment in _EXPERIMENTS.items()]

FIGURE = NamedFigure(
    title="What a verdict finds: the smallest error of the learning rate, against D and the number of runs",
    caption=(
        "The smallest relative error of the learning rate that `curriculode compare` would have called a disagreement of theory at "
        f"finite D and simulation, at a false-alarm rate of 1 in 1000, from {_STARTS} random starts and {_TIMES} times; fewer runs "
        f"are the first of {max(_RUNS)}. Three panels: against the number of runs, one line a D. Last: {_SHOWN} runs, against D. "
        "Numbers that nothing was found with (too few runs to tell their own scatter) have no point. Settings of the "
        f"{'; of the '.join(_SETTINGS)}."
    ),
    experiment="xor-curriculum",
    compute=compute,
    draw=draw,
)
