"""What examples are worth and the best orders, against central differences, brute force and the numbers of Mignacco & Mori.

The perceptron of arXiv 2507.07907: eta 3, Delta 0 and 2, half of the examples easy, t = 6 (its alpha = 12), from Q = (1/2, 1/2),
M = 0; the mean error of both levels at the end.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.control.objective import Objective
from curriculode.theory.control.passes import Path as Course
from curriculode.theory.control.schedule import Schedule
from curriculode.theory.control.search import Search, _TooLong
from curriculode.theory.control.singular import singular_arc
from curriculode.theory.dynamics.online import packed
from curriculode.theory.dynamics.setting import Setting

BOTH = {"classification_error": {"easy": 0.5, "hard": 0.5}}
SETTINGS = {"training.learning_rate": 3.0, "levels.hard.irrelevant_variance": 2.0, "protocol.duration": 6.0}
PERCEPTRON = cu.load("perceptron-curriculum").replace(SETTINGS)
START = cu.OrderParameters(np.full((2, 1, 1), 0.5), np.zeros((2, 1, 1)), np.ones(1))
XOR = cu.load("xor-curriculum").replace({"protocol.duration": 4.0, "student.width": 3})


@cache
def optimum() -> cu.Optimum:
    return cu.optimize(PERCEPTRON, stages=12, starts=START, objective=BOTH, iterations=60, rtol=1e-3)


@pytest.mark.parametrize(("order", "error"), [("curriculum", 0.155862), ("anti-curriculum", 0.162820), ("random", 0.152777)])
def test_errors_of_the_orders_of_mignacco_and_mori(order: str, error: float) -> None:
    found = cu.worth(PERCEPTRON.replace({"protocol.order": order}), START, objective=BOTH, intervals=1)
    assert found.value[0] == pytest.approx(error, abs=1.5e-6)


@pytest.mark.parametrize("objective", ["generalization_error", "classification_error"])
@pytest.mark.parametrize("average", [False, True])
def test_worth_is_the_central_difference_of_the_objective(objective: str, average: bool) -> None:
    """Of a schedule that is mixed everywhere, by p and eta of a stretch, through all steps."""
    setting, wanted = Setting.of(XOR), Objective.of(XOR, {objective: {"easy": 0.3, "hard": 1.0}}, average)
    course = Course(setting, wanted, XOR.initial(dimension=100), cu.Numerics(points=64), 0.5)
    own = Schedule.of(setting).finer(3)
    schedule = Schedule(own.edges, 0.8 * own.probability + 0.1, np.linspace(1.0, 2.0, own.eta.size))
    found = course.sensitivity(schedule)
    assert found is not None
    assert found.value == pytest.approx(course.value(schedule), rel=1e-12)
    for n in (0, 2):
        for level in (0, 1):
            change = np.zeros_like(schedule.probability)
            change[n, level] = 1e-4
            ends = [course.value(Schedule(own.edges, schedule.probability + s * change, schedule.eta)) for s in (1, -1)]
            assert found.probability[n, level] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-6, abs=1e-10)
        change = 1e-4 * np.eye(own.eta.size)[n]
        ends = [course.value(Schedule(own.edges, schedule.probability, schedule.eta + s * change)) for s in (1, -1)]
        assert found.eta[n] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-6, abs=1e-10)


def test_weight_decay_is_worth_its_central_difference() -> None:
    decayed = PERCEPTRON.replace({"training.weight_decay": 0.1})
    found = cu.worth(decayed, START, objective=BOTH, intervals=6)
    ends = [
        cu.worth(decayed.replace({"training.weight_decay": k}), START, objective=BOTH, intervals=6).value for k in (0.101, 0.099)
    ]
    difference = float((ends[0] - ends[1])[0]) / 0.002
    assert float(found.weight_decay[0] @ found.length) == pytest.approx(difference, rel=1e-5)


def test_swapping_examples_of_two_times_changes_the_error_as_they_are_worth() -> None:
    """dt/D ... of easy examples go from early to late: the error of the plan that is written out, integrated."""
    found = cu.worth(PERCEPTRON.replace({"protocol.order": "random"}), START, objective=BOTH, intervals=6)
    p, move = np.full(6, 0.5), 1e-3
    changes = np.array([-move, 0, 0, 0, 0, move])

    def error(sign: float) -> float:
        plan = [{"share": 1 / 6, "probability": {"easy": x, "hard": 1 - x}} for x in p + sign * changes]
        staged = PERCEPTRON.replace({"protocol.order": "stages", "protocol.plan": plan})
        trajectory = cu.integrate(staged, START, rtol=1e-11, times=2)
        return 0.5 * sum(float(trajectory.errors(level)[1][-1]) for level in ("easy", "hard"))

    expected = float(((found.worth[0, :, 0] - found.worth[0, :, 1]) * found.length * changes).sum())
    assert (error(1) - error(-1)) / 2 == pytest.approx(expected, rel=1e-4)


def test_the_optimal_order_of_the_perceptron() -> None:
    """Easy, hard, mixed, easy: .146867 in 12 stages, .146844 in 50 and in 100."""
    best = optimum()
    assert best.value == pytest.approx(0.146867, abs=2e-6)
    easy = best.probability[:, 0]
    assert easy[:2].min() > 0.99
    assert easy[3:6].max() < 0.01
    assert easy[-3:].min() > 0.99
    assert ((easy[6:9] > 0.02) & (easy[6:9] < 0.98)).any()
    # Every search ends there, and the examples are those of the other orders.
    values = list(best.statistics["values_of_beginnings"].values())
    assert np.ptp(values) < 1e-6 * 12
    assert best.statistics["budget_error"] < 1e-9
    staged = [stage.share * stage.probability.get("easy", 0.0) for stage in best.experiment.protocol.plan]
    assert sum(staged) == pytest.approx(0.5, abs=1e-9)
    frame = best.to_frame().set_index("protocol")
    assert frame.loc["curriculum", "gain"] == pytest.approx(0.155862 - best.value, abs=2e-6)
    # No step of a stage to a stage lowers the error further: the condition of optimal control, at fixed budget.
    found = cu.worth(best.experiment, START, objective=BOTH, intervals=12)
    gap, at = found.worth[0, :, 0] - found.worth[0, :, 1], found.probability[:, 0]
    inside = (at > 0.02) & (at < 0.98)
    multiplier = gap[inside].mean()
    assert np.abs(gap[inside] - multiplier).max() < 1e-3 * np.ptp(gap)
    assert (gap[at > 0.99] <= multiplier + 1e-6).all()
    assert (gap[at < 0.01] >= multiplier - 1e-6).all()


def test_the_nearest_pure_stages_lose_little() -> None:
    best = optimum()
    pure = best.bang_bang()
    assert [next(iter(stage.probability)) for stage in pure.protocol.plan] == ["easy", "hard", "easy"]
    assert sum(s.share for s in pure.protocol.plan if "easy" in s.probability) == pytest.approx(0.5, abs=1e-9)
    trajectory = cu.integrate(pure, START, times=2)
    error = 0.5 * sum(float(trajectory.errors(level)[1][-1]) for level in ("easy", "hard"))
    assert best.value < error < best.value + 1e-4
    np.testing.assert_allclose(best.switching_times, [1.5, 4.5], atol=0.3)


def test_a_free_rate_lowers_the_error_of_the_curriculum() -> None:
    """The issue's .10838 needs many stages; six already are far below the .155862 of the constant rate."""
    best = cu.optimize(PERCEPTRON, "learning_rate", stages=6, starts=START, objective=BOTH, iterations=25, rtol=1e-3)
    assert 0.1083 < best.value < 0.115
    assert best.learning_rate[-1] < 1.5 < best.learning_rate[0]
    assert all(stage.learning_rate is not None for stage in best.experiment.protocol.plan)


