"""Two copies of a network as a point of a sweep: seed s begins as without them; of two starts the second is its number 1."""

from dataclasses import dataclass

from curriculode.sims.pairs.simulate import pair_simulation
from curriculode.sims.sweep.settings import Settings
from curriculode.theory.describe.branching import Branching
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.pairs.record import Pair
from curriculode.theory.pairs.theory import pair_theory


@dataclass(frozen=True)
class PairPoint:
    """The copies of a point."""

    experiment: Experiment
    branch: Branching
    seed: int
    settings: Settings

    @property
    def _starts(self) -> list[OrderParameters]:
        """The start of both copies, or one each."""
        each = range(1 if self.branch.weights == "shared" else 2)
        return [self.experiment.initial(self.settings.dimension, self.seed, number) for number in each]

    def theory(self, numerics: Numerics) -> Pair:
        """The equations of both."""
        start, *others = self._starts
        return pair_theory(self.experiment, start, self.branch.at, self.branch.examples, others[0] if others else None, numerics)

    def simulation(self) -> Pair:
        """Pairs of runs of online SGD."""
        settings, count = self.settings, self.settings.runs
        start, *others = self._starts
        return pair_simulation(
            self.experiment,
            [start] * count,
            others * count or None,
            self.branch.at,
            self.branch.examples,
            settings.dimension,
            range(count),
            self.seed,
            settings.numerics.set(times=(self.experiment.protocol.duration,), workers=1),
            progress=False,
        )
