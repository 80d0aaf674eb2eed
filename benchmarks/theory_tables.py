"""Averages, mean-field equations, committees beside the peers' way, batch learning."""

import time

import numpy as np
from scipy.integrate import odeint
from timing import best, experiment, head, listed, row

import curriculode as cu
from curriculode.theory.averages.gated_pairs import pair
from curriculode.theory.averages.pair_series import fill_rows, pair_of_rows, room, terms_for
from curriculode.theory.batch.optimal import optimise
from curriculode.theory.batch.slices import Slices
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.compiled import kernel
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.setting import Setting


@kernel
def many_pairs(ramp1, o1, ramp2, o2, n):
    total = 0.0
    for i in range(n):
        total += pair(ramp1, o1, ramp2, o2, 0.3 + 1e-9 * i, -0.4, 1.2, 0.9, 0.8)[0]
    return total


@kernel
def many_series(rho, rows, powers, n):
    total, units, terms = 0.0, rows.shape[0], terms_for(rho)
    for unit in range(units):
        fill_rows(True, 1.0, 0.3, 1.2, terms, rows, unit)
    for i in range(n):
        total += pair_of_rows(rows, i % units, (i + 7) % units, rho, terms, powers)[0]
    return total


def last_stage(case: cu.Experiment, start: cu.OrderParameters, way: str = "auto") -> tuple[OnlineLearning, np.ndarray]:
    """The right-hand side of the last stage, with nets of 2^10 points where there are nets, and the start as its state."""
    setting = Setting.of(case)
    stage = setting.stages[-1]
    engine = setting.engine(way, 1024, 0)
    return OnlineLearning(setting, engine, stage.probability, stage.rates, start.v), packed(setting, start)


