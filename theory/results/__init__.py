"""The record of a result: named arrays with named dimensions, what is read off them, and its file."""

from curriculode.theory.results.load import load_record
from curriculode.theory.results.observations import Observations
from curriculode.theory.results.record import Record
from curriculode.theory.results.registered import register_observable
from curriculode.theory.results.states import Ensemble, Trajectory

__all__ = ["Ensemble", "Observations", "Record", "Trajectory", "load_record", "register_observable"]
