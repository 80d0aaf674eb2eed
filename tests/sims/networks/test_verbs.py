"""Verbs on real networks: comparisons with their store, records, tickets, two copies."""

from itertools import pairwise

import numpy as np
import pytest

import curriculode as cu
from curriculode import networks
from curriculode.sims.networks.comparison import OrderComparison
from curriculode.sims.networks.describe import builtin_networks
from curriculode.sims.networks.indicators import in_common
from curriculode.sims.networks.pairs import errors_on_line, matched
from curriculode.sims.networks.points import Point
from curriculode.sims.networks.tickets import _Tickets
from curriculode.sims.pairs.instability import along_line

from .conftest import described, lesson_of

pytest.importorskip("jax", reason="the extra networks is not installed")


class Stop:
    """A progress that interrupts as soon as anything is done."""

    def __call__(self, fraction: float) -> None:
        if fraction > 0.0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Two widths and two orders, the rates tried before, with its store."""
    store = tmp_path_factory.mktemp("store") / "networks.sqlite"
    options = {"rates": [1e-6, 0.05], "scan": 2, "store": store, "progress": False}
    return networks.compare(described(), {"network.width": [4, 6]}, runs=3, **options), options


def test_a_comparison_is_its_networks_one_by_one(compared):
    found, _ = compared
    assert (found.rates == 0.05).all()  # at the other one nothing is learnt
    assert found.to_frame().shape == (2 * 2 * 3 * 4, 6)
    runs = networks.train(described("random", training__learning_rate=0.05, network__width=4), runs=3, times=2, progress=False)
    assert np.allclose(found.values[0, 1, :, 1], runs.loss[:, -1], rtol=1e-5)
    mixture = runs.classification_error[:, -1] @ [0.25, 0.25, 0.5]
    assert np.allclose(found.errors[0, 1, :, 3], mixture)
    assert "12 of 12 networks trained after 16 trials of learning rates on other seeds" in found.status


def test_the_same_call_computes_what_is_missing_only(compared, monkeypatch):
    found, options = compared
    from curriculode.sims.networks import points

    seen = []
    monkeypatch.setattr(points, "_compute", lambda what, all_, missing, *rest: seen.append(len(missing)) or False)
    again = networks.compare(described(), {"network.width": [4, 6]}, runs=3, **options)
    assert np.array_equal(again.values, found.values)
    assert seen == []
    networks.compare(described(), {"network.width": [4, 6]}, runs=4, **options)
    assert seen == [4]
    other = {"network.width": [4, 6], "training.common_tail": [0.25]}
    networks.compare(described(), other, orders=["random"], runs=2, store=options["store"], progress=False)
    assert seen[1:] == [4]


def test_side_by_side_the_same_networks_come_out(compared, monkeypatch, tmp_path):
    found, _ = compared
    from curriculode.sims.networks import engine, points

    monkeypatch.setattr(engine, "side_by_side", lambda: True)
    monkeypatch.setattr(points, "_TOGETHER", 5)
    calls, train_many = [], engine.train_many
    monkeypatch.setattr(engine, "train_many", lambda *parts: calls.append(len(parts[5])) or train_many(*parts))
    options = {"runs": 3, "store": tmp_path / "beside.sqlite", "progress": False}
    beside = networks.compare(described(), {"network.width": [4, 6]}, **options)
    assert np.allclose(beside.values, found.values, rtol=1e-4)
    assert sorted(calls) == [1, 1, 5, 5]  # six networks of each width
    odd = networks.compare(described(training__batch=5), runs=1, progress=False)  # 96 examples: one by one
    monkeypatch.undo()
    assert np.array_equal(odd.values, networks.compare(described(training__batch=5), runs=1, progress=False).values)


def test_what_is_finished_when_it_is_interrupted_is_kept(tmp_path):
    store = tmp_path / "networks.sqlite"
    found = networks.compare(described(), runs=6, store=store, workers=1, progress=Stop())
    assert found.interrupted
    assert "interrupted" in found.status
    done = int(np.isfinite(found.values).all(axis=(3, 4)).sum())
    assert done < 12
    whole = networks.compare(described(), runs=6, store=store, progress=False)
    assert np.isfinite(whole.values).all()
    kept = np.isfinite(found.values)
    assert np.array_equal(found.values[kept], whole.values[kept])


def test_keys_are_of_what_determines_the_numbers():
    point = Point(described(), 0)
    here = point.key(0, "images", "cpu")
    assert here == Point(described(), 0).key(0, "images", "cpu")
    others = [
        Point(described(), 1).key(0, "images", "cpu"),
        point.key(1, "images", "cpu"),
        point.key(0, "other images", "cpu"),
        Point(described("random"), 0).key(0, "images", "cpu"),
        Point(described(training__learning_rate=0.1), 0).key(0, "images", "cpu"),
        Point(described(data__scaling="unit"), 0).key(0, "images", "cpu"),
        Point(described(data__test=61), 0).key(0, "images", "cpu"),
    ]
    assert len({here, *others}) == 8
    assert Point(described(data__folder="elsewhere"), 0).key(0, "images", "cpu") == here


def by_hand(errors: np.ndarray, widths: list[int]) -> OrderComparison:
    """A comparison of curriculum and random order whose errors (cells, orders, runs, levels) are these."""
    values = np.stack([errors, errors], axis=3)
    cells = [{"network.width": width} for width in widths]
    rates = np.full((len(cells), 2), 0.1)
    return OrderComparison(
        described(), cells, ("curriculum", "random"), np.arange(errors.shape[2]), values, rates, None, "by hand", 0, ""
    )


def test_gaps_are_paired_and_trends_are_slopes_a_doubling():
    errors = np.full((2, 2, 3, 3), 0.5)
    errors[0, 0, :, 2] = [0.41, 0.40, 0.39]  # the gain at the hard level is .09, .10, .11 at width 4
    errors[1, 0, :, 2] = [0.45, 0.46, 0.47]  # and .05, .04, .03 at width 16
    found = by_hand(errors, [4, 16])
    gaps = found.gaps().set_index(["network.width", "level"])
    assert gaps.loc[(4, "hard"), "gain"] == pytest.approx(0.1)
    assert gaps.loc[(4, "hard"), "standard_error"] == pytest.approx(0.01 / np.sqrt(3))
    assert gaps.loc[(4, "hard"), "p"] == pytest.approx(0.0033, abs=1e-4)  # t = 17.3, two degrees of freedom
    assert gaps.loc[(4, "mixture"), "gain"] == pytest.approx(0.05)
    assert np.isnan(gaps.loc[(4, "easy"), "p"])
    trend = found.trend().set_index("level")
    # Two doublings: slopes -.02, -.03, -.04.
    assert trend.loc["hard", "slope"] == pytest.approx(-0.03)
    assert trend.loc["hard", "standard_error"] == pytest.approx(0.01 / np.sqrt(3))
    assert "significant" in found.verdict()
    assert "+10.0 ± 0.6 % at hard (network.width 4)" in found.verdict()


def test_records_are_kept_in_one_file(digits, tmp_path):
    runs = networks.train(digits, runs=2, times=3, remember=[0.0, 0.75], progress=False)
    assert cu.load_record(runs.save(tmp_path / "runs.npz")) == runs
    assert runs.experiment == digits
    assert runs.weight_correlation(0.1).shape == (2, 3)
    assert (runs.weight_correlation(0.1)[:, 0] == 1.0).all()
    assert (runs.weight_cosine(0.75)[:, 1] > 1 - 1e-6).all()
    assert np.isnan(runs.sign_changes(0.75)[:, 0]).all()
    assert runs.to_frame().query("level == 'mixture'").shape == (6, 5)
    with pytest.raises(cu.InputError, match="remember"):
        networks.train(digits, remember=[2.0])


def test_indicators_are_counted():
    one = [{"w": np.array([[1.0, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]]), "b": np.zeros(1)}, {"w": np.ones((1, 1))}]
    two = [{"w": one[0]["w"] * [1, 1, 1, 1, 1, 1, 1, 1, 1, -1], "b": np.zeros(1)}, {"w": -np.ones((1, 1))}]
    signs, common, distance, cosine = in_common(two, one)
    assert signs == pytest.approx(0.1)
    assert common.tolist() == [1.0] * 5
    assert distance == pytest.approx(20.0 / np.sqrt(10))
    assert cosine == pytest.approx((385 - 200) / 385)
    three = [{"w": np.roll(one[0]["w"], 1), "b": np.zeros(1)}, {"w": np.ones((1, 1))}]
    # The two largest are then numbers 9 and 0: one of two in common, as of one the other is.
    assert in_common(three, one)[1][:2].tolist() == [0.0, 0.5]


def test_tickets_keep_what_they_should(digits):
    names = ["ticket", "reinit", "random", "fine-tune", "untrained"]
    found = networks.tickets(digits, cu.Pruning(keep=0.25, rounds=2), treatments=names, runs=2, progress=False)
    assert found.final().shape == (2, 6)
    assert found.density == pytest.approx(0.25)
    assert all((found.arrays[f"{name}.kept"] == 0.25).all() for name in names)
    assert np.isnan(found.arrays["untrained.signs"]).all()
    assert set(found.summary()["treatment"]) == {"dense", *names}
    gap = found.final()["reinit"] - found.final()["ticket"]
    assert found.paired("reinit", "ticket")["difference"] == pytest.approx(gap.mean())


def test_the_weights_of_each_treatment(digits, tmp_path):
    """At rate zero tickets are the initial weights under a mask of the largest of them."""
    still = described(training__learning_rate=0.0, network__width=[8, 5])
    import threading

    for scope in ("unit", "layer"):
        pruning = cu.Pruning(keep=0.25, scope=scope)
        work = _Tickets(lesson_of(still), pruning, threading.Event(), lambda count: None)
        found = work.all(("ticket", "random", "untrained"))
        lesson = lesson_of(still)
        start = lesson.start(still)
        for layer, mask in zip(start, found["ticket"].masks, strict=False):
            W = np.abs(layer["w"])
            least = np.sort(W, axis=None if scope == "layer" else 1)[..., ::-1]
            count = round(0.25 * (W.size if scope == "layer" else W.shape[1]))
            threshold = least[count - 1] if scope == "layer" else least[:, count - 1 : count]
            assert np.array_equal(mask, threshold <= W)
        assert np.array_equal(found["ticket"].values, found["untrained"].values)
        for mask, other in zip(found["ticket"].masks, found["random"].masks, strict=True):
            assert np.array_equal(mask.sum(axis=1), other.sum(axis=1))
            assert not np.array_equal(mask, other)
        kept = [{**layer, "w": layer["w"] * mask} for layer, mask in zip(start, found["ticket"].masks, strict=False)]
        line = errors_on_line(lesson, still, [*kept, start[-1]], start, 3)
        assert np.array_equal(line[0], found["ticket"].values[0])
        assert np.array_equal(line[2], found["dense"].values[0])


def test_rewinding_goes_back_to_time_k(digits):
    import threading

    work = _Tickets(lesson_of(digits), cu.Pruning(keep=1.0, rewind=0.5), threading.Event(), lambda count: None)
    course = lesson_of(digits).run(digits, lesson_of(digits).start(digits), end=32, stream=1)
    begun = {}
    train = work._train

    def watched(weights, masks, **options):
        begun.setdefault("late" if masks else "dense", weights)
        return train(weights, masks, **options)

    work._train = watched
    work.all(("ticket",))
    assert all(np.allclose(a["w"], b["w"], atol=1e-6) for a, b in zip(begun["late"], course.weights, strict=True))


@pytest.mark.parametrize(
    "network", [cu.MLP(width=[6, 5]), cu.MLP(width=7, activation="erf"), cu.CNN(filters=3)], ids=["mlp", "erf", "cnn"]
)
def test_units_that_were_put_in_another_order_are_found(network):
    experiment = cu.NetworkExperiment(**{**dict(described()), "network": network})
    lesson, rng = lesson_of(experiment), np.random.default_rng(0)
    one = lesson.start(experiment)
    for layer in one:
        layer["b"] = rng.standard_normal(layer["b"].shape).astype(np.float32)
    two = [dict(layer) for layer in one]
    for layer, after in pairwise(two):
        order = rng.permutation(len(layer["b"]))
        sign = (
            rng.choice([-1.0, 1.0], order.size).astype(np.float32)
            if network.activation == "erf"
            else np.ones(order.size, np.float32)
        )
        layer["w"], layer["b"] = layer["w"][order], layer["b"][order] * sign
        layer["w"] = layer["w"] * sign.reshape(-1, *[1] * (layer["w"].ndim - 1))
        by_unit = after["w"].reshape(*after["w"].shape[:-1], -1, order.size) if after["w"].ndim == 2 else after["w"]
        after["w"] = (by_unit[..., order] * sign).reshape(after["w"].shape)
    found = matched(experiment, one, two)
    for a, b in zip(one, found, strict=True):
        assert np.allclose(a["w"], b["w"])
        assert np.allclose(a["b"], b["b"])
    lines = errors_on_line(lesson, experiment, one, two, 5)
    assert np.allclose(lines[0], lines[-1], atol=0.02)  # the same function, but for ties and rounding
    level = errors_on_line(lesson, experiment, one, found, 5)
    assert np.allclose(level, level[0])


def test_a_barrier_is_the_highest_error_over_the_mean_of_the_ends():
    found = along_line(np.array([[0.1, 0.4, 0.3, 0.2, 0.2]]))
    assert found["barrier"] == pytest.approx([0.25])
    assert found["midpoint"] == pytest.approx([0.15])
    assert found["error"] == pytest.approx([0.15])
    assert found["difference"] == pytest.approx([0.1])


def test_copies_that_part_late_are_close(digits):
    found = networks.instability(digits, at=[0.0, 95 / 64], runs=3, level="easy", alphas=5, progress=False)
    assert found.barrier.shape == (2, 3)
    assert (found.difference[1] <= 0.1).all()
    assert found.error[1].mean() < 0.9
    assert found.summary()["error"].tolist() == pytest.approx(found.error.mean(axis=1).tolist())
    assert found.statistics["level"] == "easy"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda e: networks.train("digits"), "give a NetworkExperiment"),
        (lambda e: networks.train(e, runs=0), "runs = 0 is not allowed"),
        (lambda e: networks.compare(e, {"network.size": [1]}), "'size' is unknown"),
        (lambda e: networks.compare(e, {"network.width": [0]}), "MLP: width = 0 is not allowed"),
        (lambda e: networks.compare(e, orders=["best"]), "order 'best' is unknown"),
        (lambda e: networks.compare(e, rates=[-1.0]), "give learning rates above 0"),
        (lambda e: networks.compare(e, by="noisy"), "by 'noisy' is unknown"),
        (lambda e: networks.compare(e, {"protocol.order": ["random"]}), "give orders="),
        (lambda e: networks.tickets(e, cu.Pruning(keep=0.5), treatments=["overlaps"]), "networks of layers do not know"),
        (lambda e: networks.tickets(e, cu.Pruning(keep=0.5, rewind=9.0)), "rewind = 9 is not allowed"),
        (lambda e: networks.instability(e, at=[1.5]), "copies part within the protocol"),
        (lambda e: networks.instability(e, at=[0.5], level="none"), "level 'none' is unknown"),
        (lambda e: e.replace({"levels.hard.pixel_noise": -1.0}), "pixel_noise = -1.0 is not allowed; it must be at least 0"),
        (lambda e: e.replace({"levels.hard.noise": 1.0}), "'noise'"),
        (lambda e: e.replace({"network.kind": "transformer"}), "network.kind 'transformer' is unknown"),
        (lambda e: e.replace({"protocol.duration": 1e-3}), "is no full example"),
        (lambda e: networks.load("nothing"), "experiment 'nothing' is unknown"),
        (lambda e: cu.CNN(filters=2, depth=4).shapes((8, 8, 1), 10), "each convolution halves images"),
    ],
)
def test_bad_input_is_one_sentence(digits, call, words):
    with pytest.raises(cu.InputError, match=words) as told:
        call(digits)
    assert len(str(told.value)) <= 300


def test_files_hold_the_experiment(digits):
    staged = digits.replace({"network.width": [5, 3], "training.common_tail": 0.1, "levels.hard.frame_scale": 0.5})
    assert cu.NetworkExperiment.from_toml(staged.to_toml()) == staged
    assert staged.network.depth == 2
    study = networks.NetworkStudy(
        experiment=staged, over={"network.activation": ["relu", "erf"]}, rates=[0.1], pruning=cu.Pruning(keep=0.5)
    )
    assert networks.NetworkStudy.from_toml(study.to_toml()) == study
    assert {"digits-curriculum", "fashion-curriculum", "cifar-framed"} <= set(builtin_networks())
    for name in builtin_networks():
        assert networks.NetworkStudy.load(name).experiment.examples > 1000
