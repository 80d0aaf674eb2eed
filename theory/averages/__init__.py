"""The Gaussian averages over the student's fields, one way of evaluating them per file; `choice` says which term gets which.

Every way fills the same five arrays for one level of difficulty (`FieldAverages`), from which `theory.dynamics` builds
the right-hand side for any task and any blocks. By Stein's lemma nothing else is needed, and no covariance is inverted.
"""

from curriculode.theory.averages.choice import Engine, choose
from curriculode.theory.averages.field_averages import FieldAverages, FieldLaw
from curriculode.theory.averages.quasi_monte_carlo import QuasiMonteCarlo

__all__ = ["Engine", "FieldAverages", "FieldLaw", "QuasiMonteCarlo", "choose"]
