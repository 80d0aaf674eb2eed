"""The verb `networks.compare`: orders of the same examples against each other, paired, over widths, depths or anything else."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.networks.comparison import OrderComparison
from curriculode.sims.networks.course import needs_extra
from curriculode.sims.networks.describe import NetworkExperiment, checked_network_experiment
from curriculode.sims.networks.points import Finished, Point, finish
from curriculode.sims.networks.record import MIXTURE
from curriculode.sims.networks.study import checked_orders
from curriculode.sims.runs.progress import Told
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.checks import file_name, numbers, text, truth, whole_number
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.study import listed_values

if TYPE_CHECKING:
    import pandas as pd

SCANNED = 10**6  # runs from this number on try learning rates, and are never among those that are compared


def _rates(name: str, value: Any) -> list[float]:
    found = np.unique(np.atleast_1d(numbers(name, value)))
    if found.ndim != 1 or not found.size or found.min() <= 0.0:
        raise InputError(f"{name} = {shown(value)} is not allowed; give learning rates above 0, such as [0.003, 0.01, 0.03]")
    return [float(rate) for rate in found]


@checked(
    experiment=checked_network_experiment, over=inside, orders=checked_orders, rates=_rates, store=file_name, retry=truth,
    scan=lambda name, value: whole_number(name, value), by=text, seed=lambda name, value: whole_number(name, value, 0, 2**128 - 1),
    workers=lambda name, value: whole_number(name, value),
)  # fmt: skip
def compare(
    experiment: NetworkExperiment,
    over: Mapping[str, Sequence[Any]] | None = None,
    *,
    orders: Sequence[str] = ("curriculum", "random"),
    runs: int = 16,
    first: int = 0,
    seed: int = 0,
    rates: ArrayLike | None = None,
    scan: int = 4,
    by: str = MIXTURE,
    store: str | Path | None = None,
    retry: bool = False,
    workers: int | None = None,
    progress: Told = None,
) -> OrderComparison:
    """Compare orders of the same examples: networks of the same seed share images, levels, noise, permutation and initial weights.

    As the best learning rate depends on width and order, `rates` tries some for each of them, on seeds of their own, and compares
    every order at its own best one. The recency of the last examples is controlled by "training.common_tail".

    Parameters
    ----------
    experiment : NetworkExperiment
        What is learnt, by whom, and how.
    over : mapping of str to sequence, optional
        Dotted parameter -> values, all combinations: "network.width", "network.depth", "training.common_tail" ...
    orders : sequence of str, default ("curriculum", "random")
        Of the protocol.
    runs : int, default 16
        Seeds.
    first : int, default 0
        Number of the first run; a confirmation takes others than a search did.
    seed : int, default 0
        Of all runs.
    rates : array_like of float, optional
        Learning rates to try; by default the experiment's own is taken.
    scan : int, default 4
        Seeds of those trials.
    by : str, default "mixture"
        The level at whose error the best rate is chosen.
    store : str or Path, optional
        SQLite file of finished networks, as of `sweep`: the same call computes what is missing only.
    retry : bool, default False
        Train networks that diverged again.
    workers : int, optional
        Threads, by default one a core.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    OrderComparison
        Errors of every network at every level, `gaps()` with standard errors of paired differences, `trend`, `verdict()`.

    Raises
    ------
    InputError
        For a cell that cannot exist, before the first is computed.

    Examples
    --------
    >>> from curriculode import networks
    >>> experiment = networks.load("digits-curriculum").replace({"protocol.duration": 4.0})
    >>> compared = networks.compare(experiment, {"network.width": [4, 8]}, runs=3, progress=False)
    >>> len(compared.gaps())  # of two widths, at three levels and the mixture
    8
    """
    needs_extra()
    listed, names = listed_values("over", over), [level.name for level in experiment.protocol.levels]
    if by not in (*names, MIXTURE):
        raise InputError(unknown("by", by, [*names, MIXTURE]))
    if "protocol.order" in listed:
        raise InputError("protocol.order is compared by itself; give orders=[...], and leave it out of over")
    if rates is not None and "training.learning_rate" in listed:
        raise InputError("training.learning_rate is both varied and scanned; leave it out of over, or leave out rates")
    labels = [dict(zip(listed, values, strict=True)) for values in product(*listed.values())]
    cells = [experiment.replace(each) if each else experiment for each in labels]
    if len({cell.data for cell in cells}) > 1:
        raise InputError("data cannot be varied within a comparison; compare each set of images by itself")
    images = experiment.data.images()
    options: dict[str, Any] = {"images": images, "seed": seed, "store": store, "retry": retry, "workers": workers}
    best, scanned, tried = None, None, 0
    if rates is not None:
        best, scanned, tried = _scan(cells, list(orders), list(np.asarray(rates)), scan, by, options, progress)
    ordered = [
        cell.replace({"protocol.order": order, **({} if best is None else {"training.learning_rate": best[i, j]})})
        for i, cell in enumerate(cells)
        for j, order in enumerate(orders)
    ]
    points = [Point(each, run) for each in ordered for run in range(first, first + runs)]
    done = finish(f"comparing {len(points)} networks", points, progress=progress, **options)
    shape = (len(cells), len(orders), runs)
    values = np.full((*shape, 2, len(names)), np.nan)
    for place, value in zip(np.ndindex(shape), done.values, strict=True):
        if value is not None:
            values[place] = value
    chosen = np.array([each.training.learning_rate for each in ordered]).reshape(shape[:2])
    return OrderComparison(
        experiment, labels, tuple(orders), np.arange(first, first + runs), values, chosen, scanned, _status(done, tried), seed,
        images.fingerprint, done.interrupted,
    )  # fmt: skip


def _status(done: Finished, tried: int) -> str:
    count = sum(value is not None for value in done.values)
    diverged = sum("diverged" in status for status in done.statuses)
    words = f"{count} of {len(done.values)} networks trained"
    words += f" after {tried} trials of learning rates on other seeds" if tried else ""
    words += f"; {diverged} diverged" if diverged else ""
    return words + ("; interrupted" if done.interrupted else "")


def _scan(
    cells: list[NetworkExperiment], orders: list[str], rates: list[float], scan: int, by: str, options: Any, progress: Told
) -> tuple[np.ndarray, "pd.DataFrame", int]:
    """The best rate (cells, orders), the table of what was tried, and the number of networks."""
    import pandas as pd

    tries = [
        cell.replace({"protocol.order": order, "training.learning_rate": rate})
        for cell in cells
        for order in orders
        for rate in rates
    ]
    points = [Point(each, run) for each in tries for run in range(SCANNED, SCANNED + scan)]
    done = finish(f"trying {len(points)} networks at {len(rates)} rates", points, progress=progress, **options)
    if done.interrupted:
        raise KeyboardInterrupt
    names = [level.name for level in cells[0].protocol.levels]
    weights = np.array(cells[0].protocol.shares) if by == MIXTURE else np.array([float(name == by) for name in names])
    errors = np.array([np.nan if value is None else value[0] @ weights for value in done.values])
    errors = errors.reshape(len(cells), len(orders), len(rates), scan)
    mean = np.where(np.isfinite(errors).all(axis=-1), errors.mean(axis=-1), np.inf)  # a rate at which one diverges is none
    places = [(i, j, k) for i, j, k in np.ndindex(mean.shape)]
    table = pd.DataFrame(
        {"cell": [i for i, _, _ in places], "order": [orders[j] for _, j, _ in places], "rate": [rates[k] for _, _, k in places],
         "error": [mean[place] for place in places]}
    )  # fmt: skip
    return np.array(rates)[mean.argmin(axis=-1)], table, len(points)
