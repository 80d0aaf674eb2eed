"""The verb `linear_gain`: how the signal grows from the start, and when it is discovered."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from curriculode.theory.core.arguments import checked
from curriculode.theory.core.blas import one_blas_thread
from curriculode.theory.core.checks import function, number_within
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.order_parameters import OrderParameters
from curriculode.theory.dynamics.interface import Stretch
from curriculode.theory.dynamics.online import OnlineLearning, packed
from curriculode.theory.dynamics.setting import Setting
from curriculode.theory.landscape.growth import CollapsedGrowth, SignalGrowth
from curriculode.theory.results.record import Record
from curriculode.theory.results.states import DIVERGED
from curriculode.theory.solve.stages import Solver
from curriculode.theory.solve.way import Way

if TYPE_CHECKING:
    import pandas as pd

THRESHOLD = 0.5  # of the largest cosine: as for covered clusters
_TIMES = 201
_LATE, _STILL = 0.1, 1e-2  # the last tenth of the protocol, and the growth over it that is none


class LinearGain(Record):
    """The growth of a small signal along a protocol.

    Made by `linear_gain`.

    Attributes
    ----------
    t : ndarray of shape (times,)
        Examples per input dimension.
    gain : ndarray of shape (times,)
        max over units k and references p of |M_kp| / sqrt(Q_kk T_pp), M to first order about M = 0.
    rate : ndarray of shape (times, levels)
        The largest rate at which a signal would grow there by examples of one level alone.
    Q : ndarray of shape (times, [blocks,] K, K)
        Overlaps of units at M = 0.
    M : ndarray of shape (times, [blocks,] K, P)
        The small signal.
    v : ndarray of shape (times, K)
        Readout at M = 0.
    statistics : mapping of str to value
        `slow` (the time of discovery by cubic growth after the readout's collapse, from the signal that is left; infinite where
        there is none), `threshold`, `bounded` (whether the gain grows no more at the end).
    """

    kind: ClassVar[str] = "linear gain"
    dimensions: ClassVar[Any] = {
        "t": ("time",),
        "gain": ("time",),
        "rate": ("time", "level"),
        "Q": ("time", "block", "unit", "other_unit"),
        "M": ("time", "block", "unit", "reference"),
        "v": ("time", "unit"),
    }
    needed: ClassVar[tuple[str, ...]] = tuple(dimensions)
    t: np.ndarray
    gain: np.ndarray
    rate: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    v: np.ndarray

    @property
    def levels(self) -> list[str]:
        """Names of the levels."""
        return [level.name for level in self.experiment.protocol.levels]

    @property
    def critical_ratio(self) -> float:
        """D_c / D, (g_max / threshold)^2: how much larger than that of the start the dimension may be for a linear discovery."""
        return float((self.gain.max() / self.statistics["threshold"]) ** 2)

    @checked(ratio=lambda name, value: number_within(name, value, 1e-12, 1e12, "give D over that of the start, > 0"))
    def discovery_time(self, ratio: float = 1.0) -> float:
        """Return when the gain reaches the threshold, by linear growth, for a dimension other than that of the start.

        Parameters
        ----------
        ratio : float, default 1.0
            D over the dimension of the start: the signal at t = 0 is as D^(-1/2).

        Returns
        -------
        float
            Interpolated in ln g; infinite where it does not come so far.
        """
        wanted = self.statistics["threshold"] * np.sqrt(ratio)
        above = np.flatnonzero(self.gain >= wanted)
        if not above.size:
            return float("inf")
        i = int(above[0])
        if i == 0:
            return float(self.t[0])
        low, high = np.log(self.gain[i - 1 : i + 1])
        return float(self.t[i - 1] + (np.log(wanted) - low) / (high - low) * (self.t[i] - self.t[i - 1]))

    @checked(ratio=lambda name, value: number_within(name, value, 1e-12, 1e12, "give D over that of the start, > 0"))
    def slow_discovery_time(self, ratio: float = 1.0) -> float:
        """Return when the signal is discovered after the readout has collapsed: in proportion to D.

        Parameters
        ----------
        ratio : float, default 1.0
            D over the dimension of the start.

        Returns
        -------
        float
            Infinite with weight decay, a fixed readout or kinked units, of which it is not known.
        """
        return float(self.t[-1] + self.statistics["slow"] * ratio)

    @checked
    def growth(self, level: str) -> np.ndarray:
        """Return the largest rate of growth by examples of one level alone.

        Parameters
        ----------
        level : str
            Its name.

        Returns
        -------
        ndarray of shape (times,)
            Per unit of time.
        """
        if level not in self.levels:
            raise InputError(unknown("level", level, self.levels))
        return self.rate[:, self.levels.index(level)]

    def to_frame(self) -> "pd.DataFrame":
        """Return gain and rates as a table.

        Returns
        -------
        DataFrame
            One row a time: t, gain, and `rate_LEVEL` of each level.
        """
        import pandas as pd

        columns = {"t": self.t, "gain": self.gain}
        return pd.DataFrame({**columns, **{f"rate_{name}": self.rate[:, i] for i, name in enumerate(self.levels)}})


@checked(
    threshold=lambda name, value: number_within(name, value, 1e-6, 1.0, "give a cosine, in (0, 1]"),
    progress=function,
)
def linear_gain(
    experiment: Experiment,
    start: OrderParameters,
    *,
    threshold: float = THRESHOLD,
    numerics: Numerics | None = None,
    times: int | ArrayLike | None = None,
    rtol: float | None = None,
    averages: str | None = None,
    points: int | None = None,
    scrambling: int | None = None,
    noise_terms: bool | None = None,
    progress: Callable[[float], None] | None = None,
) -> LinearGain:
    """Follow the signal to first order about M = 0 along a protocol: how it grows, when it is discovered, up to which D.

    At M = 0 the labels average out and a trained readout decays, so that the gain of a small signal is bounded: where its largest
    takes M_kp / sqrt(Q_kk T_pp) from O(D^-1/2) to the threshold the discovery takes a time of order ln D, beyond D_c of order D.

    Parameters
    ----------
    experiment : Experiment
        With a mixture whose means do not follow the label, such as `XorMixture`, that learns online.
    start : OrderParameters
        The state at t = 0, with the signal of its dimension, such as `experiment.initial(dimension=1000)`.
    threshold : float, default 0.5
        The cosine at which the signal is discovered.
    numerics : Numerics, optional
        How; the keywords from `times` to `noise_terms` are shortcuts for single settings of it.
    times : int or array_like of float, optional
        By default 201.
    rtol, averages, points, scrambling, noise_terms : optional
        See `Numerics`; nets, of what has no closed form, have 1024 points by default.
    progress : callable, optional
        Called with the time reached after each step.

    Returns
    -------
    LinearGain
        `.gain`, `.rate`, `.discovery_time(ratio)`, `.critical_ratio`, `.slow_discovery_time(ratio)`.

    Raises
    ------
    InputError
        For batch learning, and for tasks whose signal needs no discovery.

    Examples
    --------
    >>> from curriculode import linear_gain, load
    >>> experiment = load("xor-curriculum").replace({"protocol.duration": 4.0})
    >>> found = linear_gain(experiment, experiment.initial(dimension=10**6), points=64, times=5)
    >>> bool(found.growth("easy")[0] > found.growth("hard")[0])
    True
    """
    settings = numerics_with(
        numerics, times=times, rtol=rtol, averages=averages, points=points, scrambling=scrambling, noise_terms=noise_terms
    )
    setting = Setting.of(experiment)
    setting.check(start)
    if setting.fields > setting.width:
        raise InputError(
            "the gain is of mixtures, such as the XOR mixture; a teacher's signal is seen from the start: see fixed_point for its "
            "plateaus"
        )
    t = settings.output_times(experiment.protocol.duration, _TIMES)
    way = Way.of(setting, settings, progress)
    order = start.canonical_order()
    ordered = start.permuted(order)
    stretches = []
    for stage in setting.stages:
        online = OnlineLearning(setting, way.engine, stage.probability, stage.rates, ordered.v)
        stretches.append(
            Stretch(stage.start, stage.end, SignalGrowth(setting, online, stage.probability, stage.rates, way.numerics))
        )
    y = packed(setting, ordered)
    method, rtol, atol = way.solver(y.size)
    # Errors are relative to the signal, which is small: the equation of M is linear, so that M is followed at any scale.
    M = ordered.blocked()[1]
    scale = float(np.abs(M).max())
    if not scale > 0.0:
        raise InputError(
            "the start has no signal, M = 0; give one of a finite dimension, such as experiment.initial(dimension=1000)"
        )
    begin = packed(setting, OrderParameters(ordered.Q, ordered.M / scale, ordered.v))
    with one_blas_thread():
        solution = Solver(method, rtol, atol, np.inf, progress).solve(stretches, begin, t)
        states = np.array(solution.states)
        first: Any = stretches[0].dynamics
        Q, M, v = first._online.unpacked(states)
        rate = np.array([_rates(stretches, float(at), Q[i], v[i]) for i, at in enumerate(t[: len(states)])])
    M = scale * M
    norm = np.sqrt(np.einsum("tbkk->tk", Q)[:, :, None] * np.diagonal(setting.blocks.T.sum(axis=0)))
    gain = (np.abs(M.sum(axis=1)) / norm).max(axis=(1, 2))
    slow = _slow(setting, Q[-1], M[-1])
    back = np.argsort(order)
    Q, M, v = Q[:, :, back][..., back], M[:, :, back], v[:, back]
    before = float(np.interp((1.0 - _LATE) * t[-1], t[: gain.size], gain))
    bounded = bool(gain[-1] < (1.0 + _STILL) * before)
    if Q.shape[1] == 1:
        Q, M = Q[:, 0], M[:, 0]
    found = LinearGain(
        experiment,
        way.numerics,
        {"t": t[: len(states)].copy(), "gain": gain, "rate": rate, "Q": Q.copy(), "M": M.copy(), "v": v.copy()},
        "",
        success=solution.failure is None,
        statistics={"threshold": threshold, "slow": slow, "bounded": bounded, "method": method, "rtol": rtol, "limit": DIVERGED},
    )
    return found.replace(status=solution.failure or _told(found, bounded))


def _rates(stretches: list[Stretch], t: float, Q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The largest rate of growth by each level alone, at the stage's rates, (levels,)."""
    stage = next((each for each in stretches if each.start <= t < each.end), stretches[-1])
    growth: Any = stage.dynamics
    levels = range(len(growth.setting.laws))
    return np.array([np.linalg.eigvals(growth.operator(level, Q, v)).real.max() for level in levels])


