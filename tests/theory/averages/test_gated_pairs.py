"""Pairs of gates and ramps with means: against quadrature, Price's theorem, and the derivation by sympy."""

import itertools

import numpy as np
import pytest
import sympy as sp
from scipy.special import ndtr, owens_t

from curriculode.theory.averages import FieldAverages, FieldLaw, derivation
from curriculode.theory.averages.bivariate_normal import bivariate_normal_cdf
from curriculode.theory.averages.gated_pairs import gated, pair, single
from curriculode.theory.averages.pair_closed_form import PairClosedForm
from curriculode.theory.averages.pair_series import LARGEST, MOST_TERMS, fill_rows, pair_of_rows, product_of_rows, room, terms_for
from curriculode.theory.core.compiled import kernel
from curriculode.theory.tasks import ExampleLaw
from curriculode.theory.units.activations import ACTIVATIONS, ERF, GELU, RELU, SIGN
from tests.theory.averages import quadrature

# gate or ramp by name: (is a ramp, o), value, derivative, regular second derivative (None: a delta function, or worse)
UNITS = {
    "erf": ((False, 1.0), ndtr, quadrature.density, lambda x: -x * quadrature.density(x)),
    "sign": ((False, 0.0), lambda x: 1.0 * (x > 0), None, None),
    "relu": ((True, 0.0), lambda x: np.maximum(x, 0.0), lambda x: 1.0 * (x > 0), None),
    "gelu": (
        (True, 1.0),
        lambda x: x * ndtr(x),
        lambda x: ndtr(x) + x * quadrature.density(x),
        lambda x: (2 - x * x) * quadrature.density(x),
    ),
}
CASES = {
    "ordinary": (0.4, -0.3, 0.8, 0.3, 0.5),
    "no means": (0.0, 0.0, 1.2, -0.4, 0.7),
    "nearly singular": (0.4, 0.6, 1.0, 0.9999, 1.0),
    "nearly singular, opposite": (-0.2, 0.5, 0.5, -0.99999 * (0.5 * 1.7) ** 0.5, 1.7),
    "singular": (0.3, 0.6, 0.5, 1.0, 2.0),
    "large means": (2.5, -3.0, 0.3, -0.1, 0.2),
    "nearly singular, large means": (3.0, 3.2, 1.0, 0.9999, 1.0),
    "small fields": (0.01, -0.02, 1e-4, 3e-5, 2e-4),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("first", "second"), list(itertools.product(UNITS, repeat=2)))
def test_every_pair_against_quadrature(first: str, second: str, case: str) -> None:
    kind1, *f = UNITS[first]
    kind2, *g = UNITS[second]
    law = CASES[case]
    ours = pair(*kind1, *kind2, *law)
    swapped = (law[1], law[0], law[4], law[3], law[2])
    for value, (i, j) in zip(ours, [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2)], strict=True):
        if f[i] and g[j]:
            # At a singular covariance two steps at one point are no integral that quadrature can see.
            assert value == pytest.approx(quadrature.two(f[i], g[j], *law), abs=2e-9, rel=1e-8), (i, j)
        elif (i, j) == (2, 0) and first == "relu" and (case, second) != ("singular", "sign"):
            assert value == pytest.approx(quadrature.delta(g[0], *law), abs=2e-9, rel=1e-8)
        elif (i, j) == (0, 2) and second == "relu" and (case, first) != ("singular", "sign"):
            assert value == pytest.approx(quadrature.delta(f[0], *swapped), abs=2e-9, rel=1e-8)


@pytest.mark.parametrize("name", UNITS)
def test_single_fields_against_quadrature(name: str) -> None:
    kind, *f = UNITS[name]
    for m, C in ((0.4, 0.8), (-2.0, 0.1), (0.0, 1.5)):
        for value, function in zip(single(*kind, m, C), f, strict=True):
            if function:
                assert value == pytest.approx(quadrature.one(function, m, C), abs=1e-11)
    assert single(True, 0.0, 0.7, 0.0) == (0.7, 1.0, 0.0)
    assert single(False, 0.0, -0.7, 0.0) == (0.0, 0.0, 0.0)


