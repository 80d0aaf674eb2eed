"""curriculode: mean-field equations of ordered learning, and online SGD at finite input dimension to check them.

>>> import curriculode as cu
>>> experiment = cu.load("xor-curriculum")
>>> start = experiment.initial(dimension=1000, seed=0)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public names and where they live. They are imported on first use, so that a command loads only what it needs.
_HOMES = {
    "InputError": "theory.core.errors",
    "TeacherStudent": "theory.tasks",
    "XorMixture": "theory.tasks",
    "Committee": "theory.describe.committee",
    "OnlineSGD": "theory.describe.training",
    "BatchSlices": "theory.describe.training",
    "Level": "theory.describe.protocol",
    "Protocol": "theory.describe.protocol",
    "Experiment": "theory.describe.experiment",
    "load": "theory.describe.experiment",
    "OrderParameters": "theory.describe.order_parameters",
    "Trajectory": "theory.results.trajectory",
    "integrate": "theory.solve.integrate",
    "state_evolution": "theory.batch",
    "BatchTrajectory": "theory.batch",
    "Ensemble": "sims.runs.ensemble",
    "simulate": "sims.runs.simulate",
    "minimize": "sims.runs.minimize",
    "BatchEnsemble": "sims.runs.batch_ensemble",
    "observe": "sims.runs.observe",
    "Observations": "sims.runs.observe",
    "Study": "theory.describe.study",
    "Comparison": "sims.compare.comparison",
    "compare": "sims.compare.compare",
    "sweep": "sims.sweep.sweep",
    "refine": "sims.sweep.refine",
    "phase_diagram": "figures.plots.phase_diagram",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:  # not the figures, which the floors below, that ask for __version__ here, must not import
    from .sims.compare.compare import compare
    from .sims.compare.comparison import Comparison
    from .sims.runs.batch_ensemble import BatchEnsemble
    from .sims.runs.ensemble import Ensemble
    from .sims.runs.minimize import minimize
    from .sims.runs.observe import Observations, observe
    from .sims.runs.simulate import simulate
    from .sims.sweep.refine import refine
    from .sims.sweep.sweep import sweep
    from .theory.batch import BatchTrajectory, state_evolution
    from .theory.core.errors import InputError
    from .theory.describe.committee import Committee
    from .theory.describe.experiment import Experiment, load
    from .theory.describe.order_parameters import OrderParameters
    from .theory.describe.protocol import Level, Protocol
    from .theory.describe.study import Study
    from .theory.describe.training import BatchSlices, OnlineSGD
    from .theory.results.trajectory import Trajectory
    from .theory.solve.integrate import integrate
    from .theory.tasks import TeacherStudent, XorMixture


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'curriculode' has no attribute {name!r}")
    value = getattr(import_module(f"curriculode.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
