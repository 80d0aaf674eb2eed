"""Batch learning in slices: each slice of the examples is learnt to convergence, and tied elastically to the one before.

Exact as D -> infinity with alpha_s D examples in slice s. Saglietti, Sarao Mannelli, Saxe 2022 (2106.08068). The verb that solves
the slices one after the other is `theory/solve/state_evolution.py`.
"""
