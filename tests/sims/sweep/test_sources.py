"""The number of the sources: words do not change it, equations do."""

import shutil
from pathlib import Path

import pytest

import curriculode as cu
from curriculode.sims.sweep import sources

ROOT = Path(cu.__file__).resolve().parents[1]


def number(root: Path) -> str:
    return sources.syntax_number({name: path.read_bytes() for name, path in sources.files_that_count(root)})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("theory/averages", "theory/printing", "sims/spaces", "sims/runs", "sims/tickets", "sims/sweep"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_words_count_for_nothing_and_equations_for_everything(copy: Path) -> None:
    before = number(copy)
    averages = copy / "theory/averages/quasi_monte_carlo.py"
    edit(averages, '"""', '"""Other words. ')
    edit(averages, "    z -= z.mean", "    # why\n    z  -=  z.mean")
    edit(averages, '    """The smallest net', '    """The very smallest net')
    (copy / "theory/printing/equation.py").write_text("1 / 0")
    (copy / "sims/sweep/progress.py").write_text("1 / 0")
    assert number(copy) == before
    edit(averages, "2.0**-53, 1 - 2.0**-53", "2.0**-52, 1 - 2.0**-53")
    assert number(copy) != before
    edit(averages, "2.0**-52, 1 - 2.0**-53", "2.0**-53, 1 - 2.0**-53")
    assert number(copy) == before
    (copy / "sims/spaces/new.py").write_text("")
    assert number(copy) != before


def test_the_number_is_that_of_the_files_and_remembered() -> None:
    assert sources.fingerprint() == number(ROOT)
    sources.fingerprint.cache_clear()
    assert sources.fingerprint() == number(ROOT)
