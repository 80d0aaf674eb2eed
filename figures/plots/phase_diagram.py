"""Phase diagrams: an observable, or the gap between two orders or treatments, over two parameters of a sweep."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.figures.plots.labels import parameter_label, quantity_label
from curriculode.figures.plots.style import new_figure, style
from curriculode.sims.sweep.average import average, checked_significance
from curriculode.sims.sweep.tables import checked_orders, in_order, shown
from curriculode.theory.core.checks import plain
from curriculode.theory.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_LINES = ("#D55E00", "#CC79A7", "#56B4E9")  # of boundaries
_RASTER = 300  # pixels a side, where the points of a diagram are not those of a grid


@dataclass(frozen=True)
class PhaseDiagram:
    """What was drawn, and its numbers.

    Parameters
    ----------
    ax : Axes
        The axes.
    mesh : QuadMesh
        The heat map.
    contours : ContourSet or None
        Its contour lines, where there are any.
    colorbar : Colorbar
        That of the heat map.
    hatching : QuadMesh or None
        Cells where a gap is not significant.
    failures : list of artists
        Cells and marks where seeds failed.
    table : DataFrame
        One row a cell: x, y, value, standard_error, seeds, failed, and for a gap p_value and significant.
    boundary : Line2D or None
        The boundary that was given; of several phases the first.
    """

    ax: "Axes"
    mesh: Any
    contours: Any
    colorbar: Any
    hatching: Any
    failures: list[Any]
    table: "pd.DataFrame"
    boundary: Any = None


def phase_diagram(
    table: "pd.DataFrame",
    x: str,
    y: str,
    value: str = "classification_error",
    *,
    gap: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    levels: Sequence[float] | None = None,
    significance: float = 0.05,
    boundary: "pd.DataFrame | None" = None,
    ax: "Axes | None" = None,
) -> PhaseDiagram:
    """Draw a column of a sweep's table over two of its parameters: heat map and contours of the mean over seeds.

    Cells in which every seed failed are grey; a cross marks those in which some did. Axes are logarithmic where the values of a
    parameter are. Cells reach half-way to the neighbouring values; points that are no grid own what is nearest to them.

    Parameters
    ----------
    table : DataFrame
        Of `sweep` or `refine`, or read from its CSV.
    x, y : str
        Varied parameters, such as "student.width".
    value : str, default "classification_error"
        A column, such as "classification_error" or "failed".
    gap : sequence of str, optional
        Two orders, such as ("curriculum", "random"), or two treatments of what was pruned, such as ("reinit", "ticket"): the
        value of the first minus that of the second, paired by seed. Cells where it is not significant are hatched: two-sided
        paired t test over seeds, p > `significance`, each cell by itself.
    where : mapping of str to value, optional
        Values of what else varies.
    levels : sequence of float, optional
        Of the contours; by default a few.
    significance : float, default 0.05
        Of that test, in (0, 1).
    boundary : DataFrame, optional
        Lines over the map, with the columns x and y: folds or thresholds, such as those of `phase_boundary`, or of `continuation`
        at several values of x; a column `phase` says what lies beyond, one line each.
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Returns
    -------
    PhaseDiagram
        What was drawn, and its numbers.

    Raises
    ------
    InputError
        For columns that the table has not, and where what else varies is not fixed.

    Examples
    --------
    >>> import curriculode as cu
    >>> experiment = cu.load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> grid = {"student.width": [1, 2, 4, 8], "levels.hard.noise": [0.2, 0.4]}
    >>> table = cu.sweep(experiment, grid, points=64, workers=1)
    >>> diagram = phase_diagram(table, x="student.width", y="levels.hard.noise")
    >>> diagram.ax.get_xlabel(), diagram.ax.get_xscale()
    ('width K', 'log')
    """
    if isinstance(x, str) and isinstance(y, str) and x == y:
        raise InputError(f"x and y are both {shown(x)}; give two parameters of the table")
    significance = checked_significance(significance)
    _check_boundary(boundary, x, y)
    levels = _checked_levels(levels)
    cells = average(table, [x, y], value, gap=gap, where=where)
    if gap is not None:
        gap = checked_orders(gap)
        cells["significant"] = cells["p_value"] <= significance
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    if ax is not None and not isinstance(ax, Axes):
        raise InputError(f"ax = {shown(ax)} is not allowed; give axes of matplotlib, such as those of Figure().subplots()")
    with style():
        axis = ax if ax is not None else new_figure(1, 1, width=4.4, height=3.6)[1][0, 0]
        scales = [_Scale.of(cells[name]) for name in (x, y)]
        raster = _Raster(cells, *scales)
        mesh, colorbar = _heat(axis, raster, cells, gap)
        contours = _contours(axis, raster, levels, gap)
        hatching, failures = None, []
        handles: list[tuple[Any, str]] = []
        if gap is not None:
            doubtful = ~cells["significant"] & (cells["seeds"] > 0)
            hatching = _overlay(axis, raster, raster.spread(doubtful.to_numpy()), hatch="////", edgecolor="0.35")
            handles.append(
                (
                    Patch(facecolor="none", edgecolor="0.35", hatch="////", linewidth=0.0),
                    f"gap not significant (paired t test, p > {significance:g})",
                )
            )
        whole = (cells["seeds"] == 0) & (value != "failed")
        if whole.any():
            failures.append(_overlay(axis, raster, raster.spread(whole.to_numpy()), cmap=ListedColormap(["0.55"])))
            handles.append((Patch(facecolor="0.55", linewidth=0.0), "every seed failed"))
        some = (cells["failed"] > 0) & ~whole & (value != "failed")
        if some.any():
            marks = axis.plot(
                raster.x[some], raster.y[some], "x", color="black", markersize=4, markeredgewidth=0.9, linestyle="none"
            )
            failures += marks
            handles.append((marks[0], "some seeds failed"))
        if not raster.grid:
            axis.plot(raster.x, raster.y, ".", color="0.7", markersize=1.5)
        lines = [] if boundary is None else _lines(axis, boundary, x, y)
        handles += lines
        scales[0].label(axis.xaxis, x)
        scales[1].label(axis.yaxis, y)
        axis.grid(False)
        what = quantity_label(value)
        colorbar.set_label(what if gap is None else f"{what}: {gap[0]} − {gap[1]}")
        if handles:
            artists, words = zip(*handles, strict=True)
            axis.legend(artists, words, loc="upper left", bbox_to_anchor=(-0.02, -0.15), fontsize=7, borderaxespad=0.0)
    return PhaseDiagram(axis, mesh, contours, colorbar, hatching, failures, cells, lines[0][0] if lines else None)


def _lines(axis: "Axes", boundary: "pd.DataFrame", x: str, y: str) -> list[tuple[Any, str]]:
    """Draw the boundary of each phase; the lines, and what they are."""
    parts = boundary.groupby("phase", sort=False) if "phase" in boundary.columns else [("", boundary)]
    drawn = []
    for colour, (phase, part) in zip(itertools.cycle(_LINES), parts):
        (line,) = axis.plot(part[x], part[y], color=colour, linewidth=1.6, marker="o", markersize=2.5)
        drawn.append((line, f"stability: beyond it {phase!s}" if phase else "boundary of stability"))
    return drawn


def _check_boundary(boundary: Any, x: str, y: str) -> None:
    """Raise `InputError` for a boundary that has no columns of numbers x and y."""
    if boundary is None:
        return
    columns = getattr(boundary, "columns", None)
    if columns is None or not all(name in columns and boundary[name].dtype.kind in "if" for name in (x, y)):
        raise InputError(
            f"boundary = {shown(boundary)} is not allowed; give a DataFrame with numbers in the columns {x!r} and {y!r}"
        )


def _checked_levels(levels: Any) -> list[float] | None:
    """The levels of contours, rising, or `InputError`."""
    if levels is None:
        return None
    given = plain(levels)
    if not isinstance(given, list) or not all(
        isinstance(level, (int, float)) and not isinstance(level, bool) and abs(level) <= 1e150 for level in given
    ):
        raise InputError(f"levels = {shown(levels)} is not allowed; give a list of numbers, such as [0.1, 0.2]")
    return sorted({float(level) for level in given})


@dataclass(frozen=True)
class _Scale:
    """How the values of a parameter lie on an axis: linear, logarithmic, or as names one after the other."""

    values: list[Any]
    kind: str

    @classmethod
    def of(cls, column: "pd.Series") -> "_Scale":
        values = in_order(column.unique().tolist())
        if column.dtype.kind not in "iuf":
            return cls(values, "names")
        v = np.array(values, dtype=float)
        if v.size < 3 or v[0] <= 0 or v[-1] < 8 * v[0]:
            return cls(values, "linear")
        # Logarithmic if the ratios of neighbours vary far less than their differences.
        steps, ratios = np.diff(v), np.diff(np.log(v))
        return cls(values, "log" if ratios.std() / ratios.mean() < 0.5 * steps.std() / steps.mean() else "linear")

    def place(self, column: Any) -> np.ndarray:
        """Positions of values on a uniform axis."""
        if self.kind == "names":
            return np.array([self.values.index(value) for value in column], dtype=float)
        v = np.asarray(column, dtype=float)
        return np.log(v) if self.kind == "log" else v

    def back(self, u: np.ndarray) -> np.ndarray:
        """Coordinates of the axes at such positions."""
        return np.exp(u) if self.kind == "log" else u

    def edges(self) -> np.ndarray:
        """Borders of the cells around the values, half-way between them, as positions; (values + 1,)."""
        u = self.place(self.values)
        if u.size == 1:
            return u[0] + np.array([-0.5, 0.5])
        inner = 0.5 * (u[1:] + u[:-1])
        return np.concatenate([[1.5 * u[0] - 0.5 * u[1]], inner, [1.5 * u[-1] - 0.5 * u[-2]]])

    def label(self, axis: Any, name: str) -> None:
        axis.set_label_text(parameter_label(name))
        if self.kind == "log":
            from matplotlib.ticker import LogLocator

            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        if self.kind == "names" or (self.kind == "log" and len(self.values) <= 10):
            axis.set_ticks(
                self.back(self.place(self.values)), [f"{v:.3g}" if isinstance(v, float) else str(v) for v in self.values]
            )


class _Raster:
    """The cells of a diagram as pixels: those of the grid, or small ones that show the nearest point."""

    def __init__(self, cells: "pd.DataFrame", across: _Scale, up: _Scale) -> None:
        from scipy.spatial import cKDTree

        self.cells, self.scales = cells, (across, up)
        u, v = across.place(cells.iloc[:, 0]), up.place(cells.iloc[:, 1])
        self.u, self.v = u, v
        self.x, self.y = across.back(u), up.back(v)
        nx, ny = len(across.values), len(up.values)
        # A grid from which a few cells are missing is still one; the points of a refinement are not.
        self.grid = len(cells) > 0.9 * nx * ny
        if self.grid:
            self.x_edges, self.y_edges = across.back(across.edges()), up.back(up.edges())
            column, row = (np.searchsorted(s.place(s.values), w) for s, w in ((across, u), (up, v)))
            self.index = np.full((ny, nx), -1)
            self.index[row, column] = np.arange(len(cells))
            return
        a, b = (np.linspace(w.min(), w.max(), _RASTER + 1) for w in (u, v))
        self.x_edges, self.y_edges = across.back(a), up.back(b)
        points = np.column_stack([(u - u.min()) / np.ptp(u), (v - v.min()) / np.ptp(v)])
        centre = (np.arange(_RASTER) + 0.5) / _RASTER
        self.index = cKDTree(points).query(np.stack(np.meshgrid(centre, centre), axis=-1))[1]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values of the cells, (cells,), on the pixels; cells that are missing count as NaN or False."""
        values = np.asarray(values)
        empty: Any = False if values.dtype == bool else np.nan
        return np.where(self.index >= 0, values[self.index], empty)

    def of(self, name: str) -> np.ndarray:
        """A column of the cells on the pixels."""
        return self.spread(self.cells[name].to_numpy())


