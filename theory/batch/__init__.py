"""Batch learning in slices: each slice of the examples is learnt to convergence, and tied elastically to the one before.

Exact as D -> infinity with alpha_s D examples in slice s. Saglietti, Sarao Mannelli, Saxe 2022 (2106.08068).
"""

from curriculode.theory.batch.state_evolution import state_evolution
from curriculode.theory.results.batch_record import BatchRecord, BatchTrajectory

__all__ = ["BatchRecord", "BatchTrajectory", "state_evolution"]
