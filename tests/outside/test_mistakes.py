"""Each mistake in what is registered is one sentence that says what to do, and leaves nothing behind."""

import math
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import curriculode as cu
from curriculode.figures.gallery import FIGURES, NamedFigure
from curriculode.theory.core.registry import outside_modules
from curriculode.theory.results.registered import OBSERVABLES
from curriculode.theory.tasks import TASKS
from curriculode.theory.units.activations import ACTIVATIONS

OWN = NamedFigure("A title", "A caption.", "finite-size", lambda scale, report: pd.DataFrame(), lambda table: Figure())


class Whole(cu.Task):
    """As a task has to be, and not registered."""

    kind: Literal["whole"] = "whole"

    def reference_overlap(self) -> np.ndarray:
        return np.ones((1, 1, 1))

    def example_law(self, level: Any) -> cu.ExampleLaw:
        return cu.ExampleLaw(np.ones(1), np.ones((1, 1, 1)), np.ones(1), np.ones(1))


class Nameless(Whole):
    kind: str  # type: ignore[assignment]


class Taken(Whole):
    kind: Literal["xor-mixture"] = "xor-mixture"  # type: ignore[assignment]


class Lawless(cu.Task):
    kind: Literal["lawless"] = "lawless"

    def reference_overlap(self) -> np.ndarray:
        return np.ones((1, 1, 1))


class Demanding(cu.Level):
    noise: float


class Strict(Whole):
    kind: Literal["strict"] = "strict"  # type: ignore[assignment]
    level_type: ClassVar[type[cu.Level]] = Demanding


class Levelless(Whole):
    kind: Literal["levelless"] = "levelless"  # type: ignore[assignment]
    level_type: ClassVar[Any] = dict


class Sorted(Whole):
    kind: Literal["level-int"] = "level-int"  # type: ignore[assignment]
    level_type: ClassVar[Any] = 3


def one(state: Any) -> float:
    return 1.0


def _tanh_slope(x: float) -> float:
    return 1.0 - math.tanh(x) ** 2


