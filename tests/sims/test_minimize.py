"""Minimisation at finite D: the minimisers against others, the seeds, and the state evolution against all of it."""

import numpy as np
import pytest
from scipy import optimize
from scipy.special import stdtrit

import curriculode as cu
from curriculode.sims.spaces.minimizers import MINIMIZERS
from curriculode.theory.batch.proximal import BATCH_LOSSES

SETTINGS = {
    "task.relevant_fraction": 0.4,
    "levels.easy.irrelevant_variance": 0.2,
    "levels.hard.irrelevant_variance": 1.5,
    "levels.easy.share": 0.45,
    "protocol.duration": 0.8,
    "training.regularization": 0.2,
}


def case(**changes: object) -> cu.Experiment:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return cu.load("batch-perceptron").replace({**SETTINGS, **named})


VALUES = {
    "squared": lambda m: 0.5 * (1 - m) ** 2,
    "logistic": lambda m: np.logaddexp(0, -m),
    "hinge": lambda m: np.maximum(0, 1 - m),
}


@pytest.mark.parametrize("loss", BATCH_LOSSES)
@pytest.mark.parametrize(("n", "D"), [(8, 20), (60, 20), (25, 20)])
@pytest.mark.parametrize(("gamma", "tie"), [(0.3, 0.0), (0.05, 0.8), (1e-3, 0.0)])
def test_minimisers_find_the_minimum(loss: str, n: int, D: int, gamma: float, tie: float, rng: np.random.Generator) -> None:
    """No step in any of many directions leads down, the certificate holds, and another method ends at the same place."""
    x = rng.standard_normal((n, D)) / np.sqrt(D)
    y, w_prev = np.where(x[:, 0] > 0, 1.0, -1.0), rng.standard_normal(D)

    def objective(w: np.ndarray) -> float:
        return VALUES[loss](y * (x @ w)).sum() + 0.5 * gamma * w @ w + 0.5 * tie * (w - w_prev) @ (w - w_prev)

    w, distance = MINIMIZERS[loss](x, y, gamma, tie, w_prev, 1e-5)
    assert distance <= 1e-5
    for size in (1e-2, 1e-4):
        for _ in range(50):
            assert objective(w + size * rng.standard_normal(D)) > objective(w)
    if loss == "hinge":  # as a quadratic programme in (w, slack)
        start = np.concatenate([w_prev, np.full(n, 10.0)])
        other = optimize.minimize(
            lambda z: z[D:].sum() + 0.5 * gamma * z[:D] @ z[:D] + 0.5 * tie * (z[:D] - w_prev) @ (z[:D] - w_prev),
            start,
            jac=lambda z: np.concatenate([(gamma + tie) * z[:D] - tie * w_prev, np.ones(n)]),
            method="SLSQP",
            constraints=[
                {
                    "type": "ineq",
                    "fun": lambda z: z[D:] - 1 + y * (x @ z[:D]),
                    "jac": lambda z: np.hstack([y[:, None] * x, np.eye(n)]),
                }
            ],
            bounds=[(None, None)] * D + [(0, None)] * n,
            options={"maxiter": 500, "ftol": 1e-14},
        ).x[:D]
    else:
        other = optimize.minimize(objective, w_prev, method="BFGS", options={"gtol": 1e-7}).x
    assert objective(w) <= objective(other) + 1e-9
    assert np.sqrt(np.mean((w - other) ** 2)) < 2e-3 * max(1.0, np.abs(w).max())


def test_least_squares_without_regularization(rng: np.random.Generator) -> None:
    x = rng.standard_normal((60, 20)) / np.sqrt(20)
    y = np.where(x[:, 0] > 0, 1.0, -1.0)
    w, distance = MINIMIZERS["squared"](x, y, 0.0, 0.0, np.zeros(20), 1e-6)
    assert distance < 1e-12
    assert w == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0], abs=1e-10)


def test_same_seed_same_bits_whatever_the_workers() -> None:
    experiment = case(training__loss="hinge")
    one = cu.minimize(experiment, dimension=60, runs=4, seed=3, workers=1)
    two = cu.minimize(experiment, dimension=60, runs=4, seed=3, workers=2)
    tail = cu.minimize(experiment, dimension=60, runs=2, first=2, seed=3)
    assert np.array_equal(one.Q, two.Q)
    assert np.array_equal(one.M, two.M)
    assert np.array_equal(one.Q[2:], tail.Q)
    assert tail.run.tolist() == [2, 3]
    assert not np.array_equal(one.Q, cu.minimize(experiment, dimension=60, runs=4, seed=4).Q)


def test_orders_share_their_examples() -> None:
    """The first slice of one order is the only one of another: the same numbers, run by run."""
    curriculum = cu.minimize(case(), dimension=60, runs=3)
    alone = case(protocol__order="easy-only", protocol__duration=0.36)
    assert np.array_equal(cu.minimize(alone, dimension=60, runs=3).Q[:, 0], curriculum.Q[:, 0])


def test_a_slice_too_small_for_an_example_only_shrinks_the_weights() -> None:
    experiment = case(levels__easy__share=0.99, protocol__duration=0.5, training__coupling=1.0)
    ensemble = cu.minimize(experiment, dimension=60, runs=2)
    assert ensemble.t.tolist() == [0.5, 0.5]
    assert ensemble.Q[:, 1] == pytest.approx(ensemble.Q[:, 0] / 1.2**2)


