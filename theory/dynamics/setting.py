"""An experiment in numbers: what equations and simulators are made of, built once and handed on."""

import weakref
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.averages import Engine, FieldLaw, choose
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.perturbation import Perturbation
from curriculode.theory.describe.training import OnlineSGD, Rates, Stepped
from curriculode.theory.tasks import ExampleLaw
from curriculode.theory.tasks.blocks import Blocks
from curriculode.theory.tasks.strata import checked_strata
from curriculode.theory.units.activations import Activation

if TYPE_CHECKING:
    from curriculode.theory.describe.experiment import Experiment
    from curriculode.theory.describe.order_parameters import OrderParameters


# The last experiment that was asked about, and its setting: all that is done with one experiment comes one after the other.
_last: "tuple[weakref.ref[Experiment], Setting] | None" = None


@dataclass(frozen=True)
class SettingStage:
    """A stage in numbers: from time `start` to `end`, levels met with `probability` (levels,), at these rates.

    perturbation : of the weights as it begins, if there is one
    """

    start: float
    end: float
    probability: np.ndarray
    rates: Rates
    perturbation: Perturbation | None = None


@dataclass(frozen=True)
class Setting:
    """An experiment that learns online, in numbers.

    blocks : fractions and overlaps of the references;  laws : of the examples at each level, hardest last
    width : K;  activation, loss : of the student;  readout_trained : whether v moves
    rates : of the training;  stages : in time, each with its own rates
    strata : shares (blocks, strata) of the coordinates, and overlaps (blocks, strata, P, P) of the references over them
    weight_scale : standard deviation of the initial weights
    """

    blocks: Blocks
    laws: tuple[ExampleLaw, ...]
    width: int
    activation: Activation
    loss: str
    readout_trained: bool
    rates: Rates
    stages: tuple[SettingStage, ...]
    strata: tuple[np.ndarray, np.ndarray]
    weight_scale: float = 1.0

    @classmethod
    def of(cls, experiment: "Experiment", perturbed: bool = False) -> "Setting":
        """The setting of an experiment; raises `InputError` unless it learns online. That of the last experiment is remembered.

        perturbed : whether stages may perturb the weights: of those who ask so, and know what to do
        """
        found = cls._remembered(experiment)
        if not perturbed and any(stage.perturbation is not None for stage in found.stages):
            raise InputError(
                "a protocol that perturbs weights is for integrate, simulate, observe, sweep and compare, of networks that are "
                "neither pruned nor branched; leave `perturbation` out of it"
            )
        return found

    @classmethod
    def _remembered(cls, experiment: "Experiment") -> "Setting":
        global _last
        last = _last
        if last is None or last[0]() is not experiment:
            training = experiment.training
            if isinstance(training, Stepped) and not isinstance(training, OnlineSGD):
                raise InputError(
                    f'training.kind = "{training.kind}" moves in a tangent space, of which this is not known; integrate, simulate '
                    "and compare know it"
                )
            last = weakref.ref(experiment), cls.stepped(experiment)
            _last = last
        return last[1]

    @classmethod
    def stepped(cls, experiment: "Experiment") -> "Setting":
        """The setting of an experiment that learns by steps, in whatever space; raises `InputError` for any other."""
        training, student = experiment.training, experiment.student
        if not isinstance(training, Stepped):
            raise InputError(
                f'training.kind = "{training.kind}" has no online dynamics; use state_evolution for its theory and minimize for '
                "its simulation"
            )
        trained = student.readout == "trained"
        return cls(
            blocks=Blocks.of(experiment.task),
            laws=tuple(experiment.task.example_law(level) for level in experiment.protocol.levels),
            width=student.width,
            activation=student.g,
            loss=training.loss,
            readout_trained=trained,
            rates=training.rates(trained),
            stages=tuple(
                SettingStage(
                    stage.start, stage.end, stage.probability, training.rates(trained, stage.learning_rate), stage.perturbation
                )
                for stage in experiment.protocol.stages()
            ),
            strata=checked_strata(experiment.task),
            weight_scale=student.weight_scale,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(blocks, K, P)."""
        return self.blocks.count, self.width, self.blocks.references

    @property
    def fields(self) -> int:
        """Number of fields that an average runs over: the student's, and the references' where labels depend on them."""
        return self.width + (self.blocks.references if self.laws[-1].teacher.exists else 0)

    def field_law(self, level: int = -1) -> FieldLaw:
        """The law of the fields at a level, whose mean and covariance follow Q and M."""
        return self._field_laws[level].copy()

    @cached_property
    def _field_laws(self) -> list[FieldLaw]:
        """The law of the fields at each level, of which copies are handed out: what does not follow Q and M is computed once."""
        return [FieldLaw(law, self.width, self.blocks.T) for law in self.laws]

    def engine(self, way: str, points: int, scrambling: int, noise_terms: bool = True) -> Engine:
        """The averages of these equations, `way` as for `integrate`."""
        return choose(way, self.activation, self.loss, self._field_laws, self.width, points, scrambling, noise_terms)

    def with_rate(self, name: str, factor: float) -> "Setting":
        """The same setting with one of the rates, "eta", "eta_v" or "kappa", multiplied by a factor throughout."""

        def changed(rates: Rates) -> Rates:
            return rates._replace(**{name: factor * getattr(rates, name)})

        stages = tuple(replace(stage, rates=changed(stage.rates)) for stage in self.stages)
        return replace(self, rates=changed(self.rates), stages=stages)

    def check(self, start: "OrderParameters") -> None:
        """Raise `InputError` unless `start` is a state of this student with these references."""
        start.check(self.width, self.blocks.T)