MISTAKES = {
    "activation: not callable": (
        lambda: cu.register_activation("mine", 3, _tanh_slope),  # type: ignore[arg-type]
        "activation 'mine': g = 3 is not allowed; give a function of one number",
    ),
    "activation: name taken": (
        lambda: cu.register_activation("erf", math.tanh, _tanh_slope),
        "activation 'erf' exists already; register yours under another name",
    ),
    "activation: no name": (
        lambda: cu.register_activation("", math.tanh, _tanh_slope),
        "activation '' cannot be registered; give a name, such as 'my-activation'",
    ),
    "activation: derivative wrong": (
        lambda: cu.register_activation("mine", math.tanh, lambda x: 1.0 - math.tanh(x)),
        "activation 'mine': derivative(",
    ),
    "activation: no derivative": (
        lambda: cu.register_activation("mine", math.tanh, None),  # type: ignore[arg-type]
        "activation 'mine': derivative = None is not allowed; give a function of one number",
    ),
    "task: no class": (lambda: cu.register_task(3), "register_task(3) is not allowed; give a subclass of curriculode.Task"),  # type: ignore[type-var]
    "task: an instance": (lambda: cu.register_task(Whole()), "register_task("),  # type: ignore[type-var]
    "task: the base": (lambda: cu.register_task(cu.Task), "task Task has no kind; give it one, such as kind: Literal["),
    "task: no kind": (lambda: cu.register_task(Nameless), "task Nameless has no kind; give it one, such as kind: Literal["),
    "task: kind taken": (
        lambda: cu.register_task(Taken),
        "task.kind 'xor-mixture' exists already; register yours under another name",
    ),
    "task: no law": (
        lambda: cu.register_task(Lawless),
        "task Lawless has no example_law(); write it as curriculode.Task describes it",
    ),
    "task: a level without a default": (
        lambda: cu.register_task(Strict),
        "task Strict: level_type must be a subclass of curriculode.Level whose settings have defaults, and noise has none",
    ),
    "task: a level that is none": (
        lambda: cu.register_task(Levelless),
        "task Levelless: level_type must be a subclass of curriculode.Level",
    ),
    "task: a level that is no class": (
        lambda: cu.register_task(Sorted),
        "task Sorted: level_type must be a subclass of curriculode.Level",
    ),
    "observable: not callable": (
        lambda: cu.register_observable("mine", 3),  # type: ignore[arg-type]
        "register_observable('mine', 3) is not allowed; give a function of a state",
    ),
    "observable: decorating no function": (
        lambda: cu.register_observable("mine")("text"),
        "register_observable('mine', 'text') is not allowed; give a function of a state",
    ),
    "observable: name of a built-in one": (
        lambda: cu.register_observable("generalization_error", one),
        "observable 'generalization_error' cannot be registered; give a new name of letters, digits and underscores",
    ),
    "observable: no name": (
        lambda: cu.register_observable("two words", one),
        "observable 'two words' cannot be registered; give a new name of letters, digits and underscores",
    ),
    "figure: no figure": (
        lambda: cu.register_figure("mine", one),  # type: ignore[arg-type]
        "register_figure('mine', <function one",
    ),
    "figure: name taken": (
        lambda: cu.register_figure("committee", OWN),
        "figure 'committee' exists already; register yours under another name",
    ),
    "figure: no name": (
        lambda: cu.register_figure("a/b", OWN),
        "figure 'a/b' cannot be registered; give a name of letters, digits, - and _, such as 'my-figure'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_sentence(mistake: str) -> None:
    act, sentence = MISTAKES[mistake]
    registries = (ACTIVATIONS, TASKS, OBSERVABLES, FIGURES)
    before = [each.names() for each in registries], outside_modules()
    with pytest.raises(cu.InputError) as caught:
        act()
    said = str(caught.value)
    assert said.startswith(sentence)
    assert "\n" not in said
    assert not said.endswith(".")
    assert any(word in said for word in ("give", "register yours", "write it", "must be"))
    assert ([each.names() for each in registries], outside_modules()) == before


def broken(state: Any) -> Any:
    return state.Q


def test_an_observable_that_is_no_number_fails_by_its_name(xor: cu.Experiment) -> None:
    cu.register_observable("broken", broken)
    with pytest.raises(cu.InputError, match=r"^observable 'broken' fails at a state \(TypeError: .*\); it must return a number$"):
        cu.integrate(xor, xor.initial(60), times=2, points=64).to_frame()


def test_names_taken_by_another_module(xor: cu.Experiment) -> None:
    cu.register_observable("mine", one)
    cu.register_observable("mine", one)  # the same module again
    elsewhere = eval("lambda state: 2.0", {"__name__": "elsewhere"})
    with pytest.raises(cu.InputError, match=r"^observable 'mine' exists already; register yours under another name$"):
        cu.register_observable("mine", elsewhere)


def test_nothing_of_other_tests_is_left() -> None:
    assert "mine" not in OBSERVABLES.names()
    assert "broken" not in OBSERVABLES.names()
    assert __name__ not in outside_modules()


def test_an_unregistered_task_is_used_and_not_written() -> None:
    experiment = cu.Experiment(
        task=Whole(),
        student=cu.Committee(width=1, activation="erf"),
        training=cu.OnlineSGD(learning_rate=0.5),
        protocol=cu.Protocol(duration=1.0, order="random", levels=[cu.Level("only")]),
    )
    assert cu.integrate(experiment, experiment.initial(60), times=2).success
    assert type(experiment.replace({"student.width": 2}).task) is Whole
    with pytest.raises(cu.InputError, match=r"^task.kind 'whole' is unknown; allowed: teacher-student, xor-mixture"):
        cu.Experiment.from_toml(experiment.to_toml())
    with pytest.raises(cu.InputError, match=r"a class that other processes do not find, .*\.Whole: register it") as caught:
        cu.sweep(experiment, {"student.width": [1, 2]}, points=64, dimension=60, workers=2, progress=False)
    assert "\n" not in str(caught.value)
