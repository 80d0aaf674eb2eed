"""How results are told: tables, one JSON object, files."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curriculode.theory.core.checks import plain

from .options import Request
from .outputs import Outputs

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = ("csv", "png", "pdf", "toml")


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
    print("wrote " + ", ".join(str(path) for path in outputs.written))


def ten_rows(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Ten rows of a table over time, first and last included."""
    last = len(frame) - 1
    return frame.iloc[sorted({round(i * last / 10) for i in range(11)})] if len(frame) else frame


def save_figure(outputs: Outputs, stem: str, figure: Any) -> None:
    """Write a picture as PNG and PDF."""
    from curriculode.figures.plots.style import style

    with style():
        for suffix in ("png", "pdf"):
            outputs.write(f"{stem}.{suffix}", partial(figure.savefig, format=suffix))


def write_csv(table: "pd.DataFrame", path: Path) -> None:
    """Write a table as CSV."""
    table.to_csv(path, index=False)


class Files:
    """The files of one command on one study: its table, its picture, and the settings that make them again."""

    def __init__(self, request: Request, partial_results: bool = False) -> None:
        self.stem = request.stem + ("-partial" if partial_results else "")
        self.settings = request.settings()
        names = [f"{self.stem}.{suffix}" for suffix in SUFFIXES]
        self.outputs = Outputs(request.out, request.command, self.settings, names, request.force or partial_results)

    def write(self, table: "pd.DataFrame", figure: Any) -> None:
        """Write all of them."""
        save_figure(self.outputs, self.stem, figure)
        self.outputs.write(f"{self.stem}.csv", partial(write_csv, table))
        self.outputs.write(f"{self.stem}.toml", lambda path: path.write_text(self.settings, encoding="utf-8"))
