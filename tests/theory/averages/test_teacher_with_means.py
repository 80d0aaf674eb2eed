"""Components with means, labels of a teacher: nets and closed forms against sums over drawn examples and against derivatives.

Written for the fields of one block: lambda = m^c + centred, nu = n^c + centred, the centred ones of one covariance C.
"""

import numpy as np
import pytest
from scipy.special import erf, ndtr
from scipy.stats import qmc

from curriculode.theory.averages import FieldAverages, FieldLaw, QuasiMonteCarlo, choose
from curriculode.theory.core.errors import InputError
from curriculode.theory.tasks import ExampleLaw, Teacher
from curriculode.theory.units.activations import ACTIVATIONS, SIGN
from tests import twins

T = np.array([[1.0, 0.3], [0.3, 0.8]])
M = np.array([[0.4, 0.1], [-0.2, 0.5], [0.3, -0.3]])
Q = np.array([[1.1, 0.2, -0.1], [0.2, 0.9, -0.15], [-0.1, -0.15, 1.2]])
V, A = np.array([0.7, -0.4, 0.5]), np.array([1.3, -0.6])
TWO = np.array([[[0.8], [-0.5]], [[-0.3], [0.9]]])
GAINS = {"one component": (np.ones(1), TWO[:1]), "two components": (np.array([0.3, 0.7]), TWO)}
NOISE = 0.2
CASES = [(student, teacher) for student in ("erf", "gelu", "relu") for teacher in ("erf", "sign", "relu")]
CASES.append(("hermite-2", "hermite-3"))


def level(gains: str, teacher: str, sign: bool = False) -> FieldLaw:
    """The law at a state, labels of the components set to a number that a teacher's labels must not feel."""
    probability, gain = GAINS[gains]
    code = SIGN if teacher == "sign" else ACTIVATIONS[teacher].code
    example = ExampleLaw(probability, gain, np.array([0.9]), np.full(probability.size, 5.0), Teacher(code, A, sign, NOISE))
    law = FieldLaw(example, V.size, T[None])
    law.update(Q[None], M[None])
    return law


def value(name: str, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, 1.0, -1.0) if name == "sign" else twins.ACTIVATIONS[name][0](x)


_NORMAL = {}


def normals(fields: int) -> np.ndarray:
    """(fields, 2^17) normals of a net, not those of the package."""
    if fields not in _NORMAL:
        from scipy.special import ndtri

        _NORMAL[fields] = ndtri(np.clip(qmc.Sobol(fields, rng=np.random.default_rng(77)).random(2**17), 1e-16, 1 - 1e-16)).T
    return _NORMAL[fields]


def drawn(law: FieldLaw, student: str, teacher: str, loss: str = "squared", sign: bool = False) -> dict[str, np.ndarray]:
    """The averages as plain sums over drawn fields; first-order ones as E[F_k u], u the centred fields."""
    g, dg, _ = twins.ACTIVATIONS[student]
    probability, gain = law.example.probability, law.example.gain[:, :, 0]
    C = 0.81 * np.block([[T, M.T], [M, Q]])
    centred = np.linalg.cholesky(C) @ normals(5)
    totals: dict[str, list] = {"force": [], "stein": [], "square": [], "readout": [], "error": [], "wrong": []}
    for p, a in zip(probability, gain, strict=True):
        nu, x = centred[:2] + (T @ a)[:, None], centred[2:] + (M @ a)[:, None]
        y = A @ value(teacher, nu)
        y = np.where(y > 0, 1.0, -1.0) if sign else y
        f = V @ g(x)
        e = twins.SIGNALS[loss](f, y)
        F = e * V[:, None] * dg(x)
        noise = NOISE * V[:, None] * dg(x)
        n = p / f.size
        totals["force"].append(n * F.sum(1))
        totals["stein"].append(n * F @ centred.T)
        totals["square"].append(n * (F @ F.T + noise @ noise.T))
        totals["readout"].append(n * (g(x) @ e))
        totals["error"].append(n * twins.LOSSES[loss](f, y).sum())
        totals["wrong"].append(n * ((f * y < 0) + 0.5 * (f * y == 0)).sum())
    return {name: np.array(parts) if name == "force" else np.sum(parts, axis=0) for name, parts in totals.items()}


def values(out: FieldAverages, law: FieldLaw) -> dict[str, np.ndarray]:
    stein = np.concatenate([out.reference, out.student], axis=1) @ law.covariance
    return {"force": out.force, "stein": stein, "square": out.square, "readout": out.readout}


