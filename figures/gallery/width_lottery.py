"""Whether the gap that a curriculum leaves closes as the lottery of independent tickets would: K = 4 to 128.

A unit that ends on each cluster with a chance q, whatever the others do, leaves a network of K units with n clusters covered with
the probability `independent_tickets`; q of each order is read off K = 4, and so is the error of a network with n clusters. What the
widths then add is no more than chance: if units are tickets, the gap must follow without anything fitted. Beside it two laws with
two free numbers each, a power and an exponential of K, are fitted to the gaps and judged by their chi^2.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from curriculode.figures.gallery.lottery import independent_tickets
from curriculode.figures.gallery.named_figure import NamedFigure
from curriculode.figures.gallery.paired_orders import paired_difference
from curriculode.figures.gallery.words import listed, settings_in_words
from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, new_figure, style
from curriculode.sims.runs.observe import observe
from curriculode.theory.describe.study import Study
from curriculode.theory.landscape.ends import held_on
from curriculode.theory.results.observations import wilson_interval

_EXPERIMENT = "xor-curriculum"
_ORDERS = ("curriculum", "random")
_DIMENSION, _LEAST = 200, 4
_ENDS = {0.05: 300.0, 0.0: 50.0}  # weight decay -> time: at rest, or the end of the protocol where nothing rests
# width -> runs; so that each costs about the same
_WIDTHS = {4: 1600, 6: 1100, 8: 900, 12: 520, 16: 400, 24: 210, 32: 150, 48: 80, 64: 50, 96: 30, 128: 20}
_STUDY = Study.load(_EXPERIMENT)
_BASE = _STUDY.experiment.replace({"training.learning_rate": 1.5})
_COUNTS = range(5)
_SINCE = (4, 8)  # widths from which on laws are fitted
_LAWS: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {
    "power": lambda K, size, exponent: size * (K / _LEAST) ** -exponent,
    "exponential": lambda K, size, rate: size * np.exp(-rate * (K - _LEAST)),
}


def compute(scale: float, report: Callable[[float], None]) -> pd.DataFrame:
    """One row a weight decay and width: the gap of the classification error, random less curriculum, of runs of SGD that share
    starts and seeds; of each order the share of runs with n clusters covered, and the mean error of the runs with n.
    """
    plan = [(decay, end, width, runs) for decay, end in _ENDS.items() for width, runs in _WIDTHS.items()]
    costs = [end * runs * (width**2 / 2 + 20 * width) for _, end, width, runs in plan]
    rows = []
    for i, (decay, end, width, runs) in enumerate(plan):
        experiment, values = _BASE.replace({"training.weight_decay": decay, "student.width": width}), {}
        for j, order in enumerate(_ORDERS):

            def advance(fraction: float, i: int = i, j: int = j) -> None:
                report((sum(costs[:i]) + costs[i] * (j + fraction) / len(_ORDERS)) / sum(costs))

            seen = observe(
                held_on(experiment, order, end, "hard"),
                ["classification_error", "covered_clusters"],
                dimension=_DIMENSION,
                runs=max(16, round(scale * runs)),
                times=[end],
                progress=advance,
            )
            if seen.interrupted:
                raise KeyboardInterrupt
            values[order] = {name: value[:, -1] for name, value in seen.values.items()}
        errors = np.concatenate([values[order]["classification_error"] for order in _ORDERS])
        covered = np.concatenate([values[order]["covered_clusters"] for order in _ORDERS])
        first, second = (values[order]["classification_error"] for order in _ORDERS)
        gap, gap_error = paired_difference(second, first)
        row: dict[str, Any] = {"training.weight_decay": decay, "t": end, "width": width, "runs": first.size}
        row |= {"gap": gap, "gap_standard_error": gap_error}
        for n in _COUNTS:
            row |= {f"covered_{n}_{order}": float((values[order]["covered_clusters"] == n).mean()) for order in _ORDERS}
            row[f"error_{n}"] = float(errors[covered == n].mean()) if (covered == n).any() else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def ticket_chances(table: pd.DataFrame) -> dict[str, float]:
    """The chance q that a unit ends on a given cluster in each order, from the mean number covered at the least width.

    Of one weight decay: a cluster is left out with the probability (1 - q)^K.
    """
    least = table.sort_values("width").iloc[0]
    K = int(least["width"])
    mean = {order: sum(n * least[f"covered_{n}_{order}"] for n in _COUNTS) for order in _ORDERS}
    return {order: 1.0 - (1.0 - value / 4) ** (1.0 / K) for order, value in mean.items()}


def tickets_gap(table: pd.DataFrame) -> pd.DataFrame:
    """What independent tickets predict for each width of one weight decay: `gap`, and the chance `all_ORDER` of all clusters."""
    least = table.sort_values("width").iloc[0]
    error = np.array([least[f"error_{n}"] for n in _COUNTS])
    error = np.where(np.isfinite(error), error, 0.5)  # what no run covered
    chances, rows = ticket_chances(table), []
    for width in table["width"]:
        share = {order: np.array([independent_tickets(int(width), n, q) for n in _COUNTS]) for order, q in chances.items()}
        gap = float((share["random"] - share["curriculum"]) @ error)
        rows.append({"width": width, "gap": gap, **{f"all_{order}": share[order][4] for order in _ORDERS}})
    return pd.DataFrame(rows)


def laws(table: pd.DataFrame) -> pd.DataFrame:
    """How well each law holds at each weight decay, from each of some widths on: its numbers with standard errors, chi^2, degrees
    of freedom and p-value.

    "none" is a gap that does not depend on K; "tickets" has nothing that is fitted, and the width that its chances are read off
    does not count.
    """
    rows: list[dict[str, Any]] = []
    for decay, whole in table.groupby("training.weight_decay", sort=False):
        expected = tickets_gap(whole)["gap"].to_numpy()
        for since in _SINCE:
            kept = (whole["width"] >= since).to_numpy()
            K, gap, error = (whole[name].to_numpy(dtype=float)[kept] for name in ("width", "gap", "gap_standard_error"))
            place = {"training.weight_decay": decay, "since": since}
            mean, mean_error = float((gap / error**2).sum() / (1 / error**2).sum()), float((1 / error**2).sum() ** -0.5)
            rows.append({**place, **_judged("none", (gap - mean) / error, (mean,), (mean_error,))})
            rows += [{**place, **_fitted(law, K, gap, error)} for law in _LAWS]
            own = whole["width"].min() < K
            rows.append({**place, **_judged("tickets", ((gap - expected[kept]) / error)[own])})
    return pd.DataFrame(rows)


def _fitted(law: str, K: np.ndarray, gap: np.ndarray, error: np.ndarray) -> dict[str, Any]:
    from scipy.optimize import curve_fit

    first = (gap[0], 0.5 if law == "power" else 0.02)
    found, covariance = curve_fit(_LAWS[law], K, gap, first, error, absolute_sigma=True)
    return _judged(law, (gap - _LAWS[law](K, *found)) / error, tuple(found), tuple(np.sqrt(np.diag(covariance))))


def _judged(law: str, left: np.ndarray, numbers: tuple[float, ...] = (), errors: tuple[float, ...] = ()) -> dict[str, Any]:
    """A law whose free numbers were fitted, and what it leaves of the gaps (widths,) in standard errors."""
    from scipy.stats import chi2

    value, freedom = float((left**2).sum()), left.size - len(numbers)
    row = {"law": law, "chi2": value, "freedom": freedom, "p": float(chi2.sf(value, freedom))}
    for i, name in enumerate(("size", "slope")):
        row[name] = numbers[i] if len(numbers) > i else np.nan
        row[f"{name}_standard_error"] = errors[i] if len(errors) > i else np.nan
    return row


def draw(table: pd.DataFrame) -> Any:
    """The gap against K at each weight decay, and the chance of all four clusters."""
    since = _SINCE[-1]
    found = laws(table)
    found = found[found["since"] == since]
    with style():
        figure, (panels,) = new_figure(1, 1 + len(_ENDS), width=3.4, height=3.0)
        for axis, (decay, part) in zip(panels, table.groupby("training.weight_decay", sort=False), strict=False):
            K = np.geomspace(since, part["width"].max(), 60)
            axis.errorbar(
                part["width"], part["gap"], yerr=2 * part["gap_standard_error"], fmt="o", color="black", markersize=3.5, capsize=2
            )
            axis.plot(part["width"], tickets_gap(part)["gap"], color="#888888", label="independent tickets")
            for law, colour in zip(_LAWS, CYCLE, strict=False):
                fit = found[(found["training.weight_decay"] == decay) & (found["law"] == law)].iloc[0]
                words = f"power $K^{{{-fit['slope']:.2f} \\pm {fit['slope_standard_error']:.2f}}}$" if law == "power" else law
                axis.plot(K, _LAWS[law](K, fit["size"], fit["slope"]), "--", color=colour, label=f"{words}, p = {fit['p']:.1g}")
            axis.axhline(0.0, color="#BBBBBB", linewidth=0.8)
            axis.set_title(rf"$\kappa$ = {decay:g}, t = {part['t'].iloc[0]:g}")
            axis.set_ylabel("gap: random − curriculum")
            axis.legend(fontsize=7)
        last, first = panels[-1], table[table["training.weight_decay"] == next(iter(_ENDS))]
        expected = tickets_gap(first)
        for order in _ORDERS:
            share, n = first[f"covered_4_{order}"], first["runs"]
            low, high = (
                np.array(ends) for ends in zip(*(wilson_interval(s * m, m) for s, m in zip(share, n, strict=True)), strict=True)
            )
            look: Any = {"color": ORDER_COLOURS[order]}
            last.errorbar(
                first["width"],
                share,
                yerr=np.array([share - low, high - share]).clip(min=0),
                fmt="o",
                markersize=3.5,
                capsize=2,
                label=order,
                **look,
            )
            last.plot(expected["width"], expected[f"all_{order}"], **look)
        last.set_title(rf"$\kappa$ = {next(iter(_ENDS)):g}; lines: independent tickets", fontsize=9)
        last.set_ylabel("share with all four clusters")
        last.legend(fontsize=7)
        for axis in panels:
            axis.set_xscale("log", base=2)
            axis.set_xticks([4, 8, 16, 32, 64, 128], ["4", "8", "16", "32", "64", "128"])
            axis.set_xlabel("width K")
    return figure


_VARIED = ("student.width", "protocol.order", "training.weight_decay", "protocol.duration")

FIGURE = NamedFigure(
    title="The gap against the width K: not that of independent tickets",
    caption=(
        "Classification error in random order less that of the curriculum, from "
        f"{_WIDTHS[max(_WIDTHS)]} (K = {max(_WIDTHS)}) to {_WIDTHS[min(_WIDTHS)]} (K = {min(_WIDTHS)}) runs of online SGD at "
        f"D = {_DIMENSION} that share starts and seeds between the orders, held on hard examples after the protocol "
        f"(t = {_STUDY.experiment.protocol.duration:g}); bars are two standard errors. Weight decays {listed(_ENDS)}, at "
        f"t = {listed(_ENDS.values())}. Grey: independent tickets, whose chances and errors are those of K = {_LEAST}; dashed: "
        f"fits from K = {_SINCE[-1]} on, with the p-value of their chi². Right: runs that cover all clusters, with 95 % "
        f"intervals. {settings_in_words(_BASE, _VARIED)}."
    ),
    experiment=_EXPERIMENT,
    compute=compute,
    draw=draw,
)
