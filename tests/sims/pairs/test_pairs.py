"""Pairs of runs: both spaces against theory, seeds, instability, the verdict."""

from typing import Any

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.compare.cell import Cell
from curriculode.sims.compare.comparison import Comparison
from curriculode.theory.dynamics.setting import Setting

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "xor, two levels, curriculum": ("xor-curriculum", {"protocol.duration": 4.0}),
    "xor, logistic, decay": (
        "xor-curriculum",
        {"protocol.duration": 2.0, "training.loss": "logistic", "student.activation": "relu", "training.weight_decay": 0.1},
    ),
    "fading, two blocks": ("xor-fading", {"protocol.duration": 2.0, "task.faded_fraction": 0.5, "protocol.order": "random"}),
    "perceptron, two blocks": ("perceptron-curriculum", {"protocol.duration": 3.0}),
    "committee, label noise": ("committee-plateau", {"protocol.duration": 5.0, "task.label_noise": 0.3}),
}


def case(name: str) -> cu.Experiment:
    known, changes = CASES[name]
    return cu.load(known).replace(changes)


def begun(experiment: cu.Experiment, seed: int) -> cu.OrderParameters:
    """A random start that knows something of the references, w + A u: where M is of order D^(-1/2) noise as large shifts means."""
    start, rng = experiment.initial(600, seed), np.random.default_rng(seed)
    Q, M, v = start.blocked()
    A, T = rng.uniform(-0.4, 0.4, M.shape[1:]), experiment.task.reference_overlap()
    cross = A @ np.swapaxes(M, 1, 2)
    return cu.OrderParameters(*(part[0] if len(Q) == 1 else part for part in (
        Q + cross + np.swapaxes(cross, 1, 2) + A @ T @ A.T, M + A @ T)), v)  # fmt: skip


def spread(found: Comparison, prefix: str) -> float:
    """Root mean square deviation of the quantities of that name in standard errors."""
    table = found.to_frame()
    table = table[table["quantity"].str.startswith(prefix)]
    return float(np.sqrt((table["deviation_in_standard_errors"] ** 2).mean()))


def held_against(found: Comparison, theory: cu.Pair) -> Comparison:
    """The same runs, and other theory alone."""
    (cell,) = found.cells
    return Comparison([Cell(cell.labels, cell.experiment, [[theory]], cell.ensemble, cell.start_of_run)], found.dimension, 0, "")


@pytest.mark.parametrize("space", ["overlap", "weight"])
@pytest.mark.parametrize("name", CASES)
def test_theory_and_pairs_agree(name: str, space: str, seed: int) -> None:
    """Examples of their own from a branching on: the verdict, and X near one standard error r.m.s., its shift of 1/D in it."""
    experiment = case(name)
    options: dict[str, Any] = {"dimension": 600, "runs": 32, "times": 3, "points": 512, "space": space, "seed": seed + 1}
    branch = cu.Branching(at=0.25 * experiment.protocol.duration)
    found = cu.compare(experiment, branch=branch, starts=[begun(experiment, seed)], **options)
    assert found.agrees, found.verdict()
    assert spread(found, "X") < 1.8


@pytest.mark.parametrize("name", ["xor, logistic, decay", "perceptron, two blocks", "committee, label noise"])
def test_the_same_examples_need_their_noise_term(name: str, seed: int) -> None:
    """From two starts: theory agrees, and disagrees by many standard errors where the noise that copies share is left out."""
    experiment = case(name)
    start, other = begun(experiment, seed), begun(experiment, seed + 100)
    branch, options = cu.Branching(examples="same", weights="own"), {"dimension": 600, "runs": 32, "times": 3, "points": 512}
    found = cu.compare(experiment, branch=branch, starts=[start, other], seed=seed, **options)
    assert found.agrees, found.verdict()
    without = held_against(found, cu.branch(experiment, start, other=other, times=3, points=512))
    assert not without.agrees
    table = without.to_frame()
    assert not table[table["quantity"].str.startswith("X")]["agrees"].all()
    assert spread(without, "X") > 3 * spread(found, "X")


