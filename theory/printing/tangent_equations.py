"""The equations of a tangent space as sympy objects, for print: those of `theory/tangent/ridge.py`, or of `learning.py` there."""

from typing import TYPE_CHECKING

import sympy as sp

from curriculode.theory.describe.tangent import TangentRidge, TangentSGD, moving_layers
from curriculode.theory.printing.equation import Equation

if TYPE_CHECKING:
    from curriculode.theory.describe.experiment import Experiment


def tangent_equations(experiment: "Experiment") -> list[Equation]:
    """What is solved or integrated: the coefficients along the start and the references, and what is orthogonal to them."""
    training, (first, readout) = experiment.training, _layers(experiment)
    E, k = sp.Function("E"), sp.Symbol("k")
    dv, g, units = (sp.IndexedBase(name) for name in ("dv", "g", "c"))
    # Matrices do not commute.
    V, X, Q, C, outer, rho, psi, features, r, A, N, e, noise, spread = (
        sp.Symbol(name, commutative=False)
        for name in ("V_b", "X_b", "Q_perp_b", "C_b", "c*c'", "rho", "psi", "psi*psi'", "r", "A", "N", "e", "noise", "spread")
    )
    alpha, gamma, eta, eta_v, kappa, t, phi, s = sp.symbols("alpha gamma eta eta_v kappa t phi_b s_b")
    if isinstance(training, TangentRidge):
        result = [Equation(A, (alpha * E(rho * features) + N) ** -1 * alpha * E(rho * psi * r), "along start and references")]
        if first:
            moved = alpha * E(s**2 * outer * rho**2 * ((r - A * psi) ** 2 + noise + spread))
            result += [
                Equation(V**-1, gamma + alpha * E(s**2 * outer * rho), "what an example takes away across them"),
                Equation(V**-1 * X * V**-1, moved, "moved across them"),
                Equation(Q, phi * X, "overlaps across them"),
            ]
        return result
    assert isinstance(training, TangentSGD)
    decay = kappa if training.weight_decay > 0 else sp.Integer(0)
    result = []
    if first:
        noisy = eta**2 * phi * E(s**2 * outer * (e**2 + noise + spread))
        change = -eta * (C * Q + Q * C) + noisy - 2 * eta * decay * Q
        a, start, xi = sp.IndexedBase("a"), sp.IndexedBase("w0"), sp.Symbol("xi_b")
        along = -eta * E(e * units[k] * xi) - eta * decay * (a[k] + start[k])
        result += [
            Equation(sp.Derivative(a[k], t), along, "along start and references, in each block"),
            Equation(sp.Derivative(sp.Symbol("Q_perp_b"), t), change, "overlaps across them"),
        ]
    if readout:
        v0 = sp.IndexedBase("v0")
        result.append(Equation(sp.Derivative(dv[k], t), -eta_v * E(e * g[k]) - eta_v * decay * (v0[k] + dv[k]), "readout"))
    return result


def tangent_definitions(experiment: "Experiment") -> list[str]:
    """What the symbols of `tangent_equations` are in this experiment, a line each."""
    training, student = experiment.training, experiment.student
    assert isinstance(training, (TangentRidge, TangentSGD))
    first, readout = _layers(experiment)
    parts = [*(["c_k ξ_b"] if first else []), *(["g_k"] if readout else [])]
    model = "A·ψ + sum_k c_k (part of dw_k across).x / sqrt(D)"
    lines = [
        f"f = {model if training.centred else 'f0 + ' + model},  ψ = ({', '.join(parts)}),  A = (a, dv)",
        f"c_k = v0_k g'(λ0_k),  g_k = g(λ0_k),  g(x) = {student.g.formula},  K = {student.width};  f0 = sum_k v0_k g_k",
        "ξ_b: coordinates of an example in the span of start and references;  r = y" + ("" if training.centred else " - f0"),
    ]
    if isinstance(training, TangentRidge):
        strength = training.regularization
        said = strength if isinstance(strength, str) else f"{strength:g}" + (" (least norm)" if strength == 0 else "")
        numbers = ", ".join(f"{each:g}" for each in training.numbers(experiment.protocol.duration))
        lines += [
            "ρ = 1 / (1 + sum_b φ_b s_b^2 c' V_b c);  spread = sum_b s_b^2 c' Q_perp_b c;  N = γ for a, γ_v for dv",
            f"α = {numbers};  γ = {said};  γ_v = {training.readout_regularization:g}",
        ]
    else:
        lines += [
            "e = A·ψ - r;  C_b = E(s_b^2 c c');  spread = sum_b s_b^2 c' Q_perp_b c",
            f"η = {training.rates().eta:g},  η_v = {training.rates(readout).eta_v:g},  κ = {training.weight_decay:g}",
        ]
    return lines + experiment.task.definitions()


def _layers(experiment: "Experiment") -> tuple[bool, bool]:
    training = experiment.training
    assert isinstance(training, (TangentRidge, TangentSGD))
    return moving_layers(training.layers, experiment.student)
