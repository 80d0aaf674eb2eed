"""By how much the mean of runs at finite D differs from the mean field: measured, and predicted without a fitted number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import CYCLE, new_figure, style
from curriculode.sims.runs.observe import observe
from curriculode.theory.describe.experiment import Experiment, load
from curriculode.theory.finite_d.fluctuations import fluctuations

_DIMENSIONS = (40, 80, 160, 400, 1000, 3000, 10_000, 100_000)
_RUNS, _STEPS = 120_000, 8e7  # most runs, and most steps of all runs, at a D
_LEAST_RUNS = 64
_TOLD = 1.0  # largest bar of a ratio that tells anything
_CHANGES = {"protocol.duration": 1.0, "training.learning_rate": 2.0}  # short, at a large rate: much shift for little scatter


@dataclass(frozen=True)
class Panel:
    """An experiment, the dimension and seed of its one start, and the order parameters that are drawn."""

    title: str
    experiment: Experiment
    start: tuple[int, int]
    quantities: tuple[str, ...]


_PANELS = (
    Panel(
        "committee, K = M = 2",
        load("committee-plateau").replace(_CHANGES),
        (20, 7),
        ("Q[0,0]", "Q[0,1]", "M[0,0]"),
    ),
    # Stages and blocks are whole numbers at each D, so that nothing is rounded.
    Panel(
        "perceptron, curriculum",
        load("perceptron-curriculum").replace(_CHANGES),
        (1000, 0),
        ("Q[0,0,0]", "M[0,0,0]"),
    ),
)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """One row a panel, quantity and D: shift of the mean and scatter of a run, measured with their errors, and predicted."""
    rows = []
    for i, panel in enumerate(_PANELS):
        duration = panel.experiment.protocol.duration
        start = panel.experiment.initial(*panel.start)
        theory = fluctuations(panel.experiment, start, times=[duration], points=2**14, rtol=1e-8)
        place = [theory.names.index(name) for name in panel.quantities]
        shift, variance = theory.shift[-1, place], np.diagonal(theory.covariance[-1])[place]
        for j, D in enumerate(_DIMENSIONS):

            def advance(fraction: float, i: int = i, j: int = j) -> None:
                report((i + (j + fraction) / len(_DIMENSIONS)) / len(_PANELS))

            runs = max(_LEAST_RUNS, round(scale * min(_RUNS, _STEPS / (D * duration))))
            seen = observe(
                panel.experiment,
                panel.quantities,
                dimension=D,
                runs=runs,
                start=start,
                times=[duration],
                progress=advance,
            )
            if seen.interrupted:
                raise KeyboardInterrupt
            for k, name in enumerate(panel.quantities):
                deviation = seen.values[name][:, -1] - theory.observable(name)[-1]
                scatter = deviation.std(ddof=1)
                rows.append(
                    {
                        "part": panel.title,
                        "quantity": name,
                        "dimension": D,
                        "runs": runs,
                        "shift": deviation.mean(),
                        "shift_error": scatter / np.sqrt(runs),
                        "predicted_shift": shift[k] / D,
                        "scatter": scatter,
                        "predicted_scatter": np.sqrt(variance[k] / D),
                    }
                )
    return pd.DataFrame(rows)


def slopes(table: pd.DataFrame, least: int = 100) -> pd.DataFrame:
    """Measured over predicted shift with its standard error, by weighted least squares over D >= `least`, for each quantity."""
    rows = []
    for (part, name), group in table[table["dimension"] >= least].groupby(["part", "quantity"], sort=False):
        x, y, weight = group["predicted_shift"], group["shift"], group["shift_error"] ** -2.0
        norm = (weight * x**2).sum()
        rows.append({"part": part, "quantity": name, "ratio": (weight * x * y).sum() / norm, "error": norm**-0.5})
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Any:
    """Above the shift against 1/D with the predicted line; below, measured over predicted: shift, and scatter of a run."""
    fits = slopes(table)
    with style():
        figure, axes = new_figure(3, len(_PANELS), width=3.7, height=2.1, sharex=True, height_ratios=[1.6, 1.0, 1.0])
        for panel, (shift, ratio, scatter) in zip(_PANELS, axes.T, strict=True):
            for k, (colour, name) in enumerate(zip(CYCLE, panel.quantities, strict=False)):
                part = table[(table["part"] == panel.title) & (table["quantity"] == name)]
                x, seen = 1.0 / part["dimension"], (part["shift"].abs() > 2 * part["shift_error"]).to_numpy()
                sign = np.sign(part["predicted_shift"].iloc[0])
                label = f"{'' if sign > 0 else '−'}{name}"
                fit = fits[(fits["part"] == panel.title) & (fits["quantity"] == name)]
                if len(fit):
                    label += f": {fit['ratio'].iloc[0]:.3f} ± {fit['error'].iloc[0]:.3f}"
                look: Any = {"fmt": "o", "color": colour, "markersize": 3.5, "capsize": 2, "elinewidth": 0.8}
                shift.plot(x, sign * part["predicted_shift"], color=colour, linewidth=1.0)
                points = sign * part["shift"], 2 * part["shift_error"]
                shift.errorbar(x[seen], points[0][seen], yerr=points[1][seen], label=label, **look)
                of = part["shift"] / part["predicted_shift"]
                bars = (2 * part["shift_error"] / part["predicted_shift"]).abs()
                told, apart = bars < _TOLD, x * 1.12 ** (k - 1)
                ratio.errorbar(apart[told], of[told], yerr=bars[told], **look)
                of = part["scatter"] / part["predicted_scatter"]
                scatter.errorbar(apart, of, yerr=of * np.sqrt(2 / part["runs"]), **look)  # two standard errors of a Gaussian's
            for axis, title, limits in ((ratio, "shift", (0.4, 1.6)), (scatter, "scatter of a run", (0.85, 1.15))):
                axis.axhline(1.0, color="#888888", linewidth=0.8)
                axis.set_ylim(*limits)
                axis.set_title(f"{title}: measured / predicted")
            scatter.set_xlabel("1 / D")
            shift.set_xscale("log")
            shift.set_yscale("log")
            shift.set_title(panel.title)
            shift.legend(loc="upper left", title="measured / predicted, D ≥ 100", alignment="left")
        axes[0, 0].set_ylabel("shift of the mean from the mean field")
    return figure


_COMMITTEE, _PERCEPTRON = (settings_in_words(panel.experiment) for panel in _PANELS)

FIGURE = NamedFigure(
    title=f"The mean of runs at finite D is off the mean field by m / D: D = {_DIMENSIONS[0]} to {_DIMENSIONS[-1]:,}",
    caption=(
        f"Mean of order parameters over runs of online SGD at t = {_PANELS[0].experiment.protocol.duration:g}, all from one start, "
        f"less the mean-field equations, against 1 / D; up to {_RUNS:,} runs a point in overlap space, fewer at large D "
        f"({round(_STEPS / _DIMENSIONS[-1]):,} at D = {_DIMENSIONS[-1]:,}), bars of two standard errors, points where the shift "
        "exceeds that. Lines: the first order of the expansion in 1/D, nothing fitted; a minus marks what is shifted down. Below: "
        "measured over predicted, slightly apart so that bars can be told: of the shift, where there is anything to tell, and of "
        "the scatter, which is off by the next order in 1/D where D is small. "
        f"Left, before its plateau: {_COMMITTEE}. Right, of the relevant inputs (block 0): {_PERCEPTRON}."
    ),
    experiment="committee-plateau",
    compute=compute,
    draw=draw,
)
