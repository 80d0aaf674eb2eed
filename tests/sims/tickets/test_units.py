"""Whole units kept, deleted, drawn anew and planted; whether winners are necessary, and whether they suffice."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.tickets.unit_tickets import disjoint_tickets
from curriculode.theory.core.linear_algebra import gram_spectrum
from curriculode.theory.tasks.blocks import Blocks
from curriculode.theory.tickets.units import winners

XOR = cu.load("xor-curriculum").replace(
    {
        "student.width": 16,
        "protocol.duration": 60.0,
        "protocol.order": "hard-only",
        "levels.hard.noise": 0.3,
        "training.learning_rate": 2.0,
    }
)


def test_units_are_rows_and_columns(xor: cu.Experiment) -> None:
    start = xor.initial(300)
    kept = cu.keep_units(start, [2, 0])
    np.testing.assert_array_equal(kept.Q, start.Q[np.ix_([2, 0], [2, 0])])
    np.testing.assert_array_equal(kept.M, start.M[[2, 0]])
    assert cu.delete_units(start, [1, 3]) == cu.keep_units(start, [0, 2])
    assert cu.delete_units(start, []) == start


@pytest.mark.parametrize("name", ["xor-fading", "xor-curriculum", "perceptron-curriculum"])
def test_fresh_units_have_the_law_of_a_start(name: str, seed: int) -> None:
    """Means and covariances of overlaps after drawing two of three units anew are those of whole random starts."""
    experiment, D, n = cu.load(name).replace({"student.width": 3, "student.weight_scale": 0.7}), 60, 3000
    base = experiment.initial(D, seed)
    found, starts = [], []
    for i in range(n):
        state = cu.reinitialise_units(experiment, base, [0, 2], dimension=D, seed=np.random.SeedSequence([seed, i]))
        other = experiment.initial(D, np.random.SeedSequence([seed + 1, i]))
        assert np.array_equal(state.blocked()[0][:, 1, 1], base.blocked()[0][:, 1, 1])
        for rows, each in ((found, state), (starts, other)):
            Q, M, v = each.blocked()
            rows.append(np.concatenate([Q[:, 0, 0], Q[:, 0, 2], Q[:, 2, 2], M[:, 0].ravel(), M[:, 2].ravel(), v[[0, 2]]]))
    a, b = np.array(found), np.array(starts)
    error = np.sqrt(a.var(axis=0) + b.var(axis=0)) / np.sqrt(n)
    varies = error > 0
    assert (np.abs(a.mean(axis=0) - b.mean(axis=0))[varies] < 5 * error[varies]).all()
    np.testing.assert_allclose(a.std(axis=0)[varies], b.std(axis=0)[varies], rtol=5 * n**-0.5 * 1.5)
    # With the unit that stayed: Gaussian of variance sigma_w^2 Q_11 / D.
    Q = np.array(
        [
            cu.reinitialise_units(experiment, base, [0], dimension=D, seed=np.random.SeedSequence([seed, i])).blocked()[0][:, 0, 1]
            for i in range(n)
        ]
    )
    expected = 0.7**2 * base.blocked()[0][:, 1, 1] / D
    np.testing.assert_allclose(Q.var(axis=0), expected, rtol=5 * (2 / n) ** 0.5)


def test_planted_units_overlap_as_independent_weights_do(xor: cu.Experiment, rng: np.random.Generator) -> None:
    """Against vectors: two networks with given overlaps in random frames of D inputs."""
    from curriculode.sims.spaces.weight_space import place

    D, n = 40, 2000
    T = Blocks.of(xor.task).T
    one, other = xor.initial(D, 1), xor.initial(D, 2)
    planted, real = [], []
    for i in range(n):
        state = cu.plant_units(xor, one, other, [1, 3], dimension=D, seed=i)
        planted.append(state.Q[:4, 4:])
        assert gram_spectrum(state.Q, state.M, T[0])[0] > -1e-9
        W1, U1 = place(one.Q[None], one.M[None], T, np.array([0, D]), rng)
        W2, U2 = place(other.Q[None], other.M[None], T, np.array([0, D]), rng)
        # The second network in the frame of the first one's references: a random rotation that takes its references there.
        a, b = (np.linalg.qr(U.T, mode="complete")[0] for U in (U1, U2))
        a[:, :2], b[:, :2] = (np.linalg.solve(np.linalg.cholesky(U @ U.T), U).T for U in (U1, U2))
        real.append(W1 @ (a @ (b.T @ W2.T)) / D)
    planted_, real_ = np.array(planted), np.array(real)[:, :, [1, 3]]
    np.testing.assert_array_equal(state.Q[4:, 4:], other.Q[np.ix_([1, 3], [1, 3])])
    np.testing.assert_array_equal(state.M, np.concatenate([one.M, other.M[[1, 3]]]))
    error = np.sqrt((planted_.var(axis=0) + real_.var(axis=0)) / n)
    assert (np.abs(planted_.mean(axis=0) - real_.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(planted_.std(axis=0), real_.std(axis=0), rtol=0.15)


def test_winners_follow_clusters_and_teachers() -> None:
    M = np.array([[0.9, 0.0], [-0.8, 0.0], [0.0, 0.9], [0.0, -0.9], [0.95, 0.0]])
    state = cu.OrderParameters(np.eye(5), M, [1.0, 1.0, -1.0, 1.0, 1.0])
    assert winners(XOR, state) == [1, 2, 4]  # unit 3 has the wrong sign, unit 0 is second
    committee = cu.load("committee-plateau")
    found = winners(committee, cu.OrderParameters(np.eye(2), [[0.0, 0.9], [0.2, 0.0]], [1.0, 1.0]))
    assert found == [0]


@pytest.mark.slow
def test_winners_are_sufficient_and_not_necessary(seed: int) -> None:
    """K = 16, D = 1000, t = 60, noise .3: 2 to 4 disjoint tickets; fresh units in the winners' place learn, later."""
    options = {"dimension": 1000, "networks": 8, "seed": seed, "numerics": cu.Numerics(points=256, times=61)}
    deleted = cu.unit_tickets(XOR, **options)
    held = disjoint_tickets(deleted)
    assert held.between(1, 5).all()
    assert 2 <= held.median() <= 4
    again = cu.unit_tickets(XOR, **options, test="reinitialise", rounds=4)
    assert again["learnt"].mean() > 0.9
    median = again.groupby("round")["time"].median()
    assert median[4] > median[0] + 3.0
    alone = cu.unit_tickets(XOR, **options, test="alone").groupby("kind")["learnt"].mean()
    assert alone["winners alone"] >= 0.85  # one of the eight may be late
    assert alone["winners planted"] >= 0.85
    assert alone["random units alone"] <= alone["winners alone"]


