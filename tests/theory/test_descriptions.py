"""What users describe: protocols, experiments, files, starts; and one clear sentence for each mistake."""

from pathlib import Path

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.core.linear_algebra import factor_semidefinite
from curriculode.theory.describe.experiment import builtin_experiments, experiment_text
from curriculode.theory.dynamics.packing import pack, state_size, unpack

LEVELS = [cu.Level("easy", share=0.2, noise=0.1), cu.Level("mid", share=0.3, noise=0.3), cu.Level("hard", noise=0.6)]


@pytest.mark.parametrize(
    ("order", "edges", "levels"),
    [
        ("curriculum", [0, 2, 5, 10], [0, 1, 2]),
        ("anti-curriculum", [0, 5, 8, 10], [2, 1, 0]),
        ("hard-only", [0, 10], [2]),
        ("easy-only", [0, 10], [0]),
    ],
)
def test_stages_of_pure_orders(order: str, edges: list[float], levels: list[int]) -> None:
    stages = cu.Protocol(order=order, duration=10.0, levels=LEVELS).stages()
    assert [s.start for s in stages] + [stages[-1].end] == pytest.approx(edges)
    assert [int(s.probability.argmax()) for s in stages] == levels
    assert all(s.probability.sum() == 1 for s in stages)


def test_random_order_mixes_by_shares() -> None:
    (stage,) = cu.Protocol(order="random", duration=10.0, levels=LEVELS).stages()
    assert stage.probability == pytest.approx([0.2, 0.3, 0.5])
    assert (stage.start, stage.end) == (0.0, 10.0)


def test_a_level_without_share_has_no_stage() -> None:
    protocol = cu.Protocol(order="curriculum", duration=4.0, levels=[cu.Level("a", share=0.0, noise=0.1), cu.Level("b", noise=0.2)])
    assert [(s.start, s.end) for s in protocol.stages()] == [(0.0, 4.0)]


def make(**changes):  # type: ignore[no-untyped-def]
    parts = dict(
        task=lambda: cu.XorMixture(),
        student=lambda: cu.Committee(width=4),
        training=lambda: cu.OnlineSGD(learning_rate=1.0),
        protocol=lambda: cu.Protocol(order="random", duration=5.0, levels=LEVELS),
    )
    return cu.Experiment(**{name: changes.get(name, part)() for name, part in parts.items()})