def _slow(setting: Setting, Q: np.ndarray, M: np.ndarray) -> float:
    """The time of discovery by cubic growth from a signal, infinite where that is not known."""
    last = setting.stages[-1]
    if not setting.readout_trained or last.rates.kappa > 0.0 or setting.activation.kinked or setting.loss != "squared":
        return float("inf")
    if (last.probability > 0).sum() > 1:
        return float("inf")
    level = int(last.probability.argmax())
    try:
        return CollapsedGrowth(setting, level, last.rates, Q).time(M)
    except np.linalg.LinAlgError:
        return float("inf")


def _told(found: LinearGain, bounded: bool) -> str:
    """One sentence on the growth."""
    ratio, T = found.critical_ratio, found.t[-1]
    words = f"the signal grows {found.gain.max() / found.gain[0]:.3g} times by t = {found.t[found.gain.argmax()]:.4g}"
    time = found.discovery_time()
    if np.isfinite(time):
        return f"{words}: discovered at t = {time:.4g}, by linear growth up to D_c = {ratio:.3g} times the start's dimension"
    if bounded:
        slow = found.slow_discovery_time()
        after = f", then by cubic growth at t = {slow:.4g}, in proportion to D" if np.isfinite(slow) else ""
        return f"{words} and no more: linear growth discovers it up to D_c = {ratio:.3g} times the start's dimension{after}"
    return f"{words} and goes on: not discovered by t = {T:g}"
