"""The equations of an experiment as sympy objects: what is integrated, term by term, for print.

Each right-hand side is a sum of named terms. A term whose coefficient vanishes in the experiment (no weight decay, a fixed
readout, one block) is left out, so that what is printed is what is integrated. The same prefactors are held against the
compiled right-hand side in the tests.
"""

import sympy as sp

from curriculode.theory.averages import derivation
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.training import OnlineSGD
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.printing.batch_equations import batch_definitions, batch_equations
from curriculode.theory.printing.equation import Equation
from curriculode.theory.printing.tangent_equations import tangent_definitions, tangent_equations
from curriculode.theory.tangent.space import TANGENT
from curriculode.theory.tasks import TeacherStudent
from curriculode.theory.units.activations import polynomial_coefficients

k, m, p, b = sp.symbols("k l p b", integer=True)
eta, eta_v, kappa = sp.symbols("eta eta_v kappa", nonnegative=True)
t = sp.Symbol("t")
Q, M, v, phi, s = (sp.IndexedBase(name) for name in ("Q", "M", "v", "phi", "s"))
F, lam, nu, g = (sp.IndexedBase(name) for name in ("F", "lambda", "nu", "g"))
E = sp.Function("E")


def equations(experiment: Experiment) -> list[Equation]:
    """The ODE system of an experiment: for M, Q and (where it is trained) v; the state evolution where it learns in batches.

    >>> from curriculode import load
    >>> print(equations(load("perceptron-curriculum"))[0].text())
    d/dt(M[b, k, p]) = -η*E(F[k]*ν[b, p])
    """
    training, student = experiment.training, experiment.student
    if isinstance(training, TANGENT):
        return tangent_equations(experiment)
    if not isinstance(training, OnlineSGD):
        return batch_equations(experiment)
    several = experiment.task.block_fractions().size > 1
    decay = kappa if training.weight_decay > 0 else sp.Integer(0)
    rate_v = eta_v if training.eta_v != training.learning_rate else eta
    at = (lambda *index: (b, *index)) if several else (lambda *index: index)
    share = phi[b] if several else sp.Integer(1)
    scale = s[b] if several else sp.Symbol("s")

    dM = -eta * E(F[k] * nu[at(p)]) - eta * decay * M[at(k, p)]
    dQ = (
        -eta * (E(F[k] * lam[at(m)]) + E(F[m] * lam[at(k)]))
        + eta**2 * share * E(scale**2 * F[k] * F[m])
        - 2 * eta * decay * Q[at(k, m)]
    )
    result = [
        Equation(sp.Derivative(M[at(k, p)], t), dM, "overlaps with the references"),
        Equation(sp.Derivative(Q[at(k, m)], t), dQ, "overlaps of the units"),
    ]
    if student.readout == "trained":
        e = sp.Symbol("e")
        dv = -rate_v * E(e * g[k]) - rate_v * decay * v[k]
        result.append(Equation(sp.Derivative(v[k], t), dv, "readout"))
    return result


def closed_forms(experiment: Experiment) -> tuple[list[Equation], list[str]]:
    """The averages that are taken in closed form in an experiment, and in words how each term is averaged.

    Fields x1, x2, ... are any of the student's and the teacher's, with means m and covariance C.

    >>> from curriculode import load
    >>> print(closed_forms(load("committee-plateau"))[0][0].text())
    E(g(x1)*g(x2)) = 2*asin(C12/(sqrt(C11 + 1)*sqrt(C22 + 1)))/pi
    """
    if not isinstance(experiment.training, OnlineSGD):
        return [], []
    engine = Setting.of(experiment, perturbed=True).engine("auto", 2**14, 0)
    lines = [f"{term}: {way}" for term, way in engine.ways.items()]
    way = engine.ways["first order"]
    if way == "bivariate normal cdf":
        return _bivariate_normal(), [*lines, _GATES]
    if way == "Wick sums":
        return _wick(experiment.student.g.code), lines
    if way == "I2, I3, I4":
        if isinstance(experiment.task, TeacherStudent) and experiment.task.teacher_activation == "sign":
            lines.append("for the field x_a of a sign teacher, C_aa + 1 becomes C_aa")
        return _saad_solla(with_noise=engine.ways["noise term"] == way), lines
    return [], lines


