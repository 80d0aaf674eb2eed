"""The tasks: what is to be learnt, and the law of its examples at each level of difficulty."""

from .example_law import ExampleLaw
from .xor_mixture import XorMixture

__all__ = ["ExampleLaw", "XorMixture"]
