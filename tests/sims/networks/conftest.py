"""Networks need the extra; without it their tests are skipped, and say so."""

import importlib.util
from pathlib import Path

import pytest

import curriculode as cu
from curriculode.sims.networks.course import Lesson
from curriculode.theory.describe.order_parameters import child_seed

_MISSING = [name for name in ("jax", "optax", "sklearn", "pooch") if importlib.util.find_spec(name) is None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if _MISSING and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"the extra networks is not installed: {', '.join(_MISSING)}"))


def described(order: str = "curriculum", **settings: object) -> cu.NetworkExperiment:
    """Digits, 96 examples at three levels, a small perceptron."""
    experiment = cu.NetworkExperiment(
        data=cu.ImageData(name="digits", test=60),
        network=cu.MLP(width=6),
        training=cu.NetworkSGD(learning_rate=0.05),
        protocol=cu.Protocol(
            order=order,
            duration=1.5,
            levels=[
                cu.Level("easy", share=0.25, pixel_noise=0.0),
                cu.Level("medium", share=0.25, pixel_noise=0.5),
                cu.Level("hard", pixel_noise=1.0),
            ],
        ),
    )
    return experiment.replace({name.replace("__", "."): value for name, value in settings.items()})


def lesson_of(experiment: cu.NetworkExperiment, seed: int = 0) -> Lesson:
    """What the networks of run 0 share."""
    return Lesson(experiment, experiment.data.images(), child_seed(seed, 0))


@pytest.fixture
def digits() -> cu.NetworkExperiment:
    return described()
