"""Points of a grid of networks: one experiment and one seed each, kept in the store of sweeps by what determines their numbers.

A key is made of the experiment, the seed, the sha256 of the images and the kind of device; the sources that count are those of this
room. Points of one seed share what is drawn, so that they are computed together.
"""

import hashlib
import json
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from curriculode.sims.networks.course import Lesson, Stopped
from curriculode.sims.networks.data import Images
from curriculode.sims.networks.describe import NetworkExperiment
from curriculode.sims.runs.crew import spread, worker_count
from curriculode.sims.runs.progress import Told
from curriculode.sims.sweep import sources
from curriculode.sims.sweep.format import number
from curriculode.sims.sweep.point import Result
from curriculode.sims.sweep.store import Store
from curriculode.sims.sweep.values import Layout
from curriculode.theory.core.environment import environment
from curriculode.theory.describe.order_parameters import child_seed

_COUNT = ("architectures", "catalogue", "course", "data", "describe", "draws", "engine", "files", "layers", "points")
_TOGETHER = 64  # networks side by side
_COST = 4_000.0  # weights that a step of the smallest network costs


@cache
def own_sources() -> str:
    """The number of the sources that determine the numbers of a network."""
    here = Path(__file__).parent
    files = {name: (here / f"{name}.py").read_bytes() for name in _COUNT}
    return sources.syntax_number({**files, "perturb": (here.parent / "spaces" / "perturb.py").read_bytes()})


class NetworkStore(Store):
    """A store of sweeps, of whose points those that the sources of this room computed are found."""

    @property
    def own(self) -> int:
        """The number of this room's sources."""
        return number(own_sources())


@dataclass(frozen=True)
class Point:
    """One network: an experiment, order and rate included, and the number of its run."""

    experiment: NetworkExperiment
    run: int

    @cached_property
    def text(self) -> str:
        """The experiment as TOML."""
        return self.experiment.to_toml()

    @cached_property
    def shared(self) -> str:
        """What the points have in common that share the draws of a seed."""
        tables = self.experiment.to_dict()
        return json.dumps([tables["data"], tables["levels"], tables["protocol"]["duration"]])

    def key(self, seed: int, data: str, device: str) -> bytes:
        """What determines the numbers, 16 bytes."""
        tables = {name: value for name, value in self.experiment.to_dict().items() if name != "data"}
        told = [tables, self.experiment.data.scaling, self.experiment.data.test, self.run, str(seed), data, device]
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).digest()

    @property
    def alike(self) -> str | None:
        """What the points have in common that may be trained side by side; None where a network goes its own way."""
        experiment, tables = self.experiment, self.experiment.to_dict()
        if experiment.examples % experiment.training.batch or experiment.protocol.order == "stages":
            return None
        training = {name: value for name, value in tables["training"].items() if name not in ("learning_rate", "common_tail")}
        return json.dumps([self.shared, tables["network"], training])

    @property
    def cost(self) -> float:
        """What it costs, in any unit."""
        known = self.experiment.data.known
        shapes = self.experiment.network.shapes(known.shape, known.classes)
        return self.experiment.examples * (_COST + sum(float(np.prod(shape)) for shape in shapes))

    @property
    def layout(self) -> Layout:
        """What its numbers are."""
        levels = [level.name for level in self.experiment.protocol.levels]
        names = tuple(f"{name}[{level}]" for name in ("classification_error", "loss") for level in levels)
        return Layout("images", names, (0, 0, 0), (), ("",))


@dataclass
class Finished:
    """What came of the points: error and loss (2, levels) of each, in their order; NaN where there is none.

    statuses : of each, empty for those that are missing;  computed : how many were not in the store
    """

    values: list[np.ndarray | None]
    statuses: list[str]
    interrupted: bool = False
    computed: int = 0
    seconds: list[float] = field(default_factory=list)


def finish(
    what: str,
    points: Sequence[Point],
    images: Images,
    seed: int,
    store: str | Path | None,
    workers: int | None = None,
    retry: bool = False,
    progress: Told = None,
) -> Finished:
    """Compute the points that the store lacks, each kept when it is done; Ctrl-C leaves what is finished."""
    import jax

    device = jax.devices()[0].device_kind
    keys = [point.key(seed, images.fingerprint, device) for point in points]
    found = Finished([None] * len(points), [""] * len(points))
    with NetworkStore(store) as kept:
        kept.mend()
        stored = {key: result for key, _, result in kept.results(keys)}
        missing = [i for i, key in enumerate(keys) if key not in stored or (retry and stored[key].failed)]
        found.computed = len(missing)
        if missing:
            kept.check_writable()
            found.interrupted = _compute(what, points, missing, keys, images, seed, kept, workers, progress)
            stored = {key: result for key, _, result in kept.results(keys)}
    for i, (point, key) in enumerate(zip(points, keys, strict=True)):
        if key in stored:
            result = stored[key]
            count = len(point.experiment.protocol.levels)
            numbers = np.frombuffer(result.numbers, dtype="<f8") if result.numbers else np.full(2 * count, np.nan)
            found.values[i], found.statuses[i] = numbers.reshape(2, count), result.status
            found.seconds.append(result.seconds)
    return found