def test_order_and_rate_together_come_to_the_end_of_the_search() -> None:
    """With a free rate mixing is never better, and easy-to-hard is best: what the rates of that order alone find."""
    both = cu.optimize(PERCEPTRON, ["order", "learning_rate"], stages=4, starts=START, objective=BOTH, rtol=1e-3)
    alone = cu.optimize(PERCEPTRON, "learning_rate", stages=4, starts=START, objective=BOTH, rtol=1e-3)
    assert both.success
    assert both.statistics["converged"][both.statistics["beginning"]]
    assert "converged" not in both.status
    # To first order no exchange of examples and no rate promises more.
    assert both.statistics["promise"]["order"] < 1e-8
    assert both.statistics["promise"]["learning_rate"] < 1e-4 * both.value
    np.testing.assert_allclose(both.probability[:, 0], [1, 1, 0, 0], atol=1e-6)
    assert both.value == pytest.approx(alone.value, rel=1e-5)
    assert both.best_order == "easy to hard" or both.value < both.to_frame()["value"][1]
    # No protocol nearby, integrated as it is written, is better by more than the error of the steps.
    rng = np.random.default_rng(0)
    for _ in range(8):
        move = 0.05 * rng.uniform(size=2)
        p = both.probability[:, 0] + np.array([-move[0], -move[1], move[1], move[0]])
        eta = both.learning_rate * np.exp(0.05 * rng.normal(size=4))
        plan = [
            {"share": 0.25, "probability": {"easy": x, "hard": 1 - x}, "learning_rate": rate}
            for x, rate in zip(p, eta, strict=True)
        ]
        staged = PERCEPTRON.replace({"protocol.order": "stages", "protocol.plan": plan})
        trajectory = cu.integrate(staged, START, times=2)
        assert 0.5 * sum(float(trajectory.errors(level)[1][-1]) for level in ("easy", "hard")) > both.value - 1e-5


