"""The state evolution of slices: closed forms, limits, symmetries, certificates, and one sentence for each mistake."""

import time

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.batch.fixed_point import fixed_point
from curriculode.theory.batch.proximal import BATCH_LOSSES

CASE = {
    "task.relevant_fraction": 0.4,
    "training.regularization": 0.2,
    "training.coupling": 0.7,
    "levels.easy.irrelevant_variance": 0.2,
    "levels.hard.irrelevant_variance": 1.5,
    "protocol.duration": 1.2,
}


def case(**changes: object) -> cu.Experiment:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return cu.load("batch-perceptron").replace({**CASE, **named})


def final(experiment: cu.Experiment) -> np.ndarray:
    """(R, Q_rel, Q_irr) after the last slice."""
    trajectory = cu.state_evolution(experiment)
    assert trajectory.success, trajectory.status
    return np.array([trajectory.M[-1, 0, 0, 0], *trajectory.Q[-1, :, 0, 0]])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("gamma", [0.05, 2.0])
def test_one_squared_slice_is_ridge_regression_on_sign_labels(alpha: float, gamma: float) -> None:
    """Marchenko and Pastur: m = tr (A + gamma)^-1 / D of A = X'X / D solves gamma m^2 + (gamma + alpha - 1) m = 1.

    A sign is sqrt(2 / pi) nu plus noise of variance 1 - 2 / pi that no linear function sees.
    """
    m = (1 - gamma - alpha + np.sqrt((gamma + alpha - 1) ** 2 + 4 * gamma)) / (2 * gamma)
    m2 = (m * m + m) / (2 * gamma * m + gamma + alpha - 1)  # -dm/dgamma = tr (A + gamma)^-2 / D
    R = np.sqrt(2 / np.pi) * (1 - gamma * m)
    Q = 2 / np.pi * (1 - 2 * gamma * m + gamma**2 * m2) + (1 - 2 / np.pi) * (m - gamma * m2)
    one = {"training.loss": "squared", "training.regularization": gamma, "protocol.duration": alpha, "protocol.order": "hard-only"}
    isotropic = case().replace({**one, "levels.hard.irrelevant_variance": 1.0})
    found = final(isotropic)
    assert found[0] == pytest.approx(R, rel=1e-9)
    assert found[1] + found[2] == pytest.approx(Q, rel=1e-9)
    # No blocks at all is the same thing.
    tables = isotropic.to_dict()
    tables["task"]["relevant_fraction"] = 1.0
    for level in tables["levels"].values():
        del level["irrelevant_variance"]
    plain = cu.state_evolution(cu.Experiment.from_dict(tables))
    assert (plain.M[0, 0, 0], plain.Q[0, 0, 0]) == pytest.approx((R, Q), rel=1e-9)
    error = np.arccos(R / np.sqrt(Q)) / np.pi
    assert plain.classification_error[0] == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("loss", BATCH_LOSSES)
@pytest.mark.parametrize("order", ["curriculum", "anti-curriculum"])
class TestLimits:
    def test_uncoupled_slices_forget(self, loss: str, order: str) -> None:
        """Without coupling the last slice is all that counts."""
        both = case(training__loss=loss, protocol__order=order, training__coupling=0.0)
        last = "hard" if order == "curriculum" else "easy"
        alone = both.replace({"protocol.order": f"{last}-only", "protocol.duration": 0.6})
        assert final(both) == pytest.approx(final(alone), rel=1e-8)

    def test_strong_coupling_keeps_the_first_slice(self, loss: str, order: str) -> None:
        strong = cu.state_evolution(case(training__loss=loss, protocol__order=order, training__coupling=1e7))
        assert strong.success
        assert strong.Q[1] == pytest.approx(strong.Q[0], rel=1e-5)
        assert strong.M[1] == pytest.approx(strong.M[0], rel=1e-5)

    def test_no_examples_no_knowledge(self, loss: str, order: str) -> None:
        few = cu.state_evolution(case(training__loss=loss, protocol__order=order, protocol__duration=1e-7))
        assert few.classification_error == pytest.approx(0.5, abs=1e-3)

    def test_many_examples_find_the_teacher(self, loss: str, order: str) -> None:
        many = cu.state_evolution(case(training__loss=loss, protocol__order=order, protocol__duration=3e4))
        assert many.classification_error[-1] < 0.01


@pytest.mark.parametrize("loss", BATCH_LOSSES)
def test_symmetries(loss: str) -> None:
    """Levels of one difficulty are one level; a split pooled slice is one; a relevant block of variance Delta = 1 is any block."""
    same = {"levels.easy.irrelevant_variance": 1.0, "levels.hard.irrelevant_variance": 1.0}
    pooled = case(training__loss=loss, protocol__order="random").replace(same)
    single = pooled.replace({"protocol.order": "hard-only"})
    assert final(pooled) == pytest.approx(final(single), rel=1e-8)
    orders = [final(case(training__loss=loss, protocol__order=order).replace(same)) for order in ("curriculum", "anti-curriculum")]
    assert orders[0] == pytest.approx(orders[1], rel=1e-8)
    # The scale of the teacher is no part of its labels.
    double = case(training__loss=loss).replace({"task.teacher_overlap": [[4.0]]})
    assert final(double) == pytest.approx(final(case(training__loss=loss)) * [2.0, 1.0, 1.0], rel=1e-8)
    # Without irrelevant variance in the last slice, an uncoupled student has no weights there.
    blind = case(training__loss=loss, protocol__order="anti-curriculum", training__coupling=0.0)
    assert final(blind.replace({"levels.easy.irrelevant_variance": 0.0}))[2] == 0.0


