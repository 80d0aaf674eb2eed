"""Which way of averaging an experiment gets."""

from curriculode.theory.activations import Activation
from curriculode.theory.averages import erf_closed_form
from curriculode.theory.averages.erf_closed_form import ErfClosedForm
from curriculode.theory.averages.field_averages import FieldLaw
from curriculode.theory.averages.quasi_monte_carlo import QuasiMonteCarlo
from curriculode.theory.errors import InputError

WAYS = ("auto", "closed form", "quasi-Monte Carlo")
# The closed form of the eta^2 term costs O(K^4), the net O(n K^2). Measured with M = 4 and 2^10 points they cost the same near
# K = 11; at K = 24 the closed form takes 0.9 ms against 0.2 ms, and is exact. Beyond, exactness is left to those who ask for it.
_WIDEST_CLOSED_FORM = 24


def choose(
    way: str, activation: Activation, loss: str, law: FieldLaw, width: int, points: int, scrambling: int
) -> QuasiMonteCarlo | ErfClosedForm:
    """The engine for a student, a loss and the law of a level: "auto" takes a closed form where there is an affordable one.

    Raises `InputError` for an unknown way, and for a closed form that does not exist.
    """
    if way not in WAYS:
        raise InputError(f"averages {way!r} is unknown; allowed: {', '.join(WAYS)}")
    exists = erf_closed_form.applies(activation.code, loss, law)
    if way == "closed form" and not exists:
        raise InputError(
            f"averages 'closed form' do not exist for a {activation.name} student with this task and the {loss} loss "
            "(erf students of erf or sign teachers with the squared loss have them); use 'auto' or 'quasi-Monte Carlo'"
        )
    net = QuasiMonteCarlo(activation, loss, width, law.references, points, scrambling)
    if way == "closed form" or (way == "auto" and exists and width <= _WIDEST_CLOSED_FORM):
        return ErfClosedForm(net)
    return net
