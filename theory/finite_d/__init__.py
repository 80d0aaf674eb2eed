"""Finite D: the covariance of one step, and what it adds up to."""
