"""The package's own look, applied as a context and never globally, and the colours of the orders."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np

from curriculode.theory.core.errors import InputError

ORDER_COLOURS = {
    # Okabe and Ito's colours: told apart by readers with colour-vision deficiency.
    "curriculum": "#0072B2",
    "random": "#E69F00",
    "hard-only": "#D55E00",
    "anti-curriculum": "#009E73",
    "easy-only": "#CC79A7",
    "stages": "#56B4E9",  # a plan that is written out
}
CYCLE = ("#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")

_SETTINGS: Any = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlepad": 10.0,  # room for the name of a stage below a title
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "lines.linewidth": 1.5,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """The package's matplotlib settings, for the time of a `with` block."""
    import matplotlib as mpl

    with mpl.rc_context(_SETTINGS):
        yield


@cache
def _shown_by_notebooks() -> type:
    """A matplotlib figure that a notebook shows, though no pyplot is loaded that would teach it to."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            file = BytesIO()
            with style():
                self.savefig(file, format="png", dpi="figure")
            return file.getvalue()

    return Shown


def new_figure(rows: int, columns: int, width: float = 3.2, height: float = 2.5, **options: Any) -> Any:
    """A figure and its axes (rows, columns), without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _shown_by_notebooks()(figsize=(width * columns, height * rows))
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def as_axes(axes: Any, count: int) -> np.ndarray:
    """The axes that a picture of `count` panels was given, (count,), or `InputError` where their number is another."""
    given = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if given.size != count:
        raise InputError(
            f"this picture needs {count} axes, and {given.size} were given; leave them out, or name a quantity to draw"
        )
    return given