def test_bivariate_normal_cdf_against_owens_t(rng: np.random.Generator) -> None:
    """Owen 1956: Phi2 = (Phi(h) + Phi(k)) / 2 - T(h, a_h) - T(k, a_k) - (1/2 where h and k have opposite signs)."""
    rho = np.concatenate([rng.uniform(-1, 1, 2000), np.tanh(rng.uniform(2, 9, 500)), -np.tanh(rng.uniform(2, 9, 500))])
    h, k = rng.normal(0, 1.5, (2, rho.size))
    root = np.sqrt((1 - rho) * (1 + rho))
    exact = 0.5 * (ndtr(h) + ndtr(k)) - owens_t(h, (k / h - rho) / root) - owens_t(k, (h / k - rho) / root) - 0.5 * (h * k < 0)
    ours = np.array([bivariate_normal_cdf(*args) for args in zip(h, k, rho, strict=True)])
    assert np.abs(ours - exact).max() < 2e-15


def test_bivariate_normal_cdf_at_the_ends() -> None:
    for h, k in ((0.3, 0.3), (0.3, -0.8), (-1.0, 0.2), (0.0, 0.0)):
        assert bivariate_normal_cdf(h, k, 1.0) == pytest.approx(ndtr(min(h, k)), abs=1e-15)
        assert bivariate_normal_cdf(h, k, -1.0) == pytest.approx(max(ndtr(h) + ndtr(k) - 1, 0), abs=1e-15)
        assert bivariate_normal_cdf(h, k, 0.0) == pytest.approx(ndtr(h) * ndtr(k), abs=1e-15)
    inf = np.inf
    assert bivariate_normal_cdf(inf, 0.3, 0.5) == pytest.approx(ndtr(0.3), abs=1e-15)
    assert bivariate_normal_cdf(0.3, -inf, 0.5) == 0.0
    assert bivariate_normal_cdf(0.0, 0.0, 0.5) == pytest.approx(1 / 3, abs=1e-15)
    assert bivariate_normal_cdf(12.0, -13.0, -0.97) == pytest.approx(0.0, abs=1e-30)


def test_fields_that_are_one_up_to_rounding() -> None:
    """What rounding leaves of the determinant is noise: at means of up to thousands of standard deviations too."""
    generator = np.random.default_rng(0)
    for _ in range(3000):
        C11, factor, m1 = generator.uniform(0.01, 2), generator.uniform(-2, 2), generator.normal() * 10 ** generator.uniform(-1, 3)
        law = (m1, factor * m1, C11, factor * C11, factor * factor * C11)
        X, X1, _, X12, X11, _ = pair(True, 0.0, True, 0.0, *law)
        second = single(True, 0.0, law[1], law[4])
        # relu(x) relu(c x) = c relu(x)^2 for c > 0, and nothing for c < 0.
        square = (
            quadrature.one(lambda x: np.maximum(x, 0.0) ** 2, m1, C11) if abs(m1) < 9 * C11**0.5 else (m1 * m1 + C11) * (m1 > 0)
        )
        assert pytest.approx(factor * square if factor > 0 else 0.0, rel=1e-6, abs=1e-7) == X
        assert 0.0 <= X12 <= 1.0
        assert np.isfinite([X1, X11]).all()
        assert np.isfinite(second).all()


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations_with_replacement(["erf", "relu", "gelu"], 2)))
def test_price_theorem(first: str, second: str) -> None:
    """dE[X1 X2] / dC12 = E[X1' X2'], by central differences."""
    kinds, (m1, m2, C11, C12, C22), step = (*UNITS[first][0], *UNITS[second][0]), CASES["ordinary"], 1e-5
    above, below = (pair(*kinds, m1, m2, C11, C12 + s, C22)[0] for s in (step, -step))
    assert (above - below) / (2 * step) == pytest.approx(pair(*kinds, m1, m2, C11, C12, C22)[3], rel=1e-8)


