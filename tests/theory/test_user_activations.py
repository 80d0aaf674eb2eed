"""Activations of a user's own: against the built-in ones, against quadrature, and every mistake word for word."""

import copy
import math
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator

import numba
import numpy as np
import pytest
from scipy.special import ndtr

from curriculode.theory.averages import FieldAverages, FieldLaw, QuasiMonteCarlo, choose
from curriculode.theory.core.errors import InputError
from curriculode.theory.tasks import ExampleLaw, Teacher
from curriculode.theory.units.activations import ACTIVATIONS, OWN, Activation, activation, evaluate_curved, register_activation
from tests import twins


@numba.njit
def cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def pdf(x):
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


density = numba.njit(pdf)


def gelu(x):
    return x * cdf(x)


def gelu_slope(x):
    return cdf(x) + x * density(x)


def gelu_curvature(x):
    return (2.0 - x * x) * density(x)


def relu(x):
    return max(x, 0.0)


def step(x):
    return 1.0 if x > 0.0 else 0.0


def leaky(x):
    return x if x > 0.0 else 0.1 * x


def leaky_slope(x):
    return 1.0 if x > 0.0 else 0.1


def zero(x):
    return 0.0


def bent(x):
    """Kinks at -1/2 and 1."""
    return abs(x + 0.5) - 0.7 * max(x - 1.0, 0.0) + 0.1 * x * x


def bent_slope(x):
    return (1.0 if x > -0.5 else -1.0) - (0.7 if x > 1.0 else 0.0) + 0.2 * x


def bent_curvature(x):
    return 0.2


@pytest.fixture(scope="module")
def own() -> Iterator[dict[str, Activation]]:
    registered = {
        "gelu": register_activation("own-gelu", gelu, gelu_slope, gelu_curvature, formula="x Phi(x)"),
        "differenced gelu": register_activation("own-gelu-differenced", gelu, numba.njit(gelu_slope)),
        "relu": register_activation("own-relu", relu, step, zero, kinks={0: 1}),
        "leaky": register_activation("own-leaky", leaky, leaky_slope, zero, kinks={0.0: 0.9}),
        "bent": register_activation("own-bent", bent, bent_slope, bent_curvature, kinks={1.0: -0.7, -0.5: 2.0}),
        "tanh": register_activation("own-tanh", math.tanh, lambda x: 1.0 - math.tanh(x) ** 2, odd=True),
    }
    yield registered
    for each in registered.values():
        ACTIVATIONS._things.pop(each.name)


def law_of(teacher: int, width: int = 3) -> tuple[FieldLaw, np.ndarray]:
    """Two components with means and a teacher of two units, or labels of the component where `teacher` is negative."""
    generator = np.random.default_rng(5)
    W = generator.normal(size=(width + 2, 7)) / 7**0.5
    T, M, Q = W[:2] @ W[:2].T, W[2:] @ W[:2].T, W[2:] @ W[2:].T
    labels = Teacher(teacher, np.array([1.0, -0.7]), noise=0.1) if teacher >= 0 else Teacher()
    gain = generator.normal(size=(2, 2, 1))
    law = FieldLaw(ExampleLaw(np.array([0.3, 0.7]), gain, np.array([0.8]), np.array([1.0, -1.0]), labels), width, T[None])
    law.update(Q[None], M[None])
    return law, generator.normal(size=width)


def averages(unit: Activation, loss: str, law: FieldLaw, v: np.ndarray, points: int = 1024) -> list[np.ndarray]:
    net = QuasiMonteCarlo(unit, loss, v.size, law.references, points, 1)
    out = FieldAverages.empty(2, v.size, 2)
    net.averages(law, v, out)
    return [*out, np.array(net.errors(law, v))]


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("teacher", [None, "erf", "relu"])
@pytest.mark.parametrize(
    ("mine", "theirs", "close"),
    [("gelu", "gelu", 1e-10), ("differenced gelu", "gelu", 1e-9), ("relu", "relu", 1e-10), ("tanh", "tanh", 1e-9)],
)
def test_averages_are_those_of_the_built_in_unit(
    own: dict[str, Activation], mine: str, theirs: str, close: float, teacher: str | None, loss: str
) -> None:
    law, v = law_of(-1 if teacher is None else ACTIVATIONS[teacher].code)
    for ours, exact in zip(averages(own[mine], loss, law, v), averages(ACTIVATIONS[theirs], loss, law, v), strict=True):
        assert np.abs(ours - exact).max() < close


def test_a_teacher_may_be_a_users_own(own: dict[str, Activation]) -> None:
    pairs = zip(*(averages(ACTIVATIONS["tanh"], "squared", *law_of(unit.code)) for unit in (own["gelu"], ACTIVATIONS["gelu"])))  # noqa: B905
    for ours, exact in pairs:
        assert np.abs(ours - exact).max() < 1e-10
    law, v = law_of(own["gelu"].code)
    assert set(choose("auto", ACTIVATIONS["gelu"], "squared", law, v.size, 64, 0).ways.values()) == {"quasi-Monte Carlo"}
    with pytest.raises(InputError, match="averages 'closed form' do not exist for a own-gelu student"):
        choose("closed form", own["gelu"], "squared", law, v.size, 64, 0)