def test_unit_tickets_by_theory(xor: cu.Experiment) -> None:
    """At K = 4 the start is nearly the target: deleted winners leave nothing that learns."""
    M = 0.5 * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    short = xor.replace({"protocol.duration": 20.0, "levels.hard.noise": 0.3, "training.learning_rate": 1.0})
    state = cu.integrate(short, cu.OrderParameters(np.eye(4), M, [0.5, 0.5, -0.5, -0.5]), points=256, estimate_error=False).state()
    assert winners(short, state) == [0, 1, 2, 3]
    table = cu.unit_tickets(short, dimension=200, networks=1, theory=True, numerics=cu.Numerics(points=64, estimate_error=False))
    assert table["round"].tolist()[0] == 0


def test_mistakes_are_told(xor: cu.Experiment) -> None:
    start = xor.initial(300)
    for call, words in (
        (lambda: cu.keep_units(start, [7]), r"^unit 7 does not exist; the student has 4"),
        (lambda: cu.keep_units(start, [1, 1]), r"^units = \[1, 1\] is not allowed"),
        (lambda: cu.keep_units(start, []), r"no unit at all"),
        (lambda: cu.delete_units(start, [0, 1, 2, 3]), r"^all units would be deleted"),
        (lambda: cu.delete_units(3, [0]), r"^state = 3 is not allowed"),
        (lambda: cu.reinitialise_units(xor, start, [0], dimension=3), r"^dimension D = 3 is too small"),
        (lambda: cu.unit_tickets(xor, dimension=100, test="kill"), r"^test 'kill' is unknown"),
        (lambda: cu.unit_tickets(cu.load("batch-perceptron"), dimension=100), r"has no online dynamics"),
    ):
        with pytest.raises(cu.InputError, match=words):
            call()
