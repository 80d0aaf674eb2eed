"""Whatever is given for an argument of a public function, method or class: a result, or one sentence.

Functions are found by themselves in `curriculode.__all__`, and arguments drawn by their names: a new verb is tried for free, and
an argument of a new name asks for a value in `GOOD`.
"""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import curriculode as cu
from tests import registrations
from tests.fuzz.outcomes import fuzzed, outcome

# Sweeps, figures and what they draw have tests of their own.
ELSEWHERE = {"sweep", "refine", "phase_diagram", "register_figure", "InputError", "__version__"}
PLATEAU = cu.Experiment(
    task=cu.TeacherStudent(teacher_width=2),
    student=cu.Committee(width=2, activation="erf"),
    training=cu.OnlineSGD(learning_rate=0.5),
    protocol=cu.Protocol.single(duration=0.5),
)
XOR = cu.load("xor-curriculum").replace({"protocol.duration": 0.5, "student.width": 2})
BATCH = cu.load("batch-perceptron")
START = PLATEAU.initial(60)
TRAJECTORY = cu.integrate(PLATEAU, START, times=3)
SLICES = cu.state_evolution(BATCH)
ENSEMBLE = cu.simulate(PLATEAU, dimension=40, runs=2, times=2, progress=False)
OBSERVED = cu.observe(PLATEAU, ["specialization", "v[0]"], dimension=40, runs=3, progress=False)
COMPARED = cu.compare(PLATEAU, dimension=40, runs=4, times=2, progress=False)
STUDY = cu.Study(experiment=PLATEAU, dimension=40, runs=2, over={"student.width": [1, 2]})
PAIR = cu.branch(PLATEAU, START, at=0.2, times=2, progress=False)
DIGITS = cu.NetworkExperiment(
    data=cu.ImageData(name="digits", test=20),
    network=cu.MLP(width=3),
    training=cu.NetworkSGD(learning_rate=0.1),
    protocol=cu.Protocol.single(duration=0.5, pixel_noise=0.5),
)
LAW = XOR.task.example_law(XOR.protocol.levels[0])


