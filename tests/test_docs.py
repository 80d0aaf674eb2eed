"""The pages of docs/ and README: their code runs, their commands parse, their lines exist, and nothing public is left out."""

import ast
import importlib
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

import curriculode as cu
from curriculode.figures import gallery

TOP = Path(__file__).resolve().parents[1]
DOCS = TOP / "docs"
PAGES = sorted(page for page in [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")] if "_build" not in page.parts)
WRITTEN = [TOP / "README.md", *PAGES]


def identity(page: Path) -> str:
    return page.relative_to(TOP).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch):
    """A module of docs/_ext, by its name."""
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))

    def of(name: str) -> ModuleType:
        pytest.importorskip("sphinx", reason="the extra docs is not installed")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return of


@pytest.mark.parametrize("page", [page for page in WRITTEN if blocks(page, "python")], ids=identity)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block after the other, in one namespace, as a reader would."""
    if "cu.networks" in "".join(blocks(page, "python")):
        for needed in ("jax", "optax", "sklearn"):
            pytest.importorskip(needed, reason="the extra networks is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(page, "python"):
        exec(compile(block, identity(page), "exec"), names)


@pytest.mark.parametrize(
    "page", [page for page in WRITTEN if re.search("^curriculode ", "".join(blocks(page, "sh")), re.M)], ids=identity
)
def test_the_commands_of_a_page_are_commands(page: Path) -> None:
    """Names and options as they are printed; nothing is computed."""
    import typer

    from curriculode.cli.app import app

    top = typer.main.get_command(app)
    found = 0
    for line in "".join(blocks(page, "sh")).splitlines():
        if not line.startswith("curriculode "):
            continue
        words = shlex.split(line.partition(" > ")[0])[1:]
        command, context = top, top.make_context("curriculode", list(words), resilient_parsing=True)
        while hasattr(command, "commands"):
            name, *words = words
            assert name in command.commands, line
            command = command.commands[name]
        parser = command.make_parser(context)
        parser.parse_args(list(words))  # raises for an option that there is not
        found += 1
    assert found


@pytest.mark.parametrize("page", [TOP / "README.md", TOP / "CONTRIBUTING.md"], ids=identity)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    """Those that no site checks."""
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    assert links or page.stem == "CONTRIBUTING"
    for link in links:
        assert link.startswith("https://") or (TOP / link.partition("#")[0]).exists(), link


def test_the_readme_is_one_page() -> None:
    lines = text_of(TOP / "README.md").splitlines()
    assert len(lines) < 120
    assert max(map(len, lines)) < 220


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_equations_have_their_lines(page: Path, extension) -> None:
    where = extension("where")
    for place, name in re.findall(r"\{where\}`([^\s`]+)(?: ([^`]+))?`", text_of(page)):
        assert (TOP / place).exists(), place
        assert not name or where.line_of(TOP / place, name) > 0
    with pytest.raises(LookupError, match=r"is not defined in online\.py"):
        where.line_of(TOP / "theory/dynamics/online.py", "OnlineLearning.nowhere")


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "tutorials" and page.stem != "index"], ids=identity)
def test_tutorials_assert_a_number(page: Path) -> None:
    cells = blocks(page, r"\{code-cell\} python")
    assert any(re.search(r"^assert .*[<>]", cell, re.MULTILINE) for cell in cells)
    for cell in cells:
        compile(cell, page.name, "exec")


def test_every_public_name_is_in_the_reference_once() -> None:
    listed = [
        name
        for page in (DOCS / "reference").glob("*.rst")
        for part in re.findall(r"^\.\. public::\n((?:   .*\n)+)", text_of(page), re.MULTILINE)
        for name in part.split()
    ]
    assert sorted(listed) == sorted(set(listed))
    assert set(cu.__all__) - set(listed) == {"__version__"}
    assert {name for name in listed if "." not in name} <= set(cu.__all__)


def test_every_figure_is_in_the_gallery_once() -> None:
    listed = [name for page in (DOCS / "gallery").glob("*.md") for part in blocks(page, r"\{pictures\}") for name in part.split()]
    assert sorted(listed) == sorted(gallery.names())
    tables = sorted((DOCS / "gallery" / "tables").glob("*.csv"))
    assert len(tables) > 20
    for table in tables:
        # A table of other settings is out of date: `curriculode figure NAME --out docs/gallery/tables` makes it anew.
        words = table.with_suffix(".txt").read_text(encoding="utf-8").partition("\n\n")[0]
        assert words.partition(" Drawn at scale ")[0] == gallery.figure(table.stem).caption, table.stem


def test_keys_of_a_file_are_those_that_are_checked(extension) -> None:
    settings = extension("settings")
    rows = {row[0]: row for row in settings.rows(cu.Pruning)}
    assert list(rows) == list(cu.Pruning.model_fields)
    assert rows["keep"][2:4] == ("> 0, ≤ 1", "required")
    assert rows["rounds"][1:4] == ("int", "≥ 1, ≤ 1000", "1")
    assert rows["scope"][1:4] == ("one of", '"unit", "layer"', '"unit"')
    assert {row[0]: row for row in settings.rows(cu.OnlineSGD)}["readout_learning_rate"][2:4] == ("≥ 0, ≤ 1e+06", "none")
    named = re.findall(r"^\.\. settings:: (\S+)(.*)$", text_of(DOCS / "reference" / "settings.rst"), re.MULTILINE)
    for path, without in named:
        model = settings.described(path)
        assert [row[0] for row in settings.rows(model, tuple(without.split()))] == [
            key for key in model.model_fields if key not in without.split()
        ]
        assert all(row[4] for row in settings.rows(model))


def test_every_command_is_in_the_reference(extension) -> None:
    from curriculode.cli.app import app

    helps = dict(extension("commands").helps())
    names = {f"curriculode {command.name or command.callback.__name__}" for command in app.registered_commands}
    assert names <= set(helps)
    assert {"curriculode networks compare", "curriculode data fetch"} <= set(helps)
    assert "--dimension" in helps["curriculode compare"]
    assert helps["curriculode data fetch"].startswith("Usage: curriculode data fetch ")


def test_stored_curves_are_those_of_the_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    """One place of the page with sliders, computed anew."""
    monkeypatch.syspath_prepend(str(DOCS / "explore"))
    curves = importlib.import_module("compute").curves
    stored = pd.read_csv(DOCS / "explore" / "curves.csv")
    place = {"width": 2, "noise": 0.6, "share": 0.1}
    here = stored[(stored[list(place)] == pd.Series(place)).all(axis=1)]
    found = curves(**place)
    assert len(found) == len(here) == 42
    for name in ("accuracy", "error", "gap", "gap_error"):
        assert found[name].to_numpy() == pytest.approx(here[name].to_numpy(), rel=1e-3, abs=1e-4)
    assert stored.groupby("width")["gap"].count().to_dict() == dict.fromkeys([2, 4, 8, 16, 32], 840)


def test_published_numbers_are_those_that_tests_keep() -> None:
    """Each row of the table names a test, and that test holds the number."""
    rows = re.findall(r"^\| .*?\{where\}`(\S+) (\S+)`.*$", text_of(DOCS / "validation.md"), re.MULTILINE)
    lines = [line for line in text_of(DOCS / "validation.md").splitlines() if "{where}" in line]
    assert len(rows) == len(lines) > 10
    for (place, name), line in zip(rows, lines, strict=True):
        source = text_of(TOP / place)
        test = next(node for node in ast.walk(ast.parse(source)) if getattr(node, "name", None) == name)
        start = min([test.lineno, *(each.lineno for each in test.decorator_list)])
        code = "\n".join(source.splitlines()[start - 1 : test.end_lineno])
        for number in re.findall(r"`([^`]+)`", line.split("|")[2]):
            assert number in code, (number, name)