@pytest.mark.parametrize("name", ["xor, two levels, curriculum", "committee, label noise"])
def test_reordered_examples_are_not_independent_ones(name: str, seed: int) -> None:
    """Met in another order within each stage: the two-time recursion agrees, the independent case does not."""
    experiment = case(name)
    start, branch = experiment.initial(300, seed), cu.Branching(examples="reordered", at=0.5)
    found = cu.compare(experiment, branch=branch, starts=[start], dimension=300, runs=32, times=3, points=512)
    assert found.agrees, found.verdict()
    assert "what finite D adds to reordered examples is not predicted" in found.verdict()
    assert found.cells[0].ensemble.statistics["space"] == "weight"
    assert not held_against(found, cu.branch(experiment, start, at=0.5, times=3, points=512)).agrees


def test_a_wrong_rate_of_the_copies_is_noticed(xor: cu.Experiment, seed: int) -> None:
    """Pairs of runs with a readout that learns a quarter faster than the theory's are called a disagreement."""
    experiment = xor.replace({"protocol.duration": 2.0})
    options: dict[str, Any] = {"dimension": 300, "runs": 32, "times": 3, "points": 256, "seed": seed}
    found = cu.compare(experiment, branch=cu.Branching(at=1.0), **options)
    assert found.agrees, found.verdict()
    (cell,) = found.cells
    faster = experiment.replace({"training.readout_learning_rate": 1.25 * experiment.training.learning_rate})
    other = cu.compare(faster, branch=cu.Branching(at=1.0), **options).cells[0].ensemble
    wrong = Cell(cell.labels, experiment, cell.theory, other, cell.start_of_run, cell.perturbed, cell.finite_size)
    assert not Comparison([wrong], 300, seed, "").agrees


def test_the_same_examples_keep_one_network_one(xor: cu.Experiment) -> None:
    for space in ("overlap", "weight"):
        pair = cu.branch(xor, at=1.0, examples="same", dimension=60, runs=5, times=[8.0], space=space, points=64)
        np.testing.assert_allclose(pair.X, pair.Q[:, :, 0], atol=1e-9)
        np.testing.assert_allclose(pair.X, pair.Q[:, :, 1], atol=1e-9)


def test_a_pair_is_fixed_by_its_number(xor: cu.Experiment) -> None:
    options: dict[str, Any] = {"at": 1.0, "dimension": 60, "times": [4.0], "points": 64, "seed": 5}
    whole = cu.branch(xor, runs=12, workers=1, **options)
    for name, value in cu.branch(xor, runs=12, workers=2, **options).arrays.items():
        np.testing.assert_array_equal(value, whole.arrays[name])
    part = cu.branch(xor, runs=4, first=8, **options)
    np.testing.assert_array_equal(part.X, whole.X[8:])
    np.testing.assert_array_equal(part.arrays["run"], [8, 9, 10, 11])
    # Until they part the copies are the run of that number, and one.
    np.testing.assert_allclose(whole.X[:, 0], whole.Q[:, 0, 0], atol=1e-12)
    assert np.abs(whole.X[:, -1] - whole.Q[:, -1, 0]).max() > 1e-2


def test_dimensions_beyond_any_vector_cost_the_same(xor: cu.Experiment) -> None:
    """Rotations of 2K units side by side: Q, M and X stay a covariance at D = 10^8, where scatter is gone."""
    short = xor.replace({"protocol.duration": 1e-5})
    pair = cu.branch(short, dimension=10**8, runs=4, times=2, points=64)
    Q, M, _ = pair.joint()
    T = xor.task.reference_overlap()[0]
    for run in range(4):
        gram = np.block([[T, M[run, -1, 0].T], [M[run, -1, 0], Q[run, -1, 0]]])
        assert np.linalg.eigvalsh(gram).min() > -1e-12


