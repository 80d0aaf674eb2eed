"""The pages of docs/ point to lines that there are, and every tutorial ends in a number that is asserted."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_equations_have_their_lines(page: Path) -> None:
    spec = importlib.util.spec_from_file_location("where", DOCS / "_ext" / "where.py")
    assert spec is not None
    assert spec.loader is not None
    where = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(where)
    for place, name in re.findall(r"\{where\}`(\S+)(?: ([^`]+))?`", page.read_text(encoding="utf-8")):
        assert (where.TOP / place).is_file(), place
        assert not name or where.line_of(where.TOP / place, name) > 0
    with pytest.raises(LookupError, match=r"is not defined in online\.py"):
        where.line_of(where.TOP / "theory/dynamics/online.py", "OnlineLearning.nowhere")


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "tutorials"], ids=lambda page: page.stem)
def test_tutorials_assert_a_number(page: Path) -> None:
    cells = re.findall(r"```\{code-cell\} python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert any(re.search(r"^assert .*[<>]", cell, re.MULTILINE) for cell in cells)
    for cell in cells:
        compile(cell, page.name, "exec")
