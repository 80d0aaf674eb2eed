"""The integrator on dynamics that it knows nothing of: any named state with a rate."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.theory.dynamics.interface import Dynamics, Stretch
from curriculode.theory.dynamics.online import OnlineLearning
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.solve.stages import Solver


class Decay(Dynamics):
    """Two independent exponentials; negative values are not physical where that is said."""

    names = ("fast", "slow")

    def __init__(self, rates: tuple[float, float], physical: bool = True) -> None:
        self.rates, self.everything_goes = np.array(rates), physical

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        self.evaluations += 1
        return -self.rates * y

    def unphysical(self, states: np.ndarray, tolerance: float) -> tuple[int, str] | None:
        bad = np.flatnonzero((states < 0.1).any(axis=1))
        return None if self.everything_goes or not bad.size else (int(bad[0]), "a component is below a tenth")


def solver(method: str, limit: float = 1e8, **options) -> Solver:  # type: ignore[no-untyped-def]
    return Solver(method, 1e-8, 1e-10, limit, **options)


@pytest.mark.parametrize("method", ["LSODA", "DOP853", "Radau"])
def test_stages_follow_each_other(method: str) -> None:
    """Rates (1, 2) to t = 1, then (3, 0): the end is exp(-1 - 3), exp(-2); output times on and beside the boundary."""
    stages = [Stretch(0.0, 1.0, Decay((1.0, 2.0))), Stretch(1.0, 2.0, Decay((3.0, 0.0)))]
    times = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    solution = solver(method).solve(stages, np.ones(2), times)
    exact = np.exp(-np.array([[0, 0], [0.5, 1], [1, 2], [2.5, 2], [4, 2]]))
    assert solution.failure is None
    assert np.array(solution.states) == pytest.approx(exact, abs=1e-6)
    assert solution.evaluations == sum(stage.dynamics.evaluations for stage in stages)


@pytest.mark.parametrize("method", ["LSODA", "DOP853"])
def test_what_is_not_physical_ends_the_run(method: str) -> None:
    stages = [Stretch(0.0, 4.0, Decay((1.0, 0.0), physical=False))]
    solution = solver(method).solve(stages, np.ones(2), np.linspace(0, 4, 5))
    assert len(solution.states) == 3  # exp(-2) is the last above a tenth
    assert solution.failure is not None
    assert solution.failure.startswith("left the physical states before t = 3: a component is below a tenth; use a smaller rtol")


@pytest.mark.parametrize("method", ["LSODA", "RK45"])
def test_divergence_names_the_component(method: str) -> None:
    solution = solver(method, limit=100.0).solve([Stretch(0.0, 9.0, Decay((0.5, -1.0)))], np.ones(2), np.linspace(0, 9, 10))
    assert solution.failure is not None
    assert solution.failure.startswith("diverged at t = ")
    assert "slow = " in solution.failure
    assert 3 <= len(solution.states) <= 6


def test_the_watcher_sees_time_go_on_and_may_end_it() -> None:
    seen: list[float] = []

    def watch(t: float) -> None:
        seen.append(t)
        if t > 1.0:
            raise KeyboardInterrupt

    for method in ("LSODA", "DOP853"):
        seen.clear()
        with pytest.raises(KeyboardInterrupt):
            solver(method, progress=watch).solve([Stretch(0.0, 9.0, Decay((1.0, 2.0)))], np.ones(2), np.array([9.0]))
        assert seen == sorted(seen)


class Turning(Dynamics):
    """A turn of angular velocity w, which no method can take steps much longer than 1/w through."""

    names = ("x", "y")

    def __init__(self, w: float) -> None:
        self.w = w

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        self.evaluations += 1
        return np.array([self.w * y[1], -self.w * y[0]])


class Nowhere(Decay):
    """A rate that is not finite from the start."""

    def rate(self, t: float, y: np.ndarray) -> np.ndarray:
        return super().rate(t, y) * np.nan


class Watch:
    """A clock on which every look takes `pace` seconds."""

    def __init__(self, pace: float) -> None:
        self.now, self.pace = 0.0, pace

    def __call__(self) -> float:
        self.now += self.pace
        return self.now


@pytest.mark.parametrize("method", ["LSODA", "DOP853", "RK45", "Radau"])
def test_too_many_steps_are_foreseen(method: str) -> None:
    """Ten seconds on, a turn that would take millions of steps is given up after hundreds, also within compiled loops."""
    dynamics = Turning(1e6)
    times = np.linspace(0, 100, 3)
    watched = Solver(method, 1e-3, 1e-5, 1e8, clock=Watch(5.0))
    solution = watched.solve([Stretch(0.0, 100.0, dynamics)], np.array([1.0, 0.0]), times)
    assert solution.failure is not None
    assert solution.failure.startswith("stopped at t = ")
    assert "the end would take more than 1000000" in solution.failure
    assert "use method = " in solution.failure
    assert len(solution.failure) <= 300
    assert 300 <= solution.steps < 5000
    assert len(solution.states) == 1


def test_too_many_steps_are_foreseen_between_many_output_times() -> None:
    """ODEPACK's own loop never comes back by itself here: each output time is few steps from the last."""
    stretch = [Stretch(0.0, 1.0, Turning(1e5))]
    watched = solver("LSODA", clock=Watch(5.0), most_steps=20_000)
    solution = watched.solve(stretch, np.array([1.0, 0.0]), np.linspace(0, 1, 20_000))
    assert solution.failure is not None
    assert "the end would take more than 20000" in solution.failure
    assert solution.evaluations < 20_000