def evaluation(case: cu.Experiment, way: str) -> float:
    """Microseconds of one right-hand side of a single level."""
    dynamics, y = last_stage(case, case.initial(dimension=1000, seed=1), way)
    repeats = max(1, 3000 // case.student.width**2)
    with one_blas_thread():
        return 1e6 * best(lambda: [dynamics.rate(0.0, y) for _ in range(repeats)]) / repeats


def averages(widths: tuple[int, ...] = (1, 4, 8, 16, 32, 64, 128, 256)) -> None:
    head("One pair of fields with means, all six averages, one core", "units", "us")
    for names, kinds in (
        ("erf and erf", (False, 1.0, False, 1.0)),
        ("ReLU and ReLU", (True, 0.0, True, 0.0)),
        ("GELU and GELU", (True, 1.0, True, 1.0)),
        ("GELU and erf", (True, 1.0, False, 1.0)),
    ):
        row(names, f"{1e6 * best(lambda: many_pairs(*kinds, 10**5)) / 10**5:.2f}")  # noqa: B023
    for rho in (0.1, 0.3, 0.59):
        seconds = best(lambda: many_series(rho, *room(32), 10**5))  # noqa: B023
        row(f"any two of a wide student, as a series, correlation {rho:g}", f"{1e6 * seconds / 10**5:.3f}")
    head(
        "Microseconds of a right-hand side, one level, 2^10 points, one core; in brackets all averages by the net",
        "K",
        *listed(widths),
    )
    cases = {
        "XOR, GELU": experiment(4, protocol__order="hard-only"),
        "XOR, ReLU": experiment(4, protocol__order="hard-only", student__activation="relu"),
        "XOR, quadratic": experiment(4, protocol__order="hard-only", student__activation="quadratic"),
        "committee, erf, M = 2": cu.load("committee-plateau"),
    }
    for name, base in cases.items():
        wider = [base.replace({"student.width": K}) for K in widths]
        row(name, *(f"{evaluation(case, 'auto'):.0f} ({evaluation(case, 'quasi-Monte Carlo'):.0f})" for case in wider))


def theory(widest: int = 256) -> None:
    head(
        "Mean-field equations to t = 50, rtol 1e-6, 2^10 points, random order (two levels mixed), one core, after compilation",
        "K",
        "activation",
        "seconds",
        "evaluations",
        "ms an evaluation",
    )
    for K, activation in ((4, "gelu"), (4, "erf"), (4, "relu"), (16, "gelu"), (64, "gelu"), (128, "gelu"), (256, "gelu")):
        if widest < K:
            continue
        case = experiment(K, student__activation=activation, protocol__order="random")
        start = case.initial(dimension=1000, seed=1)
        found = []
        work = lambda: found.append(cu.integrate(case, start, points=1024, estimate_error=False))  # noqa: B023, E731
        duration = best(work, 1 if K > 64 else 3)
        count = found[-1].statistics["evaluations"]
        row(K, activation, f"{duration:.3f}", count, f"{1e3 * duration / count:.2f}")


def wide() -> None:
    """The one integration of the tables that grows its net until an accuracy is met, on all cores."""
    case = experiment(256, protocol__order="random")
    start = case.initial(dimension=1000, seed=1)
    begin = time.perf_counter()
    trajectory = cu.integrate(case, start, accuracy=1e-3)
    reached = trajectory.statistics["averages"]
    print(
        f"\nK = 256, GELU, XOR, t = 50, accuracy 1e-3 asked for, all cores: {time.perf_counter() - begin:.0f} s, reached "
        f"{reached['accuracy']:.0e} with {reached['points']} points"
    )


def small_committee() -> cu.Experiment:
    """K = M = 4, rate 0.5, to t = 100."""
    return cu.Experiment(
        task=cu.TeacherStudent(teacher_width=4),
        student=cu.Committee(width=4, activation="erf", readout="fixed", readout_start="equal", weight_scale=0.5),
        training=cu.OnlineSGD(learning_rate=0.5),
        protocol=cu.Protocol.single(duration=100.0),
    )


def long_committee() -> cu.Experiment:
    """K = 8, M = 4, scaled 1/K and 1/M, rate 8, noise, to t = 10^4."""
    return cu.Experiment(
        task=cu.TeacherStudent(teacher_width=4, teacher_readout="1/M", label_noise=1e-3**0.5),
        student=cu.Committee(
            width=8, activation="erf", readout="fixed", readout_start="equal", weight_scale=0.5, readout_scale="1/K"
        ),
        training=cu.OnlineSGD(learning_rate=8.0),
        protocol=cu.Protocol.single(duration=1e4),
    )


def committees(repeats: int = 30) -> None:
    """Saad and Solla's committees by closed forms, from one random start of 1000 inputs.

    Beside the package the peers' way: the same right-hand side put into scipy's odeint by hand, with its tolerances and times.
    """
    head(
        "Teacher-student committees, erf, closed forms, fixed equal readouts, 101 times, one core, after compilation; error: the "
        "largest of the generalisation error",
        "case",
        "way",
        "rtol",
        "seconds",
        "evaluations",
        "error",
    )
    for name, case, tolerances in (
        ("K = M = 4, rate 0.5, to t = 100", small_committee(), (1e-6, 1e-4)),
        ("K = 8, M = 4, scaled 1/K and 1/M, rate 8, noise, to t = 10^4", long_committee(), (1e-6,)),
    ):
        start = case.initial(dimension=1000, seed=0)
        exact = cu.integrate(case, start, rtol=1e-12, atol=1e-14)
        for rtol in tolerances:
            found = []
            duration = best(lambda: found.append(cu.integrate(case, start, rtol=rtol)), repeats)  # noqa: B023
            error = np.abs(found[-1].generalization_error - exact.generalization_error).max()
            statistics = found[-1].statistics
            way = f"integrate ({statistics['method']})"
            row(name, way, f"{rtol:.0e}", f"{duration:.4f}", statistics["evaluations"], f"{error:.0e}")
            row(name, "odeint by hand", f"{rtol:.0e}", *by_hand(case, start, exact, rtol, repeats))


def by_hand(
    case: cu.Experiment, start: cu.OrderParameters, exact: cu.Trajectory, rtol: float, repeats: int
) -> tuple[str, str, str]:
    """Seconds, evaluations and error of odeint on the right-hand side of the package, and of nothing around it."""
    dynamics, y = last_stage(case, start)
    found = []

    def work() -> None:
        dynamics.evaluations = 0
        found.append(odeint(dynamics.rate, y, exact.t, tfirst=True, rtol=rtol, atol=0.01 * rtol, mxstep=10_000))

    with one_blas_thread():
        duration = best(work, repeats)
    arrays = dynamics.observe(found[-1])
    states = exact.replace(arrays={"Q": arrays["Q"][:, 0], "M": arrays["M"][:, 0], "v": arrays["v"]})
    error = np.abs(states.generalization_error - exact.generalization_error).max()
    return f"{duration:.4f}", str(dynamics.evaluations), f"{error:.0e}"


def batch() -> None:
    """Two slices of D examples each: the state evolution, the search for optimal strengths, and one minimisation."""
    head(
        "Batch learning, `batch-perceptron` (two slices), one core, after compilation; minimisation of one run at D = 2000",
        "loss",
        "ms a point",
        "passes",
        "ms to optimise 1 strength",
        "3 strengths",
        "s to minimise",
    )
    for loss in ("squared", "logistic", "hinge"):
        case = cu.load("batch-perceptron").replace({"training.loss": loss})
        found = []
        point = best(lambda: found.append(cu.state_evolution(case)), 20)  # noqa: B023
        searches = []
        for regularization in (0.1, "optimal"):
            slices = Slices.of(case.replace({"training.coupling": "optimal", "training.regularization": regularization}))
            searches.append(best(lambda: optimise(slices, slices.variance[-1]), 2))  # noqa: B023
        run = best(lambda: cu.minimize(case, dimension=2000, runs=1, workers=1, progress=False), 2)  # noqa: B023
        passes = sum(found[-1].statistics["passes"])
        row(loss, f"{1e3 * point:.2f}", passes, *(f"{1e3 * seconds:.0f}" for seconds in searches), f"{run:.2f}")


def tangent() -> None:
    """Ridge regression in the tangent space at one number of examples, its best strength, its optimum, and one run of it."""
    head(
        "Tangent space, `tangent-committee`, GELU, alpha = 10, gamma = 0.1, one core, after compilation; one run at D = 200",
        "K",
        "s a point",
        "Newton steps",
        "s with the best gamma",
        "s of the optimum",
        "s of a run",
    )
    for width in (4, 8, 64):
        changes = {"student.width": width, "student.activation": "gelu", "training.examples": 10.0}
        _time_tangent(cu.load("tangent-committee").replace(changes))


def _time_tangent(case: cu.Experiment) -> None:
    """A row of `tangent`; what takes minutes of wide students is left out."""
    start, small, found = case.initial(dimension=1000), case.student.width < 64, []
    point = best(lambda: found.append(cu.state_evolution(case, start)), 2)
    works = {
        "strength": lambda: cu.state_evolution(case.replace({"training.regularization": "optimal"}), start),
        "optimum": lambda: cu.tangent_optimum(case, start),
        "run": lambda: cu.minimize(case, dimension=200, runs=1, workers=1, progress=False),
    }
    cells = [f"{best(work, 1):.2f}" if small or name == "optimum" else "-" for name, work in works.items()]
    row(case.student.width, f"{point:.2f}", found[-1].statistics["steps"][0], *cells)