@pytest.mark.parametrize(("ramp1", "ramp2"), list(itertools.product([False, True], repeat=2)))
def test_pairs_against_their_derivation(ramp1: bool, ramp2: bool, rng: np.random.Generator) -> None:
    """The expressions sympy derives, from B and its first derivatives as numbers; gates of any o between and beyond 0 and 1."""
    d = derivation
    symbols = [d.m1, d.m2, d.C11, d.C12, d.C22, d.o1, d.o2, d.B(), d.B(1), d.B(0, 1), d.B(1, 1)]
    derived = sp.lambdify(symbols, [d.lower(form) for form in d.pair(ramp1, ramp2)])
    for o1, o2 in ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (0.3, 2.0)):
        (m1, m2), A = rng.normal(size=2), rng.normal(size=(2, 2))
        C = A @ A.T + 0.1 * np.eye(2)
        law = (m1, m2, C[0, 0], C[0, 1], C[1, 1])
        gates = pair(False, o1, False, o2, *law)
        expected = derived(*law, o1, o2, *gates[:4])
        assert pair(ramp1, o1, ramp2, o2, *law) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        tilted = d.tilted_pair().subs(dict(zip(symbols[:7], (*law, o1, o2), strict=True)))
        assert gates[3] == pytest.approx(float(tilted), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("ramp1", "ramp2"), list(itertools.product([False, True], repeat=2)))
def test_derivatives_of_units_are_derivatives_in_the_means(ramp1: bool, ramp2: bool) -> None:
    """Two routes to every average, x G' = -o G'' and d/dm, are the same expression."""
    d = derivation
    X, X1, X2, X12, X11, X22 = d.pair(ramp1, ramp2)
    routes = [(d.d(X, 1), X1), (d.d(X, 2), X2), (d.d(d.d(X, 1), 2), X12), (d.d(d.d(X, 1), 1), X11), (d.d(d.d(X, 2), 2), X22)]
    assert all(sp.simplify(d.lower(a) - d.lower(b)) == 0 for a, b in routes)


def test_which_unit_is_which() -> None:
    """Hand-computed at a point: erf(x/sqrt 2) = 2 Phi(x) - 1 and so on, with o = 1 for smooth units and 0 for hard ones."""
    assert gated(ERF) == (False, 1.0, 2.0, -1.0)
    assert gated(SIGN) == (False, 0.0, 2.0, -1.0)
    assert gated(GELU) == (True, 1.0, 1.0, 0.0)
    assert gated(RELU) == (True, 0.0, 1.0, 0.0)
    # E[relu(x)^2] = 1/2, E[relu(x) relu(-x)] = 0, E[relu' relu'] of independent fields = 1/4 for unit normals
    assert pair(True, 0.0, True, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0)[0] == pytest.approx(0.5, abs=1e-15)
    assert pair(True, 0.0, True, 0.0, 0.0, 0.0, 1.0, -1.0, 1.0)[0] == pytest.approx(0.0, abs=1e-15)
    assert pair(True, 0.0, True, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0)[3] == 0.25


def test_no_correlation_beyond_one_but_by_rounding() -> None:
    for rho in (1 + 9e-8, -1 - 9e-8):
        assert bivariate_normal_cdf(0.3, -0.8, rho) == bivariate_normal_cdf(0.3, -0.8, np.sign(rho))
        assert bivariate_normal_cdf(0.0, 0.0, rho) == (0.5 if rho > 0 else 0.0)
    for rho in (1 + 2e-7, -1.1, 5.0, np.nan):
        for h, k in ((0.3, -0.8), (0.0, 0.0), (np.inf, 0.2), (-np.inf, 0.2)):
            assert np.isnan(bivariate_normal_cdf(h, k, rho))
    assert np.isnan(bivariate_normal_cdf(np.nan, 0.2, 0.99))
    for kinds in itertools.product(((False, 1.0), (True, 1.0), (False, 0.0), (True, 0.0)), repeat=2):
        (_, o1), (_, o2) = kinds
        flat = *kinds[0], *kinds[1]
        edge = ((1.0 + o1) * (0.7 + o2)) ** 0.5
        for sign in (1, -1):
            assert np.isfinite(pair(*flat, 0.4, 0.6, 1.0, sign * edge * (1 + 9e-8), 0.7)).all()
            assert np.isnan(pair(*flat, 0.4, 0.6, 1.0, sign * edge * (1 + 2e-7), 0.7)).all()


