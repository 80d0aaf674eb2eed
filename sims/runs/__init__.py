"""Ensembles of runs: simulate, observe, minimise; threads, progress and Ctrl-C once."""
