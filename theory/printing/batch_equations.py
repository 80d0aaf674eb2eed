"""The state evolution of an experiment as sympy objects, for print: what each slice solves (`theory/batch/slice_equations.py`)."""

import math
from typing import TYPE_CHECKING

import sympy as sp

from curriculode.theory.batch.slices import Slices
from curriculode.theory.printing.equation import Equation

if TYPE_CHECKING:
    from curriculode.theory.describe.experiment import Experiment

_PROXIMAL = {
    "squared": "f = (y - ω) / (1 + V)",
    "logistic": "f = y σ(-y h*),  h* = ω + V f",
    "hinge": "f = y clip((1 - y ω) / V, 0, 1)",
}


def batch_equations(experiment: "Experiment") -> "list[Equation]":
    """The fixed point of a slice: V, R and Q from the averages over its examples, and the overlaps of the slice before."""
    slices = Slices.of(experiment)
    names = ["rel", "irr"][: slices.fractions.size]
    V, Q, Vhat, qhat, phi, Delta = (sp.IndexedBase(name) for name in ("V", "Q", "Vhat", "qhat", "phi", "Delta"))
    E = sp.Function("E")
    alpha, G, T, R, mhat = sp.symbols("alpha G T R mhat")
    f, f_omega, f_nu = sp.symbols("f f_omega f_nu")
    coupled = len(slices.load) > 1
    tie = sp.Symbol("gamma_prev") if coupled else sp.Integer(0)
    R_prev, Q_prev = sp.Symbol("R_prev"), sp.IndexedBase("Q_prev")
    b = [sp.Symbol(name) for name in names]
    # Averages are summed over the levels of the slice, each with its alpha: written here as one E.
    result = [Equation(mhat, alpha * E(f_nu), "response to the teacher")]
    for block in b:
        scale = sp.Integer(1) if block.name == "rel" else Delta
        result += [
            Equation(Vhat[block], -alpha * E(scale * f_omega), "stiffness added by the examples"),
            Equation(qhat[block], alpha * E(scale * f**2), "noise left by the examples"),
        ]
    result.append(Equation(R, (mhat * T + tie * R_prev) / (G + Vhat[b[0]]), "overlap with the teacher"))
    for block in b:
        result.append(Equation(V[block], phi[block] / (G + Vhat[block]), "variance that an example takes away"))
        source = phi[block] * qhat[block] + tie**2 * Q_prev[block]
        if block.name == "rel":
            source += mhat**2 * T + 2 * mhat * tie * R_prev
        result.append(Equation(Q[block], source / (G + Vhat[block]) ** 2, "squared length of the weights"))
    return result


def batch_definitions(experiment: "Experiment") -> list[str]:
    """What the symbols of `batch_equations` are in this experiment, a line each."""
    slices, training, protocol = Slices.of(experiment), experiment.training, experiment.protocol
    lines = [
        f"y = sign(ν);  {_PROXIMAL[training.loss]};  V = sum_b Δ_b V_b",
        "(ω, ν) Gaussian: Var ω = sum_b Δ_b Q_b, Cov = R, Var ν = T;  f_omega = ∂f/∂ω, f_nu = ∂f/∂ν (y jumps at ν = 0)",
        "alpha E: a sum over the levels of the slice;  G = gamma + gamma_prev;  prev: the slice before",
        f"blocks b: rel (φ = {slices.fractions[0]:g}, Δ = 1)"
        + (f" and irr (φ = {slices.fractions[1]:g}, Δ is the level's irrelevant_variance)" if slices.fractions.size > 1 else "")
        + f";  T = {slices.T:g}",
        "test error at a level: arccos(R / sqrt(Var ω T)) / π",
    ]
    for s, load in enumerate(slices.load):
        mixture = ", ".join(f"α = {a:.3g} {level.name}" for a, level in zip(load, protocol.levels, strict=True) if a > 0)
        strengths = [("gamma", slices.regularization[s])] + ([("gamma_prev", slices.coupling[s])] if s else [])
        said = ", ".join(f"{name} = {value:g}" if not math.isnan(value) else f"{name} optimal" for name, value in strengths)
        lines.append(f"slice {s + 1}: {mixture};  {said}")
    return lines
