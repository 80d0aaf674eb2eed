"""An experiment with batch training as plain numbers: what is in each slice, and how strongly it is regularised and coupled."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.batch.proximal import BATCH_LOSSES
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.training import BatchSlices

if TYPE_CHECKING:
    from curriculode.theory.describe.experiment import Experiment


@dataclass(frozen=True)
class Slices:
    """The slices of an experiment in the order in which they are learnt.

    load : (slices, levels)  examples of each level in each slice, over D
    variance : (levels, blocks)  Delta_db of the inputs of each block at each level
    fractions : (blocks,) phi_b;  T : |w_T|^2 / D;  end : (slices,) examples over D up to the end of each slice
    regularization, coupling : (slices,) gamma_s, and gamma_{s,s-1} with 0 for the first; NaN where it is to be optimised
    """

    load: np.ndarray
    variance: np.ndarray
    fractions: np.ndarray
    T: float
    end: np.ndarray
    loss: int
    regularization: np.ndarray
    coupling: np.ndarray

    @classmethod
    def of(cls, experiment: "Experiment") -> "Slices":
        """The slices of an experiment; raises `InputError` unless its training is `BatchSlices`."""
        training = experiment.training
        if not isinstance(training, BatchSlices):
            raise InputError(
                f'training.kind = "{training.kind}" learns online, not in slices; use training.kind = "batch-slices", or integrate '
                "and simulate"
            )
        protocol, task = experiment.protocol, experiment.task
        stages = protocol.stages()
        return cls(
            load=np.array([(stage.end - stage.start) * stage.probability for stage in stages]),
            variance=np.array([task.example_law(level).scale ** 2 for level in protocol.levels]),
            fractions=task.block_fractions(),
            T=float(task.reference_overlap()[0, 0, 0]),
            end=np.array([stage.end for stage in stages]),
            loss=BATCH_LOSSES[training.loss],
            regularization=np.array(training.regularizations(len(stages))),
            coupling=np.array(training.couplings(len(stages))),
        )

    def check_unique(self, regularization: np.ndarray, coupling: np.ndarray) -> None:
        """Raise `InputError` unless each slice has one minimum at finite weights."""
        for s, (gamma, tie) in enumerate(zip(regularization, coupling, strict=True)):
            if gamma + tie > 0:
                continue
            where = f"slice {s + 1} has regularization 0" + (" and coupling 0" if s else "")
            if self.loss != BATCH_LOSSES["squared"]:
                name = next(name for name, code in BATCH_LOSSES.items() if code == self.loss)
                raise InputError(
                    f"{where}: the teacher itself separates the labels, so the {name} loss has no minimum at finite weights, or no "
                    "single one; use a regularization above 0"
                )
            if self.load[s].sum() <= 1:
                raise InputError(
                    f"{where} and {self.load[s].sum():g} D examples for D weights: the minimum is not unique; use a regularization "
                    "above 0, or more than D examples in the slice"
                )
            for b in range(self.fractions.size):
                # Examples that see this block must outnumber the directions that only they can fix.
                seen = self.load[s] @ (self.variance[:, b] > 0)
                if seen <= self.fractions[b]:
                    raise InputError(
                        f"{where}, but only {seen:g} D examples see the {self.fractions[b]:g} D inputs of block {b}: the minimum "
                        "is not unique; use a regularization above 0, or more examples"
                    )
