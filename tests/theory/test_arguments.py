"""Arguments are checked by their names, and messages are one line whatever is given."""

import inspect
from typing import Any

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.core.arguments import CHECKS, checked, inside, whole
from curriculode.theory.core.errors import LONGEST, one_line, shown


def test_a_new_verb_is_validated_by_the_names_of_its_arguments() -> None:
    @checked
    def verb(experiment: cu.Experiment, *, runs: int = 32, seed: Any = 0, level: str | None = None, **options: Any) -> Any:
        """Do something."""
        return runs, level, options

    experiment = cu.load("xor-curriculum")
    assert verb(experiment, runs=1e3, color="red") == (1000, None, {"color": "red"})
    assert isinstance(verb(experiment, runs=np.float64(4))[0], int)
    assert verb(experiment, level=None)[1] is None
    assert (verb.__name__, verb.__doc__) == ("verb", "Do something.")
    for wrong, word in (({"runs": "3"}, "runs = '3'"), ({"seed": -1}, "seed = -1"), ({"level": 3}, "level = 3")):
        with pytest.raises(cu.InputError) as caught:
            verb(experiment, **wrong)
        assert str(caught.value).startswith(f"{word} is not allowed; ")
    with pytest.raises(cu.InputError, match=r"^experiment = Ellipsis is not allowed; give a curriculode.Experiment"):
        verb(...)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="positional argument"):
        verb(experiment, 3)  # type: ignore[misc]


def test_an_argument_without_a_check_is_found_on_import() -> None:
    def verb(nobody_knows: int) -> int:
        return nobody_knows

    with pytest.raises(TypeError, match=r"argument nobody_knows of .*verb has no check"):
        checked(verb)
    assert checked(nobody_knows=inside)(verb)(3) == 3
    with pytest.raises(cu.InputError, match=r"^nobody_knows = 3 is not allowed; it must be a whole number of at least 4$"):
        checked(nobody_knows=whole(4))(verb)(3)


@pytest.mark.parametrize(
    "name", ["integrate", "simulate", "observe", "minimize", "state_evolution", "compare", "load", "load_record"]
)
def test_every_verb_is_checked(name: str) -> None:
    verb = getattr(cu, name)
    assert verb.is_checked
    assert list(inspect.signature(verb).parameters) == list(inspect.signature(verb.__wrapped__).parameters)


def test_names_that_are_known() -> None:
    assert {"experiment", "numerics", "start", "task", "student", "protocol", "dimension", "rtol", "progress"} <= set(CHECKS)


@pytest.mark.parametrize("length", [300, 301, 10_000, 10**6])
def test_long_messages_lose_their_middle(length: int) -> None:
    message = f"values = [{'1, ' * (length // 3)}] are not allowed; give fewer"
    told = one_line(message)
    assert len(told) <= LONGEST
    assert told.startswith("values = [1, ")
    assert told.endswith("are not allowed; give fewer")
    assert str(cu.InputError(message)) == told


def test_messages_are_one_line_of_what_can_be_written() -> None:
    assert one_line("a\n b\t\0c\ud800") == "a b \\x00c\\ud800"


class Wordless:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "3"),
        ("text", "'text'"),
        ({10**5000}, "{a whole number of about 5001 digits}"),
        ([10**5000], "[a whole number of about 5001 digits]"),
        (Wordless(), None),
        (np.arange(6).reshape(2, 3), "array([[0, 1, 2], [3, 4, 5]])"),
        ({"a": [1, (2,)]}, "{'a': [1, (2,)]}"),
    ],
)
def test_values_are_shown_in_a_few_words(value: Any, words: str | None) -> None:
    assert shown(value) == words if words else "Wordless" in shown(value)