def test_three_slices_and_lists_of_strengths() -> None:
    tables = case().to_dict()
    tables["levels"] = {
        "easy": {"share": 0.3, "irrelevant_variance": 0.0},
        "mid": {"share": 0.3, "irrelevant_variance": 0.5},
        "hard": {"irrelevant_variance": 1.0},
    }
    tables["training"] |= {"regularization": [0.3, 0.2, 0.1], "coupling": [1.0, 2.0]}
    trajectory = cu.state_evolution(cu.Experiment.from_dict(tables))
    assert trajectory.Q.shape == (3, 2, 1, 1)
    assert trajectory.t == pytest.approx([0.36, 0.72, 1.2])
    frame = trajectory.to_frame()
    assert frame["regularization"].tolist() == [0.3, 0.2, 0.1]
    assert frame["coupling"].tolist() == [0.0, 1.0, 2.0]
    assert (frame["error_at_easy"] < frame["error_at_hard"])[1:].all()
    assert frame["error_at_hard"].to_numpy() == pytest.approx(trajectory.classification_error)


@pytest.mark.parametrize("loss", BATCH_LOSSES)
def test_random_settings_converge_with_a_certificate(loss: str, rng: np.random.Generator) -> None:
    for _ in range(25):
        experiment = case(
            training__loss=loss,
            task__relevant_fraction=float(rng.uniform(0.05, 0.95)),
            protocol__order=str(rng.choice(["curriculum", "anti-curriculum", "random"])),
            protocol__duration=float(10 ** rng.uniform(-2, 1.5)),
            training__regularization=float(10 ** rng.uniform(-3, 3)),
            training__coupling=float(10 ** rng.uniform(-3, 4)),
            levels__hard__irrelevant_variance=float(10 ** rng.uniform(-1, 1.5)),
        )
        trajectory = cu.state_evolution(experiment)
        assert trajectory.success, trajectory.status
        assert max(trajectory.statistics["residual"]) <= 1e-10
        assert trajectory.statistics["quadrature"] < 1e-9


def test_a_fixed_point_that_is_not_reached_is_told() -> None:
    trajectory = cu.state_evolution(case(), most=2)
    assert not trajectory.success
    assert "slice 1 of 2 did not converge" in trajectory.status
    assert trajectory.t.size == 0
    assert len(trajectory.to_frame()) == 0


def test_acceleration_finds_what_plain_steps_do_not() -> None:
    """A map whose plain iteration diverges, and one without a fixed point."""
    found = fixed_point(lambda x: 1.0 - 3.0 * x, np.array([0.9]))
    assert found.converged
    assert found.x == pytest.approx([0.25])
    assert not fixed_point(lambda x: x + 1.0, np.array([0.0]), most=50).converged


@pytest.mark.slow
def test_optimal_strengths_are_not_beaten() -> None:
    for loss in BATCH_LOSSES:
        for order in ("curriculum", "anti-curriculum", "random"):
            base = case(training__loss=loss, protocol__order=order)
            every = {"training.regularization": "optimal", "training.coupling": "optimal"}
            best = cu.state_evolution(base.replace(every))
            assert "least test error at regularization of slice 1" in best.status
            least = best.classification_error[-1]
            some = [cu.state_evolution(base.replace({name: "optimal"})).classification_error[-1] for name in every]
            grid = [
                cu.state_evolution(base.replace({"training.regularization": g, "training.coupling": c})).classification_error[-1]
                for g in (0.01, 0.1, 1.0)
                for c in (0.1, 1.0)
            ]
            assert least <= min(some + grid) + 2e-5


@pytest.mark.slow
def test_no_coupling_no_gain_and_a_gain_with_it() -> None:
    """2106.08068: uncoupled, no order beats pooling; coupled, the curriculum does by far, and the anti-curriculum less."""
    base = cu.load("batch-perceptron").replace({"training.regularization": "optimal"})
    error = {
        (order, coupling): cu.state_evolution(
            base.replace({"protocol.order": order, "training.coupling": coupling})
        ).classification_error[-1]
        for order in ("curriculum", "anti-curriculum", "random")
        for coupling in (0.0, "optimal")
    }
    pooled = error["random", 0.0]
    assert min(error["curriculum", 0.0], error["anti-curriculum", 0.0]) > pooled
    assert error["curriculum", "optimal"] < pooled - 0.02
    assert error["curriculum", "optimal"] < error["anti-curriculum", "optimal"] < pooled