# name -> g, g' and g'' between kinks of arrays, and (place, jump) of each kink
BY_HAND = {
    "leaky": (lambda x: np.where(x > 0, x, 0.1 * x), lambda x: np.where(x > 0, 1.0, 0.1), lambda x: 0 * x, [(0.0, 0.9)]),
    "bent": (
        lambda x: np.abs(x + 0.5) - 0.7 * np.maximum(x - 1, 0) + 0.1 * x * x,
        lambda x: np.where(x > -0.5, 1.0, -1.0) - 0.7 * (x > 1) + 0.2 * x,
        lambda x: 0.2 + 0 * x,
        [(-0.5, 2.0), (1.0, -0.7)],
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_kinked_units_against_quadrature(own: dict[str, Activation], name: str, loss: str) -> None:
    """Two units, by the trapezoidal rule on a fine grid; Stein's lemma gives E[dF_k/dlambda_i] C_il as E[F_k (lambda_l - m_l)]."""
    g, dg, _, kinks = BY_HAND[name]
    assert own[name].kinks == tuple(kinks)
    law, v = law_of(-1, 2)
    L = np.linalg.cholesky(law.covariance)
    t = np.linspace(-7.5, 7.5, 1501)
    z = np.stack(np.meshgrid(t, t, indexing="ij")).reshape(2, -1)
    weight = np.exp(-0.5 * (z**2).sum(0)) * (t[1] - t[0]) ** 2 / (2 * np.pi)
    force, stein, square, readout, error = np.zeros((2, 2)), 0, 0, 0, np.zeros(2)
    for c, (p, y) in enumerate(zip(law.example.probability, law.example.label, strict=True)):
        x = L @ z + law.mean[c][:, None]
        f = v @ g(x)
        e = twins.SIGNALS[loss](f, y)
        F = e * v[:, None] * dg(x)
        force[c] = p * F @ weight
        stein = stein + p * (F * weight) @ (L @ z).T
        square = square + p * (F * weight) @ F.T
        readout = readout + p * g(x) @ (e * weight)
        error += p * np.array([twins.LOSSES[loss](f, y) @ weight, (f * y < 0) @ weight])
    ours = averages(own[name], loss, law, v, 2**16)
    for number, exact in zip((ours[0], ours[1] @ law.covariance, *ours[3:]), (force, stein, square, readout, error), strict=True):
        assert np.abs(number - exact).max() < 1.5e-3


def test_values_and_derivatives(own: dict[str, Activation]) -> None:
    x = np.linspace(-6, 6, 999)
    for name, close in (("gelu", 1e-14), ("differenced gelu", 3e-12)):
        rows = np.empty((3, x.size))
        evaluate_curved(own[name].code, x, *rows)
        assert np.abs(rows[0] - x * ndtr(x)).max() < 1e-14
        assert np.abs(rows[1] - twins.ACTIVATIONS["gelu"][1](x)).max() < 1e-14
        assert np.abs(rows[2] - twins.ACTIVATIONS["gelu"][2](x)).max() < close
    assert own["relu"].kinked
    assert not own["gelu"].kinked
    assert own["tanh"].odd
    assert own["gelu"](np.ones((2, 3))).shape == (2, 3)
    assert own["gelu"].code > OWN
    assert (own["gelu"].formula, own["relu"].formula) == ("x Phi(x)", "own-relu")
    assert activation("own-gelu") is own["gelu"]


def test_the_name_and_not_the_address_goes_to_another_process(own: dict[str, Activation]) -> None:
    unit = own["gelu"]
    sent = pickle.dumps(unit)
    assert str(unit.code).encode() not in sent
    assert unit.code.to_bytes(8, "little") not in sent
    assert pickle.loads(sent) is unit
    assert copy.deepcopy(unit) is unit
    assert pickle.loads(pickle.dumps(ACTIVATIONS["relu"])) == ACTIVATIONS["relu"]


def test_a_module_may_register_its_own_name_again(own: dict[str, Activation]) -> None:
    again = register_activation("own-tanh", math.tanh, lambda x: 1.0 - math.tanh(x) ** 2)
    assert activation("own-tanh") is again
    assert own["tanh"](0.3) == again(0.3)  # who holds the old one can go on with it


def test_threads_share_a_unit(own: dict[str, Activation]) -> None:
    law, v = law_of(own["gelu"].code)
    expected, results = averages(own["bent"], "squared", law, v), []
    threads = [threading.Thread(target=lambda: results.append(averages(own["bent"], "squared", law, v))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for result in results:
        assert all((a == b).all() for a, b in zip(result, expected, strict=True))


SCRIPT = """
import numpy as np
from curriculode.theory.averages.quasi_monte_carlo import _averages_of
from tests.theory.test_user_activations import ACTIVATIONS, averages, gelu, gelu_slope, gelu_curvature, law_of, register_activation
unit = register_activation("own-gelu", gelu, gelu_slope, gelu_curvature)
for ours, exact in zip(averages(unit, "squared", *law_of(0)), averages(ACTIVATIONS["gelu"], "squared", *law_of(0))):
    assert np.abs(ours - exact).max() < 1e-10
print(sum(_averages_of.stats.cache_hits.values()), sum(_averages_of.stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_fresh_processes_take_the_compiled_kernels_from_disk() -> None:
    """The address differs from process to process; the kernels of the cache call it all the same, and none is compiled for it."""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "0"


def softplus(x):
    return math.log1p(math.exp(x))


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def uncompilable(x):
    return open(str(x)).read()


MISTAKES = {
    "wrong derivative": (
        dict(g=softplus, derivative=lambda x: 0.3),
        "activation 'mine': derivative(0.69) = 0.3, but g rises there by 0.665967 a unit; give the derivative of g",
    ),
    "wrong second derivative": (
        dict(g=softplus, derivative=sigmoid, second_derivative=sigmoid),
        "activation 'mine': second_derivative(6) = 0.997527, but derivative rises there by 0.00246651 a unit; give its derivative",
    ),
    "no function": (
        dict(g=3, derivative=sigmoid),
        "activation 'mine': g = 3 is not allowed; give a function of one number",
    ),
    "nor here": (
        dict(g=softplus, derivative=sigmoid, second_derivative="x"),
        "activation 'mine': second_derivative = 'x' is not allowed; give a function of one number",
    ),
    "no number": (
        dict(g=softplus, derivative=lambda x: (x, x)),
        "activation 'mine': derivative must return a number, not UniTuple(float64 x 2)",
    ),
    "not compilable": (
        dict(g=uncompilable, derivative=sigmoid),
        "activation 'mine': g cannot be compiled; write it as a function of one number, with arithmetic and the functions "
        "of math and numpy alone",
    ),
    "not finite": (
        dict(g=lambda x: math.log(x), derivative=lambda x: 1 / x),
        "activation 'mine': g(-6) = nan; it must be finite",
    ),
    "a kink that is not named": (
        dict(g=lambda x: abs(x - 0.4), derivative=lambda x: 1.0 if x > 0.4 else -1.0),
        "activation 'mine': derivative jumps by 2 at 0.4; name it, as kinks={0.4: 2}",
    ),
    "a wrong jump": (
        dict(g=leaky, derivative=leaky_slope, second_derivative=zero, kinks={0: 1}),
        "activation 'mine': derivative jumps by 0.9 at 0, not 1; mend kinks",
    ),
    "a kink where none is": (
        dict(g=leaky, derivative=leaky_slope, second_derivative=zero, kinks={0: 0.9, 0.5: 1}),
        "activation 'mine': derivative jumps by 0 at 0.5, not 1; mend kinks",
    ),
    "a kink and no second derivative": (
        dict(g=leaky, derivative=leaky_slope, kinks={0: 0.9}),
        "activation 'mine' has kinks; give second_derivative, that of g between them",
    ),
    "kinks that are no mapping": (
        dict(g=leaky, derivative=leaky_slope, second_derivative=zero, kinks=[0]),
        "activation 'mine': kinks = [0] is not allowed; give the jump of the derivative at each place where it jumps, such as "
        "{0.0: 0.9}",
    ),
    "a jump of the unit itself": (
        dict(g=step, derivative=zero),
        "activation 'mine': g jumps by 1 at 0; an activation must be continuous",
    ),
    "not odd": (
        dict(g=lambda x: x * x, derivative=lambda x: 2 * x, odd=True),
        "activation 'mine' is not odd: g(-6) + g(6) = 72; leave odd out",
    ),
    "odd is no truth": (
        dict(g=softplus, derivative=sigmoid, odd=1),
        "activation 'mine': odd = 1 is not allowed; it must be True or False",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_one_sentence(mistake: str) -> None:
    arguments, sentence = MISTAKES[mistake]
    with pytest.raises(InputError) as caught:
        register_activation("mine", **arguments)
    assert str(caught.value) == sentence
    assert "mine" not in ACTIVATIONS


def test_names() -> None:
    tanh = math.tanh, lambda x: 1.0 - math.tanh(x) ** 2
    with pytest.raises(InputError, match=r"^activation 'erf' exists already; register yours under another name$"):
        register_activation("erf", *tanh)
    with pytest.raises(InputError, match=r"^activation 3 cannot be registered; give a name, such as 'my-activation'$"):
        register_activation(3, *tanh)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"^activation 'gelo' is unknown \(did you mean 'gelu'\?\); allowed: erf, relu, gelu, linear"
    ):
        activation("gelo")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_in_a_units_function_leaves_nan() -> None:
    """Beyond the grid that is checked, a function compiled with Python's own errors may raise: nothing like a value is left."""

    @numba.njit
    def fragile(x):
        if x > 7.0:
            raise ValueError("too large")
        return x

    unit = register_activation("own-fragile", fragile, lambda x: 1.0)
    ACTIVATIONS._things.pop("own-fragile")
    assert np.isnan(unit(np.array([8.0, 1.0]))).all()
