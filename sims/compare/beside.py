"""Compilation in another process: numba compiles one function at a time, and a comparison's two longest kernels need each other's
time only the first time that this version of the package is used on a machine.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from curriculode.sims.runs.simulate import simulate
from curriculode.sims.spaces import stretch
from curriculode.theory.core.compiled import was_compiled
from curriculode.theory.describe.experiment import Experiment

_WAIT, _PATIENCE = 0.02, 120.0  # seconds


@contextmanager
def diffusion_compiled_beside(experiments: Sequence[Experiment], dimension: int) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Have another process compile what paths of the diffusion need, if there are any and nobody has yet; yields what waits for it.

    While that waits it calls its argument, which may raise. Should the other process fail, as where it cannot import a task that
    was registered here, the kernels are compiled in this one when they are called.
    """
    if not experiments or was_compiled(stretch.advance) or not sys.executable:
        yield lambda told: None
        return
    few = experiments[0].replace({"protocol.duration": 10.0 / dimension})
    code = f"from {__name__} import compile_diffusion; compile_diffusion({few.to_toml()!r}, {dimension})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(told: Callable[[], None]) -> None:
        until = time.monotonic() + _PATIENCE
        while process.poll() is None and time.monotonic() < until:
            told()
            time.sleep(_WAIT)

    try:
        yield wait
    finally:
        process.kill()
        process.wait()


def compile_diffusion(text: str, dimension: int) -> None:
    """Take a few steps of the diffusion of an experiment, in TOML, so that its kernels are in the cache."""
    simulate(Experiment.from_toml(text), dimension=dimension, runs=1, times=2, space="diffusion", workers=1, progress=False)
