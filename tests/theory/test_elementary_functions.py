"""Normal distribution, activations and losses, each against an independent definition."""

import math

import numpy as np
import pytest
from scipy import special

import curriculode as cu
from curriculode.theory.units.activations import ACTIVATIONS, activation, evaluate, evaluate_curved, polynomial_coefficients
from curriculode.theory.units.losses import LOSSES, error_signal, error_slope, loss
from curriculode.theory.units.normal import normal_cdf_pdf
from tests import twins

X = np.concatenate([np.linspace(-40, 40, 2001), np.linspace(-3, 3, 1999), [0.0, 1 / 64, -1 / 64, 8.98, -8.98]])
X = X[X != 0]  # ReLU's kink is tested by itself


def test_normal_distribution_and_density_to_rounding() -> None:
    ours = np.array([normal_cdf_pdf(x) for x in X])
    assert np.abs(ours[:, 0] - special.ndtr(X)).max() < 4e-16
    assert np.abs(ours[:, 1] - np.exp(-X * X / 2) / math.sqrt(2 * math.pi)).max() < 4e-16


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activation_and_derivatives(name: str) -> None:
    g, dg, d2g = np.empty(X.size), np.empty(X.size), np.empty(X.size)
    evaluate(ACTIVATIONS[name].code, X, g, dg)
    scale = np.maximum(1, np.abs(X)) ** np.arange(3)[:, None]
    coefficients = polynomial_coefficients(ACTIVATIONS[name].code)
    if coefficients is not None:  # sums of terms of both signs: rounding is that of the terms
        powers = np.polynomial.Polynomial(np.abs(coefficients))
        scale = np.array([np.maximum(1, p(np.abs(X))) for p in (powers.deriv(2), powers.deriv(1), powers)])
    tolerance = 3e-15 * scale
    assert (np.abs(g - twins.ACTIVATIONS[name][0](X)) <= tolerance[2]).all()
    assert (np.abs(dg - twins.ACTIVATIONS[name][1](X)) <= tolerance[1]).all()
    curved = np.empty(X.size), np.empty(X.size)
    evaluate_curved(ACTIVATIONS[name].code, X, *curved, d2g)
    assert (curved[0] == g).all()
    assert (curved[1] == dg).all()
    assert (np.abs(d2g - twins.ACTIVATIONS[name][2](X)) <= tolerance[0]).all()


def test_activation_keeps_shapes_and_names_the_allowed() -> None:
    assert activation("tanh")(np.ones((2, 3))).shape == (2, 3)
    assert activation("relu").derivative(0.0) == 0.0
    with pytest.raises(cu.InputError, match="'swish' is unknown; allowed: erf, relu, gelu, linear, quadratic, tanh"):
        activation("swish")


def test_losses_by_hand() -> None:
    assert loss(LOSSES["squared"], 2.0, -1.0) == 4.5
    assert error_signal(LOSSES["squared"], 2.0, -1.0) == 3.0
    assert error_slope(LOSSES["squared"], 2.0, -1.0) == 1.0
    assert loss(LOSSES["logistic"], 0.0, 1.0) == pytest.approx(math.log(2), abs=1e-15)
    assert error_signal(LOSSES["logistic"], 0.0, -1.0) == 0.5
    assert error_slope(LOSSES["logistic"], 0.0, 1.0) == 0.25


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("y", [-1.0, 1.0])
def test_error_signal_is_the_derivative_of_the_loss(name: str, y: float) -> None:
    code, h = LOSSES[name], 1e-5
    for f in np.linspace(-4, 4, 17):
        assert error_signal(code, f, y) == pytest.approx((loss(code, f + h, y) - loss(code, f - h, y)) / (2 * h), abs=1e-9)
        assert error_slope(code, f, y) == pytest.approx(
            (error_signal(code, f + h, y) - error_signal(code, f - h, y)) / (2 * h), abs=1e-9
        )


def test_logistic_loss_far_out_is_finite_and_right() -> None:
    code = LOSSES["logistic"]
    assert loss(code, -800.0, 1.0) == 800.0
    assert loss(code, 800.0, 1.0) == 0.0
    assert error_signal(code, -800.0, 1.0) == -1.0
    assert error_signal(code, 800.0, 1.0) == 0.0
    assert error_slope(code, 800.0, 1.0) == 0.0


def test_codes_that_are_none_give_nan() -> None:
    """Never the last branch's values: an activation, loss or teacher that is not known must not be computed as another."""
    for code in (-1, 7, 50, 100, 113, 2**20):
        rows = np.zeros((3, 5))
        evaluate(code, np.ones(5), rows[0], rows[1])
        assert np.isnan(rows[:2]).all()
        evaluate_curved(code, np.ones(5), *rows)
        assert np.isnan(rows).all()
        assert polynomial_coefficients(code) is None
    for code in (-1, 2, 7):
        assert np.isnan([loss(code, 0.5, 1.0), error_signal(code, 0.5, 1.0), error_slope(code, 0.5, 1.0)]).all()
