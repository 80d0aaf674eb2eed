"""Pictures of real networks: what an order gains, and what the images of each level look like."""

from typing import Any

import numpy as np

from curriculode.figures.plots.style import CYCLE, ORDER_COLOURS, as_axes, new_figure, style
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError


def plot_gains(comparison: Any, level: str | None = None, ax: Any = None) -> Any:
    """Draw what every order gains over the random one, or the last, with two standard errors; of one order alone its error.

    Parameters
    ----------
    comparison : OrderComparison
        What `networks.compare` returns.
    level : str, optional
        One level, by default a panel for each.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes or ndarray of Axes
        What was drawn on.
    """
    if level is not None and level not in comparison.levels:
        raise InputError(unknown("level", level, list(comparison.levels)))
    levels = comparison.levels if level is None else (level,)
    names = list(comparison.cells[0])
    if len(comparison.orders) > 1:
        reference = "random" if "random" in comparison.orders else comparison.orders[-1]
        gaps, words = comparison.gaps(reference), f"gain over {reference} (%)"
    else:  # of one order alone, its error
        gaps, words = comparison.summary().rename(columns={"classification_error": "gain"}), "error (%)"
    with style():
        axes = new_figure(1, len(levels), width=2.7, height=2.7, sharey=True)[1][0] if ax is None else as_axes(ax, len(levels))
        for axis, each in zip(axes, levels, strict=True):
            _gains(axis, gaps[gaps["level"] == each], names)
            axis.set_title(each)
        axes[0].set_ylabel(words)
        axes[-1].legend(loc="best", fontsize=7)
    return axes[0] if level is not None else axes


def _gains(axis: Any, part: Any, names: list[str]) -> None:
    """A line for every order and combination of all varied parameters but the first, which is the abscissa."""
    axis.axhline(0.0, color="#888888", linewidth=0.8)
    groups = part.groupby(["order", *names[1:]], sort=False) if names else part.groupby(["order"], sort=False)
    styles = ("-", "--", ":", "-.")
    seen: dict[tuple[Any, ...], int] = {}
    for key, rows in groups:
        number = seen.setdefault(key[1:], len(seen))
        x = rows[names[0]].to_numpy() if names else np.zeros(len(rows))
        place = np.arange(len(x)) if x.dtype.kind not in "iuf" else x
        words = ", ".join([key[0], *(f"{name.split('.')[-1]} {value}" for name, value in zip(names[1:], key[1:], strict=True))])
        look = {"color": ORDER_COLOURS.get(key[0], CYCLE[0]), "linestyle": styles[number % 4], "marker": "o", "markersize": 3}
        axis.errorbar(place, 100 * rows["gain"], yerr=200 * rows["standard_error"], capsize=2, linewidth=1, label=words, **look)
        if x.dtype.kind not in "iuf":
            axis.set_xticks(place, [str(value) for value in x])
        elif names and (x > 0).all() and x.max() > 4 * x.min():
            axis.set_xscale("log", base=2)
            axis.set_xticks(x, [f"{value:g}" for value in x])
            axis.minorticks_off()
    axis.set_xlabel(names[0].split(".")[-1] if names else "")
    if not names:
        axis.set_xticks([])


def draw_gains(table: Any, over: str = "network.width", words: str = "units of a layer") -> Any:
    """Draw gains against the width from a table of them: levels as panels, depths as colours, with a common tail dashed.

    Parameters
    ----------
    table : DataFrame
        Columns `over`, level, gain, standard_error and training.common_tail, of one order; where there is a column network.depth,
        a line for each, and where there is a column part, a row of panels for each.
    over : str, default "network.width"
        The parameter that the gains are drawn against.
    words : str, default "units of a layer"
        What it is.

    Returns
    -------
    Figure
        A panel a level.
    """
    with style():
        levels = list(dict.fromkeys(table["level"]))
        parts = list(dict.fromkeys(table["part"])) if "part" in table else [None]
        figure, axes = new_figure(len(parts), len(levels), width=2.5, height=2.6, sharey=True, sharex=True)
        for row, part in zip(axes, parts, strict=True):
            for axis, level in zip(row, levels, strict=True):
                _against(over, axis, table[(table["level"] == level) & (part is None or table.get("part") == part)])
            row[0].set_ylabel("accuracy gained over random (%)" if part is None else f"gain over random (%)\n{part}")
        for top, bottom, level in zip(axes[0], axes[-1], levels, strict=True):
            top.set_title(level)
            bottom.set_xlabel(words)
        axes[0, -1].legend(loc="best", fontsize=6.5)
    return figure


