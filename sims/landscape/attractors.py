"""The verb `attractors`: where students end, and how often in each order; by theory, or from runs at finite D."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.runs.progress import Told, progress_of
from curriculode.sims.runs.simulate import simulate_setting
from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import number_within, text, whole_number
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.protocol import ORDERS
from curriculode.theory.landscape.ends import End, Ends, default_times, held_on, paired
from curriculode.theory.landscape.fixed_point import LONGEST
from curriculode.theory.landscape.kinds import kinds
from curriculode.theory.landscape.records import NOWHERE, Attractors
from curriculode.theory.results.registered import scalar_names

POINTS = 256
SPACES = ("overlap", "weight", "diffusion")
_TOGETHER = 32  # runs at finite D that are simulated at once


def starts_given(name: str, value: Any) -> Any:
    """A number of random starts, or the starts themselves."""
    if isinstance(value, OrderParameters):
        return [value]
    if isinstance(value, Sequence) and value and all(isinstance(state, OrderParameters) for state in value):
        return list(value)
    if isinstance(value, (Sequence, np.ndarray, dict, str)):
        raise InputError(f"{name} = {shown(value)} is not allowed; give a number of starts, or a list of OrderParameters")
    return whole_number(name, value, 1, 10**6)


def _orders(name: str, value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names or not all(isinstance(each, str) for each in names):
        raise InputError(f"{name} = {shown(value)} is not allowed; give a list of orders, such as ['curriculum', 'random']")
    for each in names:
        if each not in ORDERS:
            raise InputError(unknown("order", each, list(ORDERS)))
    if len(set(names)) < len(names):
        raise InputError(f"{name} = {shown(value)} names an order twice; name each once")
    return list(names)


def _time(name: str, value: Any) -> float:
    return number_within(name, value, 0.0, 1e9, "give a time >= 0")


def _space(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in SPACES:
        raise InputError(
            unknown("space", value, list(SPACES))
            if isinstance(value, str)
            else f"space = {shown(value)} is not allowed; allowed: {', '.join(SPACES)}"
        )
    return str(value)


@checked(starts=starts_given, orders=_orders, until=_time, longest=_time, space=_space, level=text, quantity=text)
def attractors(
    experiment: Experiment,
    starts: int | OrderParameters | Sequence[OrderParameters] = 100,
    *,
    orders: Sequence[str] | str | None = None,
    dimension: int = 1000,
    space: str | None = None,
    level: str | None = None,
    until: float | None = None,
    longest: float = LONGEST,
    quantity: str | None = None,
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    times: int | ArrayLike | None = None,
    averages: str | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    rtol: float | None = None,
    noise_terms: bool | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> Attractors:
    """Find where students end, how often in each order, and whether the gap between orders is a lottery or speed.

    From every start the student goes through the protocol in each order, and is then held on one level until it rests: by the
    equations, or in runs of SGD at a dimension, which the equations take over at the end. Ends are of one kind where they are
    the same up to permutations of units and the task's symmetries; each kind has its error, its spectrum and its odds. The gap
    between two orders is the sum of what pairs from one start make that end in different attractors (the lottery) and in the
    same (speed).

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    starts : int or sequence of OrderParameters, default 100
        How many random starts in `dimension` inputs, or the starts themselves.
    orders : sequence of str, optional
        By default curriculum, random and hard-only; with one level, or a plan, the experiment's own.
    dimension : int, default 1000
        D of random starts, and of runs.
    space : str, optional
        By default theory. "overlap", "weight" or "diffusion": runs at finite D, one from each start.
    level : str, optional
        The level that the student is held on after the protocol, by default the hardest.
    until : float, optional
        Time up to which the gap is followed, and runs go; by default ten times the duration.
    longest : float, default 5000.0
        Time, from there, after which the equations are followed no more.
    quantity : str, optional
        The error whose gap is told, by default the classification error where the task has one.
    seed : int or SeedSequence, default 0
        Of starts and runs.
    numerics : Numerics, optional
        How; the keywords from `times` to `workers` are shortcuts for single settings of it.
    times : int or array_like of float, optional
        By default 21: even through the protocol, then in equal ratios.
    averages, points, scrambling, rtol, noise_terms : optional
        See `Numerics`; nets have 256 points by default, whatever the accuracy.
    workers : int, optional
        Threads of runs at finite D. The theory has one: ODEPACK serves one at a time. `sweep(rest=True)` has processes.
    progress : bool or callable, optional
        As for `simulate`. Ctrl-C keeps the starts that were finished.

    Returns
    -------
    Attractors
        `.odds()`, `.gap_split()`, `.sentence()`, `.to_frame()`, `.plot()`.

    Raises
    ------
    InputError
        For batch learning, unknown orders, levels and quantities, and times before the protocol's end.

    Examples
    --------
    >>> from curriculode import attractors, load
    >>> experiment = load("xor-curriculum").replace({"training.weight_decay": 0.1, "protocol.duration": 5.0, "student.width": 2})
    >>> found = attractors(experiment, 2, orders=["curriculum", "random"], dimension=200, points=64, times=[0, 5, 50])
    >>> found.end.shape, found.gap_split().columns[0]
    ((2, 2), 't')
    """
    settings = numerics_with(
        numerics,
        times=times,
        averages=averages,
        points=points,
        scrambling=scrambling,
        rtol=rtol,
        noise_terms=noise_terms,
        workers=workers,
    )
    settings = settings.set(points=settings.points or POINTS, space=space or settings.space, estimate_error=False)
    protocol = experiment.protocol
    if orders is None:
        orders = (
            [protocol.order] if len(protocol.levels) == 1 or protocol.order == "stages" else ["curriculum", "random", "hard-only"]
        )
    level = protocol.level(level).name
    names = scalar_names(experiment.task)
    quantity = (
        ("classification_error" if "classification_error" in names else "generalization_error") if quantity is None else quantity
    )
    if quantity not in names:
        raise InputError(unknown("quantity", quantity, names))
    end_of_protocol = protocol.duration
    until = 10.0 * end_of_protocol if until is None else until
    if until < end_of_protocol:
        raise InputError(f"until = {until:g} is before the protocol's end at t = {end_of_protocol:g}; give that or later")
    held = [held_on(experiment, order, until, level) for order in orders]
    given = settings.times
    t = (
        default_times(end_of_protocol, until, given or 21)
        if given is None or isinstance(given, int)
        else settings.output_times(until, 21)
    )
    ways = [Ends(each, level, settings, quantity, longest) for each in held]
    begins = [experiment.initial(dimension, seed, i) for i in range(starts)] if isinstance(starts, int) else list(starts)  # type: ignore[arg-type]
    for start in begins:
        ways[0].setting.check(start)
    done: list[list[End]] = []
    interrupted = False
    by = "theory" if space is None else space
    with progress_of(f"ends of {len(begins)} starts", progress) as report:
        try:
            if space is None:
                for i, start in enumerate(begins):
                    done.append([way.of_theory(start, t) for way in ways])
                    report((i + 1) / len(begins))
            else:
                t = _runs(ways, begins, t, dimension, seed, settings, report, done)
        except KeyboardInterrupt:
            if not done:
                raise
            interrupted = True
    return _record(
        experiment, settings, list(orders), level, quantity, t, ways, done, by, seed, dimension, len(begins), interrupted
    )


def _runs(
    ways: list[Ends],
    begins: list[OrderParameters],
    t: np.ndarray,
    dimension: int,
    seed: int | np.random.SeedSequence,
    settings: Numerics,
    report: Callable[[float], None],
    done: list[list[End]],
) -> np.ndarray:
    """Add the ends of runs to `done`, some starts at a time in all orders; returns the recorded times, whole numbers of steps."""
    for first in range(0, len(begins), _TOGETHER):
        members = range(first, min(first + _TOGETHER, len(begins)))
        together = []
        for n, way in enumerate(ways):

            def advance(fraction: float, n: int = n, members: range = members) -> None:
                report((members[0] + len(members) * (n + fraction) / len(ways)) / len(begins))

            ensemble = simulate_setting(
                way.experiment, way.setting, dimension, members, seed, [begins[i] for i in members], settings.set(times=t), advance
            )
            if ensemble.interrupted:
                raise KeyboardInterrupt
            together.append(ensemble)
        recorded = together[0].t
        for i in range(len(members)):
            done.append(
                [way.of_states(each.Q[i], each.M[i], each.v[i], recorded) for way, each in zip(ways, together, strict=True)]
            )
    return recorded


def _record(
    experiment: Experiment,
    settings: Numerics,
    orders: list[str],
    level: str,
    quantity: str,
    t: np.ndarray,
    ways: list[Ends],
    done: list[list[End]],
    by: str,
    seed: int | np.random.SeedSequence,
    dimension: int,
    wanted: int,
    interrupted: bool,
) -> Attractors:
    """The record of all ends."""
    values, final = paired(done, t.size)
    flat = [end for row in done for end in row]
    number = kinds([end.invariants for end in flat])
    end = number.reshape(len(done), len(orders)).T
    count = int(number.max(initial=NOWHERE)) + 1
    examples = []
    for kind in range(count):
        i = int(np.flatnonzero(number == kind)[0])
        examples.append(ways[i % len(ways)].record(flat[i]))
    K, shape = experiment.student.width, (flat[0].rest.state.Q.shape, flat[0].rest.state.M.shape)
    arrays: dict[str, Any] = {
        "t": t,
        "values": values,
        "final": final,
        "end": np.ascontiguousarray(end),
        "Q": np.array([each.Q for each in examples]).reshape(count, *shape[0]),
        "M": np.array([each.M for each in examples]).reshape(count, *shape[1]),
        "v": np.array([each.v for each in examples]).reshape(count, K),
        "error": np.array([final.T.ravel()[number == kind].mean() for kind in range(count)]),
        "loss": np.array([each.errors(level)[0] for each in examples], dtype=float),
        "leading": np.array([each.leading for each in examples], dtype=float),
    }
    if "covered_clusters" in experiment.task.observable_names:
        arrays["covered_clusters"] = np.array([int(each.covered_clusters) for each in examples], dtype=np.int64)
    rested = float((number != NOWHERE).mean())
    status = f"{len(done)} of {wanted} starts, {count} attractors; {100 * rested:.1f} % of the ends are at rest"
    return Attractors(
        experiment,
        settings,
        arrays,
        status + ("; interrupted" if interrupted else ""),
        success=not interrupted,
        seed=seed,
        dimension=dimension,
        statistics={
            "orders": orders,
            "quantity": quantity,
            "level": level,
            "protocol": experiment.protocol.duration,
            "statuses": [each.status for each in examples],
            "by": by,
            "interrupted": interrupted,
        },
    )
