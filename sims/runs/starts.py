"""Where runs begin: at starts that are given, or at random ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.order_parameters import OrderParameters


def one_or_several(name: str, value: Any) -> Any:
    """One start, or a list of them."""
    if isinstance(value, OrderParameters):
        return value
    if not isinstance(value, Sequence) or not all(isinstance(state, OrderParameters) for state in value):
        raise InputError(f"{name} = {shown(value)} is not allowed; give OrderParameters, or a list of them, one for each run")
    return list(value)


def starts_of(
    experiment: Experiment,
    dimension: int,
    members: range,
    seed: int | np.random.SeedSequence,
    start: OrderParameters | Sequence[OrderParameters] | None,
) -> list[OrderParameters]:
    """The start of each run: random ones, or those that are given, checked."""
    if start is None:
        return [experiment.initial(dimension, seed, i) for i in members]
    starts = [start] * len(members) if isinstance(start, OrderParameters) else list(start)
    if len(starts) != len(members):
        raise InputError(f"{len(starts)} starts were given for {len(members)} runs; give one start for all, or one for each run")
    for state in {id(s): s for s in starts}.values():
        state.check(experiment.student.width, experiment.task.reference_overlap())
    return starts
