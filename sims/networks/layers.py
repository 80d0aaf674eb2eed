"""The networks as functions: initial weights, and the outputs of a network on images.

Weights are lists of layers, {"w": (units, ...), "b": (units,)}: units first, so that W.reshape(units, -1) is what indicators and
masks of the theory's weights are functions of.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from curriculode.sims.networks.architectures import MLP, Network

Weights = list[dict[str, Any]]
_ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "erf": lambda x: lax.erf(x / np.float32(np.sqrt(2.0))),
    "tanh": jnp.tanh,
    "linear": lambda x: x,
}


def deviations(network: Network, shapes: list[tuple[int, ...]]) -> list[float]:
    """The standard deviation of the initial weights of each layer."""
    gain = 2.0 if network.activation in ("relu", "gelu") else 1.0
    gains = [gain] * (len(shapes) - 1) + [1.0]
    return [network.weight_scale * float(np.sqrt(a / np.prod(shape[1:]))) for a, shape in zip(gains, shapes, strict=True)]


def random_weights(network: Network, image: tuple[int, int, int], classes: int, rng: np.random.Generator) -> Weights:
    """Initial weights, of float32."""
    shapes = network.shapes(image, classes)
    return [
        {"w": (sigma * rng.standard_normal(shape)).astype(np.float32), "b": np.zeros(shape[0], np.float32)}
        for shape, sigma in zip(shapes, deviations(network, shapes), strict=True)
    ]


def outputs(network: Network, weights: Weights, x: Any) -> Any:
    """f (n, classes) on images (n, height, width, channels)."""
    g = _ACTIVATIONS[network.activation]
    if isinstance(network, MLP):
        x = x.reshape(x.shape[0], -1)
    for layer in weights[:-1]:
        w, b = layer["w"], layer["b"]
        x = g(x @ w.T + b) if isinstance(network, MLP) else _largest(g(_convolution(x, w) + b))
    return x.reshape(x.shape[0], -1) @ weights[-1]["w"].T + weights[-1]["b"]


def _convolution(x: Any, w: Any) -> Any:
    """3 x 3 filters w (filters, 3, 3, channels) on images x (n, height, width, channels), with a border of zeros.

    One matrix product of all patches: a step takes a half (8 filters) to a tenth (64) of the time that it takes with XLA's
    convolution, whose gradient is slow (benchmarks/README.md); of test images alone that would be the faster from 32 filters on.
    """
    height, width = x.shape[1:3]
    framed = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = [framed[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(patches, axis=-1) @ w.reshape(w.shape[0], -1).T


def _largest(x: Any) -> Any:
    """The largest of every 2 x 2; a last row or column without a partner is left out."""
    n, height, width, channels = x.shape
    height, width = height // 2, width // 2
    return x[:, : 2 * height, : 2 * width].reshape(n, height, 2, width, 2, channels).max(axis=(2, 4))


def losses(kind: str, f: Any, labels: Any) -> Any:
    """The loss (n,) of outputs (n, classes)."""
    if kind == "cross-entropy":
        return -jnp.take_along_axis(jax.nn.log_softmax(f), labels[:, None], axis=1)[:, 0]
    return 0.5 * ((f - jax.nn.one_hot(labels, f.shape[1], dtype=f.dtype)) ** 2).sum(axis=1)