BAD = [
    (lambda: cu.Committee(width=0), "width = 0 is not allowed; it must be at least 1"),
    (lambda: cu.Committee(width="4"), "width = '4' is not allowed; it must be a whole number"),
    (lambda: cu.Committee(width=2.5), "width = 2.5 is not allowed; it must be a whole number"),
    (lambda: cu.Committee(width=True), "width = True is not allowed; it must be a whole number"),
    (lambda: cu.Committee(), "Committee needs 'width'"),
    (
        lambda: cu.Committee(width=4, activation="swish"),
        "'swish' is unknown; allowed: erf, relu, gelu, linear, quadratic, tanh",
    ),
    (
        lambda: cu.Committee(width=4, activaton="erf"),
        "'activaton' is unknown .did you mean 'activation'.*allowed: width",
    ),
    (lambda: cu.Committee(width=4, weight_scale=-1.0), "weight_scale = -1.0 is not allowed; it must be greater than 0"),
    (
        lambda: cu.Committee(width=4, weight_scale=float("nan")),
        "weight_scale = nan is not allowed; it must be a finite number",
    ),
    (lambda: cu.OnlineSGD(learning_rate=-1.0), "learning_rate = -1.0 is not allowed; it must be at least 0"),
    (lambda: cu.OnlineSGD(learning_rate=1.0, loss="hinge"), "loss 'hinge' is unknown; allowed: squared, logistic"),
    (lambda: cu.XorMixture(separation=0.0), "separation = 0.0 is not allowed; it must be greater than 0"),
    (lambda: cu.XorMixture(faded_fraction=1.5), "faded_fraction = 1.5 is not allowed; it must be at most 1"),
    (lambda: cu.Level("easy", noise=-0.1), "noise = -0.1 is not allowed; it must be at least 0"),
    (lambda: cu.Level("easy", noise=0.1, fading=0.5), "fading = 0.5 is not allowed; it must be at least 1"),
    (lambda: cu.Level("easy", share=1.2), "share = 1.2 is not allowed; it must be at most 1"),
    (
        lambda: cu.Protocol(order="sorted", duration=1.0, levels=LEVELS),
        "order 'sorted' is unknown; allowed: curriculum, anti-curriculum",
    ),
    (lambda: cu.Protocol(duration=0.0, levels=LEVELS), "duration = 0.0 is not allowed; it must be greater than 0"),
    (lambda: cu.Protocol(duration=1.0, levels=[]), "levels"),
    (
        lambda: cu.Protocol(duration=1.0, levels=[cu.Level("a", share=0.5, noise=1.0), cu.Level("b", share=0.6, noise=1.0)]),
        r"the shares of the levels \(a 0.5, b 0.6\) sum to 1.1; they must sum to 1",
    ),
    (
        lambda: cu.Protocol(duration=1.0, levels=[cu.Level("a", noise=1.0), cu.Level("b", noise=1.0)]),
        "a, b have no share; at most one",
    ),
    (lambda: cu.Protocol(duration=1.0, levels=[LEVELS[0], LEVELS[0]]), "level names must differ"),
    (lambda: make(protocol=lambda: cu.Protocol.single(duration=1.0)), "level 'only' of an XOR mixture needs 'noise'"),
    (
        lambda: make(protocol=lambda: cu.Protocol.single(duration=1.0, noise=0.3, fading=2.0)),
        "has fading 2.0, but faded_fraction is 0",
    ),
    (lambda: make().replace({"student.widht": 3}), "'widht' is unknown .did you mean 'width'"),
    (lambda: make().replace({"student": 3}), "is not a dotted name"),
    (lambda: make().replace({"levels.nope.noise": 3}), "section 'nope' is unknown; allowed: easy, mid, hard"),
    (lambda: make().get("student.nope"), "name 'nope' is unknown"),
    (lambda: make().initial(dimension=5), "D = 5 is too small.*need K \\+ P = 6 inputs"),
    (lambda: make().initial(dimension=100, seed=-1), "seed = -1 is not allowed"),
    (lambda: make().protocol.level("nope"), "level 'nope' is unknown; allowed: easy, mid, hard"),
    (lambda: cu.load("nope"), "experiment 'nope' is unknown; allowed: .*xor-curriculum"),
    (lambda: cu.Experiment.from_toml("[task]\nkind = xor"), "is not valid TOML.*line 2"),
    (
        lambda: cu.Experiment.from_toml("x = 1"),
        "section 'x' is unknown; allowed: task, student, training, protocol, levels",
    ),
    (lambda: cu.Experiment.from_toml("[task]\n[student]\nwidth = 3"), r"lacks the section \[training\]"),
    (lambda: cu.OrderParameters(Q=np.eye(2), M=np.ones((3, 2)), v=np.ones(2)), "do not fit together; allowed: Q"),
    (lambda: cu.OrderParameters(Q=[[1.0, 0.5], [0.0, 1.0]], M=np.ones((2, 2)), v=np.ones(2)), "Q must be symmetric"),
    (lambda: cu.OrderParameters(Q=[[np.nan]], M=[[1.0]], v=[1.0]), "not finite"),
    (lambda: cu.OrderParameters(Q="abc", M=[[1.0]], v=[1.0]), "must be an array of numbers"),
]


