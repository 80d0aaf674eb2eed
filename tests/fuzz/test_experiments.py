"""Experiment files cut off, mixed up or filled with nonsense: an experiment that is written and read back, or one sentence."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import curriculode as cu
from curriculode.theory.describe.experiment import builtin_experiments, experiment_text
from tests.fuzz.outcomes import fuzzed, outcome

PLAN = """
[study]
dimension = 50
runs = 4
[study.over]
"student.width" = [1, 2]
[numerics]
points = 64
times = [0.0, 0.5]
[sweep]
workers = 1
"""
STAGES = """
[task]
kind = "teacher-student"
teacher_width = 2
teacher_overlap = [[1.0, 0.1], [0.1, 1.0]]
teacher_readout = [1.0, 0.5]
relevant_fraction = 0.5
[student]
width = 2
[training]
learning_rate = 0.5
[protocol]
order = "stages"
duration = 2.0
[[protocol.plan]]
share = 0.5
probability = { easy = 1.0 }
learning_rate = 0.1
[[protocol.plan]]
share = 0.5
probability = { easy = 0.5, hard = 0.5 }
[levels.easy]
irrelevant_variance = 0.0
[levels.hard]
irrelevant_variance = 1.0
"""
SOURCES = [*(experiment_text(name) for name in builtin_experiments()), STAGES, STAGES + PLAN]
VALUES = [
    *("1e300", "-1e300", "5e-324", "1e-300", "nan", "inf", "-inf", "-0.0", "0", "-1", "1", "2", "3.7", "1e6", "999999999999"),
    *("9" * 25, "9" * 5000, "1." + "9" * 5000, "1e99999", "0x" + "f" * 5000, "[" * 3000, "[" * 3000 + "]" * 3000),
    *('"a"', '""', '"\\ud800"', '"\\u0000"', "'é'", '"' + "x" * 10_000 + '"', "true", "false", "[]", "{}", "[1, 2]", "[[1.0]]"),
    *(
        '["a", 1]',
        "{ a = 1 }",
        "1979-05-27",
        "07:32:00",
        "[nan]",
        "[[1, 2], [3]]",
        '"optimal"',
        '"1/sqrt(K)"',
        '"random"',
        "[1e300]",
    ),
    *('"erf"', '"sign"', '"curriculum"', '"stages"', "[{}]", "[{ share = 1.0, probability = { easy = 1 } }]", "{ self = 1 }", "="),
]
LETTERS = st.characters(codec="utf-8") | st.sampled_from(list("[]{}=\"'#.,\n\0\r\t+-e_09"))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The text of an experiment, changed in one to three places."""
    text = draw(st.sampled_from(SOURCES))
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        i = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["value", "value", "value", "letter", "cut", "drop", "twice", "swap", "insert", "key"]))
        if how == "value" and "=" in lines[i]:
            lines[i] = (
                lines[i].split("=")[0] + "= " + draw(st.sampled_from(VALUES) | st.floats().map(repr) | st.integers().map(str))
            )
        elif how == "key" and "=" in lines[i]:
            lines[i] = draw(st.sampled_from(["self", "name", "kind", "x" * 1000, '""', '"\\u00e9"', "a.b", "1"])) + " = 1"
        elif how == "drop":
            del lines[i]
        elif how == "twice":
            lines.insert(i, lines[i])
        elif how == "swap":
            j = draw(st.integers(0, len(lines) - 1))
            lines[i], lines[j] = lines[j], lines[i]
        text = "\n".join(lines)
        place = draw(st.integers(0, max(len(text) - 1, 0)))
        if how == "letter":
            text = text[:place] + draw(LETTERS) + text[place + 1 :]
        elif how == "insert":
            text = text[:place] + draw(st.text(LETTERS, max_size=3)) + text[place:]
        elif how == "cut":
            text = text[:place]
    return text


def read_again(read: Any, text: str) -> None:
    kind, found = outcome(read.__qualname__, lambda: read(text))
    if kind == "fine":
        assert read(found.to_toml()) == found


@fuzzed(600)
@given(text=mutated())
def test_texts_of_experiments_and_studies(text: str) -> None:
    read_again(cu.Experiment.from_toml, text)
    read_again(cu.Study.from_toml, text)


@fuzzed(150)
@given(text=mutated(), cut=st.none() | st.integers(0, 2000), noise=st.binary(max_size=3))
def test_files_of_experiments(tmp_path_factory: pytest.TempPathFactory, text: str, cut: int | None, noise: bytes) -> None:
    path = FILES.setdefault("folder", tmp_path_factory.mktemp("experiments")) / "mine.toml"
    content = text.encode("utf-8", "surrogatepass")
    path.write_bytes(content if cut is None else content[:cut] + noise)
    kind, experiment = outcome("load", lambda: cu.load(path))
    if kind == "fine":
        assert cu.Experiment.from_toml(experiment.to_toml()) == experiment
        outcome("start", lambda: experiment.initial(1000))
    outcome("Study.load", lambda: cu.Study.load(path))


FILES: dict[str, Path] = {}


@fuzzed(300)
@given(
    name=st.sampled_from(["student.width", "task.separation", "levels.hard.noise", "protocol.duration", "x", "a.b.c", "."]),
    data=st.data(),
)
def test_values_of_dotted_names(name: str, data: st.DataObject) -> None:
    value = data.draw(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.floats(), max_size=2))
    )
    experiment = cu.load("xor-curriculum")
    kind, changed = outcome("replace", lambda: experiment.replace({name: value}))
    if kind == "fine" and value is not None:
        assert changed.get(name) == value
        assert cu.Experiment.from_toml(changed.to_toml()) == changed
