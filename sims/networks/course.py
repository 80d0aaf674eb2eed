"""One seed: what its networks share, and the course of one of them through an order of its examples."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curriculode.sims.networks.data import EXTRA, Images
from curriculode.sims.networks.describe import NetworkExperiment
from curriculode.sims.networks.draws import EVENTS, STARTS, Rows, draw_rows, draw_tests, plan_order, show
from curriculode.sims.spaces.perturb import perturb_weights
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.order_parameters import child_seed

if TYPE_CHECKING:
    from curriculode.sims.networks.layers import Weights

_LONGEST = 4_000_000_000  # weights times examples between two looks at the interrupt, some seconds


class Stopped(Exception):
    """The training was told to stop."""


def needs_extra() -> None:
    """Raise `InputError` where what computes networks is not installed."""
    try:
        import jax
        import optax  # noqa: F401
    except ImportError:
        raise InputError(f"networks need jax and optax, which are not installed; {EXTRA}") from None
    if not hasattr(jax, "jit"):  # a folder called jax that is in the way
        raise InputError(f"the module jax that is found is another one; {EXTRA}")


@dataclass(frozen=True)
class Course:
    """A training as it is recorded.

    steps : (times,) examples seen;  values : (times, 2, levels) classification error and loss on the test images
    kept : weights at the steps that were to be kept;  weights : at the end;  finite : whether it came there
    """

    steps: np.ndarray
    values: np.ndarray
    kept: dict[int, "Weights"]
    weights: "Weights"
    finite: bool


class Lesson:
    """What all networks of one seed share: rows, test images and initial weights, each drawn when it is asked for.

    The network, the training and the order may be those of other experiments with the same data, levels, shares and duration.
    """

    def __init__(self, experiment: NetworkExperiment, images: Images, seed: np.random.SeedSequence) -> None:
        self.experiment, self.images, self.seed = experiment, images, seed
        self._rows: dict[int, Rows] = {}
        self._shown: tuple[Any, Any, Any] = (None, None, None)

    def rows(self, stream: int = 0) -> Rows:
        """The rows of a stream."""
        if stream not in self._rows:
            self._rows[stream] = draw_rows(self.experiment, self.images, self.seed, stream)
        return self._rows[stream]

    @cached_property
    def tests(self) -> np.ndarray:
        """The test images (levels, n, height, width, channels)."""
        return draw_tests(self.experiment, self.images, self.seed)

    def start(self, experiment: NetworkExperiment, number: int = 0) -> "Weights":
        """Initial weights of the experiment's network; `number` counts independent ones."""
        from curriculode.sims.networks.layers import random_weights

        rng = np.random.default_rng(child_seed(self.seed, STARTS, number))
        return random_weights(experiment.network, self.images.shape, experiment.data.known.classes, rng)

    def shown(self, rows: Rows, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of rows at their levels; the last ones are kept, since orders share them."""
        if self._shown[0] is not rows or not np.array_equal(self._shown[1], level):
            x = show(self.experiment, self.images.train, self.images.train, rows, level)
            self._shown = rows, level, (x, self.images.train_labels[rows.image])
        found: tuple[np.ndarray, np.ndarray] = self._shown[2]
        return found

    def run(
        self,
        experiment: NetworkExperiment,
        weights: "Weights",
        *,
        begin: int = 0,
        end: int | None = None,
        records: Sequence[int] = (),
        keep: Sequence[int] = (),
        masks: list[np.ndarray | None] | None = None,
        stream: int = 0,
        stop: threading.Event | None = None,
        told: Callable[[int], None] = lambda steps: None,
    ) -> Course:
        """Train weights on the examples from `begin` to `end` of the experiment's order.

        records : steps at which the test images are looked at, the end among them always;  keep : steps whose weights are kept
        masks : of each layer, or None;  stream : of the rows;  told : is told how many examples have been seen since
        """
        from curriculode.sims.networks import engine

        rows = self.rows(stream)
        plan = plan_order(experiment, rows)
        x, labels = self.shown(rows, plan.level)
        last = rows.level.size if end is None else end
        batch = experiment.training.batch
        marks = sorted({aligned(step, batch, last) for step in (*records, *keep) if begin <= step <= last} | {last})
        seen = {aligned(step, batch, last) for step in records} | {last}
        held = {aligned(step, batch, last): step for step in keep}
        events = {aligned(event.at, batch, last): event.perturbation for event in plan.events}
        training = experiment.training
        rules = (training.loss, training.optimizer, training.weight_decay)
        device, state = engine.on_device(weights), None
        if masks is not None:
            device = [{**w, "w": w["w"] if m is None else w["w"] * m} for w, m in zip(device, masks, strict=True)]
        x, labels, on_masks = engine.on_device(x), engine.on_device(labels), engine.on_device(masks)
        steps, values, kept = [], [], {}
        size = sum(layer["w"].size for layer in weights)
        for here, there in _stretches(begin, last, {*marks, *(at for at in events if begin < at < last)}, size, batch):
            if stop is not None and stop.is_set():
                raise Stopped
            if here in events and there > here:
                device = self._perturbed(experiment, device, events[here], here)
            if there > here:
                device, state = engine.train(
                    experiment.network, rules, device, state, x, labels, plan.index, plan.rate, batch, (here, there), on_masks
                )
                told(there - here)
            if there in seen:
                values.append(engine.measure(experiment.network, training.loss, device, self.tests, self.images.test_labels))
                steps.append(there)
            if there in held:
                kept[held[there]] = engine.on_host(device)
        found = np.array(values)
        finite = bool(np.isfinite(found[-1]).all())
        found[~np.isfinite(found).all(axis=(1, 2))] = np.nan
        return Course(np.array(steps), found, kept, engine.on_host(device), finite)

    def _perturbed(self, experiment: NetworkExperiment, weights: Any, perturbation: Any, at: int) -> Any:
        """The weights of all layers but the readout after a perturbation, each layer by itself."""
        from curriculode.sims.networks import engine

        rng = np.random.default_rng(child_seed(self.seed, EVENTS, at))
        return engine.on_device(perturbed_layers(experiment, engine.on_host(weights), perturbation, rng))


def perturbed_layers(experiment: NetworkExperiment, weights: "Weights", perturbation: Any, rng: np.random.Generator) -> "Weights":
    """Weights whose layers but the last are perturbed, in units of the standard deviation of their initial weights."""
    from curriculode.sims.networks.layers import deviations

    scales = deviations(experiment.network, [layer["w"].shape for layer in weights])
    result = [dict(layer) for layer in weights]
    for layer, scale in zip(result[:-1], scales, strict=False):
        flat = layer["w"].reshape(layer["w"].shape[0], -1).astype(float)
        changed = perturb_weights(flat, np.array([0, flat.shape[1]]), scale, perturbation, rng)
        layer["w"] = changed.astype(np.float32).reshape(layer["w"].shape)
    return result


def aligned(step: int, batch: int, last: int) -> int:
    """The step as a whole number of batches, so that looking changes nothing; the last one as it is."""
    return last if step >= last else step // batch * batch


def _stretches(begin: int, end: int, marks: set[int], size: int, batch: int) -> list[tuple[int, int]]:
    """From mark to mark, none too long; the first may be empty, where the beginning is looked at."""
    longest = max(_LONGEST // size // batch, 1) * batch
    result = [(begin, begin)] if begin in marks else []
    here = begin
    for mark in sorted(mark for mark in marks if mark > begin):
        while here < mark:
            there = min(here + longest, mark)
            result.append((here, there))
            here = there
    return result