@pytest.mark.parametrize(("mistake", "message"), BAD, ids=range(len(BAD)))
def test_each_mistake_gets_one_sentence(mistake, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(cu.InputError, match=message) as caught:
        mistake()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


BAD_INTEGRATION = [
    (dict(rtol=0.0), "rtol = 0.0 is not allowed"),
    (dict(method="Euler"), "method 'Euler' is unknown; allowed: auto, DOP853"),
    (dict(times=1), "times = 1 is not allowed"),
    (dict(times=[0.0, 9.0]), r"must lie in \[0, 5\]"),
    (dict(times=[2.0, 1.0]), "increasing"),
    (dict(times="abc"), "give a number of times or a list"),
    (dict(spacing="cubic"), "spacing 'cubic' is unknown"),
    (dict(points=100), "power of two"),
]


@pytest.mark.parametrize(("options", "message"), BAD_INTEGRATION, ids=[next(iter(o)) for o, _ in BAD_INTEGRATION])
def test_integrate_refuses(options, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(cu.InputError, match=message):
        cu.integrate(make(), make().initial(dimension=100), **options)


def test_integrate_refuses_starts_that_do_not_fit() -> None:
    with pytest.raises(cu.InputError, match=r"the start has 1 hidden units, but the experiment's student.width is 4"):
        cu.integrate(make(), cu.OrderParameters(Q=[[1.0]], M=[[0.1, 0.0]], v=[0.5]))
    with pytest.raises(cu.InputError, match=r"the start is not physical: .* negative eigenvalue"):
        cu.integrate(make(), cu.OrderParameters(Q=np.eye(4), M=np.full((4, 2), 2.0), v=np.ones(4)))
    with pytest.raises(cu.InputError, match="2 blocks and 2 references, but the task has 1 and 2"):
        cu.integrate(make(), cu.OrderParameters(Q=np.stack([np.eye(4)] * 2), M=np.zeros((2, 4, 2)), v=np.ones(4)))


def test_numpy_numbers_are_numbers() -> None:
    assert cu.Committee(width=np.int64(3), weight_scale=np.float64(0.5)).width == 3
    assert make().replace({"student.width": np.int64(8)}).student.width == 8


@pytest.mark.parametrize("name", builtin_experiments())
def test_built_in_experiments_survive_the_round_trip(name: str, tmp_path: Path) -> None:
    experiment = cu.load(name)
    assert cu.Experiment.from_toml(experiment.to_toml()) == experiment
    path = tmp_path / "mine.toml"
    path.write_text(experiment_text(name))
    assert cu.load(path) == experiment
    assert experiment_text(name).startswith("# ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    truncated = tmp_path / "truncated.toml"
    truncated.write_text(experiment_text("xor-curriculum")[:250])
    for path, message in (
        (binary, "not a text in UTF-8"),
        (truncated, "TOML|lacks"),
        (tmp_path / "none.toml", "cannot be read: No such file"),
    ):
        with pytest.raises(cu.InputError, match=message):
            cu.load(path)


def test_descriptions_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        make().student.width = 5


def test_readout_scale_carries_the_width() -> None:
    assert cu.Committee(width=16, readout_scale="1/sqrt(K)").v_scale == 0.25
    assert cu.Committee(width=16, readout_scale="1/K").v_scale == 1 / 16
    start = make(student=lambda: cu.Committee(width=4, readout_start="equal", readout_scale="1/K")).initial(dimension=50)
    assert start.v.tolist() == [0.25] * 4


def test_start_has_the_law_of_gaussian_weights(rng: np.random.Generator) -> None:
    """First and second moments of Q and M over 4000 starts against weights drawn in full, D = 12, two blocks."""
    experiment = make(
        task=lambda: cu.XorMixture(separation=1.5, faded_fraction=0.5),
        student=lambda: cu.Committee(width=2, weight_scale=0.7),
    )
    D, n = 12, 4000
    ours = np.array([np.concatenate([s.Q.ravel(), s.M.ravel()]) for s in (experiment.initial(D, i) for i in range(n))])
    W = 0.7 * rng.standard_normal((n, 2, 2, 6))  # run, block, unit, input
    u = np.sqrt(1.5 * D) * np.eye(6)[:2] / np.sqrt(2)  # in each block |u|^2 / D = phi * separation
    Q, M = np.einsum("nbki,nbli->nbkl", W, W) / D, np.einsum("nbki,pi->nbkp", W, u) / D
    full = np.concatenate([Q.reshape(n, -1), M.reshape(n, -1)], axis=1)
    for a, b in ((ours, full), (ours**2, full**2), (ours * ours[:, :1], full * full[:, :1])):
        error = np.sqrt(a.var(0) / n + b.var(0) / n)
        assert (np.abs(a.mean(0) - b.mean(0)) < 4.5 * error + 1e-15).all()


def test_packing_is_invertible(rng: np.random.Generator) -> None:
    Q = rng.standard_normal((2, 3, 3))
    Q = Q + Q.swapaxes(1, 2)
    M, v = rng.standard_normal((2, 3, 2)), rng.standard_normal(3)
    y = np.empty(state_size(2, 3, 2, True))
    pack(Q, M, v, y)
    q, m, w = np.empty_like(Q), np.empty_like(M), np.empty_like(v)
    unpack(y, q, m, w)
    assert np.array_equal(q, Q)
    assert np.array_equal(m, M)
    assert np.array_equal(w, v)


def test_factor_of_singular_covariances(rng: np.random.Generator) -> None:
    a = rng.standard_normal((5, 2))
    C, L = a @ a.T, np.empty((5, 5))
    C[1] = C[0]
    C[:, 1] = C[:, 0]
    C[1, 1] = C[0, 0]
    factor_semidefinite(C, L)
    assert np.isfinite(L).all()
    assert L[1, 1] == 0
    two = np.array([[1.0, 1.0], [1.0, 1.0]])
    out = np.empty((2, 2))
    factor_semidefinite(two, out)
    assert out.tolist() == [[1.0, 0.0], [1.0, 0.0]]
