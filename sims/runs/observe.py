"""Large ensembles: chosen observables of thousands of runs, without keeping a single trajectory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.runs.progress import Told, progress_of
from curriculode.sims.runs.simulate import simulate_setting
from curriculode.theory.core.arguments import MOST_RUNS, checked, whole
from curriculode.theory.core.checks import plain
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.observations import Observations
from curriculode.theory.results.registered import observable_names, scalar_names
from curriculode.theory.results.states import entry_names

_BATCH = 512  # runs simulated before their observables are taken and their order parameters dropped


def _one_start(name: str, value: Any) -> OrderParameters:
    if not isinstance(value, OrderParameters):
        raise InputError("start must be one state, OrderParameters, for all runs; leave it out and each run has its own")
    return value


def _names(name: str, value: Any) -> list[str]:
    listed = [value] if isinstance(value, str) else plain(value)
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise InputError(f"{name} = {shown(value)} is not allowed; give a name such as 'covered_clusters', or a list of names")
    if not listed:
        raise InputError("observables is empty; name at least one, such as 'covered_clusters' or 'Q[0,0]'")
    return list(dict.fromkeys(listed))


@checked(observables=_names, start=_one_start, runs=whole(2, MOST_RUNS))
def observe(
    experiment: Experiment,
    observables: Sequence[str] | str | None = None,
    *,
    dimension: int,
    runs: int,
    seed: int | np.random.SeedSequence = 0,
    start: OrderParameters | None = None,
    numerics: Numerics | None = None,
    space: str | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    workers: int | None = None,
    points: int | None = None,
    progress: Told = None,
) -> Observations:
    """Simulate `runs` runs and keep the chosen observables only: 8 bytes for each run, time and observable.

    The numbers of each run, and Ctrl-C, are as for `simulate`.

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` as its training.
    observables : str or sequence of str, optional
        Of the task's ("generalization_error", "classification_error", "covered_clusters" or "specialization") and those
        registered, by default all; "accuracy", and order parameters such as "Q[0,0]".
    dimension : int
        D, at least K + P inputs in every block.
    runs : int
        How many, >= 2.
    seed : int or SeedSequence, default 0
        Run i uses the generator of SeedSequence(seed, spawn_key=(i,)).
    start : OrderParameters, optional
        One start for all runs; by default run i starts from `experiment.initial(dimension, seed, i)`.
    numerics : Numerics, optional
        How; the keywords from `space` to `points` are shortcuts for single settings of it.
    space : str, optional
        See `Numerics`.
    times : int or array_like of float, optional
        By default 2, start and end.
    spacing : str, optional
        See `Numerics`.
    workers, points : int, optional
        As for `simulate`.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    Observations
        The observables of each run; NaN for one that diverged.

    Raises
    ------
    InputError
        For an observable that is not known, and what `simulate` does not allow.

    Examples
    --------
    >>> from curriculode import load, observe
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> observe(experiment, ["covered_clusters", "v[0]"], dimension=100, runs=600).covariance().shape
    (2, 2)
    """
    settings = numerics_with(numerics, space=space, times=times, spacing=spacing, workers=workers, points=points)
    settings = settings if settings.times is not None else settings.set(times=2)
    setting = Setting.of(experiment, perturbed=True)
    names = observable_names(experiment.task) if observables is None else list(observables)
    blocks, K, P = setting.shape
    known = [*scalar_names(experiment.task), *entry_names(blocks, K, P)]
    for name in names:
        if name not in known:
            raise InputError(unknown("observable", name, known))
    kept: dict[str, list[np.ndarray]] = {name: [] for name in ["run", *names]}
    interrupted, diverged = False, 0
    t = np.empty(0)
    with progress_of(f"simulating {runs} runs", progress) as report:
        for first in range(0, runs, _BATCH):
            batch = range(first, min(first + _BATCH, runs))

            def advance(fraction: float, batch: range = batch) -> None:
                report((batch.start + fraction * len(batch)) / runs)

            try:
                ensemble = simulate_setting(experiment, setting, dimension, batch, seed, start, settings, advance)
            except KeyboardInterrupt:
                if not kept["run"]:
                    raise
                interrupted = True
                break
            kept["run"].append(ensemble.run)
            for name in names:
                value = np.array(ensemble.observable(name), dtype=float)
                value[~ensemble.finite] = np.nan  # a run that diverged has no observables
                kept[name].append(value)
            diverged += int((~ensemble.finite).sum())
            t, interrupted, dimension = ensemble.t, ensemble.interrupted, ensemble.dimension or dimension
            if interrupted:
                break
    arrays = {name: np.concatenate(parts) for name, parts in kept.items()}
    status = f"{arrays['run'].size} of {runs} runs finished" + (", then the simulation was interrupted" if interrupted else "")
    if diverged:
        status += f"; {diverged} of them diverged (a smaller learning_rate may help)"
    return Observations(experiment, settings, {"t": t, **arrays}, status, success=not interrupted, seed=seed, dimension=dimension)
