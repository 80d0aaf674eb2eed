"""The tangent space of an experiment in numbers: which linear model, of which examples; built once for a start."""

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from curriculode.theory.averages.quasi_monte_carlo import check_points, least_points
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.numerics import Numerics
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.describe.tangent import TangentRidge, TangentSGD, moving_layers
from curriculode.theory.tangent.frame import Frame
from curriculode.theory.tangent.rows import Model, Rows, rows_of
from curriculode.theory.tasks.blocks import Blocks
from curriculode.theory.tasks.example_law import ExampleLaw
from curriculode.theory.units.activations import LINEAR, Activation

if TYPE_CHECKING:
    from curriculode.theory.describe.experiment import Experiment

TANGENT = (TangentRidge, TangentSGD)
_ROWS_A_FEATURE = 128  # what is fitted to a net is as much better there as it has features for each row
_FEWEST_ROWS, _MOST_ROWS = 2**13, 2**14
_MOST_PATTERNS = 10  # units whose subsets are gone through for the threshold


@dataclass(frozen=True)
class TangentSpace:
    """Blocks, laws of the levels, shares (levels,) of the examples, unit, the linear model, and the frame of the start."""

    blocks: Blocks
    laws: tuple[ExampleLaw, ...]
    shares: np.ndarray
    activation: Activation
    model: Model
    frame: Frame

    @classmethod
    def of(cls, experiment: "Experiment", start: OrderParameters) -> "TangentSpace":
        """The tangent space of an experiment at a start; raises `InputError` for other training, and a start that does not fit."""
        training = experiment.training
        if not isinstance(training, TANGENT):
            raise InputError(
                f'training.kind = "{training.kind}" leaves the tangent space of its start; use "tangent-ridge" or "tangent-sgd"'
            )
        blocks, student = Blocks.of(experiment.task), experiment.student
        start.check(student.width, blocks.T)
        return cls(
            blocks,
            tuple(experiment.task.example_law(level) for level in experiment.protocol.levels),
            np.array(experiment.protocol.shares),
            student.g,
            Model(*moving_layers(training.layers, student), training.centred),
            Frame.of(start, blocks),
        )

    @property
    def rank(self) -> int:
        """Number of fields that a net averages over."""
        return sum(F.shape[1] for F in self.frame.units)

    def points(self, numerics: Numerics, rows: int | None = None) -> int:
        """Size of the net for each component of each level: that of the numerics, or so that there are enough `rows` in all."""
        if numerics.points is None:
            wanted = _ROWS_A_FEATURE * self.model.count(self.frame)
            wanted = rows or min(max(wanted, _FEWEST_ROWS), _MOST_ROWS)
            parts = sum(law.probability.size for law, share in zip(self.laws, self.shares, strict=True) if share > 0)
            return max(1 << (max(wanted // parts, 2) - 1).bit_length(), least_points(self.rank))
        check_points(numerics.points, self.rank)
        return numerics.points

    def rows(self, probability: np.ndarray, points: int, scrambling: int) -> Rows:
        """The rows to average over, of the levels with this probability (levels,)."""
        return rows_of(self.frame, self.laws, probability, self.activation.code, points, scrambling)

    @property
    def chance(self) -> bool:
        """Whether labels do not change with the sign of an input, which turns the sign of odd units: nothing can be learnt."""
        if not self.activation.odd or self.laws[-1].teacher.exists:
            return False
        law = self.laws[-1]
        mirrored = [
            any(np.allclose(law.gain[d], -law.gain[c]) and law.label[c] == law.label[d] for d in range(law.label.size))
            for c in range(law.label.size)
        ]
        return all(mirrored)

    def threshold(self, rows: Rows) -> float:
        """alpha*, up to which so many examples are fitted exactly by the least norm (a counting argument).

        The least dim S / P(c in S, c != 0) over subspaces S: here over the span of all c, those of subsets of units (g' of ReLU
        vanishes), and of the blocks of inputs that the examples of some levels alone see. K for smooth units, K / (1 - 2^-K) for
        ReLU, 1 for linear ones; 0 where the readout alone moves.
        """
        if not self.model.first:
            return 0.0
        active = rows.c != 0.0
        seen = rows.variance > 0.0
        K, blocks = active.shape[1], seen.shape[1]
        gram = (rows.c * rows.weight[:, None]).T @ rows.c
        smooth = bool(active[:, self.frame.v != 0.0].all())
        subsets: list[tuple[int, ...]] = [tuple(range(K))]
        if not smooth and K <= _MOST_PATTERNS:
            subsets = [units for size in range(1, K + 1) for units in combinations(range(K), size)]
        least = np.inf
        for units in subsets:
            here = list(units)
            dimension = np.linalg.matrix_rank(gram[np.ix_(here, here)], hermitian=True, tol=1e-9 * max(np.trace(gram), 1e-300))
            outside = np.setdiff1d(np.arange(K), here)
            inside = active.any(axis=1) & ~active[:, outside].any(axis=1)
            for size in range(1, blocks + 1):
                for chosen in combinations(range(blocks), size):
                    others = np.setdiff1d(np.arange(blocks), chosen)
                    share = float(rows.weight @ (inside & ~seen[:, others].any(axis=1)))
                    if share > 0:
                        least = min(least, dimension * float(self.blocks.fractions[list(chosen)].sum()) / share)
        return float(least)

    def correction(self) -> float:
        """K (K + P) + K over D and alpha: the relative size of corrections at finite D is this / (alpha D)."""
        return float(self.model.count(self.frame))

    def diverges(self) -> bool:
        """Whether E[1 / |c|^2] is infinite, as of a few long erf units, K <= 2 q: then the least norm has no limit below alpha*."""
        q = np.einsum("bkk->k", self.frame.Q).max()
        vanishing = self.activation.name in ("erf", "tanh")
        return self.model.first and vanishing and self.frame.width <= 2.0 * q and self.activation.code != LINEAR
