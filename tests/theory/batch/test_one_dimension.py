"""The one-dimensional pieces of batch learning, against minimisation and adaptive quadrature written from their definitions."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, optimize, special

from curriculode.theory.batch.averages import averages, fresh_loss
from curriculode.theory.batch.proximal import BATCH_LOSSES, loss_of, response

LOSSES = {
    "squared": lambda h: 0.5 * (1 - h) ** 2,
    "logistic": lambda h: np.logaddexp(0, -h),
    "hinge": lambda h: max(0.0, 1 - h),
}


@pytest.mark.parametrize("loss", BATCH_LOSSES)
@pytest.mark.parametrize("V", [1e-3, 0.4, 7.0, 300.0])
def test_response_is_the_minimiser(loss: str, V: float) -> None:
    """h* = omega + V f minimises (h - omega)^2 / (2 V) + l(h), and df is its slope."""
    code = BATCH_LOSSES[loss]
    for omega in (-1.3 * V - 3, -0.61 * V, 0.05, 0.93, 4.0):
        f, df = response(code, omega, V)
        objective = lambda h: (h - omega) ** 2 / (2 * V) + LOSSES[loss](h)  # noqa: B023, E731
        bound = omega - V * max(0.0, omega) - 1e-9, omega + max(1.0, 1 - omega) * V + 1e-9  # f is a slope of the loss
        best = optimize.minimize_scalar(objective, bounds=bound, method="bounded", options={"xatol": 1e-12 * max(1, V)})
        # A minimum is flat: its place is known to the square root of rounding.
        assert omega + V * f == pytest.approx(best.x, abs=3e-7 * max(1.0, V))
        step = 1e-5 * max(1.0, V)
        slope = (response(code, omega + step, V)[0] - response(code, omega - step, V)[0]) / (2 * step)
        if loss != "hinge" or min(abs(omega - 1), abs(omega - 1 + V)) > 2 * step:
            assert df == pytest.approx(slope, rel=2e-5, abs=1e-9)
        assert loss_of(code, omega) == pytest.approx(LOSSES[loss](omega), rel=1e-12)


def test_logistic_response_solves_its_equation_for_any_field() -> None:
    for V in (1e-6, 0.1, 35.0, 1e3, 1e6):
        for omega in np.concatenate([np.linspace(-1.5 * V - 30, 40, 301), [-V, -0.5 * V, 0.0]]):
            f = response(BATCH_LOSSES["logistic"], omega, V)[0]
            assert 0 <= f <= 1
            # In the field, where f is well conditioned: h = -logit f = omega + V f.
            if 1e-8 < f < 1 - 1e-8:
                assert -special.logit(f) == pytest.approx(omega + V * f, abs=1e-6 * max(1.0, 1e-8 * V))


def by_quadrature(loss: str, q_along: float, q_across: float, T: float, V: float) -> np.ndarray:
    """E f^2, E df/d omega, E df/d nu = (E f nu - R E df/d omega) / T and E l, by scipy.integrate.quad over omega given y = +-1."""
    code, q, R = BATCH_LOSSES[loss], q_along**2 + q_across, q_along * np.sqrt(T)
    scale, rest = np.sqrt(q), np.sqrt(T - R * R / q)

    def average(of) -> float:  # type: ignore[no-untyped-def]
        """E over omega of of(omega, E[nu; y = 1 | omega], P(y = 1 | omega)), doubled for y = -1 by symmetry."""

        def density(u: float) -> float:
            omega = scale * u
            mean = R / q * omega
            probability = special.ndtr(mean / rest)
            nu = mean * probability + rest * np.exp(-0.5 * (mean / rest) ** 2) / np.sqrt(2 * np.pi)
            return 2 * np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi) * of(omega, nu, probability)

        kinks = sorted({-10.0, *np.clip([1 / scale, (1 - V) / scale, -V / scale, 0.0], -10, 10), 10.0})
        return sum(integrate.quad(density, a, b, epsabs=1e-13, epsrel=1e-12, limit=400)[0] for a, b in pairwise(kinks))

    change = average(lambda omega, nu, p: p * response(code, omega, V)[1])
    turn = average(lambda omega, nu, p: nu * response(code, omega, V)[0])
    return np.array(
        [
            average(lambda omega, nu, p: p * response(code, omega, V)[0] ** 2),
            change,
            (turn - R * change) / T,
            average(lambda omega, nu, p: p * LOSSES[loss](omega)),
        ]
    )


@pytest.mark.parametrize("loss", BATCH_LOSSES)
@pytest.mark.parametrize(
    ("q_along", "q_across", "T", "V"),
    [
        (0.5, 0.3, 1.0, 0.8),
        (-0.4, 0.5, 2.0, 0.1),
        (2.0, 0.02, 1.0, 5.0),
        (0.01, 1e-4, 1.0, 1e-3),
        (12.0, 9.0, 0.5, 60.0),
        (1.0, 1e-4, 1.0, 0.3),
    ],
)
def test_averages_match_adaptive_quadrature(loss: str, q_along: float, q_across: float, T: float, V: float) -> None:
    expected = by_quadrature(loss, q_along, q_across, T, V)
    code = BATCH_LOSSES[loss]
    ours = np.array([*averages(code, False, q_along, q_across, T, V), fresh_loss(code, q_along, q_across)])
    assert ours == pytest.approx(expected, rel=2e-9, abs=1e-11)
    fewer = np.array(averages(code, True, q_along, q_across, T, V))
    assert fewer == pytest.approx(expected[:3], rel=1e-8, abs=1e-10)
