"""The commands on experiments in a tangent space."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import curriculode as cu

from .conftest import Command

QUICK = ["-D", "40", "-s", "training.examples=[2.0,6.0]"]


@pytest.mark.usefixtures("no_pictures")
def test_both_sides_and_the_verdict(command: Command, tmp_path: Path) -> None:
    told = json.loads(command("integrate", "tangent-committee", *QUICK, "--json").out)
    case = cu.load("tangent-committee").replace({"training.examples": [2.0, 6.0]})
    theory = cu.state_evolution(case, case.initial(dimension=40))
    assert told["trajectory"]["train_loss"] == pytest.approx(theory.train_loss.tolist())
    assert told["statistics"]["threshold"] == 4.0
    assert "corrections at finite D" in told["status"]
    runs = json.loads(command("simulate", "tangent-committee", *QUICK, "--runs", "6", "--json").out)
    assert runs["summary"]["t"] == [2.0, 6.0]
    assert np.allclose(runs["summary"]["train_loss"], theory.train_loss, atol=0.05)
    said = command("compare", "tangent-committee", *QUICK, "--runs", "8")
    assert "agree at D = 40" in said.out
    table = pd.read_csv(tmp_path / "curriculode-out" / "tangent-committee-compare.csv")
    assert {"train_loss", "generalization_error", "Q[0,1]"} <= set(table["quantity"])


def test_equations_and_refusals(command: Command) -> None:
    said = command("equations", "tangent-committee").out
    assert "V_b^(-1) = alpha*E(s_b^2*c*c'*rho) + gamma" in said
    assert "γ = 0.1" in said
    refused = command("integrate", "tangent-committee", "--rtol", "1e-3", status=2)
    assert "for online learning" in refused.err
    assert "increasing" in command("integrate", "tangent-committee", "-s", "training.examples=[3.0,2.0]", status=2).err
