"""Where a student can end and when it learns: growth from the start, states at rest, odds of attractors, branches, the wide
limit."""
