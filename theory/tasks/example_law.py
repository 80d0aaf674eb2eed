"""The law of one example at one level of difficulty, in the form that theory and simulation share.

With probability pi_c the example belongs to component c, and in each block b of the inputs

    x_b = sum_p a_{cpb} u_{p,b} / sqrt(D) + s_b z_b,      z ~ N(0, 1).

A task supplies this law, its blocks and the overlaps of its references; nothing else of it is known to the equations or
to the simulators.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ExampleLaw:
    """The Gaussian mixture of one level.

    probability : (components,)                     pi_c, sums to 1
    gain        : (components, references, blocks)  a_cpb
    scale       : (blocks,)                         s_b >= 0
    label       : (components,)                     y_c
    """

    probability: np.ndarray
    gain: np.ndarray
    scale: np.ndarray
    label: np.ndarray
