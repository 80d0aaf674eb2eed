"""The directive `.. public:: NAME ...`: public names of the package, each documented from its docstring, methods included."""

import inspect
import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import curriculode


def found(name: str) -> Any:
    """A public name, `networks.compare` too."""
    value: Any = curriculode
    for part in name.split("."):
        value = getattr(value, part)
    return value


def written(name: str) -> list[str]:
    """What documents it, as lines of reStructuredText."""
    if inspect.isclass(found(name)):
        return [
            f".. autoclass:: curriculode.{name}",
            "   :members:",
            "   :exclude-members: model_config, model_post_init, level_type",
            "",
        ]
    return [f".. autofunction:: curriculode.{name}", ""]


def plain_signs(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep |x| an absolute value and M_.p an index, which reStructuredText would read otherwise. Code stays as it is."""
    code: int | None = None  # indentation of the line whose "::" began a block of it
    for number, line in enumerate(lines):
        indentation = len(line) - len(line.lstrip())
        if code is not None and line.strip() and indentation <= code:
            code = None
        if code is None and not line.lstrip().startswith((">>>", "...")):
            lines[number] = re.sub(r"(?<=\w)_(?=\W|$)", r"\_", line.replace("|", "\\|"))
        if code is None and line.rstrip().endswith("::"):
            code = indentation


class Public(SphinxDirective):
    """The names that are its content."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The documentation of all of them."""
        lines = [line for name in " ".join(self.content).split() for line in written(name)]
        holder = nodes.Element()
        self.state.nested_parse(StringList(lines, source=self.env.docname), 0, holder)
        return holder.children


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("public", Public)
    app.connect("autodoc-process-docstring", plain_signs, priority=100)  # before numpydoc reads the sections
    return {"version": "1", "parallel_read_safe": True}