def test_runs_on_the_plateau_follow_its_law(seed: int) -> None:
    """Of 400 pairs at D = 10^4 the correlation of single units' M, within 4 standard errors of a correlation."""
    experiment = cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=2, activation="gelu"),
        training=cu.OnlineSGD(learning_rate=2.0),
        protocol=cu.Protocol.single(duration=3.0, noise=0.5),
    )
    state = cu.OrderParameters(np.eye(2), np.zeros((2, 2)), [0.6, -0.7])
    law = cu.plateau_law(experiment, state, at=[0.0, 1.0], until=3.0)
    D, runs = 3000, 400
    rng = np.random.default_rng(seed)
    starts = [cu.OrderParameters(np.eye(2), rng.standard_normal((2, 2)) / np.sqrt(D), state.v) for _ in range(runs)]
    for i, at in enumerate((0.0, 1.0)):
        pair = cu.branch(experiment, starts, at=at, dimension=D, runs=runs, times=[3.0], points=64, seed=seed)
        m1, m2 = pair.M[:, -1, 0], pair.M[:, -1, 1]
        r = (m1 * m2).sum(axis=0) / np.sqrt((m1**2).sum(axis=0) * (m2**2).sum(axis=0))
        expected = law.r_units[i].T
        assert (np.abs(r - expected) <= 4 * (1 - expected**2) / np.sqrt(runs) + 5 / np.sqrt(runs) / 20).all()


def test_instability_falls_with_the_time_of_branching(tmp_path, seed: int) -> None:
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 30.0, "protocol.order": "random"})
    found = cu.instability(experiment, at=[0.0, 20.0], starts=24, dimension=200, points=256, seed=seed)
    assert found.barrier.shape == (2, 24)
    table = found.summary()
    assert table["barrier"][0] > table["barrier"][1] + 2 * table["standard_error"][0]
    assert (found.barrier >= 0.5 * found.difference - 1e-12).all()
    assert (found.midpoint <= found.barrier + 1e-12).all()
    assert cu.load_record(found.save(tmp_path / "curve.npz")) == found
    assert len(found.to_frame()) == 48
    single = cu.branch(experiment, at=20.0, dimension=200, runs=24, times=[30.0], points=256, seed=seed)
    np.testing.assert_allclose(single.barrier()[:, -1], found.barrier[1])


def test_stable_from_is_the_first_time_of_the_rest(xor: cu.Experiment) -> None:
    arrays = {name: np.zeros((4, 2)) for name in ("midpoint", "error", "difference")}
    barrier = np.array([[0.01, 0.0], [0.05, 0.01], [0.01, 0.02], [0.0, 0.0]])
    record = cu.Instability(
        xor, cu.Numerics(), {"at": np.array([0.0, 1.0, 2.0, 5.0]), "run": np.arange(2), "barrier": barrier, **arrays}, "done"
    )
    assert record.stable_from == 2.0
    assert np.isnan(record.replace(arrays={"barrier": barrier + 1}).stable_from)


def test_mistakes_are_told(xor: cu.Experiment) -> None:
    with pytest.raises(cu.InputError, match=r'^space = "diffusion" knows no second copy'):
        cu.branch(xor, dimension=100, runs=2, space="diffusion")
    with pytest.raises(cu.InputError, match=r"^2 starts were given for 3 pairs"):
        cu.branch(xor, [xor.initial(100)] * 2, dimension=100, runs=3)
    with pytest.raises(cu.InputError, match=r"^dimension D = 9 is too small"):
        cu.branch(xor, dimension=9, runs=2)
    with pytest.raises(cu.InputError, match=r"^at = 8.0 is not allowed"):
        cu.instability(xor, at=[0.0, 8.0], starts=2)
    with pytest.raises(cu.InputError, match=r"^the .* examples of a stage at D = 20000 need .* GB to be met in another order"):
        cu.branch(xor, dimension=20_000, runs=1, examples="reordered", times=2)
    with pytest.raises(cu.InputError, match=r"^batch learning has no copies"):
        cu.instability(cu.load("batch-perceptron"), at=[0.0])


