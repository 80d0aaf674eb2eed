"""Teacher-student: closed forms against quadrature, the right-hand side against samples, limits, and what is refused."""

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

import curriculode as cu
from curriculode.theory.averages import Engine, FieldAverages, FieldLaw, QuasiMonteCarlo, choose
from curriculode.theory.core.linear_algebra import semidefinite_factor
from curriculode.theory.describe.experiment import load
from curriculode.theory.dynamics.online import OnlineLearning
from curriculode.theory.dynamics.packing import pack
from curriculode.theory.dynamics.setting import Setting
from tests import twins


def experiment(K: int = 3, M: int = 2, **changes) -> cu.Experiment:  # type: ignore[no-untyped-def]
    base = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=M, relevant_fraction=0.5),
        student=cu.Committee(width=K, activation="erf"),
        training=cu.OnlineSGD(learning_rate=0.7),
        protocol=cu.Protocol(
            order="curriculum",
            duration=8.0,
            levels=[cu.Level("easy", share=0.4, irrelevant_variance=0.1), cu.Level("hard", irrelevant_variance=1.0)],
        ),
    )
    return base.replace({name.replace("__", "."): value for name, value in changes.items()})


def engines(case: cu.Experiment, points: int = 2**12) -> tuple[FieldLaw, Engine]:
    law = FieldLaw(case.task.example_law(case.protocol.level()), case.student.width, case.task.reference_overlap())
    return law, choose("closed form", case.student.g, case.training.loss, law, case.student.width, points, 0)


def hermite_average(C: np.ndarray, function, nodes: int):  # type: ignore[no-untyped-def]
    """E[function(x)] for x ~ N(0, C) of three smooth fields, by a product of Gauss-Hermite rules."""
    t, w = hermegauss(nodes)
    w = w / w.sum()
    grid = np.stack(np.meshgrid(t, t, t, indexing="ij")).reshape(3, -1)
    weight = (w[:, None, None] * w[None, :, None] * w[None, None, :]).ravel()
    return np.tensordot(function(semidefinite_factor(C) @ grid), weight, axes=([-1], [0]))


COVARIANCES = {
    "ordinary": np.array([[1.0, 0.3, -0.2], [0.3, 0.8, 0.1], [-0.2, 0.1, 1.2]]),
    "student one is the teacher": np.array([[1.0, 1.0, 0.4], [1.0, 1.0, 0.4], [0.4, 0.4, 0.9]]),
    "aligned students": np.array([[1.0, 0.5, 0.5], [0.5, 0.6, 0.6], [0.5, 0.6, 0.6]]),
    "small": np.array([[1.0, 0.01, 0.0], [0.01, 0.02, 0.003], [0.0, 0.003, 0.01]]),
}


@pytest.mark.parametrize("name", COVARIANCES)
def test_closed_forms_against_quadrature(name: str) -> None:
    """One teacher and two student units: every average, with I2, I3, I4 and J2 in it, by a 48^3 Gauss-Hermite rule."""
    C, v, A, noise = COVARIANCES[name], np.array([0.7, -0.4]), 1.3, 0.3
    case = experiment(K=2, M=1, task__teacher_readout=A, task__label_noise=noise)
    law, engine = engines(case)
    law.covariance[:] = C
    out = FieldAverages.empty(1, 2, 1)
    engine.averages(law, v, out)
    g, dg, _ = twins.ACTIVATIONS["erf"]

    def pieces(x: np.ndarray) -> np.ndarray:
        e = v @ g(x[1:]) - A * g(x[0])
        h = v[:, None] * dg(x[1:])
        F = e * h
        first = F[:, None, :] * x[None, :, :]
        square = (e**2 + noise**2) * h[:, None] * h[None, :]
        return np.concatenate([first.reshape(6, -1), square.reshape(4, -1), e * g(x[1:]), 0.5 * e[None] ** 2])

    exact = hermite_average(C, pieces, 48)
    stein = np.concatenate([out.reference, out.student], axis=1) @ C
    assert stein.ravel() == pytest.approx(exact[:6], abs=2e-9)
    assert out.square.ravel() == pytest.approx(exact[6:10], abs=2e-9)
    assert out.readout == pytest.approx(exact[10:12], abs=2e-9)
    assert engine.errors(law, v)[0] == pytest.approx(exact[12], abs=2e-9)
    assert not out.force.any()


