"""The directive `.. pictures:: NAME ...`: named figures, redrawn from their stored tables, with command, caption and settings.

The tables are those that `curriculode figure NAME --out docs/gallery/tables` writes, with the captions beside them. Nothing is
computed here: a figure whose table is not stored is shown with its command alone.
"""

import hashlib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

TABLES = "gallery/tables"
DPI = 100


def picture(name: str, table: Path, folder: Path) -> str:
    """The picture of a stored table, drawn unless one of that table is there; its name in the folder."""
    import pandas as pd

    from curriculode.figures import gallery
    from curriculode.figures.plots.style import style

    file = f"{name}-{hashlib.sha256(table.read_bytes()).hexdigest()[:8]}.png"
    if not (folder / file).exists():
        folder.mkdir(parents=True, exist_ok=True)
        figure = gallery.figure(name).draw(pd.read_csv(table))
        with style():
            figure.savefig(folder / file, dpi=DPI)
    return file


class Pictures(SphinxDirective):
    """The figures named by its content."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """A section of each."""
        return [self._section(name) for name in " ".join(self.content).split()]

    def _section(self, name: str) -> nodes.Node:
        from curriculode.figures import gallery

        figure = gallery.figure(name)
        section = nodes.section(ids=[nodes.make_id(name)], names=[name])
        section += nodes.title(name, name)
        section += nodes.paragraph("", "", nodes.strong(figure.title, figure.title))
        stored = Path(self.env.srcdir) / TABLES / f"{name}.csv"
        command, words = f"curriculode figure {name}", figure.caption
        if stored.exists():
            self.env.note_dependency(str(stored))
            file = picture(name, stored, Path(self.env.srcdir) / "_build" / "pictures")
            section += nodes.image(uri=f"/_build/pictures/{file}", alt=figure.title, loading="lazy")
            words, _, _ = stored.with_suffix(".txt").read_text(encoding="utf-8").partition("\n\n")
            scale = words.partition("Drawn at scale ")[2].partition(",")[0]
            command += f" --scale {scale}" if scale else ""
        section += nodes.paragraph(words, words, classes=["caption-text"])
        section += nodes.literal_block(command, command, language="console")
        if stored.exists():
            table = nodes.paragraph()
            table += addnodes.download_reference(
                "", "", nodes.Text("The numbers (CSV)"), reftarget=f"/{TABLES}/{name}.csv", refdoc=self.env.docname
            )
            section += table
        else:
            told = "Its numbers are not stored here: the command computes and draws it in minutes."
            section += nodes.paragraph(told, told)
        return section


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("pictures", Pictures)
    return {"version": "1", "parallel_read_safe": True}
