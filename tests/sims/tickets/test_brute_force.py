"""Theory and the package's simulation against masked SGD written from its definition."""

import numpy as np
import pytest

import curriculode as cu

from . import brute

D, RUNS, SIGMAS = 400, 40, 4.5
M = 0.5 * np.array([[1.0, 0.0], [0.0, 0.8], [-0.7, 0.1], [0.2, -0.6]])
START = cu.OrderParameters(0.6 * np.eye(4) + M @ M.T, M, [0.5, -0.4, 0.6, -0.5])
ALIKE = 0.3 * np.array([[1.0, 0.2], [0.1, 0.9], [0.5, -0.4]])
COMMITTEE = cu.OrderParameters(0.5 * np.eye(3) + ALIKE @ ALIKE.T, ALIKE, [1.0, 1.0, 1.0])


def xor(**changes):
    levels = {"easy": {"share": 0.4, "noise": 0.3}, "hard": {"noise": 0.6}}
    base = cu.load("xor-curriculum").replace(
        {"protocol.duration": 3.0, **{f"levels.{k}.{j}": x for k, v in levels.items() for j, x in v.items()}}
    )
    return base.replace({"training.learning_rate": 1.5, **changes})


CASES = {
    "curriculum, gelu": (xor(), cu.Pruning(keep=0.3)),
    "anti-curriculum, relu, logistic": (
        xor(**{"protocol.order": "anti-curriculum", "student.activation": "relu", "training.loss": "logistic"}),
        cu.Pruning(keep=0.2, criterion="movement"),
    ),
    "random order, sparse, decay, rewound": (
        xor(**{"protocol.order": "random", "task.support": 0.1, "training.weight_decay": 0.2}),
        cu.Pruning(keep=0.25, rewind=1.2, criterion="magnitude-increase"),
    ),
    "two rounds": (xor(**{"protocol.order": "random"}), cu.Pruning(keep=0.25, rounds=2, rewind=0.6)),
    "committee, erf": (
        cu.load("committee-plateau").replace({"student.width": 3, "protocol.duration": 3.0, "training.learning_rate": 0.8}),
        cu.Pruning(keep=0.4),
    ),
}


def by_hand(experiment, start, pruning, rng):
    """Q, M, v at the end (runs, ...) of the ticket and of fine-tuning (None for several rounds), and the masks' signal."""
    task, training, duration = experiment.task, experiment.training, experiment.protocol.duration
    T, order = task.reference_overlap()[0], experiment.protocol.order
    xor_task = task.kind == "xor-mixture"
    noise = np.array([level.noise for level in experiment.protocol.levels]) if xor_task else np.ones(1)
    share = experiment.protocol.shares
    w0, u = brute.weights(start, T, task.support, RUNS, D, rng)

    def levels(begin):
        def at(step):
            t = (begin + step) / (duration * D)
            if order == "random":
                return noise[(rng.random(RUNS) >= share[0]).astype(int)] if noise.size > 1 else np.full(RUNS, noise[0])
            first = 0 if order == "curriculum" else 1
            return np.full(RUNS, noise[first if t < share[first] else 1 - first])

        return at

    options = {"g": experiment.student.activation, "loss": training.loss, "eta": training.learning_rate, "rng": rng}
    options |= {"kappa": training.weight_decay, "trained": experiment.student.readout == "trained"}
    options |= {"teacher": None if xor_task else "erf"}
    k, n = round(pruning.rewind * D), round(duration * D)
    ones = np.ones_like(w0)
    wk, vk = brute.sgd(w0, start.v, u, ones, levels(0), k, **options)
    wT, vT = brute.sgd(wk, vk, u, ones, levels(k), n - k, **options)

    def score(w):
        return {
            "large-final": np.abs(w),
            "movement": np.abs(w - w0),
            "magnitude-increase": np.abs(w) - np.abs(w0),
        }[pruning.criterion]

    mask, w = ones, wT
    for number in range(1, pruning.rounds + 1):
        mask = brute.largest(np.where(mask > 0, score(w), -np.inf), pruning.left(number))
        if number < pruning.rounds:
            w, _ = brute.sgd(wk, vk, u, mask, levels(k), n - k, **options)
    ends = {"ticket": brute.sgd(wk, vk, u, mask, levels(k), n - k, **options)}
    if pruning.rounds == 1:
        ends["fine-tune"] = brute.sgd(wT, vT, u, mask, levels(k), n - k, **options)
    found = {
        name: {"Q": np.einsum("rkd,rld->rkl", w, w) / D, "M": np.einsum("rkd,rpd->rkp", w, u) / D, "v": v}
        for name, (w, v) in ends.items()
    }
    return found, np.einsum("rkd,rpd->rkp", mask, u**2) / D / np.diag(T)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_theory_and_simulation_against_plain_masked_sgd(name, seed):
    experiment, pruning = CASES[name]
    start = START if experiment.task.kind == "xor-mixture" else COMMITTEE
    found, signal = by_hand(experiment, start, pruning, np.random.default_rng(10 + seed))
    treatments = list(found)
    options = {"start": start, "treatments": treatments, "times": 2, "points": 1024}
    theory = cu.tickets(experiment, pruning, nodes=2**16, **options)
    engine = cu.tickets(experiment, pruning, dimension=D, runs=RUNS, seed=20 + seed, **options)
    deviations = []
    for treatment in treatments:
        for part in "QMv":
            plain = found[treatment][part]
            ours = engine.arrays[f"{treatment}.{part}"][:, -1]
            line = theory.arrays[f"{treatment}.{part}"][0, -1]
            error = np.hypot(plain.std(axis=0, ddof=1), 1e-12) / np.sqrt(RUNS)
            room = 20.0 / D * np.abs(line).max() + 2.0 * plain.var(axis=0) + 3e-3
            assert (np.abs(plain.mean(axis=0) - line) <= SIGMAS * error + room).all(), (treatment, part)
            both = np.sqrt(error**2 + ours.var(axis=0, ddof=1) / RUNS)
            assert (np.abs(plain.mean(axis=0) - ours.mean(axis=0)) <= SIGMAS * both).all(), (treatment, part)
            if part != "v" or experiment.student.readout == "trained":
                deviations.append(((plain.mean(axis=0) - ours.mean(axis=0)) / both).ravel())
    z = np.concatenate(deviations)
    assert np.sqrt((z**2).mean()) < 1.6  # the two simulations are one law; entries of one network are correlated
    room = SIGMAS * signal.std(axis=0, ddof=1) / np.sqrt(RUNS) + 10.0 / D
    assert (np.abs(signal.mean(axis=0) - theory.signal_kept) <= room).all()


def test_deviations_shrink_as_one_over_d(seed):
    """Ticket and fine-tune from one start: the mean of runs at D is off by O(1/D)."""
    experiment, pruning = CASES["curriculum, gelu"]
    options = {"start": START, "treatments": ["ticket", "fine-tune"], "times": 2}
    theory = cu.tickets(experiment, pruning, nodes=2**16, **options).final().to_numpy()[0]
    far = {}
    for dimension, runs in ((100, 96), (1600, 16)):
        runs_at = cu.tickets(experiment, pruning, dimension=dimension, runs=runs, seed=seed, **options).final().to_numpy()
        error = runs_at.std(axis=0, ddof=1) / np.sqrt(runs)
        far[dimension] = runs_at.mean(axis=0) - theory
        assert (np.abs(far[dimension]) < 4 * error + 4.0 / dimension).all()
    scatter = runs_at.std(axis=0, ddof=1) * np.sqrt(1600)
    assert (scatter < 2.0).all()  # of one network O(D^(-1/2))