def _side_by_side(points: list[Point], images: Images, seed: int) -> list[np.ndarray]:
    """Error and loss (2, levels) in the end of points that are alike, trained in one call."""
    import jax

    from curriculode.sims.networks import engine
    from curriculode.sims.networks.draws import plan_order

    lessons: dict[int, Lesson] = {}
    parts: list[tuple[Any, ...]] = []
    for point in points:
        experiment = point.experiment
        lesson = lessons.setdefault(point.run, Lesson(experiment, images, child_seed(seed, point.run)))
        plan = plan_order(experiment, lesson.rows())
        x, labels = lesson.shown(lesson.rows(), plan.level)
        rates = plan.rate.reshape(-1, experiment.training.batch)[:, 0].astype(np.float32)
        parts.append((lesson.start(experiment), x, labels, plan.index.reshape(-1, experiment.training.batch), rates))
    weights = jax.tree.map(lambda *each: np.stack(each), *(part[0] for part in parts))
    x, labels, index, rates = (np.stack([part[k] for part in parts]) for k in range(1, 5))
    training, network = points[0].experiment.training, points[0].experiment.network
    rules = (training.loss, training.optimizer, training.weight_decay)
    found = engine.train_many(network, rules, weights, x, labels, index, rates)
    result = []
    for k, point in enumerate(points):
        own = jax.tree.map(lambda each, k=k: each[k], found)
        values = engine.measure(network, training.loss, own, lessons[point.run].tests, images.test_labels)
        result.append(values if np.isfinite(values).all() else np.full(values.shape, np.nan))
    return result


def _compute(
    what: str,
    points: Sequence[Point],
    missing: list[int],
    keys: list[bytes],
    images: Images,
    seed: int,
    kept: Store,
    workers: int | None,
    progress: Told,
) -> bool:
    """Compute points, and keep them from the thread that owns the store; whether Ctrl-C ended it."""
    from curriculode.sims.networks import engine

    beside = engine.side_by_side()
    groups: dict[Any, list[int]] = {}
    for i in missing:
        # Side by side go networks that differ in their seed and their order alone; one by one those that share what is drawn.
        key = points[i].alike if beside else None
        groups.setdefault((points[i].run, points[i].shared) if key is None else key, []).append(i)
    pieces = [part[i : i + _TOGETHER] for part in groups.values() for i in range(0, len(part), _TOGETHER)] if beside else []
    total = sum(points[i].cost for i in missing)
    ready: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
    done, lock = [0.0], threading.Lock()
    code = SimpleNamespace(sources=own_sources())
    settings = SimpleNamespace(text=json.dumps({"seed": str(seed), "data": images.fingerprint}))
    here = json.dumps(environment(), sort_keys=True)

    def keep(i: int, values: np.ndarray, finite: bool, seconds: float) -> None:
        status = "trained to the end" if finite else "diverged (a smaller learning_rate may help)"
        numbers = np.ascontiguousarray(values, dtype="<f8").tobytes()
        ready.put((i, Result(not finite, status, seconds, points[i].layout.text, numbers, here)))

    def together(group: list[int], stop: threading.Event) -> bool:
        if points[group[0]].alike is None:
            return work(group, stop)
        begin = time.perf_counter()
        for i, values in zip(group, _side_by_side([points[i] for i in group], images, seed), strict=True):
            keep(i, values, bool(np.isfinite(values).all()), (time.perf_counter() - begin) / len(group))
            with lock:
                done[0] += points[i].cost
        return True

    def work(group: list[int], stop: threading.Event) -> bool:
        lesson = Lesson(points[group[0]].experiment, images, child_seed(seed, points[group[0]].run))
        for i in group:
            begin, point = time.perf_counter(), points[i]

            def told(count: int, point: Point = point) -> None:
                with lock:
                    done[0] += point.cost * count / point.experiment.examples

            try:
                course = lesson.run(point.experiment, lesson.start(point.experiment), stop=stop, told=told)
            except Stopped:
                return False
            keep(i, course.values[-1], course.finite, time.perf_counter() - begin)
        return True

    def fraction() -> float:
        while not ready.empty():
            i, result = ready.get()
            job: Any = SimpleNamespace(
                code=code, text=points[i].text, seed=points[i].run, settings=settings, changes={}
            )  # what a store asks of a job
            kept.keep(keys[i], job, result)
        return done[0] / total

    interrupted = True
    try:
        if beside:  # the device is one: the next piece is drawn while it computes the last
            _, interrupted = spread(what, together, pieces, min(2, worker_count(workers)), fraction, progress)
        else:
            _, interrupted = spread(what, work, list(groups.values()), worker_count(workers), fraction, progress)
    except KeyboardInterrupt:
        pass
    finally:
        fraction()
    return interrupted
