"""One point of a sweep: one experiment, one seed; theory, simulation from the same initial overlaps, or both.

For batch learning the theory is the state evolution, which knows no seed, and the simulation the minimisation of seed's samples.

Seed s begins at `experiment.initial(dimension, s)`, and its r-th integration takes the averages' scrambling s * scramblings + r
(beside the numerics' own); its runs are those of `simulate(..., seed=s)`. So a row can be computed again by hand, orders share
starts and seeds, and the error of the averages is part of the scatter between seeds.
"""

import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np

from curriculode._version import __version__
from curriculode.sims.sweep import sources
from curriculode.sims.sweep.optima import optimum_rows
from curriculode.sims.sweep.rest import rest_row
from curriculode.sims.sweep.settings import Settings
from curriculode.sims.sweep.values import Layout, extra_names
from curriculode.theory.core import environment as here
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.errors import InputError
from curriculode.theory.core.registry import import_outside, outside_modules
from curriculode.theory.describe.branching import Branching
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.optimization import Optimization
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.describe.variant import PREFIXES, Variant
from curriculode.theory.dynamics.setting import Setting, SettingStage
from curriculode.theory.pairs.record import Pair
from curriculode.theory.results.registered import OBSERVABLES
from curriculode.theory.results.states import Ensemble, Trajectory
from curriculode.theory.tangent.space import TANGENT
from curriculode.theory.tickets.study import TicketStudy
from curriculode.theory.tickets.treatments import UNTRAINED

# Numbered now, while what was imported is what stands in the files.
sources.fingerprint()
_LONGEST = 20_000  # characters of a traceback, its end
# The base of the last point, its changes as text, and what it became.
_last: tuple[Experiment, str, Experiment] | None = None


@dataclass(frozen=True)
class Code:
    """What a worker must have in common with the driver: the package, its sources, and what a user registered.

    modules : that registered something;  observables : registered ones that are asked for
    """

    version: str
    sources: str
    modules: tuple[str, ...] = ()
    observables: tuple[str, ...] = ()

    @classmethod
    def here(cls, asked: tuple[str, ...]) -> "Code":
        """That of this process."""
        registered = tuple(name for name in asked if name in OBSERVABLES)
        return cls(__version__, sources.fingerprint(), outside_modules(), registered)

    def check(self) -> None:
        """Raise `InputError` where this process would compute something else."""
        if self.version != __version__:
            raise InputError(f"a worker has curriculode {__version__}, but the sweep {self.version}; install the same on both")
        if self.sources != sources.fingerprint():
            raise InputError("a worker has other sources of curriculode than the sweep; install the same on both, and begin again")
        try:
            import_outside(self.modules)
        except ImportError as error:
            raise InputError(
                f"a worker cannot import what is registered ({error}); put its module where workers find it, or use workers = 1"
            ) from None
        for name in self.observables:
            if name not in OBSERVABLES:
                raise InputError(
                    f"a worker does not know observable {name!r}; register it where its module is imported, not later, or use "
                    "workers = 1"
                )


@dataclass(frozen=True)
class Job:
    """What a worker needs to compute a point; plain and small, since it travels.

    text : the base experiment as TOML;  changes : what differs from it
    asked : names of what the table shows;  experiment : the base itself, where the point stays in this process
    pruning, branch : the base's, which the changes may change too;  None where nothing is pruned, and where nothing parts
    """

    text: str
    changes: dict[str, Any]
    seed: int
    settings: Settings
    asked: tuple[str, ...]
    code: Code
    experiment: Experiment | None = None
    pruning: Pruning | None = None
    branch: Branching | None = None


@dataclass(frozen=True)
class Result:
    """What is known of a finished point.

    failed : whether there is no final value;  status : how it ended, in a sentence;  seconds : of computing
    layout : what its numbers are, the text of a `Layout`;  numbers : as float64;  both empty where nothing was computed
    environment : of the process that computed it, as JSON;  traceback : of what went wrong, where that is Python's
    """

    failed: bool
    status: str
    seconds: float
    layout: str = ""
    numbers: bytes = b""
    environment: str = ""
    traceback: str = ""

    def value(self, column: str) -> float:
        """The number of a column such as "classification_error_simulation"; NaN where there is none."""
        if not self.layout:
            return float("nan")
        place = Layout.from_text(self.layout).places([column])[0]
        return float(np.append(np.frombuffer(self.numbers), np.nan)[place])