def test_no_variance_below_zero_but_by_rounding() -> None:
    for kind in ((False, 1.0), (True, 1.0), (False, 0.0), (True, 0.0)):
        assert np.isnan(single(*kind, 0.3, -1e-3)).all()
        assert np.isnan(pair(*kind, *kind, 0.3, 0.2, -1e-3, 0.0, 1.0)).all()
        assert np.isnan(pair(*kind, *kind, 0.3, 0.2, 1.0, 0.0, -1e-3)).all()
        assert np.isfinite(single(*kind, 0.3, -1e-12)).all()


def test_units_that_are_not_gated_give_nan() -> None:
    for code in (3, 5, 7, -1, 2**30):
        assert np.isnan(gated(code)[1:]).all()


@pytest.mark.parametrize("unit", ["gelu", "relu", "erf"])
@pytest.mark.parametrize("size", [0.0, 0.8], ids=["means zero", "means"])
@pytest.mark.parametrize("width", [3, 9])
def test_components_of_opposite_means_share_their_pairs(unit: str, size: float, width: int, rng: np.random.Generator) -> None:
    """Neighbours of opposite means are averaged once, in another order each on its own: the same numbers, to rounding.

    Probabilities and labels differ between all components; the last has no neighbour.
    """
    gain = np.array([[1.0, 0.0], [-1.0, 0.0], [0.3, 1.0], [-0.3, -1.0], [0.5, 0.5]])[:, :, None]
    probability, label = np.array([0.3, 0.1, 0.25, 0.15, 0.2]), np.array([1.0, -0.4, 0.7, -1.0, 0.2])
    Q = rng.normal(size=(width, 5))
    Q, M, v = (Q @ Q.T / 5)[None], size * rng.normal(size=(1, width, 2)), rng.normal(size=width)
    results = []
    for order in (np.arange(5), np.array([0, 2, 4, 1, 3])):
        law = FieldLaw(ExampleLaw(probability[order], gain[order], np.array([0.7]), label[order]), width, np.eye(2)[None])
        law.update(Q, M)
        pairs, out = PairClosedForm(ACTIVATIONS[unit].code, law), FieldAverages.empty(5, width, 2)
        pairs.first_order(law, v, out)
        error = pairs.generalization_error(law, v)
        results.append((out.force[np.argsort(order)], out.student, out.readout, error))
    for together, apart in zip(*results, strict=True):
        np.testing.assert_allclose(together, apart, rtol=1e-11, atol=1e-13)


@kernel
def by_series(ramp1, o1, ramp2, o2, m1, m2, C11, C12, C22, rows, powers):
    """The six averages of a pair, and the first of them alone, as series of as many terms as its correlation needs."""
    rho = C12 / np.sqrt((C11 + o1) * (C22 + o2))
    terms = terms_for(rho)
    if not terms:
        return 0, pair(ramp1, o1, ramp2, o2, m1, m2, C11, C12, C22), 0.0
    fill_rows(ramp1, o1, m1, C11, terms, rows, 0)
    fill_rows(ramp2, o2, m2, C22, terms, rows, 1)
    return terms, pair_of_rows(rows, 0, 1, rho, terms, powers), product_of_rows(rows, 0, 1, rho, terms, powers)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(["erf", "relu", "gelu"], repeat=2)))
