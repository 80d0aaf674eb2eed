"""Wick sums, the assembly of first-order averages, and which term is averaged how."""

import itertools

import numpy as np
import pytest
import sympy as sp
from mpmath import mp
from numpy.polynomial.hermite_e import hermegauss

import curriculode as cu
from curriculode.theory.averages import FieldAverages, FieldLaw, QuasiMonteCarlo, choose, derivation
from curriculode.theory.averages.erf_closed_form import ErfClosedForm
from curriculode.theory.averages.wick import moments, product_average
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.tasks import ExampleLaw, Teacher
from curriculode.theory.units.activations import ACTIVATIONS, polynomial_coefficients
from tests import twins

POLYNOMIALS = ["linear", "quadratic", "hermite-2", "hermite-3", "hermite-5"]
COVARIANCE = np.array([[1.0, 0.3, -0.2, 0.5], [0.3, 0.8, 0.1, 0.2], [-0.2, 0.1, 1.2, -0.4], [0.5, 0.2, -0.4, 0.9]])
ALIGNED = np.array([[1.0, 1.0, 0.4, 0.4], [1.0, 1.0, 0.4, 0.4], [0.4, 0.4, 0.9, 0.9], [0.4, 0.4, 0.9, 0.9]])


def gauss_average(C: np.ndarray, function, nodes: int):  # type: ignore[no-untyped-def]
    """E[function(x)], x ~ N(0, C) of a few smooth fields, by a product of Gauss-Hermite rules: exact for polynomials."""
    t, w = hermegauss(nodes)
    grids = np.stack(np.meshgrid(*[t] * len(C), indexing="ij")).reshape(len(C), -1)
    weight = np.array(list(map(np.prod, itertools.product(w / w.sum(), repeat=len(C)))))
    return np.tensordot(function(semidefinite_factor(C) @ grids), weight, axes=([-1], [0]))


@pytest.mark.parametrize("C", [COVARIANCE, ALIGNED], ids=["regular", "singular"])
def test_moments_against_quadrature_and_sympy(C: np.ndarray) -> None:
    mean, tops = np.array([0.3, -0.5, 0.2, 0.7]), (2, 3, 2, 2)
    table = np.empty([top + 1 for top in tops])
    moments(*tops, mean, C, table)
    numbers = {f"m{i + 1}": mean[i] for i in range(4)} | {f"C{i + 1}{j + 1}": C[i, j] for i in range(4) for j in range(i, 4)}
    for exponents in itertools.product(*(range(top + 1) for top in tops)):
        exact = gauss_average(C, lambda x, e=exponents: np.prod([(mean[i] + x[i]) ** e[i] for i in range(4)], axis=0), 6)
        assert table[exponents] == pytest.approx(exact, rel=1e-10, abs=1e-12)
    for exponents in ((2, 3, 2, 2), (0, 3, 1, 2), (1, 1, 1, 1)):
        expression = derivation.moment(exponents)
        exact = float(expression.subs({s: numbers[s.name] for s in expression.free_symbols}))
        assert table[exponents] == pytest.approx(exact, rel=1e-12)
    # Isserlis: E[x1 x2 x3 x4] without means is the sum over three pairings, written by hand.
    moments(1, 1, 1, 1, np.zeros(4), C, table)
    pairings = C[0, 1] * C[2, 3] + C[0, 2] * C[1, 3] + C[0, 3] * C[1, 2]
    assert table[1, 1, 1, 1] == pytest.approx(pairings, rel=1e-14)
    one = np.array([0.0, 1.0])
    assert product_average(one, one, one, one, table) == table[1, 1, 1, 1]


