"""Thresholds in closed form: the weight decay that a small ReLU unit of the XOR mixture cannot outgrow.

One unit too small to change the output, f = 0, of c = |dl/df| (1 squared loss, 1/2 logistic), with eta_v = eta; m = M / v along its
centroid, Q = Q_kk / v^2 and z = sigma sqrt Q. At threshold it neither grows nor shrinks:

    Q = 1 + eta sigma^2 c^2 / (4 kappa)
    kappa   = (c/4) [ m (2 Phi(m/z) - 1) + 2 z (phi(m/z) - phi(0)) ]
    kappa m = c { T/4 (2 Phi(m/z) - 1) + sigma^2 m (phi(m/z) - phi(0)) / (2 z) }

and as eta -> 0, where Q = 1 and m = sqrt T: kappa_c = (c/4) [ sqrt T erf(sqrt T / (sigma sqrt 2)) + 2 sigma (phi(sqrt T / sigma) -
phi(0)) ], c/4 at sigma -> 0 and T = 1 (1/8 for the logistic loss: Ben Arous, Gheissari & Jagannath 2022, 2206.04030).
"""

import math

import numpy as np

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.checks import text
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.tasks import XorMixture

_STRENGTH = {"squared": 1.0, "logistic": 0.5}


def relu_threshold(noise: float, learning_rate: float, loss: str, separation: float = 1.0) -> float:
    """kappa_c of a small ReLU unit; 0 where nothing holds it up.

    >>> round(relu_threshold(1e-6, 0.0, "logistic"), 6)
    0.125
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    c, s, root = _STRENGTH[loss], noise, math.sqrt(separation)

    def density(x: float) -> float:
        return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)

    def pulls(m: float, kappa: float) -> tuple[float, float]:
        """What holds the readout up, over v, and the overlap, over M."""
        Q = 1.0 + learning_rate * s * s * c * c / (4.0 * kappa)
        z = max(s * math.sqrt(Q), 1e-300)
        x = m / z
        side, drop = 2.0 * ndtr(x) - 1.0, density(x) - density(0.0)
        return (
            0.25 * c * (m * side + 2.0 * z * drop),
            c * (0.25 * separation * side / m + 0.5 * s * s * drop / z)
            if m > 0.0
            else c * 0.25 * (separation - s * s) * 2.0 * density(0.0) / z,
        )

    def grown(kappa: float) -> float:
        """How much the readout is held up more than the decay pulls, with the overlap at rest."""
        low, high = 1e-9 * root, 1e3 * root
        if pulls(low, kappa)[1] <= kappa:
            return -kappa  # not even the smallest overlap stays
        m = brentq(lambda m: pulls(m, kappa)[1] - kappa, low, high, xtol=1e-15)
        return pulls(m, kappa)[0] - kappa

    grid = np.geomspace(1e-8, c * max(1.0, root), 400)
    for high, low in zip(grid[::-1], grid[-2::-1], strict=False):
        if grown(low) > 0.0 >= grown(high):
            return float(brentq(grown, low, high, xtol=1e-14))
    return 0.0


@checked(level=text)
def critical_decay(experiment: Experiment, *, level: str | None = None) -> float:
    """Return the weight decay above which no small unit of an XOR mixture grows: above it, what is dead stays dead.

    ReLU units feel their signal however small they are, and grow below a threshold, which is given in closed form (see the
    source). Smooth units feel it in proportion to their size, so that the dead state attracts for every decay; their boundary
    is a fold, which `continuation` finds.

    Parameters
    ----------
    experiment : Experiment
        An XOR mixture, ReLU units, a trained readout of the weights' rate.
    level : str, optional
        Of the examples, by default the hardest.

    Returns
    -------
    float
        kappa_c >= 0; 0 where noise hides the signal at every decay.

    Raises
    ------
    InputError
        For other tasks and units.

    Examples
    --------
    >>> from curriculode import critical_decay, load
    >>> round(critical_decay(load("xor-lottery")), 4)
    0.1218
    """
    setting = Setting.of(experiment)
    task, student = experiment.task, experiment.student
    if not isinstance(task, XorMixture) or task.labels != "clusters" or setting.blocks.count > 1:
        raise InputError("the threshold is known for the XOR mixture without fading; continuation finds that of another task")
    if student.activation != "relu" or student.readout != "trained" or setting.rates.eta_v != setting.rates.eta:
        raise InputError(
            "the threshold is known for relu units and a trained readout of the same learning rate; of smooth units the dead state "
            'attracts at every decay, and continuation(experiment, "training.weight_decay", ...) finds the fold of the others'
        )
    names = [each.name for each in experiment.protocol.levels]
    law = setting.laws[names.index(experiment.protocol.level(level).name)]
    return relu_threshold(float(law.scale[0]), setting.rates.eta, setting.loss, task.separation)