def test_pairs_as_series_are_those_of_the_integral(first: str, second: str, rng: np.random.Generator) -> None:
    """Both are exact to rounding: of all correlations that have a series, small and large variances and means."""
    (ramp1, o1), (ramp2, o2) = kinds = UNITS[first][0], UNITS[second][0]
    rows, powers = room(2)
    needed = 0
    for _ in range(2000):
        C11, C22 = np.exp(rng.uniform(-6, 4, 2))
        m1, m2 = rng.normal(size=2) * np.exp(rng.uniform(-3, 3))
        sizes = np.sqrt((C11 + o1) * (C22 + o2))
        rho = rng.uniform(-LARGEST, LARGEST) * min(1.0, np.sqrt(C11 * C22) / (LARGEST * sizes)) * 10.0 ** rng.uniform(-2, 0)
        law = m1, m2, C11, rho * sizes, C22
        terms, series, product = by_series(*kinds[0], *kinds[1], *law, rows, powers)
        needed = max(needed, terms)
        expected = pair(ramp1, o1, ramp2, o2, *law)
        units = [np.sqrt(m * m + C + o) if ramp else 1.0 for ramp, o, m, C in ((ramp1, o1, m1, C11), (ramp2, o2, m2, C22))]
        slope1, slope2 = (max(1.0, 1.0 / np.sqrt(C + o)) for o, C in ((o1, C11), (o2, C22)))
        sizes_of = np.array([1.0, slope1, slope2, slope1 * slope2, slope1**2, slope2**2]) * max(1.0, units[0] * units[1])
        assert (np.abs(np.subtract(series, expected)) < 2e-15 * sizes_of).all()
        assert abs(product - series[0]) < 1e-15 * sizes_of[0]
    assert 40 < needed <= MOST_TERMS
    for rho in (LARGEST * 1.0001, -0.99, np.nan):
        assert by_series(False, 1.0, False, 1.0, 0.0, 0.0, 1.0, 2.0 * rho, 1.0, rows, powers)[0] == 0
    # E[X1 X2] of independent fields is a product, and of erf units without means asin(rho): 2 / pi asin(1 / 4), in gates.
    _, series, _ = by_series(False, 1.0, False, 1.0, 0.0, 0.0, 1.0, 0.5, 1.0, rows, powers)
    assert series[0] == pytest.approx(0.25 + np.arcsin(0.25) / (2 * np.pi), abs=1e-15)


@pytest.mark.parametrize("unit", ["gelu", "relu", "erf"])
def test_wide_students_sum_their_pairs_as_series(unit: str, rng: np.random.Generator) -> None:
    """Against the sums at the head of `pair_closed_form`, of pairs one by one; some units are nearly one, some the same."""
    width, (ramp, o), (_, _, slope, offset) = 8, UNITS[unit][0], gated(ACTIVATIONS[unit].code)
    W = rng.normal(size=(width, 12)) / 3
    W[1], W[2] = W[0] + 0.01 * W[1], W[3] if ramp and o else 0.9 * W[3] + 0.1 * W[2]
    Q, M, v = W @ W.T, 0.5 * rng.normal(size=(width, 1)), rng.normal(size=width)
    law = FieldLaw(
        ExampleLaw(np.array([0.4, 0.6]), np.array([[[1.0]], [[-0.5]]]), np.array([0.7]), np.array([1.0, -1.0])),
        width,
        np.eye(1)[None],
    )
    law.update(Q[None], M[None])
    pairs, out = PairClosedForm(ACTIVATIONS[unit].code, law), FieldAverages.empty(2, width, 1)
    pairs.first_order(law, v, out)
    force, student, readout, total = np.zeros((2, width)), np.zeros((width, width)), np.zeros(width), 0.0
    C = law.covariance
    for c, (share, y) in enumerate(((0.4, 1.0), (0.6, -1.0))):
        m = law.mean[c]
        six = np.array(
            [[pair(ramp, o, ramp, o, m[k], m[i], C[k, k], C[k, i], C[i, i]) for i in range(width)] for k in range(width)]
        )
        one = np.array([single(ramp, o, m[k], C[k, k]) for k in range(width)])
        label = y - offset * v.sum()
        force[c] = share * v * slope * (slope * six[..., 1] @ v - label * one[:, 1])
        student += share * np.outer(v, v) * slope**2 * six[..., 3]
        student += share * np.diag(v * slope * (slope * six[..., 4] @ v - label * one[:, 2]))
        signal = slope * v @ one[:, 0] - label
        readout += share * (slope * (slope * six[..., 0] @ v - label * one[:, 0]) + offset * signal)
        total += share * (slope**2 * v @ six[..., 0] @ v - 2 * label * slope * v @ one[:, 0] + label**2) / 2
    np.testing.assert_allclose(out.force, force, atol=1e-14 * np.abs(v).max() * width)
    np.testing.assert_allclose(out.student, student, atol=1e-14 * np.abs(v).max() ** 2 * width)
    np.testing.assert_allclose(out.readout, readout, atol=1e-14 * np.abs(v).max() * width)
    assert pairs.generalization_error(law, v) == pytest.approx(total, rel=1e-13)