class Odd:
    """An object whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


NESTED: list[Any] = []
for _ in range(3000):
    NESTED = [NESTED]

BAD: list[Any] = [
    *(None, ..., True, False, 0, -1, 1, 2, 7, 10**30, -(10**5000), 10**5000, 2**64, 0.5, 2.5, -0.0),
    *(1e300, -1e300, 5e-324, 1e-300, math.nan, math.inf, -math.inf, 1j, complex("nan")),
    *("", "x", "False", "1", "1.0", "nan", "\ud800", "a\nb", "a\0b", "x" * 100_000, "Q[0,0]", "easy", b"x", b"\xff"),
    *(object(), Odd(), object, int, dict, cu.Experiment, len, lambda *a, **k: 1.0, Path("a"), Path("/"), slice(3), range(3)),
    *([], (), {}, set(), [[]], [None], [1, "a"], ["1"], [True, 1.0], [1, [2]], NESTED, {1: 2}, {"a": {}}, {"self": 1}, {"": 0}),
    *(np.float64(0.5), np.int64(3), np.bool_(True), np.str_("x"), np.array(3), np.array([]), np.array(["a"]), np.array([None])),
    *(np.eye(2), np.full(3, np.nan), np.ma.masked_array([1.0, 2.0], mask=[True, False]), np.ma.masked, np.array([1 + 1j])),
    *(np.datetime64("2020-01-01"), pd.Series([0.0, 1.0]), pd.DataFrame({"a": [1]}), pd.NA, np.zeros((0, 2)), np.ones(1)),
    *(np.random.SeedSequence(3), np.random.default_rng(0), cu.OrderParameters([[1.0]], [[0.1]], [1.0]), XOR.initial(60)),
    *(cu.OrderParameters(np.eye(2)[None], np.zeros((1, 2, 2)), [1e300, 0.0]), PLATEAU, TRAJECTORY, cu.Numerics(), XOR.task),
]

GOOD: dict[str, list[Any]] = {
    "experiment": [PLATEAU, XOR, BATCH],
    "start": [START, None],
    "numerics": [None, cu.Numerics(points=64, times=2)],
    "dimension": [40, 40.0, np.int64(50)],
    "runs": [2, 3.0],
    "starts": [1, 2],
    "first": [0, 3],
    "seed": [0, np.random.SeedSequence(1)],
    "times": [2, [0.0, 0.25], np.array([0.1, 0.5])],
    "points": [64, 128],
    "progress": [False, lambda fraction: None],
    "over": [None, {"student.width": [1, 2]}],
    "observables": [None, "specialization", ["v[0]"]],
    "changes": [{}, {"student.width": 1}, {"training.learning_rate": 0.1}],
    "tables": [PLATEAU.to_dict()],
    "text": [PLATEAU.to_toml()],
    "name": ["specialization", "v[0]", "only", "xor-curriculum", "student.width", "t", "mine"],
    "path": ["x.npz"],
    "order": [[1, 0], [0, 1]],
    "T": [np.eye(2)[None]],
    "level": [None, "only", PLATEAU.protocol.levels[0], XOR.protocol.levels[0]],
    "task": [PLATEAU.task, XOR.task],
    "student": [PLATEAU.student],
    "training": [PLATEAU.training, BATCH.training, DIGITS.training],
    "protocol": [PLATEAU.protocol, XOR.protocol, DIGITS.protocol],
    "data": [DIGITS.data],
    "network": [DIGITS.network, cu.CNN(filters=2)],
    "teacher": [cu.Teacher()],
    "Q": [np.eye(2), [[1.0]]],
    "M": [np.zeros((2, 2)), [[0.5]]],
    "v": [np.ones(2), [1.0]],
    "arrays": [dict(TRAJECTORY.arrays)],
    "statistics": [{}],
    "environment": [{}],
    "probability": [LAW.probability, {"only": 1.0}],
    "gain": [LAW.gain],
    "scale": [LAW.scale],
    "label": ["", LAW.label, "value"],
    "levels": [[cu.Level("only")], [cu.Level("easy", share=0.5, noise=0.1), cu.Level("hard", noise=0.2)]],
    "plan": [(), [cu.Stage(share=1.0, probability={"only": 1.0})]],
    "share": [0.5, 1.0],
    "settings": [{"noise": 0.1}],
    "other": [LAW, START],
    "cells": [COMPARED.cells],
    "tolerance": [1e-4],
    "duration": [0.5],
    "default": [3],
    "method": ["auto", "RK45"],
    "averages": ["auto", "closed form"],
    "accuracy": [0.01, None],
    "rtol": [1e-4],
    "atol": [1e-6],
    "q": [0.5, [0.1, 0.9]],
    "outcomes": [[0, 1]],
    "activation": ["erf", "gelu", -1],
    "learning_rate": [0.5],
    "regularization": [0.1],
    "commands": [{}, {"sweep": {"runs": 2}}],
    "width": [1, 2],
    "teacher_width": [1, 2],
    "kind": ["teacher-student", "online-sgd", "noise", "shuffle-unit"],
    "function": [lambda state: 1.0],
    "tasks": ["xor-mixture"],
    "status": ["done"],
    "spacing": ["linear", "logarithmic"],
    "space": ["overlap", "weight", "diffusion"],
    "weights": ["fixed", "random"],
    "at": [0.1, [0.0, 0.3]],
    "until": [0.3],
    "examples": ["independent", "same", "reordered"],
    "error": [None, "generalization_error"],
    "alphas": [None, [0.0, 0.5]],
    "way": ["overlaps", "enumeration", "auto"],
    "state": [START],
    "size": [0.5],
    "perturbation": ["signs", cu.Perturbation(kind="noise")],
    "quantity": ["accuracy", "v[0]", "specialization"],
    "stage": [-1, 0, "only", "hard"],
    "settle": [0.0, 1.0],
    "longest": [0.0, 2.0],
    "orders": ["random", ["curriculum", "random"]],
    "to": [0.1, 0.6],
    "most": [2],
    "particles": [2, 4],
    "nodes": [4, 16],
    "threshold": [0.5],
    "ratio": [1.0, 100.0],
}
# Thousands of runs or times are allowed, and take long: whole numbers are small ones, or beyond what anything may be.
ANY = (
    st.sampled_from(BAD)
    | st.floats(-9.0, 9.0)
    | st.floats(min_value=1e18)
    | st.integers(-9, 9)
    | st.integers(10**18)
    | st.text(max_size=5)
)
INSTANCES = [PLATEAU, XOR, PLATEAU.task, XOR.task, PLATEAU.student, PLATEAU.training, BATCH.training, PLATEAU.protocol]
INSTANCES += [XOR.protocol.levels[0], cu.Numerics(), STUDY, START, TRAJECTORY, SLICES, ENSEMBLE, OBSERVED, COMPARED, LAW]
INSTANCES += [DIGITS, DIGITS.data, DIGITS.network, PAIR, cu.Perturbation(kind="noise")]
INSTANCES += [cu.Stage(share=1.0, probability={"only": 1.0}), cu.Teacher(), PLATEAU.student.g]


def parameters(function: Callable) -> dict[str, bool]:
    """Argument -> whether it is needed."""
    if inspect.isclass(function) and issubclass(function, BaseModel):
        return {name: field.is_required() for name, field in function.model_fields.items()}
    found = inspect.signature(function).parameters.values()
    return {each.name: each.default is each.empty for each in found if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)}


def attempts() -> dict[str, Callable]:
    """Every public function, class and method by its name."""
    found: dict[str, Callable] = {}
    for name in cu.__all__:
        value = None if name in ELSEWHERE else getattr(cu, name)
        if callable(value) and not name.startswith("register_"):  # these are tried below
            found[name] = value
    for instance in INSTANCES:
        for base in type(instance).__mro__:
            if base.__module__.startswith("curriculode."):
                for name, member in vars(base).items():
                    if (
                        not isinstance(member, property)
                        and callable(getattr(instance, name, None))
                        and not name.startswith(("_", "plot"))
                        and "Field" not in repr(member)
                    ):
                        found.setdefault(f"{type(instance).__name__}.{name}", getattr(instance, name))
    return found


ATTEMPTS = attempts()


def finite(result: Any) -> bool:
    """Whether a record that succeeded has finite states."""
    if isinstance(result, (cu.Trajectory, cu.Ensemble)) and result.success and {"Q", "M", "v"} <= set(result.arrays):
        if isinstance(result, cu.Ensemble):
            return bool(np.isfinite(result.v[result.finite]).all()) or "diverged" in result.status
        return all(bool(np.isfinite(result.arrays[name]).all()) for name in ("Q", "M", "v"))
    return True


@fuzzed(1200)
@given(st.data())
def test_any_argument_of_anything_public(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.chdir(tmp_path_factory.getbasetemp())  # what can be written is written there
    name = data.draw(st.sampled_from(sorted(ATTEMPTS)), "what")
    call = ATTEMPTS[name]
    drawn: dict[str, Any] = {}
    for argument, needed in parameters(call).items():
        choice = data.draw(st.integers(0, 9))
        if needed or choice < 4:
            good = GOOD.get(argument) if choice < 7 else None
            drawn[argument] = data.draw(st.sampled_from(good) if good else ANY, argument)
    if name.endswith(".save") and isinstance(drawn["path"], str) and drawn["path"] == "x.npz":
        drawn["path"] = tmp_path_factory.mktemp("saved") / "x.npz"
    kind, result = outcome("arguments", lambda: call(**drawn))
    assert kind == "refused" or finite(result)


def tanh_slope(x: float) -> float:
    return 1.0 - math.tanh(x) ** 2


REGISTERED: dict[str, list[Any]] = {
    "name": ["mine", "my-unit", "erf", "generalization_error", *BAD],
    "g": [math.tanh, *BAD],
    "derivative": [tanh_slope, *BAD],
    "second_derivative": [None, *BAD],
    "kinks": [None, {}, {0.0: 1.0}, *BAD],
    "function": [None, lambda state: 1.0, *BAD],
    "tasks": [None, "xor-mixture", *BAD],
    "tested": [True, *BAD],
    "odd": [False, *BAD],
    "label": ["", *BAD],
    "formula": ["", *BAD],
    "task": [cu.XorMixture, cu.Task, type("Mine", (cu.XorMixture,), {}), *BAD],
}


@fuzzed(150)
@given(st.data())
def test_whatever_is_registered(data: st.DataObject) -> None:
    call = data.draw(st.sampled_from([cu.register_activation, cu.register_observable, cu.register_task]))
    given = {}
    for argument, needed in parameters(call).items():
        if needed or data.draw(st.booleans()):
            pool = REGISTERED[argument]
            given[argument] = data.draw(st.just(pool[0]) | st.sampled_from(pool), argument)
    with registrations.kept():
        outcome("register", lambda: call(**given))
