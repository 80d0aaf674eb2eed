"""The verb `branch`: two copies of a network from the time on at which they part; by theory, or with a dimension by simulation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.pairs.simulate import pair_simulation, space_of
from curriculode.sims.runs.progress import Told, progress_of
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import number
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.branching import EXAMPLES, Branching, checked_at
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.describe.training import BatchSlices, OnlineSGD
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.record import Pair
from curriculode.theory.pairs.theory import pair_theory


def one_or_more(name: str, value: Any) -> Any:
    """One start, or a list of them."""
    if isinstance(value, OrderParameters):
        return value
    if not isinstance(value, Sequence) or not value or not all(isinstance(state, OrderParameters) for state in value):
        raise InputError(
            f"{name} = {shown(value)} is not allowed; give OrderParameters, or a list of them, one for each pair of runs"
        )
    return list(value)


def which_examples(name: str, value: Any) -> str:
    """Which examples copies meet."""
    if not isinstance(value, str) or value not in EXAMPLES:
        raise InputError(unknown(name, value, EXAMPLES))
    return value


@checked(start=one_or_more, other=one_or_more, at=number, examples=which_examples)
def branch(
    experiment: Experiment,
    start: OrderParameters | Sequence[OrderParameters] | None = None,
    *,
    at: float = 0.0,
    examples: str = "independent",
    other: OrderParameters | Sequence[OrderParameters] | None = None,
    dimension: int | None = None,
    runs: int = 32,
    first: int = 0,
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    space: str | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    rtol: float | None = None,
    averages: str | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> Pair:
    """Branch a network at time `at`: two copies that go on from the same weights, and what they have in common.

    Within block b, with the coefficients of the law of one weight, dw = - (A w + G u) dt + N^(1/2) dB, of each copy,
    X_kl = w1_k . w2_l / D obeys::

        dX/dt = - (A1 X + G1 M2') - (A2 X' + G2 M1')' + phi_b N12,      N12 = eta^2 sum_d p_d s_db^2 E_d[F1_k F2_l]

    with N12 = 0 for examples of their own, which solves to X = M1 T^+ M2' + U1 X_perp(k) U2', dU/dt = - A U; reordered examples add
    a double integral over both times at which one is met (Frankle, Dziugaite, Roy & Carbin 2020, 1912.05671, is the experiment).

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` as its training.
    start : OrderParameters or sequence of OrderParameters, optional
        At t = 0; of a simulation one for all pairs, or one each, by default random ones, `experiment.initial(dimension, seed, i)`.
    at : float, default 0.0
        The time k at which the copies part, in examples per input dimension, from 0 to below the duration.
    examples : {"independent", "same", "reordered"}, default "independent"
        Which examples the copies meet from then on: their own, the same ones, or those of each stage in another order within it
        (simulated in weight space).
    other : OrderParameters or sequence of OrderParameters, optional
        The start of the second copy at t = 0, of weights of its own that share nothing with the first copy's but what both know of
        the references; then `at` is 0.
    dimension : int, optional
        D of a simulation, at least 2K + P inputs in every block; by default theory.
    runs : int, default 32
        Pairs of runs of a simulation.
    first : int, default 0
        Number of the first pair.
    seed : int or SeedSequence, default 0
        Pair i uses the generator of SeedSequence(seed, spawn_key=(i,)).
    numerics : Numerics, optional
        How; the keywords from `space` to `workers` are shortcuts for single settings of it.
    space : str, optional
        See `Numerics`; pairs have no diffusion.
    times : int or array_like of float, optional
        Output times, by default 51 from the branching to the end; of given ones those from the branching on.
    spacing : str, optional
        See `Numerics`.
    rtol : float, optional
        By default 1e-6.
    averages : str, optional
        See `Numerics`.
    points : int, optional
        Of the nets that average, by default 1024.
    scrambling : int, optional
        See `Numerics`.
    workers : int, optional
        Threads of a simulation.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    Pair
        Both copies and X at the output times; `interpolate`, `barrier`, `midpoint`, `match`.

    Raises
    ------
    InputError
        For batch learning, a branching after the end, and starts that do not fit.

    Examples
    --------
    >>> from curriculode import branch, load
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 2.0})
    >>> pair = branch(experiment, experiment.initial(dimension=1000), at=1.0, points=128, times=3)
    >>> pair.X.shape, bool(pair.X[-1].trace() < pair.Q[-1, 0].trace())
    ((3, 4, 4), True)
    >>> branch(experiment, at=1.0, dimension=100, runs=4, points=128, times=3).barrier().shape
    (4, 3)
    """
    settings = numerics_with(
        numerics,
        space=space,
        times=times,
        spacing=spacing,
        rtol=rtol,
        averages=averages,
        points=points,
        scrambling=scrambling,
        workers=workers,
    )
    _check_training(experiment)
    at = checked_at(at, experiment.protocol.duration)
    if other is not None and at > 0:
        raise InputError(f"at = {at:g} goes with one start; copies from two starts part at t = 0: leave `at` or `other` out")
    if dimension is None:
        if not isinstance(start, OrderParameters) or not (other is None or isinstance(other, OrderParameters)):
            raise InputError("theory needs one start, such as experiment.initial(dimension=1000); or give a dimension to simulate")
        duration, begin = experiment.protocol.duration, start
        with progress_of("integrating two copies", progress) as report:
            return pair_theory(experiment, begin, at, examples, other, settings, lambda t: report(min(t / duration, 1.0)))
    setting, members = Setting.of(experiment), range(first, first + runs)
    starts = _each(setting, start, runs) or [experiment.initial(dimension, seed, i) for i in members]
    return pair_simulation(
        experiment, starts, _each(setting, other, runs), at, examples, dimension, members, seed, settings, progress
    )


def _each(setting: Setting, given: OrderParameters | Sequence[OrderParameters] | None, runs: int) -> list[OrderParameters] | None:
    """A start for each pair."""
    if given is None:
        return None
    starts = [given] * runs if isinstance(given, OrderParameters) else list(given)
    if len(starts) != runs:
        raise InputError(f"{len(starts)} starts were given for {runs} pairs; give one start for all, or one for each pair")
    for state in {id(each): each for each in starts}.values():
        setting.check(state)
    return starts


def _check_training(experiment: Experiment) -> None:
    if not isinstance(experiment.training, OnlineSGD):
        words = "batch learning has" if isinstance(experiment.training, BatchSlices) else f"{experiment.training.kind} has"
        raise InputError(f"{words} no copies that part; give an experiment that learns online")


def check_branching(
    experiment: Experiment, branching: Branching, pruning: Pruning | None, dimension: int, numerics: Numerics
) -> None:
    """Raise `InputError` for pairs that cannot be."""
    if pruning is not None:
        raise InputError(
            "a network is pruned or branched; leave one out, or see `ticket_instability` for copies of pruned networks"
        )
    _check_training(experiment)
    branching.check(experiment.protocol.duration)
    setting = Setting.of(experiment)
    setting.blocks.sizes(dimension, 2 * setting.width)
    space_of(numerics.space, branching.examples)
