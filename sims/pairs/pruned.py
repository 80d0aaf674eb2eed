"""Stability of sub-networks to the noise of SGD: two copies of a pruned network, from the time to which it is rewound.

By theory the coordinates of each pattern of a mask go on as in `theory/dynamics/groups.py`, whichever copy they are of, and what
examples of its own add to a copy is not shared: X = Q - sum_g phi_g Xi_g.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.pairs.instability import branching_times, last_of_pair
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.spaces.model import Model
from curriculode.sims.tickets.trainer import Schedule, Stopped, WeightTrainer
from curriculode.theory.core.arguments import checked, inside, whole
from curriculode.theory.core.checks import number
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.branching import checked_at
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import child_seed
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.pairs.record import STABLE, Pair
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.solve.way import Way
from curriculode.theory.tickets.masks import best, scores
from curriculode.theory.tickets.study import DENSE
from curriculode.theory.tickets.trainer import NodeTrainer
from curriculode.theory.tickets.treatments import Copies, Trainer, random_mask

if TYPE_CHECKING:
    import pandas as pd

KEPT = (DENSE, "ticket", "random", "reinit")


def _treatments(name: str, value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not given:
        raise InputError(f"{name} = {shown(value)} is not allowed; give a list of {', '.join(KEPT)}")
    for each in given:
        if not isinstance(each, str) or each not in KEPT:
            raise InputError(unknown("treatment", each, KEPT))
    return tuple(dict.fromkeys(given))


@checked(at=branching_times, treatments=_treatments, nodes=whole(16))
def ticket_instability(
    experiment: Experiment,
    pruning: Pruning,
    *,
    at: ArrayLike,
    starts: int = 12,
    dimension: int | None = None,
    nodes: int = 1000,
    treatments: Sequence[str] = ("dense", "ticket", "random"),
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    points: int | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> "pd.DataFrame":
    """Measure how stable pruned networks are to the noise of SGD: both copies of each have its mask, and examples of their own.

    A network is trained, pruned by what it ends with, and rewound to k; from there two copies are trained to the end. Frankle,
    Dziugaite, Roy & Carbin 2020 (1912.05671) find that tickets win where they are stable; see `winning_and_stable`. With Xi_g the
    noise that training adds to a coordinate whose units are those of pattern g, and phi_g their share, theory is::

        X = Q - sum_g phi_g Xi_g

    It has no noise where M is of order D^(-1/2), as under random masks and of fresh weights (see `instability`): there it calls
    networks stable that are not. A ticket has a head start, M of order 1.

    Parameters
    ----------
    experiment : Experiment
        With `OnlineSGD` as its training.
    pruning : Pruning
        What is kept, in one round; its `rewind` is taken from `at`.
    at : array_like of float
        Times k to which weights are rewound, and at which the copies part.
    starts : int, default 12
        Networks.
    dimension : int, optional
        D of a simulation with real masks; by default theory.
    nodes : int, default 1000
        Of theory: random coordinates of a network, as many as it would have inputs.
    treatments : sequence of str, default ("dense", "ticket", "random")
        "dense" (nothing pruned), "ticket", "random" (a random mask that leaves each unit as many) or "reinit" (fresh weights).
    seed : int or SeedSequence, default 0
        Of starts and runs.
    numerics : Numerics, optional
        How; the other keywords are shortcuts for single settings of it.
    points : int, optional
        Of the nets that average, by default 1024.
    workers : int, optional
        Threads.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    DataFrame
        One row a treatment, time and network: treatment, at, run, barrier, midpoint, error, difference.

    Raises
    ------
    InputError
        For batch learning, several rounds, and times outside the protocol.

    Examples
    --------
    >>> from curriculode import Pruning, load, ticket_instability
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 1.0})
    >>> len(ticket_instability(experiment, Pruning(keep=0.3), at=[0.0, 0.5], starts=2, dimension=80, points=64))
    12
    """
    import pandas as pd

    numerics = numerics_with(numerics, points=points, workers=workers)
    numerics = numerics.set(points=numerics.points or DEFAULT_POINTS, space="weight")
    if pruning.rounds > 1:
        raise InputError(f"rounds = {pruning.rounds} is not allowed; the stability of tickets is that of one round")
    setting, names = Setting.of(experiment), _treatments("treatments", treatments)
    duration, times = experiment.protocol.duration, np.asarray(at)
    for k in times:
        checked_at(float(k), duration)
    model = None if dimension is None else Model.of(setting, dimension)
    pruning.check(duration, nodes if model is None else model.dimension)
    jobs = [(float(k), i) for k in times for i in range(starts)]
    done: list[int] = []

    def one(job: tuple[float, int], stop: threading.Event) -> dict[str, Copies | None] | None:
        k, i = job
        rng = np.random.default_rng(child_seed(seed, i))
        start = experiment.initial(nodes if model is None else model.dimension, seed, i)
        trainer: Trainer
        if model is None:
            way = Way.of(setting, numerics.set(scrambling=numerics.scrambling + i))
            end, scale = np.array([duration]), setting.weight_scale
            trainer = NodeTrainer(way, start, end, k, scale, nodes, 0, rng, net=False, even=False)
        else:
            schedule = Schedule(setting.stages, np.array([duration]), k, model.dimension)
            trainer = WeightTrainer(model, start, schedule, setting.weight_scale, rng, stop)
        try:
            found = None if stop.is_set() else _copies(trainer, pruning, names, rng)
        except Stopped:
            return None
        done.append(1)
        return found

    what = f"pruning and training {len(jobs)} pairs"
    results, interrupted = spread(what, one, jobs, worker_count(numerics.workers), lambda: len(done) / len(jobs), progress)
    if interrupted:
        raise KeyboardInterrupt
    nothing = _nothing(setting.shape)
    parts = []
    for name in names:
        for k in times:
            found = [
                result[name] or nothing for job, result in zip(jobs, results, strict=True) if job[0] == k and result is not None
            ]
            Q, M, v, X = (np.array([state[j] for state in found])[:, None] for j in range(4))
            one_block = X.shape[2] == 1
            arrays = {"Q": Q[:, :, :, 0] if one_block else Q, "M": M[:, :, :, 0] if one_block else M, "v": v}
            arrays |= {"X": X[:, :, 0] if one_block else X, "t": np.array([duration]), "run": np.arange(len(found))}
            statistics = {"at": float(k), "examples": "independent", "starts": 1}
            pair = Pair(experiment, numerics, arrays, "pruned", seed=seed, statistics=statistics)
            labels = {"treatment": name, "at": float(k), "run": np.arange(len(found))}
            parts.append(pd.DataFrame({**labels, **last_of_pair(pair, None, None)}))
    return pd.concat(parts, ignore_index=True)


def _nothing(shape: tuple[int, int, int]) -> Copies:
    """What is known of copies that diverged."""
    blocks, K, P = shape
    return Copies(*(np.full(size, np.nan) for size in ((2, blocks, K, K), (2, blocks, K, P), (2, K), (blocks, K, K))))


def _copies(trainer: Trainer, pruning: Pruning, names: tuple[str, ...], rng: np.random.Generator) -> dict[str, Copies | None]:
    """Both copies of each treatment at the end."""
    before = trainer.dense()
    if before.course.failure is not None:
        return dict.fromkeys(names)
    (w0, wk, wT), (_, vk, vT) = before.weights, before.readouts
    share, whole_mask = trainer.coordinates.share, np.ones(w0.shape, bool)
    mask = best(scores(pruning.criterion, w0, wT, rng), whole_mask, share, pruning.keep, pruning.scope)
    v = vk if pruning.readout == "rewound" else vT
    found: dict[str, Copies | None] = {}
    for name in names:
        kept = whole_mask if name == "dense" else random_mask(mask, share, rng) if name == "random" else mask
        W = kept * (trainer.weight_scale * rng.standard_normal(wk.shape) if name == "reinit" else wk)
        found[name] = trainer.copies(W, kept, v)
    return found


@checked(table=inside, margin=number)
def winning_and_stable(table: "pd.DataFrame", margin: float = STABLE) -> "pd.DataFrame":
    """Count, network by network, which sub-networks win and which are stable.

    Parameters
    ----------
    table : DataFrame
        Of `ticket_instability`, "dense" among its treatments.
    margin : float, default 0.02
        A sub-network wins where its error is at most so much above that of the dense network that was rewound to the same time.

    Returns
    -------
    DataFrame
        One row a treatment and time, and one of all times together (`at` NaN): how many `networks`; how many of them are `both`,
        win but are not stable (`wins`), are `stable` but do not win, or `neither`; the correlation `phi` of the two (NaN where all
        are alike), and `p_value` of Fisher's exact test that they know nothing of each other.

    Raises
    ------
    InputError
        For another table.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(name, 0.0, run, barrier, error) for run in range(4) for name, barrier, error in
    ...         (("dense", 0.0, 0.1), ("ticket", 0.1 * (run % 2), 0.1 + 0.1 * (run % 2)))]
    >>> table = pd.DataFrame(rows, columns=["treatment", "at", "run", "barrier", "error"])
    >>> counted = winning_and_stable(table)
    >>> counted["both"].tolist(), counted["neither"].tolist(), counted["phi"].tolist()
    ([2, 2], [2, 2], [1.0, 1.0])
    """
    import pandas as pd
    from scipy.stats import fisher_exact

    needed = ("treatment", "at", "run", "barrier", "error")
    if not isinstance(table, pd.DataFrame) or any(name not in table for name in needed) or DENSE not in set(table["treatment"]):
        raise InputError(f"table is not what ticket_instability returns; it needs {', '.join(needed)}, and the treatment 'dense'")
    dense = table[table["treatment"] == DENSE].set_index(["at", "run"])["error"]
    others = table[(table["treatment"] != DENSE) & np.isfinite(table["barrier"])]
    others = others.join(dense.rename("dense"), on=["at", "run"])
    others = others[np.isfinite(others["dense"])]
    rows = []
    for name, part in others.groupby("treatment", sort=False):
        for at in [*sorted(part["at"].unique()), np.nan]:
            here = part if np.isnan(at) else part[part["at"] == at]
            wins, stable = here["error"] <= here["dense"] + margin, here["barrier"] < STABLE
            counts = [int((a & b).sum()) for a in (wins, ~wins) for b in (stable, ~stable)]
            square = np.array(counts).reshape(2, 2)
            sides = np.prod(square.sum(axis=0), dtype=float) * np.prod(square.sum(axis=1), dtype=float)
            phi = (counts[0] * counts[3] - counts[1] * counts[2]) / np.sqrt(sides) if sides > 0 else np.nan
            told = dict(zip(("both", "wins", "stable", "neither"), (counts[0], counts[1], counts[2], counts[3]), strict=True))
            p = float(fisher_exact(square).pvalue)
            rows.append({"treatment": name, "at": at, "networks": len(here), **told, "phi": phi, "p_value": p})
    return pd.DataFrame(rows)
