"""What the networks of a seed share, and what an order makes of it."""

import numpy as np
import pytest

import curriculode as cu
from curriculode.sims.networks.draws import counts, draw_rows, draw_tests, framed, plan_order, show

from .conftest import described

ORDERS = ("curriculum", "anti-curriculum", "random")


def rows_of(experiment, seed=3, stream=0):
    return draw_rows(experiment, experiment.data.images(), seed, stream)


def seen(experiment, rows):
    """What is seen in the experiment's order: images (n, ...) and plan."""
    images, plan = experiment.data.images().train, plan_order(experiment, rows)
    return show(experiment, images, images, rows, plan.level), plan


def test_orders_are_permutations_of_the_same_rows(digits):
    rows = rows_of(digits)
    assert np.bincount(rows.level).tolist() == [24, 24, 48]
    for order in ORDERS:
        x, plan = seen(digits.replace({"protocol.order": order}), rows)
        assert np.array_equal(np.sort(plan.index), np.arange(96))
        assert np.array_equal(x, seen(digits, rows)[0])
    curriculum, anti, random = (plan_order(digits.replace({"protocol.order": order}), rows).index for order in ORDERS)
    assert np.array_equal(random, np.arange(96))
    for index, sign in ((curriculum, 1), (anti, -1)):
        level = sign * rows.level[index]
        assert (np.diff(level) >= 0).all()
        assert (np.diff(index)[np.diff(level) == 0] > 0).all()  # stable: within a level in the order at random


def test_a_common_tail_is_the_same_for_all_orders():
    rows = rows_of(described())
    tails = [plan_order(described(order, training__common_tail=0.25), rows) for order in (*ORDERS, "hard-only")]
    for plan in tails:
        assert np.array_equal(plan.index[-24:], np.arange(72, 96))
        assert np.array_equal(np.sort(plan.index), np.arange(96))
        assert np.array_equal(plan.level[72:], rows.level[72:])
    assert (tails[3].level[:72] == 2).all()


def test_hard_only_shows_the_same_images_with_the_same_noise(digits):
    rows = rows_of(digits)
    mixed, _ = seen(digits, rows)
    hard, plan = seen(digits.replace({"protocol.order": "hard-only"}), rows)
    assert (plan.level == 2).all()
    sigma = np.array([0.0, 0.5, 1.0])[rows.level]
    expected = (1.0 - sigma)[:, None] * rows.noise
    assert np.allclose((hard - mixed).reshape(96, -1), expected, atol=1e-5)


def test_levels_change_nothing_of_what_else_is_drawn(digits):
    rows = rows_of(digits)
    other = rows_of(digits.replace({"levels.hard.pixel_noise": 3.0, "network.width": 30}))
    for name in ("image", "level", "noise", "place"):
        assert np.array_equal(getattr(rows, name), getattr(other, name))
    assert not np.array_equal(rows.image, rows_of(digits, stream=1).image)


def test_images_are_seen_in_turn_where_there_are_fewer(digits):
    longer = digits.replace({"protocol.duration": 2 * 1437 / 64})
    assert np.bincount(rows_of(longer).image).tolist() == [2] * 1437


def test_stages_take_their_numbers_of_every_level(digits):
    plan = [
        cu.Stage(share=0.5, probability={"easy": 0.5, "hard": 0.5}, learning_rate=0.2),
        cu.Stage(share=0.5, probability={"medium": 0.5, "hard": 0.5}, perturbation="noise"),
    ]
    experiment = digits.replace({"protocol.order": "stages", "protocol.plan": [stage.model_dump() for stage in plan]})
    rows = rows_of(experiment)
    found = plan_order(experiment, rows)
    assert np.array_equal(np.sort(found.index), np.arange(96))
    assert np.bincount(rows.level[found.index[:48]], minlength=3).tolist() == [24, 0, 24]
    assert np.bincount(rows.level[found.index[48:]], minlength=3).tolist() == [0, 24, 24]
    assert (found.rate[:48] == 0.2).all()
    assert (found.rate[48:] == 0.05).all()
    assert [(event.at, event.perturbation.kind) for event in found.events] == [(48, "noise")]


def test_counts_are_the_nearest_whole_numbers():
    assert counts((0.1, 0.1, 0.8), 10_000).tolist() == [1000, 1000, 8000]
    assert counts((1 / 3, 1 / 3, 1 / 3), 10).sum() == 10
    assert counts((0.0, 1.0), 7).tolist() == [0, 7]


def test_frames_hold_the_image_where_they_should():
    images = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
    frames = np.full((1, 8, 8, 1), -1.0, np.float32)
    half = framed(images, frames, 0.5, np.array([[1.0 - 1e-9, 0.0]]))[0, :, :, 0]
    # Half the side: the mean of every two by two pixels, in the lower left corner.
    blocks = images[0, :, :, 0].reshape(4, 2, 4, 2).mean(axis=(1, 3))
    assert np.array_equal(half[4:, :4], blocks)
    assert (half[:4] == -1.0).all()
    assert (half[:, 4:] == -1.0).all()


def test_shrinking_is_that_of_another_library():
    jax = pytest.importorskip("jax", reason="needs the extra networks")
    images = np.random.default_rng(1).random((2, 28, 28, 3)).astype(np.float32)
    ours = framed(images, np.zeros_like(images), 0.75, np.zeros((2, 2)))[:, :21, :21]
    theirs = jax.image.resize(images, (2, 21, 21, 3), "bilinear", antialias=False)
    assert np.allclose(ours, theirs, atol=1e-5)


def test_the_tests_of_all_levels_are_the_same_images(digits):
    images = digits.data.images()
    tests = draw_tests(digits, images, 5)
    assert tests.shape == (3, 60, 8, 8, 1)
    assert np.array_equal(tests[0], images.test)
    assert np.allclose(2.0 * (tests[1] - tests[0]), tests[2] - tests[0], atol=1e-5)
    assert (tests[2] - tests[0]).std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * tests[0].size))