@pytest.mark.slow
@pytest.mark.parametrize(("K", "M"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("teacher", ["erf", "sign"])
def test_closed_forms_against_nets(teacher: str, K: int, M: int) -> None:
    """Sixteen scramblings of 2^11 points, within five of their standard errors; for a sign teacher the label jumps."""
    case = experiment(K=K, M=M, task__teacher_activation=teacher)
    law, engine = engines(case)
    start = case.initial(dimension=40, seed=2)
    law.update(*start.blocked()[:2])
    exact = FieldAverages.empty(1, K, M)
    engine.averages(law, start.v, exact)
    names = ("student", "reference", "square", "readout")
    samples: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for scrambling in range(16):
        out = FieldAverages.empty(1, K, M)
        QuasiMonteCarlo(case.student.g, "squared", K, M, 2**11, scrambling).averages(law, start.v, out)
        for name in names:
            samples[name].append(getattr(out, name))
    for name in names:
        mean, error = np.mean(samples[name], axis=0), np.std(samples[name], axis=0, ddof=1) / 4
        assert (np.abs(mean - getattr(exact, name)) < 5 * error + 1e-6).all(), name


@pytest.mark.parametrize(
    ("student", "teacher", "label", "loss"),
    [("gelu", "relu", "value", "squared"), ("relu", "tanh", "sign", "logistic"), ("relu", "sign", "value", "squared")],
)
def test_right_hand_side_against_brute_force(student: str, teacher: str, label: str, loss: str, rng: np.random.Generator) -> None:
    """E[F_k lambda^b_l], E[F_k nu_p], E[F_k F_l] and E[e g] from 400,000 samples of the block fields themselves."""
    changes = dict(student__activation=student, task__teacher_activation=teacher, task__label=label, training__loss=loss)
    case = experiment(K=2, M=2, protocol__order="hard-only", **changes)
    start = case.initial(dimension=40, seed=3)
    Q, M, v = start.blocked()
    setting = Setting.of(case)
    rhs = OnlineLearning(setting, setting.engine("auto", 2**14, 0), setting.stages[0].probability, setting.rates, v)
    y = np.empty(rhs.size)
    pack(Q, M, v, y)
    ours = rhs.rate(0.0, y)
    n, eta = 400_000, 0.7
    T = setting.blocks.T
    joint = [rng.standard_normal((n, 4)) @ semidefinite_factor(np.block([[T[b], M[b].T], [M[b], Q[b]]])).T for b in range(2)]
    nu, lam = joint[0][:, :2], joint[0][:, 2:] + joint[1][:, 2:]
    signs = lambda x: np.where(x > 0, 1.0, -1.0)  # noqa: E731
    labels = (signs(nu) if teacher == "sign" else twins.ACTIVATIONS[teacher][0](nu)).sum(1)
    labels = signs(labels) if label == "sign" else labels
    g, dg, _ = twins.ACTIVATIONS[student]
    e = twins.SIGNALS[loss](g(lam) @ v, labels)
    F = e[:, None] * v * dg(lam)
    dQ = []
    for b in range(2):
        first = F[:, :, None] * joint[b][:, None, 2:]
        dQ.append(-eta * (first + first.swapaxes(1, 2)) + eta**2 * 0.5 * F[:, :, None] * F[:, None, :])
    dM = [-eta * F[:, :, None] * joint[b][:, None, :2] for b in range(2)]
    upper = np.triu_indices(2)
    flat = [d[:, upper[0], upper[1]] for d in dQ] + [d.reshape(n, -1) for d in dM] + [-eta * e[:, None] * g(lam)]
    samples = np.concatenate(flat, axis=1)
    error = samples.std(axis=0) / np.sqrt(n)
    assert (np.abs(ours - samples.mean(axis=0)) < 5 * error + 2e-3).all()


def test_student_equal_to_the_teacher_is_a_fixed_point() -> None:
    """The overlaps are then singular, and every averaged force vanishes."""
    for activation, way in (("erf", "closed form"), ("gelu", "auto"), ("relu", "auto")):
        changes = dict(task__relevant_fraction=1.0, task__teacher_activation=activation, student__activation=activation)
        case = experiment(K=2, M=2).to_dict()
        case["levels"] = {"only": {"share": 1.0}}
        case["task"] |= {"relevant_fraction": 1.0}
        same = cu.Experiment.from_dict(case).replace({k.replace("__", "."): v for k, v in changes.items()})
        start = cu.OrderParameters(Q=np.eye(2), M=np.eye(2), v=np.ones(2))
        trajectory = cu.integrate(same, start, averages=way, points=256)
        assert np.abs(trajectory.Q - np.eye(2)).max() < 1e-6
        assert trajectory.generalization_error.max() < 1e-6
        assert trajectory.specialization[-1] == pytest.approx(1.0, abs=1e-6)


def test_saad_solla_plateau_and_specialisation() -> None:
    """Saad & Solla 1995, K = M = 2, isotropic teacher: a symmetric plateau, then each unit follows its own teacher unit."""
    plateau = cu.integrate(load("committee-plateau"), load("committee-plateau").initial(dimension=10**6, seed=1), times=201)
    assert plateau.success
    error, special = plateau.generalization_error, plateau.specialization
    middle = int(np.argmin(np.abs(plateau.t - 20)))
    assert 0.6 < special[middle] < 0.8  # both units between the teachers: cosines near 1/sqrt 2
    assert error[middle] > 100 * error[-1]
    assert special[-1] > 0.99
    assert np.abs(error[middle + 10] / error[middle] - 1) < 0.2  # flat while it lasts


def soft_committee(**changes: object) -> cu.Experiment:
    """K = M = 2, isotropic teacher, fixed equal readouts, without the eta^2 terms: the limit Saad and Solla solve by hand."""
    base = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=2),
        student=cu.Committee(width=2, activation="erf", readout="fixed", readout_start="equal"),
        training=cu.OnlineSGD(learning_rate=1.0),
        protocol=cu.Protocol.single(duration=200.0),
    )
    return base.replace({name.replace("__", "."): value for name, value in changes.items()})


