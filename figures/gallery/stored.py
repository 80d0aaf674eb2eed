"""Gains of orders on real data from tables that took long to compute, in `tables/`.

Each table is what `curriculode networks compare NAME.toml` gives, as `gaps()`, with the study of that name beside it.
"""

from importlib import resources

import pandas as pd

from curriculode.sims.networks.study import NetworkStudy

_FOLDER = resources.files("curriculode.figures.gallery") / "tables"


def stored_study(name: str) -> NetworkStudy:
    """The study that made a table."""
    return NetworkStudy.from_toml((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"), name)


def stored_gains(name: str) -> pd.DataFrame:
    """A table, with the common tail of its study where that was not varied."""
    with resources.as_file(_FOLDER / f"{name}.csv") as path:
        table = pd.read_csv(path)
    tail = "training.common_tail"
    return table if tail in table else table.assign(**{tail: stored_study(name).experiment.training.common_tail})
