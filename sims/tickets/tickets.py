"""The verb `tickets`: prune, and train what is kept; by theory, or with a dimension by simulation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curriculode.sims.runs.progress import Told, progress_of
from curriculode.sims.tickets.simulate import ticket_simulation
from curriculode.theory.core.arguments import checked, inside, whole
from curriculode.theory.core.checks import truth
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.pruning import Pruning
from curriculode.theory.tickets.study import TicketStudy
from curriculode.theory.tickets.theory import NODES, ticket_theory
from curriculode.theory.tickets.treatments import checked_treatments

_MOST_NODES = 2**22


def checked_start(name: str, value: Any) -> Any:
    """One start, or a list of them."""
    if isinstance(value, OrderParameters):
        return value
    if not isinstance(value, Sequence) or not value or not all(isinstance(state, OrderParameters) for state in value):
        raise InputError(f"{name} = {shown(value)} is not allowed; give OrderParameters, or a list of them, one for each run")
    return list(value)


@checked(
    start=checked_start,
    treatments=lambda name, value: checked_treatments(value),
    nodes=whole(2, _MOST_NODES),
    mask=inside,
    net=truth,
    signs=truth,
)
def tickets(
    experiment: Experiment,
    pruning: Pruning,
    *,
    start: OrderParameters | Sequence[OrderParameters] | None = None,
    treatments: Sequence[str] = ("ticket", "reinit", "random"),
    dimension: int | None = None,
    runs: int | None = None,
    nodes: int = NODES,
    net: bool | None = None,
    mask: ArrayLike | None = None,
    signs: bool = False,
    seed: int | np.random.SeedSequence = 0,
    numerics: Numerics | None = None,
    times: int | ArrayLike | None = None,
    spacing: str | None = None,
    averages: str | None = None,
    points: int | None = None,
    rtol: float | None = None,
    workers: int | None = None,
    progress: Told = None,
) -> TicketStudy:
    """Train a network, prune it, and train what is kept: by theory as D -> infinity, or at a `dimension` by simulation.

    Coordinate i of block b obeys dw_i = -(A_b w_i + G_b u_i) dt + N_b^(1/2) dB_i, with coefficients that the equations of the order
    parameters compute already. In theory nodes of that law stand for coordinates: they are scored and masked one by one, and
    trained in groups of the same block and pattern of units, at most min(2^K, nodes) a block; a group of n units costs
    O(n^2 (n + P)) a step. In simulation the masks are on the weights themselves: those that are masked neither move nor count.

    Treatments, each from time k = `pruning.rewind` to the end of the protocol on fresh examples: "ticket" (w(k) under the mask),
    "reinit" (fresh weights under it), "random" (w(k) under a random mask of as many in each unit), "fine-tune" (w(T) under the
    mask, the schedule rewound to k; with several rounds learning-rate rewinding, with masks of its own), "untrained" and
    "untrained-signs" (w(0), or the signs of it times a constant, under the mask), "signs" and "magnitudes" (what is left of w(k)
    is that, the rest is drawn anew), "overlaps" (fresh weights with the ticket's Q and M), "supermask" (w(k) and v
    stay; scores of the weights are trained, and each unit keeps those of the largest scores, as many as in the ticket, renewed
    every 0.05 of time).

    Parameters
    ----------
    experiment : Experiment
        Any that learns online.
    pruning : Pruning
        What is kept, and to which time it is rewound.
    start : OrderParameters or sequence of OrderParameters, optional
        Of the dense training, one for all runs or one each; by default random ones in `dimension` inputs (of theory: in `nodes`).
    treatments : sequence of str, default ("ticket", "reinit", "random")
        What is done with what is kept.
    dimension : int, optional
        D of a simulation; by default it is theory.
    runs : int, optional
        Networks of a simulation, by default 32; of theory draws of the nodes, by default 1.
    nodes : int, default 16384
        Coordinates of the theory. Fresh weights begin with M = O(nodes^(-1/2)), as those of a network in as many inputs do: to hold
        such treatments against a simulation take nodes = D, and many runs.
    net : bool, optional
        Whether nodes are a quasi-Monte Carlo net, or random as the inputs of a network are; by default a net for one run.
    mask : array_like of shape (K, coordinates), optional
        A mask in place of the criterion's; coordinates are D or nodes, in the order of blocks and strata.
    signs : bool, default False
        Whether to follow the signs of the weights that are kept: `TicketStudy.sign_changes`. Fine-tuned weights change fewer of
        them than rewound ones, by theory and simulation: nothing here wins by changing signs early (Gadhikar & Burkholz 2024).
    seed : int or SeedSequence, default 0
        Of starts, nodes, masks and runs.
    numerics : Numerics, optional
        How; the keywords from `times` to `workers` are shortcuts for single settings of it.
    times : int or array_like of float, optional
        Output times of the whole protocol, by default 51.
    spacing, averages : str, optional
        See `Numerics`.
    points : int, optional
        Of the nets that average, by default 1024.
    rtol : float, optional
        Of the integrator, by default 1e-6.
    workers : int, optional
        Threads of a simulation.
    progress : bool or callable, optional
        As for `simulate`.

    Returns
    -------
    TicketStudy
        `begins`, `trajectories`, `signal_kept`, `summary()` and `to_frame()`, the same for theory and simulation.

    Raises
    ------
    InputError
        For batch learning, a rewinding after the end, more rounds than weights, masks of another shape, and unknown treatments.

    Examples
    --------
    >>> from curriculode import Pruning, load, tickets
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 2.0})
    >>> start = experiment.initial(dimension=1000)
    >>> study = tickets(experiment, Pruning(keep=0.2), start=start, nodes=1024, points=128, times=3)
    >>> study.begins["ticket"].M.shape, study.signal_kept.shape
    ((4, 2), (4, 2))
    """
    settings = numerics_with(numerics, times=times, spacing=spacing, averages=averages, points=points, rtol=rtol, workers=workers)
    names = tuple(treatments)
    if dimension is not None:
        return ticket_simulation(experiment, pruning, names, start, dimension, runs or 32, seed, mask, settings, progress, signs)
    count = runs or (len(start) if isinstance(start, list) else 1)
    with progress_of(f"pruning {count} draws of nodes", progress) as report:
        return ticket_theory(
            *(experiment, pruning, names, start, count, seed, nodes, mask, count == 1 if net is None else net, settings, report),
            signs=signs,
        )
