"""Protocols that are written out stage by stage, and levels, blocks and laws as values of their own."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.dynamics.setting import Setting

LEVELS = [cu.Level("easy", share=0.25, noise=0.2), cu.Level("hard", share=0.75, noise=0.6)]
MIXED = [cu.Stage(share=1, probability={"easy": 0.25, "hard": 0.75})]
CURRICULUM = [cu.Stage(share=0.25, probability={"easy": 1.0}), cu.Stage(share=0.75, probability={"hard": 1.0})]


def experiment(plan=CURRICULUM, order: str = "stages", **training) -> cu.Experiment:  # type: ignore[no-untyped-def]
    return cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=3, activation="gelu", readout_scale=0.5),
        training=cu.OnlineSGD(**{"learning_rate": 1.5, **training}),
        protocol=cu.Protocol(order=order, duration=8.0, levels=LEVELS, plan=plan),
    )


@pytest.mark.parametrize(
    ("order", "plan"),
    [
        ("curriculum", CURRICULUM),
        ("anti-curriculum", CURRICULUM[::-1]),
        ("random", MIXED),
    ],
)
def test_the_orders_are_plans(order: str, plan: list[cu.Stage]) -> None:
    """Written out, an order is the same experiment: the same theory, and the same bits of the simulation."""
    named, written = experiment(order=order), experiment(plan)
    start = named.initial(dimension=100)
    assert np.array_equal(cu.integrate(named, start, points=64).Q, cu.integrate(written, start, points=64).Q)
    options = dict(dimension=100, runs=3, start=start, times=5)
    for space in ("overlap", "weight"):
        assert np.array_equal(cu.simulate(named, space=space, **options).Q, cu.simulate(written, space=space, **options).Q)


def test_a_stage_has_its_own_rate() -> None:
    """The readout's rate keeps its ratio; a stage at rate zero leaves everything as it is; twice the rate is twice the rate."""
    frozen = experiment([CURRICULUM[0], cu.Stage(share=0.75, probability={"hard": 1.0}, learning_rate=0.0)])
    start = frozen.initial(dimension=200)
    theory = cu.integrate(frozen, start, times=[0.0, 2.0, 5.0, 8.0], points=64)
    assert np.array_equal(theory.Q[1], theory.Q[3])
    assert not np.array_equal(theory.Q[0], theory.Q[1])
    runs = cu.simulate(frozen, dimension=200, runs=2, start=start, times=[0.0, 2.0, 8.0])
    assert runs.v[:, 1] == pytest.approx(runs.v[:, 2], abs=1e-12)
    fast = experiment([cu.Stage(share=1, probability={"hard": 1.0}, learning_rate=3.0)], readout_learning_rate=0.5)
    assert Setting.of(fast).stages[0].rates == (3.0, 1.0, 0.0)
    other = experiment(order="hard-only", learning_rate=3.0, readout_learning_rate=1.0)
    assert pytest.approx(cu.integrate(other, start, points=64).Q, abs=1e-12) == cu.integrate(fast, start, points=64).Q


def test_a_plan_is_compared_like_any_order() -> None:
    plan = [
        cu.Stage(share=0.3, probability={"easy": 0.5, "hard": 0.5}, learning_rate=2.5),
        cu.Stage(share=0.5, probability={"hard": 1.0}),
        cu.Stage(share=0.2, probability={"easy": 1.0}, learning_rate=0.5),
    ]
    comparison = cu.compare(experiment(plan), dimension=3000, runs=32, points=256, times=6)
    assert comparison.agrees, comparison.verdict()
    assert comparison.cells[0].found["learning_rate"] < 0.1


def test_files_hold_plans() -> None:
    written = experiment(
        [cu.Stage(share=0.5, probability={"easy": 1.0}, learning_rate=3.0), cu.Stage(share=0.5, probability={"hard": 1.0})]
    )
    assert cu.Experiment.from_toml(written.to_toml()) == written
    assert "[[protocol.plan]]" in written.to_toml() or "plan = [" in written.to_toml()
    text = experiment(order="random").to_toml().replace('order = "random"', 'order = "stages"')
    assert cu.Experiment.from_toml(text) == experiment()
    assert experiment(order="random").replace({"protocol.order": "stages"}) == experiment()
    plain = cu.Protocol(
        order="stages",
        duration=2.0,
        levels=[cu.Level("a", noise=0.1), cu.Level("b", noise=0.2)],
        plan=[cu.Stage(share=0.25, probability={"a": 1.0}), cu.Stage(share=0.75, probability={"a": 0.2, "b": 0.8})],
    )
    assert plain.shares == pytest.approx((0.4, 0.6))


