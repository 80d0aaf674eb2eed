"""The constants of a simulation at finite D, as the kernels of both spaces take them."""

from dataclasses import dataclass

import numpy as np

from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import block_sizes
from curriculode.theory.dynamics.online import System
from curriculode.theory.tasks import Teacher
from curriculode.theory.units.losses import LOSSES


@dataclass(frozen=True)
class Model:
    """An experiment in D = `dimension` inputs.

    sizes : (blocks,) inputs D_b;  gain : (levels, components, P, blocks);  scale : (levels, blocks);  label : (components,)
    rate = eta / D, rate_v = eta_v / D (0 for a fixed readout), keep = 1 - eta kappa / D, keep_v likewise
    """

    system: System
    dimension: int
    sizes: np.ndarray
    cumulative: np.ndarray
    label: np.ndarray
    gain: np.ndarray
    scale: np.ndarray
    teacher: Teacher
    activation: int
    loss: int
    rate: float
    rate_v: float
    keep: float
    keep_v: float

    @classmethod
    def of(cls, experiment: Experiment, dimension: int) -> "Model":
        """The model of an experiment; raises `InputError` if a block has fewer than K + P inputs."""
        system = System.of(experiment)
        laws = system.laws
        eta_v = system.eta_v if system.readout_trained else 0.0
        return cls(
            system=system,
            dimension=dimension,
            sizes=block_sizes(dimension, system.fractions, system.width, system.T.shape[1]),
            cumulative=np.cumsum(laws[0].probability),
            label=laws[0].label,
            gain=np.ascontiguousarray([law.gain for law in laws]),
            scale=np.ascontiguousarray([law.scale for law in laws]),
            teacher=laws[0].teacher,
            activation=experiment.student.g.code,
            loss=LOSSES[experiment.training.loss],
            rate=system.eta / dimension,
            rate_v=eta_v / dimension,
            keep=1.0 - system.eta * system.kappa / dimension,
            keep_v=1.0 - eta_v * system.kappa / dimension,
        )
