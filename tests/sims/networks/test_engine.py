"""The engine against plain numpy and finite differences, and bits that depend on the seed alone."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.networks.course import Lesson, aligned
from curriculode.theory.describe.order_parameters import child_seed

from .conftest import described, lesson_of

jax = pytest.importorskip("jax", reason="the extra networks is not installed")
from curriculode.sims.networks import engine, layers  # noqa: E402

NETWORKS = [
    (cu.MLP(width=[5, 4], activation="gelu"), "cross-entropy"),
    (cu.MLP(width=4, activation="tanh"), "squared"),
    (cu.CNN(filters=2, depth=2, activation="erf"), "cross-entropy"),
]
gradient = jax.jit(engine.gradient, static_argnums=(0, 1))


@pytest.mark.parametrize(("network", "loss"), NETWORKS, ids=["mlp-gelu", "mlp-tanh", "cnn-erf"])
def test_gradients_are_finite_differences(network, loss):
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        weights = [
            {name: rng.standard_normal(value.shape) * 0.5 for name, value in layer.items()}
            for layer in layers.random_weights(network, (8, 8, 1), 10, rng)
        ]
        x, labels = rng.standard_normal((3, 8, 8, 1)), np.array([1, 7, 3])
        found = engine.on_host(gradient(network, loss, weights, x, labels))

        value = jax.jit(lambda each: layers.losses(loss, layers.outputs(network, each, x), labels).mean())

        step = 1e-5
        for number, layer in enumerate(weights):
            for name, array in layer.items():
                place = tuple(rng.integers(size) for size in array.shape)
                moved = []
                for sign in (1.0, -1.0):
                    other = [{key: np.array(part) for key, part in every.items()} for every in weights]
                    other[number][name][place] += sign * step
                    moved.append(float(value(other)))
                assert found[number][name][place] == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-6, abs=1e-9)


def test_convolutions_are_sums_over_neighbours():
    rng = np.random.default_rng(3)
    network = cu.CNN(filters=3, depth=2, activation="tanh")
    weights = layers.random_weights(network, (7, 6, 2), 4, rng)
    for layer in weights:
        layer["b"] = rng.standard_normal(layer["b"].shape).astype(np.float32)
    images = rng.standard_normal((2, 7, 6, 2)).astype(np.float32)
    expected = []
    for image in images:
        x = image.astype(float)
        for layer in weights[:-1]:
            framed = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            g = np.empty((*x.shape[:2], 3))
            for i, j in np.ndindex(x.shape[:2]):
                g[i, j] = np.tanh((layer["w"] * framed[i : i + 3, j : j + 3]).sum(axis=(1, 2, 3)) + layer["b"])
            rows, columns = x.shape[0] // 2, x.shape[1] // 2  # the seventh row has no partner
            x = np.array([[g[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(0, 1)) for j in range(columns)] for i in range(rows)])
        expected.append(weights[-1]["w"] @ x.ravel() + weights[-1]["b"])
    assert np.allclose(layers.outputs(network, weights, images), expected, atol=1e-5)


def numpy_step(weights, x, label, rate):
    """A step on |f - e_y|^2 / 2 of one hidden layer of ReLUs, written out."""
    (W, b), (V, c) = ((layer["w"].astype(float), layer["b"].astype(float)) for layer in weights)
    h = W @ x + b
    g = np.maximum(h, 0.0)
    e = V @ g + c - np.eye(10)[label]
    push = (V.T @ e) * (h > 0)
    return [{"w": W - rate * np.outer(push, x), "b": b - rate * push}, {"w": V - rate * np.outer(e, g), "b": c - rate * e}]


def test_a_training_is_its_steps_in_plain_numpy():
    experiment = described(training__loss="squared", protocol__duration=0.125)
    lesson = lesson_of(experiment)
    start = lesson.start(experiment)
    assert start[0]["w"].shape == (6, 64)
    course = lesson.run(experiment, start)
    rows = lesson.rows()
    from curriculode.sims.networks.draws import plan_order

    plan, weights = plan_order(experiment, rows), start
    x, labels = lesson.shown(rows, plan.level)
    for i in plan.index:
        weights = numpy_step(weights, x[i].ravel().astype(float), labels[i], 0.05)
    for ours, theirs in zip(course.weights, weights, strict=True):
        assert np.allclose(ours["w"], theirs["w"], atol=2e-5)
        assert np.allclose(ours["b"], theirs["b"], atol=2e-5)
    f = np.maximum(lesson.tests[1].reshape(60, -1) @ weights[0]["w"].T + weights[0]["b"], 0) @ weights[1]["w"].T + weights[1]["b"]
    labels = lesson.images.test_labels
    assert course.values[-1, 0, 1] == pytest.approx((f.argmax(axis=1) != labels).mean())
    assert course.values[-1, 1, 1] == pytest.approx(0.5 * ((f - np.eye(10)[labels]) ** 2).sum(axis=1).mean(), rel=1e-4)


def test_batches_are_means_and_the_last_one_may_be_smaller():
    experiment = described(training__batch=4, protocol__duration=10 / 64)
    lesson = lesson_of(experiment)
    start = lesson.start(experiment)
    rows = lesson.rows()
    x, labels = lesson.shown(rows, rows.level)
    plan = np.argsort(rows.level, kind="stable")
    weights = start
    for part in (plan[:4], plan[4:8], plan[8:]):
        steps = [
            engine.on_host(gradient(experiment.network, "cross-entropy", weights, x[i : i + 1], labels[i : i + 1])) for i in part
        ]
        weights = [
            {name: layer[name] - 0.05 * np.mean([step[k][name] for step in steps], axis=0) for name in layer}
            for k, layer in enumerate(weights)
        ]
    found = lesson.run(experiment, start).weights
    assert np.allclose(found[0]["w"], weights[0]["w"], atol=1e-6)
    assert [aligned(step, 4, 10) for step in (0, 3, 4, 9, 10, 12)] == [0, 0, 4, 8, 10, 10]


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_optimizers_are_their_formulas(optimizer):
    experiment = described(training__optimizer=optimizer, training__weight_decay=0.1, protocol__duration=3 / 64)
    lesson = lesson_of(experiment)
    start = lesson.start(experiment)
    rows = lesson.rows()
    x, labels = lesson.shown(rows, rows.level)
    w = start[0]["w"].astype(float)
    kept = lesson.run(experiment, start, keep=[0, 1, 2, 3]).kept
    m, s = np.zeros(w.shape), np.zeros(w.shape)
    for number, i in enumerate(np.argsort(rows.level, kind="stable"), start=1):
        weights = kept[number - 1]
        # The other layers are taken from the engine: only the rule for the first is written out.
        slope = engine.on_host(gradient(experiment.network, "cross-entropy", weights, x[i : i + 1], labels[i : i + 1]))[0]["w"]
        slope = slope + 0.1 * weights[0]["w"]
        if optimizer == "momentum":
            m = 0.9 * m + slope
            w = w - 0.05 * m
        else:
            m, s = 0.9 * m + 0.1 * slope, 0.999 * s + 0.001 * slope**2
            w = w - 0.05 * (m / (1 - 0.9**number)) / (np.sqrt(s / (1 - 0.999**number)) + 1e-8)
        assert np.allclose(kept[number][0]["w"], w, atol=2e-5)


@pytest.mark.parametrize("network", [{"network.width": 6}, {"network": "cnn"}], ids=["mlp", "cnn"])
def test_one_level_makes_all_orders_equal_bit_by_bit(network):
    alone = {f"levels.{name}.pixel_noise": 0.7 for name in ("easy", "medium", "hard")}
    tables = described(**{name.replace(".", "__"): value for name, value in alone.items()}).to_dict()
    tables["levels"] = {"only": {"pixel_noise": 0.7}}
    if "network" in network:
        tables["network"] = {"kind": "cnn", "filters": 2}
    found = []
    for order in ("curriculum", "anti-curriculum", "random", "hard-only", "easy-only"):
        experiment = cu.NetworkExperiment.from_dict(tables).replace({"protocol.order": order})
        lesson = lesson_of(experiment)
        found.append(lesson.run(experiment, lesson.start(experiment)).weights)
    for other in found[1:]:
        assert all(np.array_equal(a[name], b[name]) for a, b in zip(found[0], other, strict=True) for name in a)


def test_runs_have_the_same_bits_whatever_is_computed_beside_them(digits):
    together = cu.networks.train(digits, runs=4, times=2, workers=2, progress=False)
    alone = cu.networks.train(digits, runs=1, first=2, times=2, workers=1, progress=False)
    assert np.array_equal(together.loss[2], alone.loss[0])
    assert not np.array_equal(together.loss[1], together.loss[2])
    looked = cu.networks.train(digits, runs=1, first=2, times=7, progress=False)
    assert np.allclose(looked.loss[0, -1], alone.loss[0, -1], rtol=1e-5)  # looking on the way changes nothing but rounding


def test_networks_side_by_side_are_those_one_by_one(digits):
    lessons = [Lesson(digits, digits.data.images(), child_seed(0, run)) for run in range(3)]
    starts = [lesson.start(digits) for lesson in lessons]
    one_by_one = [lesson.run(digits, start).weights for lesson, start in zip(lessons, starts, strict=True)]
    from curriculode.sims.networks.draws import plan_order

    parts = []
    for lesson in lessons:
        plan = plan_order(digits, lesson.rows())
        parts.append((*lesson.shown(lesson.rows(), plan.level), plan.index[:, None], plan.rate.astype(np.float32)))
    x, labels, index, rates = (np.array(part) for part in zip(*parts, strict=True))
    stacked = jax.tree.map(lambda *each: np.stack(each), *starts)
    found = engine.on_host(engine.train_many(digits.network, ("cross-entropy", "sgd", 0.0), stacked, x, labels, index, rates))
    for i, weights in enumerate(one_by_one):
        assert np.allclose(found[0]["w"][i], weights[0]["w"], atol=1e-5)


def test_masks_stay(digits):
    lesson = lesson_of(digits)
    start = lesson.start(digits)
    mask = np.random.default_rng(0).random((6, 64)) < 0.3
    course = lesson.run(digits, start, masks=[mask.astype(np.float32), None], keep=[50])
    for weights in (course.weights, course.kept[50]):
        assert (weights[0]["w"][~mask] == 0.0).all()
    assert (course.weights[0]["w"][mask] != start[0]["w"][mask]).mean() > 0.5


def test_nothing_moves_at_rate_zero(digits):
    runs = cu.networks.train(digits.replace({"training.learning_rate": 0.0}), runs=2, times=3, remember=[0.0], progress=False)
    assert np.array_equal(runs.loss[:, 0], runs.loss[:, -1])
    assert (runs.weight_correlation(0.1) == 1.0).all()
    assert (runs.sign_changes() == 0.0).all()
    assert (runs.weight_distance() == 0.0).all()


def test_a_perturbation_of_a_stage_is_that_of_the_weights():
    protocol = described().protocol.perturbed("signs", at=0.75)
    experiment = cu.NetworkExperiment(**{**dict(described(training__learning_rate=0.0)), "protocol": protocol})
    lesson = lesson_of(experiment)
    start = lesson.start(experiment)
    course = lesson.run(experiment, start, keep=[47, 48])
    assert np.array_equal(course.kept[47][0]["w"], start[0]["w"])
    W = course.weights[0]["w"]
    sizes = np.sqrt((start[0]["w"].astype(float) ** 2).mean(axis=1, keepdims=True))
    assert np.allclose(W, np.sign(start[0]["w"]) * sizes, rtol=1e-5)
    assert np.array_equal(course.weights[-1]["w"], start[-1]["w"])  # the readout stays


def test_a_run_that_diverges_is_told(digits):
    wild = cu.networks.train(
        digits.replace({"training.learning_rate": 1e3, "training.loss": "squared"}), runs=2, times=3, progress=False
    )
    assert not wild.success
    assert "2 diverged (a smaller learning_rate may help)" in wild.status
    assert np.isnan(wild.loss[:, -1]).all()
    assert np.isfinite(wild.loss[:, 0]).all()


def test_initial_weights_have_their_deviations():
    rng = np.random.default_rng(0)
    for network in (cu.MLP(width=200, weight_scale=0.5), cu.CNN(filters=64, activation="tanh")):
        weights = layers.random_weights(network, (28, 28, 1), 10, rng)
        for layer, sigma in zip(weights, layers.deviations(network, [each["w"].shape for each in weights]), strict=True):
            assert layer["w"].std(dtype=float) == pytest.approx(sigma, rel=4 / np.sqrt(2 * layer["w"].size))
    assert layers.deviations(cu.MLP(width=50), [(50, 784), (10, 50)]) == pytest.approx([np.sqrt(2 / 784), np.sqrt(1 / 50)])
