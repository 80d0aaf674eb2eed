"""Theory meets simulation: it agrees, it shrinks with D as it should, and a wrong theory is found out."""

import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import curriculode as cu
from curriculode.sims.compare import jobs, places
from curriculode.sims.compare.compare import compare
from curriculode.sims.runs.simulate import simulate
from curriculode.sims.spaces import stretch
from curriculode.theory.core.compiled import kernel, was_compiled
from curriculode.theory.dynamics import online
from curriculode.theory.solve.integrate import integrate

CASES = [
    {},
    {"student.activation": "erf", "training.loss": "logistic", "protocol.order": "anti-curriculum"},
    {"student.activation": "relu", "protocol.order": "random"},
    {
        "student.activation": "relu",
        "training.loss": "logistic",
        "training.weight_decay": 0.1,
        "protocol.order": "hard-only",
    },
    {"student.activation": "tanh", "student.readout": "fixed"},
    {"student.activation": "quadratic", "training.learning_rate": 0.3, "protocol.order": "random"},
    {"student.activation": "linear", "protocol.order": "easy-only"},
    {"student.width": 1, "student.activation": "erf"},
    {
        "task.faded_fraction": 0.3,
        "levels.easy.fading": 2.5,
        "training.readout_learning_rate": 0.5,
        "protocol.order": "random",
    },
    {"task.faded_fraction": 0.3, "levels.easy.fading": 2.5, "student.activation": "gelu", "training.loss": "logistic"},
]


# Overlap space costs the same at any D, and the verdict sharpens with it; weight space is the witness.
SPACES = [("overlap", 4000), pytest.param("weight", 400, marks=pytest.mark.slow)]


