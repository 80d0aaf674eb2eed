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
