"""Tables that somebody changed, handed to what averages and draws them: numbers that are right, or a sentence."""

import math
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import curriculode as cu
from curriculode.figures.plots.phase_diagram import PhaseDiagram
from curriculode.sims.sweep.average import average

from .outcomes import fuzzed, outcome

WIDTH, NOISE, ORDER, ERROR = "student.width", "levels.hard.noise", "protocol.order", "classification_error"


def table() -> pd.DataFrame:
    rows = list(product([1, 2, 4, 8], [0.1, 0.2, 0.4], ["curriculum", "random"], range(3)))
    found = pd.DataFrame(rows, columns=[WIDTH, NOISE, ORDER, "seed"])
    number = np.random.default_rng(1).random(len(rows))
    return found.assign(**{ERROR: number, "error_simulation": 2 * number, "failed": False, "status": "done", "seconds": 0.1})


NAMES = list(table().columns)
STRANGE: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    None,
    pd.NA,
    pd.NaT,
    "text",
    "0.3",
    "",
    True,
    0,
    1.0,
    -1,
    1e308,
    1e-320,
    10**400,
]
STRANGE += [[], [1, 2], {}, ..., object, b"x", 1j, np.float32(0.1), np.ma.masked, pd.Timestamp(0), "x" * 900, "a\nb"]
TYPES = [
    "str",
    "object",
    "category",
    "Int64",
    "Float64",
    "string",
    "float32",
    "int8",
    "bool",
    "boolean",
    "complex",
    "datetime64[ns]",
]
KINDS = [
    "cell",
    "cell",
    "column",
    "type",
    "type",
    "gone",
    "renamed",
    "rows",
    "twice",
    "concat",
    "shuffled",
    "few",
    "one",
    "none",
    "index",
]
STEPS = st.tuples(st.sampled_from(KINDS), st.sampled_from(NAMES), st.integers(0, 71), st.integers(0, 10_000))


def changed(step: tuple[str, str, int, int], found: pd.DataFrame) -> pd.DataFrame:
    """A table after a step; one that pandas cannot take leaves it as it is."""
    kind, name, row, which = step
    strange = STRANGE[which % len(STRANGE)]
    try:
        if kind == "cell":
            column = found[name].astype(object)
            column.iloc[row % len(found)] = strange
            if which % 2:
                column = column.infer_objects()
            return found.assign(**{name: column})
        if kind == "column":
            return found.assign(**{name: pd.Series([strange] * len(found), index=found.index)})
        if kind == "type":
            return found.astype({name: TYPES[which % len(TYPES)]})
        if kind == "gone":
            return found.drop(columns=name)
        if kind == "renamed":
            return found.rename(columns={name: [NAMES[row % len(NAMES)], 3, ("a", "b"), "value", None][which % 5]})
        return {
            "rows": lambda: found.iloc[row:],
            "twice": lambda: pd.concat([found, found.iloc[row : row + 1]]),
            "concat": lambda: pd.concat([found, found], ignore_index=bool(which % 2)),
            "shuffled": lambda: found.sample(frac=1.0, random_state=which),
            "few": lambda: found.sample(n=min(len(found), 1 + which % 9), random_state=which),
            "one": lambda: found[found[name] == found[name].iloc[row % len(found)]],
            "none": lambda: found.iloc[:0],
            "index": lambda: found.set_index(name),
        }[kind]()
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, ArithmeticError):
        return found


