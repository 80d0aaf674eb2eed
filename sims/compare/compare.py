"""Theory against simulation from matched initial overlaps: the main job."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.compare.branched import BranchedJob
from curriculode.sims.compare.cell import compares_pairs
from curriculode.sims.compare.comparison import Comparison
from curriculode.sims.compare.jobs import POINTS, TIMES, BatchJob, Job, OnlineJob
from curriculode.sims.compare.places import Places
from curriculode.sims.compare.pruned import PrunedJob
from curriculode.sims.compare.tangent import TangentJob
from curriculode.sims.pairs.branch import check_branching, one_or_more
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.spaces.perturb_overlaps import check_overlap_events
from curriculode.theory.averages.quasi_monte_carlo import check_points
from curriculode.theory.core.arguments import MOST_RUNS, checked, inside, whole
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.branching import Branching
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.study import Study, cells
from curriculode.theory.describe.training import BatchSlices
from curriculode.theory.describe.variant import Variant, branching_of
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.names import BARRIERS, pair_entry_names, pair_observable_names
from curriculode.theory.results.registered import observable_names
from curriculode.theory.results.states import entry_names
from curriculode.theory.solve.state_evolution import state_evolution
from curriculode.theory.tangent.space import TANGENT, TangentSpace
from curriculode.theory.tasks.blocks import Blocks
from curriculode.theory.tickets.treatments import USUAL, checked_treatments


def _starts(name: str, value: Any) -> Any:
    """A number of starts, or the starts themselves."""
    return one_or_more(name, value) if isinstance(value, (list, tuple)) else whole(1, MOST_RUNS)(name, value)


@checked(over=inside, runs=whole(2, MOST_RUNS), starts=_starts, treatments=lambda name, value: checked_treatments(value))
def compare(
    experiment: Experiment,
    *,
    dimension: int,
    runs: int = 32,
    seed: int | np.random.SeedSequence = 0,
    starts: int | Sequence[OrderParameters] = 1,
    over: Mapping[str, Sequence[Any]] | None = None,
    pruning: Pruning | None = None,
    treatments: Sequence[str] | None = None,
    branch: Branching | None = None,
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

    With a `pruning` the dense training is one cell and each treatment of what is kept another, labelled `treatment`: theory by
    draws of D random nodes, as many as there are runs but 32 at most, against networks whose weights are masked (see `tickets`).

    With a `branch` it is of two copies of each network, from the time on at which they part: everything of both, their cross
    overlaps X, and the error in the middle of the line between them (see `Pair`).

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
    starts : int or sequence of OrderParameters, default 1
        Number of initial conditions; number j is `experiment.initial(dimension, seed, j)`, for theory and runs alike. Or those of
        online learning themselves.
    over : mapping of str to sequence, optional
        Dotted parameter -> values; the cells of the comparison are all combinations, from shared starts and seeds. With a pruning
        also "pruning.keep" and its other settings; "branch.at" and the like ask for a branching.
    pruning : Pruning, optional
        Which weights are kept; by default all, and nothing is pruned.
    treatments : sequence of str, optional
        With a pruning, what is done with what is kept, by default "ticket", "reinit", "random"; see `tickets`.
    branch : Branching, optional
        When the networks become two copies, and which examples these meet. Second copies with weights of their own begin at as many
        starts more, those after the first. By default there are no copies.
    numerics : Numerics, optional
        How; the keywords from `space` to `workers` are shortcuts for single settings of it.
    space : str, optional
        See `Numerics`.
    times : int or array_like of float, optional
        By default 21.
    spacing : str, optional
        See `Numerics`.
    points : int, optional
        Of the nets, by default 1024; where the equations need them for the noise term alone, as many of these as so many runs
        could tell from more. What nets leave is part of the comparison.
    rtol : float, optional
        By default 1e-6 for closed forms, and for nets three hundredths of what the statistics of so many runs could resolve.
    atol : float, optional
        By default a hundredth of rtol.
    averages : str, optional
        See `Numerics`.
    workers : int, optional
        Processes, or threads where little is to be computed; by default one a core.
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
    settings = settings.set(times=TIMES if settings.times is None else None, estimate_error=False)
    given = () if isinstance(starts, int) else tuple(starts)
    count = len(given) if given else starts
    assert isinstance(count, int)
    if treatments is not None and pruning is None:
        raise InputError("treatments are of what a pruning keeps; give pruning = Pruning(keep=0.2) too, or leave them out")
    jobs = [  # every mistake comes before the first minute of work
        _job(labels, cell, dimension, runs, count, seed, settings, tuple(treatments or USUAL), given)
        for labels, cell in cells(Variant(experiment, pruning, branch), over)
    ]
    what = f"comparing {len(jobs)} cells"
    with Places(jobs, worker_count(settings.workers)) as places:
        computed, interrupted = spread(what, places.judged, places.order, places.at_once, places.fraction, progress)
    found = [each for _, each in sorted(zip(places.order, computed, strict=True), key=lambda pair: pair[0])]
    finished = [cells_of_job for cells_of_job in found if cells_of_job is not None]
    status = f"{len(finished)} of {len(jobs)} cells finished" + (", then the comparison was interrupted" if interrupted else "")
    return Comparison(list(chain(*finished)), jobs[0].dimension, seed, status, interrupted)


def _job(
    labels: dict[str, Any],
    variant: Variant,
    dimension: int,
    runs: int,
    starts: int,
    seed: Any,
    numerics: Numerics,
    treatments: tuple[str, ...],
    given: tuple[OrderParameters, ...],
) -> Job:
    """What computes a cell, or `InputError` where it cannot exist."""
    experiment, pruning, branch = variant
    if branch is not None and branch.weights == "own" and given:
        if starts % 2:
            raise InputError(f"{starts} starts are not two for each pair; give as many for the second copies as for the first")
        starts //= 2
    if starts > runs:
        raise InputError(f"starts = {starts} is more than runs = {runs}; each start needs at least one run")
    with_points = numerics.set(points=numerics.points or POINTS)
    if pruning is None and branch is None and isinstance(experiment.training, (*TANGENT, BatchSlices)):
        if given:
            raise InputError(f"starts are given, and {experiment.training.kind} begins at its own; give their number")
        if isinstance(experiment.training, BatchSlices):
            state_evolution(experiment)
            D = int(Blocks.of(experiment.task).sizes(dimension, 1).sum())
            return BatchJob(labels, experiment, D, runs, starts, seed, with_points)
        D = int(Blocks.of(experiment.task).sizes(dimension, experiment.student.width).sum())
        TangentSpace.of(experiment, experiment.initial(D, seed)).points(with_points)
        return TangentJob(labels, experiment, D, runs, starts, seed, with_points)
    if branch is not None:
        check_branching(experiment, branch, pruning, dimension, numerics)
    setting = Setting.of(experiment, perturbed=pruning is None and branch is None)
    for state in given:
        setting.check(state)
    D = int(setting.blocks.sizes(dimension, setting.width).sum())
    check_points(numerics.points or POINTS, setting.fields)
    numerics.output_times(experiment.protocol.duration, TIMES)
    events = [stage.perturbation for stage in setting.stages if stage.perturbation is not None]
    check_overlap_events(events, setting.width, D)  # as the paths of the diffusion go, whatever the space of the runs
    if branch is not None:
        return BranchedJob(labels, experiment, D, runs, starts, seed, numerics, branch, given=given)
    if pruning is None:
        return OnlineJob(labels, experiment, D, runs, starts, seed, numerics, given=given)
    pruning.check(experiment.protocol.duration, D)
    return PrunedJob(labels, experiment, D, runs, starts, seed, numerics, pruning, treatments, given=given)


def quantity_names(study: Study) -> list[str]:
    """The quantities that a comparison of all cells of `study` has in common."""
    experiments = [experiment for _, experiment in study.cells()]
    pairs = all(compares_pairs(experiment.student.width) for experiment in experiments)
    narrowest = min(experiments, key=lambda experiment: experiment.student.width)
    blocks = Blocks.of(narrowest.task)
    if branching_of(study.branch, study.over) is not None:
        read = [name for name in pair_observable_names(narrowest.task) if name not in BARRIERS or name == "midpoint"]
        return [*read, *pair_entry_names(blocks.count, narrowest.student.width, blocks.references, pairs)]
    return [*observable_names(narrowest.task), *entry_names(blocks.count, narrowest.student.width, blocks.references, pairs)]