RATED = {"share": 1.0, "probability": {"easy": 1.0}, "learning_rate": 2.0}
BAD = [
    (lambda: cu.Stage(share=0.0, probability={"easy": 1.0}), "share = 0.0 is not allowed; it must be greater than 0"),
    (lambda: cu.Stage(share=1.0, probability={"easy": 0.4}), r"of a stage \(easy 0.4\) sum to 0.4; they must sum to 1"),
    (lambda: cu.Stage(share=1.0, probability={}), r"of a stage \(none\) sum to 0; they must sum to 1"),
    (lambda: cu.Stage(share=1.0, probability={"easy": -1.0, "hard": 2.0}), "is not allowed; it must be at least 0"),
    (lambda: experiment(plan=[]), 'order = "stages" needs a plan'),
    (lambda: experiment(plan=CURRICULUM[:1]), "the shares of the plan's 1 stages sum to 0.25; they must sum to 1"),
    (lambda: experiment(plan=[cu.Stage(share=1, probability={"esay": 1.0})]), "level 'esay' is unknown .did you mean 'easy'"),
    (lambda: experiment(plan=3), "give a list of stages"),
    (
        lambda: cu.load("batch-perceptron").replace(
            {"protocol.order": "stages", "protocol.plan": [{"share": 1.0, "probability": {"easy": 1.0}, "learning_rate": 2.0}]}
        ),
        "a stage with a learning_rate is for online learning",
    ),
]


@pytest.mark.parametrize(("mistake", "message"), BAD, ids=range(len(BAD)))
def test_each_mistake_gets_one_sentence(mistake, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(cu.InputError, match=message) as caught:
        mistake()
    assert "\n" not in str(caught.value)


def test_arrays_tuples_and_series_are_lists_of_numbers() -> None:
    import pandas as pd

    listed = cu.TeacherStudent(teacher_width=2, teacher_overlap=[[1.0, 0.0], [0.0, 1.0]], teacher_readout=[1.0, 2.0])
    for overlap in (np.eye(2), ((1, 0), (0, 1)), pd.DataFrame(np.eye(2)).to_numpy()):
        for readout in (np.array([1.0, 2.0]), (1, 2), pd.Series([1.0, 2.0])):
            assert cu.TeacherStudent(teacher_width=2, teacher_overlap=overlap, teacher_readout=readout) == listed
    assert cu.Committee(width=4.0) == cu.Committee(width=np.float64(4))
    assert cu.load("batch-perceptron").replace({"training.regularization": np.array([0.1, 0.2])}).training.regularizations(2) == [
        0.1,
        0.2,
    ]
    for readout in ("two", [[1.0]], [1.0, None], True, 1j):
        with pytest.raises(cu.InputError, match=r"teacher_readout = .* is not allowed; give a number, a list of numbers, "):
            cu.TeacherStudent(teacher_width=1, teacher_readout=readout)
    with pytest.raises(cu.InputError, match="a masked array has values that are missing"):
        cu.TeacherStudent(teacher_width=2, teacher_readout=np.ma.masked_array([1.0, 2.0], mask=[True, False]))


def test_what_is_left_out_is_none_and_can_be_left_out_again() -> None:
    case = experiment(order="random")
    assert case.get("training.readout_learning_rate") is None
    assert case.get("levels.easy.fading") is None
    changed = case.replace({"training.readout_learning_rate": 0.5})
    assert changed.get("training.readout_learning_rate") == 0.5
    assert changed.replace({"training.readout_learning_rate": None}) == case
    with pytest.raises(cu.InputError, match="name 'readout_rate' is unknown"):
        case.replace({"training.readout_rate": None})


def test_classes_of_a_users_own_stay_what_they_are() -> None:
    class Shifted(cu.XorMixture):
        def example_law(self, level):  # type: ignore[no-untyped-def]
            law = super().example_law(level)
            return cu.ExampleLaw(law.probability, 2 * law.gain, law.scale, law.label)

    case = cu.Experiment(
        task=Shifted(),
        student=cu.Committee(width=2),
        training=cu.OnlineSGD(learning_rate=1.0),
        protocol=cu.Protocol.single(duration=1.0, noise=0.4),
    )
    changed = case.replace({"student.width": 3, "levels.only.noise": 0.3})
    assert type(changed.task) is Shifted
    assert case.replace({}) == case


def test_levels_may_differ_in_gain_and_scale_alone() -> None:
    class Flipped(cu.XorMixture):
        def example_law(self, level):  # type: ignore[no-untyped-def]
            law = super().example_law(level)
            return cu.ExampleLaw(law.probability, law.gain, law.scale, law.label if level.name == "easy" else -law.label)

    with pytest.raises(cu.InputError, match="levels 'easy' and 'hard' differ in their components, labels or teacher"):
        cu.Experiment(
            task=Flipped(),
            student=cu.Committee(width=2),
            training=cu.OnlineSGD(learning_rate=1.0),
            protocol=cu.Protocol(duration=1.0, levels=LEVELS),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(probability=np.array([0.5, 0.6])), "must be >= 0 and sum to 1"),
        (dict(scale=np.array([-1.0])), "scales of the blocks, .* must be >= 0"),
        (dict(label=np.array([1.0])), "the law of the examples has shapes"),
        (dict(gain=np.zeros((2, 1))), "the law of the examples has shapes"),
        (dict(gain=np.full((2, 1, 1), np.nan)), "has a gain that is no finite number"),
        (dict(teacher=cu.Teacher(0, np.ones(3))), "a readout of 3 numbers for 1 references"),
    ],
)
def test_laws_check_themselves(change, message: str) -> None:  # type: ignore[no-untyped-def]
    law = dict(probability=np.array([0.5, 0.5]), gain=np.zeros((2, 1, 1)), scale=np.ones(1), label=np.array([1.0, -1.0]))
    cu.ExampleLaw(**law)
    with pytest.raises(cu.InputError, match=message):
        cu.ExampleLaw(**{**law, **change})
