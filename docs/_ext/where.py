"""The role {where}`theory/dynamics/online.py OnlineLearning.rate`: a file and the line where a name is defined in it today.

A name that is not there fails the build, so that the tables of equations never point to a line that has moved away.
"""

import ast
from pathlib import Path
from typing import Any

from docutils import nodes

TOP = Path(__file__).resolve().parents[2]


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
    """`path name`, as "path, line n"."""
    place, _, name = text.partition(" ")
    try:
        line = line_of(TOP / place, name) if name else 0
        found = f"{place}:{line}" if name else place
        if not (TOP / place).exists():
            raise LookupError(f"{place} is no file")
    except (LookupError, OSError) as error:
        return [], [inliner.reporter.error(f"where: {error}", line=number)]
    within = [nodes.Text(" "), nodes.inline(name, f"({name})", classes=["where"])] if name else []
    return [nodes.literal(raw, found, classes=["where"]), *within], []


def setup(app: Any) -> dict[str, Any]:
    """Register the role."""
    app.add_role("where", where)
    return {"version": "1", "parallel_read_safe": True}