@cache
def environment() -> str:
    """Versions and platform of this process, as JSON."""
    return json.dumps(here.environment(), sort_keys=True)


def compute(job: Job) -> Result:
    """Compute a point. Whatever goes wrong, diverging or running out of memory, becomes the status of a failed point.

    Raises `InputError` in a worker that does not fit the sweep.
    """
    begin = time.perf_counter()
    if job.experiment is None:
        job.code.check()
    layout, numbers, trace, failed = "", b"", "", True
    try:
        variant = _changed(Variant(job.experiment or _base(job.text), job.pruning, job.branch), job.changes)
        experiment, pruning, branch = variant
        settings = job.settings
        with one_blas_thread():  # also for the nets of the averages: the same bits in every process
            extra = extra_names(experiment, settings)
            layout_here = Layout.of(experiment, settings.parts, job.asked, settings.labels, branch is not None, extra)
            point = _Point(experiment, job.seed, settings, layout_here, pruning, branch)
            numbers, status, failed = point.measured()
        layout = point.layout.text
    except MemoryError:
        status = "out of memory (fewer runs or points, or fewer workers, may help)"
    except Exception as error:
        status = f"{type(error).__name__}: {error}"
        trace = traceback.format_exc()[-_LONGEST:]
    return Result(failed, status, time.perf_counter() - begin, layout, numbers, environment(), trace)


@lru_cache(maxsize=4)
def _base(text: str) -> Experiment:
    return Study.from_toml(text).experiment


def _changed(base: Variant, changes: dict[str, Any]) -> Variant:
    """What a point is; the experiment is made once for the points in a row that share it."""
    global _last
    own = {name: value for name, value in changes.items() if name.startswith(PREFIXES)}
    last, text = _last, json.dumps({name: value for name, value in changes.items() if name not in own})
    if last is not None and last[0] is base.experiment and last[1] == text:
        return base._replace(experiment=last[2]).changed(own)
    found = base.changed(changes)
    _last = base.experiment, text, found.experiment
    return found


@dataclass
class _Side:
    """What the theory or the simulation of a point found: final values by part, see `Layout`; names first."""

    status: str
    failed: bool = False
    values: dict[str, np.ndarray] = field(default_factory=dict)
    diverged: float = np.nan