def test_copies_of_a_pruned_network_keep_its_mask(xor: cu.Experiment) -> None:
    options: dict[str, Any] = {"starts": 3, "dimension": 80, "points": 64}
    table = cu.ticket_instability(xor, cu.Pruning(keep=0.3), at=[0.0, 4.0], **options)
    assert len(table) == 18
    assert table.equals(cu.ticket_instability(xor, cu.Pruning(keep=0.3), at=[0.0, 4.0], workers=1, **options))
    assert (table["barrier"] >= 0.5 * table["difference"] - 1e-12).all()
    # Where everything is kept a ticket is the dense network, but for the examples of its copies.
    whole = cu.ticket_instability(xor, cu.Pruning(keep=1.0), at=[4.0], treatments=["dense", "ticket"], **options)
    assert np.isfinite(whole["error"]).all()
    with pytest.raises(cu.InputError, match=r"^rounds = 2 is not allowed"):
        cu.ticket_instability(xor, cu.Pruning(keep=0.3, rounds=2), at=[0.0], **options)
    with pytest.raises(cu.InputError, match=r"^treatment 'tickets' is unknown"):
        cu.ticket_instability(xor, cu.Pruning(keep=0.3), at=[0.0], treatments=["tickets"], **options)


def test_copies_of_a_ticket_by_theory(seed: int) -> None:
    """Barrier, middle and error of tickets: nodes as many as inputs, against networks with real masks, at 4 standard errors."""
    experiment = cu.load("xor-tickets").replace({"student.width": 4, "protocol.duration": 20.0, "protocol.order": "random"})
    options = {"at": [0.0, 5.0], "starts": 24, "treatments": ["dense", "ticket"], "points": 128, "seed": seed}
    both = [
        cu.ticket_instability(experiment, cu.Pruning(keep=0.3), **size, **options) for size in ({"nodes": 200}, {"dimension": 200})
    ]
    for at in (0.0, 5.0):
        theory, runs = (table[(table["treatment"] == "ticket") & (table["at"] == at)] for table in both)
        for name in ("midpoint", "error"):
            error = np.hypot(theory[name].sem(), runs[name].sem())
            assert abs(theory[name].mean() - runs[name].mean()) < 4 * error
    tickets = both[0][both[0]["treatment"] == "ticket"]
    assert tickets["barrier"].max() < 0.02  # as D -> infinity every ticket is stable; the verdict on whether they win differs
    table = cu.winning_and_stable(both[1])
    counted = table[["both", "wins", "stable", "neither"]].sum(axis=1)
    assert (counted == table["networks"]).all()
    assert table["networks"].tolist() == [24, 24, 48]
    with pytest.raises(cu.InputError, match=r"^table is not what ticket_instability returns"):
        cu.winning_and_stable(tickets)


def test_what_copies_of_a_masked_network_share(xor: cu.Experiment, rng: np.random.Generator) -> None:
    """X = Q - phi Xi of two groups is what two copies with one mask obey: by theory of pairs where the mask keeps everything."""
    from curriculode.theory.solve.way import Way
    from curriculode.theory.tickets.trainer import NodeTrainer

    start, setting = begun(xor, 3), Setting.of(xor)
    start = start.permuted(start.canonical_order())  # the order in which a net meets the units
    way = Way.of(setting, cu.Numerics(points=256))
    trainer = NodeTrainer(way, start, np.array([8.0]), 2.0, 1.0, 2**10, 0, rng, net=True, even=True)
    before = trainer.dense()
    weights, v = before.weights[1], before.readouts[1]
    found = trainer.copies(weights, np.ones(weights.shape, bool), v)
    pair = cu.branch(xor, start, at=2.0, points=256, times=[8.0])
    np.testing.assert_allclose(found.X[0], pair.X[-1], atol=2e-5)
    # Under a mask units that keep no coordinate in common share nothing.
    apart = np.zeros(weights.shape, bool)
    for k, column in enumerate(np.array_split(np.arange(weights.shape[1]), 4)):
        apart[k, column] = True
    X = trainer.copies(apart * weights, apart, v).X[0]
    np.testing.assert_allclose(X - np.diag(np.diagonal(X)), 0.0, atol=1e-12)


