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
    "InputError": "theory.errors",
    "TeacherStudent": "theory.tasks",
    "XorMixture": "theory.tasks",
    "Committee": "theory.committee",
    "OnlineSGD": "theory.training",
    "BatchSlices": "theory.training",
    "Level": "theory.protocol",
    "Protocol": "theory.protocol",
    "Experiment": "theory.experiment",
    "load": "theory.experiment",
    "OrderParameters": "theory.order_parameters",
    "Trajectory": "theory.trajectory",
    "integrate": "theory.integrate",
    "state_evolution": "theory.batch",
    "BatchTrajectory": "theory.batch",
    "Ensemble": "sims.ensemble",
    "simulate": "sims.simulate",
    "minimize": "sims.minimize",
    "BatchEnsemble": "sims.batch_ensemble",
    "observe": "sims.observe",
    "Observations": "sims.observe",
    "Study": "sims.study",
    "Comparison": "sims.comparison",
    "compare": "sims.compare",
    "sweep": "sims.sweep.sweep",
    "refine": "sims.sweep.refine",
    "phase_diagram": "figures.phase_diagram",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:  # not the figures, which the floors below, that ask for __version__ here, must not import
    from .sims.batch_ensemble import BatchEnsemble
    from .sims.compare import compare
    from .sims.comparison import Comparison
    from .sims.ensemble import Ensemble
    from .sims.minimize import minimize
    from .sims.observe import Observations, observe
    from .sims.simulate import simulate
    from .sims.study import Study
    from .sims.sweep.refine import refine
    from .sims.sweep.sweep import sweep
    from .theory.batch import BatchTrajectory, state_evolution
    from .theory.committee import Committee
    from .theory.errors import InputError
    from .theory.experiment import Experiment, load
    from .theory.integrate import integrate
    from .theory.order_parameters import OrderParameters
    from .theory.protocol import Level, Protocol
    from .theory.tasks import TeacherStudent, XorMixture
    from .theory.training import BatchSlices, OnlineSGD
    from .theory.trajectory import Trajectory


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'curriculode' has no attribute {name!r}")
    value = getattr(import_module(f"curriculode.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
