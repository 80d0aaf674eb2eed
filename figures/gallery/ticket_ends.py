"""How treatments end, by theory and by simulation: what the figures of tickets have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.plots.labels import quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.tickets.tickets import tickets
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.pruning import Pruning

COLOURS = {
    "dense": "#888888",
    "ticket": CYCLE[0],
    "reinit": CYCLE[2],
    "random": CYCLE[1],
    "fine-tune": CYCLE[3],
    "signs": CYCLE[5],
    "magnitudes": CYCLE[4],
}


def ends(
    experiment: Experiment,
    pruning: Pruning,
    treatments: Sequence[str],
    dimension: int,
    draws: int,
    runs: int,
    points: int,
    quantity: str = "accuracy",
) -> pd.DataFrame:
    """Mean and standard error of a quantity at the beginning and end of every treatment; `runs` = 0 leaves the simulation out.

    The theory is of `draws` random starts in D inputs, each with D random nodes: fresh weights begin with M = O(D^(-1/2)), so that
    there is no one curve. The simulation has the same starts, or the first of them: they differ far more among each other than
    theory and simulation of one.
    """
    numerics = Numerics(points=points, times=2)
    options: dict[str, Any] = {"treatments": list(treatments), "seed": 1, "numerics": numerics, "progress": False}
    parts = []
    sizes: list[tuple[str, dict[str, Any]]] = [
        ("theory", {"nodes": dimension, "runs": draws, "net": False}),
        ("simulation", {"dimension": dimension, "runs": runs}),
    ]
    for by, size in sizes:
        if by == "simulation" and not runs:
            continue
        study = tickets(experiment, pruning, **size, **options)
        for name, course in study.trajectories.items():
            values = course.observable(quantity).reshape(study.run.size, -1)
            error = values.std(axis=0, ddof=1) / study.run.size**0.5 if study.run.size > 1 else [float("nan")] * 2
            signal = float(study.arrays[f"{name}.signal"].mean()) if name != "dense" else 1.0
            row: dict[str, Any] = {"by": by, "treatment": name, "networks": study.run.size, "begin": values[:, 0].mean()}
            row |= {"end": values[:, -1].mean(), "end_median": np.median(values[:, -1]), "end_standard_error": error[-1]}
            parts.append({**row, "scatter": values[:, -1].std(), "signal": signal})
    return pd.DataFrame(parts)


def draw_ends(axis: Any, table: pd.DataFrame, x: str, treatments: Sequence[str], column: str = "end", **look: Any) -> None:
    """Theory as lines with a band of two standard errors, simulation as points, against a column."""
    for name in treatments:
        colour = COLOURS.get(name, CYCLE[6])
        part = table[(table["treatment"] == name) & (table["by"] == "theory")].sort_values(x)
        axis.plot(part[x], part[column], color=colour, label=name, **look)
        if column == "end":
            band = 2 * part["end_standard_error"]
            axis.fill_between(part[x], part[column] - band, part[column] + band, color=colour, alpha=0.2, linewidth=0)
        seen = table[(table["treatment"] == name) & (table["by"] == "simulation")]
        bars = 2 * seen["end_standard_error"] if column == "end" else None
        axis.errorbar(seen[x], seen[column], yerr=bars, fmt="o", color=colour, markersize=3.5, capsize=2, linewidth=1)


def draw_accuracy_and_signal(
    table: pd.DataFrame, x: str, places: Sequence[float], words: str, treatments: Sequence[str], experiment: Experiment
) -> Any:
    """Accuracy at the end of every treatment, and the signal that the masks keep, against a column on a logarithmic axis."""
    with style():
        figure, axes = new_figure(1, 2, width=3.6, height=2.8)
        ended, kept = axes[0]
        draw_ends(ended, table, x, treatments)
        dense = table[(table["treatment"] == "dense") & (table["by"] == "theory")].sort_values(x)
        ended.plot(dense[x], dense["end"], color=COLOURS["dense"], linewidth=0.9, label="dense")
        ended.set_ylabel(quantity_label("accuracy", experiment))
        ended.set_title("after training again")
        draw_ends(kept, table, x, ("ticket", "random"), column="signal")
        kept.set_ylabel(r"share of $|u|^2$ on what is kept")
        kept.set_title("what the mask has kept")
        for axis in axes[0]:
            axis.set_xscale("log")
            axis.set_xticks(places, [f"{place:g}" for place in places])
            axis.minorticks_off()
            axis.set_xlabel(words)
        # Curves are everywhere: their names stand beside them.
        kept.legend(*ended.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
