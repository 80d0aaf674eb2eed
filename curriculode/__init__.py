"""curriculode: mean-field equations of ordered learning, and online SGD at finite input dimension to check them.

>>> import curriculode as cu
>>> experiment = cu.load("xor-curriculum")
>>> start = experiment.initial(dimension=1000, seed=0)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from curriculode._version import __version__

# Public names and where they live. They are imported on first use, so that a command loads only what it needs.
_HOMES = {
    "InputError": "theory.core.errors",
    "TeacherStudent": "theory.tasks",
    "XorMixture": "theory.tasks",
    "Task": "theory.tasks",
    "Level": "theory.tasks",
    "ExampleLaw": "theory.tasks",
    "Teacher": "theory.tasks",
    "register_task": "theory.tasks",
    "register_activation": "theory.units.activations",
    "Committee": "theory.describe.committee",
    "OnlineSGD": "theory.describe.training",
    "BatchSlices": "theory.describe.training",
    "TangentSGD": "theory.describe.tangent",
    "TangentRidge": "theory.describe.tangent",
    "Protocol": "theory.describe.protocol",
    "Stage": "theory.describe.protocol",
    "Experiment": "theory.describe.experiment",
    "load": "theory.describe.experiment",
    "Numerics": "theory.describe.numerics",
    "Study": "theory.describe.study",
    "OrderParameters": "theory.describe.order_parameters",
    "Record": "theory.results.record",
    "load_record": "theory.results",
    "Trajectory": "theory.results",
    "Ensemble": "theory.results",
    "Observations": "theory.results",
    "register_observable": "theory.results",
    "integrate": "theory.solve.integrate",
    "Pruning": "theory.describe.pruning",
    "Optimization": "theory.describe.optimization",
    "keep_units": "theory.tickets.units",
    "delete_units": "theory.tickets.units",
    "reinitialise_units": "theory.tickets.units",
    "plant_units": "theory.tickets.units",
    "unit_tickets": "sims.tickets.unit_tickets",
    "WeightLaw": "theory.tickets.law",
    "weight_law": "theory.tickets.law",
    "TicketStudy": "theory.tickets.study",
    "tickets": "sims.tickets.tickets",
    "prizes": "sims.sweep.prizes",
    "odds": "sims.sweep.odds",
    "Branching": "theory.describe.branching",
    "Pair": "theory.pairs.record",
    "Line": "theory.pairs.line",
    "PlateauLaw": "theory.pairs.plateau",
    "plateau_law": "theory.pairs.plateau",
    "Perturbation": "theory.describe.perturbation",
    "TimedPerturbation": "theory.describe.perturbation",
    "perturb": "theory.pairs.perturb",
    "effective_size": "theory.pairs.perturb",
    "recombine": "theory.pairs.recombine",
    "branch": "sims.pairs.branch",
    "Instability": "sims.pairs.instability",
    "instability": "sims.pairs.instability",
    "ticket_instability": "sims.pairs.pruned",
    "winning_and_stable": "sims.pairs.pruned",
    "state_evolution": "theory.solve.state_evolution",
    "tangent_optimum": "theory.solve.tangent_ridge",
    "effective_complexity": "theory.solve.tangent_ridge",
    "fluctuations": "theory.finite_d.fluctuations",
    "Fluctuations": "theory.finite_d.record",
    "worth": "theory.control.worth",
    "Worth": "theory.control.records",
    "optimize": "theory.control.optimize",
    "Optimum": "theory.control.records",
    "fixed_point": "theory.landscape.fixed_point",
    "FixedPoint": "theory.landscape.fixed_point",
    "linear_gain": "theory.landscape.gain",
    "LinearGain": "theory.landscape.gain",
    "continuation": "theory.landscape.continuation",
    "Continuation": "theory.landscape.continuation",
    "critical_decay": "theory.landscape.thresholds",
    "growth_far_out": "theory.landscape.phases",
    "phase_boundary": "theory.landscape.phases",
    "mean_field": "theory.landscape.mean_field",
    "attractors": "sims.landscape.attractors",
    "Attractors": "theory.landscape.records",
    "OddsTest": "theory.landscape.against",
    "simulate": "sims.runs.simulate",
    "diffuse": "sims.runs.simulate",
    "minimize": "sims.runs.minimize",
    "observe": "sims.runs.observe",
    "Comparison": "sims.compare.comparison",
    "compare": "sims.compare.compare",
    "sweep": "sims.sweep.sweep",
    "refine": "sims.sweep.refine",
    "NetworkExperiment": "sims.networks.describe",
    "NetworkSGD": "sims.networks.describe",
    "MLP": "sims.networks.architectures",
    "CNN": "sims.networks.architectures",
    "ImageData": "sims.networks.data",
    "phase_diagram": "figures.plots.phase_diagram",
    "register_figure": "figures.gallery",
}

_ROOMS = {"networks": "sims.networks"}  # whole rooms, whose verbs have the names of those here

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:  # for type checkers; the figures, which few need, are looked up
    from .sims.compare.compare import compare
    from .sims.compare.comparison import Comparison
    from .sims.landscape.attractors import attractors
    from .sims.pairs.branch import branch
    from .sims.pairs.instability import Instability, instability
    from .sims.pairs.pruned import ticket_instability, winning_and_stable
    from .sims.runs.minimize import minimize
    from .sims.runs.observe import observe
    from .sims.runs.simulate import diffuse, simulate
    from .sims.sweep.refine import refine
    from .sims.sweep.sweep import sweep
    from .sims.tickets.tickets import tickets
    from .sims.tickets.unit_tickets import unit_tickets
    from .theory.control.optimize import optimize
    from .theory.control.records import Optimum, Worth
    from .theory.control.worth import worth
    from .theory.core.errors import InputError
    from .theory.describe.branching import Branching
    from .theory.describe.committee import Committee
    from .theory.describe.experiment import Experiment, load
    from .theory.describe.numerics import Numerics
    from .theory.describe.optimization import Optimization
    from .theory.describe.order_parameters import OrderParameters
    from .theory.describe.perturbation import Perturbation, TimedPerturbation
    from .theory.describe.protocol import Protocol, Stage
    from .theory.describe.pruning import Pruning
    from .theory.describe.study import Study
    from .theory.describe.tangent import TangentRidge, TangentSGD
    from .theory.describe.training import BatchSlices, OnlineSGD
    from .theory.finite_d.fluctuations import fluctuations
    from .theory.finite_d.record import Fluctuations
    from .theory.landscape.continuation import Continuation, continuation
    from .theory.landscape.fixed_point import FixedPoint, fixed_point
    from .theory.landscape.gain import LinearGain, linear_gain
    from .theory.landscape.mean_field import mean_field
    from .theory.landscape.phases import growth_far_out, phase_boundary
    from .theory.landscape.records import Attractors
    from .theory.landscape.thresholds import critical_decay
    from .theory.pairs.line import Line
    from .theory.pairs.perturb import effective_size, perturb
    from .theory.pairs.plateau import PlateauLaw, plateau_law
    from .theory.pairs.recombine import recombine
    from .theory.pairs.record import Pair
    from .theory.results import Ensemble, Observations, Trajectory, load_record, register_observable
    from .theory.results.record import Record
    from .theory.solve.integrate import integrate
    from .theory.solve.state_evolution import state_evolution
    from .theory.solve.tangent_ridge import effective_complexity, tangent_optimum
    from .theory.tasks import ExampleLaw, Level, Task, Teacher, TeacherStudent, XorMixture, register_task
    from .theory.tickets.law import WeightLaw, weight_law
    from .theory.tickets.study import TicketStudy
    from .theory.tickets.units import delete_units, keep_units, plant_units, reinitialise_units
    from .theory.units.activations import register_activation


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"curriculode.{_ROOMS[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'curriculode' has no attribute {name!r}")
    value = getattr(import_module(f"curriculode.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