def _heat(axis: "Axes", raster: _Raster, cells: "pd.DataFrame", gap: Sequence[str] | None) -> tuple[Any, Any]:
    image = np.ma.masked_invalid(raster.of("value").astype(float))
    options: dict[str, Any] = {"cmap": "viridis"}
    if gap is not None:
        largest = float(np.nanmax(np.abs(cells["value"]))) if cells["value"].notna().any() else 1.0
        options = {"cmap": "RdBu_r", "vmin": -(largest or 1.0), "vmax": largest or 1.0}
    mesh = axis.pcolormesh(raster.x_edges, raster.y_edges, image, rasterized=not raster.grid, **options)
    for which, scale in zip(("x", "y"), raster.scales, strict=True):
        if scale.kind == "log":
            getattr(axis, f"set_{which}scale")("log")
    return mesh, axis.figure.colorbar(mesh, ax=axis)


def _contours(axis: "Axes", raster: _Raster, levels: Sequence[float] | None, gap: Sequence[str] | None) -> Any:
    """Contour lines through the means, where there are any."""
    from matplotlib.tri import Triangulation

    finite = raster.cells["value"].notna().to_numpy()
    u, v, value = raster.u[finite], raster.v[finite], raster.cells["value"].to_numpy(dtype=float)[finite]
    wanted: Any = levels if levels is not None else 5
    if np.unique(u).size < 2 or np.unique(v).size < 2 or (not isinstance(wanted, int) and len(wanted) == 0):
        return None
    within = [level for level in wanted if value.min() < level < value.max()] if not isinstance(wanted, int) else wanted
    if within == [] or np.ptp(value) == 0 or any(scale.kind == "names" for scale in raster.scales):
        return None
    colour = "black" if gap is not None else "white"
    if raster.grid:
        image = np.ma.masked_invalid(raster.of("value").astype(float))
        x, y = (scale.back(scale.place(scale.values)) for scale in raster.scales)
        drawn: Any = axis.contour(x, y, image, levels=within, colors=colour, linewidths=1.0)
    else:
        # Triangles between neighbours as they look on the axes, not in the units of the parameters.
        try:
            triangles = Triangulation((u - u.min()) / np.ptp(u), (v - v.min()) / np.ptp(v)).triangles
        except (ValueError, RuntimeError):  # fewer than three points, or all of them in a line
            return None
        mesh = Triangulation(raster.x[finite], raster.y[finite], triangles)
        drawn = axis.tricontour(mesh, value, levels=within, colors=colour, linewidths=1.0)
    if gap is None:  # a gap's lines are dashed where the first order is lower, and its colours tell the rest
        axis.clabel(drawn, fmt="%g", fontsize=7)
    return drawn


def _overlay(axis: "Axes", raster: _Raster, where: np.ndarray, **options: Any) -> Any:
    """Cover the pixels `where` with a hatch or a colour."""
    look: Any = {"linewidth": 0.0, **({} if "cmap" in options else {"facecolor": "none"}), **options}
    mask: Any = np.ma.masked_where(~np.asarray(where, dtype=bool), np.ones(where.shape))
    return axis.pcolor(raster.x_edges, raster.y_edges, mask, **look)