@pytest.mark.parametrize("gains", GAINS)
@pytest.mark.parametrize(("student", "teacher"), CASES)
def test_nets_and_closed_forms_against_drawn_fields(student: str, teacher: str, gains: str) -> None:
    law = level(gains, teacher)
    polynomial = student.startswith("hermite")
    exact = drawn(law, student, teacher)
    net = QuasiMonteCarlo(ACTIVATIONS[student], "squared", V.size, 2, 2**15, 3)
    out = FieldAverages.empty(law.mean.shape[0], V.size, 2)
    net.averages(law, V, out)
    ours = values(out, law) | dict(zip(("error", "wrong"), net.errors(law, V), strict=True))
    engine = choose("closed form", ACTIVATIONS[student], "squared", law, V.size, 64, 0, noise_terms=polynomial)
    assert engine.ways["first order"] == ("Wick sums" if polynomial else "bivariate normal cdf")
    closed = FieldAverages.empty(law.mean.shape[0], V.size, 2)
    engine.averages(law, V, closed)
    theirs = values(closed, law) | {"error": engine.errors(law, V)[0]}
    if not polynomial:
        del theirs["square"]
    assert np.abs(theirs["force"]).max() > 0.01
    for name, number in exact.items():
        scale = max(1.0, np.abs(number).max())
        # Nets of 2^15 and 2^17 points; a polynomial of degree 6 feels their tails.
        assert np.abs(ours[name] - number).max() < (3e-2 if polynomial else 3e-3) * scale, name
        if name in theirs:
            assert np.abs(theirs[name] - number).max() < (2e-2 if polynomial else 1e-3) * scale, name


@pytest.mark.parametrize("gains", GAINS)
@pytest.mark.parametrize(("student", "teacher"), CASES)
def test_first_order_averages_are_derivatives_of_the_error(student: str, teacher: str, gains: str) -> None:
    """force = dE/dm, student = 2 dE/dC, reference = dE/dC_kp, readout = dE/dv of the generalisation error of the closed form."""
    law = level(gains, teacher)
    engine = choose("auto", ACTIVATIONS[student], "squared", law, V.size, 64, 0, noise_terms=False)
    out = FieldAverages.empty(law.mean.shape[0], V.size, 2)
    engine.averages(law, V, out)
    step, v = 1e-5, V.copy()

    def slope(array: np.ndarray, *places: tuple[int, ...]) -> float:
        before, ends = array.copy(), []
        for sign in (1.0, -1.0):
            for place in places:
                array[place] = before[place] + sign * step
            ends.append(engine.errors(law, v)[0])
            array[:] = before
        return (ends[0] - ends[1]) / (2 * step)

    close = dict(rel=1e-6, abs=1e-8)
    for c, k in np.ndindex(out.force.shape):
        assert out.force[c, k] == pytest.approx(slope(law.mean, (c, k)), **close)
    for k in range(V.size):
        assert out.readout[k] == pytest.approx(slope(v, (k,)), **close)
        for p in range(2):
            assert out.reference[k, p] == pytest.approx(slope(law.covariance, (2 + k, p), (p, 2 + k)), **close)
        for i in range(V.size):
            both = {(2 + k, 2 + i), (2 + i, 2 + k)}
            assert out.student[k, i] == pytest.approx(slope(law.covariance, *both) * (2 if i == k else 1), **close)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_signs_of_a_committee_with_means_are_averaged_by_nets(loss: str) -> None:
    law = level("two components", "relu", sign=True)
    engine = choose("auto", ACTIVATIONS["relu"], loss, law, V.size, 2**15, 1)
    assert set(engine.ways.values()) == {"quasi-Monte Carlo"}
    out = FieldAverages.empty(2, V.size, 2)
    engine.averages(law, V, out)
    ours = values(out, law) | dict(zip(("error", "wrong"), engine.errors(law, V), strict=True))
    exact = drawn(law, "relu", "relu", loss, sign=True)
    for name, number in exact.items():
        assert np.abs(ours[name] - number).max() < 4e-3, name


