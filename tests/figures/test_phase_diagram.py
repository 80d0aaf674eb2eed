"""Phase diagrams: the colours are the means of the table, cells lie around their values, and doubt is hatched."""

import json
from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import curriculode as cu
from curriculode.figures.plots.phase_diagram import phase_diagram
from tests.cli.conftest import Command, command  # noqa: F401  a fixture


def table_of(widths: list[int], noises: list[float], seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    """A curriculum gains 0.1 at noise above 0.4, and nothing below; one row fails."""
    rows = list(product(widths, noises, ("curriculum", "random"), range(seeds)))
    table = pd.DataFrame(rows, columns=["student.width", "levels.hard.noise", "protocol.order", "seed"])
    gain = (table["levels.hard.noise"] > 0.4) & (table["protocol.order"] == "curriculum")
    scatter = 0.2 * table["seed"] / seeds  # shared by the orders: only a paired test sees the gap
    error = table["levels.hard.noise"] / 2 + scatter - 0.1 * gain + 0.001 * rng.standard_normal(len(table))
    return table.assign(classification_error=error, failed=False, status="reached the end", seconds=0.1)


@pytest.fixture
def table(rng: np.random.Generator) -> pd.DataFrame:
    return table_of([2, 4, 8, 16], [0.1, 0.2, 0.3, 0.5, 0.7], 5, rng)


WHERE = {"protocol.order": "random"}


def test_colours_are_means_and_cells_lie_around_their_values(table: pd.DataFrame) -> None:
    before = dict(mpl.rcParams)
    axis = Figure().subplots()
    diagram = cu.phase_diagram(table, "student.width", "levels.hard.noise", where=WHERE, ax=axis)
    assert dict(mpl.rcParams) == before
    assert diagram.ax is axis
    image = diagram.mesh.get_array()
    assert image.shape == (5, 4)
    random = table[table["protocol.order"] == "random"]
    expected = random.pivot_table(index="levels.hard.noise", columns="student.width", values="classification_error")
    assert np.allclose(image, expected.to_numpy())
    edges = diagram.mesh.get_coordinates()
    assert np.allclose(edges[0, :, 0], 2.0 ** np.array([0.5, 1.5, 2.5, 3.5, 4.5]))  # logarithmic, as the widths are
    assert np.allclose(edges[:, 0, 1], [0.05, 0.15, 0.25, 0.4, 0.6, 0.8])  # and not uniform, as the noises are
    assert axis.get_xscale() == "log"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("width K", "noise of the hard level")
    assert diagram.colorbar.ax.get_ylabel() == "classification error"
    assert diagram.contours is not None
    assert diagram.hatching is None


def test_gaps_that_are_not_significant_are_hatched(table: pd.DataFrame) -> None:
    diagram = phase_diagram(table, "student.width", "levels.hard.noise", gap=("curriculum", "random"), significance=0.001)
    significant = diagram.table["significant"]
    assert (significant == (diagram.table["levels.hard.noise"] > 0.4)).all()
    assert diagram.hatching.get_hatch() == "////"
    assert len(diagram.hatching.get_paths()) >= (~significant).sum()
    hatched = ~np.ma.getmaskarray(diagram.hatching.get_array())
    assert np.array_equal(hatched.reshape(5, 4), np.repeat([[1], [1], [1], [0], [0]], 4, axis=1))
    texts = [text.get_text() for text in diagram.ax.get_legend().get_texts()]
    assert texts == ["gap not significant (paired t test, p > 0.001)"]
    assert diagram.mesh.get_clim() == (-diagram.table["value"].abs().max(), diagram.table["value"].abs().max())


def test_failures_are_told_from_numbers(table: pd.DataFrame) -> None:
    whole = (table["student.width"] == 16) & (table["levels.hard.noise"] == 0.7)
    one = (table["student.width"] == 2) & (table["seed"] == 1)
    failed = table.assign(failed=whole | one, classification_error=table["classification_error"].mask(whole | one))
    diagram = phase_diagram(failed, "student.width", "levels.hard.noise", where=WHERE)
    assert np.ma.getmaskarray(diagram.mesh.get_array()).sum() == 1
    grey, crosses = diagram.failures
    assert (~np.ma.getmaskarray(grey.get_array())).sum() == 1
    assert crosses.get_xdata().tolist() == pytest.approx([2] * 5)
    share = phase_diagram(failed, "student.width", "levels.hard.noise", "failed", where=WHERE)
    assert share.mesh.get_array().max() == 1.0
    assert share.failures == []


def test_points_that_are_no_grid_own_what_is_near(rng: np.random.Generator) -> None:
    points = rng.random((60, 2))
    table = pd.DataFrame(
        {"levels.hard.noise": points[:, 0], "training.learning_rate": points[:, 1], "protocol.order": "random", "seed": 0}
    ).assign(generalization_error=points.sum(axis=1), failed=False)
    diagram = phase_diagram(table, "levels.hard.noise", "training.learning_rate", "generalization_error", levels=[1.0])
    image, edges = diagram.mesh.get_array(), diagram.mesh.get_coordinates()
    centres = 0.25 * (edges[1:, 1:] + edges[:-1, 1:] + edges[1:, :-1] + edges[:-1, :-1])
    assert np.abs(image - centres.sum(axis=-1)).mean() < 0.15
    vertices = np.concatenate([path.vertices for path in diagram.contours.get_paths()])
    assert np.allclose(vertices.sum(axis=1), 1.0)  # linear between the points, so exact for a plane


def test_names_on_an_axis(rng: np.random.Generator) -> None:
    table = table_of([2, 4], [0.1, 0.2], 2, rng).rename(columns={"student.width": "student.activation"})
    table["student.activation"] = table["student.activation"].map({2: "erf", 4: "relu"})
    diagram = phase_diagram(table, "student.activation", "levels.hard.noise", where=WHERE)
    assert [label.get_text() for label in diagram.ax.get_xticklabels()] == ["erf", "relu"]


def test_one_column_of_cells(rng: np.random.Generator) -> None:
    diagram = phase_diagram(table_of([4], [0.1, 0.2, 0.3], 2, rng), "student.width", "levels.hard.noise", where=WHERE)
    assert diagram.mesh.get_array().shape == (3, 1)
    assert diagram.contours is None


def test_mistakes(table: pd.DataFrame) -> None:
    with pytest.raises(cu.InputError, match="give two parameters of the table"):
        phase_diagram(table, "student.width", "student.width")
    with pytest.raises(cu.InputError, match=r"also varies in protocol\.order"):
        phase_diagram(table, "student.width", "levels.hard.noise")
    with pytest.raises(cu.InputError, match="significance = 5 is not allowed"):
        phase_diagram(table, "student.width", "levels.hard.noise", significance=5)


@pytest.mark.slow
def test_the_command_writes_picture_and_numbers(table: pd.DataFrame, tmp_path: Path, command: Command) -> None:  # noqa: F811
    table.to_csv(tmp_path / "noise.csv", index=False)
    arguments = ["diagram", "noise.csv", "--x", "student.width", "--y", "levels.hard.noise"]
    result = command(*arguments, "--gap", "curriculum,random", "--levels=-0.05")
    count = int(phase_diagram(table, "student.width", "levels.hard.noise", gap=("curriculum", "random")).table["significant"].sum())
    assert f"the gap is significant in {count} of 20 cells" in result.out
    folder = tmp_path / "curriculode-out"
    assert (folder / "noise-diagram.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "noise-diagram.pdf").read_bytes().startswith(b"%PDF")
    assert int(pd.read_csv(folder / "noise-diagram.csv")["significant"].sum()) == count
    chosen = command(*arguments, "--where", "protocol.order=random", "--out", "other", "--json")
    assert len(json.loads(chosen.out)["table"]["value"]) == 20
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG")
    for bad, message in (
        (arguments, "also varies in protocol.order"),
        (["diagram", "nothing.csv", *arguments[2:]], "the table nothing.csv cannot be read (No such file or directory)"),
        (["diagram", "picture.csv", *arguments[2:]], "the table picture.csv cannot be read"),
        ([*arguments, "--levels", "low"], "--levels 'low' is not understood"),
        ([*arguments, "--gap", "curriculum"], "give two different orders of the table"),
        ([*arguments, "--where", "protocol.order"], "--where 'protocol.order' is not understood; write NAME=VALUE"),
    ):
        refused = command(*bad, status=2)
        assert message in refused.err
        assert refused.err.count("\n") == 1


def test_a_truncated_table_gets_a_sentence() -> None:
    table = pd.DataFrame(
        {"student.width": [2, 4], "levels.hard.noise": [0.2, 0.4], "seed": [0, 0], "error": [0.1, 0.2], "failed": [False, None]}
    )
    with pytest.raises(cu.InputError, match="rows that are not complete"):
        cu.phase_diagram(table, "student.width", "levels.hard.noise", "error")


def test_a_boundary_from_closed_form_lies_where_a_grid_changes(tmp_path: Path) -> None:
    """Below the critical decay small ReLU units live, above they die: on a grid integrated from small weights."""
    experiment = cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=1, activation="relu", weight_scale=0.05, readout_scale=0.05),
        training=cu.OnlineSGD(learning_rate=0.5),
        protocol=cu.Protocol.single(duration=150.0, noise=0.3),
    )
    name, noises = "levels.only.noise", [0.2, 0.6]
    edge = pd.DataFrame(
        {name: noises, "training.weight_decay": [cu.critical_decay(experiment.replace({name: noise})) for noise in noises]}
    )
    rows = []
    for noise, threshold in zip(noises, edge["training.weight_decay"], strict=True):
        for decay in (0.85 * threshold, 1.15 * threshold):
            there = experiment.replace({name: noise, "training.weight_decay": float(decay)})
            begin = cu.OrderParameters([[2.5e-3]], [[0.045, 0.0]], [0.05])
            end = cu.integrate(there, begin, points=256, times=2, estimate_error=False, rtol=1e-4)
            rows.append({name: noise, "training.weight_decay": decay, "seed": 0, "readout": float(end.v[-1, 0])})
            assert (rows[-1]["readout"] > 0.05) == (decay < threshold)
    table = pd.DataFrame(rows).assign(failed=False, status="", seconds=0.0)
    diagram = phase_diagram(table, name, "training.weight_decay", "readout", boundary=edge)
    np.testing.assert_array_equal(diagram.boundary.get_ydata(), edge["training.weight_decay"])
    both = pd.concat([edge.assign(phase="dead"), edge.assign(phase="divergent")])
    named = phase_diagram(table, name, "training.weight_decay", "readout", boundary=both)
    told = [text.get_text() for text in named.ax.get_legend().get_texts()]
    assert told == ["stability: beyond it dead", "stability: beyond it divergent"]
    with pytest.raises(cu.InputError, match="boundary"):
        phase_diagram(table, name, "training.weight_decay", "readout", boundary=edge[[name]])
