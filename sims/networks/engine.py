"""The engine: training by a loop over the examples, compiled once a network; side by side by vmap on an accelerator.

On a CPU every network is a call of its own, on as many threads as there are cores: there the same network has the same bits
whatever is computed beside it. On an accelerator the networks of a comparison that have one shape go through one call, by vmap.
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
_TESTED = {"mlp": 1000, "cnn": 20}  # images in one go: patches of more leave the cache


def side_by_side() -> bool:
    """Whether networks are trained by one call for many: on an accelerator."""
    return bool(jax.default_backend() != "cpu")


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
    network: Network, rules: Rules, span: Any, weights: Weights, state: Any, x: Any, labels: Any, index: Any, rates: Any, masks: Any
) -> Any:
    """Steps number span[0] to span[1] on the rows `index` (steps, batch) of x and labels at `rates` (steps,).

    A loop of as many steps as it is told, so that looking at a network on its way compiles nothing anew.
    masks : None, or of each layer (units, ...) or None
    """
    loss, optimizer, decay = rules
    change = transformation(optimizer)

    def step(number: Any, carry: Any) -> Any:
        weights, state = carry
        rows, rate = index[number], rates[number]
        slope = gradient(network, loss, weights, x[rows], labels[rows])
        if decay:
            slope = jax.tree.map(lambda g, w: g + decay * w, slope, weights)
        if masks is not None:
            slope = [{**g, "w": g["w"] if m is None else g["w"] * m} for g, m in zip(slope, masks, strict=True)]
        slope, state = change.update(slope, state)
        return jax.tree.map(lambda w, g: w - rate * g, weights, slope), state

    return lax.fori_loop(span[0], span[1], step, (weights, state))


_train = jax.jit(_stretch, static_argnums=(0, 1))


@partial(jax.jit, static_argnums=(0, 1))
def _train_many(network: Network, rules: Rules, span: Any, *parts: Any) -> Any:
    """The same for several networks at once, on axis 0 of everything; rows of images are each network's own."""
    return jax.vmap(lambda *each: _stretch(network, rules, span, *each))(*parts)


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
    span: tuple[int, int],
    masks: Any = None,
) -> tuple[Weights, Any]:
    """Train on the rows index[begin:end], `batch` a step, from a whole number of them on; rows left at the end are a step.

    index, rates : (examples,) of the whole order; a step takes the first rate of its rows
    """
    state = transformation(rules[1]).init(weights) if state is None else state
    begin, end = span
    whole = index.size // batch * batch
    parts = [(slice(0, whole), batch, (begin // batch, min(end, whole) // batch))]
    if end > whole:
        parts.append((slice(whole, index.size), index.size - whole, (0, 1)))
    for part, size, steps in parts:
        if steps[1] > steps[0]:
            rate = np.ascontiguousarray(rates[part].reshape(-1, size)[:, 0], dtype=np.float32)
            bounds = np.array(steps, dtype=np.int32)
            rows = index[part].reshape(-1, size)
            weights, state = _train(network, rules, bounds, weights, state, x, labels, rows, rate, masks)
    return weights, state


def train_many(
    network: Network, rules: Rules, weights: Weights, x: Any, labels: Any, index: Any, rates: Any, masks: Any = None
) -> Weights:
    """Train networks side by side by vmap: everything has an axis of networks in front, index (networks, steps, batch)."""
    state = jax.vmap(transformation(rules[1]).init)(weights)
    bounds = np.array([0, np.shape(index)[1]], dtype=np.int32)
    found: Weights = _train_many(network, rules, bounds, weights, state, x, labels, index, rates, masks)[0]
    return found


@partial(jax.jit, static_argnums=(0, 1))
def _measure(network: Network, loss: str, weights: Weights, x: Any, labels: Any) -> Any:
    f = outputs(network, weights, x)
    return jnp.stack([(f.argmax(axis=1) != labels).sum(), losses(loss, f, labels).sum()])


def measure(network: Network, loss: str, weights: Weights, tests: Any, labels: Any) -> np.ndarray:
    """Classification error and mean loss (2, levels) on tests (levels, n, height, width, channels)."""
    n, at_once = tests.shape[1], _TESTED[network.kind]
    found = np.zeros((2, tests.shape[0]))
    for level in range(tests.shape[0]):
        for begin in range(0, n, at_once):
            part = slice(begin, min(begin + at_once, n))
            found[:, level] += np.asarray(_measure(network, loss, weights, tests[level, part], labels[part]), dtype=float)
    return found / n


def on_host(weights: Weights) -> Weights:
    """The weights as arrays of numpy."""
    return [{name: np.asarray(value) for name, value in layer.items()} for layer in weights]


def on_device(arrays: Any) -> Any:
    """Arrays where the networks are."""
    return jax.tree.map(jnp.asarray, arrays)
