"""Tables of sweeps as files, and where their points may be computed."""

import importlib.util
import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from curriculode.theory.core.errors import InputError
from curriculode.theory.core.files import read_whole

from .outputs import Writer
from .report import csv

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd


_LARGEST = 2**30  # bytes of a table


def table_suffixes(suffix: str = ".csv") -> list[str]:
    """The files of a table: CSV always, Parquet where pyarrow is installed."""
    return [suffix, *([".parquet"] if importlib.util.find_spec("pyarrow") else [])]


def table_files(table: "pd.DataFrame", suffix: str = ".csv") -> dict[str, Writer]:
    """The writers of all files of a table."""
    return dict(zip(table_suffixes(suffix), (csv(table), partial(_write_parquet, table)), strict=False))


def _write_parquet(table: "pd.DataFrame", path: Path) -> None:
    # A column of Parquet has one type; a parameter that is a number here and a text there becomes a text.
    mixed = {
        name: table[name].astype(str)
        for name in table.columns
        if table[name].dtype == object and len({type(value) for value in table[name]}) > 1
    }
    table.assign(**mixed).to_parquet(path, index=False)


def read_table(path: Path) -> tuple[bytes, "pd.DataFrame"]:
    """The content of a CSV file and the table in it."""
    import pandas as pd

    try:
        content = read_whole(path, "the table", _LARGEST)
        return content, pd.read_csv(io.BytesIO(content))
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a file that is no table is a ValueError to pandas
        reason = (getattr(error, "strerror", None) or str(error)).strip().splitlines()[0]
        raise InputError(f"the table {path} cannot be read ({reason}); give the CSV of a sweep") from None


def dask_executor(address: str) -> "Executor":
    """An executor on the workers of the Dask scheduler at `address`, such as tcp://127.0.0.1:8786."""
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--dask needs dask.distributed, which is not installed; pip install 'curriculode[cluster]'") from None
    try:
        client = Client(address, timeout=5)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(
            f"--dask {address!r}: no scheduler answers there ({error}); give its address, such as tcp://host:8786"
        ) from None
    # A point computed twice must be two points to Dask, which otherwise would remember the first.
    executor: Executor = client.get_executor(pure=False)
    return executor