@pytest.mark.parametrize(
    ("space", "dimension", "changes"),
    [("overlap", 4000, case) for case in CASES[::4]]
    + [pytest.param("overlap", 4000, case, marks=pytest.mark.slow) for i, case in enumerate(CASES) if i % 4]
    + [pytest.param("weight", 400, case, marks=pytest.mark.slow) for case in CASES[::3]],
)
def test_theory_agrees_with_simulation(
    xor: cu.Experiment, changes: dict, space: str, dimension: int, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """And would not agree with a theory whose rate is wrong by a tenth, where it has to say anything of it."""
    settings = dict(dimension=dimension, runs=48, seed=seed, times=9, points=512, space=space)
    comparison = compare(xor.replace(changes), **settings)
    assert comparison.agrees, comparison.verdict()
    if dimension == 4000 and changes.get("student.width") != 1:  # one odd unit learns nothing of XOR at any rate
        assert comparison.cells[0].found["learning_rate"] < 0.08
        wrong_theory(monkeypatch, "eta", 1.1)
        assert not compare(xor.replace(changes), **settings).agrees
    table = comparison.to_frame()
    tested = table[table["quantity"].str.contains(r"\[") & (table["t"] > 0)]
    # Agreement is no accident of wide limits: the typical deviation of an order parameter is that of the runs' own scatter.
    z = tested["deviation_in_standard_errors"].to_numpy()
    assert np.sqrt(np.mean(z**2)) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("changes", CASES, ids=range(len(CASES)))
def test_deviations_shrink_with_dimension(xor: cu.Experiment, changes: dict, seed: int) -> None:
    """From a matched start the scatter falls as D^(-1/2), by 4 from D = 400 to 6400, and the mean deviation falls with it."""
    experiment = xor.replace({**changes, "protocol.duration": 4.0})
    start = experiment.initial(dimension=400, seed=seed)
    settings = dict(times=[4.0], points=64)
    theory = integrate(experiment, start, times=[4.0], points=2**13, rtol=1e-8, estimate_error=False).entries()
    scatter, shift = [], []
    for D in (400, 6400):
        runs = simulate(experiment, dimension=D, runs=256, seed=seed, start=start, **settings).entries()
        deviations = np.array([runs[name][:, 0] - theory[name][0] for name in theory])
        scatter.append(np.sqrt((deviations.std(axis=1) ** 2).mean()))
        shift.append(np.sqrt((deviations.mean(axis=1) ** 2).mean()))
    assert scatter[0] / scatter[1] == pytest.approx(4.0, rel=0.2)
    # The mean of 256 runs: what its own scatter leaves, and the error of the theory's averages.
    assert shift[1] < 3 * scatter[1] / 16 + 2e-3


TEACHERS = [
    {},
    {"task.teacher_activation": "sign", "task.teacher_width": 1, "student.width": 1, "protocol.order": "anti-curriculum"},
    {"task.label": "sign", "training.loss": "logistic", "student.activation": "relu", "protocol.order": "random"},
    {"task.teacher_activation": "relu", "task.label_noise": 0.3, "student.activation": "gelu", "training.weight_decay": 0.1},
    {"task.teacher_width": 4, "task.teacher_readout": "1/sqrt(M)", "student.width": 2, "student.activation": "tanh"},
]


@pytest.mark.slow
@pytest.mark.parametrize("changes", TEACHERS, ids=range(len(TEACHERS)))
@pytest.mark.parametrize(("space", "dimension"), SPACES)
def test_theory_agrees_with_simulation_of_teachers(changes: dict, space: str, dimension: int, seed: int) -> None:
    experiment = cu.Experiment(
        task=cu.TeacherStudent(teacher_width=2, relevant_fraction=0.4),
        student=cu.Committee(width=3, activation="erf"),
        training=cu.OnlineSGD(learning_rate=0.8),
        protocol=cu.Protocol(
            duration=8.0, levels=[cu.Level("easy", share=0.4, irrelevant_variance=0.1), cu.Level("hard", irrelevant_variance=1.0)]
        ),
    ).replace(changes)
    comparison = compare(experiment, dimension=dimension, runs=48, seed=seed, times=6, points=512, space=space)
    assert comparison.agrees, comparison.verdict()
    table = comparison.to_frame()
    z = table.loc[table["quantity"].str.contains(r"\[") & (table["t"] > 0), "deviation_in_standard_errors"].to_numpy()
    assert np.sqrt(np.mean(z**2)) < 1.5


@pytest.mark.slow
def test_scatter_and_shift_shrink_as_they_should(xor: cu.Experiment, seed: int) -> None:
    """At a matched start the scatter of a run falls as D^(-1/2), and the mean shift, resolved by 4000 runs, as 1/D."""
    experiment = xor.replace({"protocol.order": "random"})
    start = experiment.initial(dimension=100, seed=seed)
    theory = integrate(experiment, start, times=[4.0, 8.0], points=2**13, estimate_error=False)
    dimensions = np.array([50, 200, 800, 3200])
    scatter, shift, error = [], [], []
    for D in dimensions:
        runs = 4000 if D < 800 else 400
        ensemble = simulate(experiment, dimension=int(D), runs=runs, start=start, times=[4.0, 8.0], seed=seed, points=64)
        deviation = np.einsum("rtkk->rt", ensemble.Q)[:, -1] - np.trace(theory.Q[-1])
        scatter.append(deviation.std(ddof=1))
        shift.append(deviation.mean())
        error.append(scatter[-1] / np.sqrt(runs))
    slope = np.polyfit(np.log(dimensions), np.log(scatter), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.08)
    # The shift c / D with one c: weighted fit, and no value off it by more than 4 of its standard errors (and 1/D^2 terms).
    shift, error = np.array(shift), np.array(error)
    weight = 1 / (dimensions * error) ** 2
    c = np.sum(weight * dimensions * shift) / weight.sum()
    assert (np.abs(shift - c / dimensions) < 4 * error + 10 * abs(c) / dimensions**2 + 1e-3 / dimensions**0.5).all()
    assert abs(shift[-1]) < 0.5 * dimensions[-1] ** -0.5


def without(term: str):  # type: ignore[no-untyped-def]
    """`add_level` with one term of the equations removed."""
    original = online.add_level

    def mutated(level, rates, noise_terms, inputs, state, averages, derivative, scratch):  # type: ignore[no-untyped-def]
        keep = {name: getattr(derivative, name).copy() for name in "QMv"}
        if term in ("force", "student"):
            averages = averages._replace(**{term: 0 * getattr(averages, term)})
        original(level, rates, noise_terms and term != "noise", inputs, state, averages, derivative, scratch)
        if term in keep:
            getattr(derivative, term)[:] = keep[term]

    return mutated


@pytest.mark.parametrize("term", ["noise", "force", "student", "Q", "M", "v"])
def test_a_theory_without_one_term_is_found_out(xor: cu.Experiment, term: str, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    experiment = xor.replace(
        {
            "levels.hard.noise": 0.4,
            "student.readout_scale": 1.0,
            "training.learning_rate": 2.0,
            "protocol.duration": 8.0,
        }
    )
    settings = dict(dimension=4000, runs=32, seed=seed, times=5)
    assert compare(experiment, **settings).agrees
    monkeypatch.setattr(online, "add_level", without(term))
    comparison = compare(experiment, **settings)
    assert not comparison.agrees
    # Without dQ/dt the overlaps even leave the physical set, which the theory notices by itself.
    assert re.match("theory and simulation (disagree at D = 4000|cannot be compared)", comparison.verdict())


def wrong_theory(monkeypatch: pytest.MonkeyPatch, rate: str, factor: float) -> None:
    """From now on the theory of a comparison has one rate multiplied by a factor."""
    right = jobs.integrate_setting

    def wrong(experiment, setting, *arguments):  # type: ignore[no-untyped-def]
        return right(experiment, setting.with_rate(rate, factor), *arguments)

    monkeypatch.setattr(jobs, "integrate_setting", wrong)


@pytest.mark.parametrize("starts", [1, 3, 4, 7, 8])
def test_a_rate_wrong_by_a_tenth_is_found_out_at_large_dimension(
    xor: cu.Experiment, starts: int, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The verdict sharpens as 1/D: at D = 30,000 it tells eta = 1.1 from eta = 1, however the runs are spread over starts."""
    settings = dict(dimension=30_000, runs=24, starts=starts, seed=seed, times=4, points=256)
    experiment = xor.replace({"protocol.duration": 4.0})
    right = compare(experiment, **settings)
    assert right.agrees, right.verdict()
    assert right.cells[0].found["learning_rate"] < 0.04
    wrong_theory(monkeypatch, "eta", 1.1)
    assert not compare(experiment, **settings).agrees


@pytest.mark.parametrize(
    ("rate", "name", "change"),
    [
        ("eta", "learning_rate", {}),
        ("eta_v", "readout_learning_rate", {}),
        ("kappa", "weight_decay", {"training.weight_decay": 0.2}),
    ],
)
def test_what_is_said_to_be_found_is_found(
    xor: cu.Experiment, rate: str, name: str, change: dict, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Half as much again as the error that it says it would have noticed is noticed; a fifth of it passes."""
    experiment = xor.replace({**change, "protocol.order": "random"})
    settings = dict(dimension=4000, runs=48, starts=2, seed=seed, times=5, points=512)
    right = compare(experiment, **settings)
    found = right.cells[0].found[name]
    assert right.agrees, right.verdict()
    assert 0 < found < 0.5
    assert right.summary()[f"finds_{name}"][0] == found
    assert f"an error of {100 * found:.2g} % in the {name.replace('_', ' ')}" in right.verdict()
    with monkeypatch.context() as patch:
        wrong_theory(patch, rate, 1 + 0.2 * found)
        assert compare(experiment, **settings).agrees
    wrong_theory(monkeypatch, rate, 1 + 1.6 * found)
    assert not compare(experiment, **settings).agrees


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "factor"), [("eta", 1.1), ("eta_v", 1.2)])
def test_one_start_on_the_plateau_finds_wrong_rates(rate: str, factor: float, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """At D = 200, XOR in random order to t = 20, where hardly anything moves: the error of the rate is read off all that does."""
    experiment = cu.Study.load("xor-curriculum").experiment.replace({"protocol.order": "random", "protocol.duration": 20.0})
    settings = dict(dimension=200, runs=96, starts=1, times=11, points=256, seed=seed)
    assert compare(experiment, **settings).agrees
    wrong_theory(monkeypatch, rate, factor)
    assert not compare(experiment, **settings).agrees


@pytest.mark.slow
def test_the_default_study_finds_a_readout_rate_wrong_by_two(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """At D = 200, in one cell of it, with fewer starts than it has."""
    study = cu.Study.load("xor-curriculum")
    settings = dict(dimension=200, runs=96, starts=8, times=11, points=256, seed=seed)
    assert compare(study.experiment.replace({"protocol.order": "random"}), **settings).agrees
    for factor in (0.5, 2.0):
        with monkeypatch.context() as patch:
            wrong_theory(patch, "eta_v", factor)
            assert not compare(study.experiment.replace({"protocol.order": "random"}), **settings).agrees


def test_few_runs_are_too_few_to_tell(xor: cu.Experiment) -> None:
    for runs in (2, 3):
        comparison = compare(xor, dimension=100, runs=runs, times=3, points=64)
        assert not comparison.agrees
        assert f"{runs} runs are too few to tell chance from a disagreement; use at least 4" in comparison.verdict()


def test_one_level_gives_the_same_for_every_order() -> None:
    experiment = cu.Experiment(
        task=cu.XorMixture(),
        student=cu.Committee(width=2),
        training=cu.OnlineSGD(learning_rate=1.0),
        protocol=cu.Protocol.single(duration=2.0, noise=0.4),
    )
    comparison = compare(
        experiment,
        dimension=50,
        runs=4,
        over={"protocol.order": ["curriculum", "anti-curriculum", "random", "hard-only"]},
    )
    gaps = comparison.gaps()
    assert len(gaps) == 6
    assert (gaps[["theory", "simulation", "standard_error"]] == 0).all().all()


def test_zero_learning_rate_agrees_exactly(xor: cu.Experiment) -> None:
    comparison = compare(xor.replace({"training.learning_rate": 0.0}), dimension=100, runs=4, times=3, points=64)
    assert comparison.agrees
    table = comparison.to_frame()
    assert table.loc[table["quantity"].str.contains(r"\["), "deviation"].abs().max() < 1e-12


def test_cells_starts_and_table(xor: cu.Experiment) -> None:
    over = {"student.width": [2, 9], "protocol.order": ["curriculum", "random"]}
    comparison = compare(xor, dimension=100, runs=6, starts=3, times=4, points=64, over=over)
    table = comparison.to_frame()
    assert list(table.columns[:4]) == ["student.width", "protocol.order", "t", "quantity"]
    assert set(table["student.width"]) == {2, 9}
    assert "Q[0,1]" in set(table[table["student.width"] == 2]["quantity"])
    assert "Q[0,rest]" in set(table[table["student.width"] == 9]["quantity"])
    summary = comparison.summary()
    assert len(summary) == 4
    # Start j is experiment.initial(dimension, seed, j) for theory and runs alike.
    cell = comparison.cells[0]
    start = cell.experiment.initial(100, 0, 1)
    assert np.array_equal(cell.theory[1][0].Q[0], start.Q)
    assert np.array_equal(cell.ensemble.Q[4, 0].round(12), start.Q.round(12))
    theory = np.mean([np.mean([trajectory.classification_error[-1] for trajectory in nets]) for nets in cell.theory])
    last = comparison.cells[0].table.query("quantity == 'classification_error'").iloc[-1]
    assert last["mean_field"] == pytest.approx(theory, abs=1e-12)
    assert summary["accuracy_theory"][0] == pytest.approx(1 - last["theory"], abs=1e-12)
    # What finite D adds to the equations is of order 1/D.
    assert 0 < abs(last["theory"] - last["mean_field"]) < 20 / 100


def test_divergence_is_a_verdict_and_no_crash(xor: cu.Experiment) -> None:
    wild = xor.replace({"student.activation": "quadratic", "student.readout": "fixed", "training.learning_rate": 5.0})
    comparison = compare(wild, dimension=100, runs=4, times=5, points=64)
    assert not comparison.agrees
    assert "cannot be compared to the end" in comparison.verdict()
    assert "diverged at t = " in comparison.verdict()
    assert len(comparison.summary()) == 1


def test_a_theory_that_ends_before_the_first_time(xor: cu.Experiment) -> None:
    wild = xor.replace({"student.activation": "quadratic", "student.readout": "fixed", "training.learning_rate": 5.0})
    comparison = compare(wild, dimension=100, runs=4, times=[wild.protocol.duration], points=64)
    assert comparison.summary()["problem"][0].startswith("theory: diverged")
    assert "diverged at t = " in comparison.verdict()
    assert len(comparison.to_frame()) == 0


def test_exact_equations_with_errors_by_nets_agree_at_large_dimension(seed: int) -> None:
    """A committee of closed forms: the error of its classification error is counted, and there is little else at D = 2 * 10^5."""
    case = cu.load("committee-plateau").replace({"protocol.duration": 3.0})
    comparison = compare(case, dimension=2 * 10**5, runs=16, times=3, seed=seed)
    assert comparison.agrees, comparison.verdict()
    table = comparison.to_frame().set_index(["quantity", "t"])["theory_error"]
    assert (table["classification_error"] > 0).all()
    assert (table["generalization_error"] < 1e-6).all()  # that of the pairs, of order 1/D


def test_compare_refuses(xor: cu.Experiment) -> None:
    for options, message in (
        (dict(runs=1), "runs = 1 is not allowed"),
        (dict(runs=4, starts=5), "starts = 5 is more than runs = 4"),
        (dict(over={"student.width": 4}), "give a list of values"),
        (dict(over={"student.width": []}), "has no values"),
        (dict(over={"student.width": [0]}), "width = 0"),
    ):
        with pytest.raises(cu.InputError, match=message):
            compare(xor, dimension=100, **options)


TWO = {"protocol.order": ["random", "curriculum"]}


def _dies(done: object) -> None:
    """What a process begins with that ends at once."""
    os._exit(3)


@pytest.fixture
def short(xor: cu.Experiment) -> cu.Experiment:
    return xor.replace({"protocol.duration": 0.5})


@pytest.mark.parametrize("what", ["works", "dies", "fails"])
def test_cells_are_the_same_in_other_processes(what: str, short: cu.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """And should these die or fail, in this one; what comes back from them cannot be changed either."""
    settings = dict(dimension=60, runs=4, points=64, times=2, over=TWO)
    expected = cu.compare(short, workers=1, **settings)
    monkeypatch.setattr(places, "_WORTH", 0.0)
    monkeypatch.setattr(places, "outside_modules", lambda: ())  # other tests registered something
    if what == "dies":
        monkeypatch.setattr(places, "_begin", _dies)
    if what == "fails":
        monkeypatch.setattr(places, "_judged_beside", _unknown)
    computed, beside = [], places.Places._beside

    def told(self: places.Places, *arguments: Any) -> Any:
        computed.append(beside(self, *arguments))
        return computed[-1]

    monkeypatch.setattr(places.Places, "_beside", told)
    fractions: list[float] = []
    found = cu.compare(short, workers=2, progress=fractions.append, **settings)
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame(), check_exact=True)
    assert [cell.labels for cell in found.cells] == [cell.labels for cell in expected.cells]
    assert fractions[-1] == 1.0
    assert len(computed) == (1 if what == "works" else 0)
    if computed:
        theory = computed[0][0].theory[0][0]
        assert theory.environment == cu.integrate(short, short.initial(60), points=64, times=2).environment
        with pytest.raises(ValueError, match="read-only"):
            theory.Q[:] = 0.0


def test_what_is_wrong_with_a_cell_is_told(short: cu.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered outside the package is not looked for elsewhere."""
    monkeypatch.setattr(places, "_WORTH", 0.0)
    monkeypatch.setattr(places, "outside_modules", lambda: ())
    monkeypatch.setattr(jobs.OnlineJob, "run", _wrong)
    with pytest.raises(cu.InputError, match="wrong here"):
        cu.compare(short, dimension=60, runs=4, points=64, times=2, over=TWO, workers=2)
    monkeypatch.setattr(places, "outside_modules", lambda: ("somewhere",))
    job = jobs.OnlineJob({}, short, 60, 4, 1, 0, cu.Numerics(points=64, times=2))
    with places.Places([job, job], 2) as here:
        assert (here._others, here.at_once) == (None, 2)


def _unknown(job: jobs.OnlineJob, number: int) -> None:
    raise LookupError("in another process")


def _wrong(self: jobs.OnlineJob, report: object) -> None:
    raise cu.InputError("wrong here")


def test_an_interrupted_comparison_does_not_wait_for_other_processes(short: cu.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_WORTH", 0.0)
    monkeypatch.setattr(places, "outside_modules", lambda: ())
    long = jobs.OnlineJob({}, short.replace({"protocol.duration": 300.0}), 1000, 64, 1, 0, cu.Numerics(points=64, times=2))
    stop = threading.Event()
    with places.Places([long, long], 2) as both, ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(both.judged, number, stop) for number in range(2)]
        while not (both._done > 0.0).all():
            assert not any(future.done() for future in futures)
            time.sleep(0.05)
        stop.set()
        assert [future.result(timeout=20) for future in futures] == [None, None]
    assert not any(process.is_alive() for process in both._processes.started)


def test_a_script_without_a_main_guard_is_run_once(tmp_path: Path) -> None:
    script = """
        import curriculode as cu
        from curriculode.sims.compare import places

        print("begun", flush=True)
        places._WORTH = 0.0
        experiment = cu.load("xor-curriculum").replace({"protocol.duration": 0.5})
        over = {"protocol.order": ["random", "curriculum"]}
        print(len(cu.compare(experiment, dimension=60, runs=4, points=64, times=2, over=over, workers=2).cells))
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("begun\n2\n", "")


@pytest.mark.parametrize("works", [True, False])
def test_another_process_compiles_beside_the_equations(works: bool, short: cu.Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, Ctrl-C ends the waiting, and whether it did its work or not nothing changes."""
    expected = cu.compare(short, dimension=60, runs=4, points=64, times=2).to_frame()
    assert was_compiled(stretch.advance)
    assert not was_compiled(never_called)
    monkeypatch.setattr(places, "was_compiled", lambda compiled: False)
    if not works:
        monkeypatch.setattr(places, "_begin", _dies)
    told: list[float] = []
    job = jobs.OnlineJob({}, short, 60, 4, 1, 0, cu.Numerics(points=64, times=2))
    with places.Places([job], 2) as beside:
        if works:
            with pytest.raises(KeyboardInterrupt):
                beside.ready(_interrupted)
        beside.ready(lambda: told.append(0.5))
        assert beside._compiled is not None
        assert (beside._compiled.exception() is None) == works
    assert told or not works
    assert places.compile_diffusion(short.to_toml(), 60) is None
    pd.testing.assert_frame_equal(cu.compare(short, dimension=60, runs=4, points=64, times=2).to_frame(), expected)


@kernel
def never_called(x: float) -> float:
    """Of which nothing is compiled."""
    return x


def _interrupted() -> None:
    raise KeyboardInterrupt
