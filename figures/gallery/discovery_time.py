"""When a small signal is discovered, against D: ln D while the readout lasts, then D, with and without easy examples.

A readout that is trained decays as long as the signal is small, so that linear growth is bounded: it discovers the clusters below a
dimension D_c. Beyond, readout and signal have to grow together. Easy examples move D_c.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.words import settings_in_words
from curriculode.figures.plots.style import ORDER_COLOURS, new_figure, style
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.study import Study
from curriculode.theory.landscape.gain import THRESHOLD, linear_gain
from curriculode.theory.solve.integrate import integrate

_EXPERIMENT = "xor-curriculum"
_ORDERS = ("curriculum", "hard-only")
_DIMENSIONS = tuple(np.geomspace(30, 1e6, 12).round().tolist())
_DRAWN, _STARTS = 10**4, 3  # the dimension that starts are drawn in, and scaled from
_CHANGES = {"training.learning_rate": 2.0, "training.readout_learning_rate": 1.0}
_DURATION, _POINTS, _LATE = 40.0, 256, 3.0  # of the linear growth; how much longer than predicted the equations are followed
_STUDY = Study.load(_EXPERIMENT)


def _scaled(start: OrderParameters, ratio: float) -> OrderParameters:
    """The start with the signal of `ratio` times its dimension."""
    return OrderParameters(start.Q, start.M / np.sqrt(ratio), start.v)


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """Discovery times by the equations, by linear growth and by the slow law, for starts of each dimension."""
    rows, starts = [], max(1, round(scale * _STARTS))
    plan = [(order, number) for order in _ORDERS for number in range(starts)]
    for i, (order, number) in enumerate(plan):
        experiment = _STUDY.experiment.replace({**_CHANGES, "protocol.order": order, "protocol.duration": _DURATION})
        start = experiment.initial(_DRAWN, 0, number)
        gain = linear_gain(experiment, start, points=_POINTS, times=401)
        for j, D in enumerate(_DIMENSIONS):
            ratio = D / _DRAWN
            linear, slow = gain.discovery_time(ratio), gain.slow_discovery_time(ratio)
            rows.append(
                {
                    "order": order,
                    "start": number,
                    "D": D,
                    "equations": _discovered(experiment, _scaled(start, ratio), min(linear, slow)),
                    "linear": linear,
                    "slow": slow,
                    "D_c": gain.critical_ratio * _DRAWN,
                }
            )
            report((i + (j + 1) / len(_DIMENSIONS)) / len(plan))
    return pd.DataFrame(rows)


def _discovered(experiment: Any, start: OrderParameters, expected: float) -> float:
    """When the largest cosine reaches the threshold by the equations; NaN if not in a few times the expected time.

    The protocol's easy examples are as many at every D: it goes on with hard ones.
    """
    end = max(_DURATION, _LATE * expected)
    easy = experiment.protocol.stages()[0].end if experiment.protocol.order == "curriculum" else 0.0
    plan = [{"share": easy / end, "probability": {"easy": 1.0}}] if easy else []
    plan.append({"share": 1.0 - easy / end, "probability": {"hard": 1.0}})
    longer = experiment.replace({"protocol.order": "stages", "protocol.plan": plan, "protocol.duration": end})
    t = np.unique(np.concatenate([np.linspace(0.0, _DURATION, 161), np.geomspace(_DURATION, end, 161)])).clip(max=end)
    found = integrate(longer, start, points=_POINTS, times=np.unique(t), estimate_error=False, rtol=1e-6, method="LSODA")
    largest = np.abs(found.cosines).max(axis=(1, 2))
    above = np.flatnonzero(largest >= THRESHOLD)
    return float(found.t[above[0]]) if above.size else float("nan")


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """Median over starts, by order and D."""
    return table.groupby(["order", "D"], sort=False)[["equations", "linear", "slow", "D_c"]].median().reset_index()


def draw(table: pd.DataFrame) -> Any:
    """Time against D, with both laws."""
    with style():
        figure, axes = new_figure(1, 1, width=4.8, height=3.6)
        axis = axes[0, 0]
        for order, part in medians(table).groupby("order", sort=False):
            colour = ORDER_COLOURS[str(order)]
            own = table[table["order"] == order]
            axis.plot(own["D"], own["equations"], "o", color=colour, markersize=3.5, alpha=0.7, label=f"{order}: equations")
            reached = np.where(np.isfinite(part["linear"]), part["linear"], np.nan)
            axis.plot(part["D"], reached, color=colour, label="linear growth")
            axis.plot(part["D"], part["slow"], "--", color=colour, linewidth=1.1, label="cubic growth, ∝ D")
            axis.axvline(part["D_c"].iloc[0], color=colour, linestyle=":", linewidth=1.0)
        axis.set_xscale("log")
        axis.set_yscale("log")
        shown = table["equations"].dropna()
        axis.set_ylim(0.5 * shown.min(), 3.0 * shown.max())
        axis.set_xlabel("input dimension D (dotted: $D_c$)")
        axis.set_ylabel("time of discovery, t = n / D")
        axis.set_title("from ln D to D", fontsize=9)
        axis.legend(fontsize=7)
    return figure


FIGURE = NamedFigure(
    title="When the clusters are discovered against D: ln D below D_c, then D, with and without easy examples",
    caption=(
        f"Time at which the largest cosine of a unit with a centroid reaches {THRESHOLD:g}, of {_STARTS} starts whose signal is "
        "scaled to each D. Points: the equations; lines: linear growth of the signal along the protocol, as far as it leads; "
        "dashed: "
        "cubic growth after the readout's collapse, in proportion to D; dotted: the dimension D_c up to which linear growth "
        "discovers. Medians over "
        f"starts. The curriculum has {_DURATION * _STUDY.experiment.protocol.shares[0]:g} D easy examples first, then hard "
        f"ones for as "
        f"long as it takes; the other order has none. "
        f"{settings_in_words(_STUDY.experiment.replace(_CHANGES), ['protocol.order', 'protocol.duration', 'levels.easy.share'])}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
