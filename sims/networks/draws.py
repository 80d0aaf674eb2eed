"""What the networks of a seed share: images, levels, noise, one permutation, and the order that each protocol makes of them.

Of every seed the rows (an image, its level, its noise) are drawn once, in an order at random. That is the random order; the others
sort the same rows stably by level. "hard-only" and "easy-only" show the same images with the same noise at one level.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from curriculode.sims.networks.data import Images
from curriculode.sims.networks.describe import NetworkExperiment
from curriculode.theory.describe.order_parameters import child_seed
from curriculode.theory.describe.perturbation import Perturbation

# Keys of the streams of random numbers under a seed.
STARTS, ROWS, TESTS, MASKS, EVENTS = 20, 21, 22, 23, 24


@dataclass(frozen=True)
class Rows:
    """The rows of a seed in the random order.

    image : (n,) of training images;  level : (n,);  noise : (n, D) standard normals of float32
    other, place : (n,), (n, 2) the image of the frame, and where on it the image is, as a share of the room there is
    """

    image: np.ndarray
    level: np.ndarray
    noise: np.ndarray
    other: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Event:
    """A perturbation of the weights before example number `at`."""

    at: int
    perturbation: Perturbation


@dataclass(frozen=True)
class Plan:
    """What an order makes of the rows.

    index : (n,) rows as they are seen;  level : (n,) at which each *row* is shown;  rate : (n,) of each example as it is seen
    """

    index: np.ndarray
    level: np.ndarray
    rate: np.ndarray
    events: tuple[Event, ...] = ()


def counts(shares: tuple[float, ...], n: int) -> np.ndarray:
    """Whole numbers nearest to n times the shares, of the sum n.

    >>> counts((0.1, 0.1, 0.8), 15).tolist()
    [2, 1, 12]
    """
    exact = np.asarray(shares) * n
    found = np.floor(exact + 1e-9).astype(int)
    for k in np.argsort(found - exact, kind="stable")[: n - found.sum()]:
        found[k] += 1
    return found


def draw_rows(experiment: NetworkExperiment, images: Images, seed: Any, stream: int = 0) -> Rows:
    """The rows of a seed; `stream` counts independent sets of them."""
    n, total = experiment.examples, len(images.train)
    # Each has a stream of its own: what a level sets changes nothing of what else is drawn.
    choice, noise, frame = (np.random.default_rng(child_seed(seed, ROWS, stream, part)) for part in range(3))
    image = np.concatenate([choice.permutation(total) for _ in range(-(-n // total))])[:n]
    level = choice.permutation(np.repeat(np.arange(len(experiment.protocol.levels)), counts(experiment.protocol.shares, n)))
    normals = np.zeros((n, 0), np.float32)
    if any(each.settings.get("pixel_noise") for each in experiment.protocol.levels):
        normals = noise.standard_normal((n, experiment.data.inputs), dtype=np.float32)
    return Rows(image, level, normals, frame.integers(total, size=n), frame.random((n, 2)))


def show(experiment: NetworkExperiment, base: np.ndarray, others: np.ndarray, rows: Rows, level: np.ndarray) -> np.ndarray:
    """The images (n, height, width, channels) as each row is seen at its level (n,).

    base : the images that rows are of;  others : those of the frames
    """
    x = base[rows.image].astype(np.float32)
    for number, each in enumerate(experiment.protocol.levels):
        here = np.flatnonzero(level == number)
        scale, sigma = each.settings.get("frame_scale", 1.0), each.settings.get("pixel_noise", 0.0)
        if scale < 1.0 and here.size:
            x[here] = framed(x[here], others[rows.other[here]], scale, rows.place[here])
        if sigma > 0.0:
            x[here] += np.float32(sigma) * rows.noise[here].reshape(-1, *x.shape[1:])
    return x


def framed(images: np.ndarray, frames: np.ndarray, scale: float, place: np.ndarray) -> np.ndarray:
    """Images (n, height, width, channels) shrunk bilinearly to `scale` of their sides and pasted on frames.

    place : (n, 2) from 0 to 1, of the room that is left
    """
    result = np.array(frames, dtype=np.float32)
    rows, columns = (max(1, round(scale * size)) for size in images.shape[1:3])
    small = np.einsum("ih,jw,nhwc->nijc", _shrink(images.shape[1], rows), _shrink(images.shape[2], columns), images, optimize=True)
    corner = np.floor(place * (np.array(images.shape[1:3]) - [rows, columns] + 1)).astype(int)
    for each, (i, j), target in zip(small, corner, result, strict=True):
        target[i : i + rows, j : j + columns] = each
    return result


def _shrink(size: int, count: int) -> np.ndarray:
    """The matrix (count, size) that takes `count` values from `size`, linearly between the two pixels that are nearest."""
    matrix = np.zeros((count, size), np.float32)
    at = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0.0, size - 1.0)
    low = np.minimum(np.floor(at).astype(int), size - 1)
    high = np.minimum(low + 1, size - 1)
    np.add.at(matrix, (np.arange(count), low), 1.0 - (at - low))
    np.add.at(matrix, (np.arange(count), high), at - low)
    return matrix


def plan_order(experiment: NetworkExperiment, rows: Rows) -> Plan:
    """The rows as the experiment's order shows them."""
    protocol, n = experiment.protocol, rows.level.size
    tail = round(experiment.training.common_tail * n)
    head = n - tail
    index, level = np.arange(n), rows.level
    rate = np.full(n, experiment.training.learning_rate)
    events: tuple[Event, ...] = ()
    if protocol.order in ("curriculum", "anti-curriculum"):
        sign = 1 if protocol.order == "curriculum" else -1
        index = np.concatenate([np.argsort(sign * level[:head], kind="stable"), index[head:]])
    elif protocol.order in ("hard-only", "easy-only"):
        only = len(protocol.levels) - 1 if protocol.order == "hard-only" else 0
        level = np.where(index < head, only, level)
    elif protocol.order == "stages":
        index, rate, events = _staged(experiment, level, head)
    return Plan(index, level, rate, events)


