"""The directive `.. equations:: EXPERIMENT`: what is integrated, from the sympy objects of `curriculode equations`."""

from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Equations(SphinxDirective):
    """Equations and definitions, then closed forms of averages, of a built-in experiment."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Each equation with what it says, then the lines about them."""
        from curriculode.theory.describe.experiment import load
        from curriculode.theory.printing.equations import closed_forms, definitions, equations

        experiment = load(self.arguments[0])
        found: list[nodes.Node] = []
        for part, lines in ((equations(experiment), definitions(experiment)), closed_forms(experiment)):
            for equation in part:
                found.append(nodes.paragraph("", "", nodes.Text(f"{equation.words}:")))
                text = equation.latex()
                found.append(nodes.math_block(text, text, number=None, label=None, nowrap=False))
            if lines:
                text = "\n".join(lines)
                found.append(nodes.literal_block(text, text, language="text"))
        return found


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("equations", Equations)
    return {"version": "1", "parallel_read_safe": True}
