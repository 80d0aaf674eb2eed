"""The engine: training by a scan over the examples, compiled once a network; side by side by vmap on an accelerator.

On a CPU every network is a call of its own, on as many threads as there are cores: there the same network has the same bits
whatever is computed beside it. On an accelerator the networks of one shape go through one call, by vmap.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from curriculode.sims.networks.architectures import Network
from curriculode.sims.networks.layers import Weights, losses, outputs

Rules = tuple[str, str, float]  # loss, optimizer and weight decay
MOMENTUM = 0.9
_TESTED = 1000  # images in one go


def transformation(optimizer: str) -> optax.GradientTransformation:
    """What an optimizer makes of gradients, before the learning rate."""
    return {"sgd": optax.identity, "momentum": partial(optax.trace, decay=MOMENTUM), "adam": optax.scale_by_adam}[optimizer]()


def gradient(network: Network, loss: str, weights: Weights, x: Any, labels: Any) -> Weights:
    """The gradient of the mean loss of a batch, x (n, height, width, channels)."""

    def mean_loss(weights: Weights) -> Any:
        return losses(loss, outputs(network, weights, x), labels).mean()

    found: Weights = jax.grad(mean_loss)(weights)
    return found


def _stretch(
    network: Network,
    rules: Rules,
    weights: Weights,
    state: Any,
    x: Any,
    labels: Any,
    index: Any,
    rates: Any,
    masks: Any,
) -> Any:
    """Steps on the rows `index` (steps, batch) of x and labels at `rates` (steps,); masks are None or (units, ...) a layer."""
    loss, optimizer, decay = rules
    change = transformation(optimizer)

    def step(carry: Any, now: Any) -> Any:
        weights, state = carry
        rows, rate = now
        slope = gradient(network, loss, weights, x[rows], labels[rows])
        if decay:
            slope = jax.tree.map(lambda g, w: g + decay * w, slope, weights)
        if masks is not None:
            slope = [{**g, "w": g["w"] if m is None else g["w"] * m} for g, m in zip(slope, masks, strict=True)]
        slope, state = change.update(slope, state)
        return (jax.tree.map(lambda w, g: w - rate * g, weights, slope), state), None

    return lax.scan(step, (weights, state), (index, rates))[0]


_train = jax.jit(_stretch, static_argnums=(0, 1))
# The same for several networks at once, on axis 0 of everything; rows of images are each network's own.
_train_many = jax.jit(lambda network, rules, *parts: jax.vmap(partial(_stretch, network, rules))(*parts), static_argnums=(0, 1))


def train(
    network: Network,
    rules: Rules,
    weights: Weights,
    state: Any,
    x: Any,
    labels: Any,
    index: np.ndarray,
    rates: np.ndarray,
    batch: int,
    masks: Any = None,
) -> tuple[Weights, Any]:
    """Train on the rows `index` (examples,) one after the other, `batch` a step; rows that are left at the end are a step.

    rates : (examples,), of which a step takes its first
    """
    state = transformation(rules[1]).init(weights) if state is None else state
    whole = index.size // batch * batch
    for part, size in ((slice(0, whole), batch), (slice(whole, index.size), index.size - whole)):
        if index[part].size:
            steps = index[part].reshape(-1, size)
            rate = np.ascontiguousarray(rates[part].reshape(-1, size)[:, 0], dtype=np.float32)
            weights, state = _train(network, rules, weights, state, x, labels, steps, rate, masks)
    return weights, state


def train_many(
    network: Network,
    rules: Rules,
    weights: Weights,
    x: Any,
    labels: Any,
    index: Any,
    rates: Any,
    masks: Any = None,
) -> Weights:
    """Train networks side by side by vmap: everything has an axis of networks in front, index (networks, steps, batch)."""
    count = len(index)
    state = jax.vmap(transformation(rules[1]).init)(weights) if count else None
    found: Weights = _train_many(network, rules, weights, state, x, labels, index, rates, masks)[0]
    return found


@partial(jax.jit, static_argnums=(0, 1))
def _measure(network: Network, loss: str, weights: Weights, x: Any, labels: Any) -> Any:
    f = outputs(network, weights, x)
    return jnp.stack([(f.argmax(axis=1) != labels).sum(), losses(loss, f, labels).sum()])


def measure(network: Network, loss: str, weights: Weights, tests: Any, labels: Any) -> np.ndarray:
    """Classification error and mean loss (2, levels) on tests (levels, n, height, width, channels)."""
    n = tests.shape[1]
    found = np.zeros((2, tests.shape[0]))
    for level in range(tests.shape[0]):
        for begin in range(0, n, _TESTED):
            part = slice(begin, min(begin + _TESTED, n))
            found[:, level] += np.asarray(_measure(network, loss, weights, tests[level, part], labels[part]), dtype=float)
    return found / n


def on_host(weights: Weights) -> Weights:
    """The weights as arrays of numpy."""
    return [{name: np.asarray(value) for name, value in layer.items()} for layer in weights]


def on_device(arrays: Any) -> Any:
    """Arrays where the networks are."""
    return jax.tree.map(jnp.asarray, arrays)