def test_branchings_are_parameters_of_a_sweep(tmp_path, xor: cu.Experiment) -> None:
    """By theory and runs, in the store of all sweeps; a row is what `branch` gives from the start of its seed."""
    grid = {"branch.at": [0.0, 4.0], "protocol.order": ["curriculum", "random"]}
    options: dict[str, Any] = {"seeds": 2, "runs": 3, "dimension": 60, "points": 64, "workers": 1, "store": tmp_path / "s.sqlite"}
    table = cu.sweep(xor, grid, **options)
    assert len(table) == 8
    assert not table["failed"].any()
    row = table[(table["branch.at"] == 4.0) & (table["protocol.order"] == "random") & (table["seed"] == 1)].iloc[0]
    experiment, start = xor.replace({"protocol.order": "random"}), xor.initial(60, 1)
    pair = cu.branch(experiment, start, at=4.0, dimension=60, runs=3, seed=1, points=64, times=[8.0])
    assert row["barrier_simulation"] == pytest.approx(pair.barrier()[:, -1].mean(), rel=1e-12)
    assert row["matched_midpoint_simulation"] == pytest.approx(pair.match().midpoint()[:, -1].mean(), rel=1e-12)
    theory = cu.branch(experiment, start, at=4.0, points=64, times=[8.0], scrambling=1)
    assert row["barrier"] == pytest.approx(theory.barrier()[-1], rel=1e-9)
    # The same call, one for other columns, and one of the networks alone share the file.
    again = cu.sweep(xor, grid, observables="X[0,1]", **options)
    assert again.attrs["status"] == "8 of 8 points done, 0 failed"
    assert again["seconds"].equals(table["seconds"])
    alone = cu.sweep(xor, {"protocol.order": ["random"]}, **options)
    assert "barrier" not in alone
    one = alone[alone["seed"] == 1].iloc[0]["generalization_error"]
    assert one == pytest.approx(row["generalization_error"], rel=1e-5)


def test_a_boundary_of_stability_is_refined(xor: cu.Experiment) -> None:
    table = cu.refine(
        xor.replace({"student.width": 1, "protocol.duration": 1.0}), ("branch.at", 0.0, 0.9), ("levels.hard.noise", 0.1, 0.9),
        "X[0,0]", level=0.5, budget=25, finest=0, dimension=60, points=64, workers=1, observables="X[0,0]",
    )  # fmt: skip
    assert len(table) == 25
    assert set(table["branch.at"]) == {0.0, 0.225, 0.45, 0.675, 0.9}


def test_branchings_that_cannot_be_are_told(xor: cu.Experiment) -> None:
    with pytest.raises(cu.InputError, match=r"^at = 8.0 is not allowed; copies part within the protocol"):
        cu.sweep(xor, {"branch.at": [0.0, 8.0]}, workers=1)
    with pytest.raises(cu.InputError, match=r"^at = 1 goes with shared weights"):
        cu.compare(xor, dimension=100, branch=cu.Branching(at=1.0, weights="own"))
    with pytest.raises(cu.InputError, match=r"^a network is pruned or branched"):
        cu.compare(xor, dimension=100, branch=cu.Branching(), pruning=cu.Pruning(keep=0.5))
    with pytest.raises(cu.InputError, match=r"^batch learning has no copies that part"):
        cu.sweep(cu.load("batch-perceptron"), branch=cu.Branching(), workers=1)
    with pytest.raises(cu.InputError, match=r"^Branching: examples 'sames' is unknown"):
        cu.Branching(examples="sames")
    with pytest.raises(cu.InputError, match=r"^branch = 2.0 is not allowed; give a curriculode.Branching"):
        cu.compare(xor, dimension=100, branch=2.0)
    with pytest.raises(cu.InputError, match=r"^starts are given, and batch-slices begins at its own"):
        cu.compare(cu.load("batch-perceptron"), dimension=100, starts=[xor.initial(100)])
    with pytest.raises(cu.InputError, match=r"^1 starts are not two for each pair"):
        cu.compare(xor, dimension=100, starts=[xor.initial(100)], branch=cu.Branching(weights="own"))


def test_a_file_says_where_networks_branch(xor: cu.Experiment) -> None:
    study = cu.Study(experiment=xor, branch=cu.Branching(at=2.0), commands={"branch": {"quantity": "X[0,0]"}})
    assert cu.Study.from_toml(study.to_toml()) == study
    assert cu.Study.from_toml(cu.Study(experiment=xor, over={"branch.at": [0.0, 2.0]}).to_toml()).branch is None
