"""The one verdict on pruned training: `compare` with a pruning, in Python, from a file, over several settings."""

from dataclasses import replace

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.compare.pruned import PrunedJob

M = 0.4 * np.array([[1.0, 0.0], [0.0, 0.9], [-0.8, 0.1], [0.2, -0.7]])
START = cu.OrderParameters(0.6 * np.eye(4) + M @ M.T, M, [0.5, -0.4, 0.6, -0.5])
NAMES = ("ticket", "reinit", "random", "fine-tune", "signs", "overlaps", "untrained")


@pytest.mark.parametrize("order", ["curriculum", "random", "anti-curriculum"])
def test_the_verdict_agrees_and_notices(order: str, seed: int) -> None:
    """From a start that has begun to learn; a share kept that is not that of the runs is noticed."""
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 3.0, "protocol.order": order})
    numerics = cu.Numerics(times=4, points=256)
    job = PrunedJob({}, experiment, 500, 24, 1, seed, numerics, cu.Pruning(keep=0.3), NAMES)
    job.__dict__["initial"] = [START]
    theory, simulation, perturbed = job.studies(lambda fraction: None)
    right = cu.Comparison(job.cells(theory, simulation, perturbed, None), 500, seed, "one cell")
    assert right.agrees, right.verdict()
    assert "theory and simulation agree at D = 500" in right.verdict()
    assert "is not predicted: it is allowed 4 % of a quantity's scale" in right.verdict()
    summary = right.summary().set_index("treatment")
    assert list(summary.index) == ["dense", *NAMES]
    assert summary["finds_learning_rate"]["ticket"] < 0.5
    other = replace(job, pruning=cu.Pruning(keep=0.4))
    other.__dict__["initial"] = [START]
    wrong = cu.Comparison(
        job.cells(other._theory_of(other.setting, 8, lambda _: None), simulation, {}, None), 500, seed, "one cell"
    )
    assert not wrong.agrees
    assert "disagree at D = 500 for treatment = " in wrong.verdict()


def test_compare_prunes(seed: int) -> None:
    """Cells of every treatment and setting of the pruning, from several starts; finite D of the dense training is predicted."""
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 1.5})
    found = cu.compare(
        experiment,
        dimension=150,
        runs=8,
        starts=2,
        seed=seed,
        times=3,
        points=64,
        over={"pruning.keep": [0.2, 0.5]},
        pruning=cu.Pruning(keep=0.3, rewind=0.503),
        treatments=["ticket", "untrained"],
    )
    assert found.agrees, found.verdict()
    assert [(cell.labels["pruning.keep"], cell.labels["treatment"]) for cell in found.cells] == [
        (keep, name) for keep in (0.2, 0.5) for name in ("dense", "ticket", "untrained")
    ]
    for cell in found.cells:
        assert (cell.finite_size is not None) == (cell.labels["treatment"] == "dense")
        assert [len(lines) for lines in cell.theory] == [4, 4]  # as many draws as runs, spread over the starts
        np.testing.assert_allclose(cell.theory[0][0].t, cell.ensemble.t)
    begin = found.cells[1].theory[0][0].state(75 / 150)  # rewound to a whole number of steps
    assert begin.Q.shape == (4, 4)
    assert len(found.plot(quantity="accuracy")) == 2  # a panel for each share kept


def test_two_blocks_and_a_teacher_agree(seed: int) -> None:
    for name, changes in (
        ("xor-fading", {"protocol.duration": 2.0, "task.support": 0.3, "student.activation": "gelu", "training.weight_decay": 0.1}),
        ("perceptron-curriculum", {"protocol.duration": 3.0, "task.support": 0.5}),
    ):
        experiment = cu.load(name).replace(changes)
        pruning = cu.Pruning(keep=0.3, rounds=2, rewind=0.5)
        found = cu.compare(experiment, pruning=pruning, dimension=400, runs=12, times=3, points=256, seed=seed)
        assert found.agrees, found.verdict()


def test_mistakes_are_told() -> None:
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 1.0})
    with pytest.raises(cu.InputError, match=r"^treatments are of what a pruning keeps; give pruning"):
        cu.compare(experiment, dimension=100, treatments=["ticket"])
    with pytest.raises(cu.InputError, match=r"^pruning.keep is not allowed without a pruning"):
        cu.compare(experiment, dimension=100, over={"pruning.keep": [0.1]})
    with pytest.raises(cu.InputError, match=r"^rewind = 3 is not allowed"):
        cu.compare(experiment, dimension=100, pruning=cu.Pruning(keep=0.5, rewind=3.0))
    with pytest.raises(cu.InputError, match=r"has no online dynamics"):
        cu.compare(cu.load("batch-perceptron"), dimension=100, pruning=cu.Pruning(keep=0.5))
