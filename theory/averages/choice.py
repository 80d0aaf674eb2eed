"""Which way each term of an experiment is averaged: in closed form where there is one that is worth its cost, else by a net.

| term                              | closed forms                                                                       |
| --------------------------------- | ---------------------------------------------------------------------------------- |
| first order, generalisation error | erf, sign, ReLU, GELU by bivariate normal cdfs (any means); polynomials by Wick sums |
| noise term E[F_k F_l]             | erf students of erf or sign teachers without means (I4); polynomials by Wick sums    |
| classification error              | arccos of the angle, for one erf unit and one erf or sign teacher unit without means |

all for the squared loss, and not for the sign of a committee's output. A logistic loss, tanh, units of a user's own, and pairs of a
polynomial with another unit are averaged by quasi-Monte Carlo nets.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np

from curriculode.theory.averages import erf_closed_form
from curriculode.theory.averages.erf_closed_form import ErfClosedForm
from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.averages.pair_closed_form import PairClosedForm, pairs_exist
from curriculode.theory.averages.quasi_monte_carlo import QuasiMonteCarlo
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.units.activations import Activation

ClosedForm = PairClosedForm | ErfClosedForm
WAYS = ("auto", "closed form", "quasi-Monte Carlo")
NET = QuasiMonteCarlo.name
# I4 costs O(K^4), the net O(n K^2). Measured with M = 4 and 2^10 points they cost the same near K = 17; at K = 24 the closed form
# takes 0.30 ms against 0.15 ms, and is exact. Beyond, exactness is left to those who ask for it.
_WIDEST_ERF = 24
# Wick sums for the noise term cost about 6 ns an entry of the tables of moments: at most half a millisecond for a level.
_MOST_WICK_OPERATIONS = 100_000


class Engine:
    """The averages of one student and loss over the levels of a task, each term in the way that `ways` names.

    first, noise : the closed forms of the first order and of the noise term; where None, `net()` makes the net that averages
    """

    def __init__(
        self,
        net: Callable[[], QuasiMonteCarlo],
        points: int,
        first: ClosedForm | None,
        noise: ClosedForm | None,
        noise_terms: bool,
        angle: bool,
    ) -> None:
        self._make_net, self.points, self.first, self.noise, self.noise_terms = net, points, first, noise, noise_terms
        self.ways = {"first order": first.way if first else NET}
        if noise_terms:
            self.ways["noise term"] = noise.way if noise else NET
        self._equations = list(self.ways)
        self.ways["classification error"] = "arccos" if angle else NET

    @cached_property
    def net(self) -> QuasiMonteCarlo:
        """The net, made when it is first needed."""
        return self._make_net()

    @property
    def exact(self) -> bool:
        """Whether no term of the right-hand side is averaged by a net."""
        return all(self.ways[term] != NET for term in self._equations)

    @property
    def errors_exact(self) -> bool:
        """Whether neither of the errors is averaged by a net."""
        return self.first is not None and self.ways["classification error"] != NET

    def averages(self, law: FieldLaw, v: np.ndarray, out: FieldAverages) -> None:
        """Fill `out` with the averages of a level whose fields obey `law`, for the readout v (K,)."""
        if self.first:
            self.first.first_order(law, v, out)
        if self.noise and self.noise_terms:
            self.noise.noise_term(law, v, out)
        by_net = self.noise_terms and not self.noise
        if by_net or not self.first:
            self.net.averages(law, v, out, first_order=not self.first, noise_term=by_net)

    def errors(self, law: FieldLaw, v: np.ndarray) -> tuple[float, float]:
        """Generalisation error E[l(f, y)] and classification error P(sign f != sign y)."""
        if not self.first:
            return self.net.errors(law, v)
        generalization = self.first.generalization_error(law, v)
        return generalization, erf_closed_form.classification_error(law, v) if self.errors_exact else self.net.errors(law, v)[1]


def choose(
    way: str,
    activation: Activation,
    loss: str,
    law: FieldLaw | Sequence[FieldLaw],
    width: int,
    points: int,
    scrambling: int,
    noise_terms: bool = True,
) -> Engine:
    """The engine for a student, a loss and the laws of the levels; "auto" takes closed forms where they are affordable.

    law : of every level; one law alone stands for all where levels agree in which means are zero

    Raises `InputError` for an unknown way, and for a closed form that does not exist.
    """
    if way not in WAYS:
        raise InputError(f"averages {shown(way)} is unknown; allowed: {', '.join(WAYS)}")
    laws = [law] if isinstance(law, FieldLaw) else list(law)
    law = laws[-1]
    net = partial(QuasiMonteCarlo, activation, loss, width, law.references, points, scrambling)
    first: ClosedForm | None = None
    noise: ClosedForm | None = None
    if way == NET:
        pass
    elif all(erf_closed_form.applies(activation.code, loss, each) for each in laws):
        first = ErfClosedForm()
        noise = first if way == "closed form" or width <= _WIDEST_ERF else None
    elif all(pairs_exist(activation.code, loss, each) for each in laws):
        first = PairClosedForm(activation.code, law)
        noise = first if first.wick and (way == "closed form" or first.operations(law, width) <= _MOST_WICK_OPERATIONS) else None
    if way == "closed form" and (first is None or (noise is None and noise_terms)):
        missing = "no average has one" if first is None else "the noise term has none"
        raise InputError(
            f"averages 'closed form' do not exist for a {activation.name} student with this task and the {loss} loss: {missing} "
            "(erf students of erf or sign teachers without means, and polynomials, have all with the squared loss); use 'auto' or "
            "'quasi-Monte Carlo'" + ("" if first is None else ", or drop the noise term (noise_terms)")
        )
    angle = isinstance(first, ErfClosedForm) and law.references == width == 1
    return Engine(net, points, first, noise, noise_terms, angle)