def test_the_ensemble_tells_what_it_is() -> None:
    ensemble = cu.minimize(case(training__coupling="optimal"), dimension=80, runs=3)
    assert ensemble.t == pytest.approx([29 / 80, 64 / 80])
    assert ensemble.finite.all()
    assert "3 of 3 runs finished, each weight within" in ensemble.status
    assert "least test error at coupling of slice 2" in ensemble.status
    frame = ensemble.to_frame()
    assert len(frame) == 6
    assert (frame["distance"] <= 1e-5).all()
    assert frame["error_at_hard"].to_numpy() == pytest.approx(ensemble.classification_error.ravel())
    # The test error is that of the weights: arccos of their overlap.
    q = ensemble.Q[..., 0, 0, 0] + 1.5 * ensemble.Q[..., 1, 0, 0]
    assert ensemble.classification_error == pytest.approx(np.arccos(ensemble.M[..., 0, 0, 0] / np.sqrt(q)) / np.pi)


AGREEMENT = [
    (loss, order, coupling)
    for loss in BATCH_LOSSES
    for order, couplings in (("curriculum", (0.0, 0.5, 30.0)), ("anti-curriculum", (0.0, 0.5, 30.0)), ("random", (0.0,)))
    for coupling in couplings
]


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "order", "coupling"), AGREEMENT)
def test_state_evolution_is_what_minimisation_finds(loss: str, order: str, coupling: float, seed: int) -> None:
    """R, Q of both blocks and the test errors after each slice at D = 2000, within the standard error of 12 samples."""
    experiment = case(training__loss=loss, protocol__order=order, training__coupling=coupling)
    D, runs = 2000, 12
    theory = cu.state_evolution(experiment)
    ensemble = cu.minimize(experiment, dimension=D, runs=runs, seed=100 + seed)
    assert ensemble.finite.all()
    expected = {**theory.entries(), **{f"error at {name}": error for name, error in theory.level_errors().items()}}
    found = {**ensemble.entries(), **{f"error at {name}": error for name, error in ensemble.level_errors().items()}}
    tested = ["Q[0,0,0]", "Q[1,0,0]", "M[0,0,0]", "error at easy", "error at hard"]
    # Four sigma of a normal law, corrected for the number of tests and for errors that are estimated from few runs.
    critical = -stdtrit(runs - 1, 3e-5 / (len(tested) * len(AGREEMENT) * 2))
    for name in tested:
        error = found[name].std(axis=0, ddof=1) / np.sqrt(runs)
        shift = 3.0 * np.maximum(1.0, expected[name]) / D  # of the mean, of order 1/D
        assert (np.abs(found[name].mean(axis=0) - expected[name]) < critical * error + shift).all(), name
        assert (error < 0.03 * np.maximum(0.2, expected[name])).all()


@pytest.mark.slow
def test_deviations_are_those_of_chance(seed: int) -> None:
    """Over all cases together the deviations have the size of their standard errors: a wrong prefactor would show."""
    z = []
    for loss in BATCH_LOSSES:
        for order in ("curriculum", "anti-curriculum"):
            experiment = case(training__loss=loss, protocol__order=order)
            # Seeds of their own: deviations of different cases are then independent.
            own = 1000 * seed + 10 * len(z) + 7
            theory, ensemble = cu.state_evolution(experiment), cu.minimize(experiment, dimension=800, runs=40, seed=own)
            for name in ("Q[0,0,0]", "Q[1,0,0]", "M[0,0,0]"):
                runs = ensemble.entries()[name]
                z.append(((runs.mean(axis=0) - theory.entries()[name]) / (runs.std(axis=0, ddof=1) / np.sqrt(40)))[-1])
    assert np.sqrt(np.mean(np.square(z))) < 2.2


@pytest.mark.parametrize("term", ["coupling", "regularization"])
def test_a_wrong_strength_is_found_out(term: str, seed: int) -> None:
    experiment = case(training__coupling=0.5)
    wrong = case(**{"training__coupling": 0.5, f"training__{term}": {"coupling": 0.7, "regularization": 0.28}[term]})
    ensemble = cu.minimize(experiment, dimension=800, runs=40, seed=seed)
    name = "Q[0,0,0]"
    error = ensemble.entries()[name].std(axis=0, ddof=1) / np.sqrt(40)
    right, off = (
        np.abs(ensemble.entries()[name].mean(axis=0) - cu.state_evolution(e).entries()[name])[-1] / error[-1]
        for e in (experiment, wrong)
    )
    assert right < 5
    assert off > 6


def test_compare_serves_batch_learning(seed: int) -> None:
    over = {"protocol.order": ["curriculum", "anti-curriculum", "random"]}
    comparison = cu.compare(case(), dimension=400, runs=16, seed=seed, over=over)
    assert comparison.agrees, comparison.verdict()
    table = comparison.to_frame()
    assert sorted(table["t"].unique()) == pytest.approx([0.36, 0.44, 0.8])
    gaps = comparison.gaps().set_index("gap")
    row = gaps.loc["curriculum - random"]
    assert abs(row["simulation"] - row["theory"]) < 5 * row["standard_error"] + 5 / 400
    # Orders see the same examples run by run, so a gap is sharper than its two sides.
    sides = comparison.summary()["standard_error"]
    assert row["standard_error"] < np.hypot(sides[0], sides[2])


BAD = [
    (dict(dimension=3), "D = 3 is too small"),
    (dict(dimension=100, runs=0), "runs = 0 is not allowed"),
    (dict(dimension=100, tolerance=0.5), "tolerance = 0.5 is not allowed; it lies above 0 and up to 1e-2"),
    (dict(dimension=100, seed=-1), "seed = -1 is not allowed"),
    (dict(dimension=10**6), "needs more than 4 GB"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=range(len(BAD)))
def test_minimize_refuses(options: dict, message: str) -> None:
    with pytest.raises(cu.InputError, match=message):
        cu.minimize(case(), **options)
    with pytest.raises(cu.InputError, match="give a curriculode"):
        cu.minimize(3, dimension=100)  # type: ignore[arg-type]
