"""Ground floor: what is modelled, its equations, and their integration.

Knows nothing of simulations, files of results, plots or terminals.
"""