def test_one_linear_unit_by_hand() -> None:
    """x ~ N(a, s^2) along u with T = 1: f = v lambda, y = nu, so that e has mean v m - n and E[e^2] follows from C."""
    example = ExampleLaw(np.ones(1), np.full((1, 1, 1), 0.5), np.ones(1), np.zeros(1), Teacher(3, np.ones(1)))
    law = FieldLaw(example, 1, np.ones((1, 1, 1)))
    law.update(np.full((1, 1, 1), 2.0), np.full((1, 1, 1), 0.6))
    v = np.array([2.0])
    for way in ("closed form", "quasi-Monte Carlo"):
        engine, out = choose(way, ACTIVATIONS["linear"], "squared", law, 1, 64, 0), FieldAverages.empty(1, 1, 1)
        engine.averages(law, v, out)
        # m = .3, n = .5: e has mean .1 and variance 4 * 2 - 4 * .6 + 1 = 6.6
        assert law.reference_mean == pytest.approx(0.5)
        assert out.force[0, 0] == pytest.approx(2 * 0.1, abs=1e-12)
        assert out.square[0, 0] == pytest.approx(4 * (6.6 + 0.01), abs=1e-11)
        assert out.reference[0, 0] == pytest.approx(-2.0, abs=1e-11)
        assert out.readout[0] == pytest.approx(0.1 * 0.3 + 2 * 2 - 0.6, abs=1e-11)
        assert engine.errors(law, v)[0] == pytest.approx(6.61 / 2, abs=1e-11)


def test_classification_error_of_one_unit_with_a_mean() -> None:
    """P(sign lambda != sign nu), a bivariate normal probability by a one-dimensional integral; arccos would be wrong."""
    from scipy.integrate import quad

    example = ExampleLaw(np.ones(1), np.full((1, 1, 1), 0.5), np.ones(1), np.zeros(1), Teacher(SIGN, np.ones(1)))
    law = FieldLaw(example, 1, np.ones((1, 1, 1)))
    law.update(np.full((1, 1, 1), 1.5), np.full((1, 1, 1), 0.6))
    engine = choose("auto", ACTIVATIONS["erf"], "squared", law, 1, 2**14, 0, noise_terms=False)
    assert engine.ways == {"first order": "bivariate normal cdf", "classification error": "quasi-Monte Carlo"}
    rest = (1.5 - 0.36) ** 0.5

    def wrong(z: float) -> float:
        return float(ndtr(-np.sign(0.5 + z) * (0.3 + 0.6 * z) / rest) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))

    exact = quad(wrong, -9, -0.5)[0] + quad(wrong, -0.5, 9)[0]
    assert engine.errors(law, np.array([0.8]))[1] == pytest.approx(exact, abs=1e-3)
    # The error of a regression on +-1 by the same route: E[(v erf - y)^2] / 2.
    square = quad(lambda z: _given(z, rest), -9, -0.5)[0] + quad(lambda z: _given(z, rest), -0.5, 9)[0]
    assert engine.errors(law, np.array([0.8]))[0] == pytest.approx(square, abs=1e-9)


def _given(z: float, rest: float) -> float:
    """E[(.8 erf(lambda / sqrt 2) - sign nu)^2 | nu] / 2 times the density, by Gauss-Hermite over what is left of lambda."""
    t, w = np.polynomial.hermite_e.hermegauss(60)
    e = 0.8 * erf((0.3 + 0.6 * z + rest * t) / np.sqrt(2)) - np.sign(0.5 + z)
    return float(0.5 * (w / w.sum()) @ e**2 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))


def test_closed_forms_without_means_are_not_taken_where_any_level_has_some() -> None:
    example = ExampleLaw(np.ones(1), np.zeros((1, 2, 1)), np.ones(1), np.zeros(1), Teacher(0, A))
    centred = FieldLaw(example, V.size, T[None])
    centred.update(Q[None], M[None])
    moved = level("one component", "erf")
    erf_unit = ACTIVATIONS["erf"]
    assert choose("auto", erf_unit, "squared", centred, 3, 64, 0).ways["noise term"] == "I2, I3, I4"
    for laws in ([moved, centred], [centred, moved]):
        ways = choose("auto", erf_unit, "squared", laws, 3, 64, 0).ways
        assert ways["first order"] == "bivariate normal cdf"
        assert ways["noise term"] == "quasi-Monte Carlo"
    engine, out = choose("auto", erf_unit, "squared", centred, 3, 64, 0), FieldAverages.empty(1, 3, 2)
    with pytest.raises(InputError, match="the components of a level have means, for which the closed forms of erf units are not"):
        engine.averages(moved, V, out)
    with pytest.raises(InputError, match="the components of a level have means"):
        engine.errors(moved, V)