def test_a_search_that_runs_out_of_iterations_says_so() -> None:
    best = cu.optimize(PERCEPTRON, stages=6, starts=START, objective=BOTH, rtol=1e-3, iterations=1)
    assert "had not converged after 1 iterations: allow more" in best.status
    assert best.statistics["promise"]["order"] > 1e-5


def test_steps_are_short_enough_for_every_start() -> None:
    """Beside a start on a plateau one whose equations are stiff: steps of its own."""
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 12.0, "student.width": 2, "training.learning_rate": 4.0})
    starts = [experiment.initial(dimension, 0, 3) for dimension in (2000, 20)]
    found = cu.worth(experiment, starts, intervals=2, points=64, rtol=1e-3)
    exact = [cu.integrate(experiment, start, times=2, points=64, rtol=1e-8).generalization_error[-1] for start in starts]
    assert exact[0] - exact[1] > 0.01
    np.testing.assert_allclose(found.value, exact, rtol=3e-3)


def test_steps_that_are_too_long_are_no_divergence() -> None:
    """A rate at which the steps of the beginning are unstable: they become shorter, and the step of the search is not refused."""
    linear = PERCEPTRON.replace({"student.activation": "linear", "task.teacher_activation": "linear"})
    setting = Setting.of(linear)
    course = Course(setting, Objective.of(linear, "generalization_error"), START, cu.Numerics(), 6.0)
    slow = Schedule.of(setting)
    stable = Schedule(slow.edges, slow.probability, np.full(2, 0.9))
    search = Search([course], order=False, rates=True, bounds=(0.01, 100.0), margin=0.05, allowed=1e-3)
    fast = Course(setting, course.objective, START, cu.Numerics(), 0.01)
    assert np.isfinite(fast.value(stable))
    assert abs(course.value(stable) / fast.value(stable) - 1.0) > 0.1
    while search._shorten(stable):
        pass
    assert course.value(stable) == pytest.approx(fast.value(stable), rel=2e-3)
    course.step = 6.0
    above = fast._forward(Schedule(slow.edges, slow.probability, np.full(2, 0.945)))
    assert above is not None
    largest = max(float(np.abs(y).max()) for stretch in above for _, y in stretch)
    course._limit = 1.2 * largest  # beyond it the states of long steps count as diverged
    assert not np.isfinite(course.value(stable))
    with pytest.raises(_TooLong):
        search._sensitivity(stable)
    assert np.isfinite(course.value(stable))


