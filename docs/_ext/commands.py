"""The directive `.. commands::`: every command with its `--help`, from the command line itself."""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

WIDTH = 100


def helps() -> Iterator[tuple[str, str]]:
    """Every command, those of groups too, and what its `--help` prints."""
    import typer

    from curriculode.cli.app import app

    def walk(name: str, command: Any, parent: Any) -> Iterator[tuple[str, str]]:
        context = type(parent)(
            command, info_name=name.rpartition(" ")[2], parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
        )
        if parent is not root or not hasattr(command, "commands"):
            yield name, command.get_help(context)
        for child, inner in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {child}", inner, context)

    top = typer.main.get_command(app)
    root = top.make_context("curriculode", [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH)
    yield "curriculode", top.get_help(root)
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        yield from walk(f"curriculode {name}", command, root)


class Commands(SphinxDirective):
    """All of them, one section each."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        found: list[nodes.Node] = []
        for name, text in helps():
            section = nodes.section(ids=[nodes.make_id(name)], names=[nodes.fully_normalize_name(name)])
            section += nodes.title(name, name)
            section += nodes.literal_block(text, text, language="text")
            found.append(section)
        return found


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True}
