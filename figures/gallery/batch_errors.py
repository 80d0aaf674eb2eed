"""What the figures of batch learning share: the final test error of an experiment, by theory and by minimisation."""

from typing import Any

import numpy as np

from curriculode.sims.runs.minimize import minimize
from curriculode.theory.describe.experiment import Experiment
from curriculode.theory.solve.state_evolution import state_evolution


def final_errors(experiment: Experiment, dimension: int, runs: int) -> dict[str, Any]:
    """Test error on the hardest level after the last slice, by theory and, with `runs`, by minimisation with its standard error."""
    theory = state_evolution(experiment)
    row = {"theory": theory.classification_error[-1]}
    if not runs:
        return row
    # Strengths that are "optimal" have just been found, and need not be once more.
    found = {f"training.{name}": theory.statistics[name] for name in ("regularization", "coupling")}
    ensemble = minimize(experiment.replace(found), dimension=dimension, runs=runs, progress=False)
    if ensemble.interrupted:
        raise KeyboardInterrupt
    errors = ensemble.classification_error[:, -1]
    return {**row, "simulation": errors.mean(), "standard_error": errors.std(ddof=1) / np.sqrt(runs)}