GIVEN: list[Any] = [
    *NAMES,
    "error",
    "joy",
    "",
    None,
    3,
    ...,
    {},
    [],
    ("a",),
    b"x",
    math.nan,
    np.array([1, 2]),
    object,
    "x" * 900,
    "a\nb",
]
ANY = st.sampled_from(range(len(GIVEN))).map(lambda i: GIVEN[i])
GAPS: list[Any] = [
    ("curriculum", "random"),
    ["random", "curriculum"],
    ("curriculum",),
    "curriculum",
    3,
    ...,
    {},
    ("a", "b"),
    (1, 2),
    [[], []],
]
WHERES: list[Any] = [
    {ORDER: "random"},
    {ORDER: "random", WIDTH: 2},
    {WIDTH: 2.0},
    {},
    {ORDER: []},
    {3: 4},
    3,
    "a",
    ...,
    {NOISE: {}},
]
WHERES += [
    {WIDTH: np.array([1, 2])},
    {WIDTH: "2"},
    {NOISE: math.nan},
    {WIDTH: True},
    {"x" * 900: 1},
    {ORDER: "x" * 900},
    pd.DataFrame({"a": [1]}),
]
LEVELS: list[Any] = [
    [0.5],
    [0.6, 0.2, 0.6],
    [],
    3,
    "low",
    ["low"],
    [math.nan],
    [math.inf],
    np.array([0.1, 0.2]),
    np.ma.array([0.1, 0.2], mask=[0, 1]),
    ...,
    {},
    [True],
    [10**400],
]
ALPHAS: list[Any] = [0.05, 0.5, 0, 1, 5, -1, math.nan, "0.1", None, True, [0.1], np.float64(0.1), 10**400]


