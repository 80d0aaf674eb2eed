"""Small sweeps: points of a few milliseconds."""

from typing import Any

import pytest

import curriculode as cu

GRID: dict[str, Any] = {"student.width": [1, 2], "levels.hard.noise": [0.4, 0.6], "protocol.order": ["curriculum", "random"]}
QUICK: dict[str, Any] = {"points": 64, "dimension": 100, "progress": False}


@pytest.fixture
def small(xor: cu.Experiment) -> cu.Experiment:
    return xor.replace({"protocol.duration": 1.0, "student.width": 2})


@pytest.fixture
def diverging() -> cu.Experiment:
    """Fixed readouts and quadratic units: beyond a learning rate the equations reach infinity in finite time."""
    return cu.Experiment(
        task=cu.XorMixture(separation=1.0),
        student=cu.Committee(width=2, activation="quadratic", readout="fixed"),
        training=cu.OnlineSGD(learning_rate=0.1),
        protocol=cu.Protocol.single(duration=20.0, noise=0.5),
    )