@pytest.mark.parametrize(("loss", "limit"), [("squared", 0.005), ("logistic", 0.05), ("hinge", 0.05)])
def test_a_point_is_fast(loss: str, limit: float) -> None:
    experiment = case(training__loss=loss)
    cu.state_evolution(experiment)
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        cu.state_evolution(experiment)
        times.append(time.perf_counter() - begin)
    assert min(times) < limit


BAD = [
    (dict(training__loss="absolute"), "loss 'absolute' is unknown; allowed: squared, logistic, hinge"),
    (dict(training__kind="batches"), "training.kind 'batches' is unknown .*online-sgd, batch-slices"),
    (dict(training__regularization=-0.1), "regularization = -0.1 is not allowed; give a number from 0"),
    (dict(training__coupling=[1.0, -2.0]), r"coupling = \[1.0, -2.0\] is not allowed"),
    (dict(training__coupling="best"), "coupling = 'best' is not allowed; .* or \"optimal\""),
    (dict(training__regularization=True), "regularization = True is not allowed"),
    (
        dict(training__regularization=[0.1]),
        r"regularization has 1 numbers, but this order learns 2 slice\(s\) and needs 2",
    ),
    (dict(training__coupling=[1.0], protocol__order="random"), r"learns 1 slice\(s\) and needs 0"),
    (dict(training__learning_rate=1.0), "'learning_rate' is unknown"),
    (dict(protocol__duration=0.0), "duration = 0.0 is not allowed; it must be greater than 0"),
    (dict(student__width=2), "is for a linear student: student.width = 1"),
    (dict(student__activation="erf"), "is for a linear student"),
    (dict(student__readout="trained"), "is for a linear student"),
    (dict(task__teacher_activation="erf"), 'is for a perceptron: task.kind = "teacher-student"'),
    (dict(task__teacher_width=2), "is for a perceptron"),
    (dict(levels__easy__noise=0.2), "has 'noise', which a teacher-student does not know"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=range(len(BAD)))
def test_each_mistake_gets_one_sentence(changes: dict, message: str) -> None:
    with pytest.raises(cu.InputError, match=message) as caught:
        case(**changes)
    assert "\n" not in str(caught.value)


NOT_UNIQUE = [
    (dict(training__loss="logistic", training__regularization=0.0), "slice 1 has regularization 0: the teacher itself separates"),
    (dict(training__loss="hinge", training__regularization=[0.1, 0.0], training__coupling=0.0), "slice 2 has .* and coupling 0: "),
    (dict(training__regularization=0.0, training__coupling="optimal"), "slice 1 has regularization 0: the teacher itself"),
    (dict(training__loss="squared", training__regularization=0.0), "0.6 D examples for D weights: the minimum is not unique"),
    (
        dict(training__loss="squared", training__regularization=0.0, protocol__duration=6.0, levels__easy__irrelevant_variance=0.0),
        "only 0 D examples see the 0.6 D inputs of block 1",
    ),
]


@pytest.mark.parametrize(("changes", "message"), NOT_UNIQUE, ids=range(len(NOT_UNIQUE)))
def test_a_minimum_that_is_not_unique_is_refused(changes: dict, message: str) -> None:
    experiment = case(**changes)
    for solve in (cu.state_evolution, lambda e: cu.minimize(e, dimension=50, runs=2)):
        with pytest.raises(cu.InputError, match=message):
            solve(experiment)


def test_least_squares_need_no_regularization_with_enough_examples() -> None:
    """gamma = 0 and alpha > 1: w is unbiased for sqrt(2 / pi) w_T, with excess (1 - 2 / pi) / (alpha - 1)."""
    found = final(
        case(training__loss="squared", training__regularization=0.0, protocol__order="hard-only", protocol__duration=3.0).replace(
            {"levels.hard.irrelevant_variance": 1.0}
        )
    )
    assert found[0] == pytest.approx(np.sqrt(2 / np.pi), rel=1e-8)
    assert found[1] + found[2] == pytest.approx(2 / np.pi + (1 - 2 / np.pi) / 2.0, rel=1e-8)


def test_online_and_batch_do_not_mix() -> None:
    batch, online = cu.load("batch-perceptron"), cu.load("perceptron-curriculum")
    for refused in (
        lambda: cu.integrate(batch, batch.initial(100)),
        lambda: cu.simulate(batch, dimension=100),
        lambda: cu.observe(batch, dimension=100, runs=2, observables=["classification_error"]),
    ):
        with pytest.raises(cu.InputError, match="use state_evolution for its theory and minimize for its simulation"):
            refused()
    for refused in (lambda: cu.state_evolution(online), lambda: cu.minimize(online, dimension=100)):
        with pytest.raises(cu.InputError, match="learns online, not in slices"):
            refused()
    for options, message in ((dict(tolerance=0.0), "tolerance = 0.0 is not allowed"), (dict(most=0), "most = 0 is not allowed")):
        with pytest.raises(cu.InputError, match=message):
            cu.state_evolution(batch, **options)
    with pytest.raises(cu.InputError, match="give a curriculode"):
        cu.state_evolution("batch-perceptron")  # type: ignore[arg-type]
