"""The directive `.. settings:: CLASS ...`: the keys that a section of a file may have, from the description itself.

Types and meanings are those of its docstring, ranges and defaults those that are enforced.
"""

import inspect
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

from docutils import nodes
from numpydoc.docscrape import NumpyDocString
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.util.docutils import SphinxDirective

from curriculode.theory.core.description import Description

HEADER = ("key", "type", "allowed", "default", "means")
SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def described(path: str) -> Any:
    """The class at `theory.describe.committee.Committee`."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(f"curriculode.{module}"), name)


def allowed(field: FieldInfo) -> str:
    """The range or the values that are enforced, as far as the field itself says so."""
    bounds = [
        f"{sign} {getattr(each, name):g}"
        for each in [*field.metadata, *_inner(field.annotation)]
        for name, sign in SIGNS.items()
        if getattr(each, name, None) is not None
    ]
    return ", ".join([*_values(field.annotation), *dict.fromkeys(bounds)])


def _inner(annotation: Any) -> list[Any]:
    """The constraints within a union such as `Annotated[float, Field(ge=0)] | None`."""
    found = []
    for part in get_args(annotation):
        for each in getattr(part, "__metadata__", ()):
            found += getattr(each, "metadata", None) or [each]
    return found


def _values(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [f'"{value}"' if isinstance(value, str) else str(value) for value in get_args(annotation)]
    return [value for part in get_args(annotation) if not isinstance(part, str) for value in _values(part)]


def default(field: FieldInfo) -> str:
    """The default as a file would have it; "required" where there is none."""
    if field.default_factory is not None or field.default == ():
        return "none"
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    return str(field.default).lower() if isinstance(field.default, bool) else repr(field.default).replace("'", '"')


def rows(model: Any, without: tuple[str, ...] = ()) -> list[tuple[str, str, str, str, str]]:
    """One row a key. A key that no docstring describes, of the class or what it extends, fails the build."""
    words = {
        name.strip(): (each.type.partition(", default")[0].removesuffix(", optional"), " ".join(" ".join(each.desc).split()))
        for part in reversed(model.__mro__)
        if issubclass(part, Description)
        for each in NumpyDocString(inspect.cleandoc(part.__doc__ or ""))["Parameters"]
        for name in each.name.split(",")
    }
    found = []
    for key, field in model.model_fields.items():
        if key in without:
            continue
        kind, meaning = words[key]
        values = allowed(field)
        found.append(
            (key, "one of" if kind.startswith("{") else kind, values or kind * kind.startswith("{"), default(field), meaning)
        )
    return found


def marked(text: str) -> list[nodes.Node]:
    """A text with what stands between backticks as code."""
    parts = text.split("`")
    return [nodes.literal(part, part) if number % 2 else nodes.Text(part) for number, part in enumerate(parts) if part]


def table(header: tuple[str, ...], body: list[tuple[str, ...]]) -> nodes.table:
    """A table of plain text, with the first column as code."""
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    head, rest = nodes.thead(), nodes.tbody()
    for part, lines in ((head, [header]), (rest, body)):
        for line in lines:
            row = nodes.row()
            for column, text in enumerate(line):
                inline = [nodes.literal(text, text)] if part is rest and column in (0, 3) and text else marked(text)
                row += nodes.entry("", nodes.paragraph("", "", *inline))
            part += row
    group += [head, rest]
    result = nodes.table("", group)
    result["classes"].append("settings")
    return result


class Settings(SphinxDirective):
    """The keys of one description; keys after its path are left out."""

    required_arguments = 1
    optional_arguments = 100

    def run(self) -> list[nodes.Node]:
        """Their table."""
        return [table(HEADER, rows(described(self.arguments[0]), tuple(self.arguments[1:])))]


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("settings", Settings)
    return {"version": "1", "parallel_read_safe": True}
