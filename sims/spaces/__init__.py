"""The ways of simulating finite D: overlap space, weight space, minimisers, and what they draw."""