def often(usual: list[Any], all_: list[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is right, so that mistakes come one by one."""
    few, many = len(usual), len(all_)
    return st.integers(0, 8 * many - 1).map(lambda i: all_[i] if i < many else usual[i % few])


# Two orders, or one of them.
ROWS = often(
    [(GAPS[0], None), (None, WHERES[0])], [*product(GAPS, [None, WHERES[0], WHERES[5]]), *product([None, GAPS[0]], WHERES)]
)


def right(cells: pd.DataFrame, given_table: Any, gap: Any) -> None:
    """What every table of means must be."""
    numbers = cells[["value", "standard_error"]].to_numpy(dtype=float)
    assert not np.isinf(numbers).any()
    assert (np.isnan(numbers[:, 0]) == (cells["seeds"] == 0)).all()
    assert (cells["seeds"] <= given_table["seed"].nunique()).all()
    if gap is not None:
        p = cells["p_value"].to_numpy(dtype=float)
        assert (np.isnan(p) == (cells["seeds"] < 2)).all()
        assert ((p >= 0) & (p <= 1) | np.isnan(p)).all()


@fuzzed(400)
@given(
    st.lists(STEPS, max_size=2),
    often([[WIDTH, NOISE], [WIDTH, NOISE, ORDER]], [[WIDTH], WIDTH, [], [WIDTH, WIDTH], [...], 3, None, [3], [["a"]], {}]),
    often([ERROR, "failed", "error"], GIVEN),
    ROWS,
)
def test_averages(steps: list[tuple[str, str, int, int]], by: Any, value: Any, rows: tuple[Any, Any]) -> None:
    gap, where = rows
    found = table()
    for step in steps:
        found = changed(step, found)
    before = found.copy(deep=True)
    how, cells = outcome("tables averaged", lambda: average(found, by, value, gap=gap, where=where))
    pd.testing.assert_frame_equal(found, before)
    if how == "fine":
        right(cells, found, gap)
        once = found[[name for name in found.columns[: list(found.columns).index("seed") + 1]]]
        assert not once.duplicated().any()


@fuzzed(60)
@given(
    st.lists(STEPS, max_size=2),
    often([WIDTH, NOISE], GIVEN),
    often([NOISE, WIDTH], GIVEN),
    often([ERROR, "failed"], GIVEN),
    ROWS,
    often([None, [0.5]], LEVELS),
    often([0.05], ALPHAS),
    st.sampled_from([False] * 9 + [True]),
)
def test_phase_diagrams(
    steps: list[tuple[str, str, int, int]], x: Any, y: Any, value: Any, rows: tuple[Any, Any], levels: Any, alpha: Any, odd: bool
) -> None:
    gap, where = rows
    found = table()
    for step in steps:
        found = changed(step, found)
    figure = Figure(figsize=(2, 2), dpi=40)
    FigureCanvasAgg(figure)
    axis: Any = "axes" if odd else figure.subplots()

    def draw() -> PhaseDiagram:
        diagram = cu.phase_diagram(found, x, y, value, gap=gap, where=where, levels=levels, significance=alpha, ax=axis)
        figure.canvas.draw()
        return diagram

    how, diagram = outcome("tables drawn", draw)
    if how == "fine":
        right(diagram.table, found, gap)


RANGES: list[Any] = [("levels.easy.noise", 0.1, 0.5), ("training.learning_rate", 0.1, 1.0), ("student.width", 1, 4)]
BAD_RANGES: list[Any] = [3, ..., {}, "ab", (), ("student.width", 1.5, 4), ("student.width", 4, 1), (3, 1, 2), ("joy", 1, 2)]
BAD_RANGES += [
    ("levels.easy.noise", 0.1, math.inf),
    ("levels.easy.noise", [], 1),
    ("levels.easy.noise", 0, 1, "log"),
    ("levels.easy.noise", 0, 1, 3),
]
BAD_RANGES += [("levels.easy.noise", 0.1, 10**400), ("protocol.order", 0, 1), ("levels.easy.noise", True, 2)]
KEYS: dict[str, list[Any]] = {
    "significance": [5, 0, 1, -1, "a", None, math.nan, True, ...],
    "level": [math.nan, math.inf, -math.inf, "a", [], ..., True],
    "gap": GAPS[2:],
    "budget": [0, 10, -1, math.inf, math.nan, "a", None, 25.5, ...],
    "finest": [-1, 31, 1.5, "a", None, ...],
    "seeds": [0, -1, [], [1, 1], [1.5], "a", {}, ..., [-1], [2**63], 10**12, None, True, math.nan, object()],
    "value": ["joy", 3, None, ..., [], {}, "x" * 900],
    "retry": [3, "a", None, ...],
    "store": [3, "", ..., b"a", "\0", {}, "/", "/dev/null", "/nowhere/a.sqlite", "a" * 5000, "/dev/null/a.sqlite"],
    "observables": [3, "joy", [], [3], ..., {}, [[]], "x" * 900],
    "times": [3],
}
SWEEP_KEYS: dict[str, list[Any]] = {name: KEYS[name] for name in ("seeds", "retry", "store", "observables")} | {
    "shard": ["0/2", "3/2", "a", "1/2/3", 3, (1,), (1, 2, 3), ..., {}, (1.5, 2), "1/0", math.nan, "x" * 900, (1, 10**400)],
    "over": [{"student.width": [object()]}, {"student.width": []}, {"student.width": [1, 1.0]}, {"joy": [1]}, {3: [1]}, 3, ...],
    "zip": [
        {"student.width": [1, 1.0], "training.learning_rate": [1, 1]},
        {"student.width": [1], "training.learning_rate": [1, 2]},
        3,
        ...,
    ],
}


def refused(test: str, call: Any) -> None:
    assert outcome(test, call)[0] == "refused"


@fuzzed(150)
@given(
    st.sampled_from([(name, i) for name, values in KEYS.items() for i in range(len(values))]), st.integers(0, 3 * len(BAD_RANGES))
)
def test_arguments_of_refine(key: tuple[str, int], bad: int) -> None:
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 0.01, "student.width": 1})
    name, i = key
    x, y = RANGES[0], RANGES[1 + bad % 2]
    if bad < 2 * len(BAD_RANGES):
        x, y, name = (BAD_RANGES[bad // 2], y, "") if bad % 2 else (x, BAD_RANGES[bad // 2], "")
    usual: dict[str, Any] = {
        "level": 0.3,
        "points": 64,
        "budget": 25,
        "finest": 0,
        "workers": 1,
        "progress": False,
        "dimension": 50,
    }
    if name == "gap":
        del usual["level"]
    given_: dict[str, Any] = {name: KEYS[name][i]} if name else {}
    refused("arguments of refine", lambda: cu.refine(experiment, x, y, **{**usual, **given_}))


@fuzzed(100)
@given(st.sampled_from([(name, i) for name, values in SWEEP_KEYS.items() for i in range(len(values))]))
def test_arguments_of_sweep(key: tuple[str, int]) -> None:
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 0.01, "student.width": 1})
    name, i = key
    usual: dict[str, Any] = {"points": 64, "workers": 1, "progress": False, "dimension": 50}
    refused("arguments of sweep", lambda: cu.sweep(experiment, **{**usual, name: SWEEP_KEYS[name][i]}))
