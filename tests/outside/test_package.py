"""A package beside curriculode with an entry point: real processes know what it adds, and so do those that they start."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

import curriculode as cu

ROOT = Path(cu.__file__).resolve().parents[1]
METADATA = "Metadata-Version: 2.1\nName: lab\nVersion: 0.1\n"


def install(folder: Path, entry: str = "lab", module: str = "") -> None:
    """A package as an installer leaves it: the module, and what says that curriculode is to load it."""
    information = folder / "lab-0.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(METADATA)
    (information / "entry_points.txt").write_text(f"[curriculode]\nlab = {entry}\n")
    if module:
        (folder / "lab.py").write_text(module)
    else:
        shutil.copy(Path(__file__).with_name("lab.py"), folder / "lab.py")


def run(*arguments: str, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'site'}{os.pathsep}{ROOT}"}
    result = subprocess.run(
        [sys.executable, "-m", "curriculode", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == status, result.stdout + result.stderr
    return result


@pytest.mark.slow
def test_commands_know_what_a_package_adds(tmp_path: Path, lab: ModuleType) -> None:
    install(tmp_path / "site")
    study = cu.Study(
        experiment=lab.two_clouds().replace({"protocol.duration": 1.0}),
        dimension=60,
        runs=4,
        over={"student.width": [1, 2]},
        numerics=cu.Numerics(points=64, times=3),
    )
    (tmp_path / "mine.toml").write_text(study.to_toml())
    compared = run("compare", "mine.toml", "--quantity", "length", "--json", folder=tmp_path, status=0)
    assert json.loads(compared.stdout)["agrees"] is True
    table = pd.read_csv(tmp_path / "curriculode-out" / "mine-compare.csv")
    assert "length" in set(table["quantity"])
    run("sweep", "mine.toml", "--runs", "2", "--workers", "2", "--observables", "length", "--csv", "t.csv", folder=tmp_path)
    swept = pd.read_csv(tmp_path / "t.csv")
    assert not swept["failed"].any()
    assert {"length", "length_simulation"} <= set(swept.columns)
    assert "swish" in run("equations", "mine.toml", folder=tmp_path).stdout + (tmp_path / "mine.toml").read_text()
    drawn = run("figure", "clouds", "--scale", "0.2", folder=tmp_path)
    assert "Lengths of swish units" in drawn.stdout
    assert pd.read_csv(tmp_path / "curriculode-out" / "clouds.csv")["run"].nunique() == 2
    assert "clouds" in run("figure", "--list", folder=tmp_path).stdout
    assert run("integrate", "mine.toml", folder=tmp_path).stderr == ""


@pytest.mark.slow
def test_without_the_package_its_names_are_unknown(tmp_path: Path, lab: ModuleType) -> None:
    (tmp_path / "mine.toml").write_text(lab.two_clouds().to_toml())
    refused = run("integrate", "mine.toml", folder=tmp_path, status=2)
    assert refused.stderr.startswith("curriculode: task.kind 'two-clouds' is unknown; allowed: teacher-student, xor-mixture")
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "module", "reason"),
    [
        ("lab", "import nothing_of_that_name\n", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("lab:begin", "def begin():\n    raise RuntimeError('out of order')\n", "RuntimeError: out of order"),
        ("lab:begin", "", "AttributeError: module 'lab' has no attribute 'begin'"),
    ],
)
def test_a_package_that_is_broken_is_named(entry: str, module: str, reason: str, tmp_path: Path, lab: ModuleType) -> None:
    install(tmp_path / "site", entry, module)
    (tmp_path / "mine.toml").write_text(lab.two_clouds().to_toml())
    refused = run("integrate", "mine.toml", folder=tmp_path, status=2)
    assert f"the entry point lab = {entry} of group 'curriculode' cannot be loaded ({reason})" in refused.stderr
    assert "mend or remove the package that has it" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert run("integrate", "xor-curriculum", "-s", "protocol.duration=1.0", "-s", "student.width=1", folder=tmp_path).stdout