@pytest.mark.parametrize("degree", [1, 2, 3, 6, 12])
def test_hermite_units_are_orthonormal(degree: int) -> None:
    """E[h_n(x1) h_m(x2)] = delta_nm C12^n for unit normals: what the factor 1 / sqrt(n!) is for."""
    rows = polynomial_coefficients(ACTIVATIONS[f"hermite-{degree}"].code)
    other = polynomial_coefficients(ACTIVATIONS[f"hermite-{max(degree - 1, 1)}"].code)
    assert rows is not None
    assert other is not None
    table, C, one = np.empty((13, 13, 1, 1)), np.eye(4), np.ones(1)
    C[0, 1] = C[1, 0] = 0.7
    moments(degree, degree, 0, 0, np.zeros(4), C, table)
    assert product_average(rows, rows, one, one, table) == pytest.approx(0.7**degree, rel=1e-6)
    if degree > 1:
        assert product_average(rows, other, one, one, table) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
def test_saad_solla_forms_of_sympy_are_the_compiled_ones(rng: np.random.Generator) -> None:
    """I2, J2, I3, I4 as sympy derives them (Price, Stein, tilt), assembled here as averages of two student units."""
    forms = derivation.saad_solla()
    A = rng.normal(size=(4, 4))
    C, v = A @ A.T / 4, np.array([0.7, -0.4])

    def form(name: str, *fields: int) -> float:
        expression = forms[name]
        numbers = {f"C{i + 1}{j + 1}": C[fields[i], fields[j]] for i in range(len(fields)) for j in range(i, len(fields))}
        return float(expression.subs({s: numbers[s.name] for s in expression.free_symbols}))

    example = ExampleLaw(np.ones(1), np.zeros((1, 2, 1)), np.ones(1), np.zeros(1), Teacher(0, np.array([1.3, 0.6]), noise=0.2))
    law = FieldLaw(example, 2, np.eye(2)[None])
    law.covariance[:] = C
    out = FieldAverages.empty(1, 2, 2)
    choose("closed form", ACTIVATIONS["erf"], "squared", law, 2, 64, 0).averages(law, v, out)
    c = np.array([-1.3, -0.6, 0.7, -0.4])  # of the error signal; fields 2 and 3 are the student's
    for k in (0, 1):
        assert out.readout[k] == pytest.approx(sum(c[a] * form("I2", 2 + k, a) for a in range(4)), abs=1e-12)
        for m in (0, 1):
            fourth = sum(c[a] * c[b] * form("I4", 2 + k, 2 + m, a, b) for a in range(4) for b in range(4))
            square = v[k] * v[m] * (fourth + 0.04 * form("J2", 2 + k, 2 + m))
            assert out.square[k, m] == pytest.approx(square, abs=1e-12)
        for u in range(4):
            stein = out.reference[k] @ C[:2, u] + out.student[k] @ C[2:, u]
            assert stein == pytest.approx(v[k] * sum(c[a] * form("I3", 2 + k, u, a) for a in range(4)), abs=1e-12)


def setting(student: str, teacher: str | None, C: np.ndarray) -> tuple[FieldLaw, np.ndarray, float]:
    """Two student units with means and labels of a component, or without means and with a teacher of two units."""
    v = np.array([0.7, -0.4])
    if teacher is None:
        example = ExampleLaw(np.array([0.3, 0.7]), np.zeros((2, 1, 1)), np.ones(1), np.array([1.0, -1.0]))
        law = FieldLaw(example, 2, np.eye(1)[None])
        law.mean[:], law.covariance[:] = [[0.4, -0.3], [-0.2, 0.5]], C[2:, 2:]
        return law, v, 0.0
    code = 6 if teacher == "sign" else ACTIVATIONS[teacher].code
    example = ExampleLaw(np.ones(1), np.zeros((1, 2, 1)), np.ones(1), np.zeros(1), Teacher(code, np.array([1.3, 0.6]), noise=0.3))
    law = FieldLaw(example, 2, C[None, :2, :2])
    law.mean[:], law.covariance[:] = 0.0, C
    return law, v, 0.3


SMOOTH = [("gelu", None), ("erf", None), ("gelu", "gelu"), ("gelu", "erf"), ("erf", "gelu")]
POLYNOMIAL = [(name, None) for name in POLYNOMIALS] + [("quadratic", "hermite-3"), ("hermite-3", "linear"), ("linear", "quadratic")]


