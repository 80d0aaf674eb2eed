"""The quasi-Monte Carlo averages against adaptive quadrature and against Stein's lemma."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

from curriculode.theory.averages import FieldAverages, FieldLaw, QuasiMonteCarlo, quasi_monte_carlo
from curriculode.theory.averages.quasi_monte_carlo import normal_points
from curriculode.theory.core.errors import InputError
from curriculode.theory.tasks import ExampleLaw
from curriculode.theory.units.activations import ACTIVATIONS
from tests import twins


def field_law(mean: np.ndarray, covariance: np.ndarray) -> FieldLaw:
    """Two components with labels +1 and -1 whose fields have the given means (2, K) and covariance."""
    K = covariance.shape[0]
    example = ExampleLaw(np.array([0.3, 0.7]), np.zeros((2, 1, 1)), np.ones(1), np.array([1.0, -1.0]))
    law = FieldLaw(example, K, np.eye(1)[None])
    law.mean[:], law.covariance[:] = mean, covariance
    return law


def panels(edges: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss-Legendre panels between consecutive edges, along the last axis."""
    x, w = np.polynomial.legendre.leggauss(order)
    half = np.diff(edges, axis=-1)[..., None] / 2
    nodes = edges[..., :-1, None] + half * (x + 1)
    return nodes.reshape(*edges.shape[:-1], -1), (half * w).reshape(*edges.shape[:-1], -1)


def quadrature(law: FieldLaw, component: int, function: Callable) -> float:
    """E[function(lambda_1, lambda_2)] in one component: Gauss-Legendre panels that end where lambda_1 or lambda_2 is zero."""
    L, m = np.linalg.cholesky(law.covariance), law.mean[component]
    a, weight_a = panels(np.unique(np.append(np.linspace(-9, 9, 91), np.clip(-m[0] / L[0, 0], -9, 9))), 10)
    kink = np.clip(-(m[1] + L[1, 0] * a) / L[1, 1], -9, 9)
    b, weight_b = panels(np.stack([0 * a - 9, (kink - 9) / 2, kink, (kink + 9) / 2, 0 * a + 9], axis=-1), 20)
    first, second = np.broadcast_to((m[0] + L[0, 0] * a)[:, None], b.shape), (m[1] + L[1, 0] * a)[:, None] + L[1, 1] * b
    return float(
        np.sum(weight_a[:, None] * weight_b * function(first, second) * np.exp(-(a[:, None] ** 2 + b**2) / 2)) / (2 * np.pi)
    )


CASES = {
    "ordinary": (np.array([[0.4, -0.3], [-0.2, 0.5]]), np.array([[0.8, 0.3], [0.3, 0.5]])),
    "nearly singular": (np.array([[0.4, 0.6], [-0.8, -0.9]]), np.array([[1.0, 0.999], [0.999, 1.0]])),
    "large means": (np.array([[2.5, -1.5], [-3.0, 2.0]]), np.array([[0.3, -0.1], [-0.1, 0.2]])),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if not name.startswith("hermite")] + ["hermite-2"])
