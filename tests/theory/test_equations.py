"""The printed equations are the integrated ones: evaluated with numbers for their averages, they give the compiled result."""

import numpy as np
import pytest
import sympy as sp

import curriculode as cu
from curriculode.theory.dynamics.online import OnlineLearning
from curriculode.theory.dynamics.packing import pack, unpack
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.printing import equations as eq


def value(expression: sp.Expr, numbers: dict) -> float:
    """Evaluate a printed right-hand side: symbols and averages replaced by numbers."""
    return float(expression.xreplace(numbers))


def test_printed_terms_evaluate_to_the_compiled_right_hand_side() -> None:
    """A linear unit with one level: E[F lambda], E[F nu], E[F F] and E[e g] are polynomials computed here by hand."""
    experiment = cu.Experiment(
        task=cu.XorMixture(separation=1.0),
        student=cu.Committee(width=1, activation="linear"),
        training=cu.OnlineSGD(learning_rate=0.5, readout_learning_rate=0.25, weight_decay=0.1),
        protocol=cu.Protocol.single(duration=1.0, noise=0.3),
    )
    q, a, c, w, noise = 1.0, 0.2, 0.1, 2.0, 0.3
    second = (a * a + c * c) / 2 + noise**2 * q  # E lambda^2
    averages = {
        eq.E(eq.F[eq.k] * eq.lam[eq.m]): w * w * second,
        eq.E(eq.F[eq.m] * eq.lam[eq.k]): w * w * second,
        eq.E(eq.F[eq.k] * eq.nu[eq.p]): w * w * a * (0.5 + noise**2),
        eq.E(sp.Symbol("s") ** 2 * eq.F[eq.k] * eq.F[eq.m]): noise**2 * w * w * (w * w * second + 1),
        eq.E(sp.Symbol("e") * eq.g[eq.k]): w * second,
    }
    state = {eq.Q[eq.k, eq.m]: q, eq.M[eq.k, eq.p]: a, eq.v[eq.k]: w, eq.eta: 0.5, eq.eta_v: 0.25, eq.kappa: 0.1}
    printed = [value(equation.right, {**averages, **state}) for equation in eq.equations(experiment)]
    setting = Setting.of(experiment)
    rhs = OnlineLearning(setting, setting.engine("auto", 1024, 0), np.ones(1), setting.rates, np.array([w]))
    y = np.empty(rhs.size)
    pack(np.array([[[q]]]), np.array([[[a, c]]]), np.array([w]), y)
    dQ, dM, dv = np.zeros((1, 1, 1)), np.zeros((1, 1, 2)), np.zeros(1)
    unpack(rhs.rate(0.0, y), dQ, dM, dv)
    assert printed == pytest.approx([dM[0, 0, 0], dQ[0, 0, 0], dv[0]], abs=1e-12)


def test_terms_that_vanish_are_not_printed() -> None:
    perceptron = eq.equations(cu.load("perceptron-curriculum"))
    assert len(perceptron) == 2  # the readout is fixed
    assert perceptron[1].text() == ("d/dt(Q[b, k, l]) = η^2*E(F[k]*F[l]*s[b]^2)*φ[b] - η*(E(F[k]*λ[b, l]) + E(F[l]*λ[b, k]))")
    decaying = eq.equations(cu.load("xor-lottery"))
    assert "κ" in decaying[0].text()
    assert "b" not in decaying[0].text()
    assert decaying[2].latex().startswith(r"\frac{d}{d t} {v}_{k} = ")


@pytest.mark.parametrize("name", ["xor-curriculum", "perceptron-curriculum", "committee-plateau"])
def test_definitions_name_the_numbers(name: str) -> None:
    lines = "\n".join(eq.definitions(cu.load(name)))
    assert "η = " in lines
    assert "stage from t = 0" in lines