@pytest.mark.slow
@pytest.mark.parametrize(("student", "teacher"), SMOOTH + POLYNOMIAL)
def test_all_averages_of_smooth_units_against_quadrature(student: str, teacher: str | None) -> None:
    """Every field of `FieldAverages` and the generalisation error, by a product Gauss-Hermite rule over all fields."""
    law, v, noise = setting(student, teacher, COVARIANCE)
    engine = choose("auto", ACTIVATIONS[student], "squared", law, 2, 64, 0, noise_terms=(student, teacher) in POLYNOMIAL)
    assert engine.exact
    out = FieldAverages.empty(law.mean.shape[0], 2, 2 if teacher else 1)
    engine.averages(law, v, out)
    g, dg, _ = twins.ACTIVATIONS[student]
    R = law.references
    names: dict[str, list[np.ndarray]] = {"force": [], "stein": [], "square": [], "readout": [], "error": []}
    for c, (weight, y) in enumerate(zip(law.example.probability, law.example.label, strict=True)):

        def pieces(x: np.ndarray, c: int = c, y: float = y) -> np.ndarray:
            lam = x[R:] + law.mean[c][:, None]
            label = y + (law.example.teacher.readout @ twins.ACTIVATIONS[teacher][0](x[:R]) if teacher else 0.0)
            e = v @ g(lam) - label
            h = v[:, None] * dg(lam)
            first = (e * h)[:, None, :] * x[None, :, :]
            square = (e**2 + noise**2) * h[:, None] * h[None, :]
            parts = [e * h, first.reshape(2 * len(x), -1), square.reshape(4, -1), e * g(lam), 0.5 * e[None] ** 2]
            return np.concatenate(parts)

        exact = weight * gauss_average(law.covariance, pieces, 26 if teacher else 60)
        n = 2 * len(law.covariance)
        for name, part in zip(names, np.split(exact, [2, 2 + n, 6 + n, 8 + n]), strict=True):
            names[name].append(part)
    tight = dict(rel=1e-9, abs=1e-9) if (student, teacher) in POLYNOMIAL else dict(rel=1e-6, abs=2e-6)
    assert out.force.ravel() == pytest.approx(np.concatenate(names["force"]), **tight)
    stein = np.concatenate([out.reference, out.student], axis=1) @ law.covariance if R else out.student @ law.covariance
    assert stein.ravel() == pytest.approx(np.sum(names["stein"], axis=0), **tight)
    assert out.readout == pytest.approx(np.sum(names["readout"], axis=0), **tight)
    assert engine.errors(law, v)[0] == pytest.approx(np.sum(names["error"]), **tight)
    if (student, teacher) in POLYNOMIAL:
        assert out.square.ravel() == pytest.approx(np.sum(names["square"], axis=0), **tight)


@pytest.mark.parametrize("C", [COVARIANCE, ALIGNED], ids=["regular", "aligned with the teacher"])
@pytest.mark.parametrize(
    ("student", "teacher"),
    [("relu", None), ("relu", "relu"), ("relu", "sign"), ("gelu", "sign"), ("relu", "erf"), ("gelu", "relu"), ("erf", "erf")],
)
def test_closed_forms_against_nets(student: str, teacher: str | None, C: np.ndarray) -> None:
    """Where units have kinks: 16 scramblings of 2^13 points, within five of their standard errors."""
    if C is ALIGNED and teacher is not None:
        C = C.copy()  # the teacher's own covariance is regular: unit 1 of the student is teacher unit 1
        C[:2, :2], C[2:, 2:] = [[1.0, 0.4], [0.4, 0.9]], [[1.0, 0.4], [0.4, 0.9]]
        C[:2, 2:] = C[2:, :2] = [[1.0, 0.4], [0.4, 0.9]]
    law, v, _ = setting(student, teacher, C)
    exact, components = choose("auto", ACTIVATIONS[student], "squared", law, 2, 64, 0, noise_terms=False), law.mean.shape[0]
    assert exact.exact
    ours = FieldAverages.empty(components, 2, 2 if teacher else 1)
    exact.averages(law, v, ours)
    samples: dict[str, list[np.ndarray]] = {}
    for scrambling in range(16):
        net = QuasiMonteCarlo(ACTIVATIONS[student], "squared", 2, law.references, 2**13, scrambling)
        out = FieldAverages.empty(components, 2, 2 if teacher else 1)
        net.averages(law, v, out)
        # Where two fields are one, a delta function of one and a step of the other have no average to agree on but this sum.
        stein = np.concatenate([out.reference, out.student], axis=1) if law.references else out.student
        values = {"force": out.force, "stein": stein @ law.covariance, "readout": out.readout, "error": net.errors(law, v)[0]}
        for name, value in values.items():
            samples.setdefault(name, []).append(np.array(value))
    stein = np.concatenate([ours.reference, ours.student], axis=1) if law.references else ours.student
    values = {"force": ours.force, "stein": stein @ law.covariance, "readout": ours.readout, "error": exact.errors(law, v)[0]}
    for name, value in values.items():
        mean, error = np.mean(samples[name], axis=0), np.std(samples[name], axis=0, ddof=1) / 4
        assert (np.abs(mean - value) < 5 * error + 1e-6).all(), name


