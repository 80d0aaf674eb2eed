"""One point of a sweep: one experiment, one seed; theory, simulation from the same initial overlaps, or both.

For batch learning the theory is the state evolution, which knows no seed, and the simulation the minimisation of seed's samples.

Seed s begins at `experiment.initial(dimension, s)`, and its r-th integration takes the averages' scrambling s * scramblings + r;
its runs are those of `simulate(..., seed=s)`. So a row can be computed again by hand, orders share starts and seeds, and the
error of the averages is part of the scatter between seeds.
"""

import json
import platform
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

import curriculode
from curriculode.sims.sweep.plan import Settings
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.training import BatchSlices

if TYPE_CHECKING:
    from curriculode.sims.runs.ensemble import Ensemble


@dataclass(frozen=True)
class Job:
    """What a worker needs to compute a point; plain and small, since it travels. `text` is the base experiment as TOML."""

    version: str
    text: str
    changes: dict[str, Any]
    seed: int
    settings: Settings


@dataclass(frozen=True)
class Result:
    """What is known of a finished point.

    failed : whether there is no final value;  status : how it ended, in a sentence;  seconds : of computing
    values : final values by column name;  environment : of the process that computed it, as JSON
    """

    failed: bool
    status: str
    seconds: float
    values: dict[str, float]
    environment: str


@cache
def environment() -> str:
    """Versions and platform of this process, as JSON."""
    from importlib.metadata import version

    versions = {name: version(name) for name in ("numpy", "scipy", "numba")}
    return json.dumps({"python": platform.python_version(), **versions, "platform": platform.platform()}, sort_keys=True)


def compute(job: Job) -> Result:
    """Compute a point. Whatever goes wrong, diverging or running out of memory, becomes the status of a failed point."""
    begin = time.perf_counter()
    try:
        if job.version != curriculode.__version__:
            raise RuntimeError(f"this worker has curriculode {curriculode.__version__}, but the sweep {job.version}")
        experiment = _base(job.text).replace(job.changes)
        with one_blas_thread():  # also for the nets of the averages: the same bits in every process
            values, status, failed = _measure(experiment, job.seed, job.settings)
    except MemoryError:
        values, status, failed = {}, "out of memory (fewer runs or points, or fewer workers, may help)", True
    except Exception as error:
        values, status, failed = {}, f"{type(error).__name__}: {error}", True
    return Result(failed, status, time.perf_counter() - begin, values, environment())


@lru_cache(maxsize=4)
def _base(text: str) -> Experiment:
    return Experiment.from_toml(text)


def _measure(experiment: Experiment, seed: int, settings: Settings) -> tuple[dict[str, float], str, bool]:
    """Values, status, and whether it failed."""
    batch = isinstance(experiment.training, BatchSlices)
    sides = (_state_evolution, _minimisation) if batch else (_theory, _simulation)
    values: dict[str, float] = {}
    sentences, failed = [], False
    for wanted, side in zip((settings.theory, settings.runs > 0), sides, strict=True):
        if wanted:
            found, status, fails = side(experiment, seed, settings)
            values |= found
            sentences.append(status)
            failed = failed or fails
    return values, "; ".join(sentences), failed


def _theory(experiment: Experiment, seed: int, settings: Settings) -> tuple[dict[str, float], str, bool]:
    """Final values by the equations, mean over scramblings; with several of them, its standard error."""
    from curriculode.theory.solve.integrate import integrate

    start = experiment.initial(settings.dimension, seed)
    finals, status = [], ""
    for r in range(settings.scramblings):
        trajectory = integrate(
            experiment, start, rtol=settings.rtol, atol=settings.atol, times=[experiment.protocol.duration],
            points=settings.points, scrambling=seed * settings.scramblings + r, estimate_error=False,
        )  # fmt: skip
        if not trajectory.success:
            return {}, f"theory {trajectory.status}", True
        status = status or f"theory {trajectory.status}"
        entries = trajectory.entries() if settings.entries else {}
        finals.append({**trajectory.observables(), **{name: entries[name] for name in settings.entries}})
        if r == 1 and finals[0] == finals[1]:  # closed forms know of no net
            break
    values: dict[str, float] = {}
    for name in finals[0]:
        numbers = np.array([final[name][-1] for final in finals])
        values[name] = float(numbers.mean())
        if settings.scramblings > 1:
            values[f"{name}_standard_error"] = float(numbers.std(ddof=1) / np.sqrt(numbers.size))
    return values, status, False


def _state_evolution(experiment: Experiment, seed: int, settings: Settings) -> tuple[dict[str, float], str, bool]:
    """Final values of the last slice, which are exact."""
    from curriculode.theory.batch import state_evolution

    trajectory = state_evolution(experiment)
    if not trajectory.success:
        return {}, f"theory: {trajectory.status}", True
    entries = trajectory.entries() if settings.entries else {}
    found = {**trajectory.observables(), **{name: entries[name] for name in settings.entries}}
    values = {name: float(value[-1]) for name, value in found.items()}
    if settings.scramblings > 1:
        values |= {f"{name}_standard_error": 0.0 for name in found}
    return values, f"theory: {trajectory.status}", False


def _simulation(experiment: Experiment, seed: int, settings: Settings) -> tuple[dict[str, float], str, bool]:
    """Runs of online SGD from the start of the seed."""
    from curriculode.sims.runs.simulate import simulate

    return _finals(
        simulate(
            experiment, dimension=settings.dimension, runs=settings.runs, seed=seed,
            start=experiment.initial(settings.dimension, seed), space=settings.space, times=[experiment.protocol.duration],
            workers=1, points=settings.points, progress=False,
        ),
        settings,
    )  # fmt: skip


def _minimisation(experiment: Experiment, seed: int, settings: Settings) -> tuple[dict[str, float], str, bool]:
    """Minima of the objectives on the samples of the seed."""
    from curriculode.sims.runs.minimize import minimize

    found = minimize(experiment, dimension=settings.dimension, runs=settings.runs, seed=seed, workers=1, progress=False)
    return _finals(found, settings)


def _finals(ensemble: "Ensemble", settings: Settings) -> tuple[dict[str, float], str, bool]:
    """Means of the final values of the finite runs, their standard errors, and how many runs diverged."""
    if ensemble.interrupted:  # what is finished of it is no point
        raise KeyboardInterrupt
    finite = ensemble.finite
    values = {"diverged_runs": float((~finite).sum())}
    if not finite.any():
        return values, f"simulation: {ensemble.status}", True
    entries = ensemble.entries() if settings.entries else {}
    for name, runs in {**ensemble.observables(), **{name: entries[name] for name in settings.entries}}.items():
        final = runs[finite, -1]
        error = final.std(ddof=1) / np.sqrt(final.size) if final.size > 1 else np.nan
        values |= {f"{name}_simulation": float(final.mean()), f"{name}_simulation_standard_error": float(error)}
    return values, f"simulation: {ensemble.status}", False
