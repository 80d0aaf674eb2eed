"""Theory against simulation from matched initial overlaps: the main job."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.compare.cell import Cell, Perturbed, compares_pairs
from curriculode.sims.compare.comparison import Comparison
from curriculode.sims.compare.verdict import SHIFT
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.finite_size import as_carried_out, finite_size
from curriculode.sims.runs.minimize import minimize
from curriculode.sims.runs.progress import Told
from curriculode.sims.runs.simulate import simulate, simulate_setting
from curriculode.sims.spaces.draws import record_steps
from curriculode.theory.averages.quasi_monte_carlo import check_points
from curriculode.theory.core.arguments import MOST_RUNS, checked, inside, whole
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.study import Study, cells
from curriculode.theory.describe.tangent import TangentRidge
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.registered import observable_names
from curriculode.theory.results.states import Trajectory, entry_names
from curriculode.theory.solve.integrate import integrate, integrate_setting
from curriculode.theory.solve.state_evolution import state_evolution
from curriculode.theory.tangent.space import TANGENT, TangentSpace
from curriculode.theory.tasks.blocks import Blocks

_TIMES = 21
_POINTS = 1024
_EXTRA_NETS = 4  # beyond one a start, over all starts: from their scatter the error of the nets is pooled
_STEP = 0.02  # relative change of a rate, from which the theory's sensitivity to it is told
_PAIRS, _PAIRS_WIDE, _WIDE = 24, 6, 8  # pairs of the diffusion, at least, and of students wider than this
_AT_ONCE = 2  # cells: what one leaves of the cores, another uses
_STARTS_WIDE = 2  # most starts of such students that pairs and sensitivities to the rates are computed for
_RATES = {"eta": "learning_rate", "eta_v": "readout_learning_rate", "kappa": "weight_decay"}


@checked(over=inside, runs=whole(2, MOST_RUNS))
def compare(
    experiment: Experiment,
    *,
    dimension: int,
    runs: int = 32,
    seed: int | np.random.SeedSequence = 0,
    starts: int = 1,
    over: Mapping[str, Sequence[Any]] | None = None,
    numerics: Numerics | None = None,
    space: str | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    points: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    averages: str | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> Comparison:
    """Compare the mean-field equations with online SGD, or the state evolution with minimisation, in `dimension` inputs.

    To the equations from each start is added what finite D adds to them, by pairs of paths of the diffusion with opposite noise:
    two a start and 24 at least; of students wider than 8 six, of the first two starts. `Comparison` says how the verdict is found.

    Ctrl-C ends it with the cells that are finished; with none finished, KeyboardInterrupt is raised.

    Parameters
    ----------
    experiment : Experiment
        Batch learning is compared at the end of each slice; it has no starts, spaces, times or tolerances to choose, and
        leaves them unused. A ridge in a tangent space is compared at its numbers of examples, from matched starts.
    dimension : int
        D, at least K + P inputs in every block.
    runs : int, default 32
        Simulated runs of each cell, spread evenly over the starts; fewer than 4 cannot tell chance from a disagreement.
    seed : int or SeedSequence, default 0
        Of starts and runs.
    starts : int, default 1
        Number of initial conditions; number j is `experiment.initial(dimension, seed, j)`, for theory and runs alike.
    over : mapping of str to sequence, optional
        Dotted parameter -> values; the cells of the comparison are all combinations, from shared starts and seeds.
    numerics : Numerics, optional
        How; the keywords from `space` to `workers` are shortcuts for single settings of it.
    space : str, optional
        See `Numerics`.
    times : int or array_like of float, optional
        By default 21.
    spacing : str, optional
        See `Numerics`.
    points : int, optional
        Of the nets, by default 1024; their own error is part of the comparison.
    rtol : float, optional
        By default 1e-6 for closed forms, and for nets three hundredths of what the statistics of so many runs could resolve.
    atol : float, optional
        By default a hundredth of rtol.
    averages : str, optional
        See `Numerics`.
    workers : int, optional
        Threads, by default one a core.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    Comparison
        The numbers and the verdict.

    Raises
    ------
    InputError
        For a cell that cannot exist, before the first is computed.

    Examples
    --------
    >>> from curriculode import load, compare
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 2.0})
    >>> compare(experiment, dimension=500, runs=8, times=3, points=256).agrees
    True
    """
    settings = numerics_with(
        numerics, space=space, times=times, spacing=spacing, points=points, rtol=rtol, atol=atol, averages=averages, workers=workers
    )
    settings = settings.set(
        times=_TIMES if settings.times is None else None, points=_POINTS if settings.points is None else None, estimate_error=False
    )
    if starts > runs:
        raise InputError(f"starts = {starts} is more than runs = {runs}; each start needs at least one run")
    jobs = []
    for labels, cell in cells(experiment, over):  # every mistake comes before the first minute of work
        if isinstance(cell.training, TANGENT):
            D = int(Blocks.of(cell.task).sizes(dimension, cell.student.width).sum())
            TangentSpace.of(cell, cell.initial(D, seed)).points(settings)
            jobs.append(_Job(labels, cell, None, D, runs, starts, seed, settings))
            continue
        if isinstance(cell.training, BatchSlices):
            state_evolution(cell)
            D = int(Blocks.of(cell.task).sizes(dimension, 1).sum())
            jobs.append(_Job(labels, cell, None, D, runs, starts, seed, settings))
            continue
        setting = Setting.of(cell)
        D = int(setting.blocks.sizes(dimension, setting.width).sum())
        check_points(settings.points or _POINTS, setting.fields)
        settings.output_times(cell.protocol.duration, _TIMES)
        jobs.append(_Job(labels, cell, setting, D, runs, starts, seed, settings))
    done = np.zeros(len(jobs))

    def judged(number: int, stop: threading.Event) -> Cell | None:
        """The cell of a job with its verdict, or None if Ctrl-C ended it."""

        def report(fraction: float) -> None:
            done[number] = fraction
            if stop.is_set():
                raise KeyboardInterrupt

        try:
            cell = jobs[number].run(report)
            cell.table  # noqa: B018 - here, beside the computing of others
        except KeyboardInterrupt:
            return None
        return cell

    at_once = min(_AT_ONCE, worker_count(settings.workers))
    what, fraction = f"comparing {len(jobs)} cells", lambda: float(done.mean())
    found, interrupted = spread(what, judged, range(len(jobs)), at_once, fraction, progress)
    finished = [cell for cell in found if cell is not None]
    status = f"{len(finished)} of {len(jobs)} cells finished" + (", then the comparison was interrupted" if interrupted else "")
    return Comparison(finished, jobs[0].dimension, seed, status, interrupted)


def quantity_names(study: Study) -> list[str]:
    """The quantities that a comparison of all cells of `study` has in common."""
    experiments = [experiment for _, experiment in study.cells()]
    pairs = all(compares_pairs(experiment.student.width) for experiment in experiments)
    narrowest = min(experiments, key=lambda experiment: experiment.student.width)
    blocks = Blocks.of(narrowest.task)
    return [*observable_names(narrowest.task), *entry_names(blocks.count, narrowest.student.width, blocks.references, pairs)]


class _Job:
    """What a cell is computed from; `setting` is None for batch learning."""

    def __init__(
        self,
        labels: dict[str, Any],
        experiment: Experiment,
        setting: Setting | None,
        dimension: int,
        runs: int,
        starts: int,
        seed: Any,
        numerics: Numerics,
    ) -> None:
        self.labels, self.experiment, self.setting, self.dimension = labels, experiment, setting, dimension
        self.runs, self.starts, self.seed, self.numerics = runs, starts, seed, numerics

    def run(self, report: Callable[[float], None]) -> Cell:
        """Compute both sides."""
        if isinstance(self.experiment.training, TANGENT):
            return self._tangent(report)
        if self.setting is None:
            return self._batch(report)
        protocol = self.experiment.protocol
        setting = as_carried_out(self.setting, self.experiment, self.dimension)
        records = record_steps(self.numerics.output_times(protocol.duration, _TIMES), protocol, self.dimension)
        numerics = self.numerics.set(times=np.minimum(records / self.dimension, protocol.duration))
        initial = [self.experiment.initial(self.dimension, self.seed, j) for j in range(self.starts)]
        theory, perturbed = self._theory(setting, initial, numerics, lambda fraction: report(0.3 * fraction))
        added = finite_size(
            self.experiment,
            setting,
            self.dimension,
            initial[: self._known()],
            self._pairs(),
            self.seed,
            records,
            numerics,
            lambda fraction: report(0.3 + 0.5 * fraction),
        )
        start_of_run = np.arange(self.runs) % self.starts
        ensemble = simulate_setting(
            self.experiment,
            setting,
            self.dimension,
            range(self.runs),
            self.seed,
            [initial[j] for j in start_of_run],
            numerics,
            lambda fraction: report(0.8 + 0.2 * fraction),
        )
        if ensemble.interrupted:
            raise KeyboardInterrupt
        return Cell(self.labels, self.experiment, theory, ensemble, start_of_run, perturbed, added)

    def _known(self) -> int:
        """Number of starts of which it is computed what finite D adds, and what rates would change: of wide students the first."""
        assert self.setting is not None
        return min(self.starts, _STARTS_WIDE) if self.setting.width > _WIDE else self.starts

    def _pairs(self) -> int:
        """Pairs of the diffusion: at least two of each start, and fewer of wide students, which scatter little."""
        if self.setting is not None and self.setting.width > _WIDE:
            return _PAIRS_WIDE
        return self.starts * max(2, -(-_PAIRS // self.starts))

    def _theory(
        self, setting: Setting, initial: list[OrderParameters], numerics: Numerics, report: Callable[[float], None]
    ) -> tuple[list[list[Trajectory]], dict[str, Perturbed]]:
        """Trajectories of each start by each of its nets, and of some starts with each rate changed."""
        points = numerics.points or _POINTS
        engine = setting.engine(numerics.averages, points, 0, numerics.noise_terms)
        if numerics.rtol is None:
            # What so many runs could resolve, were they to scatter by D^(-1/2); below that only the nets' staircases are resolved.
            resolved = 0.03 / np.sqrt(self.dimension * self.runs)
            numerics = numerics.set(rtol=1e-6 if engine.exact else float(np.clip(resolved, 1e-6, 3e-4)))
        extra = 0 if engine.exact and engine.errors_exact else -(-_EXTRA_NETS // self.starts)
        several = -(-_EXTRA_NETS // extra) if extra else 0  # so many starts have several nets
        nets = [1 + (extra if j < several else 0) for j in range(self.starts)]
        first = np.concatenate([[0], np.cumsum(nets)])
        # Exact equations are integrated once a start; the nets of their errors are drawn again below.
        jobs: list[tuple[Setting, int, int]] = [
            (setting, j, int(first[j]) + r) for j in range(self.starts) for r in range(1 if engine.exact else nets[j])
        ]
        rates = [name for name in _RATES if getattr(setting.rates, name) > 0]
        changed = range(self._known())
        for name in rates:
            jobs += [(setting.with_rate(name, 1.0 + _STEP), j, int(first[j])) for j in changed]
        found = self._integrated(jobs, initial, numerics, report)
        theory: list[list[Trajectory]] = [[] for _ in initial]
        for (_, j, _), trajectory in zip(jobs[: len(jobs) - len(rates) * len(changed)], found, strict=False):
            theory[j].append(trajectory)
        if engine.exact:
            theory = [
                [only.replace(numerics=only.numerics.set(scrambling=int(first[j]) + r)) for r in range(nets[j])]
                for j, (only,) in enumerate(theory)
            ]
        rest = found[len(found) - len(rates) * len(changed) :]
        perturbed = {
            _RATES[name]: Perturbed(_STEP, dict(zip(changed, rest[i * len(changed) : (i + 1) * len(changed)], strict=True)))
            for i, name in enumerate(rates)
        }
        return theory, perturbed

    def _integrated(
        self,
        jobs: list[tuple[Setting, int, int]],
        initial: list[OrderParameters],
        numerics: Numerics,
        report: Callable[[float], None],
    ) -> list[Trajectory]:
        """The trajectory of each job (setting, start, net), on threads."""

        def solve(job: tuple[Setting, int, int], stop: threading.Event) -> Trajectory:
            def watch(_: float) -> None:
                """After each step of the integration: leave it if the comparison was interrupted."""
                if stop.is_set():
                    raise KeyboardInterrupt

            setting, start, net = job
            trajectory = integrate_setting(self.experiment, setting, initial[start], numerics.set(scrambling=net), watch)
            finished.append(trajectory)
            return trajectory

        finished: list[Trajectory] = []
        workers = worker_count(numerics.workers)
        found, interrupted = spread("equations", solve, jobs, workers, lambda: len(finished) / len(jobs), report)
        if interrupted:
            raise KeyboardInterrupt
        return found

    def _tangent(self, report: Callable[[float], None]) -> Cell:
        """A cell in a tangent space: ridge or SGD from matched starts; what finite D adds is not predicted, and has room."""
        experiment, training, moves = self.experiment, self.experiment.training, SHIFT
        ridge = isinstance(training, TangentRidge)
        numerics = self.numerics
        if not ridge:
            records = record_steps(numerics.output_times(experiment.protocol.duration, _TIMES), experiment.protocol, self.dimension)
            numerics = numerics.set(times=np.minimum(records / self.dimension, experiment.protocol.duration))
        initial = [experiment.initial(self.dimension, self.seed, j) for j in range(self.starts)]
        extra = -(-_EXTRA_NETS // self.starts)
        theory: list[list[Trajectory]] = []
        for j, start in enumerate(initial):
            nets = [numerics.set(scrambling=j * (1 + extra) + r) for r in range(1 + extra)]
            theory.append(
                [
                    state_evolution(experiment, start, numerics=each) if ridge else integrate(experiment, start, numerics=each)
                    for each in nets
                ]
            )
            report(0.4 * (j + 1) / self.starts)
        start_of_run = np.arange(self.runs) % self.starts
        simulation: Any = minimize if ridge else simulate
        ensemble = simulation(
            experiment,
            dimension=self.dimension,
            runs=self.runs,
            seed=self.seed,
            start=[initial[j] for j in start_of_run],
            numerics=self.numerics.set(points=None),
            progress=lambda fraction: report(0.4 + 0.6 * fraction),
        )
        if ensemble.interrupted:
            raise KeyboardInterrupt
        if ridge:
            moves = max(SHIFT, max(theory[0][0].statistics["correction"]))
        return Cell(self.labels, experiment, theory, ensemble, start_of_run, moves=moves)

    def _batch(self, report: Callable[[float], None]) -> Cell:
        """A cell of batch learning: one theory for all runs, as a minimum does not know where it was approached from."""
        theory = state_evolution(self.experiment)
        ensemble = minimize(
            self.experiment, dimension=self.dimension, runs=self.runs, seed=self.seed, numerics=self.numerics, progress=report
        )
        if ensemble.interrupted:
            raise KeyboardInterrupt
        return Cell(self.labels, self.experiment, [[theory]], ensemble, np.zeros(self.runs, dtype=np.int64))
