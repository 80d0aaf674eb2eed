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
