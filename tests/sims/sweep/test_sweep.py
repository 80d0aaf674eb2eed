"""The table of a sweep: which rows, which numbers, and that they are those of single calls."""

import numpy as np
import pandas as pd
import pytest

import curriculode as cu
from curriculode.sims.sweep.plan import Plan
from curriculode.sims.sweep.progress import SweepProgress
from curriculode.sims.sweep.settings import settings_with
from curriculode.sims.sweep.store import Store
from curriculode.sims.sweep.values import Layout

from .conftest import GRID, QUICK


def test_batch_learning_is_swept_like_any_other() -> None:
    """Theory by state evolution, the same for every seed; minimisation of each seed's samples, the same in every order."""
    batch = cu.load("batch-perceptron")
    grid = {"training.coupling": [0.0, 1.0], "protocol.order": ["curriculum", "random"]}
    table = cu.sweep(batch, grid, seeds=2, runs=2, dimension=60, workers=1)
    assert not table["failed"].any()
    exact = cu.state_evolution(batch.replace({"training.coupling": 1.0})).classification_error[-1]
    chosen = table[(table["training.coupling"] == 1.0) & (table["protocol.order"] == "curriculum")]
    assert chosen["classification_error"].tolist() == [exact, exact]
    runs = cu.minimize(batch.replace({"training.coupling": 1.0}), dimension=60, runs=2, seed=1)
    assert chosen["classification_error_simulation"].tolist()[1] == runs.classification_error[:, -1].mean()
    with pytest.raises(cu.InputError, match="is for a linear student"):
        cu.sweep(batch, {"student.width": [1, 2]}, workers=1)


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Bit for bit, timing aside."""
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True)


def test_one_row_a_point_order_and_seed(small: cu.Experiment) -> None:
    table = cu.sweep(small, over=GRID, seeds=3, workers=1, **QUICK)
    assert len(table) == 2 * 2 * 2 * 3
    observables = ["generalization_error", "classification_error", "covered_clusters"]
    assert list(table.columns) == [*GRID, "seed", *observables, "failed", "status", "seconds"]
    assert not table.duplicated([*GRID, "seed"]).any()
    assert not table["failed"].any()
    assert (table["seconds"] > 0).all()
    assert table.attrs == {"status": "24 of 24 points done, 0 failed", "interrupted": False, "done": 24, "failed": 0, "missing": 0}


def test_a_row_is_what_single_calls_give(small: cu.Experiment, seed: int) -> None:
    table = cu.sweep(
        small,
        {"student.width": [2, 3]},
        seeds=[seed, seed + 7],
        runs=5,
        workers=1,
        observables=["classification_error", "Q[0,1]"],
        **QUICK,
    )
    row = table.iloc[3]
    point = small.replace({"student.width": 3})
    start = point.initial(100, seed + 7)
    trajectory = cu.integrate(point, start, times=[1.0], points=64, scrambling=seed + 7)
    assert row["classification_error"] == trajectory.classification_error[-1]
    assert row["Q[0,1]"] == trajectory.Q[-1, 0, 1]
    ensemble = cu.simulate(point, dimension=100, runs=5, seed=seed + 7, start=start, times=[1.0], points=64)
    assert row["Q[0,1]_simulation"] == ensemble.Q[:, -1, 0, 1].mean()
    error = ensemble.classification_error[:, -1].std(ddof=1) / np.sqrt(5)
    assert row["classification_error_simulation_standard_error"] == pytest.approx(error, rel=1e-12)
    assert row["diverged_runs"] == 0
    assert row["status"].startswith("theory reached t = 1 in ")
    assert row["status"].endswith("; simulation: 5 of 5 runs finished")


def test_scramblings_give_the_error_of_the_averages(small: cu.Experiment) -> None:
    row = cu.sweep(small, seeds=[3], scramblings=4, workers=1, **QUICK).iloc[0]
    finals = [
        cu.integrate(small, small.initial(100, 3), times=[1.0], points=64, scrambling=12 + r).generalization_error[-1]
        for r in range(4)
    ]
    assert row["generalization_error"] == pytest.approx(np.mean(finals), rel=1e-14)
    assert row["generalization_error_standard_error"] == pytest.approx(np.std(finals, ddof=1) / 2, rel=1e-9)


def test_closed_forms_have_no_error() -> None:
    plateau = cu.load("committee-plateau").replace({"protocol.duration": 1.0})
    row = cu.sweep(plateau, scramblings=3, workers=1, **QUICK).iloc[0]
    assert row["generalization_error_standard_error"] < 1e-15
    assert row["specialization"] > 0


def test_orders_share_starts_and_scramblings(small: cu.Experiment) -> None:
    """One level: all orders are the same process, so from shared starts their rows are equal, theory and simulation alike."""
    single = cu.Experiment(
        task=small.task, student=small.student, training=small.training, protocol=cu.Protocol.single(duration=1.0, noise=0.5)
    )
    table = cu.sweep(single, {"protocol.order": ["random", "curriculum"]}, seeds=2, runs=3, workers=1, **QUICK)
    numbers = table.select_dtypes("number").drop(columns=["seconds", "seed"]).to_numpy()
    assert np.array_equal(numbers[:2], numbers[2:])


def test_simulation_alone(small: cu.Experiment) -> None:
    table = cu.sweep(small, seeds=2, theory=False, runs=1, workers=1, space="weight", **QUICK)
    assert "classification_error" not in table
    assert table["classification_error_simulation"].notna().all()
    assert table["classification_error_simulation_standard_error"].isna().all()


def test_paired_parameters(small: cu.Experiment) -> None:
    over, paired = {"protocol.order": ["curriculum", "random"]}, {"student.width": [1, 2], "training.learning_rate": [1.0, 0.5]}
    table = cu.sweep(small, over, zip=paired, workers=1, **QUICK)
    rows = [[order, *pair] for order in ("curriculum", "random") for pair in ((1, 1.0), (2, 0.5))]
    assert table[["protocol.order", "student.width", "training.learning_rate"]].to_numpy().tolist() == rows


def test_the_same_bits_here_and_in_threads(small: cu.Experiment) -> None:
    from concurrent.futures import ThreadPoolExecutor

    one = cu.sweep(small, over=GRID, seeds=4, runs=2, workers=1, **QUICK)
    with ThreadPoolExecutor(2) as threads:
        same(one, cu.sweep(small, over=GRID, seeds=4, runs=2, executor=threads, **QUICK))


def test_a_diverging_point_is_a_row_with_its_reason(diverging: cu.Experiment) -> None:
    table = cu.sweep(diverging, {"training.learning_rate": [0.05, 5.0]}, seeds=2, workers=1, runs=2, **QUICK)
    assert table["failed"].tolist() == [False, False, True, True]
    assert table["status"][2].startswith("theory diverged at t = ")
    assert table["generalization_error"].isna().tolist() == [False, False, True, True]
    assert table.attrs["status"] == "2 of 4 points done, 2 failed"


@pytest.mark.parametrize(
    ("error", "status"),
    [(MemoryError(), "out of memory (fewer runs"), (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero")],
    ids=["memory", "any"],
)
def test_whatever_goes_wrong_is_a_row_and_can_be_retried(
    small: cu.Experiment, error: Exception, status: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    settings = dict(store=tmp_path / "a.sqlite", workers=1, seeds=3, **QUICK)

    def explode(experiment, setting, start, numerics):
        if numerics.scrambling == 1:
            raise error
        return integrate_setting(experiment, setting, start, numerics)

    from curriculode.theory.solve.integrate import integrate_setting

    with monkeypatch.context() as patch:
        patch.setattr("curriculode.theory.solve.integrate.integrate_setting", explode)
        table = cu.sweep(small, **settings)
    with Store(tmp_path / "a.sqlite") as store:
        failure = store.failures(Plan(small, seeds=3, settings=settings_with(None, {"points": 64, "dimension": 100})).keys, 5)[0]
    assert (failure.seed, failure.status) == (1, table["status"][1])
    assert ("in explode" in failure.traceback) == isinstance(error, ZeroDivisionError)
    assert table["failed"].tolist() == [False, True, False]
    assert table["status"][1].startswith(status)
    same(table, cu.sweep(small, **settings))  # a failed point stays one, until it is tried again
    same(cu.sweep(small, retry=True, **settings), cu.sweep(small, workers=1, seeds=3, **QUICK))


def test_plans_and_lists_are_swept(small: cu.Experiment) -> None:
    plan = [cu.Stage(share=0.5, probability={"easy": 1}), cu.Stage(share=0.5, probability={"easy": 0.25, "hard": 0.75})]
    staged = small.replace({"protocol.order": "stages", "protocol.plan": plan})
    other = [cu.Stage(share=1.0, probability={"hard": 1.0}, learning_rate=0.5)]
    table = cu.sweep(staged, {"protocol.plan": [plan, other]}, workers=1, **QUICK)
    assert not table["failed"].any()
    assert table["protocol.plan"][1] == '[{"share": 1.0, "probability": {"hard": 1.0}, "learning_rate": 0.5}]'
    slower = small.replace({"protocol.order": "hard-only", "training.learning_rate": 0.5})
    assert table["generalization_error"][1] == cu.sweep(slower, workers=1, **QUICK)["generalization_error"][0]
    # A key does not know whether a plan came as tables, with whole numbers, or as the experiment's own.
    tables = [{"share": 0.5, "probability": {"easy": 1}}, {"share": 0.5, "probability": {"hard": 0.75, "easy": 0.25}}]
    assert Plan(staged, {"protocol.plan": [tables, other]}).keys[0] == Plan(staged).keys[0]
    batch = cu.load("batch-perceptron")
    coupled = Plan(batch, {"training.coupling": [[1], 1.0]}).keys
    assert coupled[0] == Plan(batch.replace({"training.coupling": [1.0]})).keys[0] != coupled[1]


def test_numerics_and_their_shortcuts(small: cu.Experiment) -> None:
    numerics = cu.Numerics(points=64, rtol=1e-4, noise_terms=False, averages="quasi-Monte Carlo", method="RK45", scrambling=5)
    row = cu.sweep(small, seeds=[2], numerics=numerics, dimension=1e2, workers=1, progress=False).iloc[0]
    single = cu.integrate(small, small.initial(100, 2), numerics=numerics.set(times=[1.0], scrambling=7, estimate_error=False))
    assert row["generalization_error"] == single.generalization_error[-1]
    assert row["status"] == f"theory {single.status}"
    short = cu.sweep(small, seeds=[2], numerics=numerics.set(noise_terms=True), noise_terms=False, workers=1, dimension=100)
    assert short["generalization_error"][0] == row["generalization_error"]
    assert settings_with(None, {}).numerics.points == 1024
    assert settings_with(None, {"accuracy": 0.01}).numerics.points is None
    assert settings_with(cu.Numerics(accuracy=0.01), {}).text != settings_with(None, {"accuracy": 0.001}).text
    growing = cu.sweep(small, accuracy=0.05, workers=1, dimension=100, progress=False)
    exact = cu.integrate(small, small.initial(100, 0), accuracy=0.05, times=[1.0])
    assert growing["generalization_error"][0] == exact.generalization_error[-1]


def test_what_is_kept_stands_where_its_name_says(small: cu.Experiment) -> None:
    faded = small.replace({"task.faded_fraction": 0.5, "levels.hard.fading": 2.0})
    for experiment in (small, faded):
        names = list(cu.integrate(experiment, experiment.initial(100, 0), points=64).entries())
        table = cu.sweep(experiment, runs=3, workers=1, observables=["accuracy", *names], **QUICK)
        final = cu.integrate(experiment, experiment.initial(100, 0), times=[1.0], points=64)
        assert table[names].iloc[0].tolist() == [value[-1] for value in final.entries().values()]
        assert table["accuracy"][0] == 1.0 - final.classification_error[-1]
        runs = cu.simulate(experiment, dimension=100, runs=3, start=experiment.initial(100, 0), times=[1.0], points=64).entries()
        assert table[[f"{name}_simulation" for name in names]].iloc[0].tolist() == [value[:, -1].mean() for value in runs.values()]


def test_of_wide_students_order_parameters_are_kept_when_asked_for(small: cu.Experiment) -> None:
    wide = Layout.of(small.replace({"student.width": 100}), ("",), ["Q[3,99]", "accuracy"])
    assert wide.entries == ("Q[3,99]",)
    assert wide.lacks(["Q[3,99]", "Q[3,98]", "Q[3,100]"]) == ["Q[3,98]"]
    assert Layout.from_text(wide.text) == wide
    start = small.replace({"student.width": 100}).initial(1000, 0)
    record = cu.Trajectory(
        small.replace({"student.width": 100}),
        cu.Numerics(points=256),
        {"t": [0.0], "Q": start.Q[None], "M": start.M[None], "v": start.v[None]},
        "",
    )
    assert wide.final(record)[-1] == start.Q[3, 99]


def test_shards_are_the_whole(small: cu.Experiment) -> None:
    parts = [cu.sweep(small, over=GRID, seeds=3, workers=1, shard=f"{i}/5", **QUICK) for i in range(1, 6)]
    whole = cu.sweep(small, over=GRID, seeds=3, workers=1, **QUICK)
    assert [len(part) for part in parts] == [5, 5, 5, 5, 4]
    columns = [*GRID, "seed"]
    joined = pd.concat(parts).sort_values(columns).reset_index(drop=True)
    same(joined, whole.sort_values(columns).reset_index(drop=True))


def test_keys_do_not_depend_on_the_grid(small: cu.Experiment) -> None:
    def keys(over: dict, seeds: object = 2, **settings: object) -> dict[tuple, bytes]:
        plan = Plan(small, over, seeds=seeds, settings=settings_with(None, settings))
        return {(str(plan.changes(i)), plan.seed(i)): key for i, key in plan}

    wide = keys({"student.width": [1, 2.0], "levels.hard.noise": [0.5, 0.6]})
    # The values of the experiment itself, and the order of the axes, make no difference; nor does 2 or 2.0.
    assert set(keys({"student.width": [2]}).values()) < set(wide.values())
    assert set(keys({"levels.hard.noise": [0.6, 0.5], "student.width": [1, 2]}, [1, 0]).values()) == set(wide.values())
    assert len(set(wide.values())) == 8
    assert not set(wide.values()) & set(keys({"student.width": [2]}, rtol=1e-7).values())
    assert set(keys({"student.width": [2]}, rtol=1e-6, atol=1e-8, points=1024, space="weight").values()) < set(wide.values())
    assert not set(wide.values()) & set(keys({"student.width": [2]}, seeds=[2]).values())


BAD = [
    (dict(over={"student.widht": [1]}), "setting 'widht' is unknown"),
    (dict(over={"student.width": []}), "over 'student.width' has no values"),
    (dict(over={"student.width": [2, 2]}), "has a value twice"),
    (dict(over={"student.width": [2, 99]}), "dimension D = 100 is too small"),
    (dict(over={"levels.hard.noise": [0.5, -0.5]}), "noise = -0.5 is not allowed; it must be at least 0"),
    (dict(over=["student.width"]), "over = ['student.width'] is not allowed; give a mapping"),
    (
        dict(zip={"student.width": [1, 2], "levels.hard.noise": [0.5]}),
        "student.width 2, levels.hard.noise 1); give as many of each",
    ),
    (dict(zip={"student.width": [2, 2]}), "have a pair twice"),
    (dict(over={"student.width": [2]}, zip={"student.width": [2]}), "both crossed and paired"),
    (dict(seeds=0), "seeds = 0 is not allowed"),
    (dict(seeds="3"), "seeds = '3' is not allowed"),
    (dict(seeds=[1, 1]), "a list of different ones"),
    (dict(theory=False), "has nothing to compute"),
    (dict(runs=-1), "runs = -1 is not allowed; it must be a whole number of at least 0"),
    (dict(space="fourier"), "space 'fourier' is unknown"),
    (dict(points=1000), "needs a power of two"),
    (dict(observables=[]), "observables is empty"),
    (dict(observables="happiness"), "observable 'happiness' is unknown; allowed: generalization_error"),
    (dict(observables="Q[0,5]"), "'Q[0,5]' is unknown"),
    (dict(shard="0/3"), "write i/n with i from 1 to n"),
    (dict(shard="three"), "write i/n"),
    (dict(workers=0), "workers = 0 is not allowed"),
    (dict(executor=3), "give a concurrent.futures.Executor, or a function that makes one"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_mistakes_come_before_the_first_point(small: cu.Experiment, arguments: dict, message: str, tmp_path) -> None:
    with pytest.raises(cu.InputError) as caught:
        cu.sweep(small, **{**QUICK, "workers": 1, "store": tmp_path / "a.sqlite", **arguments})
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_experiment_by_name_is_no_experiment() -> None:
    with pytest.raises(cu.InputError, match=r"give a curriculode\.Experiment, such as load"):
        cu.sweep("xor-curriculum")  # type: ignore[arg-type]


def test_progress_says_what_a_user_asks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    bar = SweepProgress(1000, 200)
    assert bar.line(300, 50.0) == "sweep: 300 of 1000 points, 2 a second, 6 min left"
    bar.tell(300, "theory diverged at t = 3")
    assert capsys.readouterr().err == ""  # no terminal: silent for a minute
    monkeypatch.setattr(SweepProgress, "interval", 0.0)
    bar.tell(301)
    assert capsys.readouterr().err.startswith("sweep: 301 of 1000 points, ")
    bar.tell(302)
    assert "last failure: theory diverged at t = 3" in capsys.readouterr().err
    quiet = SweepProgress(10, 0, False)
    quiet.tell(1)
    assert capsys.readouterr().err == ""
