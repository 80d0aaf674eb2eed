"""Shared pieces of the tests. CURRICULODE_TEST_SEED shifts every seed, so that the suite can be looped over seeds."""

import os
import shutil
import tempfile
from collections.abc import Iterator

import numpy as np
import pytest

import curriculode as cu

from . import registrations, warm

SEED = int(os.environ.get("CURRICULODE_TEST_SEED", "0"))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before several processes share the compiled kernels on disk, one of each makes them."""
    if getattr(session.config.option, "numprocesses", None) and not hasattr(session.config, "workerinput"):
        os.environ[warm.SHARED] = tempfile.mkdtemp(prefix="curriculode-tests-")
        warm.everything()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing is left of what they shared."""
    if not hasattr(session.config, "workerinput") and (shared := os.environ.pop(warm.SHARED, None)):
        shutil.rmtree(shared, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test begins first, that no process is left alone with it in the end."""
    items.sort(key=lambda item: "test_site" not in item.nodeid)


@pytest.fixture
def seed() -> int:
    return SEED


@pytest.fixture(autouse=True)
def _registrations() -> Iterator[None]:
    """No test knows what another registered."""
    with registrations.kept():
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1234 + SEED)


@pytest.fixture
def xor() -> cu.Experiment:
    """A small, fast XOR experiment with two levels."""
    return cu.Experiment(
        task=cu.XorMixture(separation=1.0),
        student=cu.Committee(width=4, activation="gelu", readout_scale=0.5),
        training=cu.OnlineSGD(learning_rate=1.5),
        protocol=cu.Protocol(
            order="curriculum",
            duration=8.0,
            levels=[cu.Level("easy", share=0.25, noise=0.2), cu.Level("hard", share=0.75, noise=0.6)],
        ),
    )