@pytest.mark.parametrize("K", [2, 3])
def test_saad_solla_1995_symmetric_plateau(K: int) -> None:
    """Q = C = 1/(2K - 1), R = 1/sqrt(K (2K - 1)), error (K/pi)(pi/6 - K asin(1/2K)), at small learning rate, K = M, T = 1."""
    case = soft_committee(task__teacher_width=K, student__width=K)
    symmetric = cu.OrderParameters(Q=np.full((K, K), 0.1), M=np.full((K, K), 0.01), v=np.ones(K))
    end = cu.integrate(case, symmetric, times=[200.0], noise_terms=False, rtol=1e-9, atol=1e-12)
    assert end.Q[0] == pytest.approx(np.full((K, K), 1 / (2 * K - 1)), abs=1e-5)
    assert end.M[0] == pytest.approx(np.full((K, K), (K * (2 * K - 1)) ** -0.5), abs=1e-5)
    error = K / np.pi * (np.pi / 6 - K * np.arcsin(1 / (2 * K)))
    assert end.generalization_error[0] == pytest.approx(error, abs=1e-6)
    assert np.isnan(end.escape_time)


def test_the_plateau_is_left_after_a_time_logarithmic_in_the_asymmetry() -> None:
    """escape time = constant + ln(1 / asymmetry) / lambda, lambda the unstable eigenvalue of the equations on the plateau."""
    case = soft_committee()
    Q, M = np.full((2, 2), 1 / 3), np.full((2, 2), 6**-0.5)
    setting = Setting.of(case)
    rhs = OnlineLearning(setting, setting.engine("closed form", 64, 0, False), np.ones(1), setting.rates, np.ones(2))
    plateau = np.empty(rhs.size)
    pack(Q[None], M[None], np.ones(2), plateau)
    growth = np.linalg.eigvals(rhs.jacobian(0.0, plateau)).real.max()
    tilt = np.array([[1.0, -1.0], [-1.0, 1.0]])
    sizes, times = [1e-3, 1e-5, 1e-7], []
    for size in sizes:
        # Raising the own overlaps and lowering the others needs a Q that is still a covariance: a little more of it.
        start = cu.OrderParameters(Q=Q + 1e-2 * np.eye(2), M=M + size * tilt, v=np.ones(2))
        case_long = case.replace({"protocol.duration": 600.0})
        trajectory = cu.integrate(case_long, start, times=3001, noise_terms=False, rtol=1e-9, atol=1e-13)
        times.append(float(trajectory.escape_time))
        assert trajectory.followers[-1].tolist() == [0, 1]
    slope = np.polyfit(np.log(sizes), times, 1)[0]
    assert slope == pytest.approx(-1 / growth, rel=0.02)


def test_perceptron_angle_is_the_classification_error() -> None:
    """arccos(R / sqrt(S T)) / pi with S = Q_r + Delta Q_i, for both levels, against a net."""
    case = load("perceptron-curriculum")
    trajectory = cu.integrate(case, case.initial(dimension=1000, seed=1), times=5)
    assert trajectory.statistics["averages"]["ways"] == {
        "first order": "I2, I3, I4",
        "noise term": "I2, I3, I4",
        "classification error": "arccos",
    }
    assert not trajectory.classification_standard_error.any()
    for level in case.protocol.levels:
        S = trajectory.Q[:, 0, 0, 0] + level.irrelevant_variance * trajectory.Q[:, 1, 0, 0]
        angle = np.arccos(trajectory.M[:, 0, 0, 0] / np.sqrt(S * 1.0)) / np.pi
        assert trajectory.errors(level.name)[1] == pytest.approx(angle, abs=1e-12)
    net = cu.integrate(case, case.initial(dimension=1000, seed=1), times=5, averages="quasi-Monte Carlo", points=2**14)
    assert net.classification_error == pytest.approx(trajectory.classification_error, abs=3e-3)


