"""Mean and covariance of runs: in closed form where there is one, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.core.errors import InputError
from curriculode.theory.finite_d.fluctuations import fluctuations
from curriculode.theory.finite_d.record import Fluctuations


def linear_unit(eta: float) -> tuple[cu.Experiment, cu.OrderParameters]:
    case = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=1, teacher_activation="linear"),
        student=cu.Committee(width=1, activation="linear", readout="fixed"),
        training=cu.OnlineSGD(learning_rate=eta),
        protocol=cu.Protocol.single(duration=4.0),
    )
    return case, cu.OrderParameters(np.array([[1.3]]), np.array([[0.2]]), np.ones(1))


@pytest.mark.parametrize("eta", [0.5, 1.3])
def test_the_linear_unit_in_closed_form(eta: float) -> None:
    """r = Q - 2 M + 1 is multiplied by independent factors: with c = 2 eta - eta^2, r = r0 exp(-ct), C = 2 c^2 t r0^2 exp(-2ct),
    m = (2 eta^2 - c^2 / 2) t r0 exp(-ct).
    """
    case, start = linear_unit(eta)
    found = fluctuations(case, start, times=5, points=2**16, rtol=1e-8)
    t, r, c = found.t, np.array([1.0, -2.0]), 2 * eta - eta**2
    mean = found.Q[:, 0, 0] - 2 * found.M[:, 0, 0] + 1
    r0 = mean[0]
    assert found.names == ("Q[0,0]", "M[0,0]")
    np.testing.assert_allclose(mean, r0 * np.exp(-c * t), rtol=1e-7)
    np.testing.assert_allclose(r @ found.covariance @ r, 2 * c**2 * t * r0**2 * np.exp(-2 * c * t), rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(found.shift @ r, (2 * eta**2 - c**2 / 2) * t * r0 * np.exp(-c * t), rtol=2e-3, atol=1e-12)


def test_the_closure_is_the_expansion_where_the_dimension_is_large() -> None:
    case = cu.load("perceptron-curriculum").replace({"protocol.duration": 2.0, "protocol.order": "random"})
    start, D = case.initial(dimension=1000), 10**6
    expansion, closure = (fluctuations(case, start, times=3, dimension=dimension) for dimension in (None, D))
    assert (expansion.statistics["way"], closure.statistics["way"]) == ("expansion", "closure")
    assert closure.statistics["trusted_until"] == 2.0
    np.testing.assert_allclose(closure.covariance, expansion.covariance, rtol=1e-4, atol=1e-6)
    for name in expansion.names:
        np.testing.assert_allclose(closure.band(name)[0], expansion.band(name, D)[0], atol=2e-8 + 0.02 / D)
    assert not closure.shift.any()


def test_levels_drawn_with_exact_totals_scatter_less() -> None:
    """One level in two halves is one level; two levels in turn at random scatter less than independent draws would."""
    case = cu.load("perceptron-curriculum").replace({"protocol.duration": 2.0, "protocol.order": "random"})
    same = {"levels.easy.irrelevant_variance": 1.0, "levels.hard.irrelevant_variance": 1.0}
    start = case.initial(dimension=1000)
    one, two = (fluctuations(case.replace({**same, "levels.easy.share": share}), start, times=2) for share in (0.5, 0.2))
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(one.shift, two.shift, rtol=1e-4, atol=1e-6)


def test_bands_of_what_is_linear_are_those_of_draws() -> None:
    """An order parameter's band in closed form, and read off the states that other observables are averaged over."""
    case = cu.load("xor-curriculum").replace({"protocol.duration": 2.0})
    found = fluctuations(case, case.initial(dimension=400), times=2, dimension=400, points=512)
    drawn = found._drawn(400)
    for name in ("Q[0,1]", "M[2,1]", "v[3]"):
        mean, scatter = found.band(name)
        np.testing.assert_allclose(drawn.observable(name).mean(axis=0), mean, atol=1e-10)
        np.testing.assert_allclose(drawn.observable(name).std(axis=0), scatter, rtol=0.1, atol=1e-12)


def test_draws_are_physical() -> None:
    """At the edge: a student that nearly is its teacher, at a dimension so small that a Gaussian law leaves what is possible."""
    case, _ = linear_unit(0.5)
    start = cu.OrderParameters(np.array([[1.0]]), np.array([[0.9999]]), np.ones(1))
    drawn = fluctuations(case, start, times=3, dimension=2, way="closure")._drawn(2)
    assert (drawn.Q[..., 0, 0] - drawn.M[..., 0, 0] ** 2 > -1e-12).all()