def ways(**changes: object) -> dict[str, str]:
    base = cu.load("xor-curriculum").replace({name.replace("__", "."): value for name, value in changes.items()})
    from curriculode.theory.dynamics.setting import Setting

    return Setting.of(base).engine("auto", 1024, 0).ways


def test_each_term_gets_its_way() -> None:
    net = "quasi-Monte Carlo"
    errors = {"classification error": net}
    assert ways() == {"first order": "bivariate normal cdf", "noise term": net} | errors
    assert ways(student__activation="quadratic") == {"first order": "Wick sums", "noise term": "Wick sums"} | errors
    assert ways(student__activation="quadratic", student__width=100) == {"first order": "Wick sums", "noise term": net} | errors
    assert ways(student__activation="tanh") == {"first order": net, "noise term": net} | errors
    assert ways(training__loss="logistic") == {"first order": net, "noise term": net} | errors
    committee = cu.load("committee-plateau")
    trajectory = cu.integrate(committee, committee.initial(1000), times=3)
    assert trajectory.statistics["averages"]["ways"] == {"first order": "I2, I3, I4", "noise term": "I2, I3, I4"} | errors
    assert trajectory.statistics["averages"]["points"] is None


def test_dropping_the_noise_term_can_make_everything_exact() -> None:
    case = cu.load("xor-curriculum").replace({"protocol.duration": 2.0})
    start = case.initial(1000)
    with pytest.raises(cu.InputError, match=r"'closed form' do not exist for a gelu student .* the noise term has none"):
        cu.integrate(case, start, averages="closed form")
    flow = cu.integrate(case, start, averages="closed form", noise_terms=False, rtol=1e-9, atol=1e-11)
    assert flow.statistics["averages"]["ways"]["first order"] == "bivariate normal cdf"
    assert "noise term" not in flow.statistics["averages"]["ways"]
    net = cu.integrate(case, start, averages="quasi-Monte Carlo", points=2**14, noise_terms=False, rtol=1e-9, atol=1e-11)
    error = net.statistics["averages"]["standard_error"]
    assert (np.abs(net.generalization_error - flow.generalization_error) <= 6 * error + 1e-9).all()


def test_sympy_moment_of_many_factors() -> None:
    """E[x^(2n)] = (2n - 1)!! C^n, and no mean no odd moment."""
    C11, mean = sp.Symbol("C11", positive=True), sp.Symbol("m1", real=True)
    assert derivation.moment([8]).subs(mean, 0) == 105 * C11**4
    assert derivation.moment([7]).subs(mean, 0) == 0


