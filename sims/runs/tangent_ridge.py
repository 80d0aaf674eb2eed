"""Ridge regression in the tangent space at finite D: many runs, on all cores, each fixed by its seed alone."""

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.spaces.model import support_of
from curriculode.sims.spaces.tangent_ridge import check_size, draw_examples, fit, seen_by
from curriculode.sims.spaces.weight_space import place
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters, child_seed
from curriculode.theory.describe.tangent import TangentRidge
from curriculode.theory.results.states import Ensemble
from curriculode.theory.solve.tangent_ridge import strengths_of
from curriculode.theory.tangent.ridge import Strengths
from curriculode.theory.tangent.space import TangentSpace
from curriculode.theory.tasks.strata import checked_strata

_LARGEST = 2e9  # bytes of the features of a run


def minimize_tangent(
    experiment: Experiment,
    dimension: int,
    members: range,
    seed: int | np.random.SeedSequence,
    starts: Sequence[OrderParameters],
    numerics: Numerics,
    progress: Told = None,
) -> Ensemble:
    """`minimize` of `TangentRidge`, from the start of each run; examples of level k in run i come from the stream (i, k)."""
    training, laws = experiment.training, [experiment.task.example_law(level) for level in experiment.protocol.levels]
    assert isinstance(training, TangentRidge)
    runs, workers = len(members), worker_count(numerics.workers)
    first = TangentSpace.of(experiment, starts[0])
    sizes = first.blocks.sizes(dimension, experiment.student.width)
    D, edges = int(sizes.sum()), np.concatenate([[0], np.cumsum(sizes)])
    alphas = training.numbers(experiment.protocol.duration)
    # Of each level the nearest whole numbers, such that more examples contain the fewer.
    counts = np.rint(np.outer(alphas * D, first.shares)).astype(int)
    check_size(D, experiment.student.width, int(counts[-1].sum()), first.model.first, _LARGEST)
    support = support_of(sizes, checked_strata(experiment.task))
    known: dict[int, np.ndarray] = {}
    for start in {id(each): each for each in starts}.values():
        known[id(start)] = strengths_of(experiment, start)
    done = np.zeros(runs)

    def one(i: int, stop: threading.Event) -> dict[str, Any] | None:
        """The arrays of one run, or None if it was stopped."""
        start = starts[i]
        Q0, M0, v0 = start.blocked()
        W0, U = place(Q0, M0, first.blocks.T, edges, np.random.default_rng(child_seed(seed, members[i])), support)
        rngs = [np.random.default_rng(child_seed(seed, members[i], k)) for k in range(len(laws))]
        drawn = [draw_examples(law, U, edges, int(counts[-1, k]), rngs[k]) for k, law in enumerate(laws)]
        rows = []
        for j, alpha in enumerate(alphas):
            if stop.is_set():
                return None
            x = np.concatenate([part[0][:n] for part, n in zip(drawn, counts[j], strict=True)])
            y = np.concatenate([part[1][:n] for part, n in zip(drawn, counts[j], strict=True)])
            examples = seen_by(x, y, W0, v0, first.activation)
            strengths = Strengths(float(alpha), float(known[id(start)][j]), training.readout_regularization)
            scale = float(np.mean(examples.c**2) * np.mean(x * x)) if len(x) else 1.0
            dW, dv, train = fit(examples, strengths, first.model, scale) if len(x) else (np.zeros_like(W0), np.zeros_like(v0), 0.0)
            W = W0 + dW
            parts = [slice(a, b) for a, b in pairwise(edges)]
            state = {
                name: np.array([W[:, p] @ V[:, p].T / D for p in parts]) for name, V in (("Q", W), ("M", U), ("passengers", W0))
            }
            rows.append({**state, "v": v0 + dv, "train_loss": train})
            done[i] = (j + 1) / alphas.size
        found: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        found["passengers"] = found["passengers"][:, None]
        past = {"remembered_Q": Q0[None], "remembered_M": M0[None], "remembered_v": v0[None]}
        return {**found, **past, "start_Q": Q0, "start_M": M0, "start_v": v0}

    clock = time.perf_counter()
    what = f"fitting {runs} runs"
    results, interrupted = spread(what, one, range(runs), workers, lambda: float(done.mean()), progress)
    finished = [i for i, result in enumerate(results) if result is not None]
    arrays: dict[str, Any] = {name: np.array([results[i][name] for i in finished]) for name in results[finished[0]]}
    if sizes.size == 1:
        for name in ("Q", "M", "passengers", "remembered_Q", "remembered_M", "start_Q", "start_M"):
            arrays[name] = arrays[name][..., 0, :, :]
    arrays |= {
        "t": counts.sum(axis=1) / D,
        "run": np.array([members[i] for i in finished], dtype=np.int64),
        "remembered": np.zeros(1),
    }
    status = f"{len(finished)} of {runs} runs finished" + (", then the fits were interrupted" if interrupted else "")
    if training.regularization == "optimal":
        status += "; regularization of least test error by theory"
    statistics = {
        "seconds": time.perf_counter() - clock,
        "workers": workers,
        "regularization": known[id(starts[0])].tolist(),
        "correction": (first.correction() / alphas).tolist(),
    }
    return Ensemble(experiment, numerics, arrays, status, success=not interrupted, seed=seed, dimension=D, statistics=statistics)
