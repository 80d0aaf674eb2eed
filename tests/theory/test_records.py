"""Records: named arrays that cannot be changed, their file, and what is read off them."""

import contextlib
import copy
import json
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

import curriculode as cu


@pytest.fixture(scope="module")
def experiment() -> cu.Experiment:
    return cu.load("xor-curriculum").replace({"protocol.duration": 1.0})


@pytest.fixture(scope="module")
def trajectory(experiment: cu.Experiment) -> cu.Trajectory:
    return cu.integrate(experiment, experiment.initial(dimension=200), points=64, times=4)


@pytest.fixture(scope="module")
def ensemble(experiment: cu.Experiment) -> cu.Ensemble:
    return cu.simulate(experiment, dimension=200, runs=3, times=4, points=64, seed=np.random.SeedSequence(5, spawn_key=(7,)))


def records(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> list[cu.Record]:
    batch = cu.load("batch-perceptron")
    observed = cu.observe(ensemble.experiment, ["v[0]", "covered_clusters"], dimension=100, runs=4)
    return [trajectory, ensemble, observed, cu.state_evolution(batch), cu.minimize(batch, dimension=60, runs=2)]


def test_what_is_saved_is_what_is_loaded(trajectory: cu.Trajectory, ensemble: cu.Ensemble, tmp_path: Path) -> None:
    for i, record in enumerate(records(trajectory, ensemble)):
        path = record.save(tmp_path / f"{i}.npz")
        again = cu.load_record(path)
        assert again == record
        assert type(again) is type(record)
        for name in ("status", "success", "dimension", "environment"):
            assert getattr(again, name) == getattr(record, name)
        assert repr(again) == repr(record)
        assert len(repr(again)) < 600
        assert again.to_frame().equals(record.to_frame())
    seed = cu.load_record(tmp_path / "1.npz").seed
    assert (seed.entropy, seed.spawn_key) == (5, (7,))
    told = trajectory.statistics["averages"]["standard_error"]
    assert np.array_equal(cu.load_record(tmp_path / "0.npz").statistics["averages"]["standard_error"], told)
    with pytest.raises(cu.InputError, match=r"0.npz exists; give another name, or overwrite=True"):
        trajectory.save(tmp_path / "0.npz")
    trajectory.save(str(tmp_path / "0.npz"), overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{i}.npz" for i in range(5)]


def test_records_travel_to_other_processes(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> None:
    """Through pickle, and as copies: the same, and as unchangeable."""
    for record in records(trajectory, ensemble):
        for again in (pickle.loads(pickle.dumps(record)), copy.deepcopy(record), copy.copy(record)):
            assert again == record
            assert type(again) is type(record)
            assert repr(again) == repr(record)
            assert again.environment == record.environment
            name, array = next(iter(again.arrays.items()))
            assert getattr(again, name) is array
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0.0
            with pytest.raises(TypeError):
                again.arrays[name] = array


def test_the_file_is_what_the_documentation_says(trajectory: cu.Trajectory, tmp_path: Path) -> None:
    path = trajectory.save(tmp_path / "x.npz")
    with np.load(path, allow_pickle=False) as content:
        header = json.loads(str(content["record"]))
        assert np.array_equal(content["Q"], trajectory.Q)
    assert header["format"] == 1
    assert header["kind"] == "trajectory"
    assert cu.Experiment.from_dict(header["experiment"]) == trajectory.experiment
    assert cu.Numerics(**header["numerics"]) == trajectory.numerics


def test_damaged_files_are_told(trajectory: cu.Trajectory, tmp_path: Path) -> None:
    path = trajectory.save(tmp_path / "x.npz")
    content = path.read_bytes()
    bad = tmp_path / "bad.npz"
    for size in (0, 1, 20, len(content) // 2, len(content) - 1):
        bad.write_bytes(content[:size])
        with pytest.raises(cu.InputError, match=r"is no record of curriculode|is damaged"):
            cu.load_record(bad)
    rng = np.random.default_rng(0)
    for _ in range(60):
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        bad.write_bytes(bytes(flipped))
        with contextlib.suppress(cu.InputError):
            assert cu.load_record(bad) == trajectory  # a byte that means nothing, such as a date of the archive
    np.savez(bad, a=np.ones(3))
    with pytest.raises(cu.InputError, match=r"is no record of curriculode; give a file that record\.save wrote"):
        cu.load_record(bad)
    with pytest.raises(cu.InputError, match="cannot be read: No such file"):
        cu.load_record(tmp_path / "none.npz")
    with pytest.raises(cu.InputError, match="path = 3 is not allowed"):
        cu.load_record(3)
    header = json.loads(str(np.load(path)["record"]))
    for change, message in ((dict(format=9), "has format 9, but this version"), (dict(kind="nonsense"), "of the kind 'nonsense'")):
        np.savez(bad, record=np.array(json.dumps({**header, **change})), **trajectory.arrays)
        with pytest.raises(cu.InputError, match=message):
            cu.load_record(bad)


def test_a_full_disk_leaves_nothing_behind(trajectory: cu.Trajectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trajectory.save(tmp_path / "x.npz")
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "open", full)
    with pytest.raises(cu.InputError, match="cannot be written: No space left on device"):
        trajectory.save(path, overwrite=True)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_arrays_cannot_be_changed(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> None:
    for record in (trajectory, ensemble):
        with pytest.raises(ValueError, match="read-only"):
            record.Q[0] = 0.0
        with pytest.raises(AttributeError):
            record.status = "fine"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="has no 'R'; its arrays are t, Q, M, v"):
        _ = trajectory.R


def test_dimensions_have_names(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> None:
    assert trajectory.dims("Q") == ("time", "unit", "other_unit")
    assert ensemble.dims("M") == ("run", "time", "unit", "reference")
    assert ensemble.dims("start_v") == ("run", "unit")
    two = ensemble.experiment.replace({"task.faded_fraction": 0.5})
    assert cu.integrate(two, two.initial(100), points=64, times=2).dims("M") == ("time", "block", "unit", "reference")


def test_to_xarray(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> None:
    pytest.importorskip("xarray")
    for record in records(trajectory, ensemble):
        data = record.to_xarray()
        for name, value in record.arrays.items():
            if name not in ("t", "run"):
                assert data[name].dims == record.dims(name)
                assert np.array_equal(data[name].to_numpy(), value)
        assert np.array_equal(data.time.to_numpy(), record.t)
        assert cu.Experiment.from_dict(json.loads(data.attrs["experiment"])) == record.experiment


def test_a_state_to_go_on_from(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> None:
    """Integrating in two halves is integrating once."""
    experiment = trajectory.experiment.replace({"protocol.order": "random"})
    start = experiment.initial(dimension=200)
    whole = cu.integrate(experiment, start, points=64, rtol=1e-9, times=[0.5, 1.0])
    half = experiment.replace({"protocol.duration": 0.5})
    again = cu.integrate(half, whole.state(0.5), points=64, rtol=1e-9, times=[0.5])
    assert pytest.approx(whole.state().Q, abs=1e-6) == again.state().Q
    assert trajectory.state(0.0) == trajectory.experiment.initial(dimension=200)
    assert np.array_equal(ensemble.state(run=2).v, ensemble.v[2, -1])
    with pytest.raises(cu.InputError, match=r"t = 0.7 was not recorded; the nearest recorded time is 0.66666"):
        trajectory.state(0.7)
    with pytest.raises(cu.InputError, match=r"run = 3 is not allowed; the ensemble has the runs 0 \.\.\. 2"):
        ensemble.state(run=3)


def test_comparing_records_compares_them(trajectory: cu.Trajectory) -> None:
    assert trajectory == trajectory.replace(status="other words")
    assert trajectory != trajectory.replace(arrays={"v": 2 * trajectory.v})
    assert trajectory != 3
    assert trajectory.state() == trajectory.state()
    assert trajectory.state(0.0) != trajectory.state()


def test_observables_by_name(trajectory: cu.Trajectory, ensemble: cu.Ensemble) -> None:
    assert np.array_equal(trajectory.observable("accuracy"), 1 - trajectory.classification_error)
    assert np.array_equal(ensemble.observable("Q[1,2]"), ensemble.Q[..., 1, 2])
    assert ensemble.observable("covered_clusters").shape == (3, 4)
    with pytest.raises(cu.InputError, match=r"observable 'acuracy' is unknown .did you mean 'accuracy'"):
        trajectory.observable("acuracy")
    assert re.search(r"<table>.*<th>status</th>", trajectory._repr_html_())


def test_numerics_are_one_description(experiment: cu.Experiment) -> None:
    """Keywords are shortcuts for settings of the numerics, and what a record holds makes it again."""
    start = experiment.initial(dimension=200)
    short = cu.integrate(experiment, start, points=64, rtol=1e-5, times=[0.5, 1.0], noise_terms=False)
    long = cu.integrate(experiment, start, numerics=cu.Numerics(points=64, rtol=1e-5, times=(0.5, 1.0), noise_terms=False))
    assert short == long
    assert cu.integrate(experiment, start, numerics=short.numerics) == short
    assert cu.integrate(experiment, start, numerics=short.numerics, noise_terms=True) != short
    both = cu.simulate(experiment, dimension=1e2, runs=2.0, numerics=cu.Numerics(space="weight", times=3), times=2)
    assert both.numerics == cu.Numerics(space="weight", times=2, points=1024)
    for given in (
        dict(rtol="1e-6"),
        dict(rtol=2.0),
        dict(points=100),
        dict(noise_terms="False"),
        dict(times=1),
        dict(space="flat"),
        dict(workers=0),
        dict(pionts=64),
    ):
        with pytest.raises(cu.InputError):
            cu.Numerics(**given)
    with pytest.raises(cu.InputError, match=r"numerics = 'fast' is not allowed; give a curriculode\.Numerics"):
        cu.integrate(experiment, start, numerics="fast")
