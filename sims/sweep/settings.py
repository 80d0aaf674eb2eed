"""How every point of a sweep is computed."""

import json
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator

from curriculode.theory.core.checks import truth, whole_number
from curriculode.theory.core.description import Description, unknown
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.numerics import Numerics, numerics_with
from curriculode.theory.describe.optimization import Optimization
from curriculode.theory.results.errors import DEFAULT_POINTS
from curriculode.theory.tickets.study import DENSE

SHORTCUTS = ("space", "points", "rtol", "atol", "method", "averages", "accuracy", "noise_terms")  # settings of the numerics
AT_REST = ("loss", "leading", "readout_square")  # what is kept of a state at rest beside observables
_RTOL = 1e-6


class Settings(Description):
    """How every point is computed.

    dimension : D of the starts and of the simulation
    theory : whether the equations are integrated;  scramblings : independent nets they are averaged over
    runs : simulated runs from each start; 0 for none
    numerics : accuracy of both; a net without `points` grows until its `accuracy` is met
    treatments : of what a pruning keeps; none where nothing is pruned
    optimization : what is found at every point, in place of an integration; None for nothing
    rest : whether the state at rest is found in which a student ends that goes on with the hardest level

    >>> Settings(dimension=1e3).text == Settings(numerics=Numerics(points=1024, rtol=1e-6, workers=3)).text
    True
    """

    dimension: Annotated[int, BeforeValidator(lambda value: whole_number("dimension", value))] = 1000
    theory: Annotated[bool, BeforeValidator(lambda value: truth("theory", value))] = True
    runs: Annotated[int, BeforeValidator(lambda value: whole_number("runs", value, 0))] = 0
    scramblings: Annotated[int, BeforeValidator(lambda value: whole_number("scramblings", value, 1, 1024))] = 1
    numerics: Numerics = Numerics(points=DEFAULT_POINTS)
    treatments: Annotated[tuple[str, ...], BeforeValidator(tuple)] = ()
    optimization: Optimization | None = None
    rest: Annotated[bool, BeforeValidator(lambda value: truth("rest", value))] = False

    @cached_property
    def text(self) -> str:
        """What of these settings determines numbers, in one line."""
        chosen = self.numerics
        matter: dict[str, Any] = {"dimension": self.dimension, "runs": self.runs, "theory": self.theory}
        matter |= {"averages": chosen.averages, "points": chosen.points}  # of the errors of simulated states too
        if self.theory:
            names = ("rtol", "atol", "method", "noise_terms", "scrambling")
            matter |= {"scramblings": self.scramblings, **{name: getattr(chosen, name) for name in names}}
            if chosen.points is None:
                matter["accuracy"] = chosen.accuracy
            else:  # what the integration chooses, written out: the same numbers have the same text
                rtol = _RTOL if chosen.rtol is None else chosen.rtol
                matter |= {"rtol": rtol, "atol": 0.01 * rtol if chosen.atol is None else chosen.atol}
        if self.runs:
            matter["space"] = chosen.space
        if self.treatments:
            matter["treatments"] = list(self.treatments)
        if self.optimization is not None:  # whose own steps have another default tolerance
            matter["optimization"] = {**self.optimization.to_dict(), "rtol": chosen.rtol}
        if self.rest:
            matter["rest"] = True
        return json.dumps(matter, sort_keys=True)

    @property
    def labels(self) -> tuple[str, ...]:
        """What has a row of its own at every point: treatments, the dense training first, or protocols; nothing otherwise."""
        if self.optimization is not None:
            return self.optimization.labels
        return (DENSE, *self.treatments) if self.treatments else ()

    @property
    def extra(self) -> tuple[str, ...]:
        """What is kept beside observables and order parameters: of an optimum its objective, gain and kind; of rest its rates."""
        if self.rest:
            return AT_REST
        if self.optimization is None:
            return ()
        return ("objective", "gain", *(("kind",) if "order" in self.optimization.control else ()))

    @property
    def parts(self) -> tuple[str, ...]:
        """Endings of the columns of a name in a table, see `Layout`."""
        several = self.scramblings > 1 or (self.optimization is not None and self.optimization.tests > 1)
        theory = ("", "_standard_error")[: 2 if several else 1] if self.theory else ()
        return theory + (("_simulation", "_simulation_standard_error") if self.runs else ())


def settings_with(numerics: Numerics | None, given: dict[str, Any]) -> Settings:
    """The settings of a call: `given` are dimension, theory, runs, scramblings, treatments, and shortcuts of the numerics.

    Without an accuracy that is asked for, nets have 1024 points: their error is part of the scatter between seeds.
    """
    own = [name for name in Settings.model_fields if name != "numerics"]
    for name in given:
        if name not in own and name not in SHORTCUTS:
            raise InputError(unknown("argument", name, [*own, *SHORTCUTS]))
    short = {name: given[name] for name in SHORTCUTS if name in given}
    chosen = numerics_with(numerics, **short)
    grows = short.get("accuracy") is not None or chosen.accuracy != Numerics.model_fields["accuracy"].default
    if chosen.points is None and not grows:
        chosen = chosen.set(points=DEFAULT_POINTS)
    settings = Settings(numerics=chosen, **{name: given[name] for name in own if name in given})
    if not settings.theory and settings.runs == 0:
        raise InputError(
            "a sweep with theory = False and runs = 0 has nothing to compute; leave theory on, or give a number of runs"
        )
    if settings.optimization is not None and (
        settings.runs or not settings.theory or settings.scramblings > 1 or settings.treatments
    ):
        raise InputError(
            "a sweep of optima is by theory, one net a seed: leave out runs, theory = False, scramblings and treatments; what is "
            "found is simulated and compared as any experiment"
        )
    if settings.rest and (
        settings.runs or not settings.theory or settings.scramblings > 1 or settings.treatments or settings.optimization
    ):
        raise InputError(
            "a sweep of states at rest is by theory, one net a seed: leave out runs, theory = False, scramblings, treatments and "
            "optimization; `attractors` finds the ends of runs"
        )
    return settings