def test_the_share_on_a_singular_arc() -> None:
    """With p = p* the second derivative of the gap of worths vanishes: measured on state and costate a little earlier and later."""
    order = PERCEPTRON.replace(
        {
            "protocol.order": "stages",
            "protocol.plan": [
                {"share": 0.25, "probability": {"easy": 1.0}},
                {"share": 0.5, "probability": {"easy": 0.05, "hard": 0.95}},
                {"share": 0.25, "probability": {"easy": 0.9, "hard": 0.1}},
            ],
        }
    )
    setting, wanted = Setting.of(order), Objective.of(order, BOTH)
    course = Course(setting, wanted, START, cu.Numerics(), 0.05)
    schedule = Schedule.of(setting).finer(6)
    found = course.sensitivity(schedule)
    assert found is not None
    y, costate = found.states[5], found.costates[5]
    arc = singular_arc(course, y, costate, 3.0)
    assert 0.02 < arc.share < 0.5
    rates = course.rates(3.0)

    def slopes(p: float) -> tuple[float, float]:
        """s' and s'' of the gap s by differences of the equations of state and costate, with p of the first level."""
        mix = np.array([p, 1.0 - p])

        def derivative(z: np.ndarray) -> np.ndarray:
            here, back = np.split(z, 2)
            return np.concatenate([course.along(mix, rates).rate(0.0, here), -course.costates.pull(here, back, mix, rates).state])

        def gap(z: np.ndarray) -> float:
            here, back = np.split(z, 2)
            levels = course.costates.pull(here, back, mix, rates).levels
            return float(levels[0] - levels[1])

        h, z = 0.02, np.concatenate([y, costate])
        ends = [z]
        for sign in (1.0, -1.0):
            s = sign * h
            k1 = derivative(z)
            k2 = derivative(z + 0.5 * s * k1)
            k3 = derivative(z + 0.5 * s * k2)
            ends.append(z + s / 6.0 * (k1 + 2 * k2 + 2 * k3 + derivative(z + s * k3)))
        here, after, before = (gap(each) for each in ends)
        return (after - before) / (2.0 * h), (after - 2.0 * here + before) / h**2

    assert arc.kelley < 0.0
    assert slopes(arc.share)[0] == pytest.approx(arc.slope, rel=1e-3)
    scale = abs(slopes(arc.share + 0.5)[1])
    assert scale == pytest.approx(0.5 * abs(arc.kelley), rel=1e-2)
    assert abs(slopes(arc.share)[1]) < 1e-2 * scale


def test_the_number_of_mignacco_and_mori_is_that_of_their_euler_loop() -> None:
    """Their .14668 is the end of 240 steps of Euler's rule of .05 in their alpha, 119 of them easy, with weights 120/241 and
    121/241 of the levels' errors; by the equations themselves, and equal weights, their protocol ends at .14699.
    """
    runs = [53, 1, 1, 1, 1, 87, 2, 4, 1, 28, 61]  # of easy and hard in turn
    course = Course(Setting.of(PERCEPTRON), Objective.of(PERCEPTRON, BOTH), START, cu.Numerics(), 1.0)
    steps = [i % 2 for i, length in enumerate(runs) for _ in range(length)]
    assert (len(steps), steps.count(0)) == (240, 119)
    fields = [course.along(p, course.rates(3.0)) for p in np.eye(2)]
    y = packed(course.setting, START)
    for level in steps:
        y = y + 0.025 * fields[level].rate(0.0, y)
    theirs = Objective.of(PERCEPTRON, {"classification_error": {"easy": 120 / 241, "hard": 121 / 241}})
    assert theirs.value_and_gradient(course.costates, y)[0] == pytest.approx(0.1466824690, abs=1e-9)
    edges = np.concatenate([[0.0], np.cumsum(0.025 * np.array(runs))])
    pure = np.eye(2)[np.arange(len(runs)) % 2]
    fine = Course(course.setting, course.objective, START, cu.Numerics(), 0.025)
    exact = fine.value(Schedule(edges, pure, np.full(len(runs), 3.0)))
    assert exact == pytest.approx(0.146987, abs=2e-6)
    assert optimum().value < exact - 1e-4


def test_two_stages_against_every_share() -> None:
    """One free number: how many of the easy examples come in the first half; the search finds the best of a grid."""
    best = cu.optimize(PERCEPTRON, stages=2, starts=START, objective=BOTH, rtol=1e-3)
    errors = {}
    for first in np.linspace(0.0, 1.0, 21):
        plan = [{"share": 0.5, "probability": {"easy": x, "hard": 1 - x}} for x in (first, 1 - first)]
        staged = PERCEPTRON.replace({"protocol.order": "stages", "protocol.plan": plan})
        trajectory = cu.integrate(staged, START, times=2)
        errors[first] = 0.5 * sum(float(trajectory.errors(level)[1][-1]) for level in ("easy", "hard"))
    assert best.value <= min(errors.values()) + 1e-8
    assert abs(best.probability[0, 0] - min(errors, key=lambda x: errors[x])) <= 0.05


def test_three_levels_keep_their_budgets() -> None:
    levels = [
        cu.Level("easy", share=0.3, irrelevant_variance=0.0),
        cu.Level("middle", share=0.3, irrelevant_variance=0.5),
        cu.Level("hard", irrelevant_variance=2.0),
    ]
    protocol = cu.Protocol(order="curriculum", duration=4.0, levels=levels)
    three = cu.Experiment(task=PERCEPTRON.task, student=PERCEPTRON.student, training=PERCEPTRON.training, protocol=protocol)
    best = cu.optimize(three, stages=4, starts=START, objective="classification_error", iterations=8, rtol=1e-3)
    np.testing.assert_allclose(best.length @ best.probability / 4.0, [0.3, 0.3, 0.4], atol=1e-9)
    assert best.value < best.to_frame()["value"][1:4].min()


