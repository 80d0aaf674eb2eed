"""What is to be small: errors at levels, at the end of a protocol or on average over it, with their gradients by the state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from curriculode.theory.averages import FieldAverages
from curriculode.theory.averages.field_averages import FieldLaw
from curriculode.theory.averages.net_gradient import FieldGradient, Weights
from curriculode.theory.core.checks import plain
from curriculode.theory.core.description import unknown
from curriculode.theory.core.errors import InputError, shown
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.dynamics.costates import Costates

ERRORS = ("generalization_error", "classification_error")


@dataclass(frozen=True)
class Objective:
    """A weighted sum of errors: terms of (error, number of the level, weight), at the end or averaged over time."""

    terms: tuple[tuple[str, int, float], ...]
    averaged: bool = False

    @classmethod
    def of(cls, experiment: Experiment, given: Any, averaged: bool = False) -> "Objective":
        """That of "classification_error", on the hardest level, or of {"classification_error": {"easy": 0.5, "hard": 0.5}}."""
        levels = [level.name for level in experiment.protocol.levels]
        tables = {given: {levels[-1]: 1.0}} if isinstance(given, str) else plain(given)
        if not isinstance(tables, Mapping) or not tables:
            raise InputError(
                f"objective = {shown(given)} is not allowed; give the name of an error, such as 'generalization_error', or "
                "{'classification_error': {'easy': 0.5, 'hard': 0.5}}"
            )
        terms = []
        for name, weights in tables.items():
            if name not in ERRORS:
                raise InputError(unknown("objective", name, list(ERRORS)))
            if name == "classification_error" and name not in experiment.task.observable_names:
                raise InputError(f"the task {experiment.task.kind} as it is has no classification error; use generalization_error")
            if not isinstance(weights, Mapping) or not weights:
                raise InputError(
                    f"objective: {name} = {shown(weights)} is not allowed; give level -> weight, such as {{'hard': 1.0}}"
                )
            for level, weight in weights.items():
                if level not in levels:
                    raise InputError(unknown("objective: level", level, levels))
                number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
                if not number or not 0.0 <= weight <= 1e6:
                    raise InputError(f"objective: weight {shown(weight)} of {level} is not allowed; give a number of at least 0")
                terms.append((name, levels.index(level), float(weight)))
        if not any(weight for _, _, weight in terms):
            raise InputError("the weights of the objective are all zero; give one that is greater")
        return cls(tuple(terms), averaged)

    def value_and_gradient(self, costates: Costates, y: np.ndarray) -> tuple[float, np.ndarray]:
        """Value at the state y (n,), and gradient (n,).

        A classification error without a closed form is averaged over a net with its step smoothed by .05 of an output, which makes
        it differentiable; its value here is that of the smoothed one.
        """
        laws, Q, M, v = costates.laws_at(y)
        total = 0.0
        parts = [np.zeros_like(Q), np.zeros_like(M), np.zeros_like(v)]
        for name, level, weight in self.terms:
            if weight == 0.0:
                continue
            value, fields = _error(costates, name, laws[level], v)
            total += weight * value
            for part, more in zip(parts, costates.chained(level, fields), strict=True):
                part += weight * more
        return total, costates.packed_gradient(*parts)

    def measured(self, trajectory: Any) -> float:
        """The objective of a trajectory, its errors as they are: at its end, or averaged over its times."""
        levels = [level.name for level in trajectory.experiment.protocol.levels]
        total = np.zeros(trajectory.t.size)
        for name, level, weight in self.terms:
            total += weight * trajectory.errors(levels[level])[ERRORS.index(name)]
        return float(np.trapezoid(total, trajectory.t) / trajectory.t[-1]) if self.averaged else float(total[-1])


def _error(costates: Costates, name: str, law: FieldLaw, v: np.ndarray) -> tuple[float, FieldGradient]:
    """An error at a level and its gradient by means, covariance and readout."""
    engine, R, K = costates.engine, law.references, v.size
    if name == "generalization_error" and engine.first is not None:
        averages = FieldAverages.empty(law.mean.shape[0], K, law.example.gain.shape[1])
        engine.first.first_order(law, v, averages)
        by_C = np.zeros_like(law.covariance)
        by_C[R:, R:] = 0.25 * (averages.student + averages.student.T)
        by_C[R:, :R] = 0.5 * averages.reference[:, :R]
        by_C[:R, R:] = by_C[R:, :R].T
        return engine.first.generalization_error(law, v), FieldGradient(averages.force, by_C, averages.readout)
    if name == "classification_error" and engine.ways[name.replace("_", " ")] == "arccos":
        return _angle(law, v)
    nothing = Weights.zero(law.mean.shape[0], K, R)
    weights = nothing._replace(generalization=1.0) if name == ERRORS[0] else nothing._replace(classification=1.0)
    found, value = costates.gradients.net.gradient(law, v, weights)
    return value, found


def _angle(law: FieldLaw, v: np.ndarray) -> tuple[float, FieldGradient]:
    """arccos(r) / pi of one unit each, r = +-C_12 / sqrt(C_11 C_22), and its gradient."""
    C, found = law.covariance, FieldGradient.empty(law.mean.shape[0], 1, 1)
    sign = float(np.sign(v[0] * law.example.teacher.readout[0]))
    if sign == 0.0 or C[1, 1] <= 0.0:
        return 0.5, found
    r = float(np.clip(sign * C[0, 1] / np.sqrt(C[0, 0] * C[1, 1]), -1.0, 1.0))
    slope = -1.0 / (np.pi * np.sqrt(max(1.0 - r * r, 1e-300)))
    found.covariance[0, 1] = found.covariance[1, 0] = 0.5 * slope * sign / np.sqrt(C[0, 0] * C[1, 1])
    found.covariance[1, 1] = -0.5 * slope * r / C[1, 1]
    return float(np.arccos(r) / np.pi), found
