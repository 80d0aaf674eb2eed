"""Real networks: a step of one example, and the look at test images."""

import time

import numpy as np
from timing import head, row

import curriculode as cu
from curriculode.sims.networks import engine, layers

IMAGE, CLASSES, STEPS, TESTED = (28, 28, 1), 10, 2000, 1000


def networks() -> None:
    """SGD on cross-entropy, images of 28 x 28."""
    head("A step of one image of 28 x 28, online SGD, one network", "network", "weights", "us a step", "us a test image")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((STEPS, *IMAGE)).astype(np.float32)
    labels = rng.integers(CLASSES, size=STEPS)
    index, rates = np.arange(STEPS), np.full(STEPS, 1e-3)
    shown = [(f"perceptron, 2 x {width}", cu.MLP(width=[width, width])) for width in (12, 50, 400)]
    shown += [(f"2 convolutions, {filters} filters", cu.CNN(filters=filters)) for filters in (8, 16, 32, 64)]
    for name, network in shown:
        weights = layers.random_weights(network, IMAGE, CLASSES, rng)
        rules, device = ("cross-entropy", "sgd", 0.0), engine.on_device(x)

        def train(network=network, weights=weights, rules=rules, device=device) -> None:
            engine.on_host(engine.train(network, rules, weights, None, device, labels, index, rates, 1, (0, STEPS))[0])

        def measure(network=network, weights=weights) -> None:
            engine.measure(network, "cross-entropy", weights, x[None, :TESTED], labels[:TESTED])

        seconds = []
        for work in (train, measure):
            work()
            begin = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - begin)
        size = sum(layer["w"].size for layer in weights)
        row(name, str(size), f"{1e6 * seconds[0] / STEPS:.0f}", f"{1e6 * seconds[1] / TESTED:.1f}")