@pytest.mark.parametrize("method", ["LSODA", "DOP853", "RK45"])
def test_seconds_alone_end_nothing(method: str) -> None:
    """On a clock a million times slower the same thousands of steps are made, to the same bits."""
    stages = [Stretch(0.0, 0.5, Turning(200.0)), Stretch(0.5, 1.0, Turning(400.0))]
    times = np.linspace(0, 1, 7)
    quick, slow = (solver(method, clock=Watch(pace)).solve(stages, np.array([1.0, 0.0]), times) for pace in (0.0, 1e6))
    assert slow.failure is None
    assert slow.steps == quick.steps > 300
    assert np.array_equal(slow.states, quick.states)


@pytest.mark.parametrize("method", ["LSODA", "DOP853", "RK45", "RK23", "Radau", "BDF"])
def test_a_rate_that_is_not_finite_ends_the_run(method: str) -> None:
    solution = solver(method).solve([Stretch(0.0, 1.0, Nowhere((1.0, 1.0)))], np.ones(2), np.linspace(0, 1, 3))
    assert solution.failure is not None
    assert solution.failure.startswith("diverged at t = ")
    assert "fast" in solution.failure
    assert "nan" in solution.failure
    assert len(solution.states) == 1


def test_jacobian_by_differences() -> None:
    assert Decay((1.0, 2.0)).jacobian(0.0, np.array([3.0, -4.0])) == pytest.approx(np.diag([-1.0, -2.0]), abs=1e-8)
    with pytest.raises(NotImplementedError):
        Decay((1.0, 2.0)).step_covariance(0.0, np.ones(2))


def test_overlaps_that_no_weights_have_end_an_integration(xor: cu.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A negative noise term takes Q below what M demands; at a tolerance of 1e-4, which must not excuse it."""
    whole = OnlineLearning.rate

    def wrong(self: OnlineLearning, t: float, y: np.ndarray) -> np.ndarray:
        dy = whole(self, t, y)
        dy[0] -= 0.4  # Q[0,0] falls to nothing by t = 2.5, and below
        return dy

    start = xor.initial(dimension=200)
    assert cu.integrate(xor, start, points=64, rtol=1e-4, estimate_error=False).success
    monkeypatch.setattr(OnlineLearning, "rate", wrong)
    trajectory = cu.integrate(xor, start, points=64, rtol=1e-4, estimate_error=False, times=81)
    assert not trajectory.success
    assert "left the physical states before t = " in trajectory.status
    assert "the overlaps of block 0 have the negative eigenvalue -" in trajectory.status
    Q, M = trajectory.Q, trajectory.M
    gram = np.block([[np.tile(np.eye(2), (len(Q), 1, 1)), M.swapaxes(1, 2)], [M, Q]])
    assert np.linalg.eigvalsh(gram).min() > -1e-2


def test_names_of_the_state(xor: cu.Experiment) -> None:
    setting = Setting.of(xor.replace({"student.width": 2, "task.faded_fraction": 0.5}))
    start = xor.replace({"student.width": 2, "task.faded_fraction": 0.5}).initial(dimension=50)
    engine = setting.engine("auto", 64, 0)
    stage = setting.stages[0]
    dynamics = OnlineLearning(setting, engine, stage.probability, stage.rates, start.v, [1, 0])
    expected = ["Q[0,1,1]", "Q[0,0,1]", "Q[0,0,0]", "Q[1,1,1]", "Q[1,0,1]", "Q[1,0,0]"]
    expected += [f"M[{b},{k},{p}]" for b in (0, 1) for k in (1, 0) for p in (0, 1)] + ["v[1]", "v[0]"]
    assert list(dynamics.names) == expected


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_error_that_is_told_covers_the_integrator(xor: cu.Experiment, activation: str) -> None:
    """Against the same net at a tolerance that leaves nothing: what the integrator adds is within what is told of it."""
    case = xor.replace({"student.activation": activation})
    for seed in range(2):
        start = case.initial(dimension=400, seed=seed)
        rough = cu.integrate(case, start, points=256, times=9)
        fine = cu.integrate(case, start, points=256, times=9, rtol=1e-7, method="DOP853", estimate_error=False)
        report = rough.statistics["averages"]
        difference = np.abs(rough.generalization_error - fine.generalization_error)
        assert (difference <= 3 * report["integrator_error"] + 1e-9).all(), (difference, report["integrator_error"])
        assert (report["standard_error"] >= report["integrator_error"]).all()
