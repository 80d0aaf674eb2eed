"""How a result is computed: tolerances, nets of averages, output times, the space of the simulation, workers.

The section [numerics] of a file; `numerics=` of every verb, whose keywords are shortcuts for single settings.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BeforeValidator

from curriculode.theory.core.arguments import CHECKS, checked, inside
from curriculode.theory.core.checks import number_within, numbers, plain, whole_number
from curriculode.theory.core.description import Description, unknown
from curriculode.theory.core.errors import InputError, shown

METHODS = ("auto", "DOP853", "RK45", "RK23", "LSODA", "Radau", "BDF")
AVERAGES = ("auto", "closed form", "quasi-Monte Carlo")
SPACINGS = ("linear", "logarithmic")
SPACES = ("overlap", "weight", "diffusion")
_MOST_TIMES = 10**7
_MOST_WORKERS = 100_000


def _one_of(what: str, allowed: tuple[str, ...]) -> Any:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in allowed:
            raise InputError(unknown(what, value, allowed))
        return value

    return Annotated[str, BeforeValidator(check)]


def _optional(check: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else check(value))


def _tolerance(name: str) -> BeforeValidator:
    return _optional(lambda value: number_within(name, value, 1e-14, 1.0, "a tolerance lies between 1e-14 and 1, such as 1e-6"))


def check_net(points: Any) -> int:
    """`points` as an int, where a Sobol net has as many: a power of two up to 2^22."""
    number = plain(points)
    number = int(number) if isinstance(number, float) and number.is_integer() else number
    if isinstance(number, bool) or not isinstance(number, int) or number < 2 or number & (number - 1):
        raise InputError(f"points = {shown(points)} is not allowed; a Sobol net needs a power of two, such as 256, 1024 or 4096")
    if number > 2**22:
        raise InputError(f"points = {shown(number)} is not allowed; at most 2^22 = {2**22}")
    return number


def check_times(times: Any) -> int | tuple[float, ...]:
    """A number of output times, or the increasing times themselves."""
    given = plain(times)
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool):
        if given > _MOST_TIMES:
            raise InputError(f"times = {shown(given)} is not allowed; at most ten million output times")
        if given < 2:
            raise InputError(f"times = {given} is not allowed; at least 2 output times (start and end)")
        return given
    try:
        t = numbers("times", given, finite=False)
    except InputError:
        raise InputError(f"times = {shown(times)} is not allowed; give a number of times or a list of increasing times") from None
    if t.ndim != 1 or t.size == 0 or not np.isfinite(t).all() or (np.diff(t) <= 0).any():
        raise InputError("times must be increasing finite numbers")
    return tuple(t.tolist())


class Numerics(Description):
    """How a result is computed.

    What is None is chosen by the verb, which says so in the statistics of its result.

    Parameters
    ----------
    rtol, atol : float, optional
        Tolerances of the integrator, relative and absolute, on every order parameter, in [1e-14, 1).
    method : str, default "auto"
        A solver of scipy.integrate (DOP853, RK45, RK23, LSODA, Radau or BDF), or "auto", which chooses by the equations.
    averages : {"auto", "closed form", "quasi-Monte Carlo"}, default "auto"
        "auto" takes each term in closed form where there is one; "closed form" all of them, or raises `InputError`.
    accuracy : float, default 1e-3
        Where nets are used and `points` does not fix them, the relative standard error they may leave in the generalisation
        error, in [1e-12, 1).
    points : int, optional
        Size of the nets, a power of two up to 2^22.
    scrambling : int, default 0
        Picks another net of that size, >= 0.
    estimate_error : bool, default True
        Whether the error of a fixed net is estimated, which doubles the cost.
    noise_terms : bool, default True
        False drops the eta^2 term (the limit of small learning rates).
    times : int or array_like of float, optional
        Number of output times (start and end included), or the increasing times themselves, t = examples / D.
    spacing : {"linear", "logarithmic"}, default "linear"
        Of the output times, where `times` is a number.
    space : {"overlap", "weight", "diffusion"}, default "overlap"
        Of the simulation: "overlap", exact in law at a cost that does not depend on D a step, "weight", the weights themselves, or
        "diffusion", what SGD becomes as D grows, at a cost that does not depend on D at all.
    workers : int, optional
        Threads of a comparison or simulation, processes of a sweep; by default the number of cores.

    Examples
    --------
    >>> Numerics(points=256).set(points=512, rtol=None).points
    512
    """

    rtol: Annotated[float | None, _tolerance("rtol")] = None
    atol: Annotated[float | None, _tolerance("atol")] = None
    method: _one_of("method", METHODS) = "auto"  # type: ignore[valid-type]
    averages: _one_of("averages", AVERAGES) = "auto"  # type: ignore[valid-type]
    accuracy: Annotated[
        float,
        BeforeValidator(
            lambda value: number_within("accuracy", value, 1e-12, 1.0, "give a relative error between 1e-12 and 1, such as 1e-3")
        ),
    ] = 1e-3
    points: Annotated[int | None, _optional(check_net)] = None
    scrambling: Annotated[int, BeforeValidator(lambda value: whole_number("scrambling", value, 0, 2**62))] = 0
    estimate_error: bool = True
    noise_terms: bool = True
    times: Annotated[int | tuple[float, ...] | None, _optional(check_times)] = None
    spacing: _one_of("spacing", SPACINGS) = "linear"  # type: ignore[valid-type]
    space: _one_of("space", SPACES) = "overlap"  # type: ignore[valid-type]
    workers: Annotated[int | None, _optional(lambda value: whole_number("workers", value, 1, _MOST_WORKERS))] = None

    def set(self, **settings: Any) -> "Numerics":
        """Return these numerics with those settings changed that are not None.

        Parameters
        ----------
        **settings : object
            Fields of `Numerics` by name.

        Returns
        -------
        Numerics
            The changed numerics.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        return Numerics(**{**{name: getattr(self, name) for name in type(self).model_fields}, **given}) if given else self

    def to_dict(self) -> dict[str, Any]:
        """Return the section [numerics] of a file: what differs from the defaults.

        Returns
        -------
        dict
            Setting -> value.
        """
        return {
            name: value for name, field in type(self).model_fields.items() if (value := plain(getattr(self, name))) != field.default
        }

    @checked
    def output_times(self, duration: float, default: int) -> np.ndarray:
        """Return the output times from 0 to `duration`.

        Parameters
        ----------
        duration : float
            Of the protocol.
        default : int
            Number of times where `times` is None.

        Returns
        -------
        ndarray of shape (times,)
            Increasing times.

        Raises
        ------
        InputError
            For given times outside [0, duration].

        Examples
        --------
        >>> Numerics(times=3).output_times(10.0, 101)
        array([ 0.,  5., 10.])
        """
        times = default if self.times is None else self.times
        if isinstance(times, int):
            if self.spacing == "linear":
                return np.linspace(0.0, duration, times)
            late = np.geomspace(duration * 1e-4, duration, times - 1) if times > 2 else np.array([duration])
            late[-1] = duration
            return np.concatenate([[0.0], late])
        t = np.array(times)
        if t[0] < 0 or t[-1] > duration * (1 + 1e-12):
            raise InputError(
                f"times from {t[0]:g} to {t[-1]:g} are not allowed; they must lie in [0, {duration:g}], the protocol's duration"
            )
        return np.minimum(t, duration)


def checked_numerics(name: str, value: Any) -> Numerics:
    """`value` where it is numerics."""
    if not isinstance(value, Numerics):
        raise InputError(f"{name} = {shown(value)} is not allowed; give a curriculode.Numerics, such as Numerics(rtol=1e-8)")
    return value


# The single settings of the numerics are checked as they become part of one.
CHECKS.update({**dict.fromkeys(Numerics.model_fields, inside), "numerics": checked_numerics})


def numerics_with(numerics: Numerics | None, **shortcuts: Any) -> Numerics:
    """The numerics of a call: those given, or the default ones, with the keywords that are not None in their place."""
    given = Numerics() if numerics is None else checked_numerics("numerics", numerics)
    return given.set(**shortcuts)


Times = int | ArrayLike
