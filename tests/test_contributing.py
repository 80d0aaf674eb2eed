"""What CONTRIBUTING.md and README.md print works as printed."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import curriculode as cu

TOP = Path(__file__).parent.parent


@pytest.fixture
def additions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module that CONTRIBUTING.md prints, imported."""
    text = (TOP / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- additions -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    path = tmp_path / "lab_additions.py"
    path.write_text(found[1], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("lab_additions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lab_additions", module)
    spec.loader.exec_module(module)


@pytest.mark.usefixtures("additions")
def test_additions_of_a_users_own() -> None:
    """Two clouds at +-u by a network of swish units: theory and both spaces agree, in the registered observable too."""
    experiment = cu.Experiment.from_toml(
        """
        [task]
        kind = "two-clouds"
        [student]
        width = 2
        activation = "swish"
        [training]
        learning_rate = 0.5
        [protocol]
        order = "random"
        duration = 12.0
        [levels.only]
        noise = 0.7
        """
    )
    assert cu.Experiment.from_toml(experiment.to_toml()) == experiment
    trajectory = cu.integrate(experiment, experiment.initial(dimension=300))
    longest = np.sqrt(np.diagonal(trajectory.Q, axis1=1, axis2=2).max(axis=1))
    assert trajectory.observables()["longest"] == pytest.approx(longest)
    for space in ("overlap", "weight"):
        comparison = cu.compare(experiment, dimension=300, runs=32, times=5, points=512, space=space)
        assert comparison.agrees, comparison.verdict()
        assert "longest" in set(comparison.to_frame()["quantity"])
    # The best linear answer for two clouds is near 1/2 sign: learning takes the error from chance towards Phi(-1 / .7).
    assert trajectory.classification_error[0] > 0.25
    assert trajectory.classification_error[-1] < 0.15


def test_the_readme_names_files_that_exist() -> None:
    text = (TOP / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:theory|sims|figures|tests|benchmarks|curriculode)/[\w./-]*)`", text)
    assert len(named) > 10
    for name in named:
        assert (TOP / name).exists(), name