_GATES = (
    "gates G(x) = Φ(x/√o), ramps R(x) = x G(x): erf = 2 G - 1 and gelu = R with o = 1, sign = 2 G - 1 and relu = R with o = 0; "
    "B_112 is the average of G1'' G2', and so on; Φ2 is the bivariate normal cdf"
)
x1, x2, x3, x4 = sp.symbols("x1:5")


def _units(letter: str) -> tuple[sp.Function, sp.Function, sp.Function]:
    return sp.Function(letter), sp.Function(letter + "'"), sp.Function(letter + "''")


def _bivariate_normal() -> list[Equation]:
    d = derivation
    S1, S2 = d.C11 + d.o1, d.C22 + d.o2
    h1, h2, rho = d.m1 / sp.sqrt(S1), d.m2 / sp.sqrt(S2), d.C12 / sp.sqrt(S1 * S2)
    cdf, pdf, both = sp.Function("Φ"), sp.Function("φ"), sp.Function("Φ2")
    regular = sp.Symbol("r")
    result = [
        Equation(d.B(), both(h1, h2, rho), "two gates"),
        Equation(d.B(1), pdf(h1) * cdf((h2 - rho * h1) / regular) / sp.sqrt(S1), "r = sqrt(1 - C12^2/((C11 + o1)*(C22 + o2)))"),
        Equation(d.B(1, 1), d.tilted_pair(), "the tilted Gaussian"),
        *(Equation(symbol, rule, "by Stein's lemma") for symbol, rule in d.derivative_rules().items()),
    ]
    R, slope, curve = _units("R")
    names = [R(x1) * R(x2), slope(x1) * R(x2), None, slope(x1) * slope(x2), curve(x1) * R(x2), None]
    result += [Equation(E(name), form, "two ramps") for name, form in zip(names, d.pair(True, True), strict=True) if name]
    G = _units("G")[0]
    return [*result, Equation(E(R(x1) * G(x2)), d.pair(True, False)[0], "a ramp and a gate")]


def _saad_solla(with_noise: bool) -> list[Equation]:
    forms = derivation.saad_solla()
    g, slope, _ = _units("g")
    names = {
        "I2": g(x1) * g(x2),
        "J2": slope(x1) * slope(x2),
        "I3": slope(x1) * x2 * g(x3),
        "I4": slope(x1) * slope(x2) * g(x3) * g(x4),
    }
    return [Equation(E(names[name]), form, name) for name, form in forms.items() if with_noise or name != "I4"]


def _wick(code: int) -> list[Equation]:
    coefficients = polynomial_coefficients(code)
    assert coefficients is not None
    z = sp.Symbol("z")
    g = sum(sp.nsimplify(c) * z**power for power, c in enumerate(coefficients))
    polynomials = g, sp.diff(g, z), sp.diff(g, z, 2)
    unit = _units("g")
    return [
        Equation(
            E(unit[i](x1) * unit[j](x2)), derivation.polynomial_average((polynomials[i], polynomials[j]), z), "two student units"
        )
        for i, j in ((0, 0), (1, 0), (1, 1), (2, 0))
    ]


def definitions(experiment: Experiment) -> list[str]:
    """What the symbols of `equations` are in this experiment, a line each."""
    task, student, training = experiment.task, experiment.student, experiment.training
    if isinstance(training, TANGENT):
        return tangent_definitions(experiment)
    if not isinstance(training, OnlineSGD):
        return batch_definitions(experiment)
    several = task.example_law(experiment.protocol.level()).probability.size
    signal = {"squared": "e = f - y", "logistic": "e = -y / (1 + exp(y f))"}[training.loss]
    lines = [
        f"f = sum_k v_k g(λ_k),  g(x) = {student.g.formula},  K = {student.width};  {signal};  F_k = e v_k g'(λ_k),  g_k = g(λ_k)",
        "E: over the levels of the stage" + (", the components" if several > 1 else "") + " and the Gaussian fields",
    ]
    lines += task.definitions()
    numbers = {
        "η": training.learning_rate,
        "η_v": training.eta_v,
        "κ": training.weight_decay,
    }
    lines.append(",  ".join(f"{name} = {value:g}" for name, value in numbers.items() if value or name != "κ"))
    for stage in experiment.protocol.stages():
        mixture = ", ".join(
            f"{share:.3g} {level.name}"
            for share, level in zip(stage.probability, experiment.protocol.levels, strict=True)
            if share > 0
        )
        rate = "" if stage.learning_rate is None else f", η = {stage.learning_rate:g}"
        lines.append(f"stage from t = {stage.start:g} to {stage.end:g}: {mixture}{rate}")
    return lines
