"""An equation as a sympy object that prints itself in LaTeX and in plain text."""

from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Equation:
    """left = right, and in words what it says."""

    left: sp.Expr
    right: sp.Expr
    words: str

    def latex(self) -> str:
        """The equation in LaTeX."""
        left = sp.latex(self.left).replace(r"\frac{\partial}{\partial t}", r"\frac{d}{d t}")
        return f"{left} = {sp.latex(self.right)}".replace("Φ", r"\Phi ").replace("φ", r"\varphi ")

    def text(self) -> str:
        """The equation in plain text, one line."""
        return f"{_plain(self.left)} = {_plain(self.right)}"


def _plain(expression: sp.Expr) -> str:
    text = sp.sstr(expression).replace("**", "^").replace("Derivative(", "d/dt(").replace(", t)", ")")
    return (
        text.replace("lambda", "λ")
        .replace("nu[", "ν[")
        .replace("eta_v", "η_v")
        .replace("eta", "η")
        .replace("kappa", "κ")
        .replace("phi", "φ")
    )
