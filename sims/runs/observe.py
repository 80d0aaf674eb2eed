"""Large ensembles: chosen observables of thousands of runs, without keeping a single trajectory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.compare.compare import state_names
from curriculode.sims.runs.progress import Progress
from curriculode.sims.runs.simulate import simulate, whole_number
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 512  # runs simulated before their observables are taken and their order parameters dropped


@dataclass(frozen=True)
class Observations:
    """Chosen observables of many runs, and their statistics.

    t : (times,);  values : name -> (runs, times);  run : (runs,) the numbers of the runs
    status : one sentence: how many runs finished
    """

    dimension: int
    t: np.ndarray
    values: dict[str, np.ndarray]
    run: np.ndarray
    status: str
    interrupted: bool = False

    def mean(self, name: str) -> np.ndarray:
        """Mean over the runs, (times,)."""
        return self.values[name].mean(axis=0)

    def standard_error(self, name: str) -> np.ndarray:
        """Standard error of that mean, (times,)."""
        return self.values[name].std(axis=0, ddof=1) / np.sqrt(self.run.size)

    def covariance(self, time: int = -1) -> np.ndarray:
        """Covariance over the runs of all observables, in their order, at the time of that index: (names, names)."""
        return np.atleast_2d(np.cov(np.array([value[:, time] for value in self.values.values()])))

    def quantile(self, name: str, q: float | Sequence[float]) -> np.ndarray:
        """Quantiles over the runs, shape of `q` and then (times,)."""
        return np.quantile(self.values[name], q, axis=0)

    def frequencies(self, name: str, outcomes: Sequence[float], time: int = -1) -> "pd.DataFrame":
        """How often each outcome of a whole-number observable was met, with its 95 % confidence interval (Wilson)."""
        import pandas as pd

        n = self.run.size
        count = np.array([int((self.values[name][:, time] == outcome).sum()) for outcome in outcomes])
        low, high = wilson_interval(count, n)
        return pd.DataFrame({name: list(outcomes), "runs": count, "frequency": count / n, "low": low, "high": high})

    def to_frame(self) -> "pd.DataFrame":
        """One row a time and observable: mean, standard error, scatter, and the quantiles 5, 25, 50, 75 and 95 %."""
        import pandas as pd

        parts = []
        for name, value in self.values.items():
            columns = {"t": self.t, "observable": name, "mean": self.mean(name), "standard_error": self.standard_error(name)}
            levels = (0.05, 0.25, 0.5, 0.75, 0.95)
            quantiles = {f"q{100 * q:.0f}": row for q, row in zip(levels, self.quantile(name, levels), strict=True)}
            parts.append(pd.DataFrame({**columns, "scatter": value.std(axis=0, ddof=1), **quantiles}))
        return pd.concat(parts, ignore_index=True)


def wilson_interval(count: np.ndarray, n: int, z: float = 1.959964) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's confidence interval of a frequency: right also where the count is 0 or n."""
    p = count / n
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def observe(
    experiment: Experiment,
    observables: Sequence[str] | str | None = None,
    *,
    dimension: int,
    runs: int,
    seed: int = 0,
    start: OrderParameters | None = None,
    space: str = "overlap",
    times: int | ArrayLike = 2,
    spacing: str = "linear",
    workers: int | None = None,
    points: int = 1024,
    progress: bool | Callable[[float], None] | None = None,
) -> Observations:
    """Simulate `runs` runs and keep the chosen observables only: 8 bytes for each run, time and observable.

    observables : of the task's ("generalization_error", "classification_error", "covered_clusters" or "specialization"; by default
        all), and order parameters such as "Q[0,0]"
    Other arguments, the numbers of each run, and Ctrl-C as for `simulate`.

    >>> from curriculode import load, observe
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> observe(experiment, ["covered_clusters", "v[0]"], dimension=100, runs=600).covariance().shape
    (2, 2)
    """
    whole_number("runs", runs, 2)
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"experiment = {experiment!r} is not allowed; give a curriculode.Experiment, such as load('xor-curriculum')"
        )
    scalars = experiment.task.observable_names
    names = list(dict.fromkeys([observables] if isinstance(observables, str) else scalars if observables is None else observables))
    if not names:
        raise InputError("observables is empty; name at least one, such as 'covered_clusters' or 'Q[0,0]'")
    known = [*scalars, *state_names(experiment)]
    for name in names:
        if name not in known:
            raise InputError(unknown("observable", str(name), known))
    if start is not None and not isinstance(start, OrderParameters):
        raise InputError("start must be one state, OrderParameters, for all runs; leave it out and each run has its own")
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    numbers: list[np.ndarray] = []
    interrupted, diverged = False, 0
    t = np.empty(0)
    with Progress(f"simulating {runs} runs", 1.0, False if callable(progress) else progress) as bar:
        report = progress if callable(progress) else bar.update
        for first in range(0, runs, _BATCH):
            batch = min(_BATCH, runs - first)

            def advance(fraction: float, first: int = first, batch: int = batch) -> None:
                report((first + fraction * batch) / runs)

            try:
                ensemble = simulate(
                    experiment, dimension=dimension, runs=batch, first=first, seed=seed, start=start, space=space, times=times,
                    spacing=spacing, workers=workers, points=points, progress=advance,
                )  # fmt: skip
            except KeyboardInterrupt:
                if not numbers:
                    raise
                interrupted = True
                break
            entries = ensemble.entries()
            for name in names:
                value = ensemble.observables()[name] if name == "covered_clusters" else getattr(ensemble, name, None)
                value = np.array(entries[name] if value is None or name not in scalars else value, dtype=float)
                value[~ensemble.finite] = np.nan  # a run that diverged has no observables
                kept[name].append(value)
            diverged += int((~ensemble.finite).sum())
            numbers.append(ensemble.run)
            t, interrupted = ensemble.t, ensemble.interrupted
            if interrupted:
                break
    run = np.concatenate(numbers)
    status = f"{run.size} of {runs} runs finished" + (", then the simulation was interrupted" if interrupted else "")
    if diverged:
        status += f"; {diverged} of them diverged (a smaller learning_rate may help)"
    values = {name: np.concatenate(parts) for name, parts in kept.items()}
    return Observations(dimension, t, values, run, status, interrupted)