def test_deep_and_endless_values_are_shown() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    endless: list[Any] = []
    endless.append(endless)
    for value in (deep, endless, "x" * 10**6, list(range(10**6)), np.zeros((1000, 1000))):
        assert len(shown(value)) <= 100


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"student.readout_scale": 1e200}, "Committee: readout_scale = 1e+200 is not allowed; it must be at most 1000000.0"),
        ({"student.weight_scale": 1e-300}, "weight_scale = 1e-300 is not allowed; it must be at least 1e-15"),
        ({"task.faded_fraction": 5e-324}, "faded_fraction = 5e-324 is not allowed; it must be 0, 1, or at least 1e-09 from both"),
        (
            {"training.readout_learning_rate": 1e7},
            "OnlineSGD: readout_learning_rate = 10000000.0 is not allowed; it must be at most",
        ),
        ({"protocol.duration": 1e-20}, "duration = 1e-20 is not allowed; it must be at least 1e-15"),
        (
            {"student.width": 10**5000},
            "Committee: width = a whole number of about 5001 digits is not allowed; it must be at most 10000",
        ),
    ],
)
def test_absurd_magnitudes_are_refused_where_they_are_written(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(cu.InputError) as caught:
        cu.load("xor-curriculum").replace(changes)
    assert str(caught.value).startswith(sentence)


def test_a_stage_may_not_drive_the_readout_beyond_all_rates() -> None:
    plan = [cu.Stage(share=1.0, probability={"only": 1.0}, learning_rate=1e6)]
    with pytest.raises(cu.InputError, match=r"^a stage of learning_rate 1e\+06 makes that of the readout 1e\+09"):
        cu.Experiment(
            task=cu.TeacherStudent(teacher_width=1),
            student=cu.Committee(width=1),
            training=cu.OnlineSGD(learning_rate=1e-3, readout_learning_rate=1.0),
            protocol=cu.Protocol(order="stages", duration=1.0, levels=[cu.Level("only")], plan=plan),  # type: ignore[arg-type]
        )


@pytest.mark.parametrize(
    "wrong",
    [np.ma.masked_array([[1.0]], mask=[[True]]), [["1"]], [[True]], [[None]], [[1j]], "1", ..., object(), [[np.nan]]],
)
def test_order_parameters_are_numbers(wrong: Any) -> None:
    with pytest.raises(cu.InputError, match=r"^order parameter Q (must be an array|has entries that are not finite)"):
        cu.OrderParameters(Q=wrong, M=[[0.1]], v=[1.0])  # type: ignore[arg-type]


def test_records_are_what_they_say(xor: cu.Experiment) -> None:
    trajectory = cu.integrate(xor.replace({"protocol.duration": 0.1}), xor.initial(60), times=2, points=64)
    with pytest.raises(cu.InputError, match=r"^Trajectory needs the array 'Q'; given: t$"):
        cu.Trajectory(xor, cu.Numerics(), {"t": np.zeros(2)}, "done")
    with pytest.raises(cu.InputError, match=r"^the array 'v' has 1 along time, and another one 2; give the same$"):
        trajectory.replace(arrays={"v": trajectory.v[:1]})
    with pytest.raises(cu.InputError, match=r"^Trajectory: status = 3 is not allowed; give one sentence$"):
        trajectory.replace(status=3)
    with pytest.raises(cu.InputError, match=r"^array 'q' is unknown"):
        trajectory.dims("q")


def test_teachers_have_known_activations() -> None:
    """Any other code would be called as an address."""
    with pytest.raises(cu.InputError, match=r"^the teacher's activation = 2097152 is no code of an activation"):
        cu.Teacher(activation=2**21)


@pytest.mark.parametrize("runs", [2, 3])
def test_too_few_runs_do_not_agree(runs: int) -> None:
    experiment = cu.load("committee-plateau").replace({"protocol.duration": 0.5})
    compared = cu.compare(experiment, dimension=60, runs=runs, times=2, progress=False)
    assert not compared.agrees
    assert f"{runs} runs are too few to tell chance from a disagreement; use at least 4" in compared.verdict()