def high_precision_square(C: np.ndarray, A: np.ndarray, v: np.ndarray, k: int, m: int) -> tuple[mp.mpf, mp.mpf]:
    """E[F_k F_m] and E[e^2] / 2 of an erf student of a sign teacher, from the forms of Saad & Solla with 50 digits."""
    P, n = A.size, A.size + v.size
    c = [-mp.mpf(a) for a in A.tolist()] + [mp.mpf(x) for x in v.tolist()]
    o = [mp.mpf(0)] * P + [mp.mpf(1)] * v.size
    entry = [[mp.mpf(float(C[i, j])) if isinstance(C[i, j], float) else C[i, j] for j in range(n)] for i in range(n)]
    K, L = P + k, P + m
    kk, ll, kl = 1 + entry[K][K], 1 + entry[L][L], entry[K][L]
    L4 = kk * ll - kl**2

    def tilted(a: int, b: int) -> mp.mpf:
        cross = entry[L][a] * entry[L][b] * kk + entry[K][a] * entry[K][b] * ll
        return L4 * entry[a][b] - cross + kl * (entry[K][a] * entry[L][b] + entry[K][b] * entry[L][a])

    def angle(top: mp.mpf, one: mp.mpf, two: mp.mpf, same: bool) -> mp.mpf:
        return mp.pi / 2 if same else mp.asin(top / mp.sqrt(one * two))

    fourth, error = mp.mpf(0), mp.mpf(0)
    for a in range(n):
        for b in range(n):
            same = a == b and a < P
            sizes = [L4 * o[i] + tilted(i, i) for i in (a, b)]
            fourth += c[a] * c[b] * angle(tilted(a, b), *sizes, same)
            error += c[a] * c[b] / mp.pi * angle(entry[a][b], o[a] + entry[a][a], o[b] + entry[b][b], same)
    return c[K] * c[L] * 4 / mp.pi**2 * fourth / mp.sqrt(L4), error


def test_sign_teacher_with_itself_is_exact() -> None:
    """asin(1 - rounding) would be off by the root of the rounding, which central differences show: their slope is compared."""
    A, v = np.array([1.0, -0.6]), np.array([0.7, -0.4, 0.5])
    B = np.random.default_rng(3).normal(size=(5, 9)) / 3
    C = B @ B.T
    example = ExampleLaw(np.ones(1), np.zeros((1, 2, 1)), np.ones(1), np.zeros(1), Teacher(6, A))
    law = FieldLaw(example, 3, C[None, :2, :2].copy())
    closed, out = ErfClosedForm(), FieldAverages.empty(1, 3, 2)
    step = 1e-6

    def ours(i: int, j: int, change: float) -> tuple[np.ndarray, float]:
        law.covariance[:] = C
        law.covariance[i, j] += change
        law.covariance[j, i] = law.covariance[i, j]
        closed.noise_term(law, v, out)
        return out.square.copy(), closed.generalization_error(law, v)

    with mp.workdps(50):
        exact = [[high_precision_square(C, A, v, k, m) for m in range(3)] for k in range(3)]
        square, error = ours(0, 0, 0.0)
        assert error == pytest.approx(float(exact[0][0][1]), rel=1e-13)
        for k, m in np.ndindex(3, 3):
            assert square[k, m] == pytest.approx(float(exact[k][m][0]), rel=1e-13)
        for i, j in [(a, b) for a in range(5) for b in range(max(a, 2), 5)]:
            above, below = ours(i, j, step), ours(i, j, -step)

            def forms(change: str, k: int, m: int, i: int = i, j: int = j) -> tuple[mp.mpf, mp.mpf]:
                moved = C.astype(object)
                moved[i, j] = moved[j, i] = mp.mpf(float(C[i, j])) + mp.mpf(change)
                return high_precision_square(moved, A, v, k, m)

            for k, m in ((0, 0), (0, 1), (1, 2)):
                slope = [(a - b) / mp.mpf("2e-20") for a, b in zip(forms("1e-20", k, m), forms("-1e-20", k, m), strict=True)]
                assert (above[0][k, m] - below[0][k, m]) / (2 * step) == pytest.approx(float(slope[0]), abs=1e-7)
            assert (above[1] - below[1]) / (2 * step) == pytest.approx(float(slope[1]), abs=1e-7)