def _staged(experiment: NetworkExperiment, level: np.ndarray, head: int) -> tuple[np.ndarray, np.ndarray, tuple[Event, ...]]:
    """The rows by stages: each takes its numbers of every level in turn, and shows them in the order at random.

    A level of which too few rows are left gives those, and the stage takes others, hardest first, so that all rows are seen once.
    """
    protocol, n = experiment.protocol, level.size
    queues = [np.flatnonzero(level[:head] == k) for k in range(len(protocol.levels))]
    taken = [0] * len(queues)
    index, rate, events = [], np.full(n, experiment.training.learning_rate), []
    done = 0
    for stage in protocol.stages():
        end = min(head, round(stage.end / protocol.duration * n))
        wanted = counts(tuple(stage.probability), max(end - done, 0))
        chosen = []
        for k in [*range(len(queues))][::-1]:
            part = queues[k][taken[k] : taken[k] + wanted[k]]
            taken[k] += part.size
            chosen.append(part)
        short = max(end - done, 0) - sum(part.size for part in chosen)
        for k in [*range(len(queues))][::-1]:
            part = queues[k][taken[k] : taken[k] + short]
            taken[k], short = taken[k] + part.size, short - part.size
            chosen.append(part)
        index.append(np.sort(np.concatenate(chosen)))
        if stage.learning_rate is not None:
            rate[done : round(stage.end / protocol.duration * n)] = stage.learning_rate
        if stage.perturbation is not None:
            events.append(Event(min(round(stage.start / protocol.duration * n), n), stage.perturbation))
        done = end
    return np.concatenate([*index, np.arange(head, n)]), rate, tuple(events)


def draw_tests(experiment: NetworkExperiment, images: Images, seed: Any) -> np.ndarray:
    """The test images (levels, n, height, width, channels) of a seed: the same images and noise at every level."""
    n = len(images.test)
    noise, frame = (np.random.default_rng(child_seed(seed, TESTS, part)) for part in range(2))
    normals = noise.standard_normal((n, experiment.data.inputs), dtype=np.float32)
    rows = Rows(np.arange(n), np.zeros(n, int), normals, frame.integers(n, size=n), frame.random((n, 2)))
    levels = range(len(experiment.protocol.levels))
    return np.stack([show(experiment, images.test, images.test, rows, np.full(n, k)) for k in levels])