def test_the_classical_orders_are_within_the_search() -> None:
    """Two stages of a half each could not hold a tenth of easy examples first; its own end is added."""
    few = PERCEPTRON.replace({"levels.easy.share": 0.1})
    best = cu.optimize(few, stages=2, starts=START, objective=BOTH, iterations=4, rtol=1e-3)
    np.testing.assert_allclose(np.cumsum(best.length), [0.6, 3.0, 5.4, 6.0])
    assert best.value <= best.to_frame()["value"][1:4].min() + 1e-6


def test_divergence_is_a_refusal_of_the_step() -> None:
    """Rates may go where the equations blow up; the search turns back."""
    linear = PERCEPTRON.replace(
        {"student.activation": "linear", "training.learning_rate": 1.0, "task.teacher_activation": "linear"}
    )
    best = cu.optimize(linear, "learning_rate", stages=2, starts=START, bounds=(0.01, 1000.0), iterations=6, rtol=1e-3)
    assert np.isfinite(best.values[0]).all()
    assert best.value < best.to_frame()["value"][1]


def test_ctrl_c_keeps_the_best_so_far() -> None:
    told: list[float] = []

    def interrupt(fraction: float) -> None:
        told.append(fraction)
        if len(told) == 8:
            raise KeyboardInterrupt

    best = cu.optimize(
        PERCEPTRON, stages=6, starts=START, objective=BOTH, rtol=1e-3, progress=lambda f: interrupt(f) if f < 1 else None
    )
    assert best.interrupted
    assert not best.success
    assert best.status.startswith("interrupted: the best so far")
    assert best.value < 0.155862
    assert best.statistics["budget_error"] < 1e-9


def test_records_are_saved_and_drawn(tmp_path: Path) -> None:
    best = optimum()
    assert cu.load_record(best.save(tmp_path / "best.npz")) == best
    loaded = cu.load_record(tmp_path / "best.npz")
    assert loaded.to_frame().equals(best.to_frame())  # type: ignore[attr-defined]
    assert best.plot().get_ylabel() == "share of easy examples"
    starts = [PERCEPTRON.initial(1000, 0, number) for number in range(2)]
    found = cu.worth(PERCEPTRON, starts, objective=BOTH, intervals=4)
    assert cu.load_record(found.save(tmp_path / "worth.npz")) == found
    assert len(found.plot().collections) == 2  # bands
    assert list(found.to_frame()["worth_easy"]) == list(found.mean("easy"))


MISTAKES = [
    (lambda: cu.worth(PERCEPTRON, START, objective="error"), "objective 'error' is unknown"),
    (
        lambda: cu.worth(PERCEPTRON, START, objective={"classification_error": {"eazy": 1.0}}),
        r"objective: level 'eazy' is unknown \(did",
    ),
    (lambda: cu.worth(PERCEPTRON, START, objective={"classification_error": {"easy": -1.0}}), "weight -1.0 of easy is not allowed"),
    (lambda: cu.worth(PERCEPTRON, START, objective=3), "objective = 3 is not allowed; give the name of an error"),
    (lambda: cu.worth(PERCEPTRON, []), r"start = \[\] is not allowed; give one start"),
    (lambda: cu.worth(PERCEPTRON, START, intervals=0), "intervals = 0 is not allowed"),
    (lambda: cu.worth(cu.load("batch-perceptron"), START), "has no online dynamics"),
    (lambda: cu.optimize(PERCEPTRON, ["orders"], starts=START), r"control 'orders' is unknown \(did you mean 'order'"),
    (lambda: cu.optimize(PERCEPTRON, [], starts=START), r"control = \[\] is not allowed"),
    (lambda: cu.optimize(PERCEPTRON, starts=START, bounds=(1.0, 0.5)), r"bounds = \[1.0, 0.5\] are not allowed"),
    (lambda: cu.optimize(PERCEPTRON, starts=START, stages=0), "stages = 0 is not allowed"),
]


@pytest.mark.parametrize(("call", "words"), MISTAKES, ids=[words[:30] for _, words in MISTAKES])
def test_mistakes_are_one_sentence(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(cu.InputError, match=words) as told:
        call()
    assert "\n" not in str(told.value)