def _against(over: str, axis: Any, table: Any) -> None:
    """Gains of one level."""
    axis.axhline(0.0, color="#888888", linewidth=0.8)
    depths = sorted(table["network.depth"].unique()) if "network.depth" in table else [None]
    for i, depth in enumerate(depths):
        of_depth = table if depth is None else table[table["network.depth"] == depth]
        for tail, part in of_depth.sort_values(over).groupby("training.common_tail"):
            name = ", ".join([f"{depth} hidden"] * (depth is not None) + ["common tail"] * (tail > 0)) or "examples as they come"
            look = {"color": CYCLE[i], "linestyle": "--" if tail else "-", "linewidth": 1, "capsize": 2, "markersize": 3}
            shift = 2.0 ** (0.06 * (i - 1) + (0.03 if tail else 0.0))  # so that bars do not hide each other
            axis.errorbar(shift * part[over], 100 * part["gain"], yerr=200 * part["standard_error"], marker="o", label=name, **look)
    values = sorted(table[over].unique())
    axis.set_xscale("log", base=2)
    axis.set_xticks(values, [str(value) for value in values])
    axis.minorticks_off()


def plot_course(runs: Any, ax: Any = None) -> Any:
    """Draw the accuracy of networks at each level against time, with two standard errors over the runs.

    Parameters
    ----------
    runs : NetworkRuns
        What `networks.train` returns.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        What was drawn on.
    """
    with style():
        axis = new_figure(1, 1, width=4.4, height=3.0)[1][0, 0] if ax is None else ax
        count = runs.run.size
        for k, name in enumerate(runs.levels):
            accuracy = 1.0 - runs.classification_error[..., k]
            mean, colour = accuracy.mean(axis=0), CYCLE[k % len(CYCLE)]
            axis.plot(runs.t, mean, color=colour, label=name)
            if count > 1:
                band = 2.0 * accuracy.std(axis=0, ddof=1) / np.sqrt(count)
                axis.fill_between(runs.t, mean - band, mean + band, color=colour, alpha=0.2, linewidth=0)
        axis.set_xlabel("t = examples / inputs")
        axis.set_ylabel("accuracy")
        axis.legend(loc="lower right")
    return axis


def plot_images(experiment: Any, count: int = 8, seed: int = 0) -> Any:
    """Draw the first test images as they are seen at each level.

    Parameters
    ----------
    experiment : NetworkExperiment
        Whose data and levels.
    count : int, default 8
        Number of images.
    seed : int, default 0
        Of their noise.

    Returns
    -------
    Figure
        A row a level.
    """
    from curriculode.sims.networks.draws import draw_tests
    from curriculode.theory.describe.order_parameters import child_seed

    images = experiment.data.images()
    tests = draw_tests(experiment, images, child_seed(seed, 0))[:, :count]
    low, high = float(images.train.min()), float(images.train.max())
    with style():
        figure, axes = new_figure(len(tests), tests.shape[1], width=0.8, height=0.85)
        for row, level, shown in zip(axes, experiment.protocol.levels, tests, strict=True):
            for axis, image in zip(row, shown, strict=True):
                grey = (image - low) / (high - low)  # what noise takes beyond is cut off in the picture alone
                axis.imshow(np.clip(grey if grey.shape[-1] == 3 else grey[..., 0], 0, 1), cmap="gray", vmin=0, vmax=1)
                axis.set_xticks([])
                axis.set_yticks([])
                axis.grid(False)
            row[0].set_ylabel(level.name, fontsize=8)
    return figure


def plot_barrier(found: Any, ax: Any = None) -> Any:
    """Draw the barrier between copies against the time of branching, with two standard errors.

    Parameters
    ----------
    found : Instability
        What `networks.instability` returns, or that of the theory.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        What was drawn on.
    """
    table = found.summary()
    with style():
        axis = new_figure(1, 1, width=4.0, height=3.0)[1][0, 0] if ax is None else ax
        look = {"fmt": "o-", "color": CYCLE[0], "markersize": 3, "capsize": 2, "linewidth": 1}
        axis.errorbar(table["at"], table["barrier"], yerr=2 * table["standard_error"].fillna(0.0), **look)
        axis.axhline(0.02, color="#888888", linewidth=0.8)
        axis.set_xlabel("time k of the branching")
        axis.set_ylabel("error over the mean of the ends")
    return axis


def plot_treatments(found: Any, ax: Any = None) -> Any:
    """Draw the accuracy of every treatment on the mixture, run by run, and the mean.

    Parameters
    ----------
    found : NetworkTickets
        What `networks.tickets` returns.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        What was drawn on.
    """
    table = 1.0 - found.final()
    with style():
        axis = new_figure(1, 1, width=1.2 + 0.7 * table.shape[1], height=3.0)[1][0, 0] if ax is None else ax
        for i, name in enumerate(table.columns):
            axis.plot(np.full(len(table), i), table[name], ".", color=CYCLE[i % len(CYCLE)], alpha=0.5)
            axis.plot([i - 0.3, i + 0.3], [table[name].mean()] * 2, color=CYCLE[i % len(CYCLE)])
        axis.set_xticks(range(table.shape[1]), list(table.columns), rotation=30)
        axis.set_ylabel("accuracy on the mixture")
    return axis
