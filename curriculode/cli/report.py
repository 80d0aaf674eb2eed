"""How results are told: tables, one JSON object, files."""

import importlib
import json
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curriculode.theory.core.checks import plain

from .options import Request
from .outputs import Outputs, Writer

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".png", ".pdf", ".toml")


def print_table(frame: "pd.DataFrame", title: str, formats: dict[str, str]) -> None:
    """Print a table on standard output, at its full width where that is not a terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console() if sys.stdout.isatty() else Console(width=200)
    table = Table(title=title, title_justify="left")
    for name in frame.columns:
        table.add_column(str(name).replace("_", " "), justify="right" if frame[name].dtype.kind in "fi" else "left")
    for _, row in frame.iterrows():
        table.add_row(*(format(value, formats.get(name, "")) if name in formats else str(value) for name, value in row.items()))
    console.print(table)


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(_json(content), allow_nan=False))


def _json(value: Any) -> Any:
    """A value that JSON can hold: arrays as lists, what is not finite as null."""
    value = plain(value)
    if isinstance(value, dict):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_json(v) for v in value]
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def print_files(outputs: Outputs) -> None:
    """Say what was written."""
    print("wrote " + ", ".join(str(path) for path in outputs.written) + (f"; {outputs.note}" if outputs.note else ""))


def ten_rows(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Ten rows of a table over time, first and last included."""
    last = len(frame) - 1
    return frame.iloc[sorted({round(i * last / 10) for i in range(11)})] if len(frame) else frame


def load_meanwhile() -> None:
    """Load what tables and pictures are made with, while something long is computed: half a second that would come after it."""

    def load() -> None:
        for name in ("pandas", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "rich.table"):
            importlib.import_module(name)

    threading.Thread(target=load, daemon=True).start()


def picture(figure: Any) -> dict[str, Writer]:
    """The writers of a picture, as PNG and PDF."""

    def save(suffix: str, path: Path) -> None:
        from curriculode.figures.plots.style import style

        with style():
            figure.savefig(path, format=suffix)

    return {f".{suffix}": partial(save, suffix) for suffix in ("png", "pdf")}


def csv(table: "pd.DataFrame") -> Writer:
    """The writer of a table as CSV."""
    return partial(table.to_csv, index=False)


def text(content: str) -> Writer:
    """The writer of a text."""
    return partial(Path.write_text, data=content, encoding="utf-8")


class Files:
    """The files of one command on one study: its table, its picture, and the settings that make them again."""

    def __init__(self, request: Request, more: tuple[str, ...] = ()) -> None:
        """`more` : suffixes of files beside those of every command."""
        self.settings = request.settings()
        suffixes = (*SUFFIXES, *more)
        self.outputs = Outputs(request.out, request.stem, suffixes, request.command, request.origin(), request.force)

    def write(self, table: "pd.DataFrame", figure: Any, unfinished: bool = False, more: Mapping[str, Writer] | None = None) -> None:
        """Write all of them; `more` : writers of further files by suffix."""
        self.outputs.publish({".csv": csv(table), **picture(figure), ".toml": text(self.settings), **(more or {})}, unfinished)
