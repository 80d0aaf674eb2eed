"""The verb `optimize`: the best order of the same examples, the best rates, or both; judged on starts it was not made for."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from curriculode.theory.control.objective import Objective
from curriculode.theory.control.passes import paths
from curriculode.theory.control.records import Optimum
from curriculode.theory.control.schedule import Schedule, nearest_pure
from curriculode.theory.control.search import Search
from curriculode.theory.control.worth import RTOL, checked_starts
from curriculode.theory.core.arguments import checked, inside, whole
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import function, number_within, plain, truth
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.optimization import OPTIMUM, ORDERS, PURE
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.solve.integrate import integrate

CONTROLS = ("order", "learning_rate")
_TIMES = 101  # of the trapezoidal rule, where the mean over time counts


@checked(
    control=inside,
    stages=whole(1, 10**4),
    starts=inside,
    test_starts=inside,
    objective=inside,
    average=truth,
    bounds=inside,
    margin=lambda name, value: number_within(name, value, 0.0, 10.0, "give a number of at least 0, such as 0.05"),
    iterations=whole(1, 10**5),
    tolerance=lambda name, value: number_within(name, value, 1e-15, 1.0, "give a number between 1e-15 and 1, such as 1e-8"),
    progress=function,
)
def optimize(
    experiment: Experiment,
    control: Sequence[str] | str = ("order",),
    *,
    starts: OrderParameters | Sequence[OrderParameters],
    stages: int = 50,
    test_starts: OrderParameters | Sequence[OrderParameters] | None = None,
    objective: Any = "generalization_error",
    average: bool = False,
    bounds: Sequence[float] | None = None,
    margin: float = 0.05,
    iterations: int = 200,
    tolerance: float = 1e-8,
    numerics: Numerics | None = None,
    averages: str | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    rtol: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Optimum:
    """Find the best order of the examples, learning rate, or both, in stages of constant level probabilities and rate.

    Every order sees the same examples: the sum over stages of p_d times their length is the share of level d times the duration.
    Gradients are exact, by one backward pass (`worth`); the searches (SLSQP, for rates alone L-BFGS-B) begin with every classical
    order, and the best of them is kept. A step into divergence is refused. Ctrl-C keeps the best so far.

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    control : sequence of str or str, default ("order",)
        What is varied: "order", "learning_rate", or both.
    starts : OrderParameters or sequence of OrderParameters
        The mean over them is made small.
    stages : int, default 50
        Equal stages, to which the ends of the classical orders' own are added, so that each of them can be found; for rates alone
        those of the order.
    test_starts : OrderParameters or sequence of OrderParameters, optional
        Starts that the result is judged by, beside the classical orders; by default those that it was optimised on.
    objective : str or dict, default "generalization_error"
        As for `worth`.
    average : bool, default False
        Whether the mean over the protocol counts, and not the end.
    bounds : pair of float, optional
        Of the rates, > 0; by default a thousandth of the experiment's own and ten times it.
    margin : float, default 0.05
        Rates must be allowed to be larger by this part without divergence.
    iterations : int, default 200
        Of each search, at most.
    tolerance : float, default 1e-8
        Relative change of the objective at which a search ends.
    numerics : Numerics, optional
        How; the other keywords are shortcuts for single settings of it.
    averages, points, scrambling : optional
        See `Numerics`; nets have 1024 points by default.
    rtol : float, optional
        Of the objective, by the length of the steps: by default 1e-5; each start has steps of its own, shortened where larger
        rates make the equations stiffer. What is found is judged at the tolerance of `integrate`.
    progress : callable, optional
        Called with the finished fraction, each search counted in full.

    Returns
    -------
    Optimum
        `.experiment` with its order "stages", `.value`, `.to_frame()` beside the classical orders and the nearest pure stages with
        paired errors, `.stages()`, `.bang_bang()`, `.best_order`.

    Raises
    ------
    InputError
        For batch learning, unknown controls and objectives, and starts from which all orders diverge.

    Examples
    --------
    >>> from curriculode import load, optimize
    >>> experiment = load("perceptron-curriculum").replace({"protocol.duration": 4.0})
    >>> start = experiment.initial(dimension=1000)
    >>> best = optimize(experiment, ["order"], stages=4, starts=start, objective="classification_error", iterations=20)
    >>> best.experiment.protocol.order, bool(best.value <= best.to_frame()["value"].min())
    ('stages', True)
    """
    settings = numerics_with(numerics, averages=averages, points=points, scrambling=scrambling, rtol=rtol)
    chosen = _controls(control)
    given = checked_starts("starts", starts)
    judges = given if test_starts is None else checked_starts("test_starts", test_starts)
    setting = Setting.of(experiment)
    for each in judges:
        setting.check(each)
    wanted = Objective.of(experiment, objective, average)
    limits = rates_within(bounds, setting.rates.eta)
    begins = _beginnings(experiment, chosen, stages)
    allowed = settings.rtol or RTOL
    interrupted, found, done = False, dict[str, tuple[float, bool]](), 0
    search: Search | None = None
    with one_blas_thread():
        along = paths(setting, wanted, given, settings, list(begins.values()), allowed)

        def watch() -> None:
            if progress is not None and search is not None:
                most = len(begins) * iterations * len(along)
                progress(min(0.9, 0.9 * (done * iterations + search.evaluations) * len(along) / most))

        search = Search(along, "order" in chosen, "learning_rate" in chosen, limits, margin, allowed, watch)
        try:
            for name, begin in begins.items():
                search.evaluations = 0
                found[name] = search.run(begin, iterations, tolerance)
                done += 1
        except KeyboardInterrupt:
            interrupted = True
        if search.best is None:
            if interrupted:
                raise KeyboardInterrupt
            raise InputError("the equations diverge in every order; give a smaller learning_rate or more weight_decay")
    best, rated = (
        search.best,
        "learning_rate" in chosen or any(stage.learning_rate is not None for stage in experiment.protocol.plan),
    )
    optimal = best.written(experiment, rated)
    beside = {OPTIMUM: optimal, **{order: experiment.replace({"protocol.order": order}) for order in ORDERS}}
    if "order" in chosen:
        beside[PURE] = nearest_pure(best)[0].written(experiment, rated)
    if experiment.protocol.order == "stages":
        beside["given"] = experiment
    values = np.array([[_judged(each, start, wanted, settings) for start in judges] for each in beside.values()])
    if progress is not None:
        progress(1.0)
    mean = {name: value for name, (value, _) in found.items()}
    beginning = min(mean, key=lambda name: mean[name]) if mean else next(iter(begins))
    converged = not interrupted and found[beginning][1]
    ended = f"the best of {len(found)} {'search' if len(found) == 1 else 'searches'}"
    if interrupted:
        ended = "interrupted: the best so far"
    elif not converged:
        ended += f", which had not converged after {iterations} iterations: allow more"
    budget = np.asarray(experiment.protocol.shares) * experiment.protocol.duration
    return Optimum(
        optimal,
        settings,
        {
            "t": 0.5 * (best.edges[1:] + best.edges[:-1]),
            "length": best.lengths,
            "probability": best.probability.copy(),
            "learning_rate": best.eta.copy(),
            "values": values,
            "history": np.array(search.history),
        },
        f"{ended}; objective {search.value:.6g} over {len(given)} starts",
        success=not interrupted,
        statistics={
            "protocols": list(beside),
            "objective": objective,
            "average": average,
            "control": list(chosen),
            "tested": test_starts is not None,
            "optimized_value": search.value,
            "beginning": beginning,
            "values_of_beginnings": mean,
            "converged": {name: ended for name, (_, ended) in found.items()},
            "promise": search.promise(),
            "evaluations": sum(path.evaluations for path in along),
            "budget_error": float(np.abs(best.budget - budget).max()) if "order" in chosen else 0.0,
            "interrupted": interrupted,
            "rates_written": rated,
        },
    )


def _controls(control: Any) -> tuple[str, ...]:
    names = [control] if isinstance(control, str) else plain(control)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"control = {shown(control)} is not allowed; give names out of {', '.join(CONTROLS)}, such as ['order']")
    for name in names:
        if name not in CONTROLS:
            raise InputError(unknown("control", name, list(CONTROLS)))
    return tuple(dict.fromkeys(names))


def rates_within(bounds: Any, eta: float) -> tuple[float, float]:
    """The least and the largest rate that are allowed, by default a thousandth of eta and ten times it."""
    pair = [1e-3 * eta, 10.0 * eta] if bounds is None else plain(bounds)
    fit = isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in pair)
    if not fit or not 0.0 < pair[0] < pair[1] < float("inf"):
        raise InputError(f"bounds = {shown(pair)} are not allowed; give the least and the largest rate, both greater than 0")
    return float(pair[0]), float(pair[1])


def _beginnings(experiment: Experiment, control: tuple[str, ...], stages: int) -> dict[str, Schedule]:
    """Where searches begin: the classical orders on equal stages; for rates alone the experiment's own order."""
    own = Schedule.of(Setting.of(experiment))
    if "order" not in control:
        return {experiment.protocol.order: own.finer(stages)}
    orders = ["curriculum", "random", "anti-curriculum"]
    begins = {order: Schedule.of(Setting.of(experiment.replace({"protocol.order": order}))) for order in orders}
    # With their own ends, so that none of them is beyond the search.
    edges = begins["random"].finer(stages).edges
    for order in orders:
        far = np.abs(begins[order].edges[:, None] - edges).min(axis=1) > 1e-9 * edges[-1]
        edges = np.sort(np.concatenate([edges, begins[order].edges[far]]))
    begins = {order: begin.onto(edges) for order, begin in begins.items()}
    if experiment.protocol.order == "stages":
        budget = np.asarray(experiment.protocol.shares) * experiment.protocol.duration
        if np.allclose(own.budget, budget, rtol=0.0, atol=1e-9 * own.edges[-1]):
            begins["given"] = own.onto(edges)
    return begins


def _judged(experiment: Experiment, start: OrderParameters, wanted: Objective, numerics: Numerics) -> float:
    """The objective of an experiment from a start, integrated under error control; infinite where it diverges."""
    T = experiment.protocol.duration
    times = tuple(np.linspace(0.0, T, _TIMES).tolist()) if wanted.averaged else (T,)
    settings = {name: getattr(numerics, name) for name in ("averages", "scrambling", "noise_terms")}
    exact = Numerics(times=times, estimate_error=False, points=numerics.points or DEFAULT_POINTS, **settings)
    trajectory = integrate(experiment, start, numerics=exact)
    return wanted.measured(trajectory) if trajectory.success else float("inf")
