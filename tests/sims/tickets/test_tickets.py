"""The verb `tickets` and its record: the same for theory and simulation, the same bits, mistakes told in a sentence."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.compare.pruned import PrunedJob
from curriculode.sims.spaces.model import Model
from curriculode.sims.tickets.trainer import Schedule
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.tickets.treatments import TREATMENTS

QUICK = {"points": 128, "times": 3}
EVERY = list(TREATMENTS)


@pytest.fixture
def brief(xor: cu.Experiment) -> cu.Experiment:
    return xor.replace({"protocol.duration": 2.0})


def test_one_record_of_theory_and_simulation(brief: cu.Experiment, tmp_path) -> None:
    start, pruning = brief.initial(300), cu.Pruning(keep=0.3, rewind=0.5)
    theory = cu.tickets(brief, pruning, start=start, treatments=EVERY, nodes=512, **QUICK)
    runs = cu.tickets(brief, pruning, start=start, treatments=EVERY, dimension=300, runs=3, **QUICK)
    assert theory.by_theory
    assert not runs.by_theory
    for study in (theory, runs):
        assert study.success
        assert study.treatments == tuple(EVERY)
        assert study.pruning == pruning
        again = cu.load_record(study.save(tmp_path / f"{study.by_theory}.npz"))
        assert again == study
        assert again.summary().equals(study.summary())
        frame = study.to_frame()
        assert set(frame["treatment"]) == {"dense", *EVERY}
        assert np.isfinite(frame["generalization_error"]).all()
        assert study.dims("ticket.M")[-2:] == ("unit", "reference")
        assert study.arrays["ticket.kept"] == pytest.approx(0.3, abs=2e-3)
    assert theory.trajectories["ticket"].t.tolist() == [0.5, 1.0, 2.0]
    assert runs.trajectories["ticket"].t == pytest.approx(theory.trajectories["ticket"].t, abs=2e-3)
    assert theory.trajectories["dense"].t.tolist() == [0.0, 0.5, 1.0, 2.0]
    assert isinstance(theory.begins["ticket"], cu.OrderParameters)
    assert len(runs.begins["ticket"]) == 3
    assert theory.signal_kept.shape == (4, 2)
    assert runs.signal_kept.shape == (3, 4, 2)
    np.testing.assert_array_equal(theory.trajectories["ticket"].Q[0], theory.begins["ticket"].Q)
    assert theory.final().shape == (1, 1 + len(EVERY))
    gap = runs.paired("reinit", "ticket")
    assert set(gap) == {"difference", "standard_error", "p"}


def test_the_same_seed_gives_the_same_bits(brief: cu.Experiment) -> None:
    pruning, options = cu.Pruning(keep=0.3, rounds=2), {"treatments": EVERY, "seed": 5, **QUICK}
    for where in ({"dimension": 200, "runs": 3}, {"nodes": 256, "runs": 2}):
        one, other = (cu.tickets(brief, pruning, workers=workers, **where, **options) for workers in (1, 2))
        for name, value in one.arrays.items():
            np.testing.assert_array_equal(value, other.arrays[name], err_msg=name)


def test_treatments_keep_what_they_say(brief: cu.Experiment) -> None:
    """Of one network at D: who shares signs, sizes, overlaps, masks with the ticket."""
    start = cu.OrderParameters(np.eye(4), 0.5 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]), [0.5, 0.5, -0.5, -0.5])
    found = cu.tickets(brief, cu.Pruning(keep=0.4), start=start, treatments=EVERY, dimension=4000, runs=2, **QUICK)
    begin = {name: found.begins[name][0] for name in EVERY}
    ticket = begin["ticket"]
    np.testing.assert_allclose(begin["overlaps"].M, ticket.M, atol=1e-12)
    np.testing.assert_allclose(begin["overlaps"].Q, ticket.Q, atol=1e-11)
    np.testing.assert_allclose(np.diag(begin["magnitudes"].Q), np.diag(ticket.Q), atol=1e-12)
    np.testing.assert_allclose(begin["untrained"].Q, ticket.Q)  # rewound to 0
    np.testing.assert_allclose(np.diag(begin["untrained-signs"].Q), 0.4, atol=1e-3)
    np.testing.assert_allclose(np.diag(begin["random"].Q), 0.4, atol=0.05)
    small = 5 / np.sqrt(4000)
    assert np.abs(begin["reinit"].M).max() < small
    assert np.abs(begin["magnitudes"].M).max() < small
    assert np.abs(begin["signs"].M).max() > 2 * small
    assert found.trajectories["untrained"].t.tolist() == [0.0]
    assert np.array_equal(found.arrays["ticket.kept"], found.arrays["random.kept"])


def test_masked_weights_neither_move_nor_count(brief: cu.Experiment, seed: int) -> None:
    """A network whose units keep the first half of the inputs is one of half the inputs in theory's eyes: signal is half."""
    D = 400
    mask = np.zeros((4, D))
    mask[:, : D // 2] = 1
    found = cu.tickets(brief, cu.Pruning(keep=0.5), mask=mask, treatments=["ticket"], dimension=D, runs=4, seed=seed, **QUICK)
    np.testing.assert_allclose(found.arrays["ticket.kept"], 0.5)
    np.testing.assert_allclose(found.signal_kept, 0.5, atol=0.2)
    theory = cu.tickets(brief, cu.Pruning(keep=0.5), mask=mask, treatments=["ticket"], **QUICK)
    np.testing.assert_allclose(theory.arrays["ticket.kept"], 0.5)


def test_schedules_cut_at_the_rewinding_lose_no_example(brief: cu.Experiment) -> None:
    for order in ("curriculum", "random", "anti-curriculum"):
        experiment = brief.replace({"protocol.order": order})
        setting = Setting.of(experiment)
        for k in (0.0, 0.3, 0.5, 1.1, 2.0):
            plan = Schedule(setting.stages, np.array([0.0, 2.0]), k, 333)
            early, late = (sum((count for _, count in part), np.zeros(2, int)) for part in (plan.early, plan.late))
            assert early.sum() == plan.rewind
            assert (early + late).sum() == plan.total == 666
            np.testing.assert_allclose((early + late) / 666, [0.25, 0.75], atol=2e-3)


def test_iterations_shrink_the_mask_within_itself(brief: cu.Experiment) -> None:
    one = cu.tickets(brief, cu.Pruning(keep=0.25), treatments=["ticket"], nodes=2048, **QUICK)
    three = cu.tickets(brief, cu.Pruning(keep=0.25, rounds=3), treatments=["ticket", "fine-tune"], nodes=2048, **QUICK)
    for study in (one, three):
        for name in study.treatments:
            assert study.arrays[f"{name}.kept"] == pytest.approx(0.25, abs=1e-3)
    assert cu.Pruning(keep=0.125, rounds=3).left(2) == pytest.approx(0.25)


MISTAKES = {
    "rewind = 3": (cu.Pruning(keep=0.5, rewind=3.0), {}, r"^rewind = 3 is not allowed; it must lie in \[0, 2\]"),
    "rounds": (cu.Pruning(keep=0.9, rounds=900), {}, r"^rounds = 900 is not allowed; a unit has 256 weights"),
    "keep": (cu.Pruning(keep=1e-4), {}, r"^keep = 0.0001 of 256 weights is none at all"),
    "mask": (cu.Pruning(keep=0.5), {"mask": np.ones((3, 256))}, r"^mask of shape \(3, 256\) is not allowed; give zeros and ones"),
    "numbers": (cu.Pruning(keep=0.5), {"mask": np.full((4, 256), 0.5)}, r"^mask of shape"),
    "treatment": (cu.Pruning(keep=0.5), {"treatments": ["tickets"]}, r"^treatment 'tickets' is unknown \(did you mean 'ticket'"),
    "twice": (cu.Pruning(keep=0.5), {"treatments": ["ticket", "ticket"]}, r"^treatments = .* is not allowed"),
    "none": (cu.Pruning(keep=0.5), {"treatments": []}, r"^treatments = \[\] is not allowed"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("where", ["theory", "simulation"])
def test_mistakes_are_told(name: str, where: str, brief: cu.Experiment) -> None:
    pruning, options, words = MISTAKES[name]
    size = {"nodes": 256} if where == "theory" else {"dimension": 256, "runs": 1}
    with pytest.raises(cu.InputError, match=words):
        cu.tickets(brief, pruning, **size, **options, **QUICK)


def test_more_mistakes_are_told(brief: cu.Experiment) -> None:
    for keep in (0.0, -1.0, 1.5, float("nan"), "half"):
        with pytest.raises(cu.InputError, match=r"^Pruning: keep = "):
            cu.Pruning(keep=keep)
    with pytest.raises(cu.InputError, match=r"^Pruning: criterion 'largest' is unknown"):
        cu.Pruning(keep=0.5, criterion="largest")
    with pytest.raises(cu.InputError, match=r"has no online dynamics"):
        cu.tickets(cu.load("batch-perceptron"), cu.Pruning(keep=0.5))
    with pytest.raises(cu.InputError, match=r"^pruning = 0.5 is not allowed; give a curriculode.Pruning"):
        cu.tickets(brief, 0.5)  # type: ignore[arg-type]
    with pytest.raises(cu.InputError, match=r"^nodes = 8 are too few"):
        cu.tickets(brief, cu.Pruning(keep=0.5), nodes=8)
    with pytest.raises(cu.InputError, match=r"^2 starts were given for 3 runs"):
        cu.tickets(brief, cu.Pruning(keep=0.5), nodes=256, runs=3, start=[brief.initial(100)] * 2)


def test_a_study_file_holds_the_pruning(brief: cu.Experiment) -> None:
    study = cu.Study(experiment=brief, pruning=cu.Pruning(keep=0.1, rounds=3))
    again = cu.Study.from_toml(study.to_toml())
    assert again.pruning == study.pruning
    assert "[pruning]" in study.to_toml()
    assert "[pruning]" not in cu.Study(experiment=brief).to_toml()
    with pytest.raises(cu.InputError, match=r"Pruning: setting 'kept' is unknown \(did you mean 'keep'"):
        cu.Study.from_toml(study.to_toml().replace("keep =", "kept ="))
    with pytest.raises(cu.InputError, match=r"^pruning must be a section"):
        cu.Study.from_toml("pruning = 3\n" + brief.to_toml())


def test_a_diverging_training_is_told(brief: cu.Experiment) -> None:
    wild = brief.replace({"training.learning_rate": 300.0, "student.readout": "fixed", "student.readout_scale": 1.0})
    study = cu.tickets(wild, cu.Pruning(keep=0.5), nodes=256, **QUICK)
    assert not study.success
    assert "diverged" in study.status
    assert "trainings failed" in study.status
    runs = cu.tickets(wild, cu.Pruning(keep=0.5), dimension=100, runs=2, **QUICK)
    assert not runs.success


def test_sparse_references_need_inputs(brief: cu.Experiment) -> None:
    with pytest.raises(cu.InputError, match=r"^dimension D = 50 is too small"):
        cu.tickets(brief.replace({"task.support": 0.02}), cu.Pruning(keep=0.5), dimension=50, runs=1)
    assert Model.of(Setting.of(brief.replace({"task.support": 0.1})), 200).support[0][0][0] == 20


def test_a_learnt_mask_by_theory_and_by_scores(seed: int) -> None:
    """A supermask of weights that stay: nodes of the scores' law against SGD on the scores."""
    M = 0.4 * np.array([[1.0, 0.0], [0.0, 0.9], [-0.8, 0.1], [0.2, -0.7]])
    start = cu.OrderParameters(0.6 * np.eye(4) + M @ M.T, M, [0.5, -0.4, 0.6, -0.5])
    experiment = cu.load("xor-curriculum").replace({"protocol.duration": 3.0, "protocol.order": "random", "task.support": 0.5})
    names = ("supermask", "untrained")
    job = PrunedJob({}, experiment, 600, 16, 1, seed, cu.Numerics(times=4, points=256), cu.Pruning(keep=0.3), names)
    job.__dict__["initial"] = [start]
    theory, simulation, _ = job.studies(lambda fraction: None)
    found = cu.Comparison(job.cells(theory, simulation, {}, None), 600, seed, "one cell")
    assert found.agrees, found.verdict()
    error = theory.trajectories["supermask"].generalization_error.mean(axis=0)
    assert (np.diff(error) < 0).all()  # masking is training
    assert theory.arrays["supermask.kept"] == pytest.approx(0.3, abs=3e-3)
    assert (theory.arrays["supermask.signal"].mean(axis=0) > 0.31).all()
    np.testing.assert_array_equal(simulation.arrays["supermask.v"][:, -1], np.tile(start.v, (16, 1)))


def test_signs_of_what_is_kept_by_theory_and_weight_by_weight(brief: cu.Experiment, seed: int) -> None:
    """Rewound weights change more signs than fine-tuned ones, which are the largest of the end."""
    experiment = brief.replace({"training.learning_rate": 4.0, "protocol.duration": 4.0})
    M = 0.4 * np.array([[1.0, 0.0], [0.0, 0.9], [-0.8, 0.1], [0.2, -0.7]])
    start = cu.OrderParameters(0.6 * np.eye(4) + M @ M.T, M, [0.5, -0.4, 0.6, -0.5])
    names = ["ticket", "reinit", "fine-tune"]
    for rounds in (1, 2):
        options = {"start": start, "treatments": names, "signs": True, "times": 3, "points": 256}
        pruning = cu.Pruning(keep=0.3, rounds=rounds, rewind=1.0)
        theory = cu.tickets(experiment, pruning, nodes=2**13, **options)
        runs = cu.tickets(experiment, pruning, dimension=1000, runs=8, seed=seed, **options)
        for name in names:
            line, seen = theory.sign_changes(name), runs.sign_changes(name)
            assert seen.shape == (8, *line.shape)
            assert line[0] == 0.0
            assert (seen[:, 0] == 0.0).all()
            error = seen[:, -1].std(ddof=1) / np.sqrt(8)
            assert abs(seen[:, -1].mean() - line[-1]) < 4 * error + 3e-3
        assert theory.sign_changes("fine-tune")[-1] < 0.5 * theory.sign_changes("ticket")[-1]
    silent = cu.tickets(experiment, cu.Pruning(keep=0.3), nodes=256, **{**options, "signs": False})
    with pytest.raises(cu.InputError, match=r"^the study knows no signs of treatment 'ticket'; make it with"):
        silent.sign_changes()