def test_it_is_a_record(tmp_path) -> None:  # type: ignore[no-untyped-def]
    case = cu.load("perceptron-curriculum").replace({"protocol.duration": 0.5})
    found = fluctuations(case, case.initial(dimension=100), times=2, points=256)
    loaded = cu.load_record(found.save(tmp_path / "x.npz"))
    assert isinstance(loaded, Fluctuations)
    assert loaded == found
    assert loaded.dims("covariance") == ("time", "entry", "other_entry")
    np.testing.assert_array_equal(loaded.band("M[0,0,0]", 100), found.band("M[0,0,0]", 100))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"start": 3}, "start = 3 is not allowed; give OrderParameters"),
        ({"weights": "randm"}, "randm"),
        ({"dimension": 1}, "dimension D = 1 is too small"),
        ({"way": "closed"}, "closed"),
        ({"way": "closure"}, 'way = "closure" needs a dimension'),
        ({"points": 100}, "a Sobol net needs a power of two"),
        ({"numerics": cu.Numerics(noise_terms=False)}, "fluctuations need the noise terms"),
    ],
)
def test_mistakes_are_one_sentence(changes: dict, sentence: str) -> None:
    case = cu.load("perceptron-curriculum")
    with pytest.raises(InputError, match=sentence):
        fluctuations(case, **{"start": case.initial(dimension=100), **changes})


def test_bands_need_a_dimension_that_fits() -> None:
    case = cu.load("perceptron-curriculum").replace({"protocol.duration": 0.1})
    start = case.initial(dimension=100)
    with pytest.raises(InputError, match="give dimension="):
        fluctuations(case, start, times=2, points=256).band("M[0,0,0]")
    with pytest.raises(InputError, match="is not that of the closure, 100"):
        fluctuations(case, start, times=2, points=256, dimension=100).band("M[0,0,0]", dimension=200)
    with pytest.raises(InputError, match="has no online dynamics"):
        fluctuations(cu.load("batch-perceptron"), start)


@pytest.mark.slow
def test_where_the_closure_fails_the_diffusion_takes_its_place_and_says_so() -> None:
    """From a plateau at small D runs scatter too much for any closure; asked for by name it is given, and its end is told."""
    case = cu.load("committee-plateau").replace({"protocol.duration": 120.0, "student.weight_scale": 0.1})
    start = case.initial(dimension=100, seed=1)
    options = {"dimension": 100, "times": 7, "points": 512}
    closure, found = fluctuations(case, start, way="closure", **options), cu.integrate(case, start, **options)
    assert closure.statistics["trusted_until"] < 120
    assert "the closure is to be trusted until t = " in closure.status
    assert found.statistics["way"] == "diffusion"
    assert "paths of the diffusion: the closure is to be trusted until t = " in found.status
    runs = cu.simulate(case, start=start, dimension=100, runs=256, times=7, points=64, progress=False)
    for name in ("Q[0,0]", "M[0,1]"):
        mean, scatter = found.band(name)
        values = runs.observable(name)
        error = np.hypot(values.std(axis=0) / 16, scatter / np.sqrt(128))
        assert (np.abs(values.mean(axis=0) - mean) <= 4.5 * error + 1e-9).all()
        assert scatter[3] == pytest.approx(values[:, 3].std(), rel=0.25)  # later a few that are late have all the say


def test_wide_students_are_left_to_the_diffusion(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """K = 32 has 624 order parameters; the record is read in a process that has made none."""
    case = cu.load("xor-curriculum").replace({"protocol.duration": 0.5, "student.width": 32})
    found = cu.integrate(case, case.initial(dimension=200), dimension=200, times=3)
    assert "624 order parameters are too many for the closure" in found.status
    assert found.path_v.shape == (64, 3, 32)
    mean, scatter = found.band("accuracy")
    assert 0.3 < mean[-1] < 0.7
    assert scatter[0] == 0 < scatter[-1] < 0.1
    name = found.save(tmp_path / "wide.npz")
    code = f"import curriculode as cu; assert cu.load_record({str(name)!r}).band('v[0]')[1][-1] > 0"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_random_weights_by_the_diffusion() -> None:
    """Mean and covariance of the start are those of Gaussian weights, in the mean of 128 draws."""
    case = cu.load("perceptron-curriculum").replace({"protocol.duration": 0.1, "student.readout": "fixed"})
    start = case.initial(dimension=400)
    law = fluctuations(case, start, times=2, points=256, weights="random")
    found = fluctuations(case, start, times=2, points=256, weights="random", dimension=400, way="diffusion")
    for name in found.names:
        (mean, scatter), (expected, predicted) = found.band(name), law.band(name, 400)
        assert abs(mean[0] - expected[0]) <= 5 * predicted[0] / np.sqrt(128)
        assert scatter[0] == pytest.approx(predicted[0], rel=0.3)


def test_nothing_is_remembered_at_finite_dimension() -> None:
    case = cu.load("perceptron-curriculum")
    with pytest.raises(InputError, match="leave `remember` or `dimension` out"):
        cu.integrate(case, case.initial(dimension=100), dimension=100, remember=[0.0])
