"""Two tests of winning units: are they necessary, and are they sufficient? And how many disjoint tickets a network held."""

from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.runs.progress import Told, progress_of
from curriculode.sims.runs.simulate import simulate
from curriculode.theory.core.arguments import checked, inside, whole
from curriculode.theory.core.checks import number_within
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.solve.integrate import integrate
from curriculode.theory.tickets.units import delete_units, keep_units, reinitialise_units, winners

if TYPE_CHECKING:
    import pandas as pd

TESTS = ("delete", "reinitialise", "alone")
_TIMES = 121


def _test(name: str, value: Any) -> str:
    if value not in TESTS:
        raise InputError(unknown(name, value, TESTS))
    return str(value)


@checked(
    test=_test,
    networks=whole(),
    rounds=whole(1, 1000),
    threshold=lambda name, value: number_within(name, value, 0.0, 1.0, "give an error between 0 and 1, such as 0.07"),
    theory=inside,
)
def unit_tickets(
    experiment: Experiment,
    *,
    dimension: int,
    test: str = "delete",
    networks: int = 20,
    rounds: int = 6,
    threshold: float = 0.07,
    seed: int | np.random.SeedSequence = 0,
    theory: bool = False,
    numerics: Numerics | None = None,
    progress: Told = None,
) -> "pd.DataFrame":
    """Find the winning units of a network, take them away at the start, and train again; or train them alone.

    A training has learnt where its classification error at the end is below the threshold. Winners are the units that follow a
    cluster or teacher unit in the end. "delete" and "reinitialise" ask whether they are necessary: the start, without the winners
    or with fresh weights in their place, is trained again on fresh examples, round after round; rounds in a row that learn are
    disjoint tickets that the network held. "alone" asks whether they are sufficient: the winners' initial weights alone (round 1),
    planted in an otherwise fresh network (round 2), and as many units at random alone (round 3).

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    dimension : int
        D.
    test : {"delete", "reinitialise", "alone"}, default "delete"
        Which.
    networks : int, default 20
        Random starts.
    rounds : int, default 6
        After the first training, at most; a network that fails in "delete" is left.
    threshold : float, default 0.07
        Of the classification error at the hardest level.
    seed : int or SeedSequence, default 0
        Of starts and runs.
    theory : bool, default False
        Trajectories of the equations in place of runs in overlap space.
    numerics : Numerics, optional
        How.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    DataFrame
        One row a network and round: network, round (0: the whole network), kind, width, learnt, time (when the error first went
        below the threshold; NaN if never), error, and `winners`, their number. `disjoint_tickets` counts those of "delete".

    Raises
    ------
    InputError
        For batch learning, and arguments out of range.

    Examples
    --------
    >>> from curriculode import load, unit_tickets
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> unit_tickets(experiment, dimension=100, networks=1)["learnt"].tolist()
    [False]
    """
    import pandas as pd

    Setting.of(experiment)
    rows: list[dict[str, Any]] = []
    with progress_of(f"unit tickets of {networks} networks", progress) as report:
        for network in range(networks):
            rows += _network(experiment, network, dimension, test, rounds, threshold, seed, bool(theory), numerics)
            report((network + 1) / networks)
    return pd.DataFrame(rows)


def disjoint_tickets(table: "pd.DataFrame") -> "pd.Series":
    """How many disjoint tickets each network held: trainings in a row that learnt, in a table of `unit_tickets(test="delete")`."""
    ordered = table.sort_values("round").groupby("network")["learnt"]
    return ordered.apply(lambda learnt: int(np.cumprod(learnt.to_numpy(dtype=int)).sum()))


def _network(
    experiment: Experiment,
    network: int,
    dimension: int,
    test: str,
    rounds: int,
    threshold: float,
    seed: int | np.random.SeedSequence,
    theory: bool,
    numerics: Numerics | None,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    settings = (numerics or Numerics()).set()
    settings = settings if settings.times is not None else settings.set(times=_TIMES)

    def train(start: OrderParameters, number: int, kind: str) -> list[int]:
        """The winners of a training, which becomes a row."""
        case = experiment.replace({"student.width": start.width})
        stream = child_seed(seed, 3, network, number)
        if theory:
            course: Any = integrate(case, start, numerics=settings)
            error, last = course.classification_error, course.state()
        else:
            options: Any = {"dimension": dimension, "runs": 1, "seed": stream, "start": start, "numerics": settings}
            course = simulate(case, progress=False, **options)
            error, last = course.classification_error[0], course.state()
        below = np.flatnonzero(error < threshold)
        found = winners(case, last) if np.isfinite(last.Q).all() else []
        rows.append(
            {
                "network": network,
                "round": number,
                "kind": kind,
                "width": start.width,
                "learnt": bool(error[-1] < threshold),
                "time": float(course.t[below[0]]) if below.size else np.nan,
                "error": float(error[-1]),
                "winners": len(found),
            }
        )
        return found

    start = experiment.initial(dimension, seed, network)
    found = train(start, 0, "whole")
    if test == "alone":
        if not found:
            return rows
        others = [k for k in range(start.width) if k not in found]
        train(keep_units(start, found), 1, "winners alone")
        stream = child_seed(seed, 4, network)
        train(reinitialise_units(experiment, start, others, dimension=dimension, seed=stream), 2, "winners planted")
        chosen = np.random.default_rng(child_seed(seed, 5, network)).choice(start.width, len(found), replace=False)
        train(keep_units(start, [int(k) for k in np.sort(chosen)]), 3, "random units alone")
        return rows
    for number in range(1, rounds + 1):
        if not found or (test == "delete" and (not rows[-1]["learnt"] or len(found) >= start.width)):
            break
        if test == "delete":
            start = delete_units(start, found)
        else:
            stream = child_seed(seed, 4, network, number)
            start = reinitialise_units(experiment, start, found, dimension=dimension, seed=stream)
        found = train(start, number, "winners deleted" if test == "delete" else "winners reinitialised")
    return rows