def test_every_average_against_quadrature(name: str, loss: str, case: str) -> None:
    """Mean over 16 scramblings within five of its standard errors (and the rounding of the quadrature)."""
    law, v = field_law(*CASES[case]), np.array([0.7, -0.4])
    labels, weights = law.example.label, law.example.probability
    g, dg, _ = twins.ACTIVATIONS[name]

    def F(k: int, y: float, x: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        return twins.SIGNALS[loss](v[0] * g(x[0]) + v[1] * g(x[1]), y) * v[k] * dg(x[k])

    def exact(function: Callable) -> float:
        """Average of function(x, y) over components and fields."""
        return sum(w * quadrature(law, c, lambda *x: function(x, labels[c])) for c, w in enumerate(weights))  # noqa: B023

    samples: dict[str, list[np.ndarray]] = {}
    for scrambling in range(16):
        engine = QuasiMonteCarlo(ACTIVATIONS[name], loss, 2, 0, 2**11, scrambling)
        out = FieldAverages.empty(2, 2, 1)
        engine.averages(law, v, out)
        values = {
            "force": out.force,
            "stein": out.student @ law.covariance,
            "square": out.square,
            "readout": out.readout,
            "error": np.array(engine.errors(law, v)),
        }
        for key, value in values.items():
            samples.setdefault(key, []).append(value.copy())
    truth = {
        "force": np.array(
            [[w * quadrature(law, c, lambda *x: F(k, labels[c], x)) for k in range(2)] for c, w in enumerate(weights)]  # noqa: B023
        ),
        # Stein's lemma: sum_i E[dF_k / dlambda_i] C_il = E[F_k (lambda_l - mean)], ReLU's delta function included.
        "stein": np.array(
            [
                [
                    sum(
                        w * quadrature(law, c, lambda *x: F(k, labels[c], x) * (x[m] - law.mean[c, m]))  # noqa: B023
                        for c, w in enumerate(weights)
                    )
                    for m in range(2)
                ]
                for k in range(2)
            ]
        ),
        "square": np.array([[exact(lambda x, y: F(k, y, x) * F(m, y, x)) for m in range(2)] for k in range(2)]),  # noqa: B023
        "readout": np.array(
            [exact(lambda x, y: twins.SIGNALS[loss](v[0] * g(x[0]) + v[1] * g(x[1]), y) * g(x[k])) for k in range(2)]  # noqa: B023
        ),
        "error": np.array(
            [
                exact(lambda x, y: twins.LOSSES[loss](v[0] * g(x[0]) + v[1] * g(x[1]), y)),
                np.nan,
            ]
        ),
    }
    for key, values in samples.items():
        mean, error = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / 4
        known = np.isfinite(truth[key])
        # A step in the far tail is met by no point at all, and then shows no scatter: events rarer than 2^-15 are allowed for.
        rare = 2.0**-15 if ACTIVATIONS[name].kinked else 1e-6
        assert (np.abs(mean - truth[key]) < 5 * error + rare)[known].all(), key
        # ... and the nets are worth having: what they leave is small.
        assert error[known].max() < 0.02 * max(1.0, np.abs(mean).max())


def test_classification_error_of_one_unit() -> None:
    """K = 1: the sign of v erf(lambda) is that of lambda, so P(sign f != y) = Phi(-y m / sqrt q)."""
    law = field_law(np.array([[0.5], [0.3]]), np.array([[0.8]]))
    engine = QuasiMonteCarlo(ACTIVATIONS["erf"], "squared", 1, 0, 2**14)
    exact = 0.3 * special.ndtr(-0.5 / 0.8**0.5) + 0.7 * special.ndtr(0.3 / 0.8**0.5)
    assert engine.errors(law, np.array([1.3]))[1] == pytest.approx(exact, abs=3e-4)


def test_linear_student_by_hand() -> None:
    """K = 1, g(x) = x, v = 2, lambda ~ N(m, q), label y: F = (2 lambda - y) 2, so every average is a polynomial in m, q, y."""
    m, q, v = np.array([[0.5], [-1.0]]), np.array([[0.3]]), np.array([2.0])
    law = field_law(m, q)
    out = FieldAverages.empty(2, 1, 1)
    QuasiMonteCarlo(ACTIVATIONS["linear"], "squared", 1, points=1024).averages(law, v, out)
    # component 1: weight .3, y = 1: E F = (2*.5 - 1)*2 = 0;  component 2: weight .7, y = -1: E F = (-2 + 1)*2 = -2
    assert out.force[:, 0] == pytest.approx([0.0, -1.4], abs=1e-12)
    assert out.student[0, 0] == pytest.approx(4.0, abs=1e-12)
    # E F^2 = 4 [ (2m - y)^2 + 4 q ] = 4 (0 + 1.2) and 4 (1 + 1.2)
    assert out.square[0, 0] == pytest.approx(0.3 * 4.8 + 0.7 * 8.8, abs=1e-12)
    # E e lambda = 2 (m^2 + q) - y m = 2*.55 - .5 and 2*1.3 - 1
    assert out.readout[0] == pytest.approx(0.3 * 0.6 + 0.7 * 1.6, abs=1e-12)


def test_points_are_white_and_a_power_of_two() -> None:
    z = normal_points(3, 256, 0)
    assert np.abs(z.mean(axis=1)).max() < 1e-14
    assert np.abs(z @ z.T / 256 - np.eye(3)).max() < 1e-13
    assert not np.array_equal(z, normal_points(3, 256, 1))
    with pytest.raises(InputError, match="points = 100 is not allowed; a Sobol net needs a power of two"):
        normal_points(3, 100, 0)


def test_error_falls_faster_than_monte_carlo() -> None:
    """Root-mean-square over scramblings against points: the fitted exponent is steeper than 1/2."""
    law = field_law(*CASES["ordinary"])
    v = np.array([0.7, -0.4])
    sizes = np.array([64, 256, 1024, 4096])
    spread = []
    for points in sizes:
        values = []
        for scrambling in range(24):
            out = FieldAverages.empty(2, 2, 1)
            QuasiMonteCarlo(ACTIVATIONS["gelu"], "squared", 2, 0, int(points), scrambling).averages(law, v, out)
            values.append(out.square[0, 1])
        spread.append(np.std(values, ddof=1))
    slope = np.polyfit(np.log(sizes), np.log(spread), 1)[0]
    assert slope < -0.8


def test_nets_are_kept_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one used longest ago is let go when all together are more than the limit."""
    monkeypatch.setattr(quasi_monte_carlo, "_nets", quasi_monte_carlo.OrderedDict())
    monkeypatch.setattr(quasi_monte_carlo, "_kept_bytes", 0)
    monkeypatch.setattr(quasi_monte_carlo, "_MOST_BYTES", 3 * 2 * 256 * 8)
    nets = [normal_points(2, 256, seed) for seed in range(3)]
    assert all(normal_points(2, 256, seed) is net for seed, net in enumerate(nets))
    assert normal_points(2, 256, 0) is nets[0]
    normal_points(2, 256, 3)
    assert [key[2] for key in quasi_monte_carlo._nets] == [2, 0, 3]
    assert np.array_equal(normal_points(2, 256, 1), nets[1])
    large = normal_points(2, 2**12, 0)
    assert not quasi_monte_carlo._nets
    assert np.array_equal(normal_points(2, 2**12, 0), large)
