"""A protocol as numbers that may be varied: stretches of constant level probabilities and learning rate."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.describe.protocol import Stage
from curriculode.theory.dynamics.setting import Setting


@dataclass(frozen=True)
class Schedule:
    """edges (N + 1,) in time;  probability (N, levels);  eta (N,) of the weights."""

    edges: np.ndarray
    probability: np.ndarray
    eta: np.ndarray

    @classmethod
    def of(cls, setting: Setting) -> "Schedule":
        """The protocol of a setting."""
        stages = [stage for stage in setting.stages if stage.end > stage.start]
        return cls(
            np.array([stages[0].start, *(stage.end for stage in stages)]),
            np.array([stage.probability for stage in stages]),
            np.array([stage.rates.eta for stage in stages]),
        )

    @property
    def lengths(self) -> np.ndarray:
        """Of the stretches, (N,)."""
        return np.diff(self.edges)

    @property
    def budget(self) -> np.ndarray:
        """Examples of each level, over D: sum of p_d times length, (levels,)."""
        return self.lengths @ self.probability

    def onto(self, edges: np.ndarray) -> "Schedule":
        """The same with other edges: probabilities and rates are averages over the new stretches, so that budgets are kept."""
        overlap = np.maximum(
            np.minimum(self.edges[None, 1:], edges[1:, None]) - np.maximum(self.edges[None, :-1], edges[:-1, None]), 0.0
        )
        overlap /= overlap.sum(axis=1, keepdims=True)
        return Schedule(edges, overlap @ self.probability, overlap @ self.eta)

    def finer(self, count: int) -> "Schedule":
        """The same protocol with edges at `count` equal stretches too."""
        T = self.edges[-1]
        inner = np.linspace(0.0, T, count + 1)[1:-1]
        far = np.array([np.abs(self.edges - t).min() > 1e-9 * T for t in inner], dtype=bool)
        return self.onto(np.sort(np.concatenate([self.edges, inner[far]])))

    def written(self, experiment: Experiment, rates: bool) -> Experiment:
        """The experiment with this schedule as its plan; stretches that are alike become one. `rates`: whether they are written."""
        names = [level.name for level in experiment.protocol.levels]
        T = float(self.edges[-1])
        plan: list[dict[str, Any]] = []
        shares: list[float] = []
        for length, p, eta in zip(self.lengths, self.probability, self.eta, strict=True):
            probability = {name: float(value) for name, value in zip(names, p, strict=True) if value > 0.0}
            settings: dict[str, Any] = {"probability": probability, **({"learning_rate": float(eta)} if rates else {})}
            if plan and plan[-1] == settings:
                shares[-1] += float(length) / T
            else:
                plan.append(settings)
                shares.append(float(length) / T)
        stages = [Stage(share=min(share, 1.0), **settings) for share, settings in zip(shares, plan, strict=True)]
        tables = [stage.model_dump(exclude_none=True) for stage in stages]
        return experiment.replace({"protocol.order": "stages", "protocol.plan": tables})


def nearest_pure(schedule: Schedule) -> tuple[Schedule, np.ndarray]:
    """The nearest schedule of pure stages, of the same numbers of examples, and the level (N,) of each of its stages.

    Every stage becomes one of its most probable level, neighbours of one level are joined, and the lengths of each level's stages
    are scaled to its number of examples; rates are means.
    """
    budget, shown = schedule.budget, schedule.probability.argmax(axis=1)
    for level in np.flatnonzero(budget > 0.0):
        if level not in shown:  # it is never the most probable: where it is most so, it stands alone
            shown[schedule.probability[:, level].argmax()] = level
    levels: list[int] = []
    lengths: list[float] = []
    weighted: list[float] = []
    for level, length, eta in zip(shown, schedule.lengths, schedule.eta, strict=True):
        if levels and levels[-1] == level:
            lengths[-1] += length
            weighted[-1] += length * eta
        else:
            levels.append(int(level))
            lengths.append(float(length))
            weighted.append(float(length * eta))
    chosen, before = np.array(levels), np.array(lengths)
    scaled = before * np.array([budget[level] / before[chosen == level].sum() for level in levels])
    edges = np.concatenate([[0.0], np.cumsum(scaled)])
    edges[-1] = schedule.edges[-1]
    return Schedule(edges, np.eye(schedule.probability.shape[1])[chosen], np.array(weighted) / before), chosen
