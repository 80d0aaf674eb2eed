"""Finite D as predicted: where 95 % of single runs are, by theory and in simulation, for order parameters and errors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.labels import TIME, quantity_label
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.observe import observe
from curriculode.theory.describe.experiment import Experiment, load
from curriculode.theory.finite_d.fluctuations import fluctuations

_DIMENSION = 200
_RUNS, _PATHS = 2000, 400  # of SGD, of the diffusion
_POINTS = 2048  # of the nets of errors: fewer would widen the bands of small errors by their own
_MIDDLE, _OUTSIDE = 0.5, (0.025, 0.975)
_DEVIATIONS = 1.96  # of a Gaussian law, in which 95 % are


@dataclass(frozen=True)
class Row:
    """One row of panels: an experiment from one start, and the moments that hold to the time `until`.

    start : (dimension, number) of the initial condition;  closure : or the expansion in 1/D
    """

    title: str
    experiment: Experiment
    start: tuple[int, int]
    quantities: tuple[str, ...]
    closure: bool
    until: float
    times: np.ndarray


_ROWS = (
    Row(
        "XOR mixture, K = 4",
        load("xor-curriculum"),
        (_DIMENSION, 0),
        ("Q[0,0]", "v[0]", "accuracy"),
        True,
        10.0,
        np.concatenate([np.arange(0.0, 10.0, 1.0), np.arange(10.0, 51.0, 4.0)]),
    ),
    # From a start whose overlaps with the teacher are larger than chance at D makes them: it does not wait on the plateau.
    Row(
        "committee, K = M = 2",
        load("committee-plateau").replace({"protocol.duration": 20.0}),
        (20, 7),
        ("Q[0,1]", "M[0,0]", "generalization_error"),
        False,
        20.0,
        np.linspace(0.0, 20.0, 21),
    ),
)


def beginning(experiment: Experiment, until: float) -> Experiment:
    """The experiment to the time `until`, with as many easy examples, which come first."""
    duration = experiment.protocol.duration
    changes = {"protocol.duration": until}
    if len(experiment.protocol.levels) > 1:
        changes["levels.easy.share"] = experiment.get("levels.easy.share") * duration / until
    return experiment.replace(changes)


def _moments(row: Row, dimension: int) -> pd.DataFrame:
    """Of the moments mean, and mean -+ 1.96 standard deviations."""
    found = fluctuations(
        beginning(row.experiment, row.until),  # beyond, the closure would be as slow as it is useless
        row.experiment.initial(*row.start),
        dimension=dimension if row.closure else None,
        times=row.times[row.times <= row.until],
        points=1024,
    )
    parts = []
    for name in row.quantities:
        mean, scatter = found.band(name, dimension)
        bounds = {"low": mean - _DEVIATIONS * scatter, "middle": mean, "high": mean + _DEVIATIONS * scatter}
        parts.append(pd.DataFrame({"quantity": name, "t": found.t, **bounds}))
    return pd.concat(parts).assign(source="closure" if row.closure else "expansion")


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Quantiles of runs and of paths of the diffusion, and what the moments predict of them, over time."""
    parts = []
    for i, row in enumerate(_ROWS):
        start = row.experiment.initial(*row.start)
        parts.append(_moments(row, _DIMENSION).assign(part=row.title))
        for j, (source, space, count) in enumerate((("diffusion", "diffusion", _PATHS), ("simulation", "overlap", _RUNS))):

            def advance(fraction: float, i: int = i, j: int = j) -> None:
                report((i + 0.1 + 0.45 * (j + fraction)) / len(_ROWS))

            runs = max(32, round(scale * count))
            seen = observe(
                row.experiment,
                row.quantities,
                dimension=_DIMENSION,
                runs=runs,
                start=start,
                times=row.times,
                space=space,
                points=_POINTS,
                progress=advance,
            )
            if seen.interrupted:
                raise KeyboardInterrupt
            for name in row.quantities:
                low, middle, high = np.quantile(seen.values[name], [_OUTSIDE[0], _MIDDLE, _OUTSIDE[1]], axis=0)
                columns = {"quantity": name, "t": seen.t, "low": low, "middle": middle, "high": high, "runs": runs}
                parts.append(pd.DataFrame(columns).assign(part=row.title, source=source))
    return pd.concat(parts, ignore_index=True)


def coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Widths of the predicted bands over that of the simulated one, of their sums over times, by part, quantity and source."""
    width = table.assign(width=table["high"] - table["low"]).set_index(["part", "quantity", "t", "source"])["width"].unstack()
    theories = width.columns.drop("simulation")
    known = {name: width["simulation"].where(width[name].notna()) for name in theories}
    of = ["part", "quantity"]
    return width[theories].groupby(of).sum(min_count=1) / pd.DataFrame(known).groupby(of).sum(min_count=1)


def draw(table: pd.DataFrame) -> Any:
    """One panel a quantity: filled the diffusion, dashed the moments, points the quantiles of runs."""
    colours = {"diffusion": CYCLE[0], "closure": CYCLE[2], "expansion": CYCLE[2], "simulation": "#333333"}
    with style():
        figure, axes = new_figure(len(_ROWS), len(_ROWS[0].quantities), width=3.0, height=2.3)
        for row, line in zip(_ROWS, axes, strict=True):
            for name, axis in zip(row.quantities, line, strict=True):
                chosen = table[(table["part"] == row.title) & (table["quantity"] == name)]
                for source, part in chosen.groupby("source", sort=False):
                    colour = colours[str(source)]
                    if source == "diffusion":
                        axis.fill_between(part["t"], part["low"], part["high"], color=colour, alpha=0.2, linewidth=0, label=source)
                        axis.plot(part["t"], part["middle"], color=colour, linewidth=1.0)
                    elif source == "simulation":
                        for k, of in enumerate(("low", "middle", "high")):
                            label = f"{part['runs'].iloc[0]:.0f} runs of SGD" if k == 0 else None
                            axis.plot(part["t"], part[of], ".", color=colour, markersize=3.5, label=label, zorder=3)
                    else:
                        for k, of in enumerate(("low", "middle", "high")):
                            label = f"{source}" if k == 0 else None
                            axis.plot(part["t"], part[of], "--", color=colour, linewidth=1.1, label=label)
                axis.set_title(quantity_label(name, row.experiment))
                if row.closure:  # the moments hold in the first fifth, where most is to be told apart
                    axis.set_xscale("symlog", linthresh=row.until, linscale=1.0)
                    axis.set_xticks([0, 5, 10, 20, 50], ["0", "5", "10", "20", "50"])
                    axis.minorticks_off()
                    axis.set_xlim(left=0)
                if name == "generalization_error":
                    axis.set_yscale("log")
                    axis.set_yticks([0.02, 0.05, 0.1, 0.2], ["0.02", "0.05", "0.1", "0.2"])
                    axis.minorticks_off()
            line[0].set_ylabel(row.title)
            line[0].legend(loc="upper left" if row.closure else "lower right")
        for axis in axes[-1]:
            axis.set_xlabel(TIME)
    return figure


_XOR, _COMMITTEE = (settings_in_words(row.experiment, dimension=_DIMENSION if row.closure else None) for row in _ROWS)

FIGURE = NamedFigure(
    title=f"Bands of single runs at D = {_DIMENSION}: predicted and simulated",
    caption=(
        f"Median and the band of 95 % of single runs at D = {_DIMENSION}, all from one start. Points: quantiles of {_RUNS:,} runs "
        f"of online SGD. Blue: quantiles of {_PATHS} paths of the diffusion. Dashed: mean and 1.96 standard deviations by the "
        f"moments; above by the closure, to t = {_ROWS[0].until:g}, beyond which the law of runs is no longer near a Gaussian; "
        "below by the expansion in 1/D. Of an accuracy or error the moments are those over states drawn from their Gaussian law. "
        f"Above, time is linear to {_ROWS[0].until:g} and logarithmic beyond: {_XOR}. Below, from a start with overlaps of 1/sqrt "
        f"{_ROWS[1].start[0]}: {_COMMITTEE}."
    ),
    experiment="xor-curriculum",
    compute=compute,
    draw=draw,
)
