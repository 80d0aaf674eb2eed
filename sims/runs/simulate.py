"""Run online SGD at finite input dimension: many runs, on all cores, each fixed by its seed alone."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.runs.remember import Memory, remembered_arrays
from curriculode.sims.runs.starts import one_or_several, starts_of
from curriculode.sims.spaces.diffusion import Diffusion
from curriculode.sims.spaces.draws import record_steps, segments, stage_counts
from curriculode.sims.spaces.model import Model
from curriculode.sims.spaces.overlap_space import OverlapSpace
from curriculode.sims.spaces.perturb_overlaps import check_overlap_events
from curriculode.sims.spaces.tangent_space import TangentWeights, UncentredTangentWeights
from curriculode.sims.spaces.weight_space import WeightSpace
from curriculode.theory.averages.quasi_monte_carlo import check_points
from curriculode.theory.core.arguments import checked, inside
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.describe.tangent import TangentSGD
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.results.states import Ensemble
from curriculode.theory.solve.remember import remembered_times

States = list[tuple[np.ndarray, np.ndarray, np.ndarray]]  # Q, M, v at each recorded time
SPACES: dict[str, type[WeightSpace] | type[OverlapSpace] | type[Diffusion]] = {
    "overlap": OverlapSpace,
    "weight": WeightSpace,
    "diffusion": Diffusion,
}
_RESPONSE = 0.2  # seconds between looks at the interrupt
_TIMES = 101


@checked(start=one_or_several, remember=inside)
def simulate(
    experiment: Experiment,
    *,
    dimension: int,
    runs: int = 32,
    first: int = 0,
    seed: int | np.random.SeedSequence = 0,
    start: OrderParameters | Sequence[OrderParameters] | None = None,
    numerics: Numerics | None = None,
    space: str | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    workers: int | None = None,
    points: int | None = None,
    remember: ArrayLike | None = None,
    progress: Told = None,
) -> Ensemble:
    """Simulate `runs` independent runs of online SGD in `dimension` inputs.

    Ctrl-C ends it early with the finished runs, and `status` says so; with none finished, KeyboardInterrupt is raised.

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` as its training, or `TangentSGD`, which is simulated in weight space whatever the space, and remembers its
        start.
    dimension : int
        D, at least K + P inputs in every block.
    runs : int, default 32
        How many.
    first : int, default 0
        Number of the first run: runs first ... first + runs - 1 are those of one endless ensemble.
    seed : int or SeedSequence, default 0
        Run i uses the generator of SeedSequence(seed, spawn_key=(i,)): the same bits whatever the number of workers.
    start : OrderParameters or sequence of OrderParameters, optional
        One start for all runs, or one each; by default run i starts from `experiment.initial(dimension, seed, i)`.
    numerics : Numerics, optional
        How; the keywords from `space` to `points` are shortcuts for single settings of it.
    space : str, optional
        See `Numerics`.
    times : int or array_like of float, optional
        As for `integrate`, rounded to whole steps n / D.
    spacing : str, optional
        See `Numerics`.
    workers : int, optional
        Threads, by default one a core.
    points : int, optional
        Of the nets that average the errors of the recorded states, by default 1024.
    remember : array_like of float, optional
        In weight space, times at which the weights are kept, for `two_time`, `sign_changes` and `weight_correlation` of the result.
    progress : bool or callable, optional
        True or False, or a function called with the finished fraction; by default a bar appears on a terminal when the work
        takes more than two seconds.

    Returns
    -------
    Ensemble
        Order parameters of each run at the output times.

    Raises
    ------
    InputError
        For an experiment that learns in batches, and for starts that do not fit it or are not physical.

    Examples
    --------
    >>> from curriculode import load, simulate
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> simulate(experiment, dimension=100, runs=4, times=3).v.shape
    (4, 3, 4)
    """
    settings = numerics_with(numerics, space=space, times=times, spacing=spacing, workers=workers, points=points)
    tangent = isinstance(experiment.training, TangentSGD)
    if tangent and settings.space == "diffusion":
        raise InputError("a tangent space is simulated in the weights alone; use space = 'weight'")
    setting = Setting.stepped(experiment) if tangent else Setting.of(experiment, perturbed=True)
    memories = remembered_times(remember, experiment.protocol.duration)
    members = range(first, first + runs)
    return simulate_setting(experiment, setting, dimension, members, seed, start, settings, progress, memories)


@checked(start=one_or_several)
def diffuse(
    experiment: Experiment,
    *,
    dimension: int,
    runs: int = 32,
    first: int = 0,
    seed: int | np.random.SeedSequence = 0,
    start: OrderParameters | Sequence[OrderParameters] | None = None,
    numerics: Numerics | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    workers: int | None = None,
    points: int | None = None,
    progress: Told = None,
) -> Ensemble:
    """Draw runs from the diffusion that online SGD becomes as D grows: `simulate` with space="diffusion".

    dY = (f - J f / (2 D) + e / D) dt + D^(-1/2) B^(1/2) dW, with f the rate of the equations, J its Jacobian, B the covariance of
    one step and e the mean of its second order. The nonlinearity of the equations is kept, so that odds, escapes and covered
    clusters are those of SGD at large D, at a cost that does not know D.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    dimension : int
        D, up to 10^15.
    runs : int, default 32
        How many.
    first : int, default 0
        See `simulate`, as for all that follow.
    seed : int or SeedSequence, default 0
        Of starts and runs.
    start : OrderParameters or sequence of OrderParameters, optional
        One start for all runs, or one for each; by default a random one for each.
    numerics : Numerics, optional
        How; its space is not asked.
    times : int or array_like of float, optional
        By default 101.
    spacing : str, optional
        See `Numerics`.
    workers : int, optional
        Threads.
    points : int, optional
        Of the nets of the errors.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    Ensemble
        As of `simulate`.

    Raises
    ------
    InputError
        For batch learning, or arguments out of range.

    Examples
    --------
    >>> from curriculode import load, diffuse
    >>> experiment = load("committee-plateau").replace({"protocol.duration": 1.0})
    >>> diffuse(experiment, dimension=10**6, runs=3, times=2).Q.shape
    (3, 2, 2, 2)
    """
    return simulate(
        experiment,
        dimension=dimension,
        runs=runs,
        first=first,
        seed=seed,
        start=start,
        numerics=numerics,
        space="diffusion",
        times=times,
        spacing=spacing,
        workers=workers,
        points=points,
        progress=progress,
    )


def simulate_setting(
    experiment: Experiment,
    setting: Setting,
    dimension: int,
    members: range,
    seed: int | np.random.SeedSequence,
    start: OrderParameters | Sequence[OrderParameters] | None,
    numerics: Numerics,
    progress: Told = None,
    remember: np.ndarray | None = None,
) -> Ensemble:
    """As `simulate`, with the setting of the experiment, for those who have it from before; `members` numbers the runs."""
    numerics = numerics.set(points=numerics.points or DEFAULT_POINTS)
    check_points(numerics.points or DEFAULT_POINTS, setting.width)
    training = experiment.training
    if isinstance(training, TangentSGD):
        numerics, remember = numerics.set(space="weight"), np.zeros(1)
    model = Model.of(setting, dimension)
    dimension = model.dimension
    if numerics.space == "weight" and 8.0 * dimension * (setting.width + 8) > 2e10:
        raise InputError(
            f"weight space at D = {dimension:g} needs more than 20 GB a run; use space = 'overlap', whose cost does not depend on D"
        )
    if remember is not None and numerics.space != "weight":
        raise InputError(f"{numerics.space} space has no weights to remember; use space = 'weight', or leave `remember` out")
    events = [stage.perturbation for stage in setting.stages if stage.perturbation is not None]
    if numerics.space == "diffusion" and events:
        raise InputError("the diffusion has no weights to perturb; use space = 'overlap' or 'weight'")
    if numerics.space == "overlap":
        check_overlap_events(events, setting.width, dimension)
    runs, workers = len(members), worker_count(numerics.workers)
    starts = starts_of(experiment, dimension, members, seed, start)
    records = record_steps(numerics.output_times(experiment.protocol.duration, _TIMES), experiment.protocol, dimension)
    counts = stage_counts(experiment.protocol, dimension)
    kept = np.zeros(0, np.int64) if remember is None else record_steps(remember, experiment.protocol, dimension)
    kind = SPACES[numerics.space]
    if isinstance(training, TangentSGD):
        kind = TangentWeights if training.centred else UncentredTangentWeights
    longest = max(1, int(_RESPONSE * kind.steps_a_second(model)))
    done = np.zeros(runs, dtype=np.int64)
    recorded = set(records.tolist())
    memories: dict[int, Memory | None] = {}

    def advance(group: range, stop: threading.Event) -> list[States] | None:
        """The recorded states of each run of a group, or None if it was stopped."""
        rngs = [np.random.default_rng(child_seed(seed, members[i])) for i in group]
        space = kind(model, [starts[i] for i in group], rngs)
        remaining = [np.tile(count, (len(group), 1)) for count in counts]
        states: list[States] = [[] for _ in group]
        memory = memories[group[0]] = Memory(space, kept) if isinstance(space, WeightSpace) and kept.size else None

        def look(step: int) -> None:
            if memory is not None:
                memory.visit(step)
            if step in recorded:
                for lane, found in enumerate(states):
                    found.append(space.overlaps(lane))
                if memory is not None:
                    memory.record()

        step, stage = 0, -1

        def begin(until: int) -> None:
            """Perturb the weights as the next stages begin, up to this one."""
            nonlocal stage
            while stage < until:
                stage += 1
                event = setting.stages[stage].perturbation
                if event is not None and isinstance(space, (WeightSpace, OverlapSpace)):
                    space.perturb(event)

        begin(0)
        look(0)
        for segment in segments(counts, np.union1d(records, kept), longest):
            if stop.is_set():
                return None
            begin(segment.stage)
            space.advance(remaining[segment.stage], segment.steps, setting.stages[segment.stage].rates)
            done[group] += segment.steps
            step += segment.steps
            if segment.record:
                look(step)
        return states

    clock = time.perf_counter()
    total = int(sum(count.sum() for count in counts))
    size = kind.together(setting.width, runs, workers)
    groups = [range(i, min(i + size, runs)) for i in range(0, runs, size)]
    results, interrupted = spread(
        f"simulating {runs} runs", advance, groups, workers, lambda: float(done.sum()) / (runs * total), progress
    )
    finished = [
        (i, states) for group, found in zip(groups, results, strict=True) if found for i, states in zip(group, found, strict=True)
    ]
    arrays = _arrays([states for _, states in finished], [starts[i] for i, _ in finished])
    if kept.size:
        arrays |= remembered_arrays([memory for i, _ in finished if (memory := memories[i]) is not None], kept / dimension)
    status = f"{len(finished)} of {runs} runs finished" + (", then the simulation was interrupted" if interrupted else "")
    ensemble = Ensemble(
        experiment,
        numerics,
        {"t": records / dimension, "run": np.array([members[i] for i, _ in finished], dtype=np.int64), **arrays},
        status,
        success=not interrupted,
        seed=seed,
        dimension=dimension,
        statistics={"space": numerics.space, "seconds": time.perf_counter() - clock, "workers": workers, "steps": total},
    )
    if diverged := int((~ensemble.finite).sum()):
        status += f"; {diverged} of them diverged (a smaller learning_rate or a larger weight_decay may help)"
    return ensemble.replace(status=status)


def _arrays(states: list[States], starts: list[OrderParameters]) -> dict[str, np.ndarray]:
    """Q, M, v and the starts of the runs, without the block axis where there is one block."""
    arrays: dict[str, Any] = {name: np.array([[state[j] for state in run] for run in states]) for j, name in enumerate("QMv")}
    for j, name in enumerate("QMv"):
        arrays[f"start_{name}"] = np.array([start.blocked()[j] for start in starts])
    if arrays["Q"].shape[2] == 1:
        arrays |= {name: arrays[name][:, :, 0] for name in ("Q", "M")}
        arrays |= {name: arrays[name][:, 0] for name in ("start_Q", "start_M")}
    return arrays
