"""The role {where}`theory/dynamics/online.py OnlineLearning.rate`: a file and the line where a name is defined in it today.

It links to the source itself, which is kept beside the pages with its lines numbered. A name that is not there fails the build, so
that the tables of equations never point to a line that has moved away.
"""

import ast
import re
from pathlib import Path
from typing import Any

from docutils import nodes

TOP = Path(__file__).resolve().parents[2]
FOLDER = "code"  # of the sources, within the site


def line_of(path: Path, name: str) -> int:
    """The line on which a dotted name is defined: a class, a function, or one within those, or a value of the module."""
    body, line = ast.parse(path.read_text(encoding="utf-8")).body, 0
    for part in name.split("."):
        for node in body:
            named = getattr(node, "name", None) == part
            targets = [*getattr(node, "targets", []), getattr(node, "target", None)]
            if named or any(isinstance(target, ast.Name) and target.id == part for target in targets):
                line, body = node.lineno, getattr(node, "body", [])
                break
        else:
            raise LookupError(f"{name} is not defined in {path.name}")
    return line


def where(role: str, raw: str, text: str, number: int, inliner: Any, options: Any = None, content: Any = ()) -> Any:
    """`path name`, as "path:n (name)"."""
    place, _, name = text.partition(" ")
    try:
        line = line_of(TOP / place, name) if name else 0
        found = f"{place}:{line}" if name else place
        if not (TOP / place).exists():
            raise LookupError(f"{place} is no file")
    except (LookupError, OSError) as error:
        return [], [inliner.reporter.error(f"where: {error}", line=number)]
    shown: nodes.Node = nodes.literal(raw, found, classes=["where"])
    if place.endswith(".py"):
        up = "../" * inliner.document.settings.env.docname.count("/")
        shown = nodes.reference("", "", shown, refuri=f"{up}{FOLDER}/{place}.html{f'#line-{line}' if name else ''}", internal=True)
    within = [nodes.Text(" "), nodes.inline(name, f"({name})", classes=["where"])] if name else []
    return [shown, *within], []


def places(folder: Path) -> set[str]:
    """The source files that pages of a folder name."""
    pages = [page for kind in ("*.md", "*.rst") for page in folder.rglob(kind) if "_build" not in page.parts]
    return {place for page in pages for place in re.findall(r"\{where\}`([^\s`]+\.py)", page.read_text(encoding="utf-8"))}


def write_sources(app: Any, error: Exception | None) -> None:
    """Those files as pages, with numbered lines."""
    if error is not None or app.builder.format != "html":
        return
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    for place in places(Path(app.srcdir)):
        form = HtmlFormatter(full=True, title=place, linenos="inline", lineanchors="line", anchorlinenos=True, style="friendly")
        target = Path(app.outdir) / FOLDER / f"{place}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(highlight((TOP / place).read_text(encoding="utf-8"), PythonLexer(), form), encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Register the role."""
    app.add_role("where", where)
    app.connect("build-finished", write_sources)
    return {"version": "1", "parallel_read_safe": True}
