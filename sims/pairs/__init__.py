"""Pairs of runs at finite D: branching, stability, perturbations of weights."""