def test_irrelevant_inputs_of_unit_variance_are_like_any_others() -> None:
    """With Delta = 1 the two blocks only tell where the teacher lives: block sums follow the one-block equations."""
    two = experiment(K=2, M=2, protocol__order="hard-only")
    one = two.to_dict()
    one["task"]["relevant_fraction"] = 1.0
    one["levels"] = {"only": {"share": 1.0}}
    single = cu.Experiment.from_dict(one)
    start = two.initial(dimension=100, seed=1)
    a = cu.integrate(two, start, rtol=1e-9, atol=1e-11)
    b = cu.integrate(single, cu.OrderParameters(start.Q.sum(0), start.M.sum(0), start.v), rtol=1e-9, atol=1e-11)
    assert np.abs(a.Q.sum(axis=1) - b.Q).max() < 1e-7
    assert np.abs(a.M.sum(axis=1) - b.M).max() < 1e-7


def test_readouts_carry_the_scale() -> None:
    assert cu.TeacherStudent(teacher_width=4, teacher_readout="1/M").A.tolist() == [0.25] * 4
    assert cu.TeacherStudent(teacher_width=4, teacher_readout="1/sqrt(M)").A.tolist() == [0.5] * 4
    assert cu.TeacherStudent(teacher_width=2, teacher_readout=[1.0, -2.0]).A.tolist() == [1.0, -2.0]


BAD = [
    (lambda: cu.TeacherStudent(teacher_width=0), "teacher_width = 0 is not allowed; it must be at least 1"),
    (lambda: cu.TeacherStudent(teacher_width=1, teacher_activation="swish"), "'swish' is unknown; allowed: erf, relu"),
    (
        lambda: cu.TeacherStudent(teacher_width=1, relevant_fraction=0.0),
        "relevant_fraction = 0.0 is not allowed; it must be greater than 0",
    ),
    (
        lambda: cu.TeacherStudent(teacher_width=1, relevant_fraction=1.5),
        "relevant_fraction = 1.5 is not allowed; it must be at most 1",
    ),
    (lambda: cu.TeacherStudent(teacher_width=2, teacher_overlap=[[1.0]]), "must be a 2 x 2 matrix"),
    (lambda: cu.TeacherStudent(teacher_width=2, teacher_overlap=[[1.0, 2.0], [2.0, 1.0]]), "no covariance of independent vectors"),
    (lambda: cu.TeacherStudent(teacher_width=2, teacher_readout=[1.0]), "has 1 numbers; it must be one number, or 2"),
    (lambda: cu.TeacherStudent(teacher_width=2, label="sign", label_noise=0.1), "is not allowed with labels"),
    (lambda: experiment(training__loss="logistic"), "the logistic loss needs labels"),
    (
        lambda: experiment(levels__hard__noise=0.3),
        "has 'noise', which a teacher-student does not know; allowed: share, irrelevant_variance",
    ),
    (
        lambda: experiment(levels__hard__irrelevant_variance=-1.0),
        "irrelevant_variance = -1.0 is not allowed; it must be at least 0",
    ),
    (lambda: experiment(task__relevant_fraction=1.0), "but relevant_fraction is 1"),
]


@pytest.mark.parametrize(("mistake", "message"), BAD, ids=range(len(BAD)))
def test_each_mistake_gets_one_sentence(mistake, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(cu.InputError, match=message) as caught:
        mistake()
    assert "\n" not in str(caught.value)


def test_the_sign_of_one_unit_is_the_sign_of_its_field() -> None:
    """Whatever the unit, and whatever its positive readout: one law, with closed forms."""
    ends = []
    for teacher, readout in (("sign", 1.0), ("erf", 0.3), ("linear", 2.0)):
        changes = dict(task__teacher_activation=teacher, task__teacher_readout=readout, task__label="sign")
        case = experiment(K=2, M=1, **changes)
        ends.append(cu.integrate(case, case.initial(dimension=100, seed=2), averages="closed form", times=[8.0]).Q)
    assert np.array_equal(ends[0], ends[1])
    assert np.array_equal(ends[0], ends[2])
    flipped = experiment(K=2, M=1, task__label="sign", task__teacher_readout=-1.0)
    law = flipped.task.example_law(flipped.protocol.level())
    assert law.teacher.readout.tolist() == [-1.0]


def test_forced_averages() -> None:
    case = experiment()
    start = case.initial(100)
    with pytest.raises(cu.InputError, match="averages 'magic' is unknown; allowed: auto, closed form, quasi-Monte Carlo"):
        cu.integrate(case, start, averages="magic")
    gelu = experiment(student__activation="gelu")
    with pytest.raises(cu.InputError, match="'closed form' do not exist for a gelu student"):
        cu.integrate(gelu, start, averages="closed form")
    forced = cu.integrate(case, start, averages="quasi-Monte Carlo", points=256).statistics["averages"]
    assert set(forced["ways"].values()) == {"quasi-Monte Carlo"}