@dataclass(frozen=True)
class _Point:
    """A point and what is kept of it."""

    experiment: Experiment
    seed: int
    settings: Settings
    layout: Layout
    pruning: Pruning | None = None
    branch: Branching | None = None

    def measured(self) -> tuple[bytes, str, bool]:
        """Numbers, status, and whether it failed."""
        settings, sides = self.settings, []
        if settings.optimization is not None:
            sides += [self._optimum(settings.optimization)]
        elif settings.rest:
            sides += [self._rest()]
        elif isinstance(self.experiment.training, TANGENT):
            sides += [self._theory(None)] if settings.theory else []
            sides += [self._finals(self._in_tangent_space())] if settings.runs else []
        elif self.branch is not None:
            from curriculode.sims.sweep.pairs import PairPoint

            point = PairPoint(self.experiment, self.branch, self.seed, settings)
            sides += [self._by_nets(point.theory)] if settings.theory else []
            sides += [self._finals(point.simulation())] if settings.runs else []
        elif self.pruning is not None:
            sides += [self._pruned_theory(self.pruning)] if settings.theory else []
            sides += [self._pruned_simulation(self.pruning)] if settings.runs else []
        elif isinstance(self.experiment.training, BatchSlices):
            sides += [self._state_evolution()] if settings.theory else []
            sides += [self._minimisation()] if settings.runs else []
        else:
            setting = self._drawn(Setting.of(self.experiment, perturbed=True))
            sides += [self._theory(setting)] if settings.theory else []
            sides += [self._simulation(setting)] if settings.runs else []
        values = {part: row for side in sides for part, row in side.values.items()}
        nothing = np.full(len(self.layout.names) * max(len(self.layout.treatments), 1), np.nan)
        rows = [values.get(part, nothing) for part in self.layout.parts]
        if settings.runs:
            rows.append(np.array([sides[-1].diverged]))
        numbers = np.concatenate(rows).astype("<f8").tobytes()
        return numbers, "; ".join(side.status for side in sides), any(side.failed for side in sides)

    def _theory(self, setting: Setting | None) -> _Side:
        """Final values by the equations, mean over scramblings; with several of them, its standard error.

        setting : of the experiment; None in a tangent space
        """
        from curriculode.theory.solve.integrate import integrate, integrate_setting
        from curriculode.theory.solve.state_evolution import state_evolution

        start = self.experiment.initial(self.settings.dimension, self.seed)

        def solved(net: Numerics) -> Trajectory:
            if setting is not None:
                return integrate_setting(self.experiment, setting, start, net)
            if self.experiment.training.stored:
                return state_evolution(self.experiment, start, numerics=net)
            return integrate(self.experiment, start, numerics=net)

        return self._by_nets(solved)

    def _by_nets(self, solved: Callable[[Numerics], Trajectory | Pair]) -> _Side:
        """Final values of what a net comes to, mean over as many as are asked for."""
        settings = self.settings
        numerics = settings.numerics.set(times=(self.experiment.protocol.duration,), estimate_error=False)
        first = numerics.scrambling + self.seed * settings.scramblings
        finals: list[np.ndarray] = []
        status = ""
        for r in range(settings.scramblings):
            trajectory = solved(numerics.set(scrambling=first + r))
            if not trajectory.success:
                return _Side(f"theory {trajectory.status}", failed=True)
            status = status or f"theory {trajectory.status}"
            finals.append(self.layout.final(trajectory))
            if r == 1 and np.array_equal(finals[0], finals[1], equal_nan=True):  # closed forms know of no net
                break
        values = np.array(finals).T.copy()
        found = {"": values.mean(axis=1)}
        if settings.scramblings > 1:
            found["_standard_error"] = values.std(axis=1, ddof=1) / np.sqrt(len(finals))
        return _Side(status, values=found)

    def _drawn(self, setting: Setting) -> Setting:
        """The setting with what a perturbation draws of the seed and of D, as starts are, where that is left open."""

        def drawn(stage: SettingStage) -> SettingStage:
            event = stage.perturbation
            if event is None or event.dimension is not None:
                return stage
            return replace(stage, perturbation=event.model_copy(update={"dimension": self.settings.dimension, "seed": self.seed}))

        return replace(setting, stages=tuple(map(drawn, setting.stages)))

    def _optimum(self, optimization: Optimization) -> _Side:
        """The best order or rates, and the protocols beside it, from the starts that they are judged by."""
        values, status = optimum_rows(self.experiment, optimization, self.layout, self.seed, self.settings)
        if not np.isfinite(values).any():
            return _Side(f"theory: {status}", failed=True)
        found = {"": values.mean(axis=1)}
        if values.shape[1] > 1:
            found["_standard_error"] = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
        elif "_standard_error" in self.layout.parts:
            found["_standard_error"] = np.full(len(values), np.nan)
        return _Side(f"theory: {status}", values=found)

    def _rest(self) -> _Side:
        """The state at rest in which the student ends."""
        values, status = rest_row(self.experiment, self.layout, self.seed, self.settings)
        return _Side(f"theory: {status}", failed=values is None, values={} if values is None else {"": values})

    def _pruned_theory(self, pruning: Pruning) -> _Side:
        """Final values of every treatment, mean over as many draws of D random nodes as there are scramblings."""
        from curriculode.theory.tickets.theory import ticket_theory

        settings, count = self.settings, self.settings.scramblings
        numerics = settings.numerics.set(times=(self.experiment.protocol.duration,), estimate_error=False)
        numerics = numerics.set(scrambling=numerics.scrambling + self.seed * count)
        start = self.experiment.initial(settings.dimension, self.seed)
        treatments, nodes = settings.treatments, settings.dimension
        study = ticket_theory(self.experiment, pruning, treatments, start, count, self.seed, nodes, None, False, numerics)
        values = self._treated(study)
        if not np.isfinite(values).any():
            return _Side(f"theory: {study.status}", failed=True)
        found = {"": values.mean(axis=1)}
        if count > 1:
            found["_standard_error"] = values.std(axis=1, ddof=1) / np.sqrt(count)
        return _Side(f"theory: {study.status}", values=found)

    def _pruned_simulation(self, pruning: Pruning) -> _Side:
        """Networks with masked weights from the start of the seed."""
        from curriculode.sims.tickets.simulate import ticket_simulation

        settings, count = self.settings, self.settings.runs
        start = self.experiment.initial(settings.dimension, self.seed)
        numerics = settings.numerics.set(times=(self.experiment.protocol.duration,), workers=1)
        size = (settings.dimension, count, self.seed, None, numerics)
        study = ticket_simulation(self.experiment, pruning, settings.treatments, start, *size, progress=False)
        if study.run.size < count:
            raise KeyboardInterrupt
        status = f"simulation: {study.status}"
        values = self._treated(study)
        courses = [study.arrays[f"{name}.v"][:, -1] for name in self.layout.treatments if study.arrays[f"{name}.t"].size]
        finite = np.all([np.isfinite(v).all(axis=-1) for v in courses], axis=0)  # treatments are compared network by network
        diverged, whole = float((~finite).sum()), int(finite.sum())
        if not whole:
            return _Side(status, failed=True, diverged=diverged)
        values = np.ascontiguousarray(values[:, finite])
        error = values.std(axis=1, ddof=1) / np.sqrt(whole) if whole > 1 else np.full(len(values), np.nan)
        return _Side(status, values={"_simulation": values.mean(axis=1), "_simulation_standard_error": error}, diverged=diverged)

    def _treated(self, study: TicketStudy) -> np.ndarray:
        """The values at the end of every treatment, one below the other, (treatments * names, runs); NaN for what came to none."""
        finals = []
        for name in self.layout.treatments:
            course = study.trajectories[name]
            trained = name not in UNTRAINED
            if not course.t.size or (trained and course.t[-1] < self.experiment.protocol.duration - 1.0 / self.settings.dimension):
                finals.append(np.full((len(self.layout.names), study.run.size), np.nan))
                continue
            finals.append(self.layout.final(course).reshape(len(self.layout.names), -1))
        return np.concatenate(finals)

    def _state_evolution(self) -> _Side:
        """Final values of the last slice, which are exact."""
        from curriculode.theory.solve.state_evolution import state_evolution

        trajectory = state_evolution(self.experiment)
        if not trajectory.success:
            return _Side(f"theory: {trajectory.status}", failed=True)
        final = self.layout.final(trajectory)
        return _Side(f"theory: {trajectory.status}", values={"": final, "_standard_error": np.zeros(final.size)})

    def _simulation(self, setting: Setting) -> _Side:
        """Runs of online SGD from the start of the seed."""
        from curriculode.sims.runs.simulate import simulate_setting

        settings = self.settings
        start = self.experiment.initial(settings.dimension, self.seed)
        numerics = settings.numerics.set(times=(self.experiment.protocol.duration,), workers=1)
        runs = range(settings.runs)
        return self._finals(
            simulate_setting(self.experiment, setting, settings.dimension, runs, self.seed, start, numerics, progress=False)
        )

    def _in_tangent_space(self) -> Ensemble:
        """Runs of the linear model from the start of the seed."""
        from curriculode.sims.runs.minimize import minimize
        from curriculode.sims.runs.simulate import simulate

        settings = self.settings
        start = self.experiment.initial(settings.dimension, self.seed)
        shared: Any = {"dimension": settings.dimension, "runs": settings.runs, "seed": self.seed, "start": start, "progress": False}
        numerics = settings.numerics.set(workers=1)
        if self.experiment.training.stored:
            return minimize(self.experiment, numerics=numerics, **shared)
        return simulate(self.experiment, numerics=numerics.set(times=(self.experiment.protocol.duration,)), **shared)

    def _minimisation(self) -> _Side:
        """Minima of the objectives on the samples of the seed."""
        from curriculode.sims.runs.minimize import minimize

        settings = self.settings
        return self._finals(
            minimize(self.experiment, dimension=settings.dimension, runs=settings.runs, seed=self.seed, workers=1, progress=False)
        )

    def _finals(self, ensemble: Ensemble | Pair) -> _Side:
        """Means of the final values of the finite runs, their standard errors, and how many runs diverged."""
        if ensemble.interrupted:  # what is finished of it is no point
            raise KeyboardInterrupt
        finite, status = ensemble.finite, f"simulation: {ensemble.status}"
        diverged, count = float((~finite).sum()), int(finite.sum())
        if not count:
            return _Side(status, failed=True, diverged=diverged)
        # Names first and each in a piece: the means have the bits of those of single calls.
        values = np.ascontiguousarray(self.layout.final(ensemble)[:, finite])
        error = values.std(axis=1, ddof=1) / np.sqrt(count) if count > 1 else np.full(len(values), np.nan)
        found = {"_simulation": values.mean(axis=1), "_simulation_standard_error": error}
        return _Side(status, values=found, diverged=diverged)
