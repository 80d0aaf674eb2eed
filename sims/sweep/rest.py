"""The state at rest as a point of a sweep: where a student ends that is held on the hardest level after its protocol."""

import numpy as np

from curriculode.sims.sweep.settings import Settings
from curriculode.sims.sweep.values import Layout
from curriculode.theory.core.errors import InputError
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.training import OnlineSGD
from curriculode.theory.landscape.ends import Ends
from curriculode.theory.landscape.fixed_point import LONGEST
from curriculode.theory.results.states import Trajectory


def check_rest(experiment: Experiment) -> None:
    """Raise `InputError` for what comes to no rest."""
    if not isinstance(experiment.training, OnlineSGD):
        raise InputError(
            f"{experiment.training.kind} learns to its end already; rest = True is for online SGD of a committee, which goes on"
        )
    if experiment.training.weight_decay == 0.0 and experiment.student.readout == "trained":
        raise InputError(
            "without weight_decay a trained student comes to no rest, its weights grow on; give a training.weight_decay > 0, or "
            "leave out rest = True"
        )


def rest_row(experiment: Experiment, layout: Layout, seed: int, settings: Settings) -> tuple[np.ndarray | None, str]:
    """All values at rest, (names,), or None where there is no rest; and a sentence on it."""
    numerics = settings.numerics.set(scrambling=settings.numerics.scrambling + seed, estimate_error=False)
    level, T = experiment.protocol.level(None).name, experiment.protocol.duration
    ends = Ends(experiment, level, numerics, "generalization_error", LONGEST)
    end = ends.of_theory(experiment.initial(settings.dimension, seed), np.array([T]))
    record = ends.record(end)
    if end.invariants is None:
        return None, record.status
    state = {"t": np.array([T]), **{name: getattr(end.rest.state, name)[None] for name in "QMv"}}
    extra = {"loss": float(record.errors(level)[0]), "leading": record.leading, "readout_square": float(record.v @ record.v)}
    found = layout.final(Trajectory(experiment, ends.numerics, state, record.status))
    return np.concatenate([found, [extra[name] for name in layout.extra]]), record.status
